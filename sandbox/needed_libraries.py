"""Which libraries a loader searches for by name as it starts a program: the names, not the files.

Cargo makes programs search folders that build scripts have filled, before any code of the program,
or of a sandbox, runs. So no script may name a folder that holds one of these libraries.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.tracer.recorder.elf import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_INTERPRETERS_MOST = 4  # Of one script's by another: execve(2), "Interpreter scripts".
_MODULES = ("libnss_*.so*", "gconv/*.so")  # Beside libc: nsswitch.conf(5), gconv(5).
_DEBUG = b"find library="


class UnknownError(Exception):
    """The names cannot be found out; the text is a clause."""


def of_program(program: bytes) -> frozenset[bytes]:
    """Return the names that the loader searches for when `program` is executed.

    It and its libraries are linked with them. The loader says where they are, by its option
    `--list`, which glibc and musl have: ld.so(8). It runs none of them.

    Raises:
        UnknownError: It is no program of a known kind.
    """
    path = _binary(program)
    interpreter, names = _look(path)
    if not interpreter:
        return frozenset()  # It is static.
    listed = _listed(interpreter, path)
    found = names.union(listed)
    for library in listed.values():
        # Under two names a library is looked for twice, and listed once.
        found |= _look(library)[1]
    return frozenset(name for name in found if b"/" not in name)


def of_libc_modules(program: bytes) -> frozenset[bytes]:
    """Return the names of what libc loads later: name services and character sets.

    Raises:
        UnknownError: It is no program of a known kind.
    """
    path = _binary(program)
    interpreter, _ = _look(path)
    if not interpreter:
        return frozenset()
    folders = {os.path.dirname(file) for file in _listed(interpreter, path).values()}
    found: set[bytes] = set()
    for folder in folders:
        for pattern in _MODULES:
            for module in Path(os.fsdecode(folder)).glob(pattern):
                name = os.fsencode(module)
                found |= {os.path.basename(name), *_look(name)[1]}
                found.update(_listed(interpreter, name) if pattern == _MODULES[0] else ())
    return frozenset(name for name in found if b"/" not in name)


def observed(command: Sequence[bytes]) -> frozenset[bytes]:
    """Run `command` and return the names that its loader searches for, later ones included.

    Only glibc tells, under LD_DEBUG: ld.so(8), also for children.

    Raises:
        UnknownError: It cannot be run.
    """
    language = {
        name: value
        for name, value in os.environb.items()
        if name in (b"LANG", b"LANGUAGE") or name.startswith(b"LC_")
    }
    said = _run(command, language | {b"LD_DEBUG": b"libs", b"LD_LIBRARY_PATH": b"/nowhere"})
    lines = (line.partition(_DEBUG)[2] for line in said.stderr.split(b"\n") if _DEBUG in line)
    return frozenset(line.partition(b" ")[0] for line in lines) - {b""}


def _run(
    command: Sequence[bytes], environment: Mapping[bytes, bytes]
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnknownError(f"it does not start: {error}") from error


def _binary(program: bytes) -> bytes:
    """Return the program that the kernel runs for `program`, which may be a script."""
    for _ in range(_INTERPRETERS_MOST):
        try:
            with open(program, "rb") as file:
                head = file.readline(256)
        except OSError as error:
            raise UnknownError(f"it cannot be read: {error.strerror}") from error
        if not head.startswith(b"#!"):
            return program
        words = head[2:].split()
        if not words:
            break
        program = words[0]
    raise UnknownError("no program runs it")


def _look(path: bytes) -> tuple[bytes, set[bytes]]:
    """Return the loader of a program or library, empty if it has none, and what it is linked with.

    A library of the system has to be readable.
    """
    try:
        image = Image(path)
    except (OSError, ValueError) as error:
        raise UnknownError(f"it cannot be read: {error}") from error
    try:
        return image.interpreter(), set(image.needed())
    except ValueError as error:
        raise UnknownError(f"it cannot be read: {error}") from error
    finally:
        image.close()


def _listed(interpreter: bytes, path: bytes) -> dict[bytes, bytes]:
    """Ask a loader for the libraries of `path`: their names, and where it finds them."""
    ran = _run([interpreter, b"--list", path], {})
    if ran.returncode:
        raise UnknownError("its loader does not list its libraries")
    return dict(_pairs(ran.stdout.splitlines()))


def _pairs(lines: Iterable[bytes]) -> Iterable[tuple[bytes, bytes]]:
    for line in lines:
        name, arrow, rest = line.strip().partition(b" => ")
        path = rest.rpartition(b" (")[0]
        if arrow and not path.startswith(b"/"):
            raise UnknownError("one of its libraries is missing")
        if arrow:  # Else it is the loader by its path, or what the kernel maps: vdso(7).
            yield name, path
