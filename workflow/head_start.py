"""A head start: Cargo and rustc are asked while the command still imports what it needs.

What they say is used where it is for the same folder and environment; otherwise, and where they
fail, they are asked again, and whoever needs the answer says what is wrong.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo.project import Projects
from buildperm.errors import BuildpermError
from buildperm.sandbox import machine, stub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_begun: list[_Begun] = []


class _Begun:
    """What is being asked, and for whom."""

    def __init__(self, words: Sequence[str], default: Sequence[str], *, locked: bool) -> None:
        self.key = _key(locked=locked)
        self.projects = Projects(self.key[0], self.key[1], locked=locked)
        self.threads = [_started(lambda: self.projects.open(words, default=default))]


def begin(
    words: Sequence[str], default: Sequence[str], *, locked: bool = False, builds: bool = True
) -> None:
    """Begin to ask about the command `cargo WORDS`, or `cargo DEFAULT` without words.

    Args:
        words: As they were given.
        default: In their place.
        locked: Cargo takes Cargo.lock as it is.
        builds: What can be held on this machine is wanted, too.
    """
    try:
        begun = _Begun(words, default, locked=locked)
    except OSError:
        return  # There is no current folder.
    if builds:
        begun.threads.append(_started(_ask_machine))
    _begun[:] = [begun]


def projects(*, locked: bool) -> Projects:
    """Return what has been asked, or something to ask.

    Raises:
        OSError: There is no current folder.
    """
    key = _key(locked=locked)
    while _begun:
        begun = _begun.pop()
        for thread in begun.threads:
            thread.join()
        if begun.key == key:
            return begun.projects
    return Projects(key[0], key[1], locked=locked)


def _key(*, locked: bool) -> tuple[Path, dict[str, str], bool]:
    return Path.cwd(), dict(os.environ), locked


def _ask_machine() -> None:
    machine.probe()
    stub.libraries_before_stub()


def _started(ask: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            ask()
        except BuildpermError:
            pass  # Whoever needs the answer asks again.

    # A command that is interrupted waits for none of them.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
