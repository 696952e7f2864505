"""The C programs are compiled once, and again where they are not what was compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import native_programs
from buildperm.sandbox.native_programs import NativePrograms, programs
from tests.programs import only_compiler

_ROOT = Path(native_programs.__file__).parent.parent
_SOURCES = (_ROOT / "supervisor" / "compiling", _ROOT / "tracer" / "recorder" / "stops")


@pytest.fixture(scope="module", name="compiled")
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled") / "kept"
    programs(folder)
    return folder


@pytest.fixture(name="made")
def _made(compiled: Path, tmp_path: Path) -> NativePrograms:
    return programs(shutil.copytree(compiled, tmp_path / "kept"))


def test_they_are_compiled_once(made: NativePrograms, tmp_path: Path) -> None:
    before = made.shim.stat().st_ino
    assert programs(tmp_path / "kept") == made
    assert made.shim.stat().st_ino == before
    assert made.shim.parent.name == made.digest
    assert made.shim.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_damaged_one_is_made_anew(made: NativePrograms, tmp_path: Path) -> None:
    good = made.host.read_bytes()
    made.host.write_bytes(good[:-1] + b"\1")
    assert programs(tmp_path / "kept") == made
    assert made.host.read_bytes() != good[:-1] + b"\1"


@pytest.mark.slow
def test_one_that_others_can_change_is_made_anew(made: NativePrograms, tmp_path: Path) -> None:
    made.shim.chmod(0o777)
    programs(tmp_path / "kept")
    assert made.shim.stat().st_mode & 0o022 == 0


def test_a_folder_that_others_can_change_is_not_taken(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    kept.chmod(0o777)
    with pytest.raises(CannotEnforceError, match="others can write"):
        programs(kept)
    assert not list(kept.iterdir())


@pytest.mark.slow
def test_another_compiler_makes_others(
    made: NativePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.write_text(f'#!/bin/sh\nexec {shutil.which("cc")} "$@"\n')
    compiler.chmod(0o700)
    monkeypatch.setenv("PATH", f"{compiler.parent}:{os.environ['PATH']}")
    assert programs(tmp_path / "kept").digest != made.digest


@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        (None, "there is no C compiler"),
        ("echo 'x.c:1: error: no' && exit 1", "cannot make .*: x.c:1: error: no"),
        ("exit 1", "cannot make .*: it says nothing"),
    ],
)
def test_there_is_a_message_where_they_cannot_be_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str | None, message: str
) -> None:
    monkeypatch.setenv("PATH", str(only_compiler(tmp_path / "bin", compiler)))
    with pytest.raises(CannotEnforceError, match=message) as raised:
        programs(tmp_path / "kept")
    assert "C compiler" in raised.value.hint
    kept = tmp_path / "kept"
    assert not kept.exists() or not list(kept.iterdir())


def test_the_inner_loop_is_compiled_once_and_made_anew_where_it_is_damaged(tmp_path: Path) -> None:
    made = native_programs.inner_loop(tmp_path / "kept")
    (library,) = (tmp_path / "kept").glob("*/*.so")
    assert made == library.read_bytes()
    before = library.stat().st_ino
    assert native_programs.inner_loop(tmp_path / "kept") == made
    assert library.stat().st_ino == before
    library.write_bytes(made[:-1] + b"\1")
    assert native_programs.inner_loop(tmp_path / "kept") == made


@pytest.mark.parametrize("compiler", [None, "exit 1"])
def test_without_a_compiler_there_is_no_inner_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str | None
) -> None:
    monkeypatch.setenv("PATH", str(only_compiler(tmp_path / "bin", compiler)))
    assert native_programs.inner_loop(tmp_path / "kept") == b""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.slow
def test_compilers_have_nothing_to_say(compiler: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    for source in sorted(path for folder in _SOURCES for path in folder.glob("*.c")):
        flags = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
        command = [compiler, *flags, "-fPIC", "-c", "-o", f"{tmp_path}/made.o", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
