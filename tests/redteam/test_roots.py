"""A root is somebody else's system: nothing of it runs but within a build script's sandbox."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.command import CI, buildperm, member
from tests.small_root import SmallRoot, skip_without_rooms

pytestmark = pytest.mark.slow  # Each builds.

_SCRIPT = """
use std::process::Command;

fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let mut made = String::new();
    for tool in ["tool", "sh", "/usr/bin/python3"] {
        made += &format!("{tool} {:?}\\n", Command::new(tool).status().map(|s| s.code()));
    }
    let _ = std::net::TcpStream::connect(("nowhere.invalid", 80));
    for path in ["/usr/made", "/etc/made", "PLACE/usr/made", "PLACE/etc/made"] {
        made += &format!("{path} {:?}\\n", std::fs::write(path, "").map_err(|e| e.kind()));
    }
    std::fs::write(out + "/made", made).unwrap();
}
"""


@pytest.fixture
def root(tmp_path: Path) -> SmallRoot:
    """Make a root all of whose programs and libraries leave a mark, where they may."""
    skip_without_rooms()
    made = SmallRoot(tmp_path / "root")
    mark = tmp_path / "pwned"
    body = f'creat("{mark}", 0666); puts("ran");'
    for name in ("tool", "sh", "dash", "bash", "env", "bwrap", "python3", "ld", "cc"):
        made.add_program(name, body)
    library = made.folder / "usr/lib/evil.so"
    going = f'static void go(void) {{ creat("{mark}", 0666); }}'
    source = f"#include <fcntl.h>\n__attribute__((constructor)) {going}\n"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    subprocess.run(command, input=source.encode(), check=True)
    # Each process that loads anything in the root loads this as well: ld.so(8), nsswitch.conf(5).
    (made.folder / "etc/ld.so.preload").write_text("/usr/lib/evil.so\n")
    for folder in ("usr/lib", f"usr/lib/{os.uname().machine}-linux-gnu"):
        (made.folder / folder).mkdir(exist_ok=True)
        for name in ("libnss_evil.so.2", "libgcc_s.so.1"):
            if not (made.folder / folder / name).exists():
                (made.folder / folder / name).write_bytes(library.read_bytes())
    (made.folder / "etc/nsswitch.conf").write_text("hosts: evil\npasswd: evil\n")
    standard = Path(sysconfig.get_path("stdlib"))
    if standard.parts[1] == "usr":
        place = made.folder / standard.relative_to("/")
        place.mkdir(parents=True)
        for name in ("json", "traceback", "socket", "select", "ctypes", "hashlib", "os"):
            (place / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\n")
    return made


def test_nothing_of_an_evil_root_runs_outside_of_the_sandbox(
    root: SmallRoot, tmp_path: Path
) -> None:
    workspace = member(tmp_path / "ws", _SCRIPT.replace("PLACE", str(root.folder)))
    manifest = workspace / "Cargo.toml"
    grants = """
[workspace.metadata.buildperm.crates.sample]
reviewed = ["0.1.0"]
exec = ["sh", "tool", "/usr/bin/python3"]
net = ["nowhere.invalid:80"]
reason = "to try it"
"""
    manifest.write_text(manifest.read_text() + root.table() + grants)
    before = root.digest
    ended = buildperm(*CI, folder=workspace)
    assert ended.returncode == 20, ended.stderr  # It has tried to write.
    (path,) = workspace.glob("target/buildperm/ci/**/out/made")
    told = path.read_text()
    for tool in ("tool", "sh", "/usr/bin/python3"):
        assert f"{tool} Ok(Some(" in told  # They did run.
    assert told.count(" Err(") == 4, told
    assert not (tmp_path / "pwned").exists()
    assert root.digest == before


_LED_OUT = """
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let mut made = String::new();
    for path in ["/etc/issue", "/etc/timezone"] {
        made += &format!("{path} {:?}\\n", std::fs::read(path).map_err(|e| e.kind()).is_ok());
    }
    println!("cargo:rustc-link-search=native=/usr/lib/../lib/inside");
    println!("cargo:rustc-link-search=native=/usr/lib/turn/../../../srv/outside");
    std::fs::write(out + "/made", made).unwrap();
}
"""
_OF_THE_MACHINE = Path("/sys/devices/virtual/net/lo/mtu")  # No build script may read it.


def test_links_of_a_root_open_nothing_of_the_machine(root: SmallRoot, tmp_path: Path) -> None:
    (root.folder / "etc/ld.so.preload").unlink()
    # What everybody may read of /etc; one leads out of the root, the other one within.
    (root.folder / "etc/issue").symlink_to(_OF_THE_MACHINE)
    (root.folder / "etc/timezone").symlink_to("/usr/lib/zone")
    (root.folder / "usr/lib/zone").write_text("UTC")
    # With this link the second path ends in /usr/lib; the linker has the machine's, without it.
    (root.folder / "usr/lib/a/b/c").mkdir(parents=True)
    (root.folder / "usr/lib/turn").symlink_to("a/b/c")
    workspace = member(tmp_path / "ws", _LED_OUT)
    manifest = workspace / "Cargo.toml"
    grants = '\n[workspace.metadata.buildperm.crates.sample]\nreviewed = ["0.1.0"]\n'
    manifest.write_text(manifest.read_text() + root.table() + grants)
    assert _OF_THE_MACHINE.read_bytes()
    ended = buildperm(*CI, folder=workspace)
    assert ended.returncode == 20, ended.stderr
    (path,) = workspace.glob("target/buildperm/ci/**/out/made")
    assert path.read_text() == "/etc/issue false\n/etc/timezone true\n"
    said = ended.stdout + ended.stderr
    assert "/srv/outside" in said
    assert "inside" not in said


def test_setuid_and_capabilities_of_a_root_give_nothing(root: SmallRoot, tmp_path: Path) -> None:
    script = """
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let said = std::process::Command::new("/usr/bin/who").output().unwrap();
    std::fs::write(out + "/made", said.stdout).unwrap();
}
"""
    (root.folder / "etc/ld.so.preload").unlink()
    made = root.add_program("who", 'printf("%d %d", (int)getuid(), (int)geteuid());')
    if os.getuid() == 0:
        os.chown(made, 65534, 65534)
    made.chmod(0o6755)
    workspace = member(tmp_path / "ws", script)
    manifest = workspace / "Cargo.toml"
    grants = '\n[workspace.metadata.buildperm.crates.sample]\nexec = ["who"]\n'
    manifest.write_text(manifest.read_text() + root.table() + f'{grants}reviewed = ["0.1.0"]\n')
    ended = buildperm(*CI, folder=workspace)
    assert ended.returncode == 0, ended.stderr
    (path,) = workspace.glob("target/buildperm/ci/**/out/made")
    assert path.read_text() == f"{os.getuid()} {os.geteuid()}"
