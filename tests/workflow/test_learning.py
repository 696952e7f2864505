"""What a review ends with, asked by a front end that answers in place of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.errors import ExitCode
from buildperm.presentation.front_end import ReviewEnd
from buildperm.workflow.learning import Learning
from buildperm.workflow.review_options import ReviewOptions
from buildperm.workflow.workspace import open_contexts
from tests.command import member

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

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
