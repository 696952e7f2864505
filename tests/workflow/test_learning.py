"""What a review ends with, asked by a front end that answers in place of a person."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from buildperm.errors import ExitCode
from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Risk
from buildperm.presentation.front_end import ReviewEnd
from buildperm.workflow.learning import Learning
from buildperm.workflow.pending_work import PendingWork
from buildperm.workflow.review_options import ReviewOptions
from buildperm.workflow.workspace import open_contexts
from tests.command import LEARN, buildperm, member

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from buildperm.presentation.front_end import Failure, ReviewSession

NEEDS_A_FILE = """
fn main() { std::fs::read_to_string("../data.txt").expect("cannot read"); }
"""


class Forgetful:
    """Denies everything, has that checked, and forgets it."""

    failures: Sequence[Failure] = ()

    def conduct(self, session: ReviewSession, /) -> ReviewEnd:
        """Answer."""
        for each in session.review.proposals:
            entry = session.review.deny(each.id)
            assert entry is not None
            session.journal(entry)
        self.failures = session.verify(lambda *_: True)
        return ReviewEnd.DISCARD


def test_forgotten_decisions_are_undecided_again_and_their_check_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = member(tmp_path / "ws", NEEDS_A_FILE)
    (folder / "data.txt").write_text("data")
    monkeypatch.chdir(folder)
    front_end = Forgetful()

    options = ReviewOptions("learn", None, prune="now")
    code = Learning(open_contexts(()), options, front_end).run()

    told = capsys.readouterr().err
    assert front_end.failures
    assert code == ExitCode.UNDECIDED
    assert "the decisions are forgotten" in told
    assert "1 undecided" in told
    assert "not settled" not in told


RUNS_AND_LOOKS_FOR_A_KEY = """
fn main() {
    let _ = std::process::Command::new("sh").arg("-c").arg("exit").status();
    let _ = std::fs::read_to_string("../deploy/id_rsa");
}
"""


class Hesitant:
    """Allows what can be allowed, and leaves the rest open; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def conduct(self, session: ReviewSession, /) -> ReviewEnd:
        """Answer."""
        review = session.review
        self.asked = [
            each.title
            for each in review.proposals
            if review.decision(each.id).answer is Answer.UNDECIDED
        ]
        for each in review.proposals:
            entry = None if each.locked else review.allow(each.id)
            if entry is not None:
                session.journal(entry)
        return ReviewEnd.WRITE


def test_what_was_allowed_beside_an_open_question_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = member(tmp_path / "ws", RUNS_AND_LOOKS_FOR_A_KEY)
    (folder / "deploy").mkdir()
    (folder / "deploy/id_rsa").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    monkeypatch.chdir(folder)
    options = ReviewOptions("learn", None, prune="never")

    def asked() -> list[str]:
        front_end = Hesitant()
        assert Learning(open_contexts(()), options, front_end).run() == ExitCode.UNDECIDED
        return front_end.asked

    assert len(asked()) == 2
    again = asked()
    assert len(again) == 1
    assert "id_rsa" in again[0]
    assert [each.title for each in PendingWork(()).proposals] == again

    # Whoever takes the grant away is asked about it again.
    manifest = folder / "Cargo.toml"
    manifest.write_text(manifest.read_text().partition("[workspace.metadata")[0])
    assert len(asked()) == 2


LISTS_IF_IT_CAN = """
fn main() { for entry in std::fs::read_dir("../data").into_iter().flatten() { entry.unwrap(); } }
"""


@pytest.mark.slow
@pytest.mark.parametrize("has_closed_folder", [True, False])
def test_a_granted_folder_that_cannot_be_listed_is_told_by_the_exit_code(
    tmp_path: Path, *, has_closed_folder: bool
) -> None:
    folder = member(tmp_path / "ws", LISTS_IF_IT_CAN)
    (folder / "data/.aws").mkdir(parents=True)
    (folder / "data/.aws/credentials").write_text("secret")
    if not has_closed_folder:
        shutil.rmtree(folder / "data/.aws")
    with (folder / "Cargo.toml").open("a") as manifest:
        manifest.write(
            "[workspace.metadata.buildperm]\nversion = 1\n"
            "[workspace.metadata.buildperm.crates.sample]\n"
            'reviewed = ["0.1.0"]\nread = ["$WORKSPACE/data/**"]\n'
        )

    ended = buildperm("ci", "--runtime", "portable", folder=folder)

    expected = ExitCode.REFUSED if has_closed_folder else ExitCode.OK
    assert ended.returncode == expected, ended.stderr
    assert ("cannot be listed" in ended.stdout + ended.stderr) is has_closed_folder


@pytest.mark.slow
@pytest.mark.parametrize("has_closed_folder", [True, False])
def test_no_rule_is_written_for_a_folder_that_cannot_be_listed(
    tmp_path: Path, *, has_closed_folder: bool
) -> None:
    folder = member(tmp_path / "ws", LISTS_IF_IT_CAN)
    (folder / "data/sub").mkdir(parents=True)
    if has_closed_folder:
        (folder / "data/.aws").mkdir()
        (folder / "data/.aws/credentials").write_text("secret")

    ended = buildperm(*LEARN, "--runtime", "portable", folder=folder)

    expected = ExitCode.UNDECIDED if has_closed_folder else ExitCode.OK
    assert ended.returncode == expected, ended.stderr
    assert ("cannot list $WORKSPACE/data" in ended.stderr) is has_closed_folder
    assert ("read =" in (folder / "Cargo.toml").read_text()) is not has_closed_folder


def test_who_answers_the_last_open_question_from_the_list_has_reviewed_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = member(tmp_path / "ws", RUNS_AND_LOOKS_FOR_A_KEY)
    (folder / "deploy").mkdir()
    (folder / "deploy/id_rsa").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    monkeypatch.chdir(folder)
    options = ReviewOptions("learn", None, prune="never")
    Learning(open_contexts(()), options, Hesitant()).run()
    assert "reviewed" not in (folder / "Cargo.toml").read_text()

    work = PendingWork(())
    (left,) = work.proposals
    work.review.deny(left.id)
    work.write()

    assert "reviewed" in (folder / "Cargo.toml").read_text()
    assert PendingWork(()).proposals == ()
    # Without that grant it is a question again, although the last answer was written here.
    manifest = folder / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('exec = ["sh"]\n', ""))
    assert len(PendingWork(()).proposals) == 1


RUNS_A_COMPILER_AND_CODE = """
fn main() {
    let _ = std::process::Command::new("cc").arg("--version").output();
    let _ = std::process::Command::new("perl").args(["-e", "system(q(true; true))"]).status();
}
"""


def test_what_is_asked_already_is_not_listed_once_more_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Held to what was accepted, perl is refused, and so does not start its shell any more.
    folder = member(tmp_path / "ws", RUNS_A_COMPILER_AND_CODE)
    monkeypatch.chdir(folder)

    learning = Learning(open_contexts(()), ReviewOptions("learn", Risk.MEDIUM, prune="never"), None)
    assert learning.run() == ExitCode.UNDECIDED

    told = capsys.readouterr()
    listed = [line for line in (told.out + told.err).splitlines() if line.startswith("undecided:")]
    assert len(listed) == 1
    assert "run perl and 1 program that it starts" in listed[0]
    assert 'presets = ["cc"]' in (folder / "Cargo.toml").read_text()
