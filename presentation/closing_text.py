"""What is said before leaving and writing: what is noted, and what is not yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.presentation.wording import plural
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

OVERRIDE: Final = "override"
"""The word that has to be typed to write grants under which something fails."""

_NAMED_MOST: Final = 4


def passed_text(*, is_tried: bool) -> str:
    """Say what a check has shown that found nothing missing.

    Args:
        is_tried: Whether it built what is concerned, or only compared the grants with a report.
    """
    if is_tried:
        return "All that is concerned builds with these grants."
    return (
        "These grants are not tried here: they cover what the report lists. "
        "Commit them, then `buildperm ci` tries them."
    )


def written_files(*, is_tried: bool) -> str:
    """Name the files that writing would change: buildperm.lock only holds what was seen here."""
    return "Cargo.toml and buildperm.lock" if is_tried else "Cargo.toml alone"


def noted_text(unsaved: Sequence[str]) -> str:
    """Say what writing notes in buildperm.lock, as a sentence."""
    if not unsaved:
        return "buildperm.lock keeps what was seen."
    return f"buildperm.lock notes {plural(len(unsaved), 'crate')} as reviewed ({_listed(unsaved)})."


def unsaved_text(unsaved: Sequence[str]) -> str:
    """Say what is not noted yet, and what that leads to."""
    were = "was" if len(unsaved) == 1 else "were"
    return (
        f"{plural(len(unsaved), 'crate')} {were} looked at ({_listed(unsaved)}), which is not "
        "written yet: until buildperm.lock notes it, `buildperm check` fails."
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
    return f"{', '.join(map(shown, names[:_NAMED_MOST]))}{more}"
