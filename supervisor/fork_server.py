"""The fork server: one process per run of Cargo that has loaded the supervisor, and forks it.

Starting an interpreter and importing the supervisor takes longer than most build scripts run. So it
is done once, while Cargo still finds out what to do. A stub that finds the server's folder sends a
request and waits:

    stub, a shell script                        server                      worker
    makes FOLDER/7.taken
    "PID … 7" ──▶ FOLDER/requests ──▶ looks at /proc/PID, forks ──────▶ supervises, as ever
    reads FOLDER/7 ◀── its exit status ────────── reaps ◀────────────────────── ends

Stubs that are no shell scripts are served by workers that are there already, without the server:
see `supervisor.worker_pool`. A launcher of a compiler that needs a host of macros connects to a
socket in the same folder, and is served in the same way: see `supervisor.launcher_connection`.

The fifos for replies exist from the beginning: a shell would need a program to make one. The worker
is in the stub's process group, so a signal to Cargo and all its children reaches it. It is ended
with the stub, the stub's Cargo, or the server. A stub that cannot be served is told so, and starts
an interpreter of its own, as it does without a server.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import _socket
import gc
import os
import select
import time

from buildperm.supervisor import private_folder
from buildperm.supervisor.fork_request import ForkRefusedError, ForkRequest
from buildperm.supervisor.launcher_connection import LauncherConnection
from buildperm.supervisor.prewarm import prewarm
from buildperm.supervisor.quiet_hosts import QuietHosts
from buildperm.supervisor.scratch_folders import ScratchFolders
from buildperm.supervisor.script_worker import AGAIN
from buildperm.supervisor.worker_pool import WorkerPool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = b"requests"
"""The fifo in the server's folder to which stubs write. It exists once the server is ready."""

MACROS = b"macros"
"""The socket beside it, to which launchers connect."""

PLACES = 64
"""How many stubs can wait for replies at once; others start an interpreter of their own."""

_TAKEN = b".taken"  # After the name of a fifo for replies; made by the stub that has it.

_LONGEST = 32  # A request: a process ID and four small numbers.
_PATIENCE_S = 5.0  # From asking the workers to end to SIGKILL.


class _Job:
    """A stub or a launcher that has asked, until it is gone."""

    __slots__ = ("handles", "path", "reply", "scratch", "worker")

    def __init__(self, reply: int, path: bytes) -> None:
        self.reply = reply  # What it reads; open until it is gone, or a stub's might come too late.
        self.path = path  # Of the fifo; empty for a connection.
        self.scratch = b""  # The name of a launcher's scratch folder.
        self.worker = 0  # Its process; 0: there is none, or no more.
        # pidfd to whose: `worker`, `stub` or `parent`. A launcher's connection stands for a stub.
        self.handles: dict[int, str] = {}


