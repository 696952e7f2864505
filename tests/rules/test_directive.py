"""Directives: read as Cargo reads them, judged before Cargo sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.rules.directive import judge, parse, portable, steers, targets
from buildperm.tracer.notation import encode

PLACES = {
    "OUT_DIR": b"/t/debug/build/a-1/out",
    "TMP": b"/t/debug/build/a-1/buildperm/scratch",
    "MANIFEST_DIR": b"/ws/a",
    "WORKSPACE": b"/ws",
    "TARGET_DIR": b"/t",
}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"cargo:rustc-env=A=b", (b"rustc-env", b"A=b")),
        (b"cargo::rustc-env=A=b", (b"rustc-env", b"A=b")),
        (b"  cargo::rustc-env=A=b \r\n", (b"rustc-env", b"A=b")),
        ("\u2003cargo::rustc-env=A=b\u3000".encode(), (b"rustc-env", b"A=b")),
        (b"cargo:root=/x", (b"metadata", b"root=/x")),
        (b"cargo:error=x", (b"metadata", b"error=x")),
        (b"cargo::error=x", (b"error", b"x")),
        (b"cargo::metadata=root=/x", (b"metadata", b"root=/x")),
        (b"cargo:metadata=x", (b"metadata", b"metadata=x")),
        (b"cargo::unknown=x", (b"unknown", b"x")),
        (b"cargo::rustc-env", (b"rustc-env", b"")),
        (b"cargo:rustc-link-arg-bin=b=-s", (b"rustc-link-arg-bin", b"b=-s")),
        (b"cargo:rustc-cdylib-link-arg=-s", (b"rustc-cdylib-link-arg", b"-s")),
        (b"cargo: rustc-env=A=b", (b"metadata", b" rustc-env=A=b")),
        (b"Cargo:rustc-env=A=b", None),
        (b"hello", None),
        (b"x cargo:rustc-env=A=b", None),
        (b"\x1ccargo:rustc-env=A=b", None),
        (b"cargo:rustc-env=A=\xff", None),
        (b"", None),
    ],
)
def test_a_line_is_read_as_cargo_reads_it(line: bytes, found: tuple[bytes, bytes] | None) -> None:
    assert parse(line) == found


def _judge(
    key: str, value: str, granted: tuple[str, ...] = (), denied: tuple[str, ...] = ()
) -> str:
    return judge(key, value, granted=granted, denied=denied, places=PLACES)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rerun-if-changed", "build.rs"),
        ("rerun-if-env-changed", "CC"),
        ("rerun-if-env-changed", "GCC_EXEC_PREFIX"),  # As the crate cc prints it.
        ("warning", "anything%1B"),
        ("error", "anything"),
        ("metadata", "root=/x"),
        ("rustc-cfg", "feature=%22x%22"),
        ("rustc-check-cfg", "cfg(x)"),
        ("rustc-link-lib", "static=z"),
        ("rustc-env", "VERSION=1"),
        ("rustc-env", "VERGEN_GIT_SHA=abc"),
        ("rustc-link-search", "/t/debug/build/a-1/out"),
        ("rustc-link-search", "native=/t/debug/build/a-1/out/lib"),
        ("rustc-link-search", "native=/usr/lib/x86_64-linux-gnu"),
        ("rustc-link-search", "/lib64"),
        ("rustc-flags", "-l z -L native=/usr/lib"),
        ("rustc-flags", "-lz"),
    ],
)
def test_harmless_directives_are_free(key: str, value: str) -> None:
    assert _judge(key, value) == "free"
    assert _judge(key, value, denied=(f"{key}=**",)) == "refused"


@pytest.mark.parametrize(
    "name",
    str.split("""
    LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES PATH HOME TMPDIR RUSTC
    RUSTC_WRAPPER RUSTC_BOOTSTRAP RUSTFLAGS RUSTUP_TOOLCHAIN CARGO CARGO_ENCODED_RUSTFLAGS
    CARGO_BUILD_RUSTC GCC_EXEC_PREFIX COMPILER_PATH LIBRARY_PATH CPATH PYTHONPATH PERL5LIB
    HTTPS_PROXY OUT_DIR CC ld_preload GIT_DIR GLIBC_TUNABLES BUILDPERM_SESSION BASH_ENV
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER CARGO_BUILD_RUSTC_WRAPPER CARGO_MANIFEST_DIR
    CARGO_CRATE_NAME CARGO_ALIAS_B CARGO_PROFILE_DEV_OPT_LEVEL CARGO_REGISTRIES_MY_INDEX
    __CARGO_DEFAULT_LIB_METADATA GIT_CONFIG_KEY_0 GIT_EXEC_PATH GIT_TRACE2_EVENT GIT_SSL_VERSION
    GIT_INDEX_VERSION LLVM_PROFILE_FILE LLD_REPRODUCE CCC_OVERRIDE_OPTIONS CC_PRINT_OPTIONS_FILE
    COLLECT_LTO_WRAPPER RUSTC_LOG RUSTC_FORCE_RUSTC_VERSION CLIPPY_ARGS QEMU_LD_PREFIX QEMU_VERSION
    SCCACHE_DIR CCACHE_PREFIX NIX_LDFLAGS PYTHONSTARTUP PYTHON_PRESITE XDG_CONFIG_HOME SSH_ASKPASS
    ASAN_OPTIONS LD_RUN_PATH DYLD_LIBRARY_PATH BASH_FUNC_CC MAKE MAKEFILES LINK _LINK_ LIB CL
    EMSDK_PYTHON _EMCC_CCACHE EM_CONFIG CARGO_ZIGBUILD_ZIG_PATH BUILDCACHE_IMPERSONATE LUA_INIT_5_4
    CARGO_HOST_LINKER CHROMEDRIVER NODE_ARGS RUBYGEMS_GEMDEPS
