"""The C programs that start scripts: compiled where that can be done, and taken if they run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from buildperm.sandbox import start_programs
from tests.programs import only_compiler

_SOURCES = Path(start_programs.__file__).parent.parent / "supervisor" / "starting"


def test_it_runs_and_loads_nothing(tmp_path: Path) -> None:
    starter = start_programs.starter(tmp_path)

    assert subprocess.run([starter], env={}, check=False).returncode == 77
    said = subprocess.run(["readelf", "-ld", starter], capture_output=True, check=True).stdout
    assert b"INTERP" not in said
    assert b"NEEDED" not in said


@pytest.mark.parametrize(
    "compiler", [None, "exit 1", 'while [ "$1" != -o ]; do shift; done; printf "#!/no" >"$2"']
)
def test_without_a_compiler_that_works_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str | None
) -> None:
    monkeypatch.setenv("PATH", str(only_compiler(tmp_path / "bin", compiler)))

    assert start_programs.starter(tmp_path / "kept") == b""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.quick(1)
def test_compilers_accept_them_without_a_word(compiler: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    for names in start_programs.SOURCES_OF.values():
        made = str(tmp_path / "made")
        sources = [str(_SOURCES / name) for name in names]
        command = [compiler, *start_programs.FLAGS, "-Werror", "-o", made, *sources]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert subprocess.run([made], env={}, check=False).returncode == 77
