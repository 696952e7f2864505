"""One run of a script on an executor: what it needs is sent, what comes is judged and put back.

Who asks the engine is a process of its own, with the packages that takes. What it brings is a store
with one result, which nobody has signed. So it is believed as little as the script: it has to have
read nothing but what was sent, all of that has to be what is here, and a result that is known here
has to be the same. Then it passes gate and scan like one that has run here. Whatever is not as it
should be, the script runs here.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import json
import marshal
import os

from buildperm.cache import digest, static_key
from buildperm.cache.input_comparison import compare
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.printable import log_text
from buildperm.rules import makeflags
from buildperm.rules.variables import looks_secret
from buildperm.supervisor import asked_process, environment, private_folder, script
from buildperm.supervisor.input_root import InputRoot, NotSentError
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.writer import first_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildperm.cache.kept_result import KeptResult
    from buildperm.supervisor.cached_run import CachedRun
    from buildperm.supervisor.restoring import RestoredRun
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.session import Session

THERE = b"/.buildperm"
"""The folder of an executor's supervisor, in the root that it is given."""

KEY = digest.of(b"remote")
"""Below it an executor keeps its one result."""

ANSWER = b"/answer"
DONE, KEPT = "done", "kept"  # What who asks says: it was done now, or the engine had kept it.
SAID_MOST = 1000  # Bytes of what is said about a failure.

_PLAIN = 0  # Of marshal: later forms of the same value differ by who else refers to it.
_UNORDERED = tuple(
    start + name
    for start in (b"cargo:", b"cargo::")
    for name in (b"rerun-if-changed=", b"rerun-if-env-changed=")
)
_GRACE_S = 15  # Beyond the time of the action itself, for whoever asks for it.
_OF_HERE = (
    *("cache", "remote", "macros", "consumers", "members", "manifests", "compile", "standing"),
    *("ask", "ask_timeout_s", "ask_left", "ask_once", "sandbox_wrapper", "mounts", "starter"),
    *("room", "light_filter", "looks", "settings", "settings_closed", "git_settings", "homes"),
    *("left_open", "tier"),
)


