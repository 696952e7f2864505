"""Waiting for Cargo.lock to change, as a script sees it and as a person does."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.command import buildperm, environment, is_orderly, kill_group, member

LONG_S = 60  # Until a test gives up.
SHORT_S = 2  # In which a line that is on its way arrives: quiet for 0.5 s, then `cargo metadata`.
READS = """
fn main() {
    let found = std::fs::read_to_string("../data.txt");
    println!("cargo::rustc-env=FOUND={}", found.is_ok());
}
"""


class Watching:
    """A `buildperm watch` without a terminal."""

    def __init__(self, folder: Path, *words: str, launcher: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*launcher, sys.executable, "-m", "buildperm", "watch", *words],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self._read = b""

    def line(self, within_s: float = LONG_S) -> str:
        """Return the next line of standard output; empty if none comes."""
        assert self.process.stdout is not None
        until = time.monotonic() + within_s
        while b"\n" not in self._read:
            left_s = until - time.monotonic()
            if left_s <= 0 or not select.select([self.process.stdout], [], [], left_s)[0]:
                return ""
            piece = os.read(self.process.stdout.fileno(), 4096)
            if not piece:
                return ""
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def interrupt(self) -> tuple[int, str, str]:
        """Press Ctrl+C; return the exit code and what was said until then."""
        os.killpg(self.process.pid, signal.SIGINT)
        said, complained = self.process.communicate(timeout=LONG_S)
        return self.process.returncode, said.decode(), complained.decode()


@contextlib.contextmanager
def watching(folder: Path, *words: str, launcher: Sequence[str] = ()) -> Iterator[Watching]:
    watch = Watching(folder, *words, launcher=launcher)
    try:
        yield watch
    finally:
        kill_group(watch.process)
        for stream in (watch.process.stdout, watch.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Make a workspace whose one build script is reviewed."""
    folder = member(tmp_path / "ws", READS)
    (folder / "data.txt").write_text("data")
    learned = buildperm("learn", "--no-tui", "--accept", "medium", folder=folder)
    assert learned.returncode == 0, learned.stderr
    return folder


def _bump(workspace: Path, version: str) -> None:
    """Change the version of the member, as an editor does that renames."""
    manifest = workspace / "sample/Cargo.toml"
    other = manifest.with_name("Cargo.toml~")
    lines = manifest.read_text().splitlines(keepends=True)
    changed = [f'version = "{version}"\n' if line.startswith("version") else line for line in lines]
    other.write_text("".join(changed))
    other.rename(manifest)


def test_every_change_is_one_line_and_nothing_else_is(workspace: Path) -> None:
    manifest = workspace / "Cargo.toml"
    with watching(workspace) as watch:
        told = [watch.line()]
        manifest.touch()
        (workspace / "sample/Cargo.toml").touch()
        told.append(watch.line(within_s=SHORT_S))
        _bump(workspace, "0.2.0")
        told.append(watch.line())
        told.append(watch.line(within_s=SHORT_S))
        code, said, complained = watch.interrupt()

    assert told == [
        "now: nothing to review",
        "",
        "sample/Cargo.toml changed: 1 build script to review: sample 0.2.0 (was 0.1.0)",
        "",
    ]
    assert code == 130
    assert said == ""
    assert is_orderly(complained)


@pytest.mark.slow
def test_a_manifest_that_is_being_edited_is_one_line_and_waiting_goes_on(workspace: Path) -> None:
    manifest = workspace / "sample/Cargo.toml"
    whole = manifest.read_text()
    with watching(workspace) as watch:
        told = [watch.line()]
        manifest.write_text(whole + "[dependencies\n")
        told.append(watch.line())
        manifest.unlink()
        told.append(watch.line())
        manifest.write_text(whole)
        told.append(watch.line())

    assert told[1].startswith("sample/Cargo.toml changed: Cargo cannot read the workspace: ")
    assert told[2].startswith("sample/Cargo.toml changed: Cargo cannot read the workspace: ")
    assert told[3] == "sample/Cargo.toml changed: nothing to review"


