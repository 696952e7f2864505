"""The state folder of always on: who is enrolled, and what was written where.

It lies in the user's own state folder, which no build script may touch, and not beside buildperm:
what Cargo's configuration names has to be there when buildperm is not.

    on.json              workspaces, what holds for others, where Cargo's configuration was changed
    homes/HASH/          what the configuration of one CARGO_HOME names: rustc-wrapper, rustdoc
    sessions/HASH/       what one Cargo is held to: see `cargo.target_directory`
    contexts/HASH.json   which session fits one command line, and of what it was made
    run/PID-STARTED      leads a Cargo that runs to its session
    run/PID-STARTED.away, .notified   nobody has answered it; a desktop has been told
    unheld/              where a Cargo is led to that is not held
    seen/HASH.json       which build scripts and macros an enrolled workspace had
    accepted/HASH.json   which settings of its own configuration: see `cargo.accepted_settings`
    stubs/DIGEST         a beginning of stubs that was in use: see `cargo.adopted_scripts`
    servers/HASH         leads to the server for macros of an enrolled workspace
    macro-server         what editors call in place of rust-analyzer's server for macros
    editors.json         which settings of editors were changed: see `workflow.editor_settings`
    questions            locked while a terminal is asked: see `workflow.live_question`
    first-seen.json      see `cargo.first_sight`; it stays when all is switched off
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.errors import BuildpermError
from buildperm.sandbox import private_cache
from buildperm.supervisor import standing_link

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOLD = standing_link.HOLD

FIRST_SEEN = "first-seen.json"
"""The file in it with the times of `cargo.first_sight`."""

QUESTIONS = "questions"
"""The file in it by whose locks one terminal is asked one question at a time."""

_FORMAT = 1
OTHERS = ("leave", "warn", "baseline", "grants")
"""What holds for a workspace that is not enrolled; `grants`: what its own Cargo.toml grants."""


_MADE = ("homes", "sessions", "contexts", "run", "unheld", "servers", "stubs")
_FOLDERS = (*_MADE, "seen", "accepted")
MACRO_SERVER = "macro-server"
"""What editors call as rust-analyzer's server for macros, in all workspaces."""

EDITORS = "editors.json"
"""The file in it with what `workflow.editor_settings` has written."""

_FILES = ("on.json", "lock", "canary", QUESTIONS, MACRO_SERVER, EDITORS)


@dataclass(frozen=True, slots=True)
class ChangedConfiguration:
    """One configuration of Cargo that names our wrapper."""

    cargo_home: str
    path: str  # The file, without links.
    before: str | None  # Its whole content, as hexadecimal digits; None: there was none.
    after: str  # Likewise what was written.
    wrapper: str  # The wrapper that it named before; empty for none.
    rustdoc: str  # Likewise.


@dataclass(frozen=True, slots=True)
class StandingState:
    """What is on."""

    workspaces: tuple[str, ...] = ()  # Roots, without links.
    others: str = "leave"  # One of OTHERS.
    configurations: tuple[ChangedConfiguration, ...] = ()
    targets: tuple[str, ...] = ()  # Target directories with stubs of ours.
    version: str = ""  # buildperm's.

    @property
    def is_on(self) -> bool:
        """Tell whether anything is held."""
        return bool(self.workspaces) or self.others != "leave"

    @property
    def holds_others(self) -> bool:
        """Tell whether a workspace that is not enrolled is held as well."""
        return self.others in ("baseline", "grants")

    def granting(self, root: Path) -> Path | None:
        """Return the workspace whose grants count for `root`; None where nobody's do.

        Where each is held to its own, what tests make below a workspace is that workspace's: so the
        outermost Cargo.toml above that may have grants counts.
        """
        found = self.enrolled(root)
        if found is not None or self.others != "grants":
            return found
        above = (each for each in reversed(root.parents) if _may_grant(each / "Cargo.toml"))
        return next(above, root)

    def enrolled(self, root: Path) -> Path | None:
        """Return the innermost enrolled workspace that `root` is, or lies in."""
        found = [each for each in map(Path, self.workspaces) if root.is_relative_to(each)]
        return max(found, key=lambda each: len(each.parts), default=None)


