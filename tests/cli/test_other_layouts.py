"""What was learned in the layout of one distribution holds in that of another, and back.

The tool chain is the machine's own, mounted as others have it: with a folder for each package, with
one folder for all programs, with the libraries elsewhere, or with another shell.
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


MERGED = ("bin", "sbin", "lib", "lib64")  # Links into /usr, mostly.
NIX = [f"{STORE}-{package}/bin" for package in PACKAGES]
BREW = "/home/linuxbrew/.linuxbrew"
CELLAR = f"{BREW}/Cellar/gcc/14.2.0"
APPLETS = ("sh", *PACKAGES["coreutils-9.5"])


def _bound(path: str, to: str) -> list[str]:
    """Return the words that put a file or folder, or the link that it is, in a place."""
    if os.path.islink(path):
        return ["--symlink", os.readlink(path), to]
    return ["--bind", path, to]


def _rebuilt(folder: str, *without: str, to: str = "") -> list[str]:
    """Return the words for a folder that others than its own entries can be put into."""
    words = ["--tmpfs", to or folder]
    for name in sorted(os.listdir(folder)):
        if name not in without:
            words += _bound(f"{folder}/{name}", f"{to or folder}/{name}")
    return words


def _root(*without: str) -> list[str]:
    """Return the words for the machine's root without some folders."""
    words = [shutil.which("bwrap") or "bwrap", "--die-with-parent"]
    for name in sorted(os.listdir("/")):
        if name not in (*without, "nix", "dev") and (
            os.path.islink(f"/{name}") or os.path.isdir(f"/{name}")
        ):
            words += _bound(f"/{name}", f"/{name}")
    return [*words, "--dev-bind", "/dev", "/dev"]


def _found(*names: str) -> dict[str, str]:
    return {
        name: os.path.realpath(path)
        for name in names
        if (path := shutil.which(name, path="/usr/bin:/bin"))
    }


def _kept() -> list[str]:
    """Return the words that put into an empty /usr/bin what buildperm is started with."""
    words = []
    for kept in (os.path.realpath(sys.executable), *(f"/usr/bin/{name}" for name in KEPT)):
        if kept.startswith("/usr/bin/") and os.path.exists(kept):
            words += ["--ro-bind", os.path.realpath(kept), kept]
    return words


def _libraries() -> list[str]:
    return [each for each in ("lib/gcc", "libexec/gcc") if Path("/usr", each).is_dir()]


def _nix() -> list[str]:
    """Return the words of bubblewrap for a root in which the programs lie in the store."""
    found = _found(*(name for names in PACKAGES.values() for name in names))
    words = [*_root(), "--tmpfs", "/usr/bin", *_kept()]
    for package, names in PACKAGES.items():
        for name in names:
            words += ["--ro-bind", found[name], f"{STORE}-{package}/bin/{name}"]
    (gcc,) = (name for name in PACKAGES if name.startswith("gcc"))
    (shell,) = (name for name in PACKAGES if name.startswith("bash"))
    words += ["--symlink", "gcc", f"{STORE}-{gcc}/bin/cc"]
    words += ["--symlink", "bash", f"{STORE}-{shell}/bin/sh"]
    words += ["--symlink", f"{STORE}-{shell}/bin/sh", "/usr/bin/sh"]
    for library in _libraries():
        words += ["--ro-bind", f"/usr/{library}", f"{STORE}-{gcc}/{library}"]
        words += ["--tmpfs", f"/usr/{library}"]
    return words


def _homebrew() -> list[str]:
    """Return the words for a compiler in the Cellar, and none in /usr."""
    found = _found("gcc", "as", "ld", "ar")
    words = [*_root("home"), *_rebuilt("/home", "linuxbrew")]
    for name, program in found.items():
        words += ["--ro-bind", program, f"{CELLAR}/bin/{name}"]
        words += ["--symlink", f"../Cellar/gcc/14.2.0/bin/{name}", f"{BREW}/bin/{name}"]
    words += ["--symlink", "gcc", f"{CELLAR}/bin/cc"]
    words += ["--symlink", "../Cellar/gcc/14.2.0/bin/cc", f"{BREW}/bin/cc"]
    for library in _libraries():
        words += [
            "--ro-bind",
            f"/usr/{library}",
            f"{CELLAR}/{library}",
            "--tmpfs",
            f"/usr/{library}",
        ]
    return words


def _arch() -> list[str]:
    """Return the words for one folder of programs, and one of libraries."""
    words = [*_root("usr", *MERGED), *_rebuilt("/usr", "lib", "lib64", "sbin")]
    words += _rebuilt("/usr/lib")
    for name in os.listdir("/usr/lib64") if os.path.isdir("/usr/lib64") else ():
        if not os.path.lexists(f"/usr/lib/{name}"):
            words += _bound(f"/usr/lib64/{name}", f"/usr/lib/{name}")
    words += ["--symlink", "bin", "/usr/sbin", "--symlink", "lib", "/usr/lib64"]
    for name in MERGED:
        words += ["--symlink", f"usr/{'bin' if 'bin' in name else 'lib'}", f"/{name}"]
    return words