"""),
)
def test_variables_that_steer_tools_are_never_allowed(name: str) -> None:
    assert steers(name)
    assert _judge("rustc-env", f"{name}=x", granted=(f"rustc-env={name}", "**")) == "forbidden"


@pytest.mark.parametrize(
    "name",
    str.split("""
    GIT_SHORT_SHA GIT_COMMIT GIT_HASH GIT_COMMIT_HASH GIT_BRANCH GIT_AUTHOR_DATE GIT_DESCRIBE
    CARGO_BUILD_DATE CARGO_GIT_SHA CARGO_PKG_VERSION_EXTRA CARGO_PKG_NAME_UPPER CARGO_FEATURES
    CARGO_TARGET_TRIPLE LLVM_VERSION LLVM_MAJOR CLANG_VERSION RUSTC_VERSION RUSTC_COMMIT_DATE
    RUSTC_MINOR RUSTC_MAJOR RUSTC_SEMVER RUSTC_HOST RUSTC_LLVM_VERSION RUSTC_LINKERS RUSTC_LOGO
    RUSTC_CHANNEL RUST_VERSION RUSTUP_VERSION CC_VERSION GCC_VERSION LD_VERSION LD_COMMIT LLD_DATE
    PYTHON_VERSION PYTHON_LIB_NAME PERL_VERSION NIX_VERSION QEMU_BUILD MOLD_VERSION SSH_VERSION
    PYTHONIC EMBEDDED PATHS_JSON CARGO_HOST_TRIPLE LUA_VERSION EMSDK_VERSION LINKS MAKER LIB_NAME
