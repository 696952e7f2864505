"""Libraries of the program that starts a stub, where it is not the usual `env`.

Some are linked with more than libc: those of uutils, and of coreutils made into one program.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.sandbox import needed_libraries, stub
from tests.bench import Bench, compile_c
from tests.command import environment, member
from tests.programs import program_text

_NAME = "libextra.so.1"
_ENV = """
#include <unistd.h>
int extra(void);
int main(int count, char **words) { extra(); execv("/usr/bin/env", words); return 127; }
"""
_SYSTEMS = "int extra(void) { return 0; }"
_PLANTED = """
#include <fcntl.h>
__attribute__((constructor)) static void loaded(void) { creat("MARK", 0600); }
int extra(void) { return 0; }
"""
# As where the program lies elsewhere: nothing but its path is another one.
_STARTED = program_text("buildperm_with_env.py")
_BUILD = """
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/NAME"), include_bytes!("planted")).unwrap();
    println!("cargo::rustc-link-search=native={out}");
}
"""
_QUIET = 'fn main() { println!("cargo::rerun-if-changed=build.rs"); }'


def _library(source: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return compile_c(source, path, "-shared", "-fPIC", f"-Wl,-soname,{_NAME}")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an `env` that is linked with a library of the system's."""
    folder = tmp_path_factory.mktemp("system")
    folder.chmod(0o755)
    library = _library(_SYSTEMS, folder / _NAME)
    return compile_c(_ENV, folder / "env", str(library), f"-Wl,-rpath,{folder}")


def _workspace(folder: Path, name: str, mark: Path) -> Path:
    """Make a member that hands a library called `name` to whatever runs next."""
    workspace = member(folder / "ws", _QUIET)
    other = member(folder / "other", _BUILD.replace("NAME", name), "planting") / "planting"
    other.rename(workspace / "planting")
    _library(_PLANTED.replace("MARK", str(mark)), workspace / "planting/planted")
    manifest = workspace / "sample/Cargo.toml"
    table = '[build-dependencies]\nplanting = { path = "../planting" }\n'
    manifest.write_text(manifest.read_text() + table)
    (workspace / "planting/planted.c").unlink()
    (workspace / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["sample", "planting"]\nresolver = "2"\n'
    )
    return workspace


def _run(env: Path, workspace: Path, word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _STARTED, str(env), word],
        cwd=workspace,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_script_brings_along_what_starts_the_next_stub(env: Path, tmp_path: Path) -> None:
    mark = tmp_path / "loaded"
    workspace = _workspace(tmp_path, _NAME, mark)

    ended = _run(env, workspace, "ci")

    assert not mark.exists()
    assert ended.returncode == 20, ended.stderr
    assert f"loaded before any sandbox is made: {_NAME}" in ended.stderr


@pytest.mark.slow
def test_a_library_that_nothing_of_ours_loads_may_be_brought_along(
    env: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "loaded"
    workspace = _workspace(tmp_path, "libother.so.1", mark)

    ended = _run(env, workspace, "ci")

    assert ended.returncode == 0, ended.stderr
    assert not mark.exists()


@pytest.mark.parametrize("name", ["libc.so.6", "glibc-hwcaps/x86-64-v3/libc.so.6"])
@pytest.mark.parametrize("line", ["rustc-link-search=native={}", "rustc-flags=-L {}"])
def test_no_grant_opens_a_folder_with_what_starts_the_next_stub(
    own_bench: Bench, name: str, line: str
) -> None:
    planted = own_bench.out_dir / name
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.touch()
    own_bench.loaded = sorted(stub.libraries_before_stub())
    own_bench.grants = {"directives": ["rustc-link-search=**", "rustc-flags=**"]}
    text = f"cargo:{line.format(own_bench.out_dir)}"

    ended = own_bench.run(own_bench.script(f"print({text!r})"))

    assert ended.stdout == b""
    assert ended.status == 1
    assert b"(forbidden" in ended.stderr


def test_where_it_cannot_be_told_no_script_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "loaded"
    workspace = _workspace(tmp_path, "libother.so.1", mark)
    # It works as an `env`, but is no program of a kind that can be looked into.
    env = compile_c(_ENV.replace("extra();", ""), tmp_path / "env")
    text = bytearray(env.read_bytes())
    text[4:6] = b"\x01\x01"  # As if for 32 bits: elf(5), EI_CLASS, which the kernel passes over.
    env.write_bytes(text)

    ended = _run(env, workspace, "ci")
    told = _run(env, workspace, "doctor")

    assert "not available: cannot tell which libraries" in told.stdout
    assert told.returncode == ended.returncode == 23, ended.stderr
    assert "cannot tell which libraries" in ended.stderr
    assert not list(workspace.glob("target/**/recording.jsonl"))


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x7fELF\x02\x01" + bytes(58), b"#!\n", b"#!/x"]
)
def test_what_is_no_program_is_not_taken_for_one_without_libraries(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "env"
    path.write_bytes(content)
    if content.startswith(b"\x7fELF"):
        assert (
            needed_libraries.of_program(bytes(path)) == frozenset()
        )  # Without any loader, as static ones.
        return

    with pytest.raises(needed_libraries.UnknownError):
        needed_libraries.of_program(bytes(path))


def test_names_are_those_that_the_loader_looks_for(env: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{env} -S sh\n")

    found = needed_libraries.of_program(bytes(env))

    assert _NAME.encode() in found
    assert any(name.startswith(b"libc.") for name in found)
    assert needed_libraries.of_program(bytes(script)) == found
    assert (
        needed_libraries.of_program(
            bytes(compile_c("void _start(void) {}", tmp_path / "s", "-static", "-nostdlib"))
        )
        == frozenset()
    )
    if b"find library" in _debugged(env):
        assert needed_libraries.observed([bytes(env), b"true"]) >= found - {b"ld-linux-x86-64.so.2"}


def _debugged(program: Path) -> bytes:
    ran = subprocess.run(
        [program, "true"], env={"LD_DEBUG": "libs"}, capture_output=True, check=False
    )
    return ran.stderr
