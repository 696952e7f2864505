"""Hosts of one compilation share what was found out about their rights, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildperm.supervisor.kept_rights import KeptRights
from buildperm.supervisor.macro_request import MacroRequest
from buildperm.supervisor.macro_supervision import MacroSupervisor
from buildperm.supervisor.run import Run
from buildperm.supervisor.session import identity
from tests.bench import Bench
from tests.supervisor.macro_bench import MacroBench


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def macros(own_bench: Bench) -> Iterator[MacroBench]:
    made = MacroBench(own_bench, Path("/usr/bin/true"), own_bench.package)
    made.prepare()
    made.write_session()
    yield made
    made.close()


def planned(macros: MacroBench, scratch: str, **changed: str) -> Run:
    request = MacroRequest(macros.request(**changed)[4:])
    supervisor = MacroSupervisor(request, dict(os.environb), os.fsencode(scratch))
    return supervisor.prepare().run


def test_the_next_one_gets_the_same_but_for_its_own(macros: MacroBench) -> None:
    other = macros.library.with_name("libother-1.so")
    other.write_text("a library\n")
    kept = KeptRights()
    first = planned(macros, "a-1")
    kept.of("call", first)
    (macros.bench.package / "new").touch()  # It does not count for this compilation.

    run = planned(macros, "a-2", library=str(other))
    rights = kept.of("call", run)

    expected = planned(macros, "a-2", library=str(other)).rights(b"")
    new = bytes(macros.bench.package / "new")
    assert rights == {path: allowed for path, allowed in expected.items() if path != new}
    assert bytes(macros.library) not in rights
    assert first.places["TMP"] not in rights
    assert (run.left_out, run.foreign) == (first.left_out, first.foreign)
    assert run.with_exclusions == first.with_exclusions


def test_others_are_looked_at_anew(macros: MacroBench) -> None:
    clock = Clock()
    kept = KeptRights(clock)
    kept.of("call", planned(macros, "a-1"))
    granted = macros.bench.workspace / "notes.txt"
    granted.touch()

    def rights(compilation: str) -> dict[bytes, int]:
        return kept.of(compilation, planned(macros, "a-1"))

    macros.grants = {"read": ["$WORKSPACE/notes.txt"]}
    before = identity(bytes(macros.bench.top / "session"))
    macros.write_session()
    assert identity(bytes(macros.bench.top / "session")) != before
    assert bytes(granted) in rights("call")  # Other grants.

    (macros.bench.package / ".env").touch()  # Cuts the package into pieces.
    assert bytes(macros.bench.package) in rights("call")
    with_secret = planned(macros, "a-1").rights(b"")
    assert rights("other") == with_secret != rights("call")
    clock.now += 60
    assert rights("call") == with_secret
