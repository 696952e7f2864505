"""Makes connect(2) for a build script: to the egress proxy, or to an address that was granted.

The address is copied once, judged, and written anew for the kernel; the socket is the script's own,
of which this process gets a descriptor too (pidfd_getfd(2)). What a thread of the script does to
its memory or to its table of descriptors meanwhile changes nothing: whatever is connected is a TCP
socket, and it is connected to what was judged.

The recorder must not wait for a server, so that the socket is made not to block while connect(2) is
called. Descriptors of one socket share that flag: for these microseconds other threads see it, and
would lose a change of their own to it. If the connection is not there at once, the thread waits for
it by itself: a send of nothing, to nobody, ends when the connection is made or has failed
(tcp(7)), needs nothing from memory, and can reach nobody else.

Part of the supervisor, imported once a script connects: standard library only.
"""

from __future__ import annotations

import _socket
import os
import struct
from errno import (
    EACCES,
    EAFNOSUPPORT,
    EAGAIN,
    EALREADY,
    EBADF,
    ECONNABORTED,
    EFAULT,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ENOSYS,
    EPIPE,
    ESRCH,
)

from buildperm.rules import address
from buildperm.supervisor import syscalls
from buildperm.supervisor.network import PIDFD_GETFD
from buildperm.tracer.recorder import decoding, memory
from buildperm.tracer.recorder.brokered import Refused, Result, Substitute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from buildperm.supervisor.egress_proxy import EgressProxy
    from buildperm.tracer.recorder.brokered import Answer
    from buildperm.tracer.recorder.observation import SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

_PIDFD_THREAD = os.O_EXCL  # pidfd_open(2), since Linux 6.9.
_SO_TYPE, _SO_PROTOCOL, _SO_DOMAIN = 3, 38, 39  # socket(7)
_TCP_INFO, _SYN_SENT = 11, 2  # tcp(7): the first byte is the state, tcp_states.h
_MSG_NOSIGNAL = 0x4000
_MAPPED = b"\0" * 10 + b"\xff\xff"
_LOOPBACK = b"\x7f\0\0\1"


class Connector:
    """Judges and makes the connections of one run."""

    def __init__(
        self, proxy: EgressProxy, granted: Iterable[str], denied: Iterable[str], sendto: int
    ) -> None:
        """Prepare.

        Args:
            proxy: The egress proxy.
            granted: Patterns of hosts with ports; addresses among them may be connected to.
            denied: Patterns that count for more.
            sendto: The number of that call.
        """
        self._proxy = proxy
        self._granted = tuple(granted)
        self._denied = tuple(denied)
        self._sendto = sendto

    def connect(self, tid: int, process: Process, syscall: SyscallInfo) -> Answer:
        """Make or refuse the connection for which `tid` is stopped."""
        size = syscall[3] & 0xFFFFFFFF
        try:
            raw = memory.read(tid, syscall[2], size) if 2 <= size <= 128 else b""
        except PermissionError:
            raw = b""
        seen = decoding.named_address(process.pid, tid, raw) or ("0", "")
        if not 2 <= size <= 128 or len(raw) < size:
            return Result(-(EINVAL if size > 128 or size < 2 else EFAULT), seen)
        place = _place(raw)
        if place is None:
            return Refused(EACCES, seen)
        packed, port, family = place
        is_to_proxy = packed == _LOOPBACK and port == self._proxy.port
        if not is_to_proxy and not self._is_granted(packed, port):
            return Refused(EACCES, seen)
        descriptor = syscall[1] & 0xFFFFFFFF
        try:
            copy = _taken(tid, process.pid, descriptor)
        except OSError as error:
            if error.errno == ESRCH:
                raise ProcessLookupError(ESRCH, os.strerror(ESRCH)) from error
            if error.errno == EBADF:
                return Result(-EBADF, seen)
            return Refused(EACCES, seen)
        try:
            connected = _tcp(copy)
        except OSError as error:
            os.close(copy)
            code = error.errno or EACCES
            return Refused(code, seen) if code == EACCES else Result(-code, seen)
        try:
            if connected.family != family:  # An IPv4 address in IPv6 clothes has its family.
                return Result(-EAFNOSUPPORT, seen)
            text = _socket.inet_ntop(family, packed if family == _socket.AF_INET else _wide(packed))
            if is_to_proxy:
                return self._to_proxy(connected, text, port, process, descriptor)
            return self._connect(connected, text, port, seen, descriptor, lambda: None)
        finally:
            connected.close()

    def _is_granted(self, packed: bytes, port: int) -> bool:
        target = address.joined(address.written(packed), port)
        return address.is_granted(target, self._granted, self._denied)

    def _to_proxy(
        self, connected: _socket.socket, text: str, port: int, process: Process, descriptor: int
    ) -> Result | Substitute:
        """Connect to the egress proxy, which is told first from which port the connection comes.

        The proxy records the host. If the connection fails, a socket that was bound here stays
        bound, which no script will notice.
        """
        try:
            connected.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 0)
            connected.bind((text, 0))
        except OSError as error:
            if error.errno != EINVAL:  # It has been bound by an earlier attempt.
                return Result(-(error.errno or EACCES), None)
        try:
            own = connected.getsockname()[1]
            connected.getpeername()
        except OSError:
            pass
        else:
            return Result(-EISCONN, None)
        proxy = self._proxy
        if connected.getsockopt(_socket.IPPROTO_TCP, _TCP_INFO, 1)[0] != _SYN_SENT:
            proxy.expect(own, process)  # Once for each connection: it is not asked for again.
        answer = self._connect(connected, text, port, None, descriptor, lambda: proxy.forget(own))
        if isinstance(answer, Result) and answer.value not in (0, -EINPROGRESS, -EALREADY):
            proxy.forget(own)
        return answer

    def _connect(
        self,
        connected: _socket.socket,
        text: str,
        port: int,
        seen: tuple[str, str] | None,
        descriptor: int,
        failed: Callable[[], None],
    ) -> Result | Substitute:
        """Connect; where that takes time, a thread that would have waited waits."""
        fileno = connected.fileno()
        is_blocking = os.get_blocking(fileno)
        try:
            if is_blocking:
                os.set_blocking(fileno, False)
            code = connected.connect_ex((text, port))
            if code == EINPROGRESS:  # On this machine the answer is there by now.
                again = connected.connect_ex((text, port))
                code = 0 if again == EISCONN else EINPROGRESS if again == EALREADY else again
        except OSError as error:
            code = error.errno or EINVAL
        finally:
            if is_blocking:
                os.set_blocking(fileno, True)
        if not is_blocking or code not in (EINPROGRESS, EALREADY):
            return Result(-code, seen)

        def translate(result: int) -> int:
            if result == -EAGAIN:  # SO_SNDTIMEO: socket(7)
                return -EINPROGRESS
            if result < 0 and -result < 512:  # From there on it is made again: ERESTARTSYS.
                failed()
                return -ECONNABORTED if result == -EPIPE else result
            return min(result, 0)

        waiting = (descriptor, 0, 0, _MSG_NOSIGNAL, 0, 0)
        return Substitute(self._sendto, waiting, seen, translate)


