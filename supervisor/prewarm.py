"""Does the first steps of a run once in the fork server, so that later runs do them faster.

Python specialises code as it runs, and keeps compiled patterns; workers inherit both. The results
are thrown away: each run asks the machine anew. What only some scripts need is imported, too.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.supervisor import (
    environment,
    landlock,
    launch,
    library_names,  # noqa: F401  # For the workers: see the docstring.
    light_observation,
    linker_inputs,  # noqa: F401
    macro_subject,
    metadata_change,  # noqa: F401
    session,
)
from buildperm.supervisor.macro_request import FOLDER, BadRequestError, MacroRequest
from buildperm.supervisor.metadata_guard import MetadataGuard
from buildperm.supervisor.run import Run
from buildperm.supervisor.script import StoppedError
from buildperm.supervisor.subject import Subject
from buildperm.tracer.recorder import light_opens
from buildperm.tracer.recorder.loop import Recorder
from buildperm.tracer.recorder.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.supervisor.session import Session, SessionPackage

_ROUNDS = 3  # The interpreter specialises only code that runs repeatedly.


def prewarm(path: bytes, folder: bytes) -> None:
    """Do what a supervisor does before it starts something, without starting anything.

    Args:
        path: The session's file.
        folder: Stands for OUT_DIR and for the private folder.
    """
    environ = dict(os.environb)
    try:
        loaded = session.preload(path)
        if "root" in loaded:
            from buildperm.supervisor.system_root import load_all  # Off unless it is asked for.

            load_all()  # Once, not in each fork.
        for manifest_dir, package in _first_script(loaded):
            places = {"MANIFEST_DIR": manifest_dir, "OUT_DIR": folder, "TMP": folder}
            subject = Subject(folder, b"/")
            for _ in range(_ROUNDS):
                _prepare(loaded, package, loaded["places"] | places, environ, subject)
                environment.for_rerun(environ)
        for manifest_dir in [*loaded.get("macros", {})][:1]:
            for consumer in [*loaded.get("members", ())][:1]:
                request = _macro_request(path, manifest_dir, consumer, loaded, environ)
                for _ in range(_ROUNDS):
                    _prepare_macros(loaded, MacroRequest(request), environ)
    except (OSError, ValueError, LookupError, BadRequestError, StoppedError):
        return  # The first run meets the same problem, and reports it.


def warm_up(path: bytes, folder: bytes) -> None:
    """Do what `prewarm` did once more, in a fork: what it writes to is copied now, and not later.

    Args:
        path: The session's file.
        folder: Stands for OUT_DIR and for the private folder.
    """
    try:
        loaded = session.load(path)
        for manifest_dir, package in _first_script(loaded):
            places = {"MANIFEST_DIR": manifest_dir, "OUT_DIR": folder, "TMP": folder}
            environ = dict(os.environb)
            environment.for_rerun(environ)
            _prepare(loaded, package, loaded["places"] | places, environ, Subject(folder, b"/"))
    except (OSError, ValueError, LookupError, StoppedError):
        return  # The first run meets the same problem, and reports it.


def _first_script(loaded: Session) -> list[tuple[bytes, SessionPackage]]:
    """Return one package with a script; none where scripts have a root.

    What is remembered of the system's folders is not what they find there.
    """
    return [] if "root" in loaded else [*loaded["packages"].items()][:1]


def _prepare(
    loaded: Session,
    package: SessionPackage,
    places: dict[str, bytes],
    environ: dict[bytes, bytes],
    subject: Subject,
) -> None:
    abi = loaded["landlock_abi"]
    run = Run(loaded, package, places, environ, abi, subject)
    rights = run.rights(b"")
    variables, _ = environment.for_script(environ, loaded, package, places, learning=run.learning)
    if run.wrapper(rights, variables)[0] is not None and not run.starter:
        launch.code_within()
    if light_observation.prepared(run, rights) is not None:
        light_opens.look_at_own_library(looks=bool(loaded.get("looks")), lists="cache" in loaded)
    Recorder(Writer(), loaded["calls"], loaded.get("inner_loop", b""))
    MetadataGuard(rights).brokers(loaded["calls"])
    ruleset = landlock.ruleset(abi)
    for granted, allowed in rights.items():
        landlock.allow(ruleset, granted, allowed, abi)
    os.close(ruleset)


def _prepare_macros(loaded: Session, request: MacroRequest, environ: dict[bytes, bytes]) -> None:
    package = macro_subject.find_macros(loaded, request)
    places = macro_subject.find_places(loaded, request, b"0")
    subject = macro_subject.find_subject(loaded, request, places)
    environment.for_macros(environ, loaded, package, places, environ, learning=False)
    _prepare(loaded, package, places, environ, subject)


def _macro_request(
    path: bytes, macros: bytes, consumer: bytes, loaded: Session, environ: dict[bytes, bytes]
) -> bytes:
    entries = {
        b"macro": b"1",
        b"session": path,
        b"library": b"/",
        b"manifest": macros,
        b"consumer": consumer,
        b"out-dir": b"",
        b"cwd": b"/",
        b"folder": loaded["places"]["TARGET_DIR"] + FOLDER + b"unit/library",
    }
    lines = [b"%s %s" % entry for entry in entries.items()]
    lines += [b"env %s=%s" % variable for variable in environ.items()]
    return b"".join(line + b"\0" for line in lines)
