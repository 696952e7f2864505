"""The canaries of compiling: what they find out here, and where nothing is held."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import compile_canaries, macro_interface, native_programs
from buildperm.sandbox.canary import Status
from buildperm.sandbox.native_programs import NativePrograms
from buildperm.sandbox.portable_runtime import portable
from buildperm.sandbox.runtime import Runtime, runtimes
from tests.sandbox.macro_workshop import rustc


def _statuses(proof: compile_canaries.CompileProof) -> dict[str, Status]:
    return {each.canary.id: each.status for each in proof.results}


@pytest.mark.parametrize("runtime", runtimes().values(), ids=lambda each: each.name)
def test_what_is_promised_is_held_here(runtime: Runtime) -> None:
    if reason := runtime.unavailable():
        pytest.skip(f"this machine has no runtime {runtime.name}: {reason}")
    compiler = rustc()

    proof = compile_canaries.prove(compiler, compiler.parents[1], runtime)

    assert (proof.reason, proof.broken, proof.is_hosted) == ("", "", True)
    assert _statuses(proof) == {
        "compile-read": Status.ENFORCED,
        "macro-read": Status.ENFORCED,
        "macro-run": Status.WORKS,
    }
    assert [each.is_recorded for each in proof.results] == [True, True, None]


@pytest.mark.slow
def test_a_launcher_that_holds_nothing_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    useless = tmp_path / "launcher"
    useless.write_text('#!/bin/sh\nshift; exec "$@"\n')
    useless.chmod(0o755)
    programs = dataclasses.replace(native_programs.programs(), launcher=useless)
    monkeypatch.setattr(native_programs, "programs", lambda: programs)
    compiler = rustc()

    proof = compile_canaries.prove(compiler, compiler.parents[1], portable)

    found = _statuses(proof)
    assert found["compile-read"] is found["macro-read"] is Status.BROKEN
    assert proof.broken == (
        "a crate that is compiled can have the compiler read a file outside; "
        "read a file outside, in a procedural macro"
    )


def test_hosts_that_do_not_start_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    useless = tmp_path / "host"
    useless.write_text("#!/bin/sh\nexit 1\n")
    useless.chmod(0o755)
    whole = native_programs.programs()
    compiler = rustc()
    found = macro_interface.layout(compiler, whole)
    monkeypatch.setattr(
        native_programs, "programs", lambda: dataclasses.replace(whole, host=useless)
    )
    monkeypatch.setattr(macro_interface, "layout", lambda *_: found)

    proof = compile_canaries.prove(compiler, compiler.parents[1], portable)

    assert _statuses(proof)["macro-read"] is Status.ABSENT
    assert proof.broken == "nobody can use a procedural macro"


def test_where_nothing_can_be_held_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> NativePrograms:
        raise CannotEnforceError("there is no C compiler", hint="Install one.")

    monkeypatch.setattr(native_programs, "programs", none)
    compiler = rustc()

    without = compile_canaries.prove(compiler, compiler.parents[1], portable)
    assert (without.reason, without.hint) == ("there is no C compiler", "Install one.")
    assert compile_canaries.prove(None, None, portable).reason.startswith("there is no rustc")