def _place(raw: bytes) -> tuple[bytes, int, int] | None:
    """Return address, port and family of a struct sockaddr; IPv4 for what stands for it."""
    family = struct.unpack_from("=H", raw)[0]
    if family == _socket.AF_INET and len(raw) >= 16:
        return raw[4:8], struct.unpack_from("!H", raw, 2)[0], family
    if family == _socket.AF_INET6 and len(raw) >= 24:
        return address.unmapped(raw[8:24]), struct.unpack_from("!H", raw, 2)[0], family
    return None


def _wide(packed: bytes) -> bytes:
    return packed if len(packed) == 16 else _MAPPED + packed


def _taken(tid: int, pid: int, descriptor: int) -> int:
    """Return a descriptor of our own for one of a stopped thread.

    Raises:
        OSError: EBADF if it has none of this number, ESRCH if it is gone.
    """
    try:
        holder = os.pidfd_open(tid, 0 if tid == pid else _PIDFD_THREAD)
    except OSError as error:
        if error.errno != EINVAL:
            raise
        holder = os.pidfd_open(pid)
    try:
        copy = syscalls.call(PIDFD_GETFD, holder, descriptor, 0)
        if copy < 0:
            failed = syscalls.failure("pidfd_getfd")
            raise failed if failed.errno != ENOSYS else OSError(EACCES, failed.strerror)
        return copy
    finally:
        os.close(holder)


def _tcp(descriptor: int) -> _socket.socket:
    """Return the TCP socket behind a descriptor.

    Raises:
        OSError: It is none; EACCES where it is a socket that connects otherwise.
    """
    asked = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, descriptor)
    try:
        kind, protocol, domain = (
            asked.getsockopt(_socket.SOL_SOCKET, name)
            for name in (_SO_TYPE, _SO_PROTOCOL, _SO_DOMAIN)
        )
    except BaseException:
        asked.detach()
        raise
    asked.detach()
    if (
        kind != _socket.SOCK_STREAM
        or protocol != _socket.IPPROTO_TCP
        or domain not in (_socket.AF_INET, _socket.AF_INET6)
    ):
        raise OSError(EACCES, os.strerror(EACCES))
    return _socket.socket(domain, _socket.SOCK_STREAM, protocol, descriptor)
