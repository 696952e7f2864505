"""A Git source whose next commit, of the same version, makes more of what was granted to it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer

import pytest

from tests.command import buildperm, environment, is_orderly

WRITES = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::write("src/gen/out.txt", "made");
}
"""
MANIFEST = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'


@dataclass(frozen=True, slots=True)
class World:
    """A workspace that depends on a crate in a Git repository, and a project of somebody else's."""

    top: Path
    extra: Mapping[str, str]

    @property
    def repository(self) -> Path:
        return self.top / "repository"

    @property
    def workspace(self) -> Path:
        return self.top / "ws"

    @property
    def victim(self) -> Path:
        return self.top / "victim"

    @property
    def manifest(self) -> str:
        return (self.workspace / "Cargo.toml").read_text()

    @property
    def key(self) -> str:
        return f"git+file://{self.repository}#codegen"

    def git(self, *words: str) -> str:
        """Run git in the repository."""
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        told = subprocess.run(
            ["git", *identity, *words],
            cwd=self.repository,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"},
        )
        return told.stdout.strip()

    def commit(self) -> str:
        """Make a commit of all that is there, have the workspace use it, and return it."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "next", "--allow-empty")
        subprocess.run(
            ["cargo", "update"],
            cwd=self.workspace,
            check=True,
            capture_output=True,
            env=environment({**self.extra, "CARGO_NET_OFFLINE": "false"}),
        )
        return self.git("rev-parse", "HEAD")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        told = buildperm(*words, folder=self.workspace, extra=self.extra)
        assert is_orderly(told.stderr), told.stderr
        return told

    def learn(self) -> str:
        """Allow whatever `learn` asks about, as a person would; return what was said."""
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-m", "buildperm", "learn", "--no-tui"],
            cwd=self.workspace,
            env=environment(self.extra),
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        told = ""
        ended = Timer(120, child.kill)  # Should it ask what nobody has foreseen.
        ended.start()
        try:
            assert child.stderr is not None
            while letter := child.stderr.read(1):
                told += letter.decode(errors="replace")
                if told.endswith("): ") and "Answer (" in told[-40:]:
                    goes_on = b"\n" if "Enter goes on" in told[-40:] else b"a\n"
                    os.write(ours, b"w\n" if "Answer (w" in told[-40:] else goes_on)
        finally:
            ended.cancel()
            child.kill()
            child.communicate()
            os.close(ours)
            os.close(theirs)
        return told


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Make it: the crate writes into its own sources, which is granted to its first commit."""
    here = World(tmp_path, {"CARGO_HOME": str(tmp_path / "cargo-home")})
    for folder in (here.repository / "src/gen", here.workspace / "src", here.victim):
        folder.mkdir(parents=True)
    (here.repository / "Cargo.toml").write_text(MANIFEST.format("codegen"))
    (here.repository / "build.rs").write_text(WRITES)
    (here.repository / "src/lib.rs").touch()
    (here.repository / "src/gen/kept").touch()
    (here.workspace / "src/lib.rs").touch()
    (here.workspace / "Cargo.toml").write_text(
        MANIFEST.format("app")
        + f'[dependencies]\ncodegen = {{ git = "file://{here.repository}" }}\n[workspace]\n'
    )
    here.git("init", "-q", "-b", "main")
    return here


