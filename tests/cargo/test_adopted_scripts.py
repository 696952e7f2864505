"""Build scripts in target directories that somebody else may have filled."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from buildperm.cargo import adopted_scripts
from buildperm.errors import BuildpermError

_STUB = b"stub of now\non=/state\n"
_OLDER = b"stub of another version\non=/state\n"
_PROGRAM = b"\x7fELF of a build script"
_UNIT = "debug/build/lib-0123456789abcdef"
_NAME = "build_script_build-0123456789abcdef"


def known(*stubs: bytes) -> frozenset[str]:
    return frozenset(hashlib.sha256(each).hexdigest() for each in stubs)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Make what Cargo makes of one build script, in `tmp_path/target`."""
    folder = tmp_path / "target" / _UNIT
    folder.mkdir(parents=True)
    (folder / _NAME).write_bytes(_PROGRAM)
    os.link(folder / _NAME, folder / "build-script-build")
    return folder


def adopt(tmp_path: Path, stub: bytes = _STUB) -> int:
    return adopted_scripts.adopt(tmp_path / "target", stub, known(stub))


def is_held(unit: Path, program: bytes = _PROGRAM) -> bool:
    stubs = {(unit / name).read_bytes() for name in (_NAME, "build-script-build")}
    real = f"# real: {_NAME}.real\n".encode()
    return stubs == {_STUB + real} and (unit / f"{_NAME}.real").read_bytes() == program


def test_a_program_gets_a_stub_as_old_as_it_is_and_is_given_back(
    unit: Path, tmp_path: Path
) -> None:
    os.utime(unit / _NAME, ns=(7, 7))
    assert adopt(tmp_path) == 1
    assert is_held(unit)
    assert (unit / _NAME).stat().st_mtime_ns == 7
    assert adopt(tmp_path) == 0  # All is well already.
    assert not adopted_scripts.without_stub(tmp_path / "target", known(_STUB))

    assert adopted_scripts.give_back(tmp_path / "target", known(_STUB)) == 1
    assert (unit / _NAME).read_bytes() == (unit / "build-script-build").read_bytes() == _PROGRAM
    assert (unit / _NAME).stat().st_mtime_ns == 7
    assert sorted(os.listdir(unit)) == ["build-script-build", _NAME]


@pytest.mark.parametrize(
    "tail", [b"\n# real: x\non=x", b"\non=/state\n# real: %s.real\n" % _NAME.encode(), _STUB]
)
def test_a_program_that_ends_like_a_stub_is_none(unit: Path, tmp_path: Path, tail: bytes) -> None:
    (unit / _NAME).write_bytes(_PROGRAM + tail)
    assert adopted_scripts.without_stub(tmp_path / "target", known(_STUB))
    assert adopt(tmp_path) == 1
    assert is_held(unit, _PROGRAM + tail)


def test_a_stub_of_another_version_keeps_its_program(unit: Path, tmp_path: Path) -> None:
    adopt(tmp_path, _OLDER)
    assert adopt(tmp_path) == 1
    assert is_held(unit)


def test_what_pretends_to_be_an_older_stub_does_not_run(unit: Path, tmp_path: Path) -> None:
    (unit / _NAME).write_bytes(_PROGRAM + b"\n# real: x\non=x")
    (unit / f"{_NAME}.real").write_bytes(b"other")
    assert adopt(tmp_path) == 1
    assert is_held(unit, b"other")


@pytest.mark.parametrize("layout", ["old", "new"])
def test_marks_of_the_other_layout_hide_no_program(unit: Path, tmp_path: Path, layout: str) -> None:
    (unit / "fingerprint").mkdir()
    (unit / "fingerprint/build-script-build").write_text("fresh")
    if layout == "new":
        (unit / "out").mkdir()
        for name in (_NAME, "build-script-build"):
            (unit / name).rename(unit / "out" / name)
    assert adopt(tmp_path) == 1
    assert is_held(unit / "out" if layout == "new" else unit)


def test_what_a_script_has_written_gets_no_stub(unit: Path, tmp_path: Path) -> None:
    out = tmp_path / "target/debug/build/lib-fedcba9876543210/out"
    out.mkdir(parents=True)
    (out / "build_script_of_mine").write_text("mine")
    assert adopt(tmp_path) == 1
    assert (out / "build_script_of_mine").read_text() == "mine"


@pytest.mark.parametrize(
    "at", ["debug", _UNIT, f"{_UNIT}/{_NAME}", f"{_UNIT}/build-script-build", "debug/build"]
)
def test_a_build_script_behind_a_link_is_refused(unit: Path, tmp_path: Path, at: str) -> None:
    link = tmp_path / "target" / at
    link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    assert adopted_scripts.without_stub(tmp_path / "target", known(_STUB))
    with pytest.raises(BuildpermError, match="a link leads to the build script"):
        adopt(tmp_path)


def test_links_to_anything_else_are_fine(unit: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/build/x").mkdir(parents=True)
    for at in ("doc", "debug/mine", "debug/build/mine", f"{_UNIT}/mine"):
        (tmp_path / "target" / at).symlink_to(tmp_path / "elsewhere")
    (unit / "build-script-gone").symlink_to(tmp_path / "nowhere")
    assert adopt(tmp_path) == 1
    assert is_held(unit)


@pytest.mark.parametrize("suffix", ["real", "stub.{pid}", "stub.{pid}.2"])
def test_no_file_is_written_through_a_link_that_was_brought_along(
    unit: Path, tmp_path: Path, suffix: str
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (unit / f"{_NAME}.{suffix.format(pid=os.getpid())}").symlink_to(mine)
    age = mine.stat().st_mtime_ns
    assert adopt(tmp_path) == 1
    assert is_held(unit)
    adopted_scripts.give_back(tmp_path / "target", known(_STUB))
    assert (mine.read_text(), mine.stat().st_mtime_ns) == ("mine", age)
    assert (unit / _NAME).read_bytes() == _PROGRAM


def test_a_folder_where_the_program_is_to_go_is_said(unit: Path, tmp_path: Path) -> None:
    (unit / f"{_NAME}.real").mkdir()
    with pytest.raises(BuildpermError, match="cannot put stubs into"):
        adopt(tmp_path)
    assert (unit / _NAME).read_bytes() == _PROGRAM
