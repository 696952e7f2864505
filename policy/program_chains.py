"""Program chains: through which programs a process of a recording came to be."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from buildperm.tracer.recording.event import Event, Executed, RecordedProcess

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildperm.policy.role import Role
    from buildperm.policy.target_names import TargetNames
    from buildperm.tracer.recording.reader import Recording


class ProgramChains:
    """Names the programs above each process, as grants call them."""

    def __init__(self, recording: Recording, role: Role, names: TargetNames) -> None:
        """Prepare for the processes of `recording`, whose first one is run for `role`."""
        self._role = role
        self._names = names
        self._processes = recording.processes
        processes = recording.processes.values()
        root = next((process for process in processes if not process.parent), None)
        self.script = root.program if root else b""
        self._requested = _requested(recording.events)
        self._causes: dict[int, str] = {}
        self._chains: dict[int, tuple[str, ...]] = {}

    def cause(self, pid: int) -> str:
        """Return the first program of the chain that led to a process; empty for the script."""
        cause = self._causes.get(pid)
        if cause is None:
            programs = self._programs(pid)
            cause = self._causes[pid] = self._called(programs[-1]) if programs else ""
        return cause

    def chain(self, pid: int) -> tuple[str, ...]:
        """Return the role, and the base names of the programs that led to a process."""
        chain = self._chains.get(pid)
        if chain is None:
            names = [posixpath.basename(self._called(each)) for each in self._programs(pid)]
            chain = self._chains[pid] = (str(self._role), *reversed(names))
        return chain

    def program(self, pid: int) -> bytes:
        """Return the file that a process runs: of the nearest above it that says; or nothing."""
        return next((each.program for each in self._upwards(pid) if each.program), b"")

    def _programs(self, pid: int) -> list[RecordedProcess]:
        """Return the processes from one upwards that run another program than the script."""
        return [
            each
            for each in self._upwards(pid)
            if each.parent and each.program and each.program != self.script
        ]

    def _upwards(self, pid: int) -> Iterator[RecordedProcess]:
        seen: set[int] = set()
        while pid in self._processes and pid not in seen:
            seen.add(pid)
            yield self._processes[pid]
            pid = self._processes[pid].parent

    def _called(self, process: RecordedProcess) -> str:
        """Return how a grant would call the program that a process was started with."""
        key = process.parent, process.program, process.argv
        return self._names.program(self._requested.get(key, process.program))[0]


def _requested(
    events: Iterable[Event],
) -> dict[tuple[int, bytes, tuple[bytes, ...]], bytes]:
    """Return the paths by which programs were started, by who did it, their file and arguments."""
    return {
        (event.pid, event.path, event.argv): event.requested
        for event in events
        if isinstance(event, Executed) and not event.errno and not event.refused
    }
