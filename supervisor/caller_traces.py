"""What tells a build script from where and by what Cargo was called, and how it does without.

Part of the supervisor: standard library only, imported only where results are looked for.
"""

from __future__ import annotations

from buildperm.cache.static_key import without_job_server
from buildperm.rules import makeflags
from buildperm.rules.pattern import matches
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OF_CALLER = frozenset(
    b"_ COLUMNS LINES MAKELEVEL MAKE_TERMERR MAKE_TERMOUT OLDPWD RUST_RECURSION_COUNT SHLVL".split()
)
"""Those of bash(1), make(1), and rustup's proxies, which count how deep they are."""

_SAYS_NOTHING = (b"", b"w", b"-w", b"--no-print-directory")
"""What make hands on where it was told nothing: "Communicating Options to a Sub-make"."""


def left_out(
    environ: Mapping[bytes, bytes], folder: bytes, chosen: Iterable[str] = ()
) -> dict[bytes, bytes]:
    """Return what Cargo gave, as it would be from anywhere.

    No recording shows what a program looks at of it. So all of it is part of the static key, and a
    result would be found only in the folder and the kind of terminal in which it was made.

    Args:
        environ: What Cargo gave.
        folder: Where the script runs, which a shell that is started there calls PWD, too: sh(1).
        chosen: Patterns of names, in notation, of which somebody has said something: the project
            sets, grants or denies them. These stay as they are.
    """
    patterns = tuple(chosen)
    of_caller = {
        name
        for name in _OF_CALLER | makeflags.NAMES | {b"PWD"}
        if not any(matches(pattern, encode(name)) for pattern in patterns)
    }
    left = {name: value for name, value in environ.items() if name not in _OF_CALLER & of_caller}
    for name in of_caller & makeflags.NAMES - {b"CARGO_MAKEFLAGS"}:
        if without_job_server(left.get(name, b"")) in _SAYS_NOTHING:
            left.pop(name, None)
    return left | ({b"PWD": folder} if b"PWD" in of_caller else {})
