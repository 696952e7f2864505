"""rust-analyzer's server has a process of its own expand for each place that it works for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from buildperm.sandbox.shimmed_compiler import CompilerRun
from tests.programs import CHILDREN
from tests.sandbox.macro_workshop import MacroWorkshop, workshop

_FOR_A_SERVER = 2


@pytest.fixture(name="shop", scope="module")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> MacroWorkshop:
    return workshop(tmp_path_factory.mktemp("server"))


@pytest.fixture(name="macros", scope="module")
def _macros(shop: MacroWorkshop) -> Path:
    return shop.macros("expanding_macros.rs")


def _served(shop: MacroWorkshop, macros: Path, *wanted: str) -> tuple[CompilerRun, list[str]]:
    server = shop.compiler.parent.parent / "libexec" / "rust-analyzer-proc-macro-srv"
    if not server.exists():
        pytest.skip("rust-analyzer is not installed")
    run = shop.shimmed(
        CHILDREN / "asks_macro_server.py",
        server,
        macros,
        *wanted,
        program=Path(sys.executable),
        flags=_FOR_A_SERVER,
    )
    assert run.status == 0, run.stderr
    listed, *answers = run.stdout.decode().splitlines()
    assert listed.startswith("['Twice', 'aborts'")
    return run, answers


def _hosts(run: CompilerRun) -> list[tuple[bytes, ...]]:
    return [message for message in run.messages if message[0] == b"host"]


def test_each_crate_has_a_process_of_its_own(shop: MacroWorkshop, macros: Path) -> None:
    one, other = "/tmp,CARGO_MANIFEST_DIR=/one", "/,CARGO_MANIFEST_DIR=/other,OUT_DIR=/out"
    wanted = [f"process:,{place}" for place in (one, other, one, other)]
    run, answers = _served(shop, macros, *wanted)
    first, second, third, fourth = answers
    assert first == third != second == fourth
    told = [(host[2], host[3], host[4], set(host[5:])) for host in _hosts(run)[1:]]
    assert told == [
        (b"/one", b"", b"/tmp", {b"CARGO_MANIFEST_DIR=/one"}),
        (b"/other", b"/out", b"/", {b"CARGO_MANIFEST_DIR=/other", b"OUT_DIR=/out"}),
    ]


def test_processes_that_are_not_used_any_more_end(shop: MacroWorkshop, macros: Path) -> None:
    wanted = [f"process:,/,CARGO_MANIFEST_DIR=/{number}" for number in range(12)]
    run, answers = _served(shop, macros, *wanted, wanted[0])
    assert len(set(answers)) == 13  # The first one had ended.
    assert len(_hosts(run)) == 14


def test_panics_and_ends_are_told(shop: MacroWorkshop, macros: Path) -> None:
    _, answers = _served(shop, macros, "panics:hoho,/tmp", "exits:,/tmp", "reversed:well,/tmp")
    assert answers == [
        "told to: hoho",
        "buildperm: the process for the macros of `macros` failed: it has ended",
        "well",
    ]
