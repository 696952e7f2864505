"""What of a package is run: its build script, or its procedural macros for one other package.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

from buildperm.rules import baseline
from buildperm.tracer.notation import encode
from buildperm.tracer.recording_format import MACRO, SCRIPT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.supervisor.session import SessionConsumer


class Subject:
    """What a run is of, as far as that decides what needs no grant and where it is recorded."""

    __slots__ = (
        "allowed",
        "consumer",
        "handed_over",
        "listed",
        "manifests",
        "program",
        "recording",
        "sources",
    )

    def __init__(
        self,
        recording: bytes,
        program: bytes,
        handed_over: Iterable[bytes] = (),
        *,
        manifests: Iterable[bytes] = (),
        sources: Iterable[bytes] = (),
        listed: Iterable[bytes] = (),
        consumer: SessionConsumer | None = None,
    ) -> None:
        """Take what is known before the run.

        Args:
            recording: Where its recording goes.
            program: What is executed.
            handed_over: Paths that it may read because of what it is run for.
            manifests: Files and folders that it may read likewise unless they were denied.
            sources: Published files and folders of dependencies that it may read likewise.
            listed: Folders that it may list likewise.
            consumer: The package whose code its macros are run for; None for a build script.
        """
        self.recording = recording
        self.program = program
        self.handed_over = tuple(handed_over)
        self.manifests = tuple(manifests)
        self.sources = tuple(sources)
        self.listed = tuple(listed)
        self.consumer = consumer
        self.allowed = baseline.OF_MACROS if consumer else baseline.OF_SCRIPTS

    def header(self) -> dict[str, object]:
        """Return what the first line of the recording says about it."""
        if self.consumer is None:
            return {"subject": SCRIPT}
        return {
            "subject": MACRO,
            "consumer": dict(self.consumer),
            "listed": [encode(folder) for folder in self.listed],
        }
