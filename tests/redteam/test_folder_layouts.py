"""A person's folders among the system's, and the system's among a person's.

Whoever builds in `/usr/src/app`, keeps CARGO_HOME in `/usr/local/cargo` as the official images do,
or takes Rust from a distribution, had all of it read, and every program run, as the system's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bench import compile_c
from tests.programs import program_text
from tests.redteam.runtimes import RUNTIMES


@dataclass(slots=True)
class Layout:
    """A workspace with a package in its root and a member, each with a build script."""

    workspace: Path
    home: Path
    cargo_home: Path
    target: Path
    toolchain: Path | None = None
    root: dict[str, list[str]] = field(default_factory=dict)  # What the script in the root tries.
    member: dict[str, list[str]] = field(default_factory=dict)

    def make(self, grants: str = "") -> None:
        for folder in (self.workspace, self.home, self.cargo_home):
            folder.mkdir(parents=True, exist_ok=True)
        self._package(
            self.workspace, "app", self.root, f'[workspace]\nmembers = ["part"]\n{grants}'
        )
        self._package(self.workspace / "part", "part", self.member, "")
        secrets = (
            self.workspace / "notes.txt",
            self.workspace / ".git/config",
            self.workspace / "target/debug/other",
            self.target / "debug/other",
            self.cargo_home / "notes.txt",
            self.cargo_home / "registry/src/index/other-1.0.0/lib.rs",
            self.home / "notes.txt",
        )
        for secret in secrets:
            secret.parent.mkdir(parents=True, exist_ok=True)
            secret.write_text("")
        (self.workspace / "target/CACHEDIR.TAG").write_text("")

    def _package(self, folder: Path, name: str, tried: Mapping[str, list[str]], tail: str) -> None:
        (folder / "src").mkdir(parents=True, exist_ok=True)
        text = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{tail}'
        (folder / "Cargo.toml").write_text(text)
        (folder / "src/lib.rs").write_text("")
        words = {each: json.dumps(tried.get(each, [])) for each in ("reads", "lists", "runs")}
        (folder / "build.rs").write_text(
            program_text(
                "tries_folders.rs", READS=words["reads"], LISTS=words["lists"], RUNS=words["runs"]
            )
        )

    def ci(self, *words: str) -> CiRun:
        """Run `buildperm ci`."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CARGO", "BUILDPERM_", "RUSTC"))
        }
        environment |= {
            "HOME": str(self.home),
            "CARGO_HOME": str(self.cargo_home),
            "CARGO_TARGET_DIR": str(self.target),
            "CARGO_NET_OFFLINE": "true",
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
        }
        if self.toolchain:
            environment["PATH"] = f"{self.toolchain}/bin:{environment['PATH']}"
        report = self.home / "report.json"
        command = [sys.executable, "-m", "buildperm", "ci", "--report", f"json={report}", *words]
        # Cargo shows warnings of members only, and these all are: `--workspace` builds both.
        ended = subprocess.run(
            [*command, "--", "check", "--workspace"],
            cwd=self.workspace,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=240,
            check=False,
        )
        assert report.exists(), ended.stderr
        return CiRun(ended.returncode, ended.stderr, json.loads(report.read_text()))


@dataclass(frozen=True, slots=True)
class CiRun:
    """How `buildperm ci` went."""

    exit: int
    said: str
    report: dict[str, Any]

    def outcomes(self) -> dict[str, str]:
        """Return what the scripts say came of each attempt: `read /path` to `done` or `refused`."""
        lines = [line.partition("@0.1.0: ")[2] for line in self.said.splitlines()]
        words = [line.rsplit(" ", 1) for line in lines if line.startswith(("read", "list", "run"))]
        return {word[0]: word[1] for word in words}


def _in(folder: Path, *names: str) -> list[str]:
    return [str(folder / name) for name in names]


