"""A person who allows everything, in plain text, and types what has to be typed."""

from __future__ import annotations

import os
import pty
import re
import select
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

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
BY_HAND = "add it to Cargo.toml by hand"


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


def allowed(told: str) -> dict[str, int]:
    """Return how often something was allowed by hand, by crate: scripts that fail ask in rounds."""
    found: dict[str, int] = {}
    crate = ""
    for line in told.splitlines():
        if line.startswith("Crate: "):
            crate = line.split()[1]
        elif line == "Allowed.":
            found[crate] = found.get(crate, 0) + 1
    return found


def write_locked(folder: Path, asked: Sequence[Mapping[str, Any]]) -> None:
    """Write into Cargo.toml what no answer allows, but a person may write there with a reason."""
    path = folder / "Cargo.toml"
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    table: Any = document.setdefault("workspace" if "workspace" in document else "package", {})
    for key in ("metadata", "buildperm", "crates"):
        table = table.setdefault(key, {})
        if key == "buildperm":
            table.setdefault("version", 1)
    written = [each for each in asked if BY_HAND in each["locked"]]
    for each in written:
        crate = table.setdefault(each["crate"], {})
        for kind, pattern in each["rules"]:
            crate[kind] = sorted({*crate.get(kind, ()), pattern})
        crate["reviewed"] = sorted({*crate.get("reviewed", ()), each["version"]})
        crate["reason"] = "the corpus allows everything that can be allowed"
    if written:
        path.write_text(tomlkit.dumps(document), encoding="utf-8")


def letter(question: bytes, before: bytes) -> bytes:
    """Return the answer to a question; `before` is all that was said since the last one."""
    if _IMPOSSIBLE in before:
        return b"s"
    if named := _NAMED.match(question):
        return named[1]
    return next((to for start, to in _ANSWERS.items() if question.startswith(start)), b"a")
