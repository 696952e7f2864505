"""Finds the session of a build script that plain Cargo runs while buildperm is always on.

Which one it is depends on the Cargo above: `STATE/run/PID-STARTED` leads to the folder that was
made for it, by the first compiler call or the first script of that Cargo. Here it is made where it
is missing, by `workflow/standing_hold.py`. Where nothing of that Cargo is held, the true build
script takes the place of this process.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import sys

from buildperm.supervisor import environment, script, supervision
from buildperm.supervisor.standing_link import HOLD, run_link
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

SESSION = b"buildperm-session"
UNHELD = b"unheld"
"""The name of the folder that a Cargo is led to that is not held."""

_NAME_MOST = 64

_CANNOT = 23  # As `errors.ExitCode.CANNOT_ENFORCE`.


def main(state: str, arguments: list[str]) -> NoReturn:
    """Supervise the build script whose stub is `arguments[0]`, or become it.

    Args:
        state: The state folder of always on.
        arguments: The stub as Cargo called it, and what it passed to it.
    """
    given = os.fsencode(state)
    told = os.environb.get(b"BUILDPERM_PARENT", b"")
    parent = int(told) if told.isdigit() else os.getppid()
    if not os.path.isdir(given + b"/run"):  # Switched off since.
        if not os.path.lexists(given):  # Or this is another machine, such as a container.
            _tell_unheld(parent)
        _become(arguments)
    link = run_link(given, parent)
    if not link:
        _refuse("the Cargo that runs this build script has ended")
    if not _fits(link):
        _prepare(given, parent)
    try:
        folder = os.path.realpath(link, strict=True)
    except OSError:
        _refuse("nothing was prepared for the Cargo that runs this build script")
    if os.path.basename(folder) == UNHELD:
        _become(arguments)
    if os.environb.get(b"RUSTDOC", b"").startswith(given + b"/"):  # Ours is for Cargo.
        compiler = os.environb.get(b"RUSTC", b"")
        os.environb[b"BUILDPERM_RUSTDOC"] = os.path.join(os.path.dirname(compiler), b"rustdoc")
    supervision.main(arguments, folder + b"/" + SESSION)


def _tell_unheld(cargo: int) -> None:
    """Say that nobody holds this script, where Cargo says things: it keeps what a script prints."""
    name = os.environb.get(b"CARGO_PKG_NAME", b"")  # A project sets it as it likes: `[env]`.
    is_plain = len(name) <= _NAME_MOST and name.replace(b"-", b"").replace(b"_", b"").isalnum()
    said = b"buildperm: nothing holds the build script of %s: %s\n" % (
        name if is_plain else b"a package",
        b"it was compiled where buildperm is on, and it is not here",
    )
    try:
        its = os.open(f"/proc/{cargo}/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)
    except OSError:
        its = 2
    os.write(its, said)


def _fits(link: bytes) -> bool:
    """Tell whether what was prepared is for the target directory that this script is built in."""
    try:
        with open(link + b"/target", "rb") as file:
            target = file.read().rstrip(b"\n")
    except OSError:
        return os.path.basename(os.path.realpath(link)) == UNHELD
    return os.environb.get(b"OUT_DIR", b"").startswith(target + b"/")


def _prepare(state: bytes, parent: int) -> None:
    words = [os.fsencode(sys.executable), b"-I", os.fsencode(HOLD), state, b"%d" % parent]
    variables = {name: value for name, value in os.environb.items() if not name.startswith(b"LD_")}
    child = os.posix_spawn(words[0], words, variables, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
    _, status = os.waitpid(child, 0)
    if status:
        os._exit(_CANNOT)  # It has said why.


def _become(arguments: list[str]) -> NoReturn:
    """Become the true build script."""
    words = [os.fsencode(each) for each in arguments]
    try:
        program = script.real_program(os.path.abspath(words[0]))
        variables = {
            name: value
            for name, value in environment.as_given(os.environb).items()
            if name not in (b"BUILDPERM_FALLBACK", b"BUILDPERM_PARENT", b"BUILDPERM_LIBRARIES")
        }
        os.execve(program, words, variables)  # noqa: S606 - what Cargo meant to run
    except (script.StoppedError, OSError) as error:
        _refuse(f"cannot run the build script of `{encode(words[0])}`: {error}")


def _refuse(why: str) -> NoReturn:
    text = f"buildperm: {why}\n  hint: build again; `buildperm status` says what is on\n"
    os.write(2, text.encode())
    os._exit(_CANNOT)
