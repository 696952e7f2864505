"""What `cargo update` brings: the attack that everybody fears, and what is no attack.

The attack is the one of August 2026: a patch release of a crate that half the world uses depends on
a new crate, whose build script downloads a program, runs it, and says nothing.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.command import buildperm, is_orderly
from tests.programs import program_text
from tests.registry import Registry

CANARY = "canary-5b0c8d7e"
LEARN = ("learn", "--no-tui", "--accept", "medium")
REVIEW = ("review", "--no-tui")

HARMLESS = 'fn main() { println!("cargo::rerun-if-changed=build.rs"); }\n'
READS_CHANNEL = """
fn main() {
    println!("cargo::rerun-if-env-changed=RELEASE_CHANNEL");
    let channel = std::env::var("RELEASE_CHANNEL").unwrap_or_default();
    println!("cargo::rustc-env=CHANNEL={channel}");
}
"""
# Whatever fails is passed over in silence: nothing is to be noticed.
# The same without a network: it has brought its program along.


class DropperServer:
    """The attacker's server: it serves the program, and counts the connections."""

    def __init__(self, program: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._answer = (
            f"HTTP/1.0 200 OK\r\nContent-Length: {len(program)}\r\n\r\n{program}".encode()
        )
        self._serving = threading.Thread(target=self._serve)
        self._serving.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(60)
                try:
                    connection.recv(4096)
                    connection.sendall(self._answer)
                except OSError:
                    pass  # It has gone: it was counted.

    def close(self) -> None:
        """Stop listening, so that the thread that waits for a connection ends."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._serving.join()


@dataclass(frozen=True, slots=True)
class SupplyChainAttack:
    """A workspace right after the update that brought the attack."""

    registry: Registry
    workspace: Path
    server: DropperServer
    marker: Path  # What the payload would write.
    environment: dict[str, str]

    def buildperm(self, *words: str) -> subprocess.CompletedProcess[str]:
        return buildperm(*words, folder=self.workspace, extra=self.environment)

    def assert_no_harm(self, *told: subprocess.CompletedProcess[str]) -> None:
        """Check that nothing has run and that nothing has leaked into files or messages."""
        assert self.server.connections == 0
        assert not self.marker.exists()
        for said in told:
            assert CANARY not in said.stdout + said.stderr
            assert is_orderly(said.stdout + said.stderr)
        for path in self.workspace.rglob("*"):
            if path.is_file():
                assert CANARY.encode() not in path.read_bytes(), path


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[SupplyChainAttack]:
    marker = tmp_path / "marker.txt"
    server = DropperServer(f'#!/bin/sh\necho "ran $1" > {marker}\n')
    secret = tmp_path / "home/.ssh/id_ed25519"
    secret.parent.mkdir(parents=True, mode=0o700)
    secret.write_text(CANARY)
    registry = Registry(tmp_path / "registry")
    registry.publish("arrayref-like", "0.3.9")
    registry.publish("channel", "1.0.0", {"build.rs": READS_CHANNEL})
    workspace = registry.application(
        tmp_path / "ws", dependencies={"arrayref-like": "0.3", "channel": "1"}
    )
    environment = registry.environment | {
        "HOME": str(tmp_path / "home"),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
    }
    learned = buildperm(*LEARN, folder=workspace, extra=environment)
    assert learned.returncode == 0, learned.stderr

    dropper = program_text("dropper.rs", PORT=str(server.port), SECRET=str(secret))
    registry.publish("proc-helper", "1.0.0", {"build.rs": dropper})
    registry.publish("arrayref-like", "0.3.10", dependencies={"proc-helper": "1"})
    registry.cargo("update", folder=workspace)
    yield SupplyChainAttack(registry, workspace, server, marker, environment)
    server.close()


@pytest.mark.slow
def test_the_attack_works_where_nobody_holds_it(attack: SupplyChainAttack) -> None:
    attack.registry.cargo("build", folder=attack.workspace)

    assert attack.server.connections > 0
    assert attack.marker.read_text() == f"ran {CANARY}\n"


@pytest.mark.slow
def test_check_names_the_new_build_script_first_with_its_way(attack: SupplyChainAttack) -> None:
    attack.registry.publish("channel", "1.0.1", {"build.rs": READS_CHANNEL + "\n"})
    attack.registry.cargo("update", folder=attack.workspace)

    checked = attack.buildperm("check")

    assert checked.returncode == 21
    assert "app > arrayref-like > proc-helper" in checked.stdout
    assert "channel 1.0.1" in checked.stdout
    assert checked.stdout.index("proc-helper 1.0.0") < checked.stdout.index("channel 1.0.1")
    attack.assert_no_harm(checked)


@pytest.mark.slow
def test_review_tells_the_story_and_leaves_it_undecided(attack: SupplyChainAttack) -> None:
    before = (attack.workspace / "Cargo.toml").read_bytes()

    reviewed = attack.buildperm(*REVIEW, "--accept", "medium")

    told = reviewed.stdout + reviewed.stderr
    assert reviewed.returncode == 3
    assert "app > arrayref-like > proc-helper" in told
    assert f"127.0.0.1:{attack.server.port}" in told
    assert "critical" in told
    assert "undecided: proc-helper 1.0.0" in told
    written = tomllib.loads((attack.workspace / "buildperm.lock").read_text())
    assert [script["crate"] for script in written["script"]] == ["channel"]
    assert (attack.workspace / "Cargo.toml").read_bytes() == before
    attack.assert_no_harm(reviewed)


def test_ci_refuses_and_says_who_what_by_which_chain_and_way(attack: SupplyChainAttack) -> None:
    report = attack.workspace.parent / "report.json"
    held = attack.buildperm("ci", f"--report=json={report}", "--report=text")

    assert held.returncode == 20
    assert "proc-helper 1.0.0" in held.stdout
    assert "app > arrayref-like > proc-helper" in held.stdout
    assert f" connect  127.0.0.1:{attack.server.port}" in held.stdout
    reported = report.read_text()
    offenders = [script for script in json.loads(reported)["scripts"] if script["findings"]]
    assert [script["crate"] for script in offenders] == ["proc-helper"]
    assert CANARY not in reported
    attack.assert_no_harm(held)


@pytest.mark.slow
def test_the_document_alone_says_who_it_was(attack: SupplyChainAttack) -> None:
    reported = attack.buildperm("ci", "--format", "json")

    assert reported.returncode == 20
    offenders = [script for script in json.loads(reported.stdout)["scripts"] if script["findings"]]
    assert [script["crate"] for script in offenders] == ["proc-helper"]
    attack.assert_no_harm(reported)


@pytest.mark.slow
def test_ci_that_requires_a_review_stops_before_anything_runs(attack: SupplyChainAttack) -> None:
    held = attack.buildperm("ci", "--require-reviewed")

    assert held.returncode == 21
    assert "proc-helper 1.0.0" in held.stdout + held.stderr
    assert not list((attack.workspace / "target/buildperm/ci").rglob("build/proc-helper-*"))
    attack.assert_no_harm(held)


@pytest.mark.slow
def test_a_program_that_the_crate_brings_along_cannot_do_harm_either(tmp_path: Path) -> None:
    marker = tmp_path / "marker.txt"
    registry = Registry(tmp_path / "registry")
    registry.publish("arrayref-like", "0.3.9")
    workspace = registry.application(tmp_path / "ws", dependencies={"arrayref-like": "0.3"})
    learned = _run(registry, workspace, *LEARN)
    registry.publish(
        "proc-helper", "1.0.0", {"build.rs": program_text("carrier.rs", MARKER=str(marker))}
    )
    registry.publish("arrayref-like", "0.3.10", dependencies={"proc-helper": "1"})
    registry.cargo("update", folder=workspace)

    reviewed = _run(registry, workspace, *REVIEW, "--accept", "medium")
    held = _run(registry, workspace, "ci")

    assert learned.returncode == 0
    assert reviewed.returncode == 3
    assert f"{marker}" in reviewed.stderr
    assert held.returncode == 20
    assert "stage2" in held.stdout
    assert not marker.exists()
    registry.cargo("build", folder=workspace)
    assert marker.read_text() == "ran\n"  # What it does where nobody holds it.


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def _run(registry: Registry, workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return buildperm(
        *words, folder=workspace, extra=registry.environment | {"RELEASE_CHANNEL": "beta"}
    )


def _known(workspace: Path) -> list[str]:
    """Return what buildperm.lock says is reviewed."""
    written: dict[str, Any] = tomllib.loads((workspace / "buildperm.lock").read_text())
    return [f"{script['crate']} {script['version']}" for script in written.get("script", [])]


def _codes(registry: Registry, workspace: Path, *commands: tuple[str, ...]) -> list[int]:
    return [_run(registry, workspace, *words).returncode for words in commands]


@pytest.mark.slow
def test_an_update_within_its_grants_is_carried_over_without_a_question(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish("channel", "1.0.0", {"build.rs": READS_CHANNEL})
    workspace = registry.application(tmp_path / "ws", dependencies={"channel": "1"})
    codes = _codes(registry, workspace, LEARN, ("check",))
    granted = (workspace / "Cargo.toml").read_bytes()
    registry.publish("channel", "1.0.1", {"build.rs": f"// Tidied.\n{READS_CHANNEL}"})
    registry.cargo("update", folder=workspace)

    codes += _codes(registry, workspace, ("ci",), ("check",))
    reviewed = _run(registry, workspace, *REVIEW)
    codes += _codes(registry, workspace, ("check",), ("ci", "--require-reviewed"))

    assert codes == [0, 0, 0, 21, 0, 0]
    assert reviewed.returncode == 0
    assert "nothing to decide" in reviewed.stderr
    assert b'env = ["RELEASE_CHANNEL"]' in granted
    assert _known(workspace) == ["channel 1.0.1"]


@pytest.mark.slow
def test_a_yanked_version_in_the_lock_file_is_reviewed_like_any(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish("channel", "1.0.0", {"build.rs": READS_CHANNEL})
    workspace = registry.application(tmp_path / "ws", dependencies={"channel": "1"})
    registry.yank("channel", "1.0.0")

    codes = _codes(registry, workspace, ("check",), LEARN, ("check",), ("ci",), REVIEW)

    assert codes == [21, 0, 0, 0, 0]
    assert _known(workspace) == ["channel 1.0.0"]


@pytest.mark.slow
def test_a_build_script_that_is_gone_leaves_its_entry_with_it(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish("channel", "1.0.0", {"build.rs": READS_CHANNEL})
    registry.publish("other", "1.0.0", {"build.rs": HARMLESS})
    workspace = registry.application(tmp_path / "ws", dependencies={"channel": "1", "other": "1"})
    codes = _codes(registry, workspace, LEARN)
    registry.publish("channel", "1.0.1")
    registry.cargo("update", folder=workspace)

    codes += _codes(registry, workspace, ("check",), REVIEW, ("check",), ("ci",))

    assert codes[0] == 0
    assert codes[2:] == [0, 0, 0]
    assert _known(workspace) == ["other 1.0.0"]


@pytest.mark.slow
def test_a_crate_under_another_name_is_a_new_one(registry: Registry, tmp_path: Path) -> None:
    registry.publish("channel", "1.0.0", {"build.rs": READS_CHANNEL})
    workspace = registry.application(tmp_path / "ws", dependencies={"channel": "1"})
    codes = _codes(registry, workspace, LEARN)
    registry.publish("canal", "1.0.0", {"build.rs": READS_CHANNEL})
    manifest = workspace / "app/Cargo.toml"
    manifest.write_text(manifest.read_text().replace("channel", "canal"))
    registry.cargo("update", folder=workspace)

    checked = _run(registry, workspace, "check")
    held = _run(registry, workspace, "ci")
    codes += _codes(registry, workspace, REVIEW, (*REVIEW, "--accept", "medium"), ("check",))

    assert codes == [0, 3, 0, 0]
    assert checked.returncode == 21
    assert "canal 1.0.0" in checked.stdout
    assert held.returncode == 20  # The grants of a name are for nobody else.
    assert _known(workspace) == ["canal 1.0.0"]


@pytest.mark.slow
def test_two_versions_of_one_crate_are_two_build_scripts(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish("channel", "1.0.0", {"build.rs": HARMLESS})
    registry.publish("channel", "2.0.0", {"build.rs": READS_CHANNEL})
    registry.publish("user", "1.0.0", dependencies={"channel": "1"})
    workspace = registry.application(tmp_path / "ws", dependencies={"user": "1", "channel": "2"})
    codes = _codes(registry, workspace, LEARN, ("check",))
    known = _known(workspace)
    registry.publish("channel", "1.0.1", {"build.rs": READS_CHANNEL})
    registry.cargo("update", folder=workspace)

    checked = _run(registry, workspace, "check")
    codes += _codes(registry, workspace, REVIEW, ("check",), ("ci", "--require-reviewed"))

    assert codes == [0, 0, 0, 0, 0]
    assert known == ["channel 1.0.0", "channel 2.0.0"]
    assert checked.returncode == 21
    assert "channel 1.0.1" in checked.stdout
    assert "channel 2.0.0" not in checked.stdout
    assert _known(workspace) == ["channel 1.0.1", "channel 2.0.0"]


@pytest.mark.slow
def test_another_commit_of_a_git_dependency_is_another_build_script(
    registry: Registry, tmp_path: Path
) -> None:
    repository = tmp_path / "upstream"
    (repository / "src").mkdir(parents=True)
    (repository / "src/lib.rs").write_text("")
    (repository / "build.rs").write_text(HARMLESS)
    (repository / "Cargo.toml").write_text(
        '[package]\nname = "channel"\nversion = "1.0.0"\nedition = "2021"\n'
    )
    _commit(repository)
    wanted = f'{{ git = "file://{repository}" }}'
    workspace = registry.application(tmp_path / "ws", dependencies={"channel": wanted})
    codes = _codes(registry, workspace, LEARN, ("check",))
    (repository / "build.rs").write_text(READS_CHANNEL)
    _commit(repository)
    registry.cargo("update", folder=workspace)

    checked = _run(registry, workspace, "check")
    codes += _codes(
        registry, workspace, ("ci",), REVIEW, (*REVIEW, "--accept", "medium"), ("check",), ("ci",)
    )

    assert checked.returncode == 21
    assert "channel 1.0.0" in checked.stdout
    assert codes == [0, 0, 20, 3, 0, 0, 0]


def _commit(repository: Path) -> None:
    for words in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "--quiet", "--message=-"],
    ):
        subprocess.run(["git", *words], cwd=repository, check=True, capture_output=True)