@pytest.mark.slow
def test_a_branch_with_other_packages_is_told_once(workspace: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git")

    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        subprocess.run(["git", *identity, *words], cwd=workspace, check=True, capture_output=True)

    (workspace / ".gitignore").write_text("target\n")
    git("init", "--quiet", "--initial-branch=one")
    git("add", "--all")
    git("commit", "--quiet", "--message=one")
    git("checkout", "--quiet", "-b", "two")
    (workspace / "sample").rename(workspace / "renamed")
    (workspace / "Cargo.toml").write_text(
        (workspace / "Cargo.toml")
        .read_text()
        .replace('members = ["sample"]', 'members = ["renamed"]')
    )
    _rename = (workspace / "renamed/Cargo.toml").read_text().replace("sample", "renamed")
    (workspace / "renamed/Cargo.toml").write_text(_rename)
    (workspace / "Cargo.lock").unlink()
    subprocess.run(
        ["cargo", "generate-lockfile"],
        cwd=workspace,
        env=environment(),
        check=True,
        capture_output=True,
    )
    git("add", "--all")
    git("commit", "--quiet", "--message=two")
    git("checkout", "--quiet", "one")

    with watching(workspace) as watch:
        told = [watch.line()]
        git("checkout", "--quiet", "two")
        told.append(watch.line())
        git("checkout", "--quiet", "one")
        told.append(watch.line())
        told.append(watch.line(within_s=SHORT_S))

    assert told[0] == "now: nothing to review"
    assert told[1].endswith("changed: 1 build script to review: renamed 0.1.0 (new)")
    assert told[2].endswith("changed: nothing to review")
    assert told[3] == ""


@pytest.mark.slow
def test_a_review_elsewhere_is_told_and_offers_nothing(workspace: Path) -> None:
    _bump(workspace, "0.2.0")
    with watching(workspace) as watch:
        told = [watch.line()]
        reviewed = buildperm("review", "--no-tui", "--accept", "medium", folder=workspace)
        told.append(watch.line())
        told.append(watch.line(within_s=SHORT_S))

    assert reviewed.returncode == 0, reviewed.stderr
    assert told[0] == "now: 1 build script to review: sample 0.2.0 (was 0.1.0)"
    assert told[1].endswith("buildperm.lock changed: nothing to review")
    assert told[2] == ""


@pytest.mark.slow
def test_where_the_kernel_gives_no_more_watches_it_looks_by_itself(workspace: Path) -> None:
    limit = "/proc/sys/user/max_inotify_instances"
    launcher = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        f'echo 0 > {limit}; exec "$@"',
        "-",
    ]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*launcher, "true"], check=False).returncode
    ):
        pytest.skip("no user namespaces")
    with watching(workspace, launcher=launcher) as watch:
        told = [watch.line()]
        _bump(workspace, "0.2.0")
        told.append(watch.line())
        code, _, complained = watch.interrupt()

    assert (
        told[1] == "sample/Cargo.toml changed: 1 build script to review: sample 0.2.0 (was 0.1.0)"
    )
    assert code == 130
    assert "looking once a second" in complained
    assert is_orderly(complained)


@pytest.mark.slow
def test_a_workspace_that_is_gone_is_an_orderly_end(workspace: Path) -> None:
    with watching(workspace) as watch:
        assert watch.line() == "now: nothing to review"
        shutil.rmtree(workspace)
        _, complained = watch.process.communicate(timeout=LONG_S)

    assert watch.process.returncode == 2
    assert "is gone" in complained.decode()
    assert is_orderly(complained.decode())


class WatchTerminal:
    """A terminal with a `buildperm watch` in it."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.shown = ""
        self.child, self._terminal = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            command = [sys.executable, "-m", "buildperm", "watch", *words]
            os.execve(command[0], command, environment({"TERM": "xterm", "NO_COLOR": "1"}))

    def wait_for(self, text: str) -> str:
        """Return what is shown up to `text`, from where the last call stopped."""
        until = time.monotonic() + LONG_S
        while text not in self.shown:
            left_s = until - time.monotonic()
            if left_s <= 0 or not select.select([self._terminal], [], [], left_s)[0]:
                break
            try:
                piece = os.read(self._terminal, 4096)
            except OSError:
                break  # The other end is closed: it has ended.
            self.shown += piece.decode(errors="replace").replace("\r", "")
        before, found, self.shown = self.shown.partition(text)
        assert found, f"not shown: {text!r}, but: {before}"
        return before

    def type(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def ended(self) -> int:
        """Return the exit code."""
        _, status = os.waitpid(self.child, 0)
        self.child = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        os.close(self._terminal)
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)


@pytest.fixture
def terminal(workspace: Path) -> Iterator[WatchTerminal]:
    terminal = WatchTerminal(workspace, "--no-tui")
    yield terminal
    terminal.close()


@pytest.mark.slow
def test_enter_starts_the_review_and_anything_else_waits_on(
    workspace: Path, terminal: WatchTerminal
) -> None:
    terminal.wait_for("now: nothing to review")
    terminal.type(b"\n")
    terminal.wait_for("Nothing to review.")
    _bump(workspace, "0.2.0")
    terminal.wait_for("1 build script to review: sample 0.2.0 (was 0.1.0)")
    terminal.wait_for("Enter starts")
    terminal.type(b"no\n")
    _bump(workspace, "0.3.0")
    between = terminal.wait_for("1 build script to review: sample 0.3.0 (was 0.1.0)")
    terminal.wait_for("Enter starts")
    terminal.type(b"\n")
    reviewed = terminal.wait_for("buildperm.lock changed: nothing to review")
    terminal.type(b"\x03")
    terminal.wait_for("interrupted")

    assert "Recorded" not in between
    assert "build script" in reviewed
    assert terminal.ended() == 130
    assert '"0.3.0"' in (workspace / "buildperm.lock").read_text()


def test_the_end_of_the_input_ends_it(terminal: WatchTerminal) -> None:
    terminal.wait_for("now: nothing to review")
    terminal.type(b"\x04")

    assert terminal.ended() == 0
