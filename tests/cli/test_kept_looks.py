"""Looks in runs that may be kept: however a script looks, what it looked at is an input."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from buildperm.tracer import syscall_numbers, syscall_table
from tests import kept_results
from tests.command import buildperm, member

pytestmark = pytest.mark.slow  # It builds.

WRITE = 'std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made", made).unwrap();'


class Build:
    """A workspace with one build script, and a cache of its own."""

    def __init__(self, top: Path, body: str) -> None:
        self.workspace = member(top / "ws", f"fn main() {{\n{body}\n}}\n")
        self.cache = top / "cache"
        self.cache.mkdir()
        self.why = ""

    def ci(self) -> str:
        """Build, and return what came of looking for a result."""
        time.sleep(0.1)  # What is younger than a run is not kept.
        extra = {"XDG_CACHE_HOME": str(self.cache)}
        ended = buildperm("ci", "--cache", folder=self.workspace, extra=extra)
        assert ended.returncode == 0, ended.stderr
        (path,) = self.workspace.glob("target/buildperm/ci/**/result.json")
        said = json.loads(path.read_bytes())
        self.why = str(said["why"])
        return str(said["outcome"])


# `p` is the path, `b` room for what is told, `n` a name, `k` the key of looks, `h` how to open.
LOOKS = {
    "stat": ("stat", "p, b"),
    "stat with the key": ("stat", "p, b, 0, 0, 0, k"),
    "lstat": ("lstat", "p, b"),
    "newfstatat": ("newfstatat", "HERE, p, b, 0"),
    "newfstatat with the key": ("newfstatat", "HERE, p, b, 0, 0, k"),
    "newfstatat of no empty path": ("newfstatat", "HERE, p, b, 0x1000"),
    "statx": ("statx", "HERE, p, 0, 0x7ff, b"),
    "statx with the key": ("statx", "HERE, p, 0, 0x7ff, b, k"),
    "statx of no empty path": ("statx", "HERE, p, 0x1000, 0x7ff, b"),
    "access": ("access", "p, 4"),
    "faccessat": ("faccessat", "HERE, p, 4"),
    "faccessat with the key": ("faccessat", "HERE, p, 4, 0, 0, k"),
    "faccessat2": ("faccessat2", "HERE, p, 4, 0"),
    "faccessat2 of no empty path": ("faccessat2", "HERE, p, 4, 0x1000"),
    "readlink": ("readlink", "p, b, 64"),
    "readlinkat": ("readlinkat", "HERE, p, b, 64"),
    "readlinkat with the key": ("readlinkat", "HERE, p, b, 64, 0, k"),
    "statfs": ("statfs", "p, b"),
    "chdir": ("chdir", "p"),
    "getxattr": ("getxattr", "p, n, b, 64"),
    "getxattr with the key": ("getxattr", "p, n, b, 64, 0, k"),
    "lgetxattr": ("lgetxattr", "p, n, b, 64"),
    "getxattrat": ("getxattrat", "HERE, p, 0, n, b, 16"),
    "listxattr": ("listxattr", "p, b, 64"),
    "llistxattr": ("llistxattr", "p, b, 64"),
    "listxattrat": ("listxattrat", "HERE, p, 0, b, 64"),
    "file_getattr": ("file_getattr", "HERE, p, b, 24, 0"),
    "open": ("open", "p, 0"),
    "open with O_PATH": ("open", "p, 0x200000"),
    "openat": ("openat", "HERE, p, 0"),
    "openat with O_PATH": ("openat", "HERE, p, 0x200000"),
    "openat2": ("openat2", "HERE, p, h, 24"),
}
CHANGES = {
    "unlink": ("unlink", "p"),
    "unlinkat": ("unlinkat", "HERE, p, 0"),
    "rename": ("rename", "p, o"),
    "renameat2": ("renameat2", "HERE, p, HERE, o, 0"),
    "linkat": ("linkat", "HERE, p, HERE, o, 0"),
    "truncate": ("truncate", "p, 0"),
    "chmod": ("chmod", "p, 0o600"),
    "fchmodat": ("fchmodat", "HERE, p, 0o600"),
    "utimensat": ("utimensat", "HERE, p, 0, 0"),
    "setxattr": ("setxattr", "p, n, n, 1, 0"),
    "execve": ("execve", "p, v, v"),
}
"""What fails without a word if nothing is there: it is made through a link."""

START = """
    use std::ffi::CString;
    unsafe extern "C" { fn syscall(number: i64, ...) -> i64; }
    const HERE: i64 = -100;
    let out = CString::new(std::env::var("OUT_DIR").unwrap() + "/other").unwrap();
    let (name, mut room, how) = (c"user.name", [0u64; 512], [0u64; 3]);
    let none = [0u64; 1];
    let (n, o, b) = (name.as_ptr(), out.as_ptr(), room.as_mut_ptr());
    let (h, v) = (how.as_ptr(), none.as_ptr());
    let mut made = String::new();
