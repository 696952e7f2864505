"""Limits of a run: against runaways, not against what it may touch.

`[workspace.metadata.buildperm.limits]` of Cargo.toml sets them for all build scripts, and
`[workspace.metadata.buildperm.limits.crates.KEY]` for those of one crate.

- `seconds`: how long it may run; time in which buildperm itself was stopped does not count, and of
  a host of macros only time in which it works: `supervisor.idleness`;
- `processes`: how many may live at once, counted by the recorder, with those that have ended and
  that nobody has waited for, and with up to four times as many threads among them all;
- `memory_bytes`: what all its processes may hold in memory together, looked at every second;
- `output_bytes`, `output_files`: what may lie in OUT_DIR and in its temporary folder, on disk;
- `file_bytes`: the size of any one file it writes: setrlimit(2), RLIMIT_FSIZE;
- `open_files`: per process: RLIMIT_NOFILE, if it is lower than what the user has;
- `stdout_bytes`: what it may print for Cargo;
- `stderr_bytes`: what is passed on of its talk; the rest is left out, the run goes on.

Part of the supervisor: imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NONE = 0
"""The value that turns a limit off."""

DEFAULTS = {
    "seconds": 1_800,
    "processes": 4_096,
    "memory_bytes": NONE,
    "output_bytes": 32 << 30,
    "output_files": 1_000_000,
    "file_bytes": 16 << 30,
    "open_files": 65_536,
    "stdout_bytes": 64 << 20,
    "stderr_bytes": 16 << 20,
}
"""What holds where Cargo.toml says nothing else."""

LEAST = {"open_files": 16, "memory_bytes": 1 << 20, "file_bytes": 4_096, "output_bytes": 4_096}
"""No build script gets by with less; for all others it is 1."""

ALWAYS = ("stdout_bytes", "stderr_bytes")
"""These cannot be turned off: buildperm itself has to keep what they limit."""

MOST = (1 << 62) - 1

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def value(limits: Mapping[str, int], name: str) -> int:
    """Return the limit `name`, or its default; 0 where there is none."""
    return limits.get(name, DEFAULTS[name])


def violation(name: str, wanted: int) -> str:
    """Say why a limit cannot be `wanted`, as a clause; empty if it can."""
    if wanted == NONE and name not in ALWAYS:
        return ""
    least = LEAST.get(name, 1)
    if least <= wanted <= MOST:
        return ""
    off = "" if name in ALWAYS else ", or 0 for no limit"
    return f"must be between {least} and {MOST}{off}"


def in_words(name: str, wanted: int) -> str:
    """Write a limit for people: `seconds = 1800`, `file_bytes = 17179869184 (16 GiB)`."""
    if name.endswith("_bytes"):
        for size, unit in _UNITS:
            if wanted >= size and wanted % size == 0:
                return f"{name} = {wanted} ({wanted // size} {unit})"
    return f"{name} = {wanted}"
