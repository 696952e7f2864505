"""Changes that `check` and `review` once took for reviewed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import LEARN, buildperm, environment
from tests.registry import Registry

QUIET = 'fn main() { println!("cargo::rerun-if-changed=build.rs"); }\n'
RUNS_CURL = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::process::Command::new("curl").arg("--version").status();
}
"""
BODY = "pub fn run() {}"
OTHER_BODY = "pub fn run() { let _ = 1; }"

Told = subprocess.CompletedProcess[str]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def _told(workspace: Path, variables: dict[str, str], *words: str) -> Told:
    return buildperm(*words, folder=workspace, extra=variables)


def _learn(workspace: Path, variables: dict[str, str]) -> None:
    learned = _told(workspace, variables, *LEARN)
    checked = _told(workspace, variables, "check")
    assert learned.returncode == 0, learned.stderr
    assert checked.returncode == 0, checked.stdout


def _is_pending(workspace: Path, variables: dict[str, str]) -> bool:
    return _told(workspace, variables, "check").returncode == 21


def _vendored(registry: Registry, workspace: Path) -> dict[str, str]:
    """Do what `cargo vendor` does; return the variables for Cargo."""
    for archive in registry.folder.glob("*.crate"):
        with tarfile.open(archive) as file:
            if hasattr(tarfile, "data_filter"):  # Python 3.11.4, and what distributions mend.
                file.extraction_filter = tarfile.data_filter
            file.extractall(workspace / "vendor")
        folder = workspace / "vendor" / archive.name.removesuffix(".crate")
        files = {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }
        package = hashlib.sha256(archive.read_bytes()).hexdigest()
        listed = json.dumps({"files": files, "package": package})
        (folder / ".cargo-checksum.json").write_text(listed)
        folder.rename(folder.with_name(folder.name.rpartition("-")[0]))
    (workspace / ".cargo").mkdir()
    (workspace / ".cargo/config.toml").write_text(
        '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "vendor"\n'
    )
    home = workspace.with_name("another-home")
    home.mkdir()
    return {"CARGO_HOME": str(home)}


def _tamper(folder: Path, name: str, content: str) -> None:
    """Change a vendored file, and the list that Cargo holds it to."""
    (folder / name).write_text(content)
    path = folder / ".cargo-checksum.json"
    listed = json.loads(path.read_text())
    listed["files"][name] = hashlib.sha256(content.encode()).hexdigest()
    path.write_text(json.dumps(listed))


