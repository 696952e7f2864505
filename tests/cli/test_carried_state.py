"""What lies below the target directory and was not made here: it answers nothing, and is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from buildperm.policy.journal import signed
from tests.command import LEARN, buildperm, is_orderly, member

JOURNAL = "target/buildperm/learn/buildperm-journal.jsonl"
WRITES = 'fn main() { let _ = std::fs::write("../made", ""); }'
READS = 'fn main() { std::fs::read_to_string("../data.txt").unwrap(); }'
ASIDE = "target/buildperm-not-made-here"


def _asked(folder: Path) -> str:
    """Build, and return the token and ID of the one question."""
    assert buildperm(*LEARN, folder=folder).returncode == 3
    listed = json.loads(buildperm("pending", "--json", folder=folder).stdout)
    (proposal,) = listed["proposals"]
    return str(proposal["id"])


def _step(proposal: str) -> dict[str, object]:
    picked = {"id": proposal, "crate_version": "0.1.0", "answer": "allow"}
    return {
        "version": 1,
        "act": "decide",
        "picked": [{**picked, "choice": ["write:$WORKSPACE/made"]}],
    }


def _granted(folder: Path) -> bool:
    return "write" in (folder / "Cargo.toml").read_text()


@pytest.mark.slow
def test_answers_that_came_with_a_checkout_are_not_given(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", WRITES)
    proposal = _asked(folder)
    forged = json.dumps(_step(proposal), separators=(",", ":"))

    for line in (forged, forged[:-1] + ',"signature":"' + "0" * 64 + '"}'):
        (folder / JOURNAL).write_text(line + "\n")
        told = buildperm(*LEARN, folder=folder)
        assert told.returncode == 3, told.stderr
        assert "1 answer not given here by this user left out" in told.stderr
        assert is_orderly(told.stderr)
        assert not _granted(folder)


@pytest.mark.slow
def test_answers_that_were_given_here_go_on(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", WRITES)
    proposal = _asked(folder)
    (folder / JOURNAL).write_bytes(signed(folder / JOURNAL, _step(proposal)))

    told = buildperm(*LEARN, folder=folder)

    assert told.returncode == 0, told.stderr
    assert "not given here" not in told.stderr
    assert 'write = ["$WORKSPACE/made"]' in (folder / "Cargo.toml").read_text()


def test_a_folder_that_came_along_is_put_aside_and_named_once(tmp_path: Path) -> None:
    first = member(tmp_path / "first", WRITES)
    proposal = _asked(first)
    (first / JOURNAL).write_bytes(signed(first / JOURNAL, _step(proposal)))
    folder = tmp_path / "second"
    shutil.copytree(first, folder, symlinks=True)
    kept = (folder / JOURNAL).read_bytes()

    told = buildperm(*LEARN, folder=folder)
    again = buildperm(*LEARN, folder=folder)

    assert (told.returncode, again.returncode) == (3, 3), told.stderr
    assert told.stderr.count("was not made here by this user") == 1, told.stderr
    assert "was not made here" not in again.stderr
    assert not _granted(folder)
    assert (folder / ASIDE / "learn/buildperm-journal.jsonl").read_bytes() == kept


@pytest.mark.slow
def test_a_cache_that_has_the_state_folder_as_well_is_used(tmp_path: Path) -> None:
    """As `ci/README.md` has it: both are restored to where they were, into a fresh machine."""
    folder, state = member(tmp_path / "ws", "fn main() {}"), tmp_path / "state"
    said = (Path(__file__).parent.parent.parent / "ci/README.md").read_text()
    assert "            target\n            ~/.local/state/buildperm\n" in said
    for source in folder.rglob(
        "*"
    ):  # Archives have whole seconds: it would be as new as its target.
        os.utime(source, (time.time() - 60,) * 2)
    machine = {"XDG_STATE_HOME": str(state)}
    assert "Compiling sample" in buildperm("ci", folder=folder, extra=machine).stderr
    cached = [str(each.relative_to(tmp_path)) for each in (folder / "target", state)]
    subprocess.run(["tar", "-cf", "cache.tar", *cached], cwd=tmp_path, check=True)

    for kept, is_used in ((cached, True), (cached[:1], False)):
        shutil.rmtree(folder / "target")
        shutil.rmtree(state)
        subprocess.run(["tar", "-xpf", "cache.tar", *kept], cwd=tmp_path, check=True)
        told = buildperm("ci", folder=folder, extra=machine)
        assert told.returncode == 0, told.stderr
        assert ("Compiling sample" in told.stderr) != is_used
        assert told.stderr.count("was not made here by this user") == (not is_used)


@pytest.mark.slow
def test_a_link_to_what_was_made_for_another_workspace_is_put_aside(tmp_path: Path) -> None:
    first = member(tmp_path / "first", WRITES)
    _asked(first)
    made = sorted((first / "target/buildperm").iterdir())
    folder = member(tmp_path / "second", WRITES)
    (folder / "target").mkdir()
    (folder / "target/buildperm").symlink_to("../../first/target/buildperm")

    told = buildperm(*LEARN, folder=folder)
    again = buildperm(*LEARN, folder=folder)

    assert "was not made here by this user" in told.stderr
    assert "was not made here" not in again.stderr
    assert (folder / ASIDE).is_symlink()
    assert sorted((first / "target/buildperm").iterdir()) == made  # A link is put aside, no more.


@pytest.mark.slow
def test_what_another_user_has_made_is_put_aside(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", WRITES)
    _asked(folder)

    told = buildperm("pending", folder=folder, extra={"XDG_STATE_HOME": str(tmp_path / "other")})

    assert "was not made here by this user" in told.stderr
    assert (folder / ASIDE / "learn").is_dir()


@pytest.mark.slow
def test_without_a_place_for_a_key_a_command_still_works(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "data.txt").write_text("data")
    (tmp_path / "file").touch()
    nowhere = {"XDG_STATE_HOME": str(tmp_path / "file")}

    told = buildperm(*LEARN, folder=folder, extra=nowhere)

    assert told.returncode == 0, told.stderr
    assert "data.txt" in (folder / "Cargo.toml").read_text()


def test_what_git_tracks_is_refused(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", WRITES)
    _asked(folder)

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)

    git("init", "-q")
    git("add", "-f", JOURNAL.rpartition("/")[0] + "/buildperm-session")
    refused = buildperm(*LEARN, folder=folder)
    told = re.search(r"`git (rm -r -q --cached [^`]+)`", refused.stderr)
    assert told, refused.stderr
    git(*told[1].split())
    after = buildperm(*LEARN, folder=folder)

    assert refused.returncode == 2, refused.stderr
    assert "is tracked by Git" in refused.stderr
    assert is_orderly(refused.stderr)
    assert after.returncode == 3, after.stderr
    assert "not made here" not in after.stderr


@pytest.mark.slow
def test_a_forged_change_is_not_taken_back(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "data.txt").write_text("data")
    assert buildperm(*LEARN, folder=folder).returncode == 0
    now = (folder / "Cargo.toml").read_text()
    (change,) = (folder / "target/buildperm/history").iterdir()
    said = json.loads(change.read_text())
    said["files"][0]["before"] = "# forged\n" + said["files"][0]["before"]
    honest = change.read_bytes()

    change.write_text(json.dumps(said))
    forged = buildperm("undo", folder=folder)
    left = (folder / "Cargo.toml").read_text()
    change.write_bytes(honest)
    undone = buildperm("undo", folder=folder)

    assert left == now, forged.stderr
    assert undone.returncode == 0, undone.stderr
    assert "data.txt" not in (folder / "Cargo.toml").read_text()