def _fedora() -> list[str]:
    """Return the words for libraries in /usr/lib64."""
    told = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=False)
    multiarch = told.stdout.strip()
    if not multiarch or not os.path.isdir(f"/usr/lib/{multiarch}"):
        pytest.skip("no libraries in a folder of their architecture")
    words = [*_root("usr", *MERGED), *_rebuilt("/usr", "lib", "lib64", "sbin")]
    words += [*_rebuilt("/usr/lib", multiarch), "--symlink", "../lib64", f"/usr/lib/{multiarch}"]
    words += ["--bind", f"/usr/lib/{multiarch}", "/usr/lib64", "--symlink", "bin", "/usr/sbin"]
    for name in MERGED:
        words += ["--symlink", f"usr/{name}", f"/{name}"]
    return words


def _alpine() -> list[str]:
    """Return the words for a /bin of its own, with the programs of busybox."""
    busybox = shutil.which("busybox", path="/usr/bin:/bin")
    if busybox is None:
        pytest.skip("no busybox")
    words = [*_root("bin"), "--ro-bind", os.path.realpath(busybox), "/bin/busybox"]
    for name in APPLETS:
        words += ["--symlink", "/bin/busybox", f"/bin/{name}"]
    # Cargo's variables have names that only some shells pass on.
    words += ["--ro-bind", _found("bash")["bash"], "/bin/bash"]
    words += ["--tmpfs", "/usr/bin", *_kept()]
    for name, program in _found("gcc", "as", "ld", "ar", "make", "perl", "pkg-config").items():
        words += ["--ro-bind", program, f"/usr/bin/{name}"]
    return [*words, "--symlink", "gcc", "/usr/bin/cc", "--symlink", "/bin/busybox", "/usr/bin/expr"]


LAYOUTS = {
    "nix": (_nix, NIX),
    "homebrew": (_homebrew, [f"{BREW}/bin", "/usr/bin", "/bin"]),
    "arch": (_arch, ["/usr/local/bin", "/usr/bin"]),
    "fedora": (_fedora, ["/usr/local/bin", "/usr/bin"]),
    "alpine": (_alpine, ["/usr/bin", "/bin"]),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> tuple[list[str], str]:
    """Return the launcher of a machine of another layout, and PATH there."""
    needed = [name for names in PACKAGES.values() for name in names]
    missing = [name for name in needed if not shutil.which(name, path="/usr/bin:/bin")]
    if missing or not shutil.which("bwrap"):
        pytest.skip(f"this machine has no {', '.join(missing) or 'bwrap'}")
    if not os.path.islink("/bin"):
        pytest.skip("no /bin that is a link to /usr/bin")
    make, folders = LAYOUTS[request.param]
    bare = [shutil.which("bwrap") or "bwrap", "--ro-bind", "/", "/", "true"]
    told = subprocess.run(bare, check=False, capture_output=True)
    if told.returncode:
        pytest.skip(f"no namespaces for users: {told.stderr.decode()}")
    words = make()
    told = subprocess.run([*words, "/bin/sh", "-c", "true"], check=False, capture_output=True)
    assert told.returncode == 0, told.stderr.decode()  # The layout is wrong, not the machine.
    rust = {os.path.dirname(found) for name in KEPT[1:] if (found := shutil.which(name))}
    return words, os.pathsep.join([*sorted(rust - {"/usr/bin", "/bin"}), *folders])


@pytest.mark.slow
@pytest.mark.parametrize("learns_there", [False, True], ids=["to", "from"])
def test_grants_hold_in_another_layout(
    *, learns_there: bool, tmp_path: Path, layout: tuple[list[str], str]
) -> None:
    workspace = member(tmp_path / "one", BUILD)
    (workspace / "sample/gen.pl").write_text("use File::Spec; print 1;\n")
    (workspace / "sample/gen.mk").write_text("all:\n\t@uname -s; date\n")
    launcher, path = layout
    there = {"launcher": launcher, "extra": {"PATH": path}}
    first, second = (there, {}) if learns_there else ({}, there)

    learnt = buildperm(*LEARN, folder=workspace, **first)  # type: ignore[arg-type]
    assert learnt.returncode == 0, learnt.stderr
    table = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]["metadata"]
    assert table["buildperm"]["crates"]["sample"] == {
        "reviewed": ["0.1.0"],
        "presets": ["cc", "cmake", "perl", "pkg-config"],
    }
    written = (workspace / "Cargo.toml").read_text()
    assert not any(each in written for each in ("/nix/store", "linuxbrew", "busybox"))

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