class Server:
    """The fork server of one run of Cargo."""

    def __init__(self, folder: bytes, path: bytes) -> None:
        """Make the fifos and the socket in the empty `folder`, which is nobody else's.

        Args:
            folder: Where they are.
            path: The session, and the only one whose macros are run.

        Raises:
            OSError: They cannot be made.
        """
        self._folder = folder
        self._session = path
        self._scratches = ScratchFolders(os.path.basename(folder), path)
        self._outside = dict(os.environb)  # Which Cargo was given, too.
        self._jobs: dict[int, _Job] = {}  # By handle.
        self._used: set[bytes] = set()  # Fifos for replies.
        self._poll = select.poll()
        self._rest = b""
        for place in range(1, PLACES + 1):
            os.mkfifo(folder + b"/%d" % place, 0o600)
        self._macros = _listening(folder + b"/" + MACROS)
        self._pool = WorkerPool(folder, path)
        self._quiet = QuietHosts(folder, path, self._outside, self._scratches, self._poll)
        made = folder + b"/.new"
        os.mkfifo(made, 0o600)
        # For writing, too, so that it never ends: fifo(7).
        self._requests = os.open(made, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.rename(made, folder + b"/" + REQUESTS)

    def run(self, lifeline: int) -> None:
        """Serve until `lifeline` ends; then end the workers."""
        gc.collect()
        gc.freeze()  # So no worker looks through what was imported, nor copies it.
        self._poll.register(self._requests, select.POLLIN)
        self._poll.register(self._macros.fileno(), select.POLLIN)
        self._poll.register(lifeline, select.POLLIN)
        self._pool.start(self._poll)
        while True:
            events = self._poll.poll()
            # What is new comes last: its descriptors may be those of what ends now.
            events.sort(key=lambda event: event[0] not in self._jobs)
            for descriptor, _ in events:
                if descriptor == lifeline:
                    self._poll.unregister(lifeline)
                    self._poll.unregister(self._requests)
                    self._poll.unregister(self._macros.fileno())
                    self._macros.close()
                    self._pool.close()
                    self._quiet.close()
                    self._end()
                    return
                if descriptor == self._requests:
                    for asked in self._read_requests():
                        self._serve(*asked)
                elif descriptor == self._macros.fileno():
                    self._connect()
                elif self._pool.owns(descriptor):
                    self._pool.happened(descriptor, self._poll)
                elif self._quiet.owns(descriptor):
                    self._hand_over(descriptor)
                elif descriptor in self._jobs:  # Another event may have removed it just now.
                    self._happened(descriptor)

    def _read_requests(self) -> Iterator[tuple[int, ...]]:
        """Yield the numbers of each request that has come: see `supervisor.fork_request`."""
        *lines, self._rest = (self._rest + os.read(self._requests, 1 << 16)).split(b"\n")
        for line in lines:
            numbers = line.split(b" ")
            if len(numbers) == 5 and len(line) <= _LONGEST and all(map(bytes.isdigit, numbers)):
                yield tuple(map(int, numbers))

    def _serve(self, pid: int, arguments: int, stdin: int, stdout: int, place: int) -> None:
        path = self._folder + b"/%d" % place
        if path in self._used:
            return  # Another stub has it.
        try:
            flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            job = _Job(os.open(path, flags), path)
        except OSError:
            return  # There is none.
        self._used.add(path)
        try:
            request = ForkRequest(pid, self._folder, arguments, (stdin, stdout))
        except (OSError, ValueError, LookupError, ForkRefusedError):
            self._refuse(job, pid)
            return
        server = os.getpid()
        try:
            worker = os.fork()
        except OSError:
            request.close(with_handles=True)
            self._refuse(job, pid)
            return
        if worker == 0:
            request.become(server)
        request.close()
        job.worker = worker
        self._watch(job, os.pidfd_open(worker), "worker")
        self._watch(job, request.handle, "stub")
        self._watch(job, request.parent_handle, "parent")

    def _connect(self) -> None:
        """Serve a launcher that has connected."""
        try:
            number, _ = self._macros._accept()  # type: ignore[attr-defined]  # typeshed lacks it
            connected = _socket.socket(fileno=number)
            connection = LauncherConnection(connected)
        except (OSError, ValueError, LookupError, ForkRefusedError):
            return  # The connection is closed: it starts an interpreter of its own.
        server = os.getpid()
        scratch = self._scratches.take()
        try:
            worker = os.fork()
        except OSError:
            os.close(connection.parent_handle)
            self._scratches.give_back(scratch)
            return
        if worker == 0:
            connection.become(server, self._session, self._outside, scratch)
        job = _Job(os.dup(connected.fileno()), b"")
        job.scratch = scratch
        job.worker = worker
        self._watch(job, os.pidfd_open(worker), "worker")
        self._watch(job, connected.detach(), "stub")
        self._watch(job, connection.parent_handle, "parent")

    def _hand_over(self, descriptor: int) -> None:
        """See to a host without a supervisor, and fork one where it needs one by now."""
        host = self._quiet.happened(descriptor)
        if host is None:
            return
        server = os.getpid()
        try:
            worker = os.fork()
        except OSError:
            self._quiet.forget(host)  # The launcher kills the host.
            return
        if worker == 0:
            host.go_on(server)
        self._quiet.release(host)
        job = _Job(os.dup(host.descriptor), b"")
        job.scratch = host.scratch
        job.worker = worker
        self._watch(job, os.pidfd_open(worker), "worker")
        self._watch(job, host.connection.detach(), "stub")
        self._watch(job, host.identity.parent_handle, "parent")
        host.close()

    def _refuse(self, job: _Job, pid: int) -> None:
        os.write(job.reply, AGAIN + b"\n")
        try:
            self._watch(job, os.pidfd_open(pid), "stub")
        except OSError:
            self._forget(job)

    def _watch(self, job: _Job, handle: int, whose: str) -> None:
        job.handles[handle] = whose
        self._jobs[handle] = job
        # Of a connection only its end: what comes on it is the worker's.
        is_connection = whose == "stub" and not job.path
        self._poll.register(handle, select.POLLRDHUP if is_connection else select.POLLIN)

    def _happened(self, handle: int) -> None:
        """React to the end of the process behind `handle`."""
        job = self._jobs[handle]
        whose = job.handles[handle]
        self._drop(job, handle)
        if whose == "worker":
            _, status = os.waitpid(job.worker, 0)
            job.worker = 0
            code = os.waitstatus_to_exitcode(status)
            self._answer(job, code if code >= 0 else 128 - code)
        elif job.worker:
            os.kill(job.worker, _signal.SIGTERM)  # It cleans up after itself.
        if not job.worker and "stub" not in job.handles.values():
            self._forget(job)

    def _answer(self, job: _Job, status: int) -> None:
        try:
            os.write(job.reply, b"%d\n" % status)
        except OSError:
            pass  # The launcher is gone. A fifo is open here, too.
        if not job.path:  # It need not be waited for: what it has not read stays in its socket.
            for handle in [each for each, whose in job.handles.items() if whose == "stub"]:
                self._drop(job, handle)

    def _drop(self, job: _Job, handle: int) -> None:
        self._poll.unregister(handle)
        os.close(handle)
        del self._jobs[handle], job.handles[handle]

    def _forget(self, job: _Job) -> None:
        for handle in list(job.handles):
            self._drop(job, handle)
        os.close(job.reply)
        if not job.path:
            self._scratches.give_back(job.scratch)
            return
        self._used.discard(job.path)
        try:
            os.unlink(job.path + _TAKEN)
        except FileNotFoundError:
            pass  # Nobody had taken it.

    def _end(self) -> None:
        """End every worker, and remove the folder."""
        deadline = time.monotonic() + _PATIENCE_S
        jobs = set(self._jobs.values())
        for signal in (_signal.SIGTERM, _signal.SIGKILL):
            for job in jobs:
                if job.worker:
                    os.kill(job.worker, signal)
            self._pool.kill(signal)
            while any(job.worker for job in jobs) or not self._pool.is_empty:
                left_ms = int((deadline - time.monotonic()) * 1000)
                if signal == _signal.SIGTERM and left_ms <= 0:
                    break
                for handle, _ in self._poll.poll(max(0, left_ms) or None):
                    if handle in self._jobs:
                        self._happened(handle)
                    elif self._pool.owns(handle):
                        self._pool.happened(handle, self._poll)
        self._scratches.remove()
        for name in os.listdir(self._folder):
            os.unlink(self._folder + b"/" + name)
        os.rmdir(self._folder)


def _listening(path: bytes) -> _socket.socket:
    """Listen on a socket at `path`."""
    listener = _socket.socket(
        _socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    )
    listener.bind(path)
    listener.listen(PLACES)
    return listener


def main(arguments: list[str]) -> None:
    """Be the server in the folder `arguments[0]` until standard input ends.

    `arguments[1]` is the session of most requests. With a third argument standard input is a
    pidfd, and nobody is there to remove the folder afterwards: always on.
    """
    folder, path = map(os.fsencode, arguments[:2])
    is_alone = len(arguments) > 2
    try:
        server = Server(folder, path)
    except OSError:  # No space there. Stubs find no server, and do without.
        if is_alone:
            private_folder.remove(folder)
        else:
            os.read(0, 1)
        return
    prewarm(path, folder)
    server.run(0)
    if is_alone:
        private_folder.remove(folder)
