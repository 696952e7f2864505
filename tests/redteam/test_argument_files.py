"""Words that begin with `@`: rustc reads further arguments from the file that they name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildperm.cargo import target
from buildperm.policy.directive import judge

PLACES = {"OUT_DIR": b"/t/build/a/out", "MANIFEST_DIR": b"/ws/a", "TARGET_DIR": b"/t"}
WRAPPER = Path(target.__file__).with_name("rustc-wrapper.sh")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rustc-cfg", "@/t/build/a/out/x"),
        ("rustc-cfg", "%40x"),
        ("rustc-check-cfg", "@x"),
        ("rustc-link-lib", "@x"),
        ("rustc-link-search", "@x"),
        ("rustc-flags", "-l @x"),
        ("rustc-flags", "-L@x"),
    ],
)
def test_no_directive_gives_rustc_a_file_of_arguments(key: str, value: str) -> None:
    # With `--extern` in that file rustc loaded a procedural macro that the script had made.
    granted = [f"{key}=**"]
    assert judge(key, value, granted=granted, denied=(), places=PLACES) == "forbidden"


def test_an_at_sign_further_on_is_none() -> None:
    assert judge("rustc-cfg", 'by="a@b"', granted=(), denied=(), places=PLACES) == "free"
    assert judge("warning", "@x", granted=(), denied=(), places=PLACES) == "free"


@pytest.mark.parametrize("name", ["build_script_build", "evil"])
def test_no_manifest_gives_rustc_a_file_of_arguments(tmp_path: Path, name: str) -> None:
    # `[lints.rust] unexpected_cfgs = { level = "warn", check-cfg = ["@x"] }`, and `--test` in x:
    # the wrapper took the build script for a test and put no stub in its place.
    rustc, called = tmp_path / "rustc", tmp_path / "called"
    rustc.write_text(f"#!/bin/sh\ntouch '{called}'\n")
    rustc.chmod(0o755)
    (tmp_path / "x").write_text("cfg(a)\n--test\n")
    words = ["--crate-name", name, "--crate-type", "bin", "--check-cfg", f"@{tmp_path}/x"]
    ran = subprocess.run(
        ["sh", WRAPPER, rustc, *words, "--emit=link", "--out-dir", tmp_path],
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 1
    assert b"further arguments" in ran.stderr
    assert not called.exists()
