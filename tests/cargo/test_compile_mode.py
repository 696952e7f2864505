"""How compiling is held: what Cargo.toml asks for, and what a machine cannot do."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.cargo import compile_mode
from buildperm.cargo.project import Project, Projects
from buildperm.errors import CannotEnforceError
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.sandbox.machine import probe
from tests.cargo.workspaces import Workspace
from tests.programs import program_text

POLICY = Policy("portable", {}, Path("Cargo.toml"))


@pytest.fixture
def project(workspace: Workspace, environment: Mapping[str, str]) -> Project:
    return Projects(workspace(None), environment).open(["check"])


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def with_crate(how: str) -> Policy:
    return replace(POLICY, crates={"app": CrateGrants("app", compile=how)})


def test_compiling_is_held_where_nobody_says_otherwise(project: Project) -> None:
    mode = compile_mode.choose(project, POLICY)

    assert (mode.default, mode.why) == ("hold", ())
    assert mode.programs is not None
    assert mode.told()["host"] == bytes(mode.programs.host)
    assert mode.of(None) == "hold"
    assert mode.of(CrateGrants("x", compile="off")) == "off"


@pytest.mark.parametrize("how", ["watch", "off"])
def test_what_is_not_to_be_held_takes_no_programs(
    project: Project, how: str, without_compiler: None
) -> None:
    mode = compile_mode.choose(project, replace(POLICY, compile=how))

    assert (mode.default, mode.programs, mode.of(None)) == (how, None, how)
    assert mode.why == (f'Compiling is not held: Cargo.toml says `compile = "{how}"`.',)


def test_one_crate_can_be_held_among_others_that_are_not(project: Project) -> None:
    policy = replace(with_crate("hold"), compile="off")
    mode = compile_mode.choose(project, policy)

    assert (mode.of(None), mode.of(policy.crates["app"])) == ("off", "hold")
    assert mode.programs is not None


def test_without_a_compiler_nothing_is_held(project: Project, without_compiler: None) -> None:
    mode = compile_mode.choose(project, POLICY)

    assert (mode.default, mode.programs, mode.of(None)) == ("watch", None, "watch")
    assert mode.why == ("Compiling is not held: there is no C compiler.",)
    assert mode.told()["lacking"] == "there is no C compiler"


@pytest.mark.parametrize("policy", [replace(POLICY, compile="hold"), with_crate("hold")])
def test_what_was_asked_for_by_name_is_not_given_up(
    project: Project, policy: Policy, without_compiler: None
) -> None:
    with pytest.raises(CannotEnforceError, match='`compile = "hold"` cannot be done here'):
        compile_mode.choose(project, policy)


def test_a_kernel_that_asks_nobody_cannot_hold_compiling(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = replace(probe(), notify_errno=errno.EBUSY)
    monkeypatch.setattr(compile_mode, "probe", lambda: facts)

    mode = compile_mode.choose(project, POLICY)
    assert (mode.default, mode.programs, mode.of(None)) == ("watch", None, "watch")
    assert "lets nobody answer system calls" in mode.told()["lacking"]
    with pytest.raises(CannotEnforceError, match="lets nobody answer system calls") as caught:
        compile_mode.choose(project, replace(POLICY, compile="hold"))
    assert 'compile = "watch"' in caught.value.hint
    assert compile_mode.choose(project, replace(POLICY, compile="watch")).default == "watch"


def test_a_kernel_asks_one_program_above_and_not_two() -> None:
    told = subprocess.run(
        [sys.executable, "-c", program_text("asks_about_calls.py")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout == f"0 {errno.EBUSY}\n"
