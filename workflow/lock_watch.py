"""What `watch` does: waits for Cargo.lock or Cargo.toml to change, and says what is to review."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.cargo.file_watch import Watcher, digests
from buildperm.cargo.pending_search import combined, pending, reviewed_files
from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import lock_file
from buildperm.policy.pending_review import Pending
from buildperm.presentation import console
from buildperm.report import text
from buildperm.workflow.snapshot_file import open_snapshots
from buildperm.workflow.workspace import open_contexts

if sys.platform != "win32":
    import termios

_MOST_CRATES = 10  # Named in one line, likewise.
_MOST_NAMED = 3  # Files named in one line; more are only counted.
_MOST_LOOKS = 3  # In a row, as long as files keep changing.


@dataclass(frozen=True, slots=True)
class _WatchedState:
    """What there is to review, and the files that say so."""

    root: Path
    files: frozenset[Path]
    pending: tuple[Pending, ...]

    @property
    def work(self) -> frozenset[tuple[str, str]]:
        return frozenset((each.crate, each.version) for each in self.pending)


class LockWatch:
    """One `buildperm watch`: what it reported last, and what the files held then."""

    def __init__(self, *, is_asking: bool, options: Sequence[str]) -> None:
        self._is_asking = is_asking
        self._options = options  # To pass on to `buildperm review`.
        self._state = _look()
        self._contents = digests(self._state.files)

    def run(self, *, polling: bool) -> int:
        """Report changes until it is interrupted or its terminal is gone.

        Args:
            polling: Look once a second instead of being told by the kernel.

        Raises:
            BuildpermError: The workspace is gone.
        """
        with Watcher(self._state.root, polling=polling) as watcher:
            watcher.watch(self._state.files)
            if watcher.polling_reason and not polling:
                reason = watcher.polling_reason
                console.print_message(
                    f"The kernel cannot tell of changes ({reason}): looking once a second."
                )
            self._print_state("now", is_new=bool(self._state.pending))
            while True:
                watcher.watch(self._state.files)
                self._compare()
                if not self._wait(watcher):
                    return ExitCode.OK

    def _compare(self) -> None:
        """Report what there is to review now, if the content of a file has changed."""
        contents = digests(self._state.files)
        changed = [file for file in contents if contents[file] != self._contents.get(file)]
        if not changed:
            return
        before = self._state
        if not before.root.is_dir():
            raise BuildpermError(f"the workspace `{before.root}` is gone")
        what = f"{_names(changed, before.root)} changed"
        self._contents = contents
        try:
            self._look_again()
        except BuildpermError as error:
            # Somebody is editing or merging: there will be another change.
            console.print_line(f"{what}: {' '.join(str(error.args[0]).split())}")
            return
        self._print_state(what, is_new=not self._state.work <= before.work)

    def _look_again(self) -> None:
        """Look until nothing changes in between: Cargo may write to Cargo.lock itself."""
        for _ in range(_MOST_LOOKS):
            before = digests(self._state.files)
            self._state = _look()
            after = digests(self._state.files)
            # Changes during the look are still to be told.
            self._contents = {file: before.get(file, after[file]) for file in after}
            if self._contents == after:
                return

    def _print_state(self, what: str, *, is_new: bool) -> None:
        found = self._state.pending
        if not found:
            console.print_line(f"{what}: nothing to review")
            return
        number = text.pending_tally(found)
        more = f" and {len(found) - _MOST_CRATES} more" if len(found) > _MOST_CRATES else ""
        names = ", ".join(map(_name, found[:_MOST_CRATES]))
        console.print_line(f"{what}: {number} to review: {names}{more}")
        if not self._is_asking:
            return
        if is_new:
            for each in found:
                for line in _reasons(each):
                    console.print_message(f"  {line}")
        termios.tcflush(
            sys.stdin, termios.TCIFLUSH
        )  # What was typed before the question is no answer.
        console.print_message("Enter starts `buildperm review`, Ctrl+C ends.")

    def _wait(self, watcher: Watcher) -> bool:
        """Wait until something may have changed; tell whether to go on."""
        sources: list[Watcher | int] = [watcher]
        if self._is_asking:
            sources.append(sys.stdin.fileno())
        ready, _, _ = select.select(sources, [], [])
        if watcher in ready:
            watcher.settle()
            return True
        try:
            answer = os.read(sys.stdin.fileno(), 4096)
        except OSError:
            return False  # The terminal is gone.
        if not answer:
            return False  # Ctrl+D.
        if answer.strip():
            return True
        if not self._state.pending:
            console.print_message("Nothing to review.")
            return True
        _review(self._options)
        watcher.settle()
        return True


def _look() -> _WatchedState:
    """Find out what is to be reviewed, as `buildperm check` does.

    Raises:
        BuildpermError: There is no workspace, or something in it is broken.
    """
    workspaces = open_contexts(())
    metadata = workspaces[0].project.metadata
    snapshots = open_snapshots(workspaces[0]).snapshots
    found = combined(pending(each.project, each.policy, snapshots) for each in workspaces)
    files = {metadata.manifest, metadata.root / "Cargo.lock", metadata.root / lock_file.NAME}
    files |= {metadata.packages[member].manifest for member in metadata.members}
    files |= set(reviewed_files(workspaces[0].places, snapshots.values()))
    return _WatchedState(metadata.root, frozenset(files), tuple(found))


def _review(options: Sequence[str]) -> None:
    """Run `buildperm review`, which handles Ctrl+C by itself."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        # -P: the workspace may have a folder `buildperm`, which must not be imported.
        subprocess.run([sys.executable, "-P", "-m", "buildperm", "review", *options], check=False)
    finally:
        signal.signal(signal.SIGINT, before)


def _name(each: Pending) -> str:
    origin = "new" if each.is_new else f"was {each.before}" if each.before else "changed"
    return f"{each.crate} {each.version} ({origin})"


def _reasons(each: Pending) -> list[str]:
    lines = [f"{each.crate} {each.version}: {sentence}" for _, sentence in each.causes]
    if len(each.way) > 1:
        lines.append(f"  gets in through {' > '.join(each.way)}")
    return lines


def _names(files: Collection[Path], root: Path) -> str:
    if len(files) > _MOST_NAMED:
        return f"{len(files)} files"
    return ", ".join(sorted(os.path.relpath(file, root) for file in files))
