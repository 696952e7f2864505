"""A request to run the macros of one library for one call of a compiler, as its launcher makes it.

It is a length and entries that a NUL ends, `KEY VALUE`; what it may say is checked here as far as
that needs no session.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 64 << 20
"""Bytes of a request. An environment is at most a quarter of the stack: execve(2)."""

LENGTH = 4
"""Bytes of the length before it, the lowest first."""

BRIDGE = 3
"""The descriptor by which a host speaks with its compiler."""

FOLDER = b"/buildperm-compile/"
"""Below TARGET_DIR: a folder for each call of a compiler, and in it one for each library."""

_VERSION = b"1"
_PATHS = (b"session", b"library", b"manifest", b"consumer", b"cwd", b"folder")
_LONGEST_NAME = 255  # NAME_MAX


class BadRequestError(Exception):
    """It is no request that buildperm's launcher would make."""


class MacroRequest:
    """What a launcher asks for."""

    __slots__ = (
        "consumer",
        "cwd",
        "environ",
        "folder",
        "library",
        "manifest",
        "out_dir",
        "session",
    )

    def __init__(self, content: bytes) -> None:
        """Take a request without its length.

        Raises:
            BadRequestError: It is none.
        """
        told, self.environ = _entries(content)
        if told.pop(b"macro", b"") != _VERSION:
            raise BadRequestError("it is of another version of buildperm")
        self.out_dir = told.pop(b"out-dir", b"")  # Empty: the consumer has no build script.
        if told.keys() != set(_PATHS):
            raise BadRequestError("it does not name what it has to")
        for path in (*told.values(), *filter(None, (self.out_dir,))):
            if not path.startswith(b"/"):
                raise BadRequestError("it names something that is no absolute path")
        self.session = told[b"session"]
        self.library = told[b"library"]
        self.manifest = told[b"manifest"]  # The folder of the package with the macros.
        self.consumer = told[b"consumer"]  # That of the package whose code they are run for.
        self.cwd = told[b"cwd"]
        self.folder = told[b"folder"]  # What is kept of this run lies in it.

    def has_folder_in(self, target: bytes) -> bool:
        """Tell whether its folder is one that a target directory has for such runs."""
        beginning = target + FOLDER
        names = self.folder[len(beginning) :].split(b"/")
        return (
            self.folder.startswith(beginning)
            and len(names) == 2
            and all(0 < len(name) <= _LONGEST_NAME for name in names)
            and not {b".", b".."}.intersection(names)
        )


def receive(read: Callable[[int], bytes]) -> MacroRequest:
    """Receive a request.

    Args:
        read: Returns at most so many bytes; none at the end.

    Raises:
        BadRequestError: It is none.
        OSError: It does not come.
    """
    length = int.from_bytes(_exactly(read, LENGTH), "little")
    if length > MOST:
        raise BadRequestError("it is too long")
    return MacroRequest(_exactly(read, length))


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        piece = read(length - len(content))
        if not piece:
            raise BadRequestError("it is cut short")
        content += piece
    return bytes(content)


def _entries(content: bytes) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Take a request apart: what it says, and the environment."""
    told: dict[bytes, bytes] = {}
    environ: dict[bytes, bytes] = {}
    *entries, rest = content.split(b"\0")
    if rest:
        raise BadRequestError("it does not end as it should")
    for entry in entries:
        key, _, value = entry.partition(b" ")
        if key == b"env":
            name, mark, text = value.partition(b"=")
            if mark and name:
                environ.setdefault(name, text)  # getenv(3) finds the first.
        elif key in told:
            raise BadRequestError("it says something twice")
        else:
            told[key] = value
    return told, environ
