"""What was learnt on one machine holds on another: other user, paths, homes and tool chain."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import LEARN, buildperm, member

ROOT = Path(__file__).parents[2]
USER = "2000"

SCRIPT = """
use std::process::Command;
fn main() {
    for entry in std::fs::read_dir("../schema").unwrap() {
        std::fs::read(entry.unwrap().path()).unwrap();
    }
    assert_eq!(std::env::var("SCHEMA_MODE").unwrap(), "strict");
    assert!(Command::new("cc").arg("--version").status().unwrap().success());
    assert!(Command::new("uname").status().unwrap().success());
    assert!(Command::new(std::env::var("RUSTC").unwrap()).arg("-vV").status().unwrap().success());
}
"""


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Return a folder that every user can come into."""
    if os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine has no mount namespaces")
    folder = Path(tempfile.mkdtemp(prefix="elsewhere-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_grants_hold_for_another_user_with_other_paths(tmp_path: Path, elsewhere: Path) -> None:
    workspace = member(tmp_path / "one", SCRIPT)
    (workspace / "schema").mkdir()
    for name in ("a.txt", "b.txt"):
        (workspace / "schema" / name).write_text("x")
    mode = {"SCHEMA_MODE": "strict"}
    assert buildperm(*LEARN, folder=workspace, extra=mode).returncode == 0
    written = "".join((workspace / name).read_text() for name in ("Cargo.toml", "buildperm.lock"))
    assert str(tmp_path) not in written
    assert os.environ["HOME"] not in written

    checkout, home = elsewhere / "a/checkout", elsewhere / "home"
    shutil.copytree(workspace, checkout, ignore=shutil.ignore_patterns("target"))
    home.mkdir()
    sysroot = subprocess.run(
        ["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True
    ).stdout.strip()
    # They may lie in somebody's home, and are called otherwise on the other machine.
    shown = {"rust": sysroot, "python": sys.base_prefix, "packages": site.getsitepackages()[0]}
    shown["buildperm"] = str(ROOT)
    for name in shown:
        (elsewhere / name).mkdir()
    for path in (checkout, home, *checkout.rglob("*")):
        os.chown(path, int(USER), int(USER))
    mounts = "".join(f'mount --bind "{it}" "{elsewhere / name}"; ' for name, it in shown.items())
    python = elsewhere / "python/bin" / f"python3.{sys.version_info.minor}"
    variables = {
        "HOME": home,
        "CARGO_HOME": home / "cargo",
        "CARGO_NET_OFFLINE": "true",
        "CARGO_TARGET_DIR": home / "built",
        "PATH": f"{elsewhere}/rust/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{elsewhere}/buildperm:{elsewhere}/packages",
        **mode,
    }
    told = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-ec", f'{mounts} exec "$@"', "sh"),
            *("setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "env", "-i"),
            *(f"{name}={value}" for name, value in variables.items()),
            *(str(python), "-m", "buildperm", "ci", "--require-reviewed", "--", "check"),
        ],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert "1 build script held" in told.stdout + told.stderr
