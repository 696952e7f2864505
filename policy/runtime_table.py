"""The runtimes by name; an entry here adds one.

What may stand in `require` and `runtime` of Cargo.toml, the choices of `--runtime`, how strong each
counts, and the order of `buildperm doctor` are all made from this table.
"""

from __future__ import annotations

RUNTIMES: dict[str, str] = {
    "portable": "buildperm.sandbox.portable_runtime:portable",
    "full": "buildperm.sandbox.full_runtime:full",
}
"""Where each is implemented, `MODULE:NAME`, the weakest first; `sandbox.runtime` loads it."""

WEAKEST = next(iter(RUNTIMES))

REMOTE = "remote"
"""In place of a runtime: on an engine of the Remote Execution API, else in one that works here."""

WASI = "wasi"
"""In place of a runtime: as WASI where the same came of that, else in one that works here."""

BESIDE = (REMOTE, WASI)
"""Only `ci` has these, and only by its words and the user's variables: no Cargo.toml names one."""


def strength(name: str) -> int:
    """Return how strong a runtime counts; -1 where this version has none of that name."""
    return list(RUNTIMES).index(name) if name in RUNTIMES else -1
