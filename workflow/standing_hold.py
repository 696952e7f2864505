"""Prepares what one plain Cargo is held to: `standing_hold.py STATE PID [COMPILER CALL ...]`.

The first compiler call of a Cargo starts it, or the first build script that runs again, while
buildperm is always on. It finds out which workspace that Cargo builds, and leads it to a session:
see `cargo.standing_state`. What was found out before, and still is so, is found again quickly:
until then nothing is imported that takes long.

With the word `--asked` behind, Cargo only asks a program that is not known for a compiler, or has
one load what the rest of the words names. Nothing is prepared, but that may be refused.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # Installed, this is buildperm/workflow/standing_hold.py; in a checkout buildperm/workflow is a
    # link. Where it was imported from counts, whatever else is installed.
    _own = Path(os.path.abspath(__file__)).parents[1]
    sys.path.insert(0, str(_own.parent if (_own / "__init__.py").exists() else _own))

from buildperm.cargo import cargo_invocation
from buildperm.workflow import known_context, spelt_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from buildperm.cargo.cargo_invocation import CargoInvocation

_CANNOT = 23
_ASKED = "--asked"
_MOST_SESSIONS = 64
_MOST_LINKS = 64


def main(words: Sequence[str]) -> int:
    """Prepare, and say what is wrong; return what to exit with."""
    state, process, *call = words
    place = Path(state)
    cargo = cargo_invocation.caller(int(process), os.environ.get("CARGO", ""))
    invocation = cargo_invocation.look(cargo, place)
    if invocation is None:
        sys.stderr.write("buildperm: the Cargo that was to be held has ended\n")
        return _CANNOT
    is_asked = call[:1] == [_ASKED]
    spelt = "" if is_asked else spelt_target.find(call, os.environ)
    # A project sets what it likes for compilers and scripts (`[env]`): where a cache is, and PATH.
    os.environ.clear()
    os.environ.update(invocation.environment)
    if is_asked:
        return told(place, lambda: _look(place, invocation, call[1:]))
    kept = place / "contexts" / f"{_digest((*invocation.lasting, spelt))}.json"
    found = known_context.still_true(kept)
    if found is not None and Path(found.folder, "buildperm-rustc-wrapper").exists():
        found.tell(invocation)
        return 0
    return told(place, lambda: _prepare(place, invocation, spelt, kept))


def told(place: Path, work: Callable[[], None]) -> int:
    """Do what may be refused, and say so; return what to exit with."""
    from buildperm.errors import BuildpermError
    from buildperm.printable import log_text

    try:
        try:
            work()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            raise BuildpermError(
                f"cannot write into the state folder `{place}`: {error.strerror}",
                hint="Make room there: it has what builds are held to.",
            ) from error
    except BuildpermError as error:
        text = f"buildperm: this build cannot be held: {error}\n"
        text += "  `buildperm disable` switches it off; `buildperm status` says what is on.\n"
        sys.stderr.write(log_text(text))
        return _CANNOT
    return 0


def _look(place: Path, invocation: CargoInvocation, call: Sequence[str]) -> None:
    """See whether a program may run that a Cargo asks what it is, or what it loads then."""
    from buildperm.cargo import accepted_settings, arguments, standing_state, toolchain

    state = standing_state.read(place)
    folder = invocation.folder / arguments.observed(invocation.words).folder
    enrolled = state.enrolled(folder)
    if enrolled is not None or state.holds_others:
        home = toolchain.cargo_home(folder, invocation.environment)
        accepted_settings.refuse_unknown(place, folder, home, enrolled, call)


def _digest(parts: Iterable[str]) -> str:
    import hashlib

    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]


def _prepare(place: Path, invocation: CargoInvocation, spelt: str, kept: Path) -> None:
    from buildperm.cargo import standing_state

    with standing_state.locked(place):
        found = known_context.still_true(kept)  # Another call of the same Cargo was quicker.
        if found is None:
            from buildperm.workflow.standing_preparation import StandingPreparation

            found = StandingPreparation(place, invocation, spelt).context()
            standing_state.replace_text(kept, found.text(), 0o600)
            _tidy(place)
        found.tell(invocation)


def _tidy(place: Path) -> None:
    """Remove what belongs to no Cargo that runs, and sessions that were not used for long."""
    import shutil

    links = list((place / "run").iterdir())
    if len(links) > _MOST_LINKS:
        for link in links:
            if not Path("/proc", link.name.partition("-")[0]).exists():
                if link.name.endswith(".server"):  # It has removed that itself, unless killed.
                    shutil.rmtree(link.read_text().strip() or "/nowhere", ignore_errors=True)
                link.unlink(missing_ok=True)
    stores = sorted((place / "sessions").iterdir(), key=lambda each: each.stat().st_mtime_ns)
    used = {os.path.realpath(link) for link in (place / "run").iterdir() if link.is_symlink()}
    for store in stores[:-_MOST_SESSIONS]:
        if str(store) not in used:
            shutil.rmtree(store, ignore_errors=True)
            (place / "contexts" / f"{store.name}.json").unlink(missing_ok=True)


if __name__ == "__main__":
    _status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(_status)
