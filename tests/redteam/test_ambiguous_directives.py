"""Directives that Cargo, rustc or a shell understood otherwise than the gate."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.rules.directive import judge
from buildperm.supervisor import library_names
from buildperm.tracer.notation import encode
from tests.bench import compile_c

if TYPE_CHECKING:
    from tests.bench import Bench

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


@pytest.mark.parametrize(
    "name",
    [
        "LLD_REPRODUCE",
        "CC_PRINT_OPTIONS_FILE",
        "COLLECT_AS_OPTIONS",
        "OFFLOAD_TARGET_NAMES",
        "LPATH",
        "BINUTILS_ROOT",
        "GNUTARGET",
        "LANGUAGE",
        "QEMU_PLUGIN",
        "QEMU_LOG_FILENAME",
        "ZIG_GLOBAL_CACHE_DIR",
        "CLIPPY_ARGS",
        "DYLINT_LIBS",
        "HOMEBREW_CC",
    ],
)
@pytest.mark.quick(5)
def test_a_variable_that_leads_a_linker_elsewhere_is_forbidden(name: str) -> None:
    # LLD_REPRODUCE=FILE had the linker that rustc comes with write a new FILE, whichever it was.
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


_EVIL = """
#include <stdio.h>
__attribute__((constructor)) static void evil(void) { puts("evil"); }
"""


def _shadowed(bench: Bench) -> Path:
    """Fill OUT_DIR with a library that a linker takes for the system's."""
    compile_c(_EVIL, bench.out_dir / "evil.o", "-c")
    lib = bench.out_dir / "lib"
    lib.mkdir()
    (lib / "libutil.so").write_text(f"INPUT({bench.out_dir}/evil.o)\n")
    return lib


def test_a_library_called_like_the_systems_takes_its_place_where_nobody_looks(
    own_bench: Bench, tmp_path: Path
) -> None:
    lib = _shadowed(own_bench)
    source = tmp_path / "main.rs"
    source.write_text("fn main() {}")
    built = ["rustc", "-Clinker=cc", "-o", str(tmp_path / "main"), str(source)]
    subprocess.run([*built, f"-Lnative={lib}"], check=True, capture_output=True)

    assert subprocess.run([tmp_path / "main"], check=True, capture_output=True).stdout == b"evil\n"


@pytest.mark.parametrize("line", ["rustc-link-search=native={}", "rustc-flags=-L {}"])
@pytest.mark.parametrize("profile", ["learning", "enforcing"])
def test_no_folder_is_searched_that_holds_a_library_called_like_the_systems(
    own_bench: Bench, profile: str, line: str
) -> None:
    lib = _shadowed(own_bench)
    (own_bench.out_dir / "good").mkdir()
    (own_bench.out_dir / "good/libgood.a").touch()
    lines = [line.format(folder) for folder in (lib, own_bench.out_dir / "good", "/usr/lib")]
    body = "".join(f"print({'cargo:' + each!r})\n" for each in lines)
    placed = own_bench.script(body)

    ended = own_bench.run(placed, "learning" if profile == "learning" else "enforcing")

    assert str(lib).encode() not in ended.stdout
    assert b"called like the system's: libutil.so" in ended.stderr
    assert [event["verdict"] for event in ended.of("directive")] == ["refused", "free", "free"]
    assert ended.status == (0 if profile == "learning" else 1)
    if profile == "learning":
        assert ended.stdout == "".join(f"cargo:{each}\n" for each in lines[1:]).encode()

    own_bench.grants["directives"] = [line.format("$OUT_DIR/lib")]
    assert own_bench.run(placed).status == 0


def test_a_script_cannot_hide_such_a_library_in_the_folder_of_another(own_bench: Bench) -> None:
    lib = _shadowed(own_bench)
    other = own_bench.target / "debug/build/other-1/out"
    other.parent.mkdir(parents=True)
    shutil.copytree(lib, other)
    own_bench.environment = {"DEP_OTHER_ROOT": str(other)}

    ended = own_bench.run(own_bench.script(f"print('cargo:rustc-link-search={other}')"))

    assert ended.status == 1
    assert b"called like the system's" in ended.stderr


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((f"lib{stem}.so", True) for stem in ("c", "m", "pthread", "dl", "rt", "gcc_s", "stdc++")),
        ("libc.so.6", True),
        ("libc.a", True),
        ("libgcc.a", True),
        ("libgcc_eh.a", True),
        ("ld-linux-x86-64.so.2", True),
        ("ld-musl-x86_64.so.1", True),
        ("libcrypto.so", False),
        ("libmath.a", False),
        ("libc", False),
        ("c.so", False),
        ("libc.o", False),
        ("libz.so.1", False),
    ],
)
def test_names_of_system_libraries_are_known(tmp_path: Path, name: str, is_one: bool) -> None:
    (tmp_path / name).touch()

    assert library_names.system_libraries(bytes(tmp_path)) == ([name] if is_one else [])
    assert library_names.system_libraries(b"/nowhere") == []


@pytest.mark.parametrize("white", ["\u00a0", "\u2003", "\u0085", "\v"])
def test_no_white_space_that_only_rust_knows_hides_a_search_path(white: str) -> None:
    value = encode(f"-lm{white}-Lrelative".encode())

    assert judge("rustc-flags", value, granted=(), denied=(), places=PLACES) == "refused"


def test_no_sign_behind_a_path_makes_a_name_of_it() -> None:
    value = "static:+verbatim=/home/evil=z"

    assert judge("rustc-link-lib", value, granted=(), denied=(), places=PLACES) == "refused"


def test_no_relative_search_path_is_taken_for_the_output_folder() -> None:
    """Cargo runs rustc in the workspace's folder, whichever member it is for."""
    places = PLACES | {"MANIFEST_DIR": b"/ws/a", "OUT_DIR": b"/ws/a/target/build/a/out"}
    value = "target/build/a/out"

    found = judge("rustc-link-search", value, granted=(), denied=(), places=places)
    assert found == "refused"


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
    began = time.process_time()  # Others may be busy.
    judge("metadata", "=/" * 50_000, granted=(), denied=(), places=PLACES)
    assert time.process_time() - began < 5  # It took minutes.


@pytest.mark.parametrize("denied", ["rustc-link-lib=evil", "rustc-link-search=native=/usr/lib/x"])
def test_what_was_denied_is_not_had_by_another_spelling(own_bench: Bench, denied: str) -> None:
    own_bench.deny = {"directives": [denied]}
    body = "print('cargo:rustc-flags=-l m -l evil -L native=/usr/lib/x')"

    ended = own_bench.run(own_bench.script(body))

    assert b"evil" not in ended.stdout
    assert [event["verdict"] for event in ended.of("directive")] == ["refused"]
