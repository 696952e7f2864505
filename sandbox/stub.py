"""The stub that stands in place of a build script and starts its supervisor.

It is a C program that loads nothing, `supervisor/starting/stub.c`, or a POSIX shell script where
there is no C compiler. The linker's wrapper appends the line `# real: NAME`, the name of the real
program in the same folder, so that a hard link of the stub under another name finds it, too.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import needed_libraries, start_programs
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPERVISOR = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "supervisor", "main.py"
)

_SHELLS = (
    *(b"/bin/sh", b"/bin/sh -p"),  # There is nothing else on NixOS, where it is bash.
    *(b"/bin/bash -p", b"/usr/bin/bash -p", b"/usr/local/bin/bash -p"),
)
"""The quickest first. With `-p`, bash runs no file and no function that the environment names."""

_ENV = b"/usr/bin/env"
_SEARCHED = b"LD_LIBRARY_PATH"
_SET_ASIDE = b"-S -u LD_LIBRARY_PATH BUILDPERM_LIBRARIES=${LD_LIBRARY_PATH} "
_PROBE = {
    b"A.B": b"kept",
    b"A-B": b"kept",
    b"BASH_FUNC_true%%": b"() { return 1; }",  # As bash writes it; as `sh` it takes it, too.
    b"PATH": os.fsencode(os.defpath),
}

_STUB = b"""\
#!%(interpreter)s
# buildperm: stands in place of a build script and runs it held to what it was granted.
BUILDPERM_FALLBACK=%(session)s
python=%(python)s
supervisor=%(supervisor)s
# Cargo has programs look for libraries in folders that other build scripts have filled.
%(forget)s
if [ -n "${LD_LIBRARY_PATH+set}" ]; then
  export BUILDPERM_LIBRARIES="$LD_LIBRARY_PATH"
fi
%(libraries)s
on=%(on)s
server=$BUILDPERM_SERVER
[ -z "$on" ] || server=
if [ -n "$server" ] && [ -n "$BUILDPERM_SESSION" ] && [ -p "$server/requests" ]; then
  # A supervisor that is loaded already. The redirections below use 0 and 1 for a while, so what
  # these are is kept where no jobserver is.
  case "$CARGO_MAKEFLAGS $MAKEFLAGS" in
  *[=,][67]*[=,][89]*|*[=,][89]*[=,][67]*) kept= ;;
  *[=,][67]*) exec 8<&0 9>&1; kept="8 9" ;;
  *) exec 6<&0 7>&1; kept="6 7" ;;
  esac
  # One of the places for replies: the first that nobody has taken.
  place=1 taken=
  set -C
  while [ -n "$kept" ] && [ -z "$taken" ] && [ -p "$server/$place" ]; do
    if { true >"$server/$place.taken"; } 2>/dev/null; then taken=$place; fi
    place=$((place + 1))
  done
  set +C
  if [ -n "$taken" ] && echo "$$ $# $kept $taken" >"$server/requests"; then
    read -r status <"$server/$taken"
    case $status in
    again) ;;
    "") exit 1 ;;
    *) exit "$status" ;;
    esac
  fi
fi
if [ -x "$python" ] && [ -r "$supervisor" ]; then
  BUILDPERM_PARENT=$PPID
  export BUILDPERM_FALLBACK BUILDPERM_PARENT
  [ -z "$on" ] || set -- --on "$on" "$0" "$@"
  [ -n "$on" ] || set -- "$0" "$@"
  exec "$python" -IS "$supervisor" "$@"
