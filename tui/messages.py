"""Messages from workers on other threads to the screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from buildperm.errors import BuildpermError
    from buildperm.presentation.edit_hunks import Edit
    from buildperm.presentation.edit_sentences import EditSentence
    from buildperm.presentation.front_end import Failure
    from buildperm.presentation.unified_diff import FileDiff


@dataclass
class EditPreviewed(Message, bubble=False):
    """The edit of Cargo.toml has been made, but not saved."""

    edit: Edit
    sentences: tuple[EditSentence, ...]  # What changes, in plain words.


@dataclass
class VerifyProgressed(Message, bubble=False):
    """One more build script has been run under the new grants."""

    done: int
    total: int
    crate: str

    def can_replace(self, message: Message) -> bool:
        """Let a later message replace an earlier one that still waits."""
        return isinstance(message, VerifyProgressed)


@dataclass
class VerifyEnded(Message, bubble=False):
    """All build scripts concerned have been run under the new grants."""

    failures: tuple[Failure, ...]


@dataclass
class WorkFailed(Message, bubble=False):
    """Something failed in a way that the user can act on."""

    error: BuildpermError


@dataclass
class SourcesCompared(Message, bubble=False):
    """The sources of a build script have been compared."""

    files: tuple[FileDiff, ...]
