"""One run of a script as WASI: what its module would be shown, and what came of it put back.

A module is believed where it has once made, byte for byte, what the native run made. It runs in
place of the script only where all that the script read is as it was then, and what comes of it has
to be the same again; else the script runs natively. Who runs a module is a process of its own.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import json
import os
import time

from buildperm.cache import digest, module_result
from buildperm.cache.input_comparison import compare
from buildperm.cache.input_kind import ABSENT, FILE, LISTING
from buildperm.cache.output_copy import NotKeptError
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.rules import limits
from buildperm.rules.pattern import covers
from buildperm.supervisor import (
    asked_process,
    environment,
    kept_inputs,
    landlock,
    private_folder,
    result_taking,
    script,
)
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from buildperm.cache.input_kind import Input
    from buildperm.supervisor.cached_run import CachedRun
    from buildperm.supervisor.restoring import RestoredRun
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.streams import Streams
    from buildperm.supervisor.tree_supervision import EndedRun
    from buildperm.supervisor.verdict import RunVerdict

_START = b"/proc/self/maps"  # Where Rust's own start looks for the guard page of the stack.
_KERNEL = (b"/proc", b"/sys")
_SYSTEM = (b"/usr", b"/lib", b"/lib64", b"/etc/ld.so.cache", b"/etc/ld.so.preload", b"/dev")
_DEBUGGING = (b"/usr/lib/debug",)  # Where a panic looks for names of functions.
_FUEL, _MEMORY = 20_000_000_000, 1 << 30  # Of one run; fuel is instructions.
_BYTES_MOST = 1 << 30  # Of one file.
_READS = landlock.READ_FILE | landlock.READ_DIR


class _UnfitError(Exception):
    """A script is not run as WASI; the text says why, as a clause."""


class ModuleRun:
    """One script, as WASI."""

    def __init__(self, run: Run, cached: CachedRun, arguments: Iterable[bytes]) -> None:
        """Take a run, with what is known of those like it, and how its stub was called."""
        self._run = run
        self._cached = cached
        self._arguments = list(arguments)
        self._folder = script.unit(run.places["OUT_DIR"]) + b"/wasi"
        self._variables: dict[bytes, bytes] = {}

    def begin(self, variables: dict[bytes, bytes]) -> None:
        """Take the environment of the native run, and remove what an earlier one has noted."""
        self._variables = variables
        private_folder.empty(self._folder)

    def note(self, ended: EndedRun, streams: Streams, verdict: RunVerdict, told_more: bool) -> None:
        """Note what came of the native run, and what a module would be shown, or why not."""
        run, cached = self._run, self._cached
        noted: dict[str, object] = {"key": cached.key}
        try:
            self._check_events(ended)
            inputs = self._inputs(ended, streams, verdict, told_more)
            store = FolderStore(self._folder)
            made = result_taking.take(
                run, streams, store, cached.tokens, run.session["cache"]["by"], int(time.time())
            )
            made.inputs = inputs
            noted["request"] = self._request(inputs, self._variables)
            store.put(cached.key, module_result.NATIVE, made)
        except (_UnfitError, NotKeptError) as error:
            noted["why"] = str(error)
        except (OSError, StoreError) as error:
            noted["why"] = f"it cannot be noted: {error}"
        try:
            script.write_atomically(self._folder + module_result.NOTE, json.dumps(noted).encode())
        except OSError:
            pass  # Whoever compares says that nothing is noted.

    def _inputs(
        self, ended: EndedRun, streams: Streams, verdict: RunVerdict, told_more: bool
    ) -> list[Input]:
        """Return what the native run depended on.

        Raises:
            _UnfitError: That is not known, or the run cannot be told again.
        """
        cached = self._cached
        if not cached.keeps:
            raise _UnfitError(cached.why() or "its inputs are not known")
        why, inputs = kept_inputs.why_not_kept(ended, verdict, cached.tokens, cached.began_ns, None)
        if why := why or result_taking.why_not(self._run, streams, verdict, told_more):
            raise _UnfitError(why)
        return inputs

    def _check_events(self, ended: EndedRun) -> None:
        """Make sure that it has used nothing that WASI has not.

        Raises:
            _UnfitError: It has.
        """
        for key in ended.writer.events():
            match key:
                case ("executed", _, bytes(path), *_):
                    if path != self._run.subject.program or ended.writer.times(key) > 1:
                        raise _UnfitError(
                            f"it runs {encode(os.path.basename(path)) or 'a program'}"
                        )
                case ("socket", *_):
                    raise _UnfitError("it uses a socket")
                case ("opened", _, bytes(path), *_) if _is_kernel(path):
                    raise _UnfitError(f"it reads {encode(path)}")
                case _:
                    pass

    def _request(self, inputs: Iterable[Input], variables: Mapping[bytes, bytes]) -> dict[str, Any]:
        """Return what a module is to be shown and given.

        Raises:
            _UnfitError: WASI has no form for something of it.
        """
        run, tokens = self._run, self._cached.tokens
        package, out = run.places["MANIFEST_DIR"], run.places["OUT_DIR"]
        rights = {
            path: allowed & _READS
            for path, allowed in run.readable(learning=False).items()
            if allowed & _READS and not _is_in(path, (*_SYSTEM, *_KERNEL))
        }
        folders = {package}
        searched = [path for path in variables.get(b"LD_LIBRARY_PATH", b"").split(b":") if path]
        for each in inputs:
            path = tokens.real(str(each[1]))
            if _is_kernel(path):
                raise _UnfitError(f"it looks at {encode(path)}")
            if each[0] == ABSENT or _is_in(path, (package, out)):
                continue
            if _is_in(path, _DEBUGGING):
                continue
            is_read = each[0] in (FILE, LISTING)
            is_loaders = _is_in(path, (*_SYSTEM, *searched)) and (b".so" in path or not is_read)
            if is_loaders or (not is_read and any(covers(path, each) for each in searched)):
                continue
            if not is_read and any(covers(path, each) for each in (package, out)):
                continue  # A folder on the way there.
            around = [each for each in rights if _is_in(path, (each,)) and os.path.isdir(each)]
            if not around:
                raise _UnfitError(f"it looks at {encode(path)}, which is in no folder of its own")
            folders.add(min(around, key=len))
        shown = [(path, path, False) for path in sorted(folders)]
        if os.getcwdb() == package:
            shown.append((package, b".", False))
        try:
            texts = [[name.decode(), value.decode()] for name, value in sorted(variables.items())]
            words = [word.decode() for word in (run.subject.program, *self._arguments[1:])]
        except UnicodeDecodeError as error:
            raise _UnfitError("a variable of it is no text") from error
        return {
            "arguments": words,
            "environment": texts,
            "rights": {encode(path): allowed for path, allowed in rights.items()},
            "folders": [[encode(host), encode(guest), own] for host, guest, own in shown],
            "out": encode(out),
            "memory": _MEMORY,
            "fuel": _FUEL,
            "bytes": min(limits.value(run.limits, "output_bytes") or _BYTES_MOST, _BYTES_MOST),
        }

    def put_back(self, has_to_end: Callable[[], bool]) -> RestoredRun | None:
        """Run the module in place of the script, if it is believed; None where it has to run.

        Args:
            has_to_end: Tells whether a signal has asked for an end.
        """
        try:
            made = self._made(has_to_end)
        except (_UnfitError, NotKeptError, OSError, ValueError, LookupError, StoreError):
            made = None  # It runs natively, and is compared anew.
        finally:
            try:
                private_folder.remove(self._folder)
            except OSError:
                pass  # The next run makes it anew.
        if made is None:
            self._run.wasi = None
        else:
            self._cached.noted("wasi", "")
        return made

    def _made(self, has_to_end: Callable[[], bool]) -> RestoredRun | None:
        run, cached, told = self._run, self._cached, self._run.session["wasi"]
        if not cached.key or not cached.keeps:
            return None
        believed = FolderStore(told["folder"])
        found = believed.results(cached.key)
        if len(found) != 1:
            return None
        native = found[0][1]
        here = {name: encode(place) for name, place in run.places.items()}
        if native.places != here or compare(native.inputs, cached.tokens).difference:
            return None
        with open(module_result.module_path(told["folder"], cached.key), "rb") as file:
            module = file.read()
        with open(module_result.module_path(told["folder"], cached.key) + b".digest", "rb") as file:
            if file.read().decode("ascii") != digest.of(module):
                return None
        private_folder.empty(self._folder)
        script.write_atomically(self._folder + b"/module.wasm", module)
        variables, _ = environment.for_script(
            run.environ, run.session, run.package, run.places, learning=False
        )
        request = module_result.complete(self._request(native.inputs, variables), self._folder)
        script.write_atomically(self._folder + b"/request.json", json.dumps(request).encode())
        if self._ended(has_to_end) != {"code": 0, "trap": ""}:
            return None
        made = module_result.take(native, self._folder, believed, cached.tokens)
        if made.content() != native.content():
            return None
        run.wasi = {"compared_s": native.made_s}
        try:
            return cached.put_back(made, believed, is_fresh=True)
        except (OSError, ValueError):
            cached.empty()
            raise

    def _ended(self, has_to_end: Callable[[], bool]) -> object:
        """Run the module, and wait; return what was said of its end.

        Raises:
            _UnfitError: It took too long.
            OSError: Nobody can be asked.
            ValueError: What was said is nothing.
        """
        told = self._run.session["wasi"]
        answer = asked_process.ask(told, self._folder, told["timeout_s"], has_to_end)
        if answer is None:
            raise _UnfitError("it took too long")
        with open(answer[1], "rb") as file:
            return json.loads(file.read())


def _is_kernel(path: bytes) -> bool:
    return _is_in(path, _KERNEL) and path != _START


def _is_in(path: bytes, folders: Iterable[bytes]) -> bool:
    return any(covers(each, path) for each in folders)
