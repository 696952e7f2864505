"""A build that lacks something of the system: what to install is said, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm, member

# Nobody has this one installed: the package of a table's entry that pkg-config does not find.
LACKS = """
fn main() {
    println!("cargo:rerun-if-env-changed=NOTMUCH_NO_PKG_CONFIG");
    eprintln!("The system library `notmuch` required by crate `sample` was not found.");
    std::process::exit(1);
}
"""
LACKS_NOTHING = """
fn main() {
    eprintln!("The system library `notmuch` required by crate `sample` was not found.");
    println!("cargo:warning=goes on without");
}
"""


@pytest.mark.parametrize("words", [CI, LEARN], ids=["ci", "learn"])
@pytest.mark.quick(1)
def test_a_failed_build_says_what_to_install(words: tuple[str, ...], tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", LACKS)
    ended = buildperm(*words, folder=workspace)

    (line,) = (each for each in ended.stderr.splitlines() if "install" in each)
    assert line.startswith("sample 0.1.0 failed: pkg-config knows no library `notmuch`")


@pytest.mark.slow
def test_a_build_that_does_not_fail_lacks_nothing(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", LACKS_NOTHING)
    ended = buildperm(*CI, folder=workspace)

    assert ended.returncode == 0
    assert "install" not in ended.stderr
