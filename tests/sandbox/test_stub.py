"""The stub that is run by sh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import stub as stubs
from buildperm.sandbox.stub import SUPERVISOR, stub


@pytest.mark.parametrize("name", ["plain", "a b", "it's", 'say "x"', "$HOME", "`id`", "ä"])
@pytest.mark.quick(2)
def test_any_path_survives_the_shell(tmp_path: Path, name: str) -> None:
    session = tmp_path / name / "session"
    program = tmp_path / name / "stub"
    program.parent.mkdir()
    text = stub(os.fsencode(session), b"").replace(
        b"-IS", b"-ISc 'import os; print(os.environ[\"BUILDPERM_FALLBACK\"])'"
    )
    program.write_bytes(text + b"# real: x\n")

    ended = subprocess.run(["sh", program], capture_output=True, check=True)

    assert ended.stdout == os.fsencode(session) + b"\n"
    assert text.count(b"\n# real:") == 0
    assert os.fsencode(sys.executable) in text


def test_no_shell_is_taken_that_runs_what_the_environment_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On many machines sh is bash."""
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "sh").symlink_to(bash)
    as_sh = os.fsencode(tmp_path / "sh")
    for honest in (as_sh + b" -p", os.fsencode(bash) + b" -p"):
        monkeypatch.setattr(stubs, "_SHELLS", (as_sh, honest))
        assert stubs.shell.__wrapped__() == honest
    monkeypatch.setattr(stubs, "_SHELLS", (as_sh,))
    with pytest.raises(CannotEnforceError):
        stubs.shell.__wrapped__()


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="a%0Ab"):
        stub(b"/a\nb")


def test_whoever_writes_stubs_does_not_load_the_supervisor() -> None:
    supervisor = "buildperm.supervisor.supervision"
    program = f"import sys, buildperm.sandbox.stub; print('{supervisor}' in sys.modules)"
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert listed.stdout == b"False\n"


def placed_without_buildperm(tmp_path: Path, kind: str, on: bytes) -> Path:
    """Return a stub whose supervisor is not there, beside a script that prints its words."""
    text = stub(b"/session", None if kind == "program" else b"", on=on)
    if kind == "program" and text.startswith(b"#!"):
        pytest.skip("no C compiler")
    supervisor = os.fsencode(SUPERVISOR)
    text = text.replace(supervisor, b"/nowhere".ljust(len(supervisor), b"x"))
    placed = tmp_path / "it's a folder" / "build-script-build"
    placed.parent.mkdir()
    placed.write_bytes(text + b"# real: the.real\n")
    placed.chmod(0o700)
    real = placed.with_name("the.real")
    real.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH $*"\n')
    real.chmod(0o700)
    return placed


@pytest.mark.parametrize("kind", ["program", "shell"])
@pytest.mark.parametrize("is_on", [True, False], ids=["always-on", "of-a-command"])
def test_without_buildperm_only_a_stub_of_always_on_becomes_the_script(
    tmp_path: Path, kind: str, is_on: bool
) -> None:
    placed = placed_without_buildperm(tmp_path, kind, on=os.fsencode(tmp_path) if is_on else b"")

    ended = subprocess.run(
        [placed, "word"],
        env={"PATH": os.defpath, "LD_LIBRARY_PATH": "/nowhere at all"},
        capture_output=True,
        check=False,
    )

    if is_on:
        assert (ended.returncode, ended.stdout) == (0, b"/nowhere at all word\n")
        assert ended.stderr == b""
    else:
        assert ended.returncode == 1
        assert b"is missing" in ended.stderr
        assert ended.stdout == b""


@pytest.mark.parametrize("kind", ["program", "shell"])
@pytest.mark.parametrize("name", ["lib-sys", "\x1b[2Jlib", "l" * 65, ""])
def test_on_another_machine_it_says_where_cargo_says_things_that_nothing_holds(
    tmp_path: Path, kind: str, name: str
) -> None:
    placed = placed_without_buildperm(tmp_path, kind, on=os.fsencode(tmp_path / "state"))
    named = f"of {name}" if name == "lib-sys" else "of a package"

    ended = subprocess.run(  # The shell is Cargo, which keeps what a script itself prints.
        ["sh", "-c", 'kept=$("$0" word 2>&1) || exit; echo "$kept"', placed],
        env={"PATH": os.defpath, "CARGO_PKG_NAME": name},
        capture_output=True,
        text=True,
        check=True,
    )

    said = f"buildperm: nothing holds the build script {named}: it was compiled where"
    assert ended.stderr.startswith(said)
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == " word\n"
