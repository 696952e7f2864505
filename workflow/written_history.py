"""What commands wrote into Cargo.toml and buildperm.lock, kept so that it can be taken back.

One file a command in `target/buildperm/history`, numbered. It is a convenience: `cargo clean`
removes it, and nothing relies on it. Each is signed: what came with a checkout is nothing that a
command wrote, and taking it back would write what its maker likes.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from buildperm.errors import BuildpermError
from buildperm.policy import machine_key

VERSION = 1
_PURPOSE = "history"
_KEPT_MOST = 100


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before a command wrote it, and after; None where there was none."""

    name: str  # `Cargo.toml` or `buildperm.lock`, both in the root of the workspace.
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class WrittenChange:
    """What one command wrote."""

    number: int  # From 1; the latest has the highest.
    command: str  # `learn`, `review`, `decide`.
    at: str  # When: ISO 8601, UTC, to the second.
    files: tuple[FileChange, ...]
    is_undone: bool = False


@dataclass(frozen=True, slots=True)
class WrittenHistory:
    """The numbered files in one folder."""

    folder: Path

    def record(
        self, command: str, files: Iterable[FileChange], together_with: int = 0
    ) -> WrittenChange | None:
        """Keep what was written; None where nothing has changed.

        What was taken back before can no longer be taken again. That this cannot be kept must not
        keep anybody from writing: it is not an error.

        Args:
            command: Who wrote it.
            files: What was written.
            together_with: The number of an earlier change of the same command, which becomes one
                with this; 0 for none.
        """
        changed = tuple(each for each in files if each.before != each.after)
        if not changed:
            return None
        try:
            known = self.read()
            earlier = next((each for each in known if each.number == together_with), None)
            number = earlier.number if earlier else max((each.number for each in known), default=0)
            number += 0 if earlier else 1
            change = WrittenChange(
                number,
                command,
                datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                _united(earlier.files, changed) if earlier else changed,
            )
            for each in known:
                if each.is_undone:
                    self._path(each.number).unlink(missing_ok=True)
            self.write(change)
            standing = [each.number for each in known if not each.is_undone]
            for old in standing[: max(len(standing) + 1 - _KEPT_MOST, 0)]:
                self._path(old).unlink(missing_ok=True)
        except (OSError, BuildpermError):
            return None
        return change

    def read(self) -> list[WrittenChange]:
        """Return all changes, the oldest first; what is not what this wrote is left out.

        Raises:
            BuildpermError: The folder exists and cannot be read.
        """
        try:
            paths = sorted(self.folder.glob("[0-9]*.json"))
            found = [_parsed(path, path.read_bytes()) for path in paths]
        except OSError as error:
            raise BuildpermError(
                f"read {self.folder}: {error.strerror}", hint="Remove it to begin anew."
            ) from error
        return sorted((each for each in found if each is not None), key=lambda each: each.number)

    def mark(self, change: WrittenChange, *, undone: bool) -> None:
        """Note that a change was taken back, or taken again.

        Raises:
            BuildpermError: It cannot be noted.
        """
        try:
            self.write(replace(change, is_undone=undone))
        except OSError as error:
            raise BuildpermError(
                f"write {self._path(change.number)}: {error.strerror}",
                hint="Make the folder writable; Cargo.toml and buildperm.lock are done.",
            ) from error

    def write(self, change: WrittenChange) -> None:
        """Write the file of a change, all or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{secrets.token_hex(8)}"
        try:
            path = self._path(change.number)
            temporary.write_text(_text(change, path))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.json"


def _united(first: Sequence[FileChange], then: Sequence[FileChange]) -> tuple[FileChange, ...]:
    """Make one change of two that follow one another."""
    found = {each.name: each for each in first}
    for each in then:
        known = found.get(each.name)
        found[each.name] = replace(known, after=each.after) if known else each
    return tuple(found.values())


def _text(change: WrittenChange, path: Path) -> str:
    files = [
        {"name": each.name, "before": _kept(each.before), "after": _kept(each.after)}
        for each in change.files
    ]
    said = {
        "version": VERSION,
        "number": change.number,
        "command": change.command,
        "at": change.at,
        "undone": change.is_undone,
        "files": files,
    }
    signature = machine_key.sign(_PURPOSE, path, json.dumps(said).encode())
    return json.dumps({**said, "signature": signature}, indent=1) + "\n"


def _parsed(path: Path, raw: bytes) -> WrittenChange | None:
    try:
        said = json.loads(raw)
        signature = str(said.pop("signature"))
        content = json.dumps(said).encode()
        is_own = machine_key.is_signed(_PURPOSE, path, content, signature)
        if said["version"] != VERSION or not is_own:
            return None
        return WrittenChange(
            int(said["number"]),
            str(said["command"]),
            str(said["at"]),
            tuple(_file(each) for each in said["files"]),
            bool(said["undone"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _file(said: Mapping[str, str | None]) -> FileChange:
    return FileChange(str(said["name"]), _raw(said["before"]), _raw(said["after"]))


def _kept(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "surrogateescape")


def _raw(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
