"""What is said of a link that an honest script leaves, and of what none does."""

from __future__ import annotations

import pytest

from buildperm.rules import left_behind


@pytest.mark.parametrize(
    "failure",
    [
        "it left in its output folder $OUT_DIR/x: a link to /tmp/x, which is gone when the script "
        "has ended",
        "$OUT_DIR/a: a link through another one, /x, to /y, $OUT_DIR/b: a link through /proc",
        "$TARGET_DIR/debug/x.so: a link to where it does not stay",
        "$OUT_DIR/x: a link among more than 40 that lead through one another",
    ],
)
def test_for_links_there_is_a_way_on(failure: str) -> None:
    assert left_behind.way_on(failure) == left_behind.LINKS
    assert "copy the file" in left_behind.LINKS


@pytest.mark.parametrize(
    "failure",
    [
        "$OUT_DIR/x: a setuid or setgid program",
        "$OUT_DIR/x: no file",
        "$OUT_DIR/a: a link to /x, which is gone when the script has ended, $OUT_DIR/b: a device",
        "$OUT_DIR/a: a link to /x, which is gone when the script has ended, $OUT_DIR/b: no file",
        "$OUT_DIR/x: a link to y: a setuid or setgid program",  # A name can say anything.
        "$TARGET_DIR/debug/x: Cargo has put it there",
        "it left 2 processes running",
    ],
)
def test_what_no_honest_script_leaves_is_to_be_looked_into(failure: str) -> None:
    assert left_behind.way_on(failure) == left_behind.DISTRUST
