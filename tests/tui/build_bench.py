"""A build that waits to be told to go on, and the application that shows it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from buildperm.cargo.script_progress import ScriptEnded, ScriptStarted
from buildperm.errors import BuildpermError
from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.presentation.build_thread import BuildThread
from buildperm.tui.appearance import Appearance
from buildperm.tui.build_app import BuildApp
from buildperm.tui.widgets.sheet import Sheet
from tests.tui.proposals import access, proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.build_viewer import BuildListener


def _wanted(step: ScriptEnded) -> tuple[Proposal, ...]:
    if step.crate != "evil":
        return ()
    seen = access(Kind.READ, "$HOME/.ssh/id_rsa", outcome=Outcome.REFUSED)
    return (proposal("evil", "1.0.0", "read an SSH key", Risk.CRITICAL, "A key.", [seen]),)


class FakeBuild:
    """A build of three scripts, which goes on when it is told to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.go_on = threading.Event()
        self.interrupted = threading.Event()
        self.error: BuildpermError | None = None
        self.thread: BuildThread[str] = BuildThread(_wanted, self, clock)
        self.app = BuildApp("learn  ws", self.thread, Appearance())

    def __call__(self, listener: BuildListener) -> str:
        listener.on_begin([("evil", "1.0.0"), ("slow", "2.0.0"), ("idle", "3.0.0")], self.interrupt)
        listener.on_output(b"   Compiling evil v1.0.0\n\x1b[31merror\x1b[0m: \x1b]0;x\x07boom\n")
        listener.on_progress(ScriptStarted("evil", "1.0.0", 1))
        listener.on_progress(ScriptStarted("slow", "2.0.0", 2))
        listener.on_progress(ScriptEnded("evil", "1.0.0", 1, 101, None, 300_000_000))
        assert self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        return "interrupted" if self.interrupted.is_set() else "built"

    def interrupt(self) -> None:
        self.interrupted.set()
        self.go_on.set()

    def text(self, name: str) -> str:
        sheet = self.app.screen.query_one(name, Sheet)
        cells = sheet.scrollable_content_region.width
        lines = (sheet.line(number, cells) for number in range(sheet.count(cells)))
        return "\n".join("".join(text for text, _ in (*line.left, *line.right)) for line in lines)


@pytest.fixture
def build() -> Iterator[FakeBuild]:
    """Make a build that waits, and end it whatever happens."""
    made = FakeBuild()
    yield made
    made.go_on.set()
