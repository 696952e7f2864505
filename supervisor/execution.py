"""Executes one build script: starts it, records it to its end, and collects what it printed.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules import limits
from buildperm.supervisor import landlock
from buildperm.supervisor.jobserver import Jobserver
from buildperm.supervisor.launch import Launch
from buildperm.supervisor.metadata_guard import MetadataGuard
from buildperm.supervisor.network import unavailable
from buildperm.supervisor.script import StoppedError
from buildperm.supervisor.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Mapping

    from buildperm.supervisor.resource_watch import ResourceWatch
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.session import Session, SessionPackage
    from buildperm.tracer.recorder.loop import Recorder
else:
    import _signal

_CANNOT_ENFORCE = 23  # buildperm.errors.ExitCode, which is too heavy to import here.
_LOOK_UP_EVERY_S = 0.5


def checked_abi(session: Session, package: SessionPackage) -> int:
    """Return the Landlock ABI to use.

    Raises:
        StoppedError: The machine cannot hold the run to its grants.
    """
    promised = session["landlock_abi"]
    abi = landlock.abi(promised)
    if abi < max(1, promised):
        raise StoppedError(
            f"Landlock ABI {promised} was there when the build began, now it is {abi or 'missing'}",
            "run `buildperm` again, so that it looks anew at what this machine can do",
            _CANNOT_ENFORCE,
        )
    if package["net"]:
        reason = unavailable()
        if reason:
            raise StoppedError(
                f"it was granted `net` for {', '.join(package['net'])}, and it cannot be held to "
                f"that here: {reason}",
                "in a container, allow the system call: `--cap-add SYS_PTRACE`",
                _CANNOT_ENFORCE,
            )
    return abi


def execute(
    run: Run,
    program: bytes,
    arguments: list[bytes],
    variables: Mapping[bytes, bytes],
    recorder: Recorder,
    watch: ResourceWatch,
    has_to_end: Callable[[], bool],
) -> tuple[int, Streams]:
    """Start the script and record it to its end; return its wait status and its output.

    Args:
        run: What it may do.
        program: The real build script.
        arguments: With the name that the script knows itself by.
        variables: Its environment.
        recorder: Records it.
        watch: Holds it to its limits.
        has_to_end: Tells whether a signal has asked for an end.

    Raises:
        StoppedError: It cannot be started or recorded.
    """
    server = Jobserver(run.environ)
    launch = _prepared(run, program, arguments, variables, recorder, server)
    streams = Streams(
        run.places["TMP"],
        limits.value(run.limits, "stdout_bytes"),
        limits.value(run.limits, "stderr_bytes"),
        recorder.stop,
    )
    _attach(recorder, launch.fork(streams.stdout, streams.stderr), program)
    streams.start()
    launch.release()
    watch.start()
    try:
        wait_status = recorder.run()
    finally:
        watch.end()
        tokens = recorder.tokens
        tokens.returned = server.put_back(bytes(tokens.held))
    # All that held the pipes have been reaped; whoever reads our output may take time.
    while not streams.finish(_LOOK_UP_EVERY_S) and not has_to_end():
        pass
    failure = launch.failure()
    if failure:
        raise StoppedError(f"cannot start it: {failure}")
    if not recorder.has_begun and not has_to_end():
        raise StoppedError(
            f"the runtime `{run.session['runtime']}` did not come to start it",
            "run `buildperm` again, so that it looks anew at what this machine can do",
            _CANNOT_ENFORCE,
        )
    return wait_status, streams


def _prepared(
    run: Run,
    program: bytes,
    arguments: list[bytes],
    variables: Mapping[bytes, bytes],
    recorder: Recorder,
    server: Jobserver,
) -> Launch:
    """Make the rules, and tell the recorder what it needs to know of them."""
    if server.pipe is not None:
        recorder.count_tokens(server.pipe)
    rights = run.rights(program, server.fifo)
    wrapper, mounts = run.wrapper(rights, variables)
    if mounts is not None:
        recorder.expect_wrapper(mounts.hides, mounts.is_written)
    elif wrapper is not None:
        recorder.expect_wrapper()
    recorder.brokers |= MetadataGuard(rights).brokers(run.session["calls"])
    return Launch(
        program,
        arguments,
        variables,
        rights,
        run.session["filter"],
        run.abi,
        run.limits,
        server.kept,
        wrapper,
    )


def _attach(recorder: Recorder, pid: int, program: bytes) -> None:
    """Begin to record the child `pid`, which waits for this.

    Raises:
        StoppedError: It cannot be traced; it is killed.
    """
    try:
        recorder.attach(pid, program)
    except OSError as error:
        os.kill(pid, _signal.SIGKILL)
        raise StoppedError(
            f"cannot record: {error}",
            "allow ptrace: `--cap-add SYS_PTRACE` in a container, or kernel.yama.ptrace_scope "
            "at most 1",
            _CANNOT_ENFORCE,
        ) from error