class RemoteRun:
    """One script, for which an executor is asked."""

    def __init__(self, run: Run, cached: CachedRun, arguments: Sequence[bytes]) -> None:
        """Take a run, with what is known of those like it, and how its stub was called."""
        self._run = run
        self._cached = cached
        self._arguments = list(arguments)
        self._folder = script.unit(run.places["OUT_DIR"]) + b"/remote"
        self._root = InputRoot(run, cached.tokens)
        self._own = 0  # Files of ours that are sent.
        self._has_filled = False  # What came back may lie in OUT_DIR.
        self._is_kept = False  # The engine has run nothing.

    def put_back(self, has_to_end: Callable[[], bool]) -> RestoredRun | None:
        """Put back what the script has done there; None where it has to run here.

        Args:
            has_to_end: Tells whether a signal has asked for an end.
        """
        try:
            made = self._made(has_to_end)
            why = "" if made else "what came back would not be passed on"
        except NotSentError as error:
            made, why = None, str(error)
        except (OSError, ValueError, ArithmeticError, StoreError) as error:
            made, why = None, f"what came back cannot be used: {error}"
        finally:
            try:
                private_folder.remove(self._folder)
            except OSError:
                pass  # The next run makes it anew.
        self._note(log_text(why)[:SAID_MOST])
        if made is not None:
            self._cached.noted("remote", "")
        elif self._has_filled:
            self._cached.empty()
        return made

    def _made(self, has_to_end: Callable[[], bool]) -> RestoredRun | None:
        if silent := self._run.session["remote"]["silent"]:
            raise NotSentError(silent)
        known = self._cached.known
        if known is None:
            raise NotSentError(self._cached.why() or "no recording says what it reads")
        self._write_request(known)
        self._ask(has_to_end)
        store = FolderStore(self._folder + ANSWER)
        results = store.results(KEY)
        if len(results) != 1:
            raise NotSentError("what came back is no result")
        result = results[0][1]
        self._check(result, known, store)
        self._note("")
        self._has_filled = True
        return self._cached.put_back(result, store, is_fresh=True)

    def _note(self, why: str) -> None:
        """Note why the script has to run here; empty if it has not."""
        kept = {"kept": True} if self._is_kept and not why else {}
        self._run.remote = {"at": self._run.session["remote"]["at"], "why": why, **kept}

    def _write_request(self, known: KeptResult) -> None:
        """Write what is to be sent, and how.

        Raises:
            NotSentError: Something of it must not be sent, or cannot.
            OSError: Something cannot be read or written.
        """
        run, root = self._run, self._root
        remote = run.session["remote"]
        variables = self._variables()
        root.add_inputs(known.inputs)
        root.add_program(run.subject.program)
        root.add_folder(os.getcwdb())
        root.add_folder(run.places["OUT_DIR"])
        private_folder.empty(self._folder)
        stub = os.path.abspath(self._arguments[0])
        self._add_own(stub, b"#!/bin/sh\n# real: %b\n" % os.path.basename(run.subject.program))
        for path, content in root.copies.items():
            self._add_own(path, content)
        request = {
            "environ": {name: variables[name] for name in variables if name in run.environ},
            "arguments": self._arguments,
            "cwd": os.getcwdb(),
        }
        self._add_own(THERE + b"/request", marshal.dumps(request, _PLAIN))
        told = marshal.dumps(self._session(variables), _PLAIN)  # type: ignore[arg-type]
        self._add_own(THERE + b"/session", told)
        loop = run.session.get("inner_loop", b"")
        if loop and os.path.isfile(loop):
            root.add_file(loop, os.path.realpath(loop))
        asked = {
            "nodes": list(root.nodes.values()),
            "command": [encode(word) for word in (*remote["executor"], THERE)],
            "output": encode(THERE + ANSWER),
            "answer": encode(self._folder + ANSWER),
            "header": first_line(run.header()),
        }
        with open(self._folder + b"/request.json", "wb") as file:
            file.write(json.dumps(asked).encode())

    def _add_own(self, path: bytes, content: bytes) -> None:
        self._own += 1
        source = self._folder + b"/%d" % self._own
        script.write_atomically(source, content)
        self._root.add_file(path, source)

    def _variables(self) -> dict[bytes, bytes]:
        """Return what the script sees, without the job server, of which an executor has none.

        Raises:
            NotSentError: One of them is a secret.
        """
        run = self._run
        variables, kept = environment.for_script(
            run.environ, run.session, run.package, run.places, learning=False
        )
        for name in variables:
            text = encode(name)
            if text in run.package.get("secrets", ()) or looks_secret(text):
                raise NotSentError(f"it sees {text}, and nothing sensitive is sent")
        if kept.secrets:
            raise NotSentError("one of its variables holds a secret, and nothing sensitive is sent")
        for name in makeflags.NAMES:
            if name in variables:
                variables[name] = static_key.without_job_server(variables[name])
        return variables

    def _session(self, variables: dict[bytes, bytes]) -> Session:
        """Return the session for there: the same grants and filters, without what is of here."""
        run = self._run
        told: Session = run.session.copy()
        for name in _OF_HERE:
            told.pop(name, None)  # type: ignore[misc]  # Some are needed, and are set below.
        told["runtime"] = "remote"
        told["progress"] = b"/dev/null"
        told["packages"] = {run.places["MANIFEST_DIR"]: run.package}
        told["filter"] = run.session["every_look_filter"]
        told["calls"] = dict(sorted(told["calls"].items()))  # From a set: another order each time.
        told["executor"] = {"folder": THERE + ANSWER, "variables": variables}
        return told

    def _ask(self, has_to_end: Callable[[], bool]) -> None:
        """Have the action done, and wait.

        Raises:
            NotSentError: Nothing came of it.
            OSError: Nobody can be asked.
        """
        remote = self._run.session["remote"]
        most_s = remote["timeout_s"] + _GRACE_S
        answer = asked_process.ask(remote, self._folder, most_s, has_to_end)
        if answer is None:
            raise NotSentError("it took too long")
        status, said = answer
        with open(said, "rb") as file:
            text = file.read(SAID_MOST).decode("utf-8", "replace").strip()
        if text not in (DONE, KEPT) or status:
            raise NotSentError(text or "who was to ask has failed")
        self._is_kept = text == KEPT

    def _check(self, result: KeptResult, known: KeptResult, store: FolderStore) -> None:
        """Make sure that a result is of this script, and of what is here.

        Raises:
            NotSentError: It is not.
            OSError: Something cannot be looked at.
            ValueError: An input is none.
        """
        tokens, package = self._cached.tokens, self._run.package
        named = result.name, result.version, result.source
        if named != (package["name"], package["version"], package["source"]):
            raise NotSentError("what came back is of another crate")
        if {name: encode(place) for name, place in tokens.every.items()} != result.places:
            raise NotSentError("what came back is of another place")
        for each in result.inputs:
            if not self._root.holds(str(each[0]), tokens.real(str(each[1]))):
                raise NotSentError(f"it asked for {each[1]} there, which was not sent")
        compared = compare(result.inputs, tokens, is_staged=True)
        if compared.difference or compared.times:
            why = compared.difference or f"{compared.times} was written at another time"
            raise NotSentError(f"it has found something else there: {why}")
        if compare(known.inputs, tokens).difference:
            return  # What is known is of other files.
        if self._is_same_but_for_order(result, known, store):
            result.stdout = known.stdout
        if known.content() != result.content():
            raise NotSentError(f"another result came of it there: {known.difference(result)}")

    def _is_same_but_for_order(
        self, result: KeptResult, known: KeptResult, store: FolderStore
    ) -> bool:
        """Tell whether what was printed differs in nothing but an order that Cargo ignores.

        A script names what it finds in a folder in the order in which that is listed, which is
        another one there. Where it is, what is known is put among what came back.
        """
        if result.stdout == known.stdout or result.stdout[2] != known.stdout[2]:
            return False
        here = FolderStore(self._run.session["cache"]["folder"])
        before = here.blob(str(known.stdout[0]), int(known.stdout[1]))
        now = store.blob(str(result.stdout[0]), int(result.stdout[1]))
        if settled(before) != settled(now):
            return False
        store.put_blob(before)
        return True


def settled(printed: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return lines in their order, and apart from them, sorted, those whose order means nothing.

    Cargo looks at all that `rerun-if-changed` and `rerun-if-env-changed` name, in whatever order,
    and at no line without `cargo:`: The Cargo Book, "Build Scripts", "Change Detection" and
    "Outputs". It ignores blanks before that, so whatever has it anywhere keeps its place.
    """
    kept: list[bytes] = []
    free: list[bytes] = []
    for line in printed.split(b"\n"):
        is_free = line.startswith(_UNORDERED) or b"cargo:" not in line
        (free if is_free else kept).append(line)
    return kept, sorted(free)
