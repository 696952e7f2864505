"""Reads the calls that make a socket, or use one with an address.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from errno import EACCES, EINPROGRESS

from buildperm.tracer.recorder import decoding
from buildperm.tracer.recorder.decoding import RESTARTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import (
        Decoded,
        Handler,
        Observer,
        SyscallInfo,
    )
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.syscall_table import SocketLayout


def handler(observer: Observer, _name: str, layout: SocketLayout) -> Handler:
    """Return the handler of a call with this layout."""
    use, address_at, size_at = layout.use, layout.address, layout.size
    writer, resume = observer.writer, observer.resume

    def on_entry(tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
        if address_at < 0:  # socket(2)
            return decoding.family(syscall[1]), decoding.socket_type(syscall[2])
        pointer = syscall[address_at + 1]
        if size_at < 0:
            decoded = decoding.message_address(process.pid, tid, pointer)
        elif pointer:
            decoded = decoding.address(process.pid, tid, pointer, syscall[size_at + 1])
        elif use == "sent":
            return None  # to whom the socket is connected: no news
        else:
            decoded = None
        return decoded or ("0", "")

    def on_exit(tid: int, process: Process, decoded: Decoded, result: int, refused: bool) -> None:
        resume(tid)
        if -result >= RESTARTING:
            return
        family, address = decoded
        is_net = family.startswith("inet") and use == "connected"
        if is_net and result == -EINPROGRESS:  # Only what is granted comes as far as that.
            result = 0
        refused = refused or (is_net and -result == EACCES)  # landlock(7): ACCESS_NET
        writer.socket(process, use, family, address, -min(result, 0), refused)

    return on_entry, on_exit
