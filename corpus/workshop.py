"""Makes the workspaces in which crates are tried, and fetches what they need."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus.entries import CorpusCrate, CorpusProject

_WHO = ("-c", "user.name=corpus", "-c", "user.email=corpus@localhost", "-c", "commit.gpgsign=false")
TIMED_OUT = -1
_GRACE_S = 30


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and what came of it."""

    code: int  # TIMED_OUT where it was ended.
    seconds: float
    out: str
    err: str


class StepError(Exception):
    """Something that only prepares has failed."""


class Workshop:
    """Runs commands for one entry: in its folder, with its environment, until its time is up."""

    def __init__(self, folder: Path, environment: Mapping[str, str], seconds: float) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self._end = time.monotonic() + seconds

    def run(self, command: Sequence[str | Path], *, offline: bool = True, log: str = "") -> Step:
        """Run a command; its processes are ended when the time of the entry is up."""
        began = time.monotonic()
        words = [str(word) for word in command]
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environment | {"CARGO_NET_OFFLINE": "true" if offline else "false"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        code: int | None = None
        try:
            out, err = process.communicate(timeout=max(0.0, self.left))
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                out, err = process.communicate(timeout=_GRACE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
            code = TIMED_OUT
        finally:
            if code is None:  # Interrupted: nothing is left running.
                os.killpg(process.pid, signal.SIGTERM)
        texts = [raw.decode("utf-8", "replace") for raw in (out, err)]
        step = Step(code, round(time.monotonic() - began, 1), *texts)
        if log:
            self.log(log, words, step)
        return step

    @property
    def left(self) -> float:
        """Return the seconds that are left of the entry's time."""
        return self._end - time.monotonic()

    def log(self, name: str, command: Sequence[str], step: Step) -> None:
        """Keep what a command said."""
        told = f"$ {' '.join(command)}\n{step.out}\n{step.err}\n[{step.code}, {step.seconds} s]\n"
        (self.folder.parent / f"{name}.txt").write_text(told, encoding="utf-8")

    def must(self, command: Sequence[str | Path], *, offline: bool = True) -> Step:
        """Run a command that prepares.

        Raises:
            StepError: It failed; with its own words.
        """
        step = self.run(command, offline=offline)
        if step.code != 0:
            raise StepError(f"{' '.join(map(str, command))}: {step.err[-2000:]}")
        return step

    def commit(self) -> None:
        """Commit all that is there, so that scripts that ask Git see a clean tree."""
        if not (self.folder / ".git").exists():
            self.must(["git", "init", "--quiet", "--initial-branch=main"])
        self.must(["git", "add", "--all", "--force", "--", ".", ":!target"])
        self.must(["git", *_WHO, "commit", "--quiet", "--allow-empty", "--message", "State"])

    def reset(self) -> None:
        """Bring the tree back to the last commit, but for `target`."""
        self.must(["git", "checkout", "--quiet", "--", "."])
        self.must(["git", "clean", "-ffdxq", "--exclude=/target"])

    def write_crates(self, crates: Sequence[CorpusCrate], lock: Path | None) -> None:
        """Make a workspace with one member for each crate."""
        members = json.dumps([crate.member for crate in crates])
        manifest = f'[workspace]\nmembers = {members}\nresolver = "3"\n'
        (self.folder / "Cargo.toml").write_text(manifest)
        (self.folder / ".gitignore").write_text("target\n")
        for crate in crates:
            member = self.folder / crate.member
            for name, text in {"src/lib.rs": "", **_files(crate)}.items():
                path = member / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        if lock:
            shutil.copyfile(lock, self.folder / "Cargo.lock")

    def fetch(self) -> None:
        """Fetch what is locked, from the registry only where it is not there.

        Raises:
            StepError: Cargo cannot.
        """
        if self.run(["cargo", "fetch", "--locked"]).code != 0:
            self.must(["cargo", "fetch", "--locked"], offline=False)

    def pin(self) -> str:
        """Resolve anew; return the lock file.

        Raises:
            StepError: Cargo cannot.
        """
        self.must(["cargo", "generate-lockfile"], offline=False)
        return (self.folder / "Cargo.lock").read_text()

    def write_project(self, project: CorpusProject) -> None:
        """Unpack a published program, as `cargo install` does.

        Raises:
            StepError: It cannot be had.
        """
        asking = ["cargo", "info", "--quiet", f"{project.name}@{project.version}"]
        if self.run(asking).code != 0:
            self.must(asking, offline=False)
        home = self.environment.get("CARGO_HOME") or Path.home() / ".cargo"
        name = f"{project.name}-{project.version}"
        archives = sorted(Path(home, "registry/cache").glob(f"*/{name}.crate"))
        if not archives:
            raise StepError(f"{name}.crate is not in {home}")
        with tarfile.open(archives[-1]) as archive:
            archive.extractall(self.folder.parent / "unpacked", filter="data")
        self.folder.rmdir()
        (self.folder.parent / "unpacked" / name).rename(self.folder)
        (self.folder / ".gitignore").write_text("target\n")
        if not (self.folder / "Cargo.lock").exists():
            raise StepError(f"{project.name} {project.version} was published without Cargo.lock")


def _files(crate: CorpusCrate) -> dict[str, str]:
    needed = f'{crate.name} = {{ version = "{crate.version}"'
    if crate.features:
        needed += f", features = {json.dumps(list(crate.features))}"
    if not crate.default_features:
        needed += ", default-features = false"
    lines = [
        *("[package]", f'name = "{crate.member}"', 'version = "0.1.0"', 'edition = "2021"'),
        *('rust-version = "1.95"', 'license = "MIT"', "", "[dependencies]"),
    ]
    if crate.script:
        lines += ["", "[build-dependencies]"]
    lines.append(f"{needed} }}")
    lines += [f'{name} = "{requirement}"' for name, requirement in crate.tools.items()]
    files = {"Cargo.toml": "\n".join(lines) + "\n", **crate.files}
    return files | ({"build.rs": crate.script} if crate.script else {})
