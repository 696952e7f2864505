"""Words that begin with `@`: rustc reads further arguments from the file that they name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildperm.cargo import target_directory
from buildperm.rules.directive import judge
from buildperm.tracer.notation import encode

PLACES = {"OUT_DIR": b"/t/build/a/out", "MANIFEST_DIR": b"/ws/a", "TARGET_DIR": b"/t"}
WRAPPER = Path(target_directory.__file__).with_name("rustc-wrapper.sh")


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


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rustc-cfg", "--crate-name=build_script_x/../VICTIM"),
        ("rustc-cfg", "--"),
        ("rustc-cfg", "-"),
        ("rustc-cfg", "%09 --out-dir=/home/evil"),
        ("rustc-cfg", "%E2%80%83-o/home/evil"),
        ("rustc-cfg", " @x"),
        ("rustc-check-cfg", "--out-dir"),
        ("rustc-link-lib", "-o/home/evil"),
        ("rustc-link-lib", "dylib=-evil"),
        ("rustc-link-lib", "static:+verbatim=@evil"),
        ("rustc-link-lib", "good:-evil"),
        ("rustc-link-lib", "static:-bundle=good:@evil"),
        ("rustc-link-search", "-B."),
        ("rustc-link-search", "native=-B."),
        ("rustc-link-search", "all= @x"),
        ("rustc-link-search", "native=@x"),
        ("rustc-flags", "-l -evil"),
        ("rustc-flags", "-lgood -L--out-dir=/home/evil"),
        ("rustc-flags", "-L native=@x"),
        ("rustc-env", "-S=x"),
        ("rustc-env", " @x=y"),
        ("rustc-env", "CARGO_CRATE_NAME=build_script_x"),
    ],
)
@pytest.mark.quick(8)
def test_no_directive_gives_rustc_an_option_where_a_value_is_meant(key: str, value: str) -> None:
    granted = [f"{key}=**", f"{key}={value}", f"{key}={value.partition('=')[0]}"]
    assert judge(key, value, granted=granted, denied=(), places=PLACES) == "forbidden"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rustc-cfg", 'feature="a-b"'),
        ("rustc-cfg", 'foo="--crate-name=x"'),
        ("rustc-cfg", 'foo="-"'),
        ("rustc-cfg", 'key="@x"'),
        ("rustc-cfg", 'wärme="höher als 30 °C"'),
        ("rustc-check-cfg", 'cfg(foo, values("-", "@x"))'),
        ("rustc-link-lib", "static:-bundle,+whole-archive=foo-bar"),
        ("rustc-link-lib", "foo:bar-baz"),
        ("rustc-link-search", "native=/t/build/a/out/-odd/@2x"),
        ("rustc-flags", "-l foo -L /usr/lib/x-y"),
        ("rustc-env", "FLAGS=--release"),
        ("rustc-env", "MAIL=@x"),
        ("warning", "--help"),
        ("rerun-if-changed", "-odd-name"),
        ("metadata", "flags=-I/usr/include"),
    ],
)
@pytest.mark.quick(5)
def test_values_with_dashes_further_on_are_as_free_as_before(key: str, value: str) -> None:
    assert judge(key, encode(value.encode()), granted=(), denied=(), places=PLACES) == "free"


def test_link_arguments_are_granted_as_before() -> None:
    granted = ["rustc-link-arg=-Wl,-z,now", "rustc-link-lib=link-arg=-s"]
    for each in granted:
        key, _, value = each.partition("=")
        assert judge(key, value, granted=granted, denied=(), places=PLACES) == "granted"
        assert judge(key, value, granted=(), denied=(), places=PLACES) == "refused"


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
