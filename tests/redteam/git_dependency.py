"""A workspace that depends on a crate in a Git repository."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from tests.command import buildperm, environment, is_orderly


@dataclass(frozen=True, slots=True)
class GitDependency:
    """A workspace that depends on a crate in a Git repository, and somebody else's project."""

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
                offered = told.rpartition("\n")[2]
                if offered.startswith("Answer (") and offered.endswith("): "):
                    first = offered.removeprefix("Answer (").split()[0]
                    given = "" if "Enter goes on" in offered else first
                    os.write(ours, f"{given}\n".encode())
        finally:
            ended.cancel()
            child.kill()
            child.communicate()
            os.close(ours)
            os.close(theirs)
        return told
