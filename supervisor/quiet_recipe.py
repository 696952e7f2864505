"""What a launcher is told so that it can start a host of macros itself: see `quiet_hosts`.

Everything that `supervisor.launch` gives to a program is in it: the Landlock rules, the filter, the
limits and the environment. The launcher decides nothing.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import struct

from buildperm.rules import limits
from buildperm.supervisor import landlock
from buildperm.supervisor.jobserver import named_fifo
from buildperm.tracer.recorder import elf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildperm.supervisor.macro_supervision import MacroPlan

MOST = 160 << 10
"""Bytes of a recipe; not every machine sends more in one piece: socket(7), wmem_default."""

_LIBRARIES = (b"libc.so.", b"libc-", b"ld-linux", b"libgcc_s.so.1")
"""What a host has loaded by itself when it begins; the loader opens nothing more for these."""

_FOLDERS = (b"LD_LIBRARY_PATH",)  # Of all that a loader obeys, ld.so(8): ours, in a tool chain.


def is_possible(plan: MacroPlan) -> bool:
    """Tell whether a host can be started without a supervisor.

    One in a sandbox wrapper cannot, nor can one whose memory is watched, who gets files made that
    it may write, or who loads more than is loaded anyway: `LD_PRELOAD` may be granted.
    """
    run = plan.run
    return not (
        run.session.get("sandbox_wrapper")
        or run.package["write"]
        or limits.value(run.limits, "memory_bytes")
        or named_fifo(run.environ)
        or not all(name.startswith(_LIBRARIES) for name in plan.needed)
        or any(name.startswith(b"LD_") and name not in _FOLDERS for name in plan.variables)
    )


def recipe(plan: MacroPlan, rights: dict[bytes, int], cwd: bytes) -> bytes | None:
    """Write the recipe: the filter behind its length, then texts; None if it cannot be told so."""
    libc, offset = _getenv()
    if not offset:
        return None
    program = plan.run.session["filter"]
    content = bytearray(struct.pack("=I", len(program)) + program)
    for text in _texts(plan, rights, cwd, libc, offset):
        if b"\0" in text:
            return None
        content += text + b"\0"
    return bytes(content) if len(content) <= MOST else None


def _texts(
    plan: MacroPlan, rights: dict[bytes, int], cwd: bytes, libc: bytes, offset: int
) -> Iterator[bytes]:
    run = plan.run
    handled = landlock.attributes(run.abi)
    known = landlock.file_rights(run.abi)
    numbers = struct.unpack(f"={len(handled) // 8}Q", handled)
    yield b"handled " + b" ".join(b"%d" % number for number in numbers)
    for path, allowed in needed_rules(rights).items():
        if allowed & known and b"\0" not in path:  # Such a path names nothing.
            yield b"rule %x %s" % (allowed & known, path)
    yield b"cwd " + cwd
    yield b"program " + run.subject.program
    for argument in plan.arguments:
        yield b"argument " + argument
    for name, value in plan.variables.items():
        yield b"env %s=%s" % (name, value)
    yield b"open " + run.subject.handed_over[0]
    yield b"libc " + libc
    yield b"getenv %d" % offset
    yield b"server %d" % os.getpid()
    yield b"seconds %d" % limits.value(run.limits, "seconds")
    yield b"file-bytes %d" % limits.value(run.limits, "file_bytes")
    yield b"open-files %d" % limits.value(run.limits, "open_files")


def needed_rules(rights: Mapping[bytes, int]) -> dict[bytes, int]:
    """Leave out the rules that a folder above makes needless: landlock.rst, "Rule"s add up.

    All paths are without links.
    """
    kept: dict[bytes, int] = {}
    for path in sorted(rights):
        allowed, upper = rights[path], path
        while upper not in (b"/", b""):
            upper = upper.rpartition(b"/")[0] or b"/"
            allowed &= ~kept.get(upper, 0)
        if allowed:
            kept[path] = rights[path]
    return kept


_found: list[tuple[bytes, int]] = []


def _getenv() -> tuple[bytes, int]:
    """Return the path of libc, and where `getenv` is in it; 0 if that is unknown.

    That libc is the one that this process has loaded. A host that loads another one is noticed by
    the launcher.
    """
    if not _found:
        _found.append(_looked_up())
    return _found[0]


def _looked_up() -> tuple[bytes, int]:
    with open("/proc/self/maps", "rb") as file:
        paths = {line.split(None, 5)[5].rstrip(b"\n") for line in file if line.count(b" /") == 1}
    for path in sorted(paths):
        if not os.path.basename(path).startswith((b"libc.so.", b"libc-")):
            continue
        try:
            image = elf.Image(path)
        except (OSError, ValueError):
            continue
        try:
            address = image.function(b"getenv")
            return path, address - image.lowest() if address else 0
        finally:
            image.close()
    return b"", 0
