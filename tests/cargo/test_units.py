"""Which folder of a target directory belongs to the run that somebody names."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.cargo.units import _last_line, unit_of

UNITS = (
    "debug/build/a-0123",
    "x86_64-unknown-linux-gnu/release/build/a-0123",
    "debug/build/a/0123456789abcdef",
    "x86_64-unknown-linux-gnu/debug/build/a/0123456789abcdef",
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Make a target directory with runs in both layouts, and with what is none."""
    folder = tmp_path / "target"
    for unit in UNITS:
        (folder / unit / "out").mkdir(parents=True)
        (folder / unit / "buildperm").mkdir()
    program = folder / "debug/build/program-0123"
    (program / "out").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere/debug/build/a-0123"
    (elsewhere / "out").mkdir(parents=True)
    (elsewhere / "buildperm").mkdir()
    (folder / "debug/build/link-0123").symlink_to("a-0123")
    (folder / "link").symlink_to(tmp_path / "elsewhere/debug")
    return folder


@pytest.mark.parametrize("unit", UNITS)
def test_a_run_is_found_by_its_output_folder(target: Path, unit: str) -> None:
    assert unit_of(target, f"{target}/{unit}/out") == target / unit


def test_a_run_that_lost_its_recording_is_one_all_the_same(target: Path) -> None:
    (target / UNITS[0] / "buildperm").rmdir()
    markers = target / "debug/.fingerprint/a-0123"
    markers.mkdir(parents=True)
    (markers / "run-build-script-build-script-build").touch()

    assert unit_of(target, f"{target}/{UNITS[0]}/out") == target / UNITS[0]


@pytest.mark.parametrize(
    "named",
    [
        "{target}",
        "{target}/out",
        "{target}/debug/build/out",
        "{target}/debug/build/absent-0123/out",
        "{target}/debug/build/program-0123/out",
        "{target}/debug/build/link-0123/out",
        "{target}/link/build/a-0123/out",
        "{target}/debug/build/a-0123",
        "{target}/debug/build/a-0123/out/",
        "{target}/debug/build/a-0123/buildperm",
        "{target}/debug/build/../build/a-0123/out",
        "{target}//debug/build/a-0123/out",
        "{target}/./debug/build/a-0123/out",
        "{target}/../elsewhere/debug/build/a-0123/out",
        "{target}/../target/debug/build/a-0123/out",
        "{elsewhere}/debug/build/a-0123/out",
        "{target}/debug/build/a-0123\0/out",
        "{target}/debug/build/\ud800/out",
        "{target}/debug/build/" + "x" * 5000 + "/out",
        "debug/build/a-0123/out",
        "",
    ],
)
def test_what_is_no_run_of_this_target_directory_is_none(target: Path, named: str) -> None:
    elsewhere = target.with_name("elsewhere")

    assert unit_of(target, named.format(target=target, elsewhere=elsewhere)) is None


@given(st.text())
def test_whatever_is_named_is_no_error(named: str) -> None:
    assert unit_of(Path("/nonexistent"), f"/nonexistent/{named}/out") is None


@given(
    st.lists(st.binary(max_size=5).map(lambda line: line.replace(b"\n", b"")), max_size=4),
    st.sampled_from([0, 1, (1 << 16) - 2, (1 << 16) - 1, 1 << 16, 300_000]),
)
def test_the_last_line_is_found_however_long_it_is(before: list[bytes], length: int) -> None:
    file = io.BytesIO(b"\n".join([*before, b"x" * length + b"y"]) + b"\n")

    assert _last_line(file) == b"x" * length + b"y"
