"""Light observation of one run: whether it is possible, its key, and its filter.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import struct

from buildperm.rules import baseline
from buildperm.rules.pattern import covers
from buildperm.supervisor import landlock, landlock_rules
from buildperm.tracer.syscall_table import LIGHT_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.supervisor.run import Run
    from buildperm.tracer.recorder.light_opens import LightOpens

_HALF = struct.Struct("=I")
_MEMORY = (b"/", b"/proc", b"/sys", b"/sys/kernel")
_TRACING = (b"/sys/kernel/debug", b"/sys/kernel/tracing")


class LightObservation:
    """What one run needs in which not all that tools do is observed."""

    __slots__ = ("filter", "is_light", "opens")

    def __init__(self, seccomp: bytes, opens: LightOpens, *, is_light: bool) -> None:
        self.filter = seccomp  # With the key, if there is one.
        self.opens = opens
        self.is_light = is_light  # Else only looks are not: `recorder.look_calls`.


def prepared(run: Run, rights: Mapping[bytes, int]) -> LightObservation | None:
    """Make what goes unseen in a run, and a key for it; None where everything is to be observed.

    Args:
        run: Of a build script.
        rights: Its Landlock rights by path.
    """
    template = run.session.get("light_filter", b"")
    if run.has_own_folders:
        return None  # Whatever a tool opens or looks at there is moved, so it has to stop.
    is_heavy = run.learning or run.observes_all or _reads_memory(rights)
    is_light = bool(template) and not is_heavy
    looks = run.session.get("looks", False) and os.uname().machine == "x86_64"
    if not is_light and not looks:
        return None
    from buildperm.tracer.recorder.light_opens import LightOpens  # Not needed otherwise.

    # Not 0, which registers may hold.
    key = int.from_bytes(os.urandom(8), "little") | 1 if is_light else 0
    return LightObservation(
        with_key(template, key) if is_light else run.session["filter"],
        LightOpens(
            key,
            lambda path: landlock_rules.is_granted(rights, path, landlock.READ_FILE),
            lambda path: landlock_rules.is_granted(rights, path, landlock_rules.WRITE),
            _searched(run, rights) if is_light else b"",
            looks=looks,
        ),
        is_light=is_light,
    )


def with_key(template: bytes, key: int) -> bytes:
    """Return the filter `template` with `key` in place of `LIGHT_KEY`.

    Raises:
        ValueError: It has no place for one.
    """
    made = bytearray(template)
    for shift in (0, 32):
        place = _HALF.pack(LIGHT_KEY >> shift & 0xFFFFFFFF)
        # struct sock_filter: eight bytes, the last four of which are the value.
        at = template.find(place)
        if template.count(place) != 1 or at % 8 != 4:
            raise ValueError("a filter without a place for the key")
        _HALF.pack_into(made, at, key >> shift & 0xFFFFFFFF)
    return bytes(made)


def _searched(run: Run, rights: Mapping[bytes, int]) -> bytes:
    """Return the value of LD_LIBRARY_PATH if no script can put anything there; else nothing.

    Code of a library that a loader has found runs before the trap at the entry point, and can read
    the key in the loader: so another script's library is as bad as one of its own. A loader also
    looks in folders below: ld.so(8), "hwcaps". An empty part is the current folder, and `$ORIGIN`
    is the program's.
    """
    value = run.environ.get(b"LD_LIBRARY_PATH", b"")
    written = [path for path, given in rights.items() if given & landlock_rules.WRITE]
    for folder in value.split(b":"):
        real = os.path.realpath(folder)
        if (
            not folder.startswith(b"/")
            or b"$" in folder
            or b";" in folder
            or baseline.output_of(real, run.places)
            or landlock_rules.is_granted(rights, real, landlock_rules.WRITE)
            or any(_is_near(real, path) for path in (*written, *run.filled))
            or any(covers(tree, real) and not _is_cut_out(run, tree, real) for tree in run.filled)
        ):
            return b""
    return value


def _is_near(folder: bytes, path: bytes) -> bool:
    """Tell whether a path is in a folder, other than where Cargo keeps what build scripts make.

    Cargo names the folder above that, `target/debug`. A loader looks in no `build` below a folder.
    """
    return covers(folder, path) and not covers(folder.rstrip(b"/") + b"/build", path)


def _is_cut_out(run: Run, tree: bytes, folder: bytes) -> bool:
    """Tell whether grants to write a tree leave a folder of it out, as it is one of Cargo's own."""
    own = (run.places.get(token, b"") for token in ("TARGET_DIR", "SYSROOT"))
    return any(
        place and place != tree and covers(place, folder) and covers(tree, place) for place in own
    )


def _reads_memory(rights: Mapping[bytes, int]) -> bool:
    """Tell whether a run may look into compilers that it starts: proc_pid_mem(5), tracefs.

    Files of the baseline there say nothing about processes.
    """
    return any(
        path in _MEMORY
        or path.startswith(_TRACING)
        or (path.startswith(b"/proc/") and path[6:7].isdigit())
        for path in rights
    )
