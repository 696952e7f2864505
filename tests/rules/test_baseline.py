"""The baseline: what is in it, what is not, and what other scripts hand over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.rules import baseline, sensitive
from buildperm.rules.pattern import is_literal, matches


@pytest.mark.parametrize(
    "target",
    [
        "$MANIFEST_DIR/src/lib.rs",
        "$OUT_DIR/a.o",
        "$TMP/tmp/cc1.s",
        "$SYSROOT/lib/rustlib/x86_64-unknown-linux-gnu/lib/libstd-1.rlib",
        "$SYSROOT/lib/librustc_driver-1.so",
        "$SYSROOT/bin/rustc",
        "/usr/include/stdio.h",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/etc/ld.so.cache",
        "/etc/ssl/certs/ca-certificates.crt",
        "/proc/cpuinfo",
        "/dev/urandom",
    ],
)
def test_every_script_may_read_its_own_and_the_systems_files(target: str) -> None:
    assert any(matches(pattern, target) for pattern in baseline.READ)


@pytest.mark.parametrize(
    "target",
    [
        "/etc/shadow",
        "/etc/ssl/private/key.pem",
        "/etc/hosts",
        "/proc/1/environ",
        "/proc/self/environ",
        "$HOME/.ssh/id_rsa",
        "$WORKSPACE/Cargo.toml",
        "$TARGET_DIR/debug/build/other-1/out/x",
        "$CARGO_HOME/credentials.toml",
        "/dev/mem",
        "/opt/x",
        "$SYSROOT/bin/git",
        "$SYSROOT/lib/python3/site.py",
        "$SYSROOT/src/app/secret",
    ],
)
def test_nothing_else_is_readable(target: str) -> None:
    assert not any(matches(pattern, target) for pattern in baseline.READ)


def test_the_baseline_holds_nothing_of_the_sensitive_tier() -> None:
    for pattern in baseline.READ + baseline.EXEC:
        base = pattern.removesuffix("/**").replace("*", "x")
        assert not sensitive.why(base, writing=False), pattern
    for pattern in baseline.WRITE:
        assert not sensitive.why(pattern.removesuffix("/**"), writing=True), pattern


def test_only_the_own_folders_and_devices_are_writable() -> None:
    for pattern in baseline.WRITE:
        assert pattern.startswith(("$OUT_DIR/", "$TMP/", "/dev/"))


def test_the_baseline_never_walks_through_large_folders() -> None:
    for pattern in baseline.READ + baseline.WRITE + baseline.EXEC:
        # A tool chain knows few targets; Debian's libraries are beside those of its own machine.
        known = pattern.replace("rustlib/*", "rustlib").replace("*-linux-*", "linux")
        folder = known.removesuffix("/**").rpartition("/")[0]
        assert is_literal(folder), pattern
        assert "**" not in pattern.removesuffix("/**"), pattern


@pytest.fixture
def target_dir(tmp_path: Path) -> Path:
    for name in ("build/z-1/out/include", "build/z-1/out/lib", "build/z/1/out", "deps"):
        (tmp_path / "debug" / name).mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "debug/build/z-1/out/escape").symlink_to("/etc")
    return tmp_path


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("{t}/debug/build/z-1/out/include", ["debug/build/z-1/out/include"]),
        ("{t}/debug/build/z-1/out", ["debug/build/z-1/out"]),
        ("{t}/debug/build/z/1/out", ["debug/build/z/1/out"]),
        (
            "{t}/debug/build/z-1/out/lib:{t}/debug/build/z-1/out/include",
            ["debug/build/z-1/out/include", "debug/build/z-1/out/lib"],
        ),
        ("{t}/debug/build/z-1/out/missing", []),
        ("{t}/debug/build/z-1/out/escape", []),
        ("{t}/debug/build/z-1/out/../../../deps", []),
        ("{t}/debug/deps", []),
        ("{t}/outside", []),
        ("/etc", []),
        ("{t}", []),
        ("1.2.3", []),
    ],
)
def test_other_scripts_hand_over_their_outputs_only(
    target_dir: Path, value: str, found: list[str]
) -> None:
    environ = {b"DEP_Z_ROOT": os.fsencode(value.format(t=target_dir))}
    places = {"TARGET_DIR": os.fsencode(target_dir)}

    assert baseline.dependency_outputs(environ, places) == [
        os.fsencode(target_dir / name) for name in found
    ]


def test_libraries_are_looked_for_in_outputs_of_other_scripts(target_dir: Path) -> None:
    given = ("debug/build/z-1/out/lib", "debug/build/z-1/out/escape", "debug/deps", "outside")
    value = ":".join(["/etc", "", *(str(target_dir / name) for name in given)])
    places = {"TARGET_DIR": os.fsencode(target_dir)}

    assert baseline.searched_outputs({b"LD_LIBRARY_PATH": os.fsencode(value)}, places) == [
        os.fsencode(target_dir / "debug/build/z-1/out/lib")
    ]
    assert baseline.searched_outputs({b"DEP_Z": os.fsencode(value)}, places) == []


def test_only_variables_of_dependencies_hand_over(target_dir: Path) -> None:
    environ = {b"OTHER": os.fsencode(target_dir / "debug/build/z-1/out")}

    assert baseline.dependency_outputs(environ, {"TARGET_DIR": os.fsencode(target_dir)}) == []
    assert baseline.dependency_outputs({b"DEP_Z_ROOT": b"/etc"}, {}) == []
