"""One run of one build script from the stub to Cargo: prepare, confine, record, judge, pass on.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.printable import disarmed
from buildperm.rules import baseline, limits
from buildperm.supervisor import dependency_sources, environment, private_folder, script
from buildperm.supervisor.directive_gate import DirectiveGate
from buildperm.supervisor.execution import ProgramInputs, checked_abi
from buildperm.supervisor.network import Network
from buildperm.supervisor.run import Run
from buildperm.supervisor.run_notices import RunNotices
from buildperm.supervisor.script import StoppedError
from buildperm.supervisor.streams import Streams
from buildperm.supervisor.subject import Subject
from buildperm.supervisor.talk import write_all
from buildperm.supervisor.tree_supervision import INTERRUPTED, TreeSupervisor, run_with
from buildperm.supervisor.verdict import (
    REVIEW_LATER,
    hint_of,
    kept_from_cargo,
    of_script,
    refusals,
)
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder import ptrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from buildperm.supervisor.cached_run import CachedRun
    from buildperm.supervisor.environment import WithheldVariables
    from buildperm.supervisor.executor_run import ExecutorRun
    from buildperm.supervisor.module_run import ModuleRun
    from buildperm.supervisor.question import LiveQuestion
    from buildperm.supervisor.session import Session, SessionPackage
    from buildperm.supervisor.tree_supervision import EndedRun
    from buildperm.supervisor.verdict import RunVerdict
    from buildperm.tracer.recorder.writer import Writer


def main(arguments: list[str], session: bytes = b"") -> NoReturn:
    """Supervise the build script whose stub is `arguments[0]`, and exit as it did.

    Args:
        arguments: The stub as Cargo called it, and what it passed to it.
        session: The session's file, where no variable is to say which it is.
    """
    # The stub's parent is Cargo. It may have ended since, and this process may have another parent.
    told = os.environb.get(b"BUILDPERM_PARENT", b"")
    parent = int(told) if told.isdigit() else os.getppid()
    environ = environment.as_given(os.environb)
    if session:  # Whatever Cargo was told to set, this one counts, and is enforced.
        environ.pop(b"BUILDPERM_SESSION", None)
        environ[b"BUILDPERM_FALLBACK"] = session
    supervise([os.fsencode(argument) for argument in arguments], environ, parent)


def supervise(arguments: list[bytes], environ: dict[bytes, bytes], parent: int) -> NoReturn:
    """Supervise the build script whose stub is `arguments[0]`, and exit as it did.

    Args:
        arguments: The stub as Cargo called it, and what it passed to it.
        environ: What Cargo gave.
        parent: The process of which this one is a child, and with which it ends.
    """
    run_with(ScriptSupervisor(arguments, environ), parent)


_AGAIN = (
    "it failed, and what compilers read was not observed; it runs once more with everything "
    "observed, to say why"
)


class _RunEnd:
    """What one run of the script has left."""

    __slots__ = ("ended", "kept", "network", "streams")

    def __init__(
        self, ended: EndedRun, streams: Streams, network: Network, kept: WithheldVariables
    ) -> None:
        self.ended = ended
        self.streams = streams
        self.network = network
        self.kept = kept  # What was kept from its environment.


class _JudgedRun:
    """One run that was judged and recorded, of which Cargo has seen nothing yet."""

    __slots__ = ("is_refused", "network", "passed", "refused", "verdict")

    def __init__(
        self,
        verdict: RunVerdict,
        passed: bytes,
        refused: str,
        network: Network,
        *,
        is_refused: bool,
    ) -> None:
        self.verdict = verdict
        self.passed = passed  # What Cargo is to see of what it printed.
        self.refused = refused  # What it was refused, in a sentence; mostly empty.
        self.network = network
        self.is_refused = is_refused  # That, or a variable or a directive.

    def is_answerable(self, run: Run) -> bool:
        """Tell whether a person may be asked: nothing speaks against it but what was refused.

        A script that has tried to read a key, or has left what it must not, gets no offer, nor does
        one of a version that is too young.
        """
        verdict = self.verdict
        is_fair = verdict.is_answerable and not verdict.voided and not run.package.get("young")
        return self.is_refused and is_fair


class ScriptSupervisor(TreeSupervisor):
    """The run of one script."""

    def __init__(
        self, arguments: list[bytes], environ: dict[bytes, bytes], *, keeps_scratch: bool = False
    ) -> None:
        """Take what is to be run.

        Args:
            arguments: The stub's path with what Cargo passed to it.
            environ: What it gave.
            keeps_scratch: Leave the scratch folder if nothing is in it: to remove it takes long,
                and the next run would make it again.
        """
        super().__init__()
        self._arguments = arguments
        self._environ = environ
        self._keeps_scratch = keeps_scratch
        self._cached: CachedRun | ExecutorRun | None = None
        self._module: ModuleRun | None = None
        self.is_in_root = False  # This process, from then on.

    def supervise(self) -> int:
        """Prepare, run and judge; return what to exit with."""
        if not self._arguments:
            raise StoppedError("no build script is named", "start it through Cargo")
        program = script.real_program(os.path.abspath(self._arguments[0]))
        session = script.load_session(self._environ)
        package, manifest_dir = script.find_package(session, self._environ)
        self.who = f"build script of {package['name']} {package['version']}"
        progress = RunNotices(session["progress"], package)
        progress.started()
        status, recording = 1, b""
        try:
            if "root" in session:
                from buildperm.supervisor import system_root  # Off unless it is asked for.

                # A session of an earlier command: nobody has looked at the root since.
                is_earlier = not self._environ.get(b"BUILDPERM_SESSION")
                system_root.enter(session, package, is_doubtful=is_earlier)
                self.is_in_root = True
                session = system_root.seen(session)
            status, recording = self._prepared(session, package, manifest_dir, program)
            if self.is_in_root:
                system_root.check_unchanged(session)
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
        if "cache" in session:
            from buildperm.supervisor import caller_traces  # Off unless it is asked for.

            chosen = [
                *session["cache"].get("chosen", ()),
                *package["env"],
                *package["deny"].get("env", []),
            ]
            self._environ = caller_traces.left_out(self._environ, os.getcwdb(), chosen)
        run = self._run_of(session, package, manifest_dir, program)
        places = run.places
        try:
            context: script.ScriptContext = {
                "env": environment.for_rerun(self._environ),
                "cwd": os.getcwdb(),
                "argv": self._arguments,
                "out_dir": places["OUT_DIR"],
                "program": program,
            }
            script.write_context(places, context)
            if "executor" in session:
                from buildperm.supervisor.executor_run import ExecutorRun  # Only there.

                self._cached = ExecutorRun(run)
                return self._supervise(run)
            if "cache" not in session:
                return self._supervise(run)
            from buildperm.supervisor.cached_run import CachedRun  # Off unless it is asked for.

            self._cached = cached = CachedRun(run, self._arguments[1:])
            try:
                return self._restored(run, cached) or self._supervise(run)
            finally:
                cached.note_outcome()
        finally:
            scratch = places["TMP"]
            if not (self._keeps_scratch and private_folder.is_new(scratch, script.PRIVATE)):
                private_folder.remove(scratch)

    def _restored(self, run: Run, cached: CachedRun) -> tuple[int, bytes] | None:
        """Put back what the script would do, and return as `_supervise`; None if it has to run."""
        made = cached.restore()
        if made is None and "remote" in run.session:
            from buildperm.supervisor.remote_run import RemoteRun  # Off unless it is asked for.

            made = RemoteRun(run, cached, self._arguments).put_back(self.has_to_end)
        if made is None and "wasi" in run.session:
            from buildperm.supervisor.module_run import ModuleRun  # Likewise.

            self._module = ModuleRun(run, cached, self._arguments)
            made = self._module.put_back(self.has_to_end)
        if made is None:
            return None
        if made.denied:
            self.print_message(kept_from_cargo(made.denied))
        if self.has_to_end() or not write_all(made.passed, 1):
            return INTERRUPTED, run.subject.recording
        return 0, run.subject.recording

    def _run_of(
        self, session: Session, package: SessionPackage, manifest_dir: bytes, program: bytes
    ) -> Run:
        abi = checked_abi(session, package)
        places = script.find_places(session, self._environ, manifest_dir)
        folder = script.unit(places["OUT_DIR"])
        script.make_private(places)
        subject = Subject(
            folder + b"/recording.jsonl",
            program,
            baseline.dependency_outputs(self._environ, places),
            sources=dependency_sources.handed_over(self._environ, session["packages"]),
            manifests=baseline.searched_outputs(self._environ, places),
        )
        return Run(session, package, places, self._environ, abi, subject)

    def _supervise(self, run: Run) -> tuple[int, bytes]:
        """Run, record and judge; return what to exit with, and the path of the recording.

        The path is empty where the run was interrupted. Where a person may be asked, the script
        runs anew after each answer, from where the first run began, and Cargo sees the last one.
        """
        question = None
        # A root has nothing that could ask: what would be started there is the root's.
        if "ask" in run.session and "root" not in run.session:
            from buildperm.supervisor import question as asking  # Off unless somebody wants it.

            question = asking.LiveQuestion(self.has_to_end)
        try:
            while True:
                if question is not None:
                    question.prepare(run)
                judged = self._judge(run, self._explained(run))
                again = None
                if question is not None and judged is not None and judged.is_answerable(run):
                    again = self._answered(run, question)
                if again is None:
                    return self._hand_over(run, judged)
                run = again
        finally:
            if question is not None:
                question.end()

    def _explained(self, run: Run) -> _RunEnd:
        """Run the script; where it fails and nothing explains that, run it once more."""
        made = self._run(run)
        if not self.has_to_end() and made.ended.is_unexplained():
            self.print_message(_AGAIN)
            run.observes_all = True
            script.make_private(run.places)
            ptrace.make_dumpable()
            made = self._run(run, made.ended.writer)
        return made

    def _answered(self, run: Run, question: LiveQuestion) -> Run | None:
        """Have a person asked; return the run that the answer allows, if it is another one."""
        session = question.ask(run, os.getppid())
        if session is None:
            return None
        package, manifest_dir = script.find_package(session, self._environ)
        if not question.begin_again(package, run.package):
            return None
        self.print_message("it runs once more, as was just decided")
        ptrace.make_dumpable()
        return self._run_of(session, package, manifest_dir, run.subject.program)

    def _run(self, run: Run, writer: Writer | None = None) -> _RunEnd:
        """Run the script once, and record it; `writer` has a recording that is to be continued."""
        network = Network(run.package, run.session["calls"], learning=run.learning)
        variables, kept = environment.for_script(
            run.environ,
            run.session,
            run.package,
            run.places,
            learning=run.learning,
            proxy_port=network.port,
        )
        streams = Streams(
            run.places["TMP"],
            limits.value(run.limits, "stdout_bytes"),
            limits.value(run.limits, "stderr_bytes"),
            self.stop,
            keeps_talk=run.asked is not None,
        )
        if self._cached is not None:
            variables = self._cached.variables(variables)
            self._cached.begin()
        if self._module is not None:
            self._module.begin(variables)
        try:
            ended = self.record(
                run,
                ProgramInputs(self._arguments, variables),
                kept,
                network,
                streams,
                (run.places["OUT_DIR"], run.places["TMP"]),
                writer=writer,
            )
        finally:
            if self._cached is not None:
                self._cached.end()
        return _RunEnd(ended, streams, network, kept)

    def _judge(self, run: Run, made: _RunEnd) -> _JudgedRun | None:
        """Judge what was run last, and save its recording; None where it was interrupted."""
        if self.has_to_end():
            return None
        ended, network = made.ended, made.network
        gate = DirectiveGate(
            run.package, run.places, run.subject.handed_over, ended.writer.directive
        )
        gate.loaded = frozenset(run.session.get("loaded", ()))
        gate.secrets = frozenset(map(encode, made.kept.secrets))
        # Judged as a whole before Cargo sees the first byte.
        passed = bytearray()
        for line in gate.pass_on(made.streams.lines()):
            passed += line
            if self.has_to_end():
                return None
        verdict = of_script(ended, gate)
        ended.writer.save(run.subject.recording, run.header(), verdict.end(ended.recorder))
        if self._cached is not None:
            self._cached.keep(ended, made.streams, verdict, bool(network.remarks))
        if self._module is not None:
            self._module.note(ended, made.streams, verdict, bool(network.remarks))
        is_standing = run.session.get("standing", False)
        is_told = verdict.exit_status or "ask" in run.session
        refused = refusals(ended) if is_standing and is_told else ""
        is_refused = bool(refused or verdict.failure or any(ended.writer.withheld_names()))
        return _JudgedRun(verdict, bytes(passed), refused, network, is_refused=is_refused)

    def _hand_over(self, run: Run, judged: _JudgedRun | None) -> tuple[int, bytes]:
        """Say what is wrong with a run, and pass on what it printed; return as `_supervise`."""
        if judged is None:
            return INTERRUPTED, b""
        recording, verdict, passed = run.subject.recording, judged.verdict, judged.passed
        if self.has_to_end():
            return INTERRUPTED, recording
        for remark in (*verdict.notes, *judged.network.remarks):
            self.print_message(remark)
        if verdict.failure:
            self.print_message(verdict.failure, hint_of(verdict, run))
        is_told = verdict.failure.startswith(f"{judged.refused}, ")
        if judged.refused and verdict.exit_status and not is_told:
            self.print_message(judged.refused, REVIEW_LATER)
        # If the script failed, Cargo only shows what it printed.
        if not verdict.failure and not write_all(
            _without_commands(passed) if verdict.exit_status else passed, 1
        ):
            return INTERRUPTED, recording  # Cargo is gone.
        return verdict.exit_status, recording


def _without_commands(text: bytes) -> bytes:
    return b"\n".join(disarmed(line) for line in text.split(b"\n"))
