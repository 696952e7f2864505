from __future__ import annotations

import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.presentation.line_layout import columns_of, laid_out, width

_SAID = (
    "buildperm: `.cargo/config.toml` of this workspace names a compiler that nobody has looked at "
    "yet, and whatever that does it does with your rights: run `buildperm enable --user` after it"
)


@pytest.mark.parametrize("columns", [24, 40, 79, 80, 120])
def test_a_line_is_broken_between_words_and_never_in_a_command(columns: int) -> None:
    lines = laid_out(_SAID, columns).split("\n")
    assert len(lines) > 1
    words = _SAID.split()
    assert [word for line in lines for word in line.split()] == words
    assert all(width(line) <= columns for line in lines if len(line.split()) > 1)
    assert all(line.startswith("  ") for line in lines[1:])
    if columns > 30:
        assert any("`buildperm enable --user`" in line for line in lines)


@pytest.mark.parametrize(
    "line",
    [
        'read = ["$HOME/.config/a", "$HOME/.config/b", "$HOME/.config/c", "$HOME/.config/d"]',
        '    deny = { read = ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/x"] }',
        "[package.metadata.buildperm.crates.a-crate-with-a-rather-long-name-of-its-own-indeed]",
        '  "rust-analyzer.procMacro.server": "/home/me/.local/state/buildperm/servers/3f6a9b1c"',
        "  export RUSTC_WRAPPER=/home/me/.local/state/buildperm/homes/3f6a9b1c/rustc-wrapper ab",
    ],
)
def test_what_is_to_be_pasted_stays_whole(line: str) -> None:
    assert laid_out(line, 60) == line


@pytest.mark.parametrize("columns", [0, 5, len(_SAID), 1000])
def test_a_line_that_fits_or_has_no_terminal_stays_as_it_is(columns: int) -> None:
    assert laid_out(_SAID, columns) == _SAID


def test_wide_characters_count_twice_and_long_words_stay_whole() -> None:
    assert laid_out("漢字" * 8 + " " + "漢字" * 8, 40) == "漢字" * 8 + "\n  " + "漢字" * 8
    long = "/" + "a" * 70
    assert laid_out(f"    it read {long} then", 40).split("\n") == [
        "    it read",
        f"      {long}",
        "      then",
    ]


@given(st.text(st.sampled_from("ab `漢-:["), max_size=120), st.integers(0, 60))
def test_nothing_is_lost_but_gaps_at_breaks(line: str, columns: int) -> None:
    found = laid_out(line, columns)
    assert found.replace("\n", "").replace(" ", "") == line.replace(" ", "")


def test_only_a_terminal_has_columns(tmp_path: object) -> None:
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "w") as stream:
            assert columns_of(stream) >= 0
    finally:
        os.close(ours)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        assert columns_of(stream) == 0
