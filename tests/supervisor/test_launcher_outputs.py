"""What a held call may write: its own outputs among those of others, and nothing else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildperm.sandbox.native_programs import programs
from tests.command import environment
from tests.programs import CHILDREN
from tests.supervisor.held_calls import HeldCalls, compiled

PROGRAM = CHILDREN / "pokes_at_outputs.py"
STEM = "mine-0123456789abcdef"
READS = """
import sys
def reads(path):
    try:
        return bool(open(path, "rb").read(1))
    except PermissionError:
        return False
print(*map(reads, sys.argv[1:3]))
"""
# What fails for another reason where nothing holds it.
ELSEWHERE = {"reaches the launcher": "EFAULT"}
if os.geteuid():
    ELSEWHERE["changes an owner"] = "EPERM"


@pytest.fixture
def launcher() -> Path:
    return programs().launcher


@dataclass(frozen=True, slots=True)
class Poked:
    """A target directory of several crates, and what lies outside of it."""

    calls: HeldCalls
    outside: Path
    port: int

    @property
    def out(self) -> Path:
        return self.calls.target / "debug" / "deps"

    def lay_out(self) -> None:
        for folder in (self.calls.target, self.outside):
            shutil.rmtree(folder, ignore_errors=True)
        for name, text in {
            "debug/deps/libother-fedcba9876543210.rlib": "other's",
            "debug/deps/other-fedcba9876543210.d": "other's",
            "debug/incremental/other-1/s/x.o": "other's",
            "debug/.fingerprint/other-1/lib-other": "other's",
            "buildperm-compile/other/unit": "other's",
        }.items():
            path = self.calls.target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.outside.mkdir()
        (self.outside / "file").write_text("secret")
        shutil.copy("/bin/true", self.outside / "tool")
        self.calls.prepare({self.calls.folder: "mine"})

    def words(self, attempts: str) -> list[str]:
        return [
            *(sys.executable, str(PROGRAM), attempts, "--crate-name", "mine", "--emit=link"),
            *("-C", f"extra-filename={STEM.removeprefix('mine')}", "-C", "debuginfo=2"),
            *("-L", f"dependency={self.out}", "--out-dir", str(self.out), str(self.outside)),
        ]

    def held(self, attempts: str = "") -> dict[str, str]:
        return said(self.calls.call(*self.words(attempts), extra=self.environment))

    def unheld(self, attempts: str) -> dict[str, str]:
        temporary = self.calls.target / "tmp"
        temporary.mkdir()
        return said(
            subprocess.run(
                self.words(attempts),
                cwd=self.calls.folder,
                env=environment(self.environment | {"TMPDIR": str(temporary)}),
                capture_output=True,
                text=True,
                check=False,
            )
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"PORT": str(self.port), "PYTHONDONTWRITEBYTECODE": "1"}

    def left(self) -> dict[str, bytes]:
        """Return all files but the call's own outputs, and what the launcher keeps of it."""
        return {
            str(path): path.read_bytes()
            for top in (self.calls.target, self.outside)
            for path in top.rglob("*")
            if path.is_file() and not path.name.startswith((STEM, f"lib{STEM}"))
            if f"%{STEM}" not in str(path)
        }


