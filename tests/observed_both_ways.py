"""One run, observed both ways: `observed_both_ways.py ARGUMENT…` runs `buildperm` with ARGUMENTs.

Under light observation some opens do not stop. Here they do: the filter stops for opens with the
key, too, and compilers are given it as ever. So one recording holds all that full observation sees,
and says what light observation would not have seen: paths of opens that begin with `UNSEEN`.

The program is also the supervisor of the build scripts, in place of `supervisor/main.py`.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import TYPE_CHECKING, Any

UNSEEN = b"/unseen"

_THIRD, _SIXTH = 3, 6  # Of what a stop says: the number of the call, then its arguments.

_COMPILER = re.compile(r"/(cc1|cc1plus|(.*-)?clang(\+\+)?(-[\d.]+)?)$")

_LIBRARY = re.compile(r"\.so(\.[\d.]+)?$|/ld\.so\.cache$")

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    Opened: TypeAlias = tuple[str, str, str]
    """The program, the path, and how it opened it with what result."""


def stopping() -> dict[str, tuple[Any, ...]]:
    """Return the cases of light observation, but that what they let pass stops."""
    from buildperm.sandbox.seccomp_rules import LIGHT, RECORD, FilterCase

    return {
        name: tuple(FilterCase(RECORD, case.tests) for case in cases)
        if name in ("openat", "openat2")
        else cases
        for name, cases in LIGHT.items()
    }


def mark_unseen(open_calls: Any, light_opens: Any, inner_loop: Any, writer: Any) -> None:  # noqa: ANN401
    """Have the recorder mark what light observation would not have seen."""
    from buildperm.tracer.syscall_table import FOLDERS_HOW

    plain_handler, plain_interest = open_calls.handler, light_opens.LightOpens.is_of_no_interest
    plain_opened, plain_know = writer.Writer.opened, inner_loop.InnerLoop.know
    skipped: list[bool] = []  # Not empty: the call that is looked at would have gone on.
    unseen: dict[int, bool] = {}  # By thread.
    marks: list[bool] = []  # Not empty: what is filed now is to be marked.

    def is_of_no_interest(self: Any, *words: Any) -> bool:  # noqa: ANN401
        if plain_interest(self, *words):
            skipped.append(True)
        return False

    def opened(self: Any, process: Any, path: bytes, *words: Any) -> Any:  # noqa: ANN401
        return plain_opened(self, process, UNSEEN + path if marks else path, *words)

    def handler(observer: Any, name: str, layout: Any) -> Any:  # noqa: ANN401
        on_entry, on_exit = plain_handler(observer, name, layout)

        def marking_entry(tid: int, process: Any, syscall: tuple[int, ...]) -> Any:  # noqa: ANN401
            skipped.clear()
            decoded = on_entry(tid, process, syscall)
            has_key = (
                name == "openat"
                and observer.light is not None
                and syscall[_SIXTH] == observer.light.key
                and not decoded[2] & light_opens.WRITING_FLAGS
            )
            in_folder = name == "openat2" and syscall[_THIRD] in FOLDERS_HOW
            unseen[tid] = has_key or in_folder or bool(skipped)
            return decoded

        def marking_exit(tid: int, process: Any, *words: Any) -> None:  # noqa: ANN401
            light = process.light
            if unseen.pop(tid, False):
                marks.append(True)
                process.light = None  # Nobody would have looked.
            try:
                on_exit(tid, process, *words)
            finally:
                if marks:
                    process.light = light
                marks.clear()

        return marking_entry, marking_exit

    def know(self: Any, tid: int, process: Any) -> None:  # noqa: ANN401
        if process.light is None:  # All stops of the others are looked at here.
            plain_know(self, tid, process)

    inner_loop.InnerLoop.know = know
    light_opens.LightOpens.is_of_no_interest = is_of_no_interest
    writer.Writer.opened = opened
    open_calls.handler = handler


def is_unseen(event: Mapping[str, Any]) -> bool:
    """Tell whether light observation would not have seen an event."""
    return event["type"] == "opened" and str(event["path"]).startswith(UNSEEN.decode())


def unmarked(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as full observation has it."""
    return dict(event) | ({"path": event["path"][len(UNSEEN) :]} if is_unseen(event) else {})


def divided(events: Iterable[Mapping[str, Any]]) -> tuple[set[Opened], set[Opened]]:
    """Divide the opens of a recording, as program, path and outcome: unseen, and seen."""
    programs: dict[int, str] = {}
    unseen: set[Opened] = set()
    seen: set[Opened] = set()
    for event in events:
        if event["type"] == "process":
            programs[event["pid"]] = event["program"]
        elif event["type"] == "opened":
            is_refused = bool(event.get("refused"))
            number = event.get("errno", 0)
            error = errno.errorcode.get(number, str(number)) if number else "done"
            outcome = f"{event['mode']} {error}{' refused' * is_refused}"
            to = unseen if is_unseen(event) else seen
            to.add((programs.get(event["pid"], ""), unmarked(event)["path"], outcome))
    return unseen, seen


def broken(unseen: set[Opened], seen: set[Opened]) -> list[Opened]:
    """List what light observation leaves out and should not: see SECURITY.md.

    What is left out is what a compiler of the system reads, or does not find, and the libraries
    that the loader of a tool finds or not. Refusals are seen when the call is made again.
    """
    return sorted(
        each
        for each in unseen - seen
        if not each[0].startswith("/usr/")
        or not (_COMPILER.search(each[0]) or _LIBRARY.search(each[1]))
        or each[2] in ("read EACCES", "read EPERM")
        or not re.fullmatch(r"read \w+", each[2])
    )


def supervise() -> None:
    """Be the supervisor that a stub has started, or the fork server."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path.append(root)
    from buildperm.tracer.recorder import (
        inner_loop,
        light_opens,
        observation,
        open_calls,
        writer,
    )
    from buildperm.tracer.syscall_table import OpenLayout

    mark_unseen(open_calls, light_opens, inner_loop, writer)
    observation._HANDLERS[OpenLayout] = open_calls.handler
    main = os.path.join(root, "buildperm", "supervisor", "main.py")
    with open(main, encoding="utf-8") as file:
        exec(compile(file.read(), main, "exec"), {"__name__": "__main__", "__file__": main})


def command() -> None:
    """Be `buildperm`."""
    from buildperm.sandbox import seccomp, stub

    stub.SUPERVISOR = os.path.join(os.path.dirname(__file__), "observed_without_folders.py")
    seccomp.LIGHT = stopping()  # type: ignore[attr-defined]  # What it has imported.
    from buildperm.cli import main

    main()


if __name__ == "__main__":
    if sys.flags.isolated:  # `python -IS`, as every supervisor.
        supervise()
    else:
        command()