"""
CALL = """
    let path = CString::new("{path}").unwrap();
    let p = path.as_ptr();
    made += &format!("{{}} ", unsafe {{ syscall({number}, {arguments}) }} < 0);
"""


def _script(paths: dict[str, tuple[str, str]]) -> str:
    """Return what makes each call: a path, a call and its arguments."""
    numbers, body = syscall_numbers.table(), START
    for path, (call, arguments) in paths.items():
        if call in numbers:
            given = arguments.split(", ") + ["0"] * (6 - arguments.count(", ") - 1)
            words = [f"0x{syscall_table.LOOK_KEY:x}i64" if each == "k" else each for each in given]
            typed = ", ".join(f"{each} as i64" if each[0].isdigit() else each for each in words)
            body += CALL.format(path=path, number=numbers[call], arguments=typed)
    return body + "    let _ = (n, o, b, h, v, HERE);\n" + WRITE


def _inputs(build: Build) -> dict[str, str]:
    """Return the inputs of the one result that is kept: kinds by path."""
    (result,) = build.cache.glob("buildperm/results/**/*.json")
    inputs: list[list[str]] = kept_results.read(result)["inputs"]
    return {each[1]: each[0] for each in inputs}


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the inputs of a script that looks in every way, at what is there and what is not."""
    paths = {}
    for way, call in LOOKS.items():
        paths[f"input/there/{way}"] = paths[f"input/gone/{way}"] = call
    for way, call in CHANGES.items():
        paths[f"input/led to {way}/gone"] = call
    build = Build(tmp_path_factory.mktemp("looked"), _script(paths))
    there = build.workspace / "sample/input/there"
    there.mkdir(parents=True)
    (there.parent / "gone").mkdir()
    for way in LOOKS:
        (there / way).write_text("")
    for way in CHANGES:
        (there.parent / f"led to {way}").symlink_to("gone")
    assert build.ci() == "kept", build.why
    return _inputs(build)


@pytest.mark.parametrize("way", [*LOOKS, *CHANGES])
def test_what_was_looked_at_is_an_input(looked: dict[str, str], way: str) -> None:
    call = {**LOOKS, **CHANGES}[way][0]
    if call not in syscall_numbers.table():
        assert call not in syscall_numbers.table("aarch64")
        return
    found = {path.partition("/input/")[2]: kind for path, kind in looked.items()}

    if way in LOOKS:
        assert found[f"gone/{way}"] == "absent"
        assert found[f"there/{way}"] in ("look", "file")
    else:
        assert found[f"led to {way}"] == "link"
        assert found["gone/gone"] == "absent"


def test_the_name_of_the_machine_is_an_input_where_it_was_asked_for(
    looked: dict[str, str], tmp_path: Path
) -> None:
    hostname = "/proc/sys/kernel/hostname"
    build = Build(tmp_path, _script({"any": ("uname", "b")}))

    assert build.ci() == "kept", build.why

    assert _inputs(build)[hostname] == "kernel"
    assert hostname not in looked


def test_what_was_not_looked_at_is_none(looked: dict[str, str]) -> None:
    assert not any("/other" in path for path in looked)


def test_a_path_that_leads_where_no_other_does_is_not_kept(tmp_path: Path) -> None:
    script = _script({"/Cargo.toml": ("openat2", "HERE, p, h, 24")})
    build = Build(
        tmp_path,
        script.replace("how) = ", "mut how) = ").replace("let none", "how[2] = 0x10; let none"),
    )

    assert build.ci() == "not kept"
    assert "leads where others do not" in build.why


def test_nothing_that_is_read_in_a_folder_of_its_own_goes_unseen(tmp_path: Path) -> None:
    """Scripts that are not kept read there without a stop."""
    build = Build(
        tmp_path,
        'let mut made = std::fs::read_to_string("input/read").unwrap();'
        'for each in std::fs::read_dir("input/listed").unwrap() '
        "{ made += &each.unwrap().file_name().into_string().unwrap(); }" + WRITE,
    )
    folder = build.workspace / "sample/input"
    (folder / "listed").mkdir(parents=True)
    (folder / "read").write_text("read")

    assert build.ci() == "kept", build.why

    found = {path.partition("/input/")[2]: kind for path, kind in _inputs(build).items()}
    assert found["read"] == "file"
    assert found["listed"] == "listing"