def said(told: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert told.returncode == 0, told.stderr
    return dict(line.split(": ") for line in told.stdout.splitlines())


@pytest.fixture
def poked(launcher: Path, tmp_path: Path) -> Iterator[Poked]:
    folder = tmp_path / "package"
    folder.mkdir()
    calls = HeldCalls(launcher, folder, tmp_path / "target", globals=[f"r {PROGRAM}"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Poked(calls, tmp_path / "outside", server.getsockname()[1])
        made.lay_out()
        yield made


def test_nothing_of_others_is_touched(poked: Poked) -> None:
    before = poked.left()

    results = poked.held()

    assert len(results) >= 40
    assert {name for name, result in results.items() if result == "done"} == set()
    assert poked.left() == before
    assert not [path for path in poked.out.iterdir() if path.is_symlink()]
    own = poked.out / f"{STEM}.o"
    assert not own.exists() or own.stat().st_mode & 0o7000 == 0


@pytest.mark.slow
def test_each_attempt_succeeds_where_nothing_holds_it(poked: Poked) -> None:
    attempts = list(poked.held())
    results: dict[str, str] = {}
    for attempt in attempts:
        poked.lay_out()
        (poked.out / f"{STEM}.o").touch()
        results |= poked.unheld(attempt)

    assert results == {name: ELSEWHERE.get(name, "done") for name in attempts}


def test_its_own_outputs_are_its_own(poked: Poked) -> None:
    before = poked.left()

    results = poked.held("own")

    assert set(results.values()) == {"done"}, results
    assert (poked.out / f"lib{STEM}.rlib").read_bytes() == b"planted"
    assert poked.left() == before


@pytest.mark.parametrize("is_told", [True, False])
def test_only_who_is_told_so_reads_the_manifests_of_all(poked: Poked, is_told: bool) -> None:
    manifest, other = poked.outside / "file", poked.outside / "tool"
    poked.calls.globals.append(f"m {manifest}")
    poked.calls.sections["mine"] = ["compile hold", *(["manifests yes"] if is_told else [])]
    poked.calls.prepare({poked.calls.folder: "mine"})
    reading = [
        *(sys.executable, "-c", READS, str(manifest), str(other)),
        *("--crate-name", "mine", "--out-dir", str(poked.out)),
    ]

    told = poked.calls.call(*reading, extra=poked.environment)

    assert told.stdout == f"{is_told} False\n", told.stderr


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.slow
def test_it_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")

    assert compiled(tmp_path, compiler).exists()


def test_names_that_a_loader_looks_for_are_nobodys(poked: Poked) -> None:
    words = [sys.executable, str(PROGRAM), "loader", "--crate-name", "c", "--emit=link"]

    told = poked.calls.call(
        *words, "--out-dir", str(poked.out), str(poked.outside), extra=poked.environment
    )

    assert said(told) == {"libc.so": "done", "libc.so.tmp1a": "done", "libc.so.6": "EACCES"}


def test_shortened_names_are_those_of_one_unit(poked: Poked) -> None:
    name, extra = "x" * 80, "-0123456789abcdef"
    ending = ".1gcgji0529t87lyuxni2s2i8h.1tt4d7z.rcgu.o"
    words = [sys.executable, str(PROGRAM), "shortened", "--crate-name", name, "--emit=link"]
    whole = f"{name}{extra}{ending}"[-126:]
    expected = {
        f"2ced503def47664e-{whole}": "done",
        f"c-{whole}": "done",
        f"2ced503def47664e0-{whole}": "EACCES",
        f"g-{whole}": "EACCES",
        f"-{whole}": "EACCES",
        f"2ced503def47664e-{whole[1:]}": "EACCES",
        f"2ced503def47664e-y{whole}": "EACCES",
        f"2ced503def47664e-{whole.replace(extra, extra[:-1] + '0')}": "EACCES",
        f"2ced503def47664e-{extra[1:]}.{'y' * 109}": "EACCES",
        f"2ced503def47664e-{extra}.{'y' * 108}": "EACCES",
        f"2ced503def47664e-x{extra}.{'y' * 107}": "done",
    }

    told = poked.calls.call(
        *(*words, "-C", f"extra-filename={extra}", "--out-dir", str(poked.out)),
        str(poked.outside),
        extra=poked.environment | {"NAMES": " ".join(expected)},
    )

    assert said(told) == expected
    without = poked.calls.call(
        *(*words, "--out-dir", str(poked.out), str(poked.outside)),
        extra=poked.environment | {"NAMES": f"2ced503def47664e-{whole}"},
    )
    assert set(said(without).values()) == {"EACCES"}


def test_it_loads_nothing_that_cargo_points_to(launcher: Path, tmp_path: Path) -> None:
    planted = tmp_path / "libc.so.6"
    subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", planted], check=True)
    other = compiled(tmp_path)

    def started(program: Path) -> str:
        variables = {"LD_LIBRARY_PATH": str(tmp_path)}
        told = subprocess.run([program], env=variables, check=False, capture_output=True, text=True)
        return told.stderr

    assert "usage" in started(launcher)
    assert "usage" not in started(other)  # One that looks there, and cannot even begin.
