"""One run of the macros of one library for one call of a compiler, which speaks with their host.

    compiler ◀── bridge ──▶ host, confined and recorded as build scripts are
                              └─ dlopen ─▶ library

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import struct

from buildperm.rules import limits
from buildperm.supervisor import environment, idleness, macro_subject, private_folder, script
from buildperm.supervisor.execution import ProgramInputs, checked_abi
from buildperm.supervisor.macro_request import BRIDGE
from buildperm.supervisor.macro_streams import MacroStreams
from buildperm.supervisor.network import Network
from buildperm.supervisor.run import Run
from buildperm.supervisor.tree_supervision import INTERRUPTED, TreeSupervisor, run_with
from buildperm.supervisor.verdict import hint_of, of_macros, of_quiet_macros
from buildperm.tracer.recorder import elf
from buildperm.tracer.recorder.environment_reads import EnvironmentReads
from buildperm.tracer.recorder.process_tree import ProcessTree
from buildperm.tracer.recorder.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from buildperm.supervisor.handed_over import HandedOver
    from buildperm.supervisor.macro_request import MacroRequest
    from buildperm.supervisor.tree_supervision import EndedRun


def supervise(
    request: MacroRequest,
    outside: Mapping[bytes, bytes] | None,
    parent: int,
    *,
    scratch: bytes = b"",
    reply: Callable[[int], None] | None = None,
) -> NoReturn:
    """Run macros, and exit with 0 unless the compilation has to fail.

    Args:
        request: What to run.
        outside: The environment that Cargo was given; None where that is not known.
        parent: The process of which this one is a child, and with which it ends.
        scratch: The name of a scratch folder that nobody else uses now; empty for a new one.
        reply: Called with what this process then exits with.
    """
    run_with(MacroSupervisor(request, outside, scratch), parent, reply)


class MacroSupervisor(TreeSupervisor):
    """The run of one library of macros."""

    def __init__(
        self, request: MacroRequest, outside: Mapping[bytes, bytes] | None, scratch: bytes
    ) -> None:
        """Take a request, and what `supervise` takes."""
        super().__init__()
        self.request = request
        self.plan: MacroPlan | None = None  # What is decided about it; None as long as nothing is.
        self.handed_over: HandedOver | None = None  # What the launcher has started, if it has.
        self.output = -1  # Where that prints, for reading.
        self._outside = outside
        self._scratch = scratch

    def supervise(self) -> int:
        """Prepare, run and judge; return what the launcher is to be told."""
        plan = self.prepare()
        try:
            os.chdir(self.request.cwd)
            return self._judge(plan, self._run(plan))
        finally:
            scratch = plan.run.places["TMP"]
            if not self._scratch or not private_folder.is_new(scratch, script.PRIVATE):
                private_folder.remove(scratch)

    def prepare(self) -> MacroPlan:
        """Decide everything, and make the private folders, unless that is done already.

        Raises:
            StoppedError: It cannot be run.
            OSError: Something failed.
        """
        if self.plan is None:
            self.plan = self._prepared()
        return self.plan

    def record_end(self, ended: HandedOver) -> None:
        """Record a run of which there is nothing more to tell than what the launcher has told.

        Raises:
            OSError: It cannot be written.
        """
        plan = self.prepare()
        run, writer = plan.run, plan.writer
        environment_reads = EnvironmentReads(writer)
        if plan.network.port:
            environment_reads.provided = frozenset(environment.for_proxy(plan.network.port))
        tree = ProcessTree(writer)
        program, arguments = run.subject.program, tuple(plan.arguments)
        writer.executed(tree.add_root(ended.pid), program, program, arguments, 0, False)
        process = tree.executed(ended.pid, ended.pid, program, arguments)
        ended.record(process, environment_reads, writer, plan.variables)
        writer.ended(process.key, ended.status, just_now=False)
        end = of_quiet_macros(ended.status).end(None)
        writer.save(run.subject.recording, run.header(), end)

    def _prepared(self) -> MacroPlan:
        request = self.request
        session = script.read_session(request.session)
        if not request.environ.get(b"BUILDPERM_SESSION"):
            session = {**session, "profile": "enforcing"}  # It is of an earlier command.
        package = macro_subject.find_macros(session, request)
        places = macro_subject.find_places(session, request, self._scratch)
        subject = macro_subject.find_subject(session, request, places)
        self.who = f"procedural macros of {package['name']} {package['version']}"
        if subject.consumer is not None:
            self.who += f", for {subject.consumer['name']} {subject.consumer['version']}"
        abi = checked_abi(session, package)
        os.makedirs(macro_subject.own_folder(request), mode=0o700, exist_ok=True)
        script.make_private(places)
        environ = environment.as_given(request.environ)
        run = Run(session, package, places, environ, abi, subject)
        return MacroPlan(run, self._outside)

    def _run(self, plan: MacroPlan) -> EndedRun:
        """Run the host, or what is left of its run, to the end."""
        run = plan.run
        return self.record(
            run,
            ProgramInputs(plan.arguments, plan.variables, [BRIDGE]),
            plan.kept,
            plan.network,
            MacroStreams(limits.value(run.limits, "stderr_bytes"), self.output, _mark(run)),
            (run.places["TMP"],),
            idleness.Idleness(),
            handed_over=self.handed_over,
        )

    def _judge(self, plan: MacroPlan, ended: EndedRun) -> int:
        run = plan.run
        if self.has_to_end():
            return INTERRUPTED
        verdict = of_macros(ended)
        ended.writer.save(run.subject.recording, run.header(), verdict.end(ended.recorder))
        for remark in (*verdict.notes, *plan.network.remarks):
            self.print_message(remark)
        if verdict.failure:
            self.print_message(verdict.failure, hint_of(verdict, run))
        return verdict.exit_status


def _mark(run: Run) -> bytes:
    """Return what sets off what macros print, as Cargo does for build scripts with `-vv`.

    While somebody may be asked at the terminal, nothing of theirs is to look like a question.
    """
    package = run.package
    return f"[{package['name']} {package['version']}] ".encode() if "ask" in run.session else b""


class MacroPlan:
    """What is decided about one run of macros before it begins."""

    __slots__ = ("arguments", "kept", "needed", "network", "run", "variables", "writer")

    def __init__(self, run: Run, outside: Mapping[bytes, bytes] | None) -> None:
        """Decide what `run` gets; `outside` is the environment that Cargo was given."""
        self.run = run
        self.writer = Writer()  # Its clock begins now.
        self.network = Network(run.package, run.session["calls"], learning=run.learning)
        self.variables, self.kept = environment.for_macros(
            run.environ,
            run.session,
            run.package,
            run.places,
            outside,
            learning=run.learning,
            proxy_port=self.network.port,
        )
        library = run.subject.handed_over[0]
        self.arguments = [run.subject.program, library]
        self.needed = _needed(library)  # Names of the libraries that it is linked with.
        self.variables |= environment.for_libraries(run.places, self.needed)


def _needed(library: bytes) -> list[bytes]:
    """Return the names of the libraries that `library` is linked with; none if it is no library."""
    try:
        image = elf.Image(library)
    except (OSError, ValueError):
        return []
    try:
        return image.needed()
    except (ValueError, struct.error):
        return []
    finally:
        image.close()