def _may_grant(manifest: Path) -> bool:
    try:
        return b"buildperm" in manifest.read_bytes()
    except OSError:
        return False


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the state is, whether it exists or not."""
    chosen = environment.get("XDG_STATE_HOME", "")
    base = Path(chosen) if chosen.startswith("/") else _home(environment) / ".local" / "state"
    return Path(os.path.realpath(base)) / "buildperm"


def _home(environment: Mapping[str, str]) -> Path:
    named = environment.get("HOME")
    return Path(named) if named else Path.home()


def read(place: Path) -> StandingState:
    """Read what is on; nothing is where there is no file.

    Raises:
        BuildpermError: The file is broken, or somebody else's.
    """
    path = place / "on.json"
    try:
        is_safe = not (private_cache.is_others(place) or private_cache.is_others(path))
        document = json.loads(path.read_bytes()) if is_safe else None
        if document is not None:
            return _parsed(document)
    except FileNotFoundError:
        return StandingState()
    except OSError as error:
        raise BuildpermError(f"cannot read `{path}`: {error.strerror}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise BuildpermError(
            f"`{path}` is broken: {error}",
            hint=f"Remove `{path}`, then run `buildperm enable` again.",
        ) from error
    raise BuildpermError(f"others may write to `{place}`", hint=f"Run `chmod -R go-w {place}`.")


def _parsed(document: Any) -> StandingState:  # noqa: ANN401 - JSON
    if document["format"] != _FORMAT:
        raise ValueError("it is of another version of buildperm")
    others = str(document["others"])
    if others not in OTHERS:
        raise ValueError(f"`{others}` is not known")
    return StandingState(
        workspaces=tuple(map(str, document["workspaces"])),
        others=others,
        configurations=tuple(ChangedConfiguration(**each) for each in document["configurations"]),
        targets=tuple(map(str, document["targets"])),
        version=str(document["version"]),
    )


def write(place: Path, state: StandingState) -> None:
    """Write what is on.

    Raises:
        BuildpermError: It cannot be written.
    """
    document = {"format": _FORMAT, **asdict(state)}
    try:
        make(place)
        replace_text(place / "on.json", json.dumps(document, indent=1).encode() + b"\n", 0o600)
    except OSError as error:
        raise _unusable(place, error) from error


def is_out_of_reach(program: str) -> bool:
    """Tell whether a program is of somebody else's state folder, and cannot be called from here.

    So it is in an image in which root has enabled it, and another user builds.
    """
    path = Path(program)
    folders = path.parts[-4:-2]
    return folders == ("buildperm", "homes") and not os.access(path, os.X_OK)


def make(place: Path) -> None:
    """Make the state folder, for nobody else.

    Raises:
        OSError: It cannot be made.
    """
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _MADE:
        (place / name).mkdir(mode=0o700, exist_ok=True)


def note_stub(place: Path, stub: bytes) -> frozenset[str]:
    """Note what stubs begin with; return the digests of all that was noted.

    Raises:
        BuildpermError: It cannot be noted.
    """
    folder = place / "stubs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / hashlib.sha256(stub).hexdigest()).touch(mode=0o600)
    except OSError as error:
        raise _unusable(place, error) from error
    return noted_stubs(place)


def noted_stubs(place: Path) -> frozenset[str]:
    """Return the digests of all that stubs have begun with."""
    try:
        return frozenset(os.listdir(place / "stubs"))
    except OSError:
        return frozenset()


def add_target(place: Path, target: Path) -> None:
    """Note a target directory in which there are stubs of ours.

    Raises:
        BuildpermError: It cannot be written.
    """
    state = read(place)
    if str(target) not in state.targets:
        write(place, replace(state, targets=tuple(sorted({*state.targets, str(target)}))))


def remove(place: Path) -> None:
    """Remove all that is of always on: what else lies there is not.

    The key lies there by which buildperm knows its own files: `policy.machine_key`.

    Raises:
        BuildpermError: It cannot be removed.
    """
    try:
        for entry in sorted(place.iterdir()) if place.is_dir() else ():
            if entry.name in _FOLDERS and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name in _FILES:
                entry.unlink(missing_ok=True)
        if place.is_dir() and not os.listdir(place):
            place.rmdir()
    except OSError as error:
        raise _unusable(place, error) from error


def macro_server(place: Path, root: Path) -> Path:
    """Return what rust-analyzer is to call as its server for macros in an enrolled workspace."""
    return place / "servers" / digest(str(root))


def forget_contexts(place: Path) -> None:
    """Have each Cargo from now on prepared anew: who is held has changed."""
    for name in ("contexts", "run"):
        for entry in (place / name).iterdir() if (place / name).is_dir() else ():
            entry.unlink(missing_ok=True)


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Wait until nobody else writes here; the kernel lets go even if this process is killed.

    Raises:
        BuildpermError: It cannot be used.
    """
    try:
        make(place)
        descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(place, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def digest(*parts: str) -> str:
    """Return a name for what consists of `parts`."""
    text = "".join(f"{len(each)}:{each}" for each in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def replace_text(path: Path, content: bytes, mode: int) -> None:
    """Write atomically.

    Raises:
        OSError: It cannot be written.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _unusable(place: Path, error: OSError) -> BuildpermError:
    return BuildpermError(
        f"cannot use the state folder `{place}`: {error.strerror}",
        hint="Make it a folder of yours, or set XDG_STATE_HOME to another one.",
    )
