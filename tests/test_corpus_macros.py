"""Real macros, learnt once: held compilers make the same files as plain cargo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import surroundings

ROOT = Path(__file__).parent.parent
CRATES = ROOT / "tests" / "crates" / "macros"
MOST_DECISIONS = 2  # Git, and the C compiler for a build script.
BUILD = ["check", "--workspace", "--quiet"]
READING = {"askama_derive", "pest_derive", "include_dir_macros", "rust-embed-impl"}

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(1800), pytest.mark.xdist_group("macros")]


@dataclass(frozen=True, slots=True)
class MacroCorpus:
    """A copy of the workspace that has been through all the steps."""

    folder: Path
    learned: subprocess.CompletedProcess[str]
    held: subprocess.CompletedProcess[str]
    plain: Path  # What plain cargo made in the place of held builds.

    @property
    def report(self) -> dict[str, Any]:
        """Return what `ci --format json` printed."""
        report: dict[str, Any] = json.loads(self.held.stdout)
        return report

    @property
    def grants(self) -> dict[str, Any]:
        """Return the grant table by crate."""
        written = tomllib.loads((self.folder / "Cargo.toml").read_text(encoding="utf-8"))
        found: dict[str, Any] = written["workspace"]["metadata"]["buildperm"]["crates"]
        return found


@pytest.fixture(name="corpus", scope="module")
def _corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MacroCorpus]:
    folder = tmp_path_factory.mktemp("corpus") / "macros"
    shutil.copytree(CRATES, folder, ignore=shutil.ignore_patterns("target"))
    (folder / ".gitignore").write_text("target\n")
    for words in (["init"], ["add", "."], ["commit", "-m", "Use macros"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        _run(["git", *who, *words], folder, check=True)
    place = folder / "target" / "buildperm" / "ci"
    _run(["cargo", *BUILD, "--target-dir", str(place)], folder, check=True)
    plain = folder.parent / "plain"
    place.rename(plain)

    buildperm = [sys.executable, "-m", "buildperm"]
    learned = _run([*buildperm, "learn", "--no-tui", "--accept", "medium", "--", *BUILD], folder)
    held = _run([*buildperm, "ci", "--format", "json", "--", *BUILD], folder)
    yield MacroCorpus(folder, learned, held, plain)
    shutil.rmtree(folder.parent)


def _run(
    command: list[str], folder: Path, *, check: bool = False
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **surroundings.registries(), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=check,
        timeout=600,
    )


def test_a_few_decisions_will_do(corpus: MacroCorpus) -> None:
    assert corpus.learned.returncode == 0, corpus.learned.stderr
    kinds = ("presets", "read", "write", "exec", "net", "env", "directives")
    decisions = [
        (crate, kind, rule)
        for crate, granted in corpus.grants.items()
        for kind in kinds
        for rule in granted.get(kind, ())
    ]
    assert 1 <= len(decisions) <= MOST_DECISIONS, decisions
    assert READING.isdisjoint(crate for crate, _, _ in decisions)


def test_a_held_build_passes_and_refuses_nothing(corpus: MacroCorpus) -> None:
    assert corpus.held.returncode == 0, corpus.held.stderr
    subjects = {
        each["crate"]: {by["subject"] for by in each["by"]} for each in corpus.report["scripts"]
    }
    assert {crate for crate, told in subjects.items() if "macro" in told} >= {
        *READING,
        "git-version-macro",
    }
    assert [each["crate"] for each in corpus.report["scripts"] if each["findings"]] == []


def test_held_compilers_make_what_plain_ones_make(corpus: MacroCorpus) -> None:
    plain = _made(corpus.plain)
    held = _made(corpus.folder / "target" / "buildperm" / "ci")

    assert plain.keys() == held.keys()
    assert len(plain) > 50
    different = [name for name, content in plain.items() if held[name] != content]
    assert [name for name in different if not name.startswith("librandom-")] == []


def _made(target: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in (target / "debug" / "deps").iterdir()
        if path.suffix in (".rmeta", ".rlib", ".so")
    }