@pytest.fixture
def system() -> Iterator[Path]:
    """Make a folder in /usr/src."""
    if not os.access("/usr/src", os.W_OK):
        pytest.skip("only root may build in /usr")
    made = Path(tempfile.mkdtemp(prefix="buildperm-layouts-", dir="/usr/src"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.slow
def test_what_is_somebodys_in_the_systems_folders_is_not_the_systems(
    system: Path, runtime: str
) -> None:
    layout = Layout(system / "app", system / "home", system / "cargo", system / "built")
    attacks = [
        *_in(layout.workspace, "notes.txt", "src/lib.rs", "Cargo.toml", "target/debug/other"),
        *_in(layout.cargo_home, "notes.txt", "registry/src/index/other-1.0.0/lib.rs"),
        *_in(layout.home, "notes.txt"),
        *_in(layout.target, "debug/other"),
    ]
    honest = [*_in(layout.workspace / "part", "src/lib.rs"), "/usr/lib/os-release"]
    layout.member = {"reads": attacks + honest, "lists": ["/usr/lib", "/usr/include"]}
    layout.make()

    ran = layout.ci("--runtime", runtime)

    told = ran.outcomes()
    assert {path: told[f"read {path}"] for path in attacks} == dict.fromkeys(attacks, "refused")
    assert {told[f"read {path}"] for path in honest} == {"done"}
    assert told["list /usr/lib"] == told["list /usr/include"] == told["run RUSTC"] == "done"
    assert ran.exit == 20
    listed = json.dumps(ran.report)
    assert all(Path(path).name in listed for path in attacks)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.slow
def test_an_honest_build_in_the_systems_folders_goes_on_working(system: Path, runtime: str) -> None:
    # The layout of the official images: /usr/src/app, /usr/local/cargo, a home elsewhere.
    with tempfile.TemporaryDirectory() as home:
        layout = Layout(system / "app", Path(home), system / "cargo", system / "app/target")
        own = ["/usr", "/usr/src", "/usr/lib", "/usr/share", "/usr/include", "."]
        layout.member = {"lists": own, "reads": ["src/lib.rs", "/usr/lib/os-release"]}
        layout.root = {"lists": [".", "src", "/usr"], "reads": ["src/lib.rs", "Cargo.toml"]}
        layout.make()

        ran = layout.ci("--runtime", runtime)

    assert set(ran.outcomes().values()) == {"done"}
    assert ran.exit == 0, json.dumps(ran.report, indent=1)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.slow
def test_what_lies_in_the_folder_of_a_package_is_not_all_its_own(
    tmp_path: Path, runtime: str
) -> None:
    # The workspace is the home, and Cargo's folder and the target directory are in it, too.
    top = tmp_path / "top"
    layout = Layout(top, top, top / ".cargo-home", top / "built")
    attacks = [
        *_in(top, ".git/config", "target/debug/other", "part/src/lib.rs", "built/debug/other"),
        *_in(layout.cargo_home, "notes.txt", "registry/src/index/other-1.0.0/lib.rs"),
    ]
    honest = _in(top, "notes.txt", "src/lib.rs", "Cargo.toml")
    layout.root = {"reads": attacks + honest, "lists": [".", "src"]}
    layout.make()

    ran = layout.ci("--runtime", runtime)

    told = ran.outcomes()
    assert {path: told[f"read {path}"] for path in attacks} == dict.fromkeys(attacks, "refused")
    assert {told[f"read {path}"] for path in honest} == {"done"}
    assert told["list ."] == told["list src"] == "done"
    assert ran.exit == 20
    listed = json.dumps(ran.report)
    assert all(Path(path).name in listed for path in attacks)


@pytest.mark.slow
def test_a_package_in_the_root_may_be_granted_what_is_not_its_own(tmp_path: Path) -> None:
    top = tmp_path / "top"
    layout = Layout(top, tmp_path / "home", tmp_path / "cargo", top / "built")
    layout.root = {"reads": _in(top, ".git/config", "part/src/lib.rs")}
    table = "workspace.metadata.buildperm"
    layout.make(
        f'[{table}]\nversion = 1\n[{table}.crates.app]\nreviewed = ["0.1.0"]\n'
        'presets = ["git"]\nread = ["$WORKSPACE/part/src/**"]\n'
    )

    ran = layout.ci()

    assert set(ran.outcomes().values()) == {"done"}
    assert ran.exit == 0, json.dumps(ran.report, indent=1)


def _link(source: str, copy: str) -> None:
    try:
        os.link(source, copy)
    except OSError:
        shutil.copy2(source, copy)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Make a folder with Rust and other programs in it, as a distribution's `/usr` is."""
    made = tmp_path / "prefix"
    printed = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True)
    real = Path(printed.stdout.decode().strip())
    for name in ("bin", "lib"):
        ignored = shutil.ignore_patterns("*.html", "src")
        shutil.copytree(real / name, made / name, copy_function=_link, ignore=ignored)
    (made / "share").mkdir()
    (made / "share/other.txt").write_text("")
    compile_c("int main(void) { return 0; }", made / "bin/other")
    return made


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.slow
def test_a_distributions_tool_chain_is_its_files(
    tmp_path: Path, prefix: Path, runtime: str
) -> None:
    layout = Layout(tmp_path / "app", tmp_path / "home", prefix / "cargo", tmp_path / "built")
    layout.toolchain = prefix
    attacks = [*_in(prefix, "share/other.txt"), *_in(layout.cargo_home, "notes.txt")]
    tools = [name for name in ("rustc", "rustdoc", "cargo") if (prefix / "bin" / name).exists()]
    honest = _in(prefix, *(f"bin/{name}" for name in tools))
    layout.member = {"reads": attacks + honest, "runs": [*_in(prefix, "bin/other"), *honest]}
    layout.make()

    ran = layout.ci("--runtime", runtime)

    told = ran.outcomes()
    assert {told[f"read {path}"] for path in attacks} == {"refused"}
    assert told[f"run {prefix}/bin/other"] == "refused"
    assert {told[f"{how} {path}"] for how in ("read", "run") for path in honest} == {"done"}
    assert told["run RUSTC"] == "done"
    assert ran.exit == 20
