"""Judges the links in OUT_DIR that lead out of it, by where they lead.

Whoever compiles the crate reads through them. So one may lead to what the script may read itself,
and could have copied. Another one takes a grant of reading. All processes of the script have ended
when this looks, and nobody else writes in its OUT_DIR, so what was judged stays as it is.

Part of the supervisor: os only.
"""

from __future__ import annotations

import os

from buildperm.rules import profile_output, sensitive
from buildperm.rules.containment import contained, links, way
from buildperm.rules.pattern import covers, matches
from buildperm.supervisor import landlock
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.supervisor.run import Run


class OutwardLinks:
    """The judge of one run."""

    def __init__(self, run: Run, record: Callable[[bytes, bytes, bool], None]) -> None:
        """Prepare.

        Args:
            run: What the script was held to.
            record: Called with link, target (with a slash at the end if that is a folder) and
                whether it is refused, for each that the grants do not cover.
        """
        self.undecided: list[str] = []  # Those that a grant would allow, and where they lead.
        self._run = run
        self._record = record
        self._out_dir = run.places["OUT_DIR"]
        self._profile, self._rerun_of = _rerun_of(self._out_dir)
        # Who fills these trees can turn a link in them to somewhere else, later.
        self._filled = [*run.filled, run.places["TARGET_DIR"]]
        self._rights: dict[bool, Mapping[bytes, int]] = {}  # By whether they are those of learning.
        self._known: dict[bytes, bool | None] = {}  # By target: whether it may be read; see `_may`.

    def why(self, link: bytes, target: bytes) -> str:
        """Say why the run has to fail for a link; empty if it does not, or a grant would settle it.

        Args:
            link: In OUT_DIR.
            target: Where it leads in the end, be there anything or not.
        """
        if self._is_passing(target):
            return f"a link to {encode(target)}, which is gone when the script has ended"
        for step in links(link):
            if covers(b"/proc", step):
                return "a link through /proc"  # Which leads each process somewhere else.
            if not covers(self._out_dir, step) and any(
                covers(tree, step) and not covers(tree, target) for tree in self._filled
            ):
                return f"a link through another one, {encode(step)}, to {encode(target)}"
        target = self._as_recorded(target)
        if target not in self._known:
            self._known[target] = self._may(target)
        may_read = self._known[target]
        if may_read is None:
            return ""
        self._record(link, target + b"/" * os.path.isdir(target), not may_read)
        if not may_read:
            named = encode(link[len(self._out_dir) :])
            self.undecided.append(f"$OUT_DIR{named} to {encode(target)}")
        return ""

    def _as_recorded(self, target: bytes) -> bytes:
        """Return what a link beside programs led to when the script was recorded."""
        if self._rerun_of and covers(self._profile, target):
            return self._rerun_of + target[len(self._profile) :]
        return target

    def _is_passing(self, target: bytes) -> bool:
        """Tell whether a link leads to what is there as long as the script runs, and only so long.

        That is what lies in its private home, or in folders of its own in the place of others. What
        it has removed by itself is as gone as without a sandbox.
        """
        run = self._run
        if covers(run.places["TMP"], target):
            return os.path.lexists(target)
        return any(
            covers(shared, target)
            and not os.path.lexists(target)
            and os.path.lexists(own + target[len(shared) :])
            for shared, own in run.temporary.items()
        )

    def why_beside(self, name: str, link: bytes, led: bytes) -> str:
        """Say likewise of a link that is going to be beside programs.

        Args:
            name: How it is called in messages.
            link: Where it is going to be.
            led: Where it leads at first.
        """
        passed, target = way(led)
        if self._is_passing(target):
            return f"a link to {encode(target)}, which is gone when the script has ended"
        for step in passed:
            if covers(b"/proc", step):
                return "a link through /proc"
            if any(covers(tree, step) and not covers(tree, target) for tree in self._filled):
                return f"a link through another one, {encode(step)}, to {encode(target)}"
        may_read = self._may(target)
        if may_read is None:
            return ""
        self._record(link, target + b"/" * os.path.isdir(target), not may_read)
        if not may_read:
            self.undecided.append(f"{name} to {encode(target)}")
        return ""

    def _may(self, target: bytes) -> bool | None:
        """Tell whether the script may read all of `target`; None if it may by baseline and grants.

        What it may read as it is recorded takes a grant later on.
        """
        if self._is_opened(target, learning=False) or self._is_package(target):
            return None
        delivery = self._run.delivery
        if delivery is not None and delivery.leaves(target):
            return None
        return self._run.learning and self._is_opened(target, learning=True)

    def _is_package(self, target: bytes) -> bool:
        """Tell whether it is a folder of the package, which whoever compiles it reads anyhow.

        Where Cargo builds in it, or keys are in it, not all of it may be read.
        """
        run = self._run
        if not covers(run.places["MANIFEST_DIR"], target) or not os.path.isdir(target):
            return False
        if covers(run.places["TARGET_DIR"], target) or any(covers(e, target) for e in run.held):
            return False
        if any(covers(each, target) for each in run.foreign):
            return False
        if run.package["deny"].get("read"):
            return False  # It may be about something in it.
        return not sensitive.why(contained(target, run.places), writing=False)

    def _is_opened(self, target: bytes, *, learning: bool) -> bool:
        rights = self._rights.get(learning)
        if rights is None:
            rights = self._rights[learning] = self._run.readable(learning=learning)
        wanted = landlock.READ_FILE | (landlock.READ_DIR if os.path.isdir(target) else 0)
        if self._is_granted_later(target):
            return True
        given, path = 0, target
        while True:
            given |= rights.get(path, 0)
            if path in (b"/", b""):
                return given & wanted == wanted
            path = os.path.dirname(path)

    def _is_granted_later(self, target: bytes) -> bool:
        """Tell whether a grant names what is not there: there is no right for that."""
        if os.path.lexists(target):
            return False
        text, package = contained(target, self._run.places), self._run.package
        if any(matches(pattern, text) for pattern in package["deny"].get("read", ())):
            return False
        is_granted = any(matches(pattern, text) for pattern in package["read"])
        return is_granted and not sensitive.why(text, writing=False)


def _rerun_of(out_dir: bytes) -> tuple[bytes, bytes]:
    """Return the folder beside programs of a rerun, and the one that it stands for.

    The second is empty where Cargo itself runs the script: its folders are called otherwise.
    """
    profile = out_dir.removesuffix(b"/build/rerun/out")
    if profile == out_dir:
        return b"", b""
    try:
        return profile, os.readlink(
            os.path.dirname(profile) + b"/" + profile_output.RERUN_OF.encode()
        )
    except OSError:
        return profile, b""
