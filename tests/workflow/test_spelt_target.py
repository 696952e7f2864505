"""Where Cargo builds, told from what a compiler call or a build script was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.workflow import spelt_target

TRIPLE = "x86_64-unknown-linux-gnu"


@pytest.mark.parametrize(
    ("output", "target"),
    [
        ("/w/target/debug/deps", "/w/target"),
        ("/w/target/debug/examples", "/w/target"),
        ("/w/target/debug/build/a-1", "/w/target"),
        ("/w/target/debug/build/a/1/out", "/w/target"),
        (f"/w/target/{TRIPLE}/debug/deps", "/w/target"),
        (f"/w/target/{TRIPLE}/debug/build/a/1/out", "/w/target"),
        (f"/w/target/{TRIPLE}/doc", "/w/target"),
        ("/w/target/doc", "/w/target"),
        ("/w/build/target/debug/deps/", "/w/build/target"),
        ("/w/other/debug/deps", "/w/other"),
        ("debug/deps", ""),
        ("/elsewhere", ""),
        ("", ""),
    ],
)
def test_the_target_directory_of_an_output(output: str, target: str) -> None:
    words = ["rustc", "--out-dir", output, "--target", TRIPLE]
    joined = ["rustc", f"--out-dir={output}", f"--target={TRIPLE}"]

    assert spelt_target.find(words, {}) == target
    assert spelt_target.find(joined, {}) == target


def test_the_target_directory_of_a_build_script() -> None:
    script = {"OUT_DIR": f"/w/target/{TRIPLE}/debug/build/a-1/out", "TARGET": TRIPLE}

    assert spelt_target.find([], script) == "/w/target"
    assert spelt_target.find([], {**script, "TARGET": "other"}) == f"/w/target/{TRIPLE}"
    assert spelt_target.find([], {}) == ""


def test_the_words_of_a_long_call_are_in_a_file(tmp_path: Path) -> None:
    """As Cargo does where a command line is too long: one argument a line."""
    words = tmp_path / "words"
    words.write_text("--crate-name\na\n--out-dir\n/w/target/debug/deps\n")

    assert spelt_target.find(["rustc", f"@{words}"], {}) == "/w/target"
    assert spelt_target.find(["rustc", f"@{tmp_path}/missing"], {}) == ""
    assert spelt_target.find(["rustc", "--out-dir"], {}) == ""
