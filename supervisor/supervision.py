"""One run of one build script from the stub to Cargo: prepare, confine, record, judge, pass on.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.printable import disarmed, log_text
from buildperm.rules import limits
from buildperm.supervisor import (
    environment,
    hardening,
    private_folder,
    script,
    write_targets,
)
from buildperm.supervisor.directive_gate import DirectiveGate
from buildperm.supervisor.execution import checked_abi, execute
from buildperm.supervisor.network import Network
from buildperm.supervisor.resource_watch import ResourceWatch
from buildperm.supervisor.run import Run
from buildperm.supervisor.run_notices import RunNotices
from buildperm.supervisor.script import StoppedError
from buildperm.supervisor.streams import write_all
from buildperm.supervisor.verdict import judge
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.loop import Recorder
from buildperm.tracer.recorder.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import NoReturn

    from buildperm.supervisor.session import Session, SessionPackage
else:
    import _signal

_INTERRUPTED = 130


def main(arguments: list[str]) -> NoReturn:
    """Supervise the build script whose stub is `arguments[0]`, and exit as it did."""
    # The stub's parent is Cargo. It may have ended since, and this process may have another parent.
    told = os.environb.get(b"BUILDPERM_PARENT", b"")
    parent = int(told) if told.isdigit() else os.getppid()
    environ = environment.as_given(os.environb)
    supervise([os.fsencode(argument) for argument in arguments], environ, parent)


def supervise(arguments: list[bytes], environ: dict[bytes, bytes], parent: int) -> NoReturn:
    """Supervise the build script whose stub is `arguments[0]`, and exit as it did.

    Args:
        arguments: The stub as Cargo called it, and what it passed to it.
        environ: What Cargo gave.
        parent: The process of which this one is a child, and with which it ends.
    """
    supervisor = Supervisor(arguments, environ)
    for signal in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if _signal.getsignal(signal) is not _signal.SIG_IGN:  # As under nohup(1).
            _signal.signal(signal, supervisor.interrupt)
    # If Cargo is killed with SIGKILL, only the kernel can tell.
    if not hardening.die_with_parent(parent, _signal.SIGTERM):
        os._exit(_INTERRUPTED)
    # Nothing is left that needs the interpreter's own exit.
    os._exit(supervisor.run())


class Supervisor:
    """The run of one script; `run` cleans up, however it ends."""

    def __init__(self, arguments: list[bytes], environ: dict[bytes, bytes]) -> None:
        """Take the stub's path with what Cargo passed to it, and the environment that it gave."""
        self._arguments = arguments
        self._environ = environ
        self._package: SessionPackage | None = None
        self._recorder: Recorder | None = None
        self._is_interrupted = False

    def interrupt(self, _number: int, _frame: object) -> None:
        """Note a signal that asks for an end, and kill the tree; a signal handler."""
        self._is_interrupted = True
        if self._recorder is not None:
            self._recorder.stop()

    def run(self) -> int:
        """Do everything, and return what to exit with."""
        try:
            return self._run()
        except StoppedError as stopped:
            self._print_message(str(stopped), stopped.hint)
            return stopped.exit_status
        except OSError as error:
            self._print_message(f"the supervisor failed: {error}")
            return 1

    def _run(self) -> int:
        if not self._arguments:
            raise StoppedError("no build script is named", "start it through Cargo")
        program = script.real_program(os.path.abspath(self._arguments[0]))
        session = script.load_session(self._environ)
        package, manifest_dir = script.find_package(session, self._environ)
        self._package = package
        progress = RunNotices(session["progress"], package)
        progress.started()
        status, recording = 1, b""
        try:
            status, recording = self._prepared(session, package, manifest_dir, program)
        except StoppedError as stopped:
            status = stopped.exit_status
            raise
        finally:
            progress.ended(status, encode(recording))
        return status

    def _prepared(
        self, session: Session, package: SessionPackage, manifest_dir: bytes, program: bytes
    ) -> tuple[int, bytes]:
        """Prepare the run and do it; return what to exit with, and the path of its recording."""
        abi = checked_abi(session, package)
        places = script.find_places(session, self._environ, manifest_dir)
        script.make_private(places)
        run = Run(session, package, places, self._environ, abi)
        try:
            context: script.ScriptContext = {
                "env": environment.for_rerun(self._environ),
                "cwd": os.getcwdb(),
                "argv": self._arguments,
                "out_dir": places["OUT_DIR"],
                "program": program,
            }
            script.write_context(places, context)
            return self._supervise(run, program)
        finally:
            private_folder.remove(places["TMP"])

    def _supervise(self, run: Run, program: bytes) -> tuple[int, bytes]:
        """Run, record and judge; return what to exit with, and the path of the recording.

        The path is empty where the run was interrupted.
        """
        network = Network(run.package, run.session["calls"], learning=run.learning)
        variables, kept = environment.for_script(
            run.environ,
            run.session,
            run.package,
            run.places,
            learning=run.learning,
            proxy_port=network.port,
        )
        writer = Writer()
        recorder = Recorder(writer, run.session["calls"])
        recorder.environment.withheld = frozenset(kept.names)
        recorder.environment.secrets = kept.secrets
        if network.port:
            recorder.environment.provided = frozenset(environment.for_proxy(network.port))
        network.serve(recorder)
        recorder.process_limit = limits.value(run.limits, "processes")
        watch = ResourceWatch(
            run.limits,
            (run.places["OUT_DIR"], run.places["TMP"]),
            lambda: recorder.live,
            recorder.stop,
        )
        self._recorder = recorder
        if self._has_to_end():  # The signal came before there was a tree to kill.
            recorder.stop()
        made = write_targets.make_missing(run.package["write"], run.places, run.filled)
        try:
            wait_status, streams = execute(
                run, program, self._arguments, variables, recorder, watch, self._has_to_end
            )
        finally:
            network.end(writer)
            write_targets.remove_unused(made)
        if self._has_to_end():
            return _INTERRUPTED, b""
        gate = DirectiveGate(run.package, run.places, run.handed_over, writer.directive)
        gate.loaded = frozenset(run.session.get("loaded", ()))
        gate.secrets = frozenset(map(encode, kept.secrets))
        # Judged as a whole before Cargo sees the first byte.
        passed = bytearray()
        for line in gate.pass_on(streams.lines()):
            passed += line
            if self._has_to_end():
                return _INTERRUPTED, b""
        verdict = judge(run, wait_status, recorder, writer, streams, gate, watch)
        writer.save(run.recording, run.header(), verdict.end(recorder))
        if self._has_to_end():
            return _INTERRUPTED, run.recording
        for remark in (*verdict.notes, *network.remarks):
            self._print_message(remark)
        if verdict.failure:
            self._print_message(verdict.failure, verdict.hint)
        # If the script failed, Cargo only shows what it printed.
        elif not write_all(
            _without_commands(bytes(passed)) if verdict.exit_status else bytes(passed), 1
        ):
            return _INTERRUPTED, run.recording  # Cargo is gone.
        return verdict.exit_status, run.recording

    def _has_to_end(self) -> bool:
        return self._is_interrupted

    def _print_message(self, message: str, hint: str = "") -> None:
        who = ""
        if self._package is not None:
            who = f"build script of {self._package['name']} {self._package['version']}: "
        text = f"buildperm: {who}{message}\n"
        if hint:
            text += f"  hint: {hint}\n"
        write_all(log_text(text).encode())


def _without_commands(text: bytes) -> bytes:
    return b"\n".join(disarmed(line) for line in text.split(b"\n"))
