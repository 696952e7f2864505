"""The filter's words for who did something, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.policy.fold import fold
from buildperm.policy.proposal import Proposal
from buildperm.policy.proposals import propose
from buildperm.policy.review_state import Review
from tests.policy.macro_recordings import Act, reads, record

FILE = b"/ws/shared/a.txt"


@pytest.fixture
def review(tmp_path: Path) -> Review:
    def asked(crate: str, subject: str, consumer: str, act: Act) -> list[Proposal]:
        found = record(tmp_path / crate, act, subject=subject, consumer=consumer, crate=crate)
        return propose(crate, "1.0.0", fold(found, ["api", "web"]))

    return Review(
        [
            *asked("script", "script", "", reads(FILE)),
            *asked("mac-api", "macro", "api", reads(FILE)),
            *asked("mac-web", "macro", "web", reads(FILE)),
            *asked("compiled", "compile", "", reads(FILE)),
        ]
    )


@pytest.mark.parametrize(
    ("words", "crates"),
    [
        ("subject:macro", ["mac-api", "mac-web"]),
        ("subject:s", ["script"]),
        ("-subject:macro", ["script", "compiled"]),
        ("subject:compile kind:read", ["compiled"]),
        ("for:api", ["mac-api"]),
        ("for:a*", ["mac-api"]),
        ("for:nobody", []),
        ("procedural", ["mac-api", "mac-web"]),
    ],
)
def test_who_did_it_and_for_whom_can_be_asked_for(
    review: Review, words: str, crates: list[str]
) -> None:
    assert [each.crate for each in review.select(words)] == crates


def test_what_nothing_is_called_is_an_error(review: Review) -> None:
    with pytest.raises(BuildpermError, match="no subject is called `linker`"):
        review.select("subject:linker")