fi
if [ -n "$on" ] && [ ! -e "$supervisor" ]; then
  # Always on, and buildperm is not installed any more: nobody holds anything, the build goes on.
  # Where its state is missing, too, this is another machine, such as a container.
  if [ ! -e "$on" ]; then
    name=$CARGO_PKG_NAME
    case $name in ""|*[!A-Za-z0-9_-]*) name="a package" ;; esac
    [ ${#name} -le 64 ] || name="a package"
    said="buildperm: nothing holds the build script of $name"
    said="$said: it was compiled where buildperm is on, and it is not here"
    { echo "$said" >>"/proc/$PPID/fd/2"; } 2>/dev/null || echo "$said" >&2
  fi
  while IFS= read -r line; do real=${line#"# real: "}; done <"$0"
  if [ -n "${BUILDPERM_LIBRARIES+set}" ]; then
    export LD_LIBRARY_PATH="$BUILDPERM_LIBRARIES"
    unset BUILDPERM_LIBRARIES
  fi
  exec "${0%%/*}/$real" "$@"
fi
echo "buildperm: cannot run this build script: $python or $supervisor is missing" >&2
echo "  Install buildperm again where it was. To build without it, use another target" >&2
echo "  directory, or run \\`cargo clean\\` in this one." >&2
exit 1
"""


_MARK = b"buildperm-stub:\0" + bytes(8)
"""Where the program keeps its own size, behind which it finds the text."""


@functools.cache
def shell() -> bytes:
    """Name a shell that passes on every variable and runs none, with its options.

    A project may set what it likes (`[env]`), and bash runs functions that come so. dash drops what
    has a name that is no identifier, such as `CARGO_BIN_EXE_my-prog`, which integration tests are
    compiled with. So each shell is asked.

    Raises:
        CannotEnforceError: There is none.
    """
    for words in _SHELLS:
        try:
            ran = subprocess.run(
                [*words.split(), b"-c", b"true && exec env"],
                env=_PROBE,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if {b"A.B=kept", b"A-B=kept"} <= set(ran.stdout.split(b"\n")):
            return words
    raise CannotEnforceError(
        "no shell of this machine passes on variables such as CARGO_BIN_EXE_my-prog",
        hint="Install bash.",
    )


@functools.cache
def interpreter() -> bytes:
    """Return what follows `#!` in our scripts: the shell, and env(1) before it if it can do that.

    Cargo names folders that other build scripts have filled in LD_LIBRARY_PATH, and a shell loads
    libraries before it runs a line: what it is linked with, and what its getpwuid(3) is configured
    to ask. env mostly needs libc, and no more, and keeps the variable from the shell. What it does
    need no build script may bring along: see `libraries_before_stub`.

    Raises:
        CannotEnforceError: There is no shell.
    """
    words = shell()
    set_aside = _SET_ASIDE + words
    try:
        ran = subprocess.run(
            [_ENV, set_aside, b"-c", b"exec env"],  # As the kernel does: execve(2).
            env=_PROBE | {_SEARCHED: b"/nowhere at all"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return words
    found = set(ran.stdout.split(b"\n"))
    works = {b"BUILDPERM_LIBRARIES=/nowhere at all", b"A.B=kept", b"A-B=kept"} <= found
    return _ENV + b" " + set_aside if works and _SEARCHED not in ran.stdout else words


@functools.cache
def libraries_before_stub() -> frozenset[bytes]:
    """Return the names of all libraries that are looked for before a stub's first line.

    Raises:
        CannotEnforceError: There is no shell, or what is looked for cannot be told.
    """
    words = shell()
    program, command = words.split()[0], [*words.split(), b"-c", b":"]
    if keeps_libraries_away():
        # The shell is not asked: it has the variable no more.
        program, command = _ENV, [_ENV, _SET_ASIDE + b"LD_DEBUG= " + words, b"-c", b":"]
    try:
        names = needed_libraries.of_program(program) | needed_libraries.observed(command)
        if program != _ENV:  # Some shells ask who their user is.
            names |= needed_libraries.of_libc_modules(program)
    except needed_libraries.UnknownError as error:
        raise CannotEnforceError(
            f"cannot tell which libraries `{encode(program)}` loads as it starts a build script's "
            f"stub, while other build scripts have a say in that: {error}",
            hint="Install the `env` of GNU coreutils as your system packages it.",
        ) from error
    return names


def keeps_libraries_away() -> bool:
    """Tell whether a stub's shell is started without LD_LIBRARY_PATH.

    Raises:
        CannotEnforceError: There is no shell.
    """
    return interpreter() != shell()


def stub(session_path: bytes, program: bytes | None = None, *, on: bytes = b"") -> bytes:
    """Return the stub, but for its last line.

    Args:
        session_path: Where a plain `cargo` without BUILDPERM_SESSION in its environment finds the
            session of the last command; the supervisor then enforces.
        on: The state folder of always on: which session counts is then found out when it runs, and
            without buildperm the build script runs as it would have. Empty in buildperm's own
            target directories.
        program: What it begins with; empty for a shell script, None for what this machine can have.

    Raises:
        CannotEnforceError: There is no shell to run it.
        ValueError: One of the paths holds a line break, which no stub can.
    """
    libraries = _libraries(os.environb.get(_SEARCHED, b""))
    values = {
        b"libraries": libraries,
        b"session": session_path,
        b"python": os.fsencode(sys.executable),
        b"supervisor": os.fsencode(SUPERVISOR),
        b"on": on,
    }
    for path in values.values():
        if b"\n" in path or b"\0" in path:
            raise ValueError(f"a path with a line break: {encode(path)}")
    if program is None:
        program = start_programs.stub_program()
    if program:
        return _program(program, values)
    quoted = {name: _quoted(path) for name, path in values.items()}
    searched = b"export " + _SEARCHED + b"=" + quoted.pop(b"libraries")
    if not libraries:
        searched = b"unset " + _SEARCHED
    forget = b":" if keeps_libraries_away() else b"unset BUILDPERM_LIBRARIES"
    return _STUB % {
        b"interpreter": interpreter(),
        b"forget": forget,
        b"libraries": searched,
        **quoted,
    }


def _program(program: bytes, values: Mapping[bytes, bytes]) -> bytes:
    """Return the program with what `stub.c` reads behind it."""
    assert program.count(_MARK) == 1  # Or it would be a stub for nothing.
    program = program.replace(_MARK, _MARK[:-8] + len(program).to_bytes(8, "little"))
    names = (b"session", b"python", b"supervisor", b"libraries", b"on")
    return program + b"\n" + b"".join(b"%s=%s\n" % (name, values[name]) for name in names)


@functools.cache
def _libraries(own: bytes) -> bytes:
    """Return what this interpreter needs of `own`, where it looks for libraries: mostly nothing.

    Some are installed where nobody looks, and come with a variable that says so.
    """
    if not own:
        return b""
    try:
        ran = subprocess.run(
            [sys.executable, "-IS", "-c", "import _socket, ctypes, select"],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return own
    return own if ran.returncode else b""


def _quoted(path: bytes) -> bytes:
    return os.fsencode(shlex.quote(os.fsdecode(path)))
