"""Puts back a result in place of a run, and looks at it as after a run.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import json
import os
import stat

from buildperm.cache.output_copy import put_back, told
from buildperm.rules import limits
from buildperm.supervisor import out_dir, private_folder, result_taking
from buildperm.supervisor.directive_gate import DirectiveGate
from buildperm.supervisor.talk import Talk
from buildperm.tracer.notation import decode
from buildperm.tracer.recorder.writer import first_line, replace_file
from buildperm.tracer.recording_format import LIGHT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.cache.kept_result import KeptResult
    from buildperm.cache.path_tokens import PathTokens
    from buildperm.cache.result_store import ResultStore
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.run_key import RunKey


class RestoredRun:
    """What Cargo is to see of a result that was put back."""

    __slots__ = ("denied", "passed")

    def __init__(self, passed: bytes, denied: list[str]) -> None:
        self.passed = passed  # On standard output.
        self.denied = denied  # Directives that were kept from it, as a person has decided.


def restore(
    run: Run,
    key: RunKey,
    result: KeptResult,
    store: ResultStore,
    tokens: PathTokens,
    *,
    is_fresh: bool,
) -> RestoredRun | None:
    """Put back a result; None where the look at it finds something.

    Args:
        run: The run in whose place it is put.
        key: What is known of that.
        result: What to put back.
        store: Where its blobs are.
        tokens: The places of the run.
        is_fresh: It was made for this build.

    Raises:
        OSError: Something cannot be read or written.
        ValueError: The store holds something else than it should.
    """
    # First what may fail, before there is anything to take back.
    printed = told(result.stdout, store, tokens)
    talk = told(result.stderr, store, tokens)
    recording = told(result.recording, store, result_taking.recorded_tokens(run.places))
    if not key.withheld.isdisjoint(_asked_variables(recording)):
        return None  # The recording of a run now would say that it was refused one.
    empty_out_dir(run)
    put_back(result.left, run.places["OUT_DIR"], store, tokens)
    gate = DirectiveGate(run.package, run.places, run.subject.handed_over, lambda *_: None)
    gate.loaded = frozenset(run.session.get("loaded", ()))
    gate.secrets = key.secrets
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
    _write_recording(run, header, recording)
    said = Talk("the build script", limits.value(run.limits, "stderr_bytes"))
    said.add(talk)
    said.end()
    return RestoredRun(passed, gate.denied)


def empty_out_dir(run: Run) -> None:
    """Remove what is in OUT_DIR.

    Raises:
        OSError: Something cannot be removed.
    """
    folder = run.places["OUT_DIR"]
    os.chmod(folder, stat.S_IMODE(os.lstat(folder).st_mode) | stat.S_IRWXU)
    for name in os.listdir(folder):
        private_folder.remove(folder + b"/" + name)


def _write_recording(run: Run, header: dict[str, object], rest: bytes) -> None:
    path = run.subject.recording
    with open(path + b".new", "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(first_line(header).encode("utf-8", "backslashreplace") + rest)
    replace_file(path + b".new", path)


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
