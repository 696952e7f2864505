"""Textual is there for the screens alone: whatever a person does in plain text works without."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import environment, member

READS = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read("../data.txt");
}
"""
WITHOUT_TEXTUAL = """
import sys
sys.modules["textual"] = None  # Whoever imports it gets an ImportError.
from buildperm.cli import main
main()
"""
TELL_TEXTUAL = """
import sys
from buildperm.cli import main
try:
    main()
finally:
    sys.stderr.write(f"\\ntextual: {'textual' in sys.modules}\\n")
"""
IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import buildperm
for room in ("cli", "workflow", "presentation", "report", "cargo", "sandbox", "policy"):
    package = importlib.import_module(f"buildperm.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"buildperm.{room}."):
        importlib.import_module(module.name)
sys.exit("textual is imported" if "textual" in sys.modules else 0)
"""


def on_terminal(folder: Path, answers: bytes, *words: str) -> tuple[int, str]:
    """Run a command on a terminal, without textual; one letter is the answer to each question."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        command = [sys.executable, "-c", WITHOUT_TEXTUAL, *words]
        os.execve(command[0], command, environment({"TERM": "xterm", "NO_COLOR": "1"}))
    said = ""
    answered = 0
    try:
        while piece := os.read(terminal, 4096):
            said += piece.decode(errors="replace")
            while answered < min(said.count("): "), said.count("Answer ("), len(answers)):
                os.write(terminal, answers[answered : answered + 1] + b"\n")
                answered += 1
    except OSError:
        pass  # The other end is closed: it has ended.
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said


@pytest.mark.slow
def test_a_person_learns_and_reviews_in_plain_text_where_there_is_no_textual(
    tmp_path: Path,
) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "data.txt").write_text("data")

    kept, said = on_terminal(folder, b"ak", "learn", "--no-tui")

    assert kept == 3, said  # All is answered and nothing is written: no success.
    assert "buildperm" not in (folder / "Cargo.toml").read_text()

    learned, asked = on_terminal(folder, b"wy", "learn", "--no-tui")

    assert learned == 0, asked
    assert 'read = ["$WORKSPACE/data.txt"]' in (folder / "Cargo.toml").read_text()

    (folder / "sample/build.rs").write_text(READS.replace("data.txt", "other.txt"))
    (folder / "other.txt").write_text("data")
    reviewed, asked = on_terminal(folder, b"awy", "review", "--no-tui")

    assert reviewed == 0, asked
    assert "$WORKSPACE/other.txt" in (folder / "Cargo.toml").read_text()

    (folder / "sample/build.rs").write_text(READS.replace("data.txt", "third.txt"))
    (folder / "third.txt").write_text("data")
    code, said = on_terminal(folder, b"", "review")

    assert code == 1
    assert "ModuleNotFoundError: import of textual" in said  # The screens cannot do without.


def test_no_module_but_those_of_the_screens_imports_textual() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], capture_output=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = member(tmp_path_factory.mktemp("front") / "ws", READS)
    (folder / "data.txt").write_text("data")
    assert "textual: False" in told(folder, "learn", "--accept", "medium")
    return folder


def told(folder: Path, *words: str) -> str:
    """Run a command without a terminal; return what it says, and whether it loaded textual."""
    return subprocess.run(
        [sys.executable, "-c", TELL_TEXTUAL, *words],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    ).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("review",),
        ("check",),
        ("ci",),
        ("show",),
        ("why", "sample", "read:data.txt"),
        ("trace", "sample"),
        ("simulate", "sample", "--remove", "all"),
        ("env-diff", "sample", "HOME"),
        ("doctor",),
        ("watch", "--help"),
        ("demo", "--help"),
    ],
    ids=lambda words: words[0],
)
@pytest.mark.quick(1)
def test_no_command_loads_textual_where_there_is_no_terminal(
    reading: Path, words: tuple[str, ...]
) -> None:
    assert "textual: False" in told(reading, *words)


@pytest.mark.parametrize("command", ["ci", "check"])
def test_what_only_some_runs_of_a_command_need_is_imported_by_those(command: str) -> None:
    heavy = (
        *("textual", "rich", "tomlkit", "xml", "html", "ctypes.util", "importlib.resources"),
        *("buildperm.workflow.commit_comparison", "buildperm.report.sarif"),
    )
    program = (
        f"import sys, buildperm.cli.{command}; print([m for m in {heavy} if m in sys.modules])"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert loaded.stdout == "[]\n"
