"""Finds out about a build script, and makes its private folders, before it runs.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import marshal
import os
import stat

from buildperm.rules import own_temporaries
from buildperm.supervisor import private_folder, session
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.writer import replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypedDict

    from buildperm.supervisor.session import Session, SessionPackage

    class ScriptContext(TypedDict):
        """Enough to run the same script again: the file `context` beside a recording."""

        env: dict[bytes, bytes]  # What Cargo gave, without names that look like secrets.
        cwd: bytes
        argv: list[bytes]  # The stub, as Cargo called it, and its arguments.
        out_dir: bytes
        program: bytes  # The real program.


PRIVATE = (b"home", b"shm", b"tmp", *map(str.encode, own_temporaries.FOLDERS.values()), b"beside")
"""The folders in the scratch folder of a run."""

_MARK = b"# real: "
_TAIL = 4096  # The mark is on the last line of the stub.
_TURN_OFF = "build in another target directory or run `cargo clean` to build without buildperm"


class StoppedError(Exception):
    """The run cannot go on; standard error says why, with a hint."""

    def __init__(self, message: str, hint: str = "", exit_status: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_status = exit_status


def real_program(stub: bytes) -> bytes:
    """Return the path of the program that `stub` stands in place of.

    Raises:
        StoppedError: The stub names none, or it is missing.
    """
    try:
        with open(stub, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _TAIL))
            line = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    except OSError as error:
        raise StoppedError(f"cannot read the stub `{encode(stub)}`: {error.strerror}") from error
    name = line[len(_MARK) :]
    if not line.startswith(_MARK) or not name or b"/" in name or name in (b".", b".."):
        raise StoppedError(f"`{encode(stub)}` names no real build script", f"{_TURN_OFF}")
    path = os.path.realpath(os.path.dirname(stub)) + b"/" + name
    try:
        is_program = stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        is_program = False
    if not is_program:
        raise StoppedError(
            f"the real build script `{encode(path)}` is missing",
            "run `cargo clean -p` for its package, then build again",
        )
    return path


def load_session(environ: Mapping[bytes, bytes]) -> Session:
    """Read the session of the command; a session of an earlier command is always enforced.

    Raises:
        StoppedError: There is none that fits.
    """
    path = environ.get(b"BUILDPERM_SESSION") or environ.get(b"BUILDPERM_FALLBACK")
    if not path:
        raise StoppedError(
            "neither BUILDPERM_SESSION nor BUILDPERM_FALLBACK is set",
            "start the build script through Cargo",
        )
    found = read_session(path)
    if not environ.get(b"BUILDPERM_SESSION"):
        found["profile"] = "enforcing"
    return found


def read_session(path: bytes) -> Session:
    """Read the session at `path`.

    Raises:
        StoppedError: There is none, or none that fits.
    """
    try:
        return session.load(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise StoppedError(
            f"cannot read the session `{encode(path)}`: {why}",
            f"run `buildperm ci` or `buildperm learn` again, or {_TURN_OFF}",
        ) from error


def find_package(loaded: Session, environ: Mapping[bytes, bytes]) -> tuple[SessionPackage, bytes]:
    """Return the package of this build script, found by its folder, and that folder.

    Raises:
        StoppedError: It is not one of those that the session knows.
    """
    folder = environ.get(b"CARGO_MANIFEST_DIR")
    if not folder:
        raise StoppedError("CARGO_MANIFEST_DIR is not set", "start the build script through Cargo")
    folder = os.path.realpath(folder)
    package = loaded["packages"].get(folder) or session.unnamed(loaded, environ)
    if package is None:
        raise StoppedError(
            f"the package in `{encode(folder)}` is not one that buildperm knows of",
            "it came after the last review: run `buildperm learn`",
        )
    return package, folder


def find_places(
    loaded: Session, environ: Mapping[bytes, bytes], manifest_dir: bytes
) -> dict[str, bytes]:
    """Return all places of this run, without links; OUT_DIR exists.

    Raises:
        StoppedError: Cargo has given no usable OUT_DIR.
    """
    given = environ.get(b"OUT_DIR")
    if not given:
        raise StoppedError("OUT_DIR is not set", "start the build script through Cargo")
    out_dir = os.path.realpath(given)
    if not os.path.isdir(out_dir):
        raise StoppedError(f"OUT_DIR `{encode(given)}` is no folder")
    places = dict(loaded["places"])
    places["MANIFEST_DIR"] = manifest_dir
    places["OUT_DIR"] = out_dir
    places["TMP"] = unit(out_dir) + b"/scratch"
    return places


def unit(out_dir: bytes) -> bytes:
    """Return the folder in which buildperm keeps its files about the run with this OUT_DIR."""
    return os.path.dirname(out_dir) + b"/buildperm"


def make_private(places: Mapping[str, bytes]) -> None:
    """Make the folder of the scratch folder, and that new and empty.

    Raises:
        StoppedError: They cannot be made.
    """
    scratch = places["TMP"]
    try:
        os.makedirs(os.path.dirname(scratch), mode=0o700, exist_ok=True)
        private_folder.renew(scratch, PRIVATE)
    except OSError as error:
        raise StoppedError(
            f"cannot make the private folder `{encode(scratch)}`: {error.strerror}"
        ) from error


def write_atomically(path: bytes, content: bytes) -> None:
    """Write `content`, readable by its owner only; a reader never sees half of it.

    Raises:
        OSError: It cannot be written.
    """
    new = path + b".new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(new, flags, 0o600), "wb") as file:
        file.write(content)
    replace_file(new, path)


def write_context(places: Mapping[str, bytes], context: ScriptContext) -> None:
    """Store what a rerun of this script needs, beside its recording."""
    content = marshal.dumps(context)  # type: ignore[arg-type]  # typeshed knows no TypedDict
    write_atomically(unit(places["OUT_DIR"]) + b"/context", content)


def features(environ: Mapping[bytes, bytes]) -> list[str]:
    """List the features of the package: CARGO_CFG_FEATURE, which older versions of Cargo lack."""
    listed = environ.get(b"CARGO_CFG_FEATURE")
    if listed is not None:
        return [encode(name) for name in listed.split(b",") if name]
    mark = b"CARGO_FEATURE_"
    # Cargo has upper-cased the name and made each `-` a `_`.
    return sorted(encode(n[len(mark) :].lower()) for n in environ if n.startswith(mark))
