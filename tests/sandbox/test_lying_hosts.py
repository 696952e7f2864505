"""A process for macros may say anything: rustc fails, says whose macros they are, and no worse."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from buildperm.sandbox import foreseen_calls
from buildperm.sandbox.shimmed_compiler import CompilerRun
from tests.programs import program_text
from tests.sandbox.macro_workshop import MacroWorkshop, workshop

_WANTED = """
extern crate proc_macro;
#[proc_macro]
pub fn wanted(_: proc_macro::TokenStream) -> proc_macro::TokenStream { "()".parse().unwrap() }
"""
_LOADING = (
    *("table of garbage", "empty table", "name that is no UTF-8", "surrogate", "overlong"),
    *("unknown kind", "too many", "attributes that are not there", "too many macros"),
    *("bytes behind", "another symbol", "another layout", "huge frame", "no word"),
    *("huge frame within bounds", "half a head", "two frames", "wrong turn"),
)
_RUNNING = (
    *("done with nothing", "done with garbage", "panic that is no UTF-8", "panic that is longer"),
    *("huge call", "half a call", "table again"),
)
_QUEUING = (
    *("a queue longer than its frame", "a queue longer than all", "half a head in a queue"),
    *("a call longer than its queue", "an empty call in a queue", "garbage in a queue"),
    *("a call in a queue that waits for its answer", "a stream that is dropped twice"),
    *("a stream that is none is dropped", "a stream that is none is cloned", "half a handle"),
    *("another handle", "a clone answered like a drop", "a drop answered like a clone"),
    "a wrong queue at the end",
)
_PANICKED = 101


@pytest.fixture(name="shop", scope="module")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> MacroWorkshop:
    return workshop(tmp_path_factory.mktemp("lies"))


@pytest.fixture(name="wanted", scope="module")
def _wanted(shop: MacroWorkshop) -> Path:
    return _library(shop, "wanted")


def _library(shop: MacroWorkshop, name: str) -> Path:
    source = shop.folder / f"{name}.rs"
    source.write_text(_WANTED)
    done = shop.plain("--crate-type=proc-macro", "-Cextra-filename=-1", source)
    assert done.returncode == 0, done.stderr
    return shop.folder / f"lib{name}-1.so"


def _lying(shop: MacroWorkshop, lie: str, seed: int = 0) -> Path:
    host = shop.folder / "lying_host.py"
    host.write_text(program_text("lying_host.py", PYTHON=sys.executable, LIE=lie, SEED=str(seed)))
    host.chmod(0o700)
    return host


def _lied_to(shop: MacroWorkshop, wanted: Path, lie: str, seed: int = 0) -> CompilerRun:
    consumer = shop.consumer("wanted::wanted!();", wanted)
    return shop.shimmed(*consumer, host=_lying(shop, lie, seed))


@pytest.mark.parametrize("lie", _LOADING)
@pytest.mark.quick(6)
def test_no_table_is_made_of_what_is_none(shop: MacroWorkshop, wanted: Path, lie: str) -> None:
    run = _lied_to(shop, wanted, lie)
    assert run.status == 1, run.stderr
    assert b"buildperm: the process for the macros of `wanted` failed" in run.stderr


@pytest.mark.parametrize("lie", _RUNNING)
def test_no_result_is_made_of_what_is_none(shop: MacroWorkshop, wanted: Path, lie: str) -> None:
    run = _lied_to(shop, wanted, lie)
    assert run.status == 1, run.stderr
    assert b"buildperm: the process for the macros of `wanted` failed" in run.stderr
    assert b"internal compiler error" not in run.stderr


@pytest.mark.parametrize("lie", _QUEUING)
@pytest.mark.quick(5)
def test_nothing_is_answered_that_the_compiler_does_not_answer(
    shop: MacroWorkshop, wanted: Path, lie: str
) -> None:
    run = _lied_to(shop, wanted, lie)
    assert run.status == 1, run.stderr
    assert (
        b"buildperm: the process for the macros of `wanted` failed: "
        b"it answered its macros what the compiler does not answer"
    ) in run.stderr
    assert b"internal compiler error" not in run.stderr


@pytest.mark.parametrize("lie", ["half a queue, and the end", "a queue for ever"])
def test_a_process_that_ends_in_its_queue_fails_the_expansion(
    shop: MacroWorkshop, wanted: Path, lie: str
) -> None:
    run = _lied_to(shop, wanted, lie)
    assert run.status == 1, run.stderr
    assert b"the process for the macros of `wanted` failed: it has ended" in run.stderr


@pytest.mark.parametrize("lie", ["millions in a queue", "queue upon queue"])
@pytest.mark.slow
def test_a_long_queue_is_made(shop: MacroWorkshop, wanted: Path, lie: str) -> None:
    run = _lied_to(shop, wanted, lie)
    assert (run.status, run.stderr) == (0, b"")


def test_where_nothing_is_foreseen_nothing_can_be_queued(shop: MacroWorkshop, wanted: Path) -> None:
    consumer = shop.consumer("wanted::wanted!();", wanted)
    host = _lying(shop, "a call in a queue that waits for its answer")
    run = shop.shimmed(*consumer, host=host, foreseen=foreseen_calls.NONE)
    assert run.status == 1
    assert b"it answered its macros what the compiler does not answer" in run.stderr


def test_a_reason_is_shown_in_plain_letters(shop: MacroWorkshop, wanted: Path) -> None:
    run = _lied_to(shop, wanted, "failure in JSON")
    (line,) = (line for line in run.stderr.splitlines() if line.startswith(b"buildperm"))
    assert b'?{"reason":"build-finished"}?[2J??' in line
    assert not any(line.startswith(b"{") for line in run.stderr.splitlines())


@pytest.mark.parametrize("lie", ["unknown call", "empty call"])
def test_rustc_that_breaks_off_says_over_whose_macros(
    shop: MacroWorkshop, wanted: Path, lie: str
) -> None:
    run = _lied_to(shop, wanted, lie)
    assert run.status == -signal.SIGABRT
    assert b"rustc broke off over what the process for the macros of `wanted` asked" in run.stderr


def test_an_internal_error_says_whose_macros_ran_last(shop: MacroWorkshop, wanted: Path) -> None:
    run = _lied_to(shop, wanted, "done with an unknown handle")
    assert run.status == _PANICKED
    assert b"use-after-free in `proc_macro` handle" in run.stderr  # Rust's own check.
    assert b"buildperm: the macros that ran last are those of `wanted`" in run.stderr


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "lie", ["calls of garbage", "done with garbage that looks well", "calls that exist"]
)
@pytest.mark.quick(6)
def test_garbage_does_not_reach_the_memory_of_rustc(
    shop: MacroWorkshop, wanted: Path, lie: str, seed: int
) -> None:
    run = _lied_to(shop, wanted, lie, seed)
    assert run.status in {0, 1, _PANICKED, -signal.SIGABRT}, run.stderr


def test_more_macros_than_there_is_place_for_are_refused(shop: MacroWorkshop, wanted: Path) -> None:
    other = _library(shop, "other")
    consumer = shop.consumer("wanted::wanted!(); other::wanted!();", wanted, other)
    run = shop.shimmed(*consumer, host=_lying(shop, "most macros"))
    assert run.status == 1
    assert b"macros of `other` failed: more than 16384 macros are loaded" in run.stderr
