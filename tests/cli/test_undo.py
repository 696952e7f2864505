"""`buildperm undo`: what a command wrote goes again, and what somebody else wrote stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.cargo import claim
from buildperm.policy import lock_file
from buildperm.workflow.written_history import FileChange, WrittenHistory
from tests.command import buildperm, is_orderly

BEFORE = b'[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n'
LEARNT = BEFORE + (
    b"\n[package.metadata.buildperm]\nversion = 1\n\n"
    b'[package.metadata.buildperm.crates.ring]\nexec = ["perl"]\n'
)
REVIEWED = LEARNT + b'deny = { exec = ["curl"] }\n'


class Written:
    """A workspace in which two commands have written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "Cargo.toml"
        self.lock = folder / "buildperm.lock"
        (folder / "src").mkdir()
        (folder / "src/lib.rs").write_text("")
        (folder / "Cargo.lock").write_text(
            'version = 3\n\n[[package]]\nname = "app"\nversion = "0.1.0"\n'
        )
        history = WrittenHistory(claim.make(folder / "target") / "history")
        head = lock_file.text({})
        history.record(
            "learn",
            [FileChange("Cargo.toml", BEFORE, LEARNT), FileChange("buildperm.lock", None, head)],
        )
        history.record("review", [FileChange("Cargo.toml", LEARNT, REVIEWED)])
        self.manifest.write_bytes(REVIEWED)
        self.lock.write_bytes(head)

    def undo(self, *words: str) -> tuple[int, str, str]:
        told = buildperm("undo", *words, folder=self.folder)
        assert is_orderly(told.stdout + told.stderr)
        return told.returncode, told.stdout, told.stderr


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_the_last_step_goes_and_comes_again(written: Written) -> None:
    code, out, err = written.undo()

    assert code == 0
    assert '-deny = { exec = ["curl"] }' in out
    assert "ring is no longer denied to run curl" in err
    assert "Taken back: `buildperm review`" in err
    assert "`buildperm review` asks again" in err
    assert written.manifest.read_bytes() == LEARNT
    assert written.undo("--redo")[0] == 0
    assert written.manifest.read_bytes() == REVIEWED


@pytest.mark.slow
def test_all_of_it_goes_back_to_where_it_began(written: Written) -> None:
    listed = written.undo("--list")[1].splitlines()
    assert [line.split()[0] for line in listed] == ["2", "1"]
    assert "Cargo.toml +1 -0" in listed[0]
    code, _, err = written.undo("--to", "0", "--dry-run")
    assert code == 0
    assert "Nothing written" in err
    assert written.manifest.read_bytes() == REVIEWED

    assert written.undo("--to", "0")[0] == 0

    assert written.manifest.read_bytes() == BEFORE
    assert not written.lock.exists()
    code, _, err = written.undo()
    assert code == 2
    assert "nothing to take back" in err
    assert written.undo("--redo", "--to", "2")[0] == 0
    assert written.manifest.read_bytes() == REVIEWED
    assert written.lock.exists()


def test_what_somebody_wrote_elsewhere_stays(written: Written) -> None:
    theirs = b'description = "mine"\n'
    edited = REVIEWED.replace(b'name = "app"\n', b'name = "app"\n' + theirs)
    written.manifest.write_bytes(edited)

    assert written.undo()[0] == 0

    assert written.manifest.read_bytes() == LEARNT.replace(
        b'name = "app"\n', b'name = "app"\n' + theirs
    )


@pytest.mark.slow
def test_what_is_taken_back_already_names_the_way_to_write_it_again(written: Written) -> None:
    assert written.undo("--to", "0")[0] == 0

    code, _, err = written.undo()

    assert code != 0
    assert "taken back already" in err
    assert "buildperm undo --redo" in err


def test_what_git_has_taken_back_is_not_asked_for_by_hand(written: Written) -> None:
    written.manifest.write_bytes(BEFORE)
    written.lock.unlink()

    code, _, err = written.undo("--to", "0")

    assert code == 0
    assert "by hand" not in err
    assert written.manifest.read_bytes() == BEFORE
    assert not written.lock.exists()


def test_an_edit_in_the_same_place_is_refused_with_the_patch(written: Written) -> None:
    edited = REVIEWED.replace(b'["curl"]', b'["curl", "wget"]')
    written.manifest.write_bytes(edited)

    code, out, err = written.undo()

    assert code == 2
    assert '-deny = { exec = ["curl"] }' in out
    assert "was edited since in the same place; nothing was written" in err
    assert "hint: The patch above" in err
    assert written.manifest.read_bytes() == edited


@pytest.mark.parametrize(("words", "told"), [(("--to", "9"), "number 9"), (("--redo",), "again")])
@pytest.mark.quick(1)
def test_what_is_not_there_is_told(written: Written, words: tuple[str, ...], told: str) -> None:
    code, _, err = written.undo(*words)

    assert code == 2
    assert told in err
    assert "undo --list" in err
    assert written.manifest.read_bytes() == REVIEWED