"""),
)
def test_variables_that_are_only_embedded_are_free(name: str) -> None:
    assert _judge("rustc-env", f"{name}=x") == "free"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unknown-key", "x"),
        ("rustc-env", ""),
        ("rustc-env", "=x"),
        ("rustc-flags", "-C linker=/tmp/x"),
        ("rustc-flags", "-l"),
        ("rustc-flags", ""),
    ],
)
def test_what_cargo_should_not_do_is_forbidden(key: str, value: str) -> None:
    assert _judge(key, value, granted=("**",)) == "forbidden"


@pytest.mark.parametrize(
    ("key", "value", "grant"),
    [
        ("rustc-link-arg", "-Wl,-s", "rustc-link-arg=-Wl,-s"),
        ("rustc-link-arg-bins", "-lm", "rustc-link-arg-bins=-lm"),
        ("rustc-link-arg-bin", "b=-lm", "rustc-link-arg-bin=b=*"),
        ("rustc-link-arg-tests", "-x", "rustc-link-arg-tests=-x"),
        ("rustc-link-arg-examples", "-x", "rustc-link-arg-examples=-x"),
        ("rustc-link-arg-benches", "-x", "rustc-link-arg-benches=-x"),
        ("rustc-link-arg-cdylib", "-x", "rustc-link-arg-cdylib=-x"),
        ("rustc-cdylib-link-arg", "-x", "rustc-cdylib-link-arg=-x"),
        ("rustc-link-arg", "-B/t/debug/build/a-1/out", "rustc-link-arg=-B$OUT_DIR"),
        (
            "rustc-link-arg",
            "-Wl,--version-script=/ws/a/x.map",
            "rustc-link-arg=-Wl,--version-script=$MANIFEST_DIR/x.map",
        ),
        ("rustc-link-search", "/ws/a/lib", "rustc-link-search=$MANIFEST_DIR/lib"),
        ("rustc-link-search", "native=/ws/a", "rustc-link-search=native=$MANIFEST_DIR"),
        ("rustc-link-search", "native=/ws/a/../b", "rustc-link-search=native=$WORKSPACE/b"),
        ("rustc-link-search", "/ws/lib", "rustc-link-search=$WORKSPACE/**"),
        ("rustc-link-search", "/opt/x", "rustc-link-search=/opt/x"),
        ("rustc-link-search", "lib", "rustc-link-search=lib"),
        (
            "rustc-link-search",
            "/t/debug/build/a-1/out/../../b-1/out",
            "rustc-link-search=$TARGET_DIR/debug/build/b-1/out",
        ),
        ("rustc-flags", "-L /opt/x", "rustc-flags=-L /opt/x"),
        ("rustc-env", "CARGO_PKG_AUTHORS=me", "rustc-env=CARGO_PKG_AUTHORS"),
        ("rustc-env", "CARGO_PKG_VERSION=1", "rustc-env=CARGO_PKG_VERSION=1"),
    ],
)
def test_risky_directives_need_a_grant(key: str, value: str, grant: str) -> None:
    assert _judge(key, value) == "refused"
    assert _judge(key, value, granted=("rustc-link-arg=-other",)) == "refused"
    assert _judge(key, value, granted=(grant,)) == "granted"
    assert _judge(key, value, granted=(grant,), denied=(grant,)) == "refused"


def test_libraries_that_came_with_a_package_may_be_searched_for(tmp_path: Path) -> None:
    workspace, package = tmp_path / "ws", tmp_path / "registry/src/i/c-1"
    (package / "lib").mkdir(parents=True)
    (workspace / "lib").mkdir(parents=True)
    (package / "led").symlink_to(workspace / "lib")
    places = {"WORKSPACE": bytes(workspace), "MANIFEST_DIR": bytes(package)}

    def free(value: str, places: dict[str, bytes] = places) -> bool:
        return judge("rustc-link-search", value, granted=[], denied=[], places=places) == "free"

    assert free(f"native={package}/lib")
    assert not free(f"native={package}/led")
    assert not free(f"{package}/lib")  # rustc would look for crates there, too.
    # All of a workspace is more than its root package.
    assert not free(f"native={workspace}/lib", {**places, "MANIFEST_DIR": bytes(workspace)})
    found = judge(
        "rustc-link-search",
        f"native={package}/lib",
        granted=[],
        denied=[],
        places=places,
        suspect=lambda folder: folder == bytes(package / "lib"),
    )
    assert found == "refused"


def test_folders_that_other_scripts_hand_over_may_be_searched() -> None:
    handed = (b"/t/debug/build/z-1/out",)
    for value, verdict in (
        ("native=/t/debug/build/z-1/out/lib", "free"),
        ("/t/debug/build/z-1/out", "free"),
        ("/t/debug/build/z-1/outer", "refused"),
        ("/t/debug/build/z-1/out/../../y-1/out", "refused"),
    ):
        found = judge(
            "rustc-link-search",
            value,
            granted=[],
            denied=[],
            places=PLACES,
            handed_over=handed,
        )
        assert found == verdict


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("/ws/a/lib", "$MANIFEST_DIR/lib"),
        ("native=/ws/lib", "native=$WORKSPACE/lib"),
        ("-L/t/debug/build/a-1/out", "-L$OUT_DIR"),
        ("-Wl,-rpath,/ws/lib:/ws/a", "-Wl,-rpath,$WORKSPACE/lib:$MANIFEST_DIR"),
        ("-T/ws/a/link.x", "-T$MANIFEST_DIR/link.x"),
        ("x/ws/a", "x/ws/a"),
        ("-/ws/a", "-/ws/a"),
        ("/wsx", "/wsx"),
        ("/ws/%24HOME", "$WORKSPACE/%24HOME"),
        ("%24WORKSPACE/x", "%24WORKSPACE/x"),
        ("", ""),
    ],
)
def test_values_are_written_portably(value: str, written: str) -> None:
    assert portable(value, PLACES) == written
    assert targets("rustc-link-arg", value, PLACES) == (f"rustc-link-arg={written}",)


@given(st.binary(max_size=40))
def test_any_line_can_be_read_and_judged(line: bytes) -> None:
    for raw in (line, b"cargo:" + line, b"cargo::" + line, b"cargo:rustc-link-search=" + line):
        found = parse(raw)
        if found:
            key, value = map(encode, found)
            assert _judge(key, value) in ("free", "refused", "forbidden")


@given(st.binary(max_size=20))
def test_no_text_around_a_name_makes_a_steering_variable_free(raw: bytes) -> None:
    assert _judge("rustc-env", f"LD_PRELOAD={encode(raw)}") == "forbidden"
