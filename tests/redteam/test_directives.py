"""Directives that said more to Cargo, rustc or a shell than the gate understood."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from buildperm.policy.directive import judge

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

PLACES = {"OUT_DIR": b"/t/build/a/out", "MANIFEST_DIR": b"/ws/a", "TARGET_DIR": b"/t"}


def _passed(bench: Bench, body: str) -> bytes:
    ended = bench.run(bench.script(f"import os\nout = os.environ['OUT_DIR']\n{body}"), "learning")
    assert ended.status == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    "name",
    ["SHELLOPTS", "PS4", "NIX_CFLAGS_LINK", "EM_CONFIG", "QEMU_SET_ENV", "OPENSSL_CONF"],
)
def test_a_variable_that_makes_a_shell_or_a_compiler_run_code_is_forbidden(name: str) -> None:
    # With bash for sh: SHELLOPTS=xtrace and PS4=$(command) ran the command in the rustc wrapper.
    assert judge("rustc-env", f"{name}=x", granted=(), denied=(), places=PLACES) == "forbidden"


def test_a_tab_hides_no_search_path_in_rustc_flags(own_bench: Bench) -> None:
    passed = _passed(own_bench, "print('cargo:rustc-flags=-lm\\t-L/home/evil')")
    assert b"/home/evil" not in passed


def test_no_search_path_climbs_out_of_the_output_folder_through_a_link(own_bench: Bench) -> None:
    body = """
os.makedirs(out + "/a/b/c")
os.symlink(out, out + "/a/b/c/link")
print("cargo:rustc-link-search=native=" + out + "/a/b/c/link/../../..")
print("cargo:rustc-link-search=native=" + out + "/a/../a/b")
"""
    passed = _passed(own_bench, body)
    assert b"/link/" not in passed
    assert b"/a/../a/b" in passed


@pytest.mark.parametrize(
    "value", ["static:+verbatim=/home/evil.a", "dylib=../../evil", "link-arg=-B/home/evil"]
)
def test_a_library_is_named_and_not_pointed_to(value: str) -> None:
    assert judge("rustc-link-lib", value, granted=(), denied=(), places=PLACES) == "refused"


def test_cargo_is_not_made_to_write_down_a_secret_that_the_script_may_not_see(
    own_bench: Bench,
) -> None:
    # Cargo keeps the value in .fingerprint, which every script may read while learning.
    body = """
print("cargo:rerun-if-env-changed=GITHUB_TOKEN")
print("cargo:rerun-if-env-changed=CC")
"""
    assert _passed(own_bench, body) == b"cargo:rerun-if-env-changed=CC\n"


def test_cargo_looks_at_a_secret_that_the_script_was_granted(own_bench: Bench) -> None:
    own_bench.grants["env"] = ["GITHUB_TOKEN"]
    line = "cargo:rerun-if-env-changed=GITHUB_TOKEN"
    assert _passed(own_bench, f"print({line!r})") == f"{line}\n".encode()


def test_a_line_full_of_slashes_is_judged_in_no_time() -> None:
    began = time.monotonic()
    judge("metadata", "=/" * 50_000, granted=(), denied=(), places=PLACES)
    assert time.monotonic() - began < 5  # It took minutes.
