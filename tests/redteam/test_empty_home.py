"""Looks for secrets in the private home, which is empty: nothing is refused, and they are told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.command import buildperm
from tests.redteam.packages import crate, lock_file_text, workspace
from tests.redteam.runtimes import RUNTIMES

if TYPE_CHECKING:
    from pathlib import Path

_LOOKS = """\
fn main() {
    let home = std::env::var("HOME").unwrap();
    for name in [NAMES] {
        let _ = std::fs::File::open(format!("{home}/{name}"));
    }
}
"""
_SECRETS = (".ssh/id_ed25519", ".aws/credentials", ".cargo/credentials.toml")
_HABITS = (".netrc", ".npmrc", ".gitconfig", ".config/git/config", ".ssh/config", ".curlrc")


def _script(names: tuple[str, ...]) -> str:
    return _LOOKS.replace("NAMES", ", ".join(f'"{name}"' for name in names))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.quick(1)
def test_a_look_for_keys_at_home_is_no_secret(tmp_path: Path, runtime: str) -> None:
    # It found nothing, so that `ci` and `learn` said that there was nothing to decide.
    folder = workspace(tmp_path / "ws", "looking", "honest")
    crate(folder / "looking", _script(_SECRETS))
    crate(folder / "honest", _script(_HABITS))

    held = buildperm("ci", "--runtime", runtime, "--format", "json", folder=folder)
    learned = buildperm("learn", "--no-tui", "--runtime", runtime, folder=folder)
    why = buildperm("why", "looking", f"read:$HOME/{_SECRETS[0]}", folder=folder)

    assert held.returncode == 20, held.stderr
    found = [each for each in json.loads(held.stdout)["findings"] if each["rule"] == "read"]
    assert {(each["crate"], each["risk"]) for each in found} == {("looking", "critical")}
    assert len(found) == len(_SECRETS)
    assert all("it saw an empty home" in each["title"] for each in found)
    assert learned.returncode == 3, learned.stderr
    for name in _SECRETS:
        assert f"undecided: looking 0.1.0: read $HOME/{name} (" in learned.stderr
    assert "undecided: honest" not in learned.stderr
    # With a grant of the key, it would see the same empty home.
    assert "No grant would help" in why.stdout
    assert f'deny = {{ read = ["$HOME/{_SECRETS[0]}"] }}' in why.stdout
    assert "by hand" not in why.stdout
    assert 'crate = "honest"' in lock_file_text(folder)


@pytest.mark.slow
def test_a_look_that_was_denied_is_settled(tmp_path: Path) -> None:
    denials = (
        "[workspace.metadata.buildperm.crates.looking]\n"
        'deny = { read = ["$HOME/.ssh/**"] }\n'
        'reason = "an old script that asks for a key that it does not need"'
    )
    folder = workspace(tmp_path / "ws", "looking", contexts=denials)
    crate(folder / "looking", _script(_SECRETS[:1]))

    held = buildperm("ci", folder=folder)

    assert held.returncode == 0, held.stdout + held.stderr
