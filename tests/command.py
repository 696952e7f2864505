from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

Run = Callable[..., subprocess.CompletedProcess[str]]

LEARN = ("learn", "--no-tui", "--accept", "medium")
CI = ("ci",)

# Whatever could move a cursor, forge a line or turn a text around; Cargo's newlines and tabs stay.
_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return today's environment without what would change Cargo or buildperm."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CARGO_", "BUILDPERM_", "DEMO_")) or name == "CARGO_HOME"
    }
    return kept | {"CARGO_NET_OFFLINE": "true"} | dict(extra or {})


def buildperm(
    *words: str,
    folder: Path,
    extra: Mapping[str, str] | None = None,
    launcher: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal, by `launcher` if there is one."""
    told = subprocess.run(
        [*launcher, sys.executable, "-m", "buildperm", *words],
        cwd=folder,
        env=environment(extra),
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=240,
    )
    # Decoded here, because a text pipe would make a newline of each carriage return.
    return subprocess.CompletedProcess(
        told.args, told.returncode, told.stdout.decode(), told.stderr.decode()
    )


def is_orderly(said: str) -> bool:
    """Tell whether a person can read what was said: no traceback, nothing raw."""
    return "Traceback" not in said and not _RAW.search(said)


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Return a copy of the bundled workspace without the crate that misbehaves."""
    workspace = copy_examples(tmp_path / "workspace")
    shutil.rmtree(workspace / "left-padding")
    for file in (workspace / "Cargo.toml", workspace / "postcard/Cargo.toml"):
        text = file.read_text().replace('"left-padding", ', "")
        file.write_text(text.replace('left-padding = { path = "../left-padding" }\n', ""))
    source = workspace / "postcard/src/main.rs"
    source.write_text("fn main() {}\n")
    (workspace / "Cargo.lock").unlink()
    return workspace


def copy_examples(to: Path) -> Path:
    """Copy the bundled workspace as it is in the repository."""
    shutil.copytree(EXAMPLES, to, ignore=shutil.ignore_patterns("target"))
    return to


def member(workspace: Path, build: str, name: str = "sample") -> Path:
    """Make a workspace with one member whose build script is `build`; return the workspace."""
    folder = workspace / name
    (folder / "src").mkdir(parents=True)
    (workspace / "Cargo.toml").write_text(f'[workspace]\nmembers = ["{name}"]\nresolver = "2"\n')
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
    )
    (folder / "src/lib.rs").write_text("")
    (folder / "build.rs").write_text(build)
    return workspace


def start(*words: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start the command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "buildperm", *words],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever processes a test has left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
