"""The answers that a journal keeps, with a word about those that were not given here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.policy import journal, machine_key
from buildperm.presentation import console
from buildperm.report.text import count

if TYPE_CHECKING:
    from pathlib import Path

    from buildperm.policy.decision import JournalEntry


def read(path: Path) -> list[JournalEntry]:
    """Return the steps in a journal that this user has made here, oldest first.

    Raises:
        BuildpermError: It exists and cannot be read.
    """
    foreign = journal.foreign(path)
    if foreign:
        why = "it came with the checkout, or was copied or moved"
        if not machine_key.is_kept():
            why = "no key could be kept: set XDG_STATE_HOME to a folder of yours"
        console.print_warning(
            f"{path}: {count(foreign, 'answer')} not given here by this user left out ({why})"
        )
    return journal.read(path)
