"""What is told of a script that fails under the new grants."""

from __future__ import annotations

import pytest

from buildperm.workflow.verification import said_last

PANIC = "thread 'main' panicked at build.rs:4:5:\nno protoc: %s\n"
TRACE = "stack backtrace:\n" + "".join(
    f"  {number}: core::panicking::panic_fmt\n             at /rustc/x/library/core.rs:7:1\n"
    for number in range(20)
)
NOTE = "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n"


@pytest.mark.parametrize("head", ["", "cargo:rerun-if-changed=build.rs\n" * 9])
@pytest.mark.parametrize("tail", ["", TRACE + NOTE])
@pytest.mark.parametrize("thread", ["thread 'main' panicked", "thread 'main' (77) panicked"])
def test_a_panic_is_told_by_its_place_and_message(head: str, tail: str, thread: str) -> None:
    panic = PANIC.replace("thread 'main' panicked", thread)

    said = said_last(head + panic + tail)

    assert said == f"{thread} at build.rs:4:5: / no protoc: %s"


def test_what_comes_before_a_trace_is_told_where_nothing_panicked() -> None:
    assert said_last("Error: no protoc\n" + TRACE) == "Error: no protoc"
    assert said_last(TRACE)
    assert said_last("\n".join("abcdefgh")) == "c / d / e / f / g / h"
