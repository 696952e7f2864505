"""Reads the calls that make a socket, or use one with an address.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

from errno import EACCES, EINPROGRESS

from buildperm.tracer.recorder import decoding
from buildperm.tracer.recorder.decoding import RESTARTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.tracer.recorder.observation import Enter, Leave, Observer, Seen, Stopped
    from buildperm.tracer.recorder.process_tree import Process
    from buildperm.tracer.syscall_table import SocketLayout


def handler(observer: Observer, _name: str, layout: SocketLayout) -> tuple[Enter, Leave]:
    """Return what reads a call with such a layout."""
    use, address_at, size_at = layout.use, layout.address, layout.size
    writer, resume = observer.writer, observer.resume

    def enter(tid: int, process: Process, stopped: Stopped) -> Seen | None:
        if address_at < 0:  # socket(2)
            return decoding.family(stopped[1]), decoding.socket_type(stopped[2])
        pointer = stopped[address_at + 1]
        if size_at < 0:
            seen = decoding.message_address(process.pid, tid, pointer)
        elif pointer:
            seen = decoding.address(process.pid, tid, pointer, stopped[size_at + 1])
        elif use == "sent":
            return None  # to whom the socket is connected: no news
        else:
            seen = None
        return seen or ("0", "")

    def leave(tid: int, process: Process, seen: Seen, result: int, refused: bool) -> None:
        resume(tid)
        if -result >= RESTARTING:
            return
        family, address = seen
        is_net = family.startswith("inet") and use == "connected"
        if is_net and result == -EINPROGRESS:  # Only what is granted comes as far as that.
            result = 0
        refused = refused or (is_net and -result == EACCES)  # landlock(7): ACCESS_NET
        writer.socket(process, use, family, address, -min(result, 0), refused)

    return enter, leave
