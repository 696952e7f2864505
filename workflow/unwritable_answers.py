"""Answers that Cargo.toml cannot have, among those that were given in one go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError, ChangedMeanwhileError
from buildperm.policy.decision import Answer
from buildperm.presentation import console

if TYPE_CHECKING:
    from buildperm.policy.decision import JournalEntry
    from buildperm.policy.review_state import Review


def leave_out(
    review: Review,
    preview: Callable[[], object],
    keep: Callable[[JournalEntry | None], None],
) -> None:
    """Leave open what was allowed and cannot be written, with a reason: all else is written.

    Args:
        review: With the answers.
        preview: Makes Cargo.toml as it would be; it fails where that cannot be.
        keep: Keeps a step in the journal.

    Raises:
        BuildpermError: Cargo.toml was changed meanwhile, or is broken without any answer.
    """
    if _failure(preview) is None:
        return
    allowed = [each for each in review.proposals if review.decision(each.id).answer is Answer.ALLOW]
    keep(review.clear(*(each.id for each in allowed)))
    preview()
    for each in allowed:
        entry = review.allow(each.id)
        error = _failure(preview)
        if error is None:
            keep(entry)
        else:
            review.clear(each.id)
            console.print_message(f"left open: {each.who}: {each.title}: {error.args[0]}")


def _failure(preview: Callable[[], object]) -> BuildpermError | None:
    try:
        preview()
    except ChangedMeanwhileError:
        raise
    except BuildpermError as error:
        return error
    return None
