"""What supervisors have in common, whatever they run: the recorded run, its end, and messages.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.printable import log_text
from buildperm.rules import limits
from buildperm.supervisor import environment, hardening, write_targets
from buildperm.supervisor.execution import execute, take_over
from buildperm.supervisor.resource_watch import ResourceWatch
from buildperm.supervisor.script import StoppedError
from buildperm.supervisor.talk import write_all
from buildperm.tracer.recorder.loop import Recorder
from buildperm.tracer.recorder.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from buildperm.supervisor.environment import WithheldVariables
    from buildperm.supervisor.execution import Output, ProgramInputs
    from buildperm.supervisor.handed_over import HandedOver
    from buildperm.supervisor.network import Network
    from buildperm.supervisor.run import Run
else:
    import _signal

INTERRUPTED = 130
"""What a supervisor exits with that has been told to end."""


class EndedRun:
    """A run that has ended, with what has watched it."""

    __slots__ = ("output", "recorder", "run", "wait_status", "watch", "writer")

    def __init__(
        self, run: Run, recorder: Recorder, writer: Writer, watch: ResourceWatch, output: Output
    ) -> None:
        self.run = run
        self.recorder = recorder
        self.writer = writer
        self.watch = watch
        self.output = output
        self.wait_status = 0  # wait(2)

    def is_unexplained(self) -> bool:
        """Tell whether the program failed by itself, and perhaps for want of what went unseen.

        That is what a compiler looked for and a sandbox wrapper does not show. It finds nothing
        there, as in a thousand other places where headers may be; all that is refused with an errno
        of its own is always seen.
        """
        light, recorder = self.run.light, self.recorder
        return (
            self.wait_status != 0
            and light is not None
            and light.opens.is_used
            and self.run.session.get("mounts", False)
            and not (recorder.voided or recorder.stop_cause or recorder.met_file_limit)
            and not (self.watch.stop_cause or self.output.stop_cause)
        )


class TreeSupervisor:
    """The run of one process tree; `run` cleans up, however it ends."""

    def __init__(self) -> None:
        self.who = ""  # Whom messages are about; empty as long as that is not known.
        self._recorder: Recorder | None = None
        self._is_interrupted = False

    def interrupt(self, _number: int, _frame: object) -> None:
        """Note a signal that asks for an end, and kill the tree; a signal handler."""
        self._is_interrupted = True
        self.stop()

    def stop(self) -> None:
        """Kill the tree, if there is one."""
        if self._recorder is not None:
            self._recorder.stop()

    def run(self) -> int:
        """Do everything, and return what to exit with."""
        try:
            return self.supervise()
        except StoppedError as stopped:
            self.print_message(str(stopped), stopped.hint)
            return stopped.exit_status
        except OSError as error:
            self.print_message(f"the supervisor failed: {error}")
            return 1

    def supervise(self) -> int:
        """Prepare, run and judge; return what to exit with.

        Raises:
            StoppedError: It cannot go on.
            OSError: Something failed.
        """
        raise NotImplementedError

    def has_to_end(self) -> bool:
        """Tell whether a signal has asked for an end."""
        return self._is_interrupted

    def record(
        self,
        run: Run,
        inputs: ProgramInputs,
        kept: WithheldVariables,
        network: Network,
        output: Output,
        folders: Sequence[bytes],
        is_idle: Callable[[Recorder], bool] = lambda _: False,
        writer: Writer | None = None,
        handed_over: HandedOver | None = None,
    ) -> EndedRun:
        """Execute the program of `run` and record it to its end.

        Args:
            run: What it may do.
            inputs: What it is started with.
            kept: What was kept from its environment.
            network: Where it may connect to; it ends with the run.
            output: Takes what it prints.
            folders: What lies in them counts as output.
            is_idle: Tells whether the time since it was asked last does not count.
            writer: Where events go; None for a new recording.
            handed_over: What has been started already; None for nothing.

        Raises:
            StoppedError: It cannot be started or recorded.
            OSError: Something failed.
        """
        writer = writer or Writer()
        recorder = Recorder(writer, run.session["calls"], run.session.get("inner_loop", b""))
        if run.asked is not None:
            recorder.collect(run.asked)
        recorder.own_proc.is_denied = run.is_denied_read
        recorder.environment.withheld = frozenset(kept.names)
        recorder.environment.secrets = kept.secrets
        if network.port:
            recorder.environment.provided = frozenset(environment.for_proxy(network.port))
        network.serve(recorder)
        recorder.process_limit = limits.value(run.limits, "processes")
        watch = ResourceWatch(
            run.limits,
            folders,
            lambda: recorder.live,
            recorder.stop,
            is_idle=lambda: is_idle(recorder),
            spent_s=0.0 if handed_over is None else handed_over.spent_s,
        )
        self._recorder = recorder
        if self.has_to_end():  # The signal came before there was a tree to kill.
            recorder.stop()
        ended = EndedRun(run, recorder, writer, watch, output)
        made = write_targets.make_missing(
            run.package["write"], run.places, run.filled, is_in_root=run.is_in_root
        )
        try:
            if handed_over is None:
                end = execute(run, inputs, recorder, watch, ended.output, self.has_to_end)
            else:
                end = take_over(
                    run, inputs, handed_over, recorder, writer, watch, output, self.has_to_end
                )
            ended.wait_status = end
        finally:
            network.end(writer)
            # A grant of a file is one: no folder can be made of that name.
            writer.refuse_folders({path for path in made if os.path.isfile(path)})
            write_targets.remove_unused(made)
        return ended

    def print_message(self, message: str, hint: str = "") -> None:
        """Say something on standard error."""
        who = f"{self.who}: " if self.who else ""
        text = f"buildperm: {who}{message}\n"
        if hint:
            text += f"  hint: {hint}\n"
        write_all(log_text(text).encode())


def run_with(
    supervisor: TreeSupervisor, parent: int, reply: Callable[[int], None] | None = None
) -> NoReturn:
    """Run `supervisor` in this process, which ends with its parent, and exit as it says.

    Args:
        supervisor: Of whatever is to be run.
        parent: The process of which this one is a child.
        reply: Called with what this process then exits with.
    """
    for signal in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if _signal.getsignal(signal) is not _signal.SIG_IGN:  # As under nohup(1).
            _signal.signal(signal, supervisor.interrupt)
    # If Cargo is killed with SIGKILL, only the kernel can tell.
    if not hardening.die_with_parent(parent, _signal.SIGTERM):
        os._exit(INTERRUPTED)
    # Nothing is left that needs the interpreter's own exit.
    status = supervisor.run()
    if reply is not None:
        reply(status)
    os._exit(status)
