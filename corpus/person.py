"""A person who allows everything, in plain text, and types what has to be typed."""

from __future__ import annotations

import os
import pty
import re
import select
import time
from collections.abc import Sequence

from corpus.workshop import TIMED_OUT, Step, Workshop

# To all else: `a`, allow. A crate's name, where it has to be typed, is in the question.
_ANSWERS = {
    b"(w k": b"w",
    b"(y k": b"y",
    b"(override k": b"override",
    b"(q, Enter": b"",
    b"(o q, Enter": b"",
}
_NAMED = re.compile(rb"\(type (\S+) to allow")
_QUESTION = b"Answer "
_IMPOSSIBLE = b"Not possible: "  # No rule of Cargo.toml can allow it: left for later.
_MOST_ANSWERS = 600


def answer(workshop: Workshop, command: Sequence[str]) -> Step:
    """Run a command in a terminal of its own, and answer whatever it asks."""
    began = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(workshop.folder)
        environment = workshop.environment | {"CARGO_NET_OFFLINE": "true"}
        os.execvpe(command[0], list(command), environment)
    told = bytearray()
    answered = number = 0
    ended_early = False
    while not ended_early:
        if not select.select([terminal], [], [], max(0.0, workshop.left))[0]:
            ended_early = True
            break
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed.
            break
        if not piece:
            break
        told += piece
        at = told.rfind(_QUESTION)
        if at >= answered and told.endswith(b": "):
            question = bytes(told[at + len(_QUESTION) :])
            os.write(terminal, letter(question, bytes(told[answered:])) + b"\n")
            answered = len(told)
            number += 1
            ended_early = number > _MOST_ANSWERS
    if ended_early:
        os.kill(child, 15)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    code = TIMED_OUT if ended_early else os.waitstatus_to_exitcode(status)
    text = told.decode("utf-8", "replace").replace("\r\n", "\n")
    step = Step(code, round(time.monotonic() - began, 1), text, "")
    workshop.log("by-hand", command, step)
    return step


def letter(question: bytes, before: bytes) -> bytes:
    """Return the answer to a question; `before` is all that was said since the last one."""
    if _IMPOSSIBLE in before:
        return b"s"
    if named := _NAMED.match(question):
        return named[1]
    return next((to for start, to in _ANSWERS.items() if question.startswith(start)), b"a")
