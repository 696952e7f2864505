"""Hosts of macros under the real supervisor: what they may do, what is recorded, how they end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildperm.tracer.recording import reader
from tests.bench import Bench
from tests.supervisor.macro_bench import MacroBench, compiled_host, served


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled_host(tmp_path_factory.mktemp("host"))


@pytest.fixture
def macros(own_bench: Bench, program: Path) -> Iterator[MacroBench]:
    """Make a bench of macros with a fork server."""
    made = MacroBench(own_bench, program, own_bench.package)
    made.prepare()
    with served(made):
        yield made
        made.close()


def test_a_run_in_which_nothing_happens_has_a_whole_recording(macros: MacroBench) -> None:
    host = macros.start()

    assert host.tell("folder").text == str(macros.bench.workspace)
    assert host.end() == 0

    assert host.printed() == ""
    header = reader.read(macros.recording).header
    assert (header.subject, header.crate, header.name) == ("macro", "macros", "macros")
    assert header.consumer == reader.Consumer("app", "app", "0.1.0", "")
    assert header.places["MANIFEST_DIR"] == os.fsencode(macros.bench.package)
    assert header.places["OUT_DIR"] == os.fsencode(macros.bench.out_dir)
    assert not (macros.folder / "buildperm/scratch").exists()
    assert not macros.refused()
