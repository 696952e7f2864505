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
    assert said_last(TRACE + "Error: no protoc\n" + NOTE) == "Error: no protoc"
    assert said_last("\n".join("abcdefgh")) == "c / d / e / f / g / h"


@pytest.mark.parametrize("told", ["cargo:rerun-if-env-changed=CC\n", "cargo::warning=x\n"])
def test_what_is_said_for_cargo_is_nobodys_last_word(told: str) -> None:
    assert said_last("error: no protoc\n" + told * 9) == "error: no protoc"
    assert said_last(PANIC + TRACE + NOTE + told * 9).endswith("no protoc: %s")
    assert said_last(told) == told.strip()  # Where nothing else was said.


def test_the_last_panic_is_told_with_what_was_said_after_it() -> None:
    first = PANIC.replace("main", "worker") + TRACE + NOTE
    last = "thread 'main' panicked at build.rs:9:1:\nthe worker failed\n" + TRACE + NOTE

    said = said_last(first + "retrying\n" + last + "giving up\n")

    assert said == "thread 'main' panicked at build.rs:9:1: / the worker failed / giving up"


def test_numbered_lines_of_a_script_are_its_words() -> None:
    assert said_last("3: expected a name\nat line 3\n") == "3: expected a name / at line 3"
