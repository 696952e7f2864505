"""What was learned where programs lie in /usr holds where each package has a folder of its own.

The tool chain is the machine's own, mounted as NixOS has it: nothing but `env` and a link to a
shell is left in /usr/bin, and no compiler in /usr.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm, member

STORE = "/nix/store/0c2i5vqk8w7m3a1xdfghjklnpqrsvwyz"
PACKAGES = {
    "gcc-13.3.0": ("gcc",),
    "binutils-2.43.1": ("as", "ld", "ar"),
    "bash-5.2p37": ("bash",),
    "gnumake-4.4.1": ("make",),
    "perl-5.40.0": ("perl",),
    "pkg-config-0.29.2": ("pkg-config",),
    "coreutils-9.5": ("cat", "chmod", "cp", "date", "ln", "mkdir", "mv", "rm", "sleep", "uname"),
}
KEPT = ("env", "cargo", "rustc", "rustdoc")  # Of /usr/bin: what buildperm itself is started with.

BUILD = """
use std::process::Command;
fn run(program: &str, arguments: &[&str]) {
    let ended = Command::new(program).args(arguments).status().expect(program);
    assert!(ended.success(), "{program}");
}
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let (source, object) = (format!("{out}/x.c"), format!("{out}/x.o"));
    std::fs::write(&source, "int main(void) { return 0; }").unwrap();
    run("gcc", &["-c", &source, "-o", &object]);
    run("gcc", &[&object, "-o", &format!("{out}/x")]);
    run("ar", &["rc", &format!("{out}/libx.a"), &object]);
    run("pkg-config", &["--version"]);
    run("perl", &["gen.pl"]);
    run("make", &["-f", "gen.mk"]);
}
"""


def _elsewhere() -> list[str]:
    """Return the words of bubblewrap for a root in which the programs lie in the store."""
    words = [shutil.which("bwrap") or "bwrap", "--die-with-parent"]
    for entry in sorted(os.scandir("/"), key=lambda each: each.name):
        if entry.is_symlink():
            words += ["--symlink", str(Path(entry.path).readlink()), entry.path]
        elif entry.is_dir() and entry.name not in ("nix", "dev"):
            words += ["--bind", entry.path, entry.path]
    words += ["--dev-bind", "/dev", "/dev"]
    found = {
        name: os.path.realpath(path)
        for names in (*PACKAGES.values(), KEPT)
        for name in names
        if (path := shutil.which(name, path="/usr/bin:/bin"))
    }
    libraries = [each for each in ("lib/gcc", "libexec/gcc") if Path("/usr", each).is_dir()]
    words += ["--tmpfs", "/usr/bin"]
    python = os.path.realpath(sys.executable)
    for kept in (python, *(f"/usr/bin/{name}" for name in KEPT)):
        if kept.startswith("/usr/bin/") and os.path.exists(kept):
            words += ["--ro-bind", os.path.realpath(kept), kept]
    for package, names in PACKAGES.items():
        for name in names:
            words += ["--ro-bind", found[name], f"{STORE}-{package}/bin/{name}"]
    (gcc,) = (name for name in PACKAGES if name.startswith("gcc"))
    (shell,) = (name for name in PACKAGES if name.startswith("bash"))
    words += ["--symlink", "gcc", f"{STORE}-{gcc}/bin/cc"]
    words += ["--symlink", "bash", f"{STORE}-{shell}/bin/sh"]
    words += ["--symlink", f"{STORE}-{shell}/bin/sh", "/usr/bin/sh"]
    for library in libraries:
        words += ["--ro-bind", f"/usr/{library}", f"{STORE}-{gcc}/{library}"]
        words += ["--tmpfs", f"/usr/{library}"]
    return words


@pytest.fixture(scope="module")
def elsewhere() -> list[str]:
    """Return the launcher of a machine of that layout."""
    needed = [name for names in PACKAGES.values() for name in names]
    missing = [name for name in needed if not shutil.which(name, path="/usr/bin:/bin")]
    if missing or not shutil.which("bwrap"):
        pytest.skip(f"this machine has no {', '.join(missing) or 'bwrap'}")
    words = _elsewhere()
    told = subprocess.run([*words, "/bin/sh", "-c", "true"], check=False, capture_output=True)
    if told.returncode:
        pytest.skip(f"this machine makes no namespaces: {told.stderr.decode()}")
    return words


def _path() -> str:
    """Return PATH of that layout: the tool chain of Rust, if it is rustup's, and the store."""
    rust = {os.path.dirname(found) for name in KEPT[1:] if (found := shutil.which(name))}
    folders = [f"{STORE}-{package}/bin" for package in PACKAGES]
    return os.pathsep.join([*sorted(rust - {"/usr/bin", "/bin"}), *folders])


@pytest.mark.slow
@pytest.mark.parametrize("learns_there", [False, True], ids=["to the store", "from the store"])
def test_grants_hold_in_another_layout(
    *, learns_there: bool, tmp_path: Path, elsewhere: list[str]
) -> None:
    workspace = member(tmp_path / "one", BUILD)
    (workspace / "sample/gen.pl").write_text("use File::Spec; print 1;\n")
    (workspace / "sample/gen.mk").write_text("all:\n\t@uname -s; date\n")
    there = {"launcher": elsewhere, "extra": {"PATH": _path()}}
    first, second = (there, {}) if learns_there else ({}, there)

    learnt = buildperm(*LEARN, folder=workspace, **first)  # type: ignore[arg-type]
    assert learnt.returncode == 0, learnt.stderr
    table = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]["metadata"]
    assert table["buildperm"]["crates"]["sample"] == {
        "reviewed": ["0.1.0"],
        "presets": ["cc", "cmake", "perl", "pkg-config"],
    }
    assert "/nix/store" not in (workspace / "Cargo.toml").read_text()

    checkout = shutil.copytree(workspace, tmp_path / "two", ignore=shutil.ignore_patterns("target"))
    words = (*CI, "--require-reviewed")
    held = buildperm(*words, folder=checkout, **second)  # type: ignore[arg-type]
    assert held.returncode == 0, held.stdout + held.stderr
    assert "1 build script held" in held.stdout + held.stderr

    (checkout / "secret.txt").write_text("x")
    build = BUILD.replace("let out", 'std::fs::read("../secret.txt").unwrap(); let out', 1)
    (checkout / "sample/build.rs").write_text(build)
    refused = buildperm(*CI, folder=checkout, **second)  # type: ignore[arg-type]
    assert refused.returncode == 20, refused.stdout + refused.stderr
    assert "secret.txt" in refused.stdout + refused.stderr
