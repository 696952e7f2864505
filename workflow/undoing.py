"""What `undo` does: takes back what the last command wrote, where nobody has edited it since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.cargo.project import LEARN
from buildperm.cargo.target_directory import open_target
from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import editor, lock_file
from buildperm.policy.replacement import replace_file
from buildperm.policy.reverse_edit import reversed_edit
from buildperm.presentation import console
from buildperm.presentation.edit_sentences import explain
from buildperm.printable import log_text, shown
from buildperm.workflow.workspace import Workspace, open_workspace
from buildperm.workflow.written_history import FileChange, WrittenChange, WrittenHistory

_NAMES = ("Cargo.toml", lock_file.NAME)


@dataclass(frozen=True, slots=True)
class UndoOptions:
    """What the command line says."""

    to: int | None = None  # The last change that is to stand; None takes one step.
    dry_run: bool = False
    redo: bool = False


def history_of(workspace: Workspace) -> WrittenHistory:
    """Return what was written in a workspace."""
    target = open_target(workspace.project.metadata, "learn")
    return WrittenHistory(target.folder.parent / "history")


def list_changes() -> int:
    """Print what can be taken back and taken again, the newest first; return the exit code.

    Raises:
        BuildpermError: There is no workspace, or the history cannot be read.
    """
    workspace = open_workspace((), default=LEARN)
    changes = history_of(workspace).read()
    for each in reversed(changes):
        balance = ", ".join(_balance(file) for file in each.files)
        state = "  (taken back)" if each.is_undone else ""
        console.write(
            log_text(f"{each.number:>4}  {each.at}  {each.command:<8} {balance}{state}\n")
        )
    if not changes:
        console.print_message("Nothing was written here yet.")
    return ExitCode.OK


def undo(options: UndoOptions) -> int:
    """Take back, or take again, what commands wrote; return the exit code.

    Raises:
        BuildpermError: There is nothing to take back, it was edited by hand since, or a file
            cannot be written.
    """
    workspace = open_workspace((), default=LEARN)
    return _Undo(workspace, history_of(workspace), options).run()


class _Undo:
    def __init__(self, workspace: Workspace, history: WrittenHistory, options: UndoOptions) -> None:
        self._history = history
        self._options = options
        root = workspace.project.metadata.root
        self._paths = {"Cargo.toml": workspace.manifest_path, lock_file.NAME: root / lock_file.NAME}
        self._now = {name: lock_file.content(path) for name, path in self._paths.items()}
        self._workspace = workspace

    def run(self) -> int:
        changes = self._wanted()
        after = dict(self._now)
        for change in changes:
            for file in change.files:
                if file.name in _NAMES and not self._is_done(changes, file.name):
                    after[file.name] = self._step(change, file, after[file.name])
        manifest = after["Cargo.toml"]
        if manifest is not None and manifest != self._now["Cargo.toml"]:
            self._workspace.read(manifest)  # What was taken back must still go together.
        if after[lock_file.NAME] is not None:
            lock_file.parse(after[lock_file.NAME] or b"", self._paths[lock_file.NAME])
        self._show(after)
        if self._options.dry_run:
            console.print_message("Nothing written: this is what it would change.")
            return ExitCode.OK
        for name, path in self._paths.items():
            self._write(path, self._now[name], after[name])
        for change in changes:
            self._history.mark(change, undone=not self._options.redo)
        self._tell(changes)
        return ExitCode.OK

    def _wanted(self) -> list[WrittenChange]:
        """Return the changes concerned, in the order in which they are to be taken."""
        known = self._history.read()
        if self._options.redo:
            undone = [each for each in known if each.is_undone]
            to = self._options.to
            wanted = undone[:1] if to is None else [each for each in undone if each.number <= to]
            if not wanted:
                raise BuildpermError(
                    "nothing to write again: nothing was taken back",
                    hint="Run `buildperm undo --list` to see what was written.",
                )
            return wanted
        standing = [each for each in reversed(known) if not each.is_undone]
        to = self._options.to
        if to is not None and to and all(each.number != to for each in known):
            raise BuildpermError(
                f"no change has the number {to}",
                hint="Run `buildperm undo --list` to see the numbers; 0 takes back everything.",
            )
        wanted = standing[:1] if to is None else [each for each in standing if each.number > to]
        if not wanted and any(each.is_undone for each in known):
            raise BuildpermError(
                "nothing to take back: what buildperm wrote here is taken back already",
                hint="Run `buildperm undo --redo` to write it again.",
            )
        if not wanted:
            raise BuildpermError(
                "nothing to take back: no command has written Cargo.toml or buildperm.lock here, "
                "or `cargo clean` has removed what it kept",
                hint="Use `git checkout Cargo.toml buildperm.lock` if you committed them before.",
            )
        return wanted

    def _is_done(self, changes: Sequence[WrittenChange], name: str) -> bool:
        """Tell whether a file is as it would be: somebody has done it by other means."""
        goals = [
            file.after if self._options.redo else file.before
            for change in changes
            for file in change.files
            if file.name == name
        ]
        return self._now[name] == goals[-1]

    def _step(self, change: WrittenChange, file: FileChange, now: bytes | None) -> bytes | None:
        """Return a file without one change, or with it.

        Raises:
            BuildpermError: It was edited since, where the change is.
        """
        before, after = file.before, file.after
        if self._options.redo:
            before, after = after, before
        if now == after:
            return before
        result = None
        if None not in (before, after, now):
            result = reversed_edit(before or b"", after or b"", now or b"")
        if result is None:
            patch = editor.diff(after or b"", before or b"", file.name)
            console.write(log_text(patch))
            word = "write again" if self._options.redo else "take back"
            raise BuildpermError(
                f"cannot {word} what `buildperm {change.command}` wrote at {change.at}: "
                f"{self._paths[file.name]} was edited since in the same place; nothing was written",
                hint="The patch above is what it would have done: make the change by hand.",
            )
        return result

    def _show(self, after: dict[str, bytes | None]) -> None:
        manifest = after["Cargo.toml"]
        was = self._now["Cargo.toml"]
        if manifest is not None and was is not None and manifest != was:
            console.write(log_text(editor.diff(was, manifest)))
            for sentence in explain(was, manifest):
                console.print_message(f"  {sentence.text}")

    def _tell(self, changes: Sequence[WrittenChange]) -> None:
        what = ", ".join(f"`buildperm {each.command}` at {each.at}" for each in changes)
        if self._options.redo:
            console.print_message(f"Written again: {what}.")
            console.print_message("next: commit Cargo.toml and buildperm.lock.")
            return
        console.print_message(f"Taken back: {what}.")
        console.print_message(
            "next: `buildperm review` asks again; `buildperm undo --redo` writes it again."
        )

    @staticmethod
    def _write(path: Path, before: bytes | None, after: bytes | None) -> None:
        if before == after:
            return
        if after is None:
            if lock_file.content(path) != before:
                raise BuildpermError(
                    f"{path} was changed by somebody else meanwhile", hint="Run it again."
                )
            path.unlink()
            return
        replace_file(
            path,
            before,
            after,
            changed_hint="Run `buildperm undo` again.",
            failed_hint="Make the file and its folder writable.",
        )


def _balance(file: FileChange) -> str:
    lines = list(_changed_lines(file))
    added, removed = lines.count("+"), lines.count("-")
    return f"{shown(file.name)} +{added} -{removed}"


def _changed_lines(file: FileChange) -> Iterator[str]:
    for line in editor.diff(file.before or b"", file.after or b"").splitlines()[2:]:
        if line[:1] in ("+", "-"):
            yield line[:1]
