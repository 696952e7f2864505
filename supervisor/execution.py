"""Executes one program: starts it, records it to its end, and sees to what it prints.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.supervisor import landlock, landlock_rules, light_observation
from buildperm.supervisor.jobserver import Jobserver
from buildperm.supervisor.launch import Launch
from buildperm.supervisor.metadata_guard import MetadataGuard
from buildperm.supervisor.network import unavailable
from buildperm.supervisor.script import StoppedError
from buildperm.tracer.recorder.frozen import FrozenProcess
from buildperm.tracer.recorder.rustc_temporaries import RustcTemporaries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from buildperm.supervisor.handed_over import HandedOver
    from buildperm.supervisor.resource_watch import ResourceWatch
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.session import Session, SessionPackage
    from buildperm.tracer.recorder.loop import Recorder
    from buildperm.tracer.recorder.run_end import StdoutLost, TooMuchPrinted
    from buildperm.tracer.recorder.writer import Writer

    class Output(Protocol):
        """Where what a program prints goes, and what reads it."""

        @property
        def stdout(self) -> int:
            """What the program gets as standard output."""

        @property
        def stderr(self) -> int:
            """What it gets as standard error."""

        @property
        def stop_cause(self) -> TooMuchPrinted | StdoutLost | None:
            """Why the run was stopped; None if it was not."""

        def start(self) -> None:
            """Start reading; the program has been forked."""

        def finish(self, timeout_s: float) -> bool:
            """Wait until all is read; False if it is not yet."""
else:
    import _signal

_CANNOT_ENFORCE = 23  # buildperm.errors.ExitCode, which is too heavy to import here.
_LOOK_UP_EVERY_S = 0.5
_LOADED = "the root needs the loader and the C library with which this machine links: docs/root.md"


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


class ProgramInputs:
    """What is executed, and with what."""

    __slots__ = ("arguments", "given", "variables")

    def __init__(
        self,
        arguments: Sequence[bytes],
        variables: Mapping[bytes, bytes],
        given: Sequence[int] = (),
    ) -> None:
        """Take what a program is started with.

        Args:
            arguments: With the name that the program knows itself by.
            variables: Its environment.
            given: Descriptors that it gets, under the same numbers; they are closed here.
        """
        self.arguments = arguments
        self.variables = variables
        self.given = given


def execute(
    run: Run,
    inputs: ProgramInputs,
    recorder: Recorder,
    watch: ResourceWatch,
    output: Output,
    has_to_end: Callable[[], bool],
) -> int:
    """Start the program and record it to its end; return its wait status.

    Args:
        run: What it may do.
        inputs: What it is started with.
        recorder: Records it.
        watch: Holds it to its limits.
        output: Takes what it prints.
        has_to_end: Tells whether a signal has asked for an end.

    Raises:
        StoppedError: It cannot be started or recorded.
    """
    server = Jobserver(run.environ)
    launch = _prepared(run, inputs, recorder, server)
    _attach(recorder, launch.fork(output.stdout, output.stderr), run.subject.program)
    for descriptor in inputs.given:
        os.close(descriptor)
    output.start()
    launch.release()
    watch.start()
    try:
        wait_status = recorder.run()
    finally:
        watch.end()
        tokens = recorder.tokens
        tokens.returned = server.put_back(bytes(tokens.held))
    # All that held the pipes have been reaped; whoever reads our output may take time.
    while not output.finish(_LOOK_UP_EVERY_S) and not has_to_end():
        pass
    failure = launch.failure()
    if failure:
        is_in_root = "root" in run.session and run.subject.consumer is None
        raise StoppedError(f"cannot start it: {failure}", _LOADED if is_in_root else "")
    if not recorder.has_begun and not has_to_end():
        raise StoppedError(
            f"the runtime `{run.session['runtime']}` did not come to start it",
            "run `buildperm` again, so that it looks anew at what this machine can do",
            _CANNOT_ENFORCE,
        )
    return wait_status


def take_over(
    run: Run,
    inputs: ProgramInputs,
    handed_over: HandedOver,
    recorder: Recorder,
    writer: Writer,
    watch: ResourceWatch,
    output: Output,
    has_to_end: Callable[[], bool],
) -> int:
    """Go on with a program that has been started already, to its end; return its wait status.

    Args:
        run: What it may do, and is held to.
        inputs: What it was started with.
        handed_over: Where it is, and what it has done.
        recorder: Records it from now on.
        writer: Where events go.
        watch: Holds it to its limits.
        output: Takes what it prints.
        has_to_end: Tells whether a signal has asked for an end.

    Raises:
        StoppedError: It cannot be recorded.
    """
    arguments = tuple(inputs.arguments)
    rights = run.rights(b"") if run.given is None else run.given
    recorder.brokers |= MetadataGuard(rights).brokers(run.session["calls"])
    recorder.met_file_limit = handed_over.met_file_limit
    if handed_over.has_ended:
        process = recorder.began(handed_over.pid, run.subject.program, arguments)
    else:
        taken = FrozenProcess(handed_over.pid, handed_over.place)
        try:
            process = recorder.take_over(
                taken, run.subject.program, arguments, has_moved=handed_over.has_moved
            )
        except OSError as error:
            raise _unrecorded(error) from error
    handed_over.record(process, recorder.environment, writer, inputs.variables)
    output.start()
    wait_status: int = handed_over.status
    if not handed_over.has_ended:
        watch.start()
        try:
            wait_status = recorder.run()
        finally:
            watch.end()
    while not output.finish(_LOOK_UP_EVERY_S) and not has_to_end():
        pass
    return wait_status


def _prepared(run: Run, inputs: ProgramInputs, recorder: Recorder, server: Jobserver) -> Launch:
    """Make the rules, and tell the recorder what it needs to know of them."""
    if server.pipe is not None:
        recorder.count_tokens(server.pipe)
    rights = run.rights(server.fifo)
    wrapper, mounts = run.wrapper(rights, inputs.variables)
    if mounts is not None:
        recorder.expect_wrapper(mounts.hides, mounts.is_written)
    elif wrapper is not None:
        recorder.expect_wrapper()
    elif run.starter:
        recorder.expect_starter(run.starter)
    looks = run.looks(mounts, inputs.variables)
    if looks is not None:
        recorder.observe_looks(looks)
    light = light_observation.prepared(run, rights)
    if light is not None:
        if light.listed is None:
            recorder.observe_lightly(light.opens)
        else:
            recorder.observe_lists(light.listed)
        if light.reads is not None:
            recorder.observe_folders(light.reads)
        run.light = light if light.is_light else None
    recorder.brokers |= MetadataGuard(rights).brokers(run.session["calls"])
    recorder.give_place(_temporaries(run, rights))
    may_list = landlock_rules.is_granted(rights, b"/", landlock.READ_DIR)
    recorder.root_folder.is_closed = not may_list
    recorder.give_folders(
        run.places["TMP"],
        lambda path: landlock_rules.is_granted(
            rights, path, landlock_rules.READ | landlock_rules.WRITE
        ),
        run.temporary,
        _beside(run),
        rights,
        run.places.values(),
    )
    return Launch(
        run.subject.program,
        inputs.arguments,
        inputs.variables,
        rights,
        run.filter if light is None else light.filter,
        run.abi,
        run.limits,
        [*server.kept, *inputs.given],
        wrapper,
        run.starter,
    )


def _beside(run: Run) -> tuple[bytes, bytes, Callable[..., bool]] | None:
    """Return what stands in the place of the folder of the profile, if anything does."""
    delivery = run.delivery
    if delivery is None:
        return None
    delivery.stage()
    return delivery.folder, delivery.staged, delivery.is_own


def _temporaries(run: Run, rights: Mapping[bytes, int]) -> RustcTemporaries:
    """Return where rustc makes its temporary folders, if it may not make them where it wants to."""
    found = (run.environ.get(b"RUSTC", b""), run.places["SYSROOT"] + b"/bin/rustc")
    programs = frozenset(os.path.realpath(path) for path in found if path.startswith(b"/"))
    return RustcTemporaries(
        programs,
        run.places["TMP"],
        lambda path: landlock_rules.is_granted(rights, path, landlock.MAKE_DIR),
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
        raise _unrecorded(error) from error


def _unrecorded(error: OSError) -> StoppedError:
    return StoppedError(
        f"cannot record: {error}",
        "allow ptrace: `--cap-add SYS_PTRACE` in a container, or kernel.yama.ptrace_scope "
        "at most 1",
        _CANNOT_ENFORCE,
    )
