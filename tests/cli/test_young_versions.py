"""`min-age`: what is too young has the baseline only, in every command and under plain Cargo."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from buildperm.policy import machine_key
from tests.cli.always_on_machine import PersonsMachine, machine
from tests.command import buildperm
from tests.registry import Registry

__all__ = ["machine"]

DAY = 86400
READS = """
fn main() {
    println!("cargo::rerun-if-env-changed=AGAIN");
    let found = std::env::var("RELEASE_CHANNEL").is_ok() || std::fs::read("FILE").is_ok();
    let noted = std::env::var("OUT_DIR").unwrap() + "/noted";
    std::fs::write(noted, found.to_string()).unwrap();
}
"""
QUIET = 'fn main() { println!("cargo::rerun-if-changed=build.rs"); }\n'
HEAD = '\n[workspace.metadata.buildperm]\nversion = 1\nmin-age = "7d"\n'


def days_ago(days: float) -> str:
    return f"{datetime.fromtimestamp(time.time() - days * DAY, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class CoolingWorkspace:
    """A workspace with an old and a young crate, both of which read a file that is granted."""

    registry: Registry
    root: Path
    granted: str

    def grant(self, more: str = "", head: str = HEAD) -> None:
        manifest = self.root / "Cargo.toml"
        text = manifest.read_text().partition("\n[workspace.metadata")[0]
        manifest.write_text(text + head + more + self.granted)

    def buildperm(self, *words: str, extra: Mapping[str, str] | None = None) -> tuple[int, str]:
        done = buildperm(
            *words, folder=self.root, extra={**self.registry.environment, **(extra or {})}
        )
        return done.returncode, done.stdout + done.stderr

    def noted(self, crate: str) -> str:
        """Return whether the crate could read, and forget it."""
        (found,) = self.root.glob(f"target/**/build/{crate}-*/out/noted")
        text = found.read_text()
        found.unlink()
        return text


def cooling(folder: Path, young: str, *, script: str = READS) -> CoolingWorkspace:
    folder.mkdir(exist_ok=True)
    text = script.replace("FILE", str(folder / "ws/given.txt"))
    registry = Registry(folder / "registry")
    registry.publish("older", "1.0.0", {"build.rs": text}, published=days_ago(100))
    registry.publish("newer", "1.0.0", {"build.rs": text}, published=young)
    root = registry.application(folder / "ws", dependencies={"older": "1", "newer": "1"})
    (root / "given.txt").write_text("x")
    granted = "".join(
        f"[workspace.metadata.buildperm.crates.{name}]\n"
        f'read = ["$WORKSPACE/given.txt"]\nenv = ["RELEASE_CHANNEL"]\nreason = "its channel"\n'
        for name in ("older", "newer")
    )
    found = CoolingWorkspace(registry, root, granted)
    found.grant()
    return found


@pytest.mark.parametrize("published", ["2 days ago", "never told", "tomorrow"])
def test_ci_refuses_a_young_crate_what_it_was_granted(tmp_path: Path, published: str) -> None:
    times = {"2 days ago": days_ago(2), "never told": "", "tomorrow": days_ago(-1)}
    space = cooling(tmp_path / "it", times[published])

    code, said = space.buildperm("ci", "--format", "text")

    assert code == 20, said
    assert "newer 1.0.0 is young (" in said
    assert "older 1.0.0 is young" not in said
    assert "Can it wait?" in said
    assert "Is it expected?" not in said
    assert space.noted("newer") == "false"
    assert space.noted("older") == "true"


@pytest.mark.parametrize(
    ("more", "head"),
    [('young = ["newer@1.0.0"]\n', HEAD), ("", HEAD.replace("7d", "36h")), ("", HEAD[:-15])],
    ids=["exception", "old enough", "off"],
)
def test_ci_builds_what_may_be_that_young(tmp_path: Path, more: str, head: str) -> None:
    space = cooling(tmp_path / "it", days_ago(2))
    space.grant(more, head)

    code, said = space.buildperm("ci")

    assert code == 0, said
    assert "is young" not in said
    assert space.noted("newer") == "true"


def test_a_build_that_needs_nothing_is_never_stopped(tmp_path: Path) -> None:
    space = cooling(tmp_path / "it", days_ago(2), script=QUIET)

    code, said = space.buildperm("ci")

    assert code == 0, said
    assert said.count("newer 1.0.0 is young (published 2 days ago)") == 1


@pytest.mark.slow
def test_learning_runs_a_young_crate_in_the_baseline_and_check_tells_it(tmp_path: Path) -> None:
    space = cooling(tmp_path / "it", days_ago(2))
    space.grant(head="\n[workspace.metadata.buildperm]\nversion = 1\n")
    more = {"RELEASE_CHANNEL": "beta"}
    assert space.buildperm("learn", "--no-tui", "--accept", "medium", extra=more)[0] == 0
    assert space.buildperm("check", extra=more)[0] == 0

    space.grant()
    code, said = space.buildperm("check", extra=more)
    assert code == 21, said
    assert "newer 1.0.0 is young (" in said
    assert "is younger than `min-age`" in said

    space.noted("newer")
    _, said = space.buildperm("learn", "--no-tui", "--accept", "medium", extra=more)
    assert "newer 1.0.0 is young (" in said
    assert space.noted("newer") == "false"
    assert space.buildperm("show", "newer", extra=more)[1].count("is younger than `min-age`") >= 1
    why = space.buildperm("why", "newer", "env:RELEASE_CHANNEL", extra=more)[1]
    assert "is younger than `min-age`" in why
    assert "To have it, wait; or write `young = [" in why


def test_plain_cargo_holds_a_young_crate_until_it_is_old_enough(
    machine: PersonsMachine, tmp_path: Path
) -> None:
    space = cooling(tmp_path / "it", days_ago(2))
    machine.workspace = space.root
    os.makedirs(machine.cargo_home, exist_ok=True)
    machine.configuration.write_bytes((space.registry.cargo_home / "config.toml").read_bytes())
    machine.enable()

    built = machine.cargo("build", "-vv")
    assert "newer 1.0.0 is young (published 2 days ago)" in built.stderr
    assert space.noted("newer") == "false"
    assert space.noted("older") == "true"

    # The clock goes on: what was found out for this command line does not hold for ever.
    (context,) = (machine.state / "contexts").iterdir()
    kept = json.loads(context.read_text())
    assert abs(kept["until"] - (time.time() + 5 * DAY)) < DAY / 2
    kept["until"] = int(time.time())
    kept["said"] = ["what was said before\n"]
    context.write_text(json.dumps(kept))
    again = machine.cargo("build", "-vv", more={"AGAIN": "1"})
    assert "newer 1.0.0 is young (published 2 days ago)" in again.stderr
    machine.disable()
    # Not of always on: when a version was first seen, and the key to what was made here.
    assert {path.name for path in machine.state.iterdir()} <= {"first-seen.json", machine_key.NAME}


@pytest.mark.slow
def test_plain_cargo_looks_again_when_grants_have_ended(
    machine: PersonsMachine, tmp_path: Path
) -> None:
    space = cooling(tmp_path / "it", days_ago(100))
    today = datetime.now(UTC).date()
    expires = f'reason = "its channel"\nexpires = "{today + timedelta(days=3)}"\n'
    manifest = space.root / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('reason = "its channel"\n', expires))
    machine.workspace = space.root
    machine.configuration.write_bytes((space.registry.cargo_home / "config.toml").read_bytes())
    machine.enable()

    assert "is young" not in machine.cargo("build").stderr
    (context,) = (machine.state / "contexts").iterdir()
    over = datetime(*(today + timedelta(days=4)).timetuple()[:3], tzinfo=UTC)
    assert json.loads(context.read_text())["until"] == int(over.timestamp())


@pytest.mark.slow
def test_what_is_granted_and_only_waits_is_no_question(tmp_path: Path) -> None:
    """`learn` and `pending` agree, and each report has an entry about the age."""
    space = cooling(tmp_path / "it", days_ago(2))
    space.grant(head=HEAD.replace("min-age", "# min-age"))

    _, learnt = space.buildperm("learn", "--no-tui")
    code, listed = space.buildperm("pending")
    assert (code, "Nothing is left to decide." in listed) == (0, True), learnt + listed
    space.grant()
    _, learnt = space.buildperm("learn", "--no-tui")
    code, listed = space.buildperm("pending")

    assert "undecided" not in learnt + listed
    assert "made already" not in learnt
    assert "nothing to decide" in learnt
    assert "Nothing is left to decide." in listed

    code, said = space.buildperm("ci", "--report", f"json={tmp_path / 'ci.json'}")
    assert code == 20, said  # It is refused all the same.
    assert said.count("newer 1.0.0 is young (") == 1
    document = json.loads((tmp_path / "ci.json").read_text())
    (found,) = (each for each in document["findings"] if each["rule"] == "too-young")
    assert (found["crate"], found["level"]) == ("newer", "note")
    assert "older" not in {
        each["crate"] for each in document["findings"] if each["rule"] == "too-young"
    }
    code, said = space.buildperm("review", "--no-tui", "--from", str(tmp_path / "ci.json"))
    assert (code, "undecided" in said) == (0, False), said


@pytest.mark.slow
def test_what_a_young_version_is_not_granted_is_asked(tmp_path: Path) -> None:
    space = cooling(tmp_path / "it", days_ago(2))
    manifest = space.root / "Cargo.toml"
    before, mark, about = manifest.read_text().partition(
        "[workspace.metadata.buildperm.crates.newer]"
    )
    kept = about.replace('read = ["$WORKSPACE/given.txt"]\n', "")
    manifest.write_text(f"{before}{mark}{kept}")

    code, learnt = space.buildperm("learn", "--no-tui")
    _, listed = space.buildperm("pending")

    assert code == 3, learnt
    assert "undecided: newer 1.0.0: read $WORKSPACE/given.txt" in learnt
    assert "1 undecided;" in listed
    space.buildperm("ci", "--report", f"json={tmp_path / 'ci.json'}")
    code, said = space.buildperm("review", "--no-tui", "--from", str(tmp_path / "ci.json"))
    assert (code, said.count("undecided: newer 1.0.0: read")) == (3, 1), said
