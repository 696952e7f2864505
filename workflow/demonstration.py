"""What `demo` does: builds the bundled workspace without buildperm, then with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from buildperm.cargo import toolchain
from buildperm.errors import ExitCode
from buildperm.presentation import console
from buildperm.tracer.notation import encode
from buildperm.workflow.demo_thief import TOKEN, Thief, plant_secrets

_MARK = "left-padding-was-here.txt"


def run_demo(*, on_screens: bool, keep: bool) -> int:
    """Run the demonstration in a temporary folder; return the exit code.

    Args:
        on_screens: A person decides on the screens; otherwise all up to medium risk is allowed.
        keep: Do not remove the folder.

    Raises:
        BuildpermError: There is no tool chain.
    """
    folder = Path(tempfile.mkdtemp(prefix="buildperm-demo-"))
    thief = Thief()
    try:
        return _play(folder, thief, on_screens=on_screens)
    finally:
        thief.close()
        if keep:
            console.print_line(f"The demo's folder is kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _play(folder: Path, thief: Thief, *, on_screens: bool) -> int:
    workspace = folder / "workspace"
    with resources.as_file(resources.files("buildperm") / "examples") as examples:
        ignored = shutil.ignore_patterns("target", "__pycache__")
        shutil.copytree(examples, workspace, ignore=ignored)
    environment = _environment(folder, workspace, thief)
    _make_repository(workspace, environment)

    _heading("1  Without buildperm", "cargo build --offline")
    console.print_line(
        "A workspace of six crates, five with a build script. Four of these do honest"
    )
    console.print_line("work; the one of left-padding steals.")
    console.print_line("")
    plain = _run(["cargo", "build", "--offline", "--quiet"], workspace, environment)
    if plain != 0:
        console.print_message("The example does not build here; its messages above say why.")
        return plain
    _report_damage(workspace, thief)
    (workspace / _MARK).unlink(missing_ok=True)

    words = ["learn"] if on_screens else ["learn", "--no-tui", "--accept", "medium"]
    _heading("2  Learn what the build scripts do, and decide", f"buildperm {' '.join(words)}")
    console.print_line(
        "The same build, each script recorded in a sandbox. What stays within bounds"
    )
    console.print_line("needs no decision; the rest is put to you.")
    if not on_screens:
        console.print_line("Here, without a person: whatever is of low or medium risk is allowed.")
    console.print_line("")
    learned = _buildperm([*words, "--", "check", "--offline", "--quiet"], workspace, environment)
    if learned not in (ExitCode.OK, ExitCode.UNDECIDED):
        return learned

    _heading("3  Hold the build to it, as CI would", "buildperm ci")
    held = _buildperm(
        ["ci", "--", "build", "--offline", "--quiet", "--keep-going"], workspace, environment
    )
    _report_damage(workspace, thief)
    console.write(f"Exit code {held}: ")
    if held == ExitCode.REFUSED:
        console.print_line("somebody tried what was not granted.")
        console.print_line("So CI fails, and says who. The rest builds.")
        console.print_line("Next: `buildperm learn` in a Cargo workspace of your own.")
        return ExitCode.OK
    if held == ExitCode.OK:
        console.print_line("everything that was tried is granted or denied for good.")
        return ExitCode.OK
    console.print_message("the build could not be held.")
    return held


def _environment(folder: Path, workspace: Path, thief: Thief) -> dict[str, str]:
    """Plant a home, a token and the address of the thief; keep the real tool chain."""
    home = folder / "home"
    plant_secrets(home)
    rust = toolchain.resolve(workspace, os.environ)
    environment = rust.environment(os.environ)
    # A fresh CARGO_HOME keeps the user's own settings out of sight.
    for name in ("CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "RUSTC_WRAPPER"):
        environment.pop(name, None)
    environment |= {
        "HOME": str(home),
        "CARGO_HOME": str(folder / "cargo-home"),
        "DEMO_HOME": str(home),
        "DEMO_PORT": str(thief.port),
        "DEMO_API_TOKEN": TOKEN,
        "RELEASE_CHANNEL": "demo",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    (folder / "cargo-home").mkdir()
    return environment


def _make_repository(workspace: Path, environment: Mapping[str, str]) -> None:
    """Make a commit for the version stamp to find; without git there is no stamp."""
    if shutil.which("git") is None:
        return
    identity = ["-c", "user.name=demo", "-c", "user.email=demo@localhost"]
    for words in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*identity, "commit", "--quiet", "--message", "The demo"],
    ):
        subprocess.run(["git", *words], cwd=workspace, env=environment, check=False)


def _report_damage(workspace: Path, thief: Thief) -> None:
    """Say what the misbehaving crate got away with since the last call."""
    loot = [piece for piece in thief.take() if piece]
    for piece in loot:
        console.print_line(
            f"STOLEN: {len(piece)} bytes arrived on 127.0.0.1:{thief.port}:", emphasis="red"
        )
        for line in piece.splitlines():
            console.print_line(f"    {encode(line)}")
    if (workspace / _MARK).exists():
        console.print_line(f"WRITTEN: {_MARK} in the workspace, by a build script", emphasis="red")
    if not loot and not (workspace / _MARK).exists():
        console.print_line(
            "Nothing was stolen, nothing was written outside OUT_DIR.", emphasis="green"
        )


def _heading(title: str, words: str) -> None:
    console.print_line("")
    console.print_line(f"{title}   $ {words}", emphasis="bold")
    console.print_line("")


def _buildperm(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    return _run([sys.executable, "-m", "buildperm", *words], folder, environment)


def _run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    sys.stdout.flush()
    return subprocess.run(words, cwd=folder, env=environment, check=False).returncode
