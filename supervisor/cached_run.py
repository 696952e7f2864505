"""A run that may have been kept: its result is restored instead, or kept when it has run.

A result is restored when the same came of two runs, of which the second was later, under another
number of processors, and by all else that a recording holds the same. So what depends on a clock,
on chance or on how much runs at once is found out before anything is restored. Likewise a result
is restored elsewhere only if a run elsewhere has come to the same.

Whatever goes wrong here, the script runs as if there was nothing kept.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import json
import os
import stat
import time

from buildperm.cache import digest, static_key
from buildperm.cache.kept_result import (
    CANDIDATE,
    CONFIRMED,
    TIMES_OF_FILES,
    TIMES_OF_FOLDERS,
    UNSTABLE,
    KeptResult,
)
from buildperm.cache.known_digests import KnownDigests
from buildperm.cache.moved_inputs import MovedInputs, goes_by, is_as_deep
from buildperm.cache.output_copy import NotKeptError, put_back, told
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.cache.run_inputs import GONE, THERE_NOW, compare, renewed
from buildperm.printable import log_text
from buildperm.rules import limits
from buildperm.supervisor import (
    environment,
    network,
    out_dir,
    private_folder,
    result_taking,
    script,
)
from buildperm.supervisor.directive_gate import DirectiveGate
from buildperm.supervisor.kept_inputs import why_not_kept
from buildperm.supervisor.talk import Talk
from buildperm.tracer.notation import decode, encode
from buildperm.tracer.recorder.asked_paths import AskedPaths
from buildperm.tracer.recorder.location import open_regular_file
from buildperm.tracer.recorder.writer import first_line, replace_file
from buildperm.tracer.recording_format import FULL, LIGHT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.cache.result_store import ResultStore
    from buildperm.cache.run_inputs import InputComparison
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.streams import Streams
    from buildperm.supervisor.tree_supervision import EndedRun
    from buildperm.supervisor.verdict import RunVerdict

OUTCOME = b"/result.json"
"""Beside a recording: what came of looking for a result, for `buildperm cache explain`."""

_DIGESTS = b"/digests"  # In the store.
_APART_S = 1.0  # So long after a run another one can tell whether the clock matters.


class RestoredRun:
    """What Cargo is to see of a result that was put back."""

    __slots__ = ("denied", "passed")

    def __init__(self, passed: bytes, denied: list[str]) -> None:
        self.passed = passed  # On standard output.
        self.denied = denied  # Directives that were kept from it, as a person has decided.


class _Near:
    """A result that only has to be found once more, or somewhere else."""

    __slots__ = ("compared", "dated", "elsewhere", "name", "result")

    def __init__(
        self, name: str, result: KeptResult, compared: InputComparison, elsewhere: list[str]
    ) -> None:
        self.name = name
        self.result = result
        self.compared = compared
        self.elsewhere = elsewhere  # Places that are others here.
        self.dated = result.is_dated(int(time.time()))  # What of today's date is new to it.

    def is_exact(self) -> bool:
        is_near = self.elsewhere or self.dated or self.times() & ~self.result.times_free
        return not is_near

    def times(self) -> int:
        """Say of what nothing but times differ, in bits of `KeptResult.times_free`."""
        files, folders = self.compared.times, self.compared.folder_times
        return TIMES_OF_FILES * bool(files) | TIMES_OF_FOLDERS * bool(folders)


class CachedRun:
    """One run for which results are looked for, and kept."""

    def __init__(self, run: Run, arguments: Iterable[bytes]) -> None:
        """Look what there is; nothing is raised, as the script can always run."""
        self.restored_from: KeptResult | None = None
        self.keeps = False  # The run is to be observed and kept.
        self._is_again = False  # A result is made again, to compare it.
        self.known: KeptResult | None = None  # The latest that began like this run, if any.
        self._distance = 0  # Of its inputs from what there is now.
        self._changes: dict[bytes, bytes] = {}  # Variables that are others in this run.
        self._jobs = 1
        self._processors: tuple[set[int], set[int]] | None = None  # For the run, and afterwards.
        self._run = run
        self._why: list[str] = []
        self._near: list[_Near] = []
        self.key, self._parts = "", dict[str, str]()
        self.tokens = PathTokens(run.places)
        self._secrets: frozenset[str] = frozenset()
        self._withheld: set[bytes] = set()
        self._shown = result_taking.recorded_tokens(run.places)
        self.began_ns = time.time_ns()
        self._outcome = "run"
        try:
            self._why += self._unfit()
            if self._why:
                return
            self._store = FolderStore(run.session["cache"]["folder"])
            self._parts = self._found_parts(tuple(arguments))
            self.key = static_key.of(self._parts)
            self._find()
        except (OSError, StoreError) as error:
            self._why.append(f"the store cannot be used: {error}")
            self.keeps, self.restored_from = False, None

    def _unfit(self) -> list[str]:
        """Say why this run can be neither restored nor kept."""
        run = self._run
        if run.learning or "ask" in run.session:
            return ["a person is asked about what it does"]
        if network.is_wanted(run.package, learning=False):
            return ["it was granted to reach hosts"]
        if run.has_own_folders:
            return ["it was granted to write where others write as well"]
        if not run.session.get("every_look_filter"):
            return ["what it looks at cannot be seen on this machine"]
        return []

    def _found_parts(self, arguments: tuple[bytes, ...]) -> dict[str, str]:
        run, session = self._run, self._run.session
        variables, kept = environment.for_script(
            run.environ, session, run.package, run.places, learning=False
        )
        self._secrets = frozenset(map(encode, kept.secrets))
        self._withheld = kept.names
        partly = sorted((name, why) for name, why in kept.secrets.items() if name in variables)
        tokens = self.tokens
        closed = sorted((tokens.portable(path), why) for path, why in run.held.items())
        settled = {
            "version of buildperm": session["buildperm"],
            "grants": self._grants(),
            "runtime": f"{session['runtime']} {run.abi} {session['kernel']}",
            "observation": LIGHT if run.is_light else FULL,
            "machine": session["cache"]["machine"],
            "sensitive files": digest.of(repr(closed).encode()),
            "settings": digest.of(repr(sorted(map(tokens.portable, run.harmless))).encode()),
            "variables that hold a secret": digest.of(repr(partly).encode()),
            "package": f"{run.package['name']} {run.package['version']} {run.package['source']}",
        }
        if "root" in session:
            settled["root"] = session["root"]["digest"]
        settled["place of the program"] = tokens.portable(run.subject.program)
        file = open_regular_file(run.subject.program)
        try:
            program = digest.of_descriptor(file)
        finally:
            os.close(file)
        return static_key.parts(settled, program, arguments, variables, tokens)

    def _grants(self) -> str:
        """Return a digest of all that the run is held to: the session's, with tokens."""
        session, tokens = self._run.session, self.tokens
        package = dict(self._run.package)
        for name in ("id", "digest", "withheld", "waiting"):
            package.pop(name, None)
        path, copied = session.get("git_settings", (b"", None))
        paths = [
            sorted(map(tokens.portable, session.get("trusted", ()))),
            sorted(tokens.portable(each[0]) for each in session.get("settings", ())),
            sorted(map(tokens.portable, session.get("settings_closed", ()))),
            [tokens.portable(path) if path else "", repr(copied)],
        ]
        loaded = sorted(session.get("loaded", ()))
        held = sorted(package.items()), sorted(session["limits"].items()), loaded, paths
        return digest.of(repr(held).encode("utf-8", "backslashreplace"))

    def _find(self) -> None:
        """Look for a result that fits, and for what may become one."""
        is_restored = self._run.session["cache"].get("restores", True)
        for name, result in self._store.results(self.key):
            try:
                compared = compare(result.inputs, self.tokens)
            except ValueError as error:
                self._why.append(f"a result of {_date(result)} is damaged: {error}")
                continue
            self._note_known(result, compared)
            if compared.difference:
                self._why.append(compared.difference)
                continue
            places = self._run.places
            elsewhere = [
                place
                for place in sorted({*places, *result.places})
                if result.places.get(place) != encode(places.get(place, b""))
                and not self._is_free(result, place)
            ]
            held = [place for place in result.bound if place in elsewhere]
            if result.state == UNSTABLE:
                self._why = [f"not cacheable: two runs differed in {result.why}"]
                self.known = None
                return
            if held:
                self._why.append(f"its binaries hold ${held[0]}, which is elsewhere")
                continue
            near = _Near(name, result, compared, elsewhere)
            if result.state == CONFIRMED and near.is_exact() and is_restored:
                self._near = [near]
                if self.key in self._run.session["cache"].get("again", ()):
                    self._why, self._is_again = [], True
                    self.empty()
                    self._prepare()
                else:
                    self.restored_from = result
                return
            self._near.append(near)
            if not near.is_exact() or result.state == CANDIDATE:
                self._why.append(_why_near(near))
        if not self._why and not self._near:
            self._why.append("nothing is kept of a run that began like this one")
        self._prepare()

    def _is_free(self, result: KeptResult, place: str) -> bool:
        """Tell whether the same came of it wherever a place was."""
        if place not in result.free:
            return False
        then, here = decode(result.places.get(place, "")), self._run.places.get(place, b"")
        return is_as_deep(then, here) or not goes_by(result.inputs, place)

    def _note_known(self, result: KeptResult, compared: InputComparison) -> None:
        """Note the latest of those results whose inputs are most like what there is now."""
        is_otherwise_named = compared.difference.endswith((GONE, THERE_NOW))
        distance = (2 if is_otherwise_named else 1) if compared.difference else 0
        if result.state != UNSTABLE and (self.known is None or distance < self._distance):
            self.known, self._distance = result, distance

    def _prepare(self) -> None:
        """Have the run observed; where it has been seen before, under other circumstances."""
        if os.listdir(self._run.places["OUT_DIR"]):
            self._why.append("not kept: OUT_DIR was not empty at the start")
            return
        self.keeps = True
        self._run.asked = AskedPaths()
        told_jobs = self._run.environ.get(static_key.JOBS, b"")
        self._jobs = int(told_jobs) if told_jobs.isdigit() else 1
        if self._near:
            self._jobs = max(near.result.jobs for near in self._near) + 1
            self._changes = {static_key.JOBS: b"%d" % self._jobs}
        processors = os.sched_getaffinity(0)
        if len(processors) > 1 and any(near.result.state == CANDIDATE for near in self._near):
            self._processors = set(sorted(processors)[:-1]), processors

    def variables(self, variables: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the environment of the run, given what it would be."""
        return variables | self._changes

    def begin(self) -> None:
        """Let what is started now have other processors, if that may matter."""
        if self._processors is not None:
            os.sched_setaffinity(0, self._processors[0])

    def end(self) -> None:
        """Take that back for this process."""
        if self._processors is not None:
            os.sched_setaffinity(0, self._processors[1])

    def restore(self) -> RestoredRun | None:
        """Put back what was found; None where that is not possible: then it has to run.

        OUT_DIR is empty then.
        """
        result = self.restored_from
        if result is None:
            return None
        try:
            made = self.put_back(result, self._store)
        except (OSError, ValueError) as error:
            made, why = None, f"the store is damaged: {error}"
        else:
            why = "what was kept would not be passed on now"
        if made is None:
            self._why.append(why)
            self.restored_from = None
            self.empty()
            self._near = []
            self._prepare()
            return None
        self._outcome = "restored"
        return made

    def put_back(
        self, result: KeptResult, store: ResultStore, *, is_fresh: bool = False
    ) -> RestoredRun | None:
        """Put back a result, and look at it as after a run; None where that finds something.

        Args:
            result: What to put back.
            store: Where its blobs are.
            is_fresh: It was made for this build.

        Raises:
            OSError: Something cannot be read or written.
            ValueError: The store holds something else than it should.
        """
        run, tokens = self._run, self.tokens
        # First what may fail, before there is anything to take back.
        printed = told(result.stdout, store, tokens)
        talk = told(result.stderr, store, tokens)
        recording = told(result.recording, store, self._shown)
        if not self._withheld.isdisjoint(_asked_variables(recording)):
            return None  # The recording of a run now would say that it was refused one.
        self.empty()
        put_back(result.left, run.places["OUT_DIR"], store, tokens)
        gate = DirectiveGate(run.package, run.places, run.subject.handed_over, lambda *_: None)
        gate.loaded = frozenset(run.session.get("loaded", ()))
        gate.secrets = self._secrets
        passed = b"".join(gate.pass_on(printed.split(b"\n")[:-1]))
        left = out_dir.scan(run.places["OUT_DIR"], lambda *_: "a link that leaves it")
        most = [limits.value(run.limits, name) for name in ("output_bytes", "output_files")]
        if gate.withheld or left.found or left.usage.excess(most[0], most[1]):
            return None
        header = run.header()
        if not is_fresh:
            if run.is_light:
                header["observation"] = LIGHT  # As it was recorded, or less.
            header["restored"] = {"at": result.made_s, "by": result.by}
        self._write_recording(header, recording)
        said = Talk("the build script", limits.value(run.limits, "stderr_bytes"))
        said.add(talk)
        said.end()
        if not is_fresh:
            self._renew(result)
        return RestoredRun(passed, gate.denied)

    def _write_recording(self, header: dict[str, object], rest: bytes) -> None:
        path = self._run.subject.recording
        with open(path + b".new", "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(first_line(header).encode("utf-8", "backslashreplace") + rest)
        replace_file(path + b".new", path)

    def _renew(self, result: KeptResult) -> None:
        """Note the signatures of now, where files had to be read."""
        near = self._near[0]
        if near.compared.is_slow:
            result.inputs = renewed(result.inputs, self.tokens, self.began_ns)
            try:
                self._store.put(self.key, near.name, result)
            except OSError:
                pass  # The next one reads them again.

    def noted(self, outcome: str, why: str) -> None:
        """Note what else has come of this run."""
        self._outcome = outcome
        if why:
            self._why.append(why)

    def empty(self) -> None:
        """Remove what is in OUT_DIR.

        Raises:
            OSError: Something cannot be removed.
        """
        folder = self._run.places["OUT_DIR"]
        os.chmod(folder, stat.S_IMODE(os.lstat(folder).st_mode) | stat.S_IRWXU)
        for name in os.listdir(folder):
            private_folder.remove(folder + b"/" + name)

    def keep(self, ended: EndedRun, streams: Streams, verdict: RunVerdict, told_more: bool) -> None:
        """Keep what came of a run that has been judged, if it can be kept."""
        if not self.keeps:
            return
        try:
            if self._is_again:
                self._compare_again(streams, verdict)
                return
            why = self._kept(ended, streams, verdict, told_more)
        except NotKeptError as error:
            why = str(error)
        except OSError as error:
            why = f"the store cannot be used: {error.strerror}"
        self._outcome = "not kept" if why else "kept"
        if why:
            self._why.append(f"not kept: {why}")

    def _kept(self, ended: EndedRun, streams: Streams, verdict: RunVerdict, told_more: bool) -> str:
        """Keep it; return why not, or nothing."""
        run = self._run
        took_ns, made_s = ended.writer.duration_ns(), int(time.time())
        known = KnownDigests(self._store.folder + _DIGESTS)
        why, inputs = why_not_kept(ended, verdict, self.tokens, self.began_ns, known)
        try:
            known.save()
        except OSError:
            pass  # The next run reads these files again.
        why = why or result_taking.why_not(run, streams, verdict, told_more)
        if why:
            return why
        made = result_taking.take(
            run, streams, self._store, self.tokens, run.session["cache"]["by"], made_s
        )
        if made.is_dated(self.began_ns // 1_000_000_000):
            return "another day began while it ran"
        made.took_ns, made.jobs = took_ns, self._jobs
        made.key, made.inputs = self._parts, inputs
        return self._filed(made)

    def _compare_again(self, streams: Streams, verdict: RunVerdict) -> None:
        """Compare with what would have been restored; remove that if it differs.

        Raises:
            OSError: The store cannot be used.
        """
        near, run = self._near[0], self._run
        by, now_s = run.session["cache"]["by"], int(time.time())
        try:
            made = result_taking.take(run, streams, self._store, self.tokens, by, now_s)
            is_same = near.result.content() == made.content()
            why = "" if is_same else f"it differs in {difference(near.result, made)}"
        except NotKeptError as error:
            why = str(error)
        if verdict.failure or verdict.exit_status:
            why = "it failed"
        self._outcome = "different" if why else "same"
        if why:
            self._why.append(f"run again, {why}")
            self._store.remove(self.key, near.name)

    def _filed(self, made: KeptResult) -> str:
        """File a new result, with those that are like it; return why it is not, or nothing."""
        is_filed, why = False, ""
        for near in self._near:
            known = near.result
            if made.made_s - known.made_s < _APART_S + made.took_ns / 1e9:
                why = "it ran a moment ago, and has to be seen to do the same later"
            elif known.content() == made.content():
                joined = MovedInputs(known.inputs, made.inputs, self._moved(known))
                if near.elsewhere and joined.unexplained:
                    continue  # It does something else elsewhere, though the same came of it.
                known.state = CONFIRMED
                known.times_free |= joined.times
                known.times_free |= near.times()
                if near.dated:
                    known.seen_s.append(made.made_s)
                known.free = sorted({*known.free, *near.elsewhere})
                known.bound = sorted({*known.bound, *made.bound})
                known.inputs = joined.inputs
                self._store.put(self.key, near.name, known)
                is_filed = True
            elif not near.elsewhere:  # The time of a file may be why, or the clock, or chance.
                known.state, known.why = UNSTABLE, difference(known, made)
                self._store.put(self.key, near.name, known)
                why = f"two runs differed in {known.why}"
        if not is_filed and not why:
            self._store.put(self.key, f"{time.time_ns():x}-{os.getpid():x}", made)
        return "" if is_filed else why

    def _moved(self, known: KeptResult) -> dict[str, tuple[bytes, bytes]]:
        """Return the places that are others than those of a result: where each was, and is."""
        both = {
            name: (decode(known.places[name]), here)
            for name, here in self._run.places.items()
            if name in known.places
        }
        return {name: places for name, places in both.items() if places[0] != places[1]}

    def why(self) -> str:
        """Say why nothing is restored; empty where nothing speaks against it but one more run."""
        return "; ".join(self._why)

    def note_outcome(self) -> None:
        """Leave beside the recording what came of it."""
        said = {
            "outcome": self._outcome,
            "why": self._why,
            "key": self.key,
            "parts": self._parts,
        }
        path = script.unit(self._run.places["OUT_DIR"]) + OUTCOME
        try:
            script.write_atomically(path, json.dumps(said).encode())
        except OSError:
            pass


def _asked_variables(recording: bytes) -> set[bytes]:
    """Name the variables that a run has asked for, by the lines of its recording.

    Raises:
        ValueError: It is none.
    """
    lines = [line for line in recording.splitlines() if b'"environment"' in line]
    every = [json.loads(line) for line in lines]
    names = [each.get("name", "") for each in every if isinstance(each, dict)]
    if not all(isinstance(name, str) for name in names):
        raise ValueError("not a recording")
    return {decode(name) for name in names}


def _why_near(near: _Near) -> str:
    if near.result.state == CANDIDATE:
        return "it was seen once, and has to be seen to do the same later"
    if near.elsewhere:
        return f"${near.elsewhere[0]} is elsewhere than in any run that did the same"
    if near.dated:
        return f"it has been seen on one {near.dated} only, and may depend on the date"
    named = near.compared.times or near.compared.folder_times
    return f"{named} was written at another time"


def _date(result: KeptResult) -> str:
    return log_text(time.strftime("%Y-%m-%d", time.gmtime(result.made_s)))


def difference(before: KeptResult, now: KeptResult) -> str:
    """Name the first thing in which two results differ."""
    old = {str(each[1]): each for each in before.left}
    new = {str(each[1]): each for each in now.left}
    for path in sorted({*old, *new}):
        if old.get(path) != new.get(path):
            return f"$OUT_DIR/{path}"
    return "what it printed for Cargo" if before.stdout != now.stdout else "what it said"