@pytest.mark.slow
def test_a_vendored_build_script_that_was_changed_is_run_and_asked_about(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish("helper", "1.0.0", {"build.rs": QUIET})
    workspace = registry.application(tmp_path / "ws", dependencies={"helper": "1"})
    variables = _vendored(registry, workspace)
    _learn(workspace, variables)
    _tamper(workspace / "vendor/helper", "build.rs", RUNS_CURL)

    cargo = subprocess.run(
        ["cargo", "check", "--locked", "--offline"],
        cwd=workspace,
        env=environment(variables),
        capture_output=True,
        check=False,
    )
    checked = _told(workspace, variables, "check")
    reviewed = _told(workspace, variables, "review", "--no-tui")

    assert cargo.returncode == 0  # Cargo itself takes it.
    assert checked.returncode == 21
    assert "build.rs changed" in checked.stdout
    assert reviewed.returncode == 3
    assert "run curl" in reviewed.stderr


@pytest.mark.slow
def test_a_vendored_build_dependency_that_was_changed_is_pending(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish("tool", "1.0.0", {"src/lib.rs": BODY})
    registry.publish(
        "helper",
        "1.0.0",
        {"build.rs": "fn main() { tool::run(); }"},
        build_dependencies={"tool": "1"},
    )
    workspace = registry.application(tmp_path / "ws", dependencies={"helper": "1"})
    variables = _vendored(registry, workspace)
    _learn(workspace, variables)
    _tamper(workspace / "vendor/tool", "src/lib.rs", OTHER_BODY)

    assert _is_pending(workspace, variables)


@pytest.mark.slow
def test_files_with_older_dates_are_compiled_and_run_all_the_same(
    registry: Registry, tmp_path: Path
) -> None:
    """As `tar x` and `rsync -a` leave them: Cargo goes by dates."""
    workspace = registry.application(tmp_path / "ws")
    script = workspace / "app/build.rs"
    script.write_text("fn main() {}")
    _learn(workspace, registry.environment)
    script.write_text(RUNS_CURL)
    os.utime(script, (1_600_000_000, 1_600_000_000))

    reviewed = _told(workspace, registry.environment, "review", "--no-tui")

    assert reviewed.returncode == 3
    assert "run curl" in reviewed.stderr
    assert _is_pending(workspace, registry.environment)


@pytest.mark.slow
def test_a_build_script_that_did_not_run_is_told_and_counts_for_nothing_else(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish("helper", "1.0.0", {"build.rs": QUIET})
    registry.publish("dropper", "1.0.0", {"build.rs": QUIET})
    registry.publish("testing", "1.0.0")
    registry.publish("testing", "1.0.1", dependencies={"dropper": "1"})
    workspace = registry.application(tmp_path / "ws", dependencies={"helper": "1"})
    manifest = workspace / "app/Cargo.toml"
    with manifest.open("a") as file:
        file.write('[dev-dependencies]\ntesting = "=1.0.0"\n')
    registry.cargo("generate-lockfile", folder=workspace)
    _learn(workspace, registry.environment)
    manifest.write_text(manifest.read_text().replace("=1.0.0", "=1.0.1"))
    registry.cargo("generate-lockfile", folder=workspace)

    checked = _told(workspace, registry.environment, "check")
    reviewed = _told(workspace, registry.environment, "review", "--no-tui")
    held = _told(
        workspace, registry.environment, "ci", "--require-reviewed", "--", "test", "--no-run"
    )

    assert checked.returncode == 21
    assert "note: dropper 1.0.0: was not run" in reviewed.stderr
    assert held.returncode == 21
    assert "dropper 1.0.0" in held.stdout


def _with_tool(registry: Registry, workspace: Path) -> Path:
    """Make a workspace whose build script is made with the folder `tool`; return the folder."""
    registry.application(workspace)
    (workspace / "app/build.rs").write_text("fn main() { tool::run(); }")
    tool = workspace / "tool"
    (tool / "src").mkdir(parents=True)
    (tool / "Cargo.toml").write_text('[package]\nname = "tool"\nversion = "0.1.0"\n')
    (workspace / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["app", "tool"]\nresolver = "2"\n'
    )
    with (workspace / "app/Cargo.toml").open("a") as file:
        file.write('tool = { path = "../tool" }\n')  # In its last table, [build-dependencies].
    return tool


@pytest.mark.slow
def test_a_folder_that_is_hidden_is_a_source_like_any_other(
    registry: Registry, tmp_path: Path
) -> None:
    workspace = tmp_path / "ws"
    tool = _with_tool(registry, workspace)
    (tool / "src/lib.rs").write_text('#[path = "../.body/body.rs"] mod body; pub use body::run;')
    (tool / ".body").mkdir()
    (tool / ".body/body.rs").write_text(BODY)
    registry.cargo("generate-lockfile", folder=workspace)
    _learn(workspace, registry.environment)
    (tool / ".body/body.rs").write_text(OTHER_BODY)

    assert _is_pending(workspace, registry.environment)


def _odd(folder: Path) -> str:
    """Include a name that ends with a backslash: what follows it is no part of the name."""
    (folder / "odd\\").write_text("")
    (folder / "zz.in").write_text("")
    return 'include!("odd\\\\"); mod evil; include!("zz.in"); fn main() { evil::run(); }'


def _plain(folder: Path) -> str:
    return "mod evil; fn main() { evil::run(); }"


@pytest.mark.parametrize("script", [_plain, _odd], ids=["plain", "odd"])
@pytest.mark.slow
def test_no_name_of_a_file_hides_another(
    registry: Registry, tmp_path: Path, script: Callable[[Path], str]
) -> None:
    workspace = registry.application(tmp_path / "ws")
    folder = workspace / "app"
    (folder / "build.rs").write_text(script(folder))
    (folder / "evil.rs").write_text(BODY)
    _learn(workspace, registry.environment)
    (folder / "evil.rs").write_text(OTHER_BODY)

    assert _is_pending(workspace, registry.environment)


@pytest.mark.parametrize("name", ["rustc", "rustc-wrapper", "rustc-workspace-wrapper"])
@pytest.mark.quick(1)
def test_check_runs_no_compiler_that_a_branch_brings_along(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    registry.publish("helper", "1.0.0", {"build.rs": QUIET})
    workspace = registry.application(tmp_path / "ws", dependencies={"helper": "1"})
    marker = tmp_path / "ran"
    program = workspace / "evil.sh"
    program.write_text(
        f'#!/bin/sh\ntouch {marker}\ncase "$1" in */rustc) exec "$@";; esac\nexec rustc "$@"\n'
    )
    program.chmod(0o755)
    (workspace / ".cargo").mkdir()
    (workspace / ".cargo/config.toml").write_text(f'[build]\n{name} = "./evil.sh"\n')

    checked = _told(workspace, registry.environment, "check")

    assert checked.returncode == 21, checked.stderr
    assert not marker.exists()
