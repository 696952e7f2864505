"""What an executor needs besides a script: this Python with its library, and the supervisor.

Both are part of each action, so an executor needs neither; and what it runs is what runs here.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import buildperm
from buildperm.errors import BuildpermError
from buildperm.sandbox import private_cache
from buildperm.tracer.notation import encode
from buildperm.workflow.report_outputs import replace_file

NAMED_BY = "BUILDPERM_REMOTE_FILES"
"""The variable that names the file with the nodes."""

PLACE = b"/.buildperm/lib/buildperm"
"""Where the package lies on an executor."""

_ROOMS = ("supervisor", "cache", "rules", "tracer")
_LEFT_OUT = frozenset(
    ("__pycache__", "site-packages", "dist-packages", "test", "tests", "ensurepip", "idlelib")
) | {"lib2to3", "pydoc_data", "tkinter", "turtledemo"}
# What a supervisor imports that is linked with more than libc; ld.so(8) finds it by its own rules.
_LINKED = "ctypes, json, marshal, mmap, resource, select, socket, time, zlib, _blake2"
_CHILD = f"import {_LINKED}; print(open('/proc/self/maps').read())"


def python() -> bytes:
    """Return the path of this Python, without links and without a virtual environment."""
    return os.fsencode(os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable))


def command() -> list[bytes]:
    """Return the command of a supervisor on an executor; a folder is added."""
    return [python(), b"-BIS", PLACE + b"/supervisor/main.py", b"--executor"]


def write() -> Path:
    """Write the nodes, with digest and size of each file; return where they are.

    Raises:
        BuildpermError: It cannot be found out what this Python needs, or not be written.
    """
    folder = private_cache.folder("executor")
    if folder is None:
        raise BuildpermError(
            f"`{private_cache.place('executor')}` cannot be made, or others may write there",
            hint="Set XDG_CACHE_HOME to a folder of your own.",
        )
    path = folder / "files.json"
    try:
        replace_file(path, json.dumps(list(_nodes())).encode())
    except OSError as error:
        raise BuildpermError(
            f"`{error.filename or path}` cannot be used: {error.strerror}",
            hint="Build without `--runtime remote`.",
        ) from error
    return path


def _nodes() -> Iterator[list[Any]]:
    own = Path(buildperm.__file__).parent
    yield _file(PLACE + b"/__init__.py", own / "__init__.py")
    yield _file(PLACE + b"/printable.py", own / "printable.py")
    for room in _ROOMS:
        for path in _sources(Path(os.path.realpath(own / room)), {".py"}):
            inner = os.fsencode(path.relative_to(os.path.realpath(own / room)))
            yield _file(PLACE + b"/" + room.encode() + b"/" + inner, path)
    yield _file(python(), Path(os.fsdecode(python())))
    for name in dict.fromkeys(("stdlib", "platstdlib")):
        for path in _sources(Path(os.path.realpath(sysconfig.get_path(name))), {".py", ".so"}):
            yield _file(os.fsencode(path), path)
    yield from _libraries()


def _sources(folder: Path, endings: set[str]) -> Iterator[Path]:
    for top, folders, names in os.walk(folder):
        folders[:] = sorted({*folders} - _LEFT_OUT)
        for name in sorted(names):
            if os.path.splitext(name)[1] in endings:
                yield Path(top, name)


def _libraries() -> Iterator[list[Any]]:
    """Yield the libraries that this Python is linked with, and the links that lead to them."""
    ended = subprocess.run(
        [python(), "-BIS", "-c", _CHILD], capture_output=True, check=False, timeout=60
    )
    if ended.returncode:
        raise BuildpermError(
            "it cannot be found out which libraries this Python needs",
            hint="Use another Python, or build without `--runtime remote`.",
        )
    mapped = {line.split(None, 5)[5] for line in ended.stdout.splitlines() if line.count(b"/")}
    wanted = sorted(path.strip() for path in mapped if path.startswith(b"/"))
    for path in wanted:
        yield _file(path, Path(os.fsdecode(path)))
    yield from _links_to(frozenset(wanted))
    cache = Path("/etc/ld.so.cache")
    if cache.is_file():
        yield _file(os.fsencode(cache), cache)


def _links_to(files: Iterable[bytes]) -> Iterator[list[Any]]:
    """Yield the links by which a loader finds these files: their names, and the system's folders.

    The loader of a program is named by the program, through `/lib64`: hier(7).
    """
    for top in (b"/lib", b"/lib64", b"/lib32", b"/bin", b"/sbin"):
        if os.path.islink(top):
            yield ["link", encode(top), encode(os.readlink(top))]
    for folder in sorted({os.path.dirname(path) for path in files}):
        for entry in os.scandir(folder):
            if entry.is_symlink() and os.path.realpath(entry.path) in files:
                yield ["link", encode(entry.path), encode(os.readlink(entry.path))]
    loader = b"/lib64/ld-linux-x86-64.so.2"
    if os.path.islink(loader):
        real = os.path.realpath(os.path.dirname(loader)) + b"/" + os.path.basename(loader)
        yield ["link", encode(real), encode(os.readlink(loader))]


def _file(path: bytes, source: Path) -> list[Any]:
    content = source.read_bytes()
    named = hashlib.sha256(content).hexdigest()
    return ["file", encode(path), encode(os.fsencode(source)), named, len(content)]
