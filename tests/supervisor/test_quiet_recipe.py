"""Which hosts launchers start themselves, and what they are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.supervisor import landlock, quiet_recipe
from buildperm.supervisor.macro_request import MacroRequest
from buildperm.supervisor.macro_supervision import MacroPlan, MacroSupervisor
from tests.bench import Bench
from tests.supervisor.macro_bench import MacroBench


@pytest.fixture
def macros(own_bench: Bench) -> MacroBench:
    made = MacroBench(own_bench, Path("/usr/bin/true"), own_bench.package)
    made.prepare()
    return made


def planned(macros: MacroBench) -> MacroPlan:
    macros.write_session()
    request = MacroRequest(macros.request()[4:])
    return MacroSupervisor(request, dict(os.environb), b"a-1").prepare()


def test_an_ordinary_host_is_described_whole(macros: MacroBench) -> None:
    plan = planned(macros)
    rights = plan.run.rights(b"")

    assert quiet_recipe.is_possible(plan)
    told = quiet_recipe.recipe(plan, rights, b"/")

    assert told is not None
    size = int.from_bytes(told[:4], "little")
    assert told[4 : 4 + size] == plan.run.session["quiet_filter"]
    texts = told[4 + size :].split(b"\0")[:-1]
    variables = [text[4:] for text in texts if text.startswith(b"env ")]
    assert dict(each.split(b"=", 1) for each in variables) == plan.variables
    rules = [text.split(b" ", 2)[1:] for text in texts if text.startswith(b"rule ")]
    known = landlock.file_rights(plan.run.abi)
    assert {path: int(allowed, 16) for allowed, path in rules} == {
        path: allowed & known for path, allowed in quiet_recipe.needed_rules(rights).items()
    }


@pytest.mark.parametrize("case", ["write", "memory", "wrapper", "fifo", "library", "loader"])
def test_others_are_for_supervisors(macros: MacroBench, case: str) -> None:
    if case == "write":
        macros.grants = {"write": ["$WORKSPACE/made"]}
    elif case == "memory":
        macros.limits = {"memory_bytes": 1 << 30}
    elif case == "wrapper":
        macros.bench.wrapper = [b"/usr/bin/bwrap"]
    elif case == "loader":
        macros.grants = {"env": ["LD_PRELOAD"]}
        macros.environment = {"LD_PRELOAD": "libm.so.6"}
    elif case == "fifo":
        macros.environment = {"CARGO_MAKEFLAGS": "-j --jobserver-auth=fifo:/tmp/x"}
    else:
        macros.library.write_bytes(Path("/bin/ls").read_bytes())  # It needs more than libc.

    assert not quiet_recipe.is_possible(planned(macros))


def test_rules_that_add_nothing_are_left_out() -> None:
    rights = {b"/": 1, b"/a": 1, b"/a/b": 3, b"/a/b/c": 2, b"/ab": 2, b"/a/b/d": 5}

    assert quiet_recipe.needed_rules(rights) == {b"/": 1, b"/a/b": 3, b"/ab": 2, b"/a/b/d": 5}