GRANTS = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates."{}"]
reviewed = ["{}"]
write = ["$MANIFEST_DIR/src/gen/**"]
"""


def test_the_next_commit_of_a_git_source_makes_no_more_of_its_grants(world: World) -> None:
    first = world.commit()
    path, plain = world.workspace / "Cargo.toml", world.manifest
    path.write_text(plain + GRANTS.format(world.key, f"0.1.0#{first}"))
    # The next commit, of the same version, makes a link of what it may write.
    (world.repository / "src/gen/kept").unlink()
    (world.repository / "src/gen").rmdir()
    (world.repository / "src/gen").symlink_to(world.victim)
    second = world.commit()

    held = world.run("ci")
    assert held.returncode == 20, held.stderr
    assert "/victim/out.txt: refused" in held.stdout + held.stderr
    world.run("review", "--no-tui", "--accept", "medium")
    assert list(world.victim.iterdir()) == []
    shown = world.run("show", "codegen").stdout
    assert f"version 0.1.0 (commit {second[:12]}) has not been reviewed" in shown
    assert "a link leads to `" in shown

    # Nor does it help that somebody has reviewed that commit: the link leads out of the package.
    path.write_text(plain + GRANTS.format(world.key, f"0.1.0#{second}"))
    held = world.run("ci")
    assert held.returncode == 20, held.stderr
    said = held.stdout + held.stderr
    assert "`write $MANIFEST_DIR/src/gen/**` does not open `" in said
    assert "/victim/**` by its own path." in said
    assert list(world.victim.iterdir()) == []
    why = world.run("why", "codegen", "write:$MANIFEST_DIR/src/gen/out.txt").stdout
    assert why.startswith("refused: neither the baseline nor a grant")
    assert "/victim/out.txt" in why


@pytest.mark.slow
def test_what_counts_as_reviewed_of_a_git_source_is_a_commit(world: World) -> None:
    commit = world.commit()
    path, plain = world.workspace / "Cargo.toml", world.manifest
    for key, reviewed, wrong in (
        (world.key, f"0.1.0#{commit[:12]}", "no whole commit"),
        ("app", f"0.1.0#{commit}", "only a package from a Git repository"),
    ):
        path.write_text(plain + GRANTS.format(key, reviewed))
        told = world.run("check")
        assert told.returncode == 2
        assert wrong in told.stderr

    path.write_text(plain + GRANTS.format(world.key, "0.1.0"))
    held = world.run("ci")
    assert held.returncode == 20
    assert "is granted and not in force: high risk, and version 0.1.0 (commit " in held.stdout
    shown = world.run("show", "codegen").stdout
    assert "names no commit; `buildperm review` writes it" in shown
    told_then = world.learn()
    assert f'crates."{world.key}"]\nreviewed = ["0.1.0#{commit}"]\n' in world.manifest, told_then
    assert world.run("ci").returncode == 0

    # A commit like any other is asked about, and then it is the one that counts.
    (world.repository / "README").write_text("more")
    new = world.commit()
    assert world.run("check").returncode == 21
    assert world.run("ci").returncode == 20
    told_then = world.learn()
    assert f'reviewed = ["0.1.0#{new}"]' in world.manifest, told_then


READS_VARIABLE = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::env::var("MIRROR");
}
"""
SECRET_GRANT = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates."{}"]
reviewed = ["{}"]
env = ["MIRROR"]
reason = "it fetches from there"
"""


def test_a_secret_that_one_commit_may_see_is_kept_from_the_next(world: World) -> None:
    (world.repository / "build.rs").write_text(READS_VARIABLE)
    first = world.commit()
    secret = {"MIRROR": "https://me:hunter2hunter2@mirror.example.org/"}
    world = replace(world, extra={**world.extra, **secret})
    path, plain = world.workspace / "Cargo.toml", world.manifest

    path.write_text(plain + SECRET_GRANT.format(world.key, f"0.1.0#{first}"))
    told = world.run("ci")
    assert told.returncode == 0, told.stdout
    assert world.run("why", "codegen", "env:MIRROR").stdout.startswith("allowed")

    (world.repository / "README").write_text("more")
    world.commit()
    for reviewed in (f"0.1.0#{first}", "0.1.0"):
        path.write_text(plain + SECRET_GRANT.format(world.key, reviewed))
        told = world.run("ci")
        assert told.returncode == 20, told.stdout
        assert "MIRROR" in told.stdout
        assert not world.run("why", "codegen", "env:MIRROR").stdout.startswith("allowed")
