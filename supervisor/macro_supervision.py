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
from buildperm.supervisor.verdict import of_macros
from buildperm.tracer.recorder import elf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from buildperm.supervisor.macro_request import MacroRequest
    from buildperm.supervisor.session import Session


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
        self._request = request
        self._outside = outside
        self._scratch = scratch

    def supervise(self) -> int:
        """Prepare, run and judge; return what the launcher is to be told."""
        request = self._request
        session = script.read_session(request.session)
        if not request.environ.get(b"BUILDPERM_SESSION"):
            session["profile"] = "enforcing"  # It is of an earlier command.
        return self._prepared(session)

    def _prepared(self, session: Session) -> int:
        request = self._request
        package = macro_subject.find_macros(session, request)
        places = macro_subject.find_places(session, request, self._scratch)
        subject = macro_subject.find_subject(session, request, places)
        self.who = f"procedural macros of {package['name']} {package['version']}"
        if subject.consumer is not None:
            self.who += f", for {subject.consumer['name']} {subject.consumer['version']}"
        abi = checked_abi(session, package)
        os.makedirs(macro_subject.own_folder(request), mode=0o700, exist_ok=True)
        script.make_private(places)
        try:
            os.chdir(request.cwd)
            environ = environment.as_given(request.environ)
            run = Run(session, package, places, environ, abi, subject)
            return self._supervise(run)
        finally:
            is_kept = self._scratch and private_folder.is_new(places["TMP"], script.PRIVATE)
            if not is_kept:
                private_folder.remove(places["TMP"])

    def _supervise(self, run: Run) -> int:
        network = Network(run.package, run.session["calls"], learning=run.learning)
        variables, kept = environment.for_macros(
            run.environ,
            run.session,
            run.package,
            run.places,
            self._outside,
            learning=run.learning,
            proxy_port=network.port,
        )
        host, library = run.subject.program, run.subject.handed_over[0]
        variables |= environment.for_libraries(run.places, _needed(library))
        ended = self.record(
            run,
            ProgramInputs([host, library], variables, [BRIDGE]),
            kept,
            network,
            MacroStreams(limits.value(run.limits, "stderr_bytes")),
            (run.places["TMP"],),
            idleness.Idleness(),
        )
        if self.has_to_end():
            return INTERRUPTED
        verdict = of_macros(ended)
        ended.writer.save(run.subject.recording, run.header(), verdict.end(ended.recorder))
        for remark in (*verdict.notes, *network.remarks):
            self.print_message(remark)
        if verdict.failure:
            self.print_message(verdict.failure, verdict.hint)
        return verdict.exit_status


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
