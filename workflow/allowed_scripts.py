"""Whether the build scripts that a deny.toml allows are those that were reviewed here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import lock_file
from buildperm.printable import printable
from buildperm.workflow import exporting
from buildperm.workflow.script_lookup import open_view


@dataclass(frozen=True, slots=True)
class AllowedScripts:
    """How `allow-build-scripts` of a deny.toml fits a workspace."""

    stale: tuple[str, ...]  # Entries that mean no build script here.
    missing: tuple[str, ...]  # Reviewed build scripts that no entry means.
    unreviewed: tuple[str, ...]  # Entries whose build scripts were not reviewed.

    @property
    def exit_code(self) -> int:
        """Return the exit code: the list has to be what was reviewed, no more and no less."""
        if self.unreviewed:
            return ExitCode.NOT_REVIEWED
        return ExitCode.UNUSED if self.stale or self.missing else ExitCode.OK

    def lines(self) -> Iterator[str]:
        """Return plain lines."""
        for entry in self.stale:
            yield f"stale: `{printable(entry)}` means no build script in Cargo.lock"
        for entry in self.unreviewed:
            yield f"not reviewed: `{printable(entry)}`"
        for entry in self.missing:
            yield f"missing: {entry} was reviewed, and cargo-deny bans it"
        if not (self.stale or self.missing or self.unreviewed):
            yield "allow-build-scripts is what was reviewed."

    def document(self) -> dict[str, object]:
        """Return one document."""
        return {
            "version": 1,
            "stale": list(self.stale),
            "unreviewed": list(self.unreviewed),
            "missing": list(self.missing),
        }


def check_cargo_deny(path: Path) -> AllowedScripts:
    """Compare `allow-build-scripts` of a deny.toml with what was reviewed here.

    Raises:
        BuildpermError: The file cannot be read, or has no such list.
    """
    entries = _deny_entries(path)
    view = open_view(())
    snapshots = lock_file.read(view.workspace.project.metadata.root / lock_file.NAME)
    found, _ = exporting.reviewed(view, snapshots, scripts_only=True)
    reviewed = {(each.script.package.name, each.script.package.version) for each in found}
    present = {
        (script.package.name, script.package.version)
        for script in view.scripts
        if script.package.build_scripts
    }
    stale = [text for text, spec in entries if not _meant(spec, present)]
    unreviewed = [text for text, spec in entries if _meant(spec, present - reviewed)]
    missing = [
        f"{name} {version}"
        for name, version in sorted(reviewed)
        if not any(_meant(spec, {(name, version)}) for _, spec in entries)
    ]
    return AllowedScripts(tuple(sorted(stale)), tuple(missing), tuple(sorted(unreviewed)))


def _meant(spec: tuple[str, str], packages: Iterable[tuple[str, str]]) -> bool:
    name, version = spec
    return any(each == name and version in ("", its) for each, its in packages)


def _deny_entries(path: Path) -> list[tuple[str, tuple[str, str]]]:
    """Return the entries of the list, each with name and version; empty where it is a range."""
    try:
        listed: Any = tomllib.loads(path.read_text())
    except OSError as error:
        raise BuildpermError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BuildpermError(f"{path}: {printable(str(error))}") from error
    for key in ("bans", "build", "allow-build-scripts"):
        listed = listed.get(key) if isinstance(listed, dict) else None
    if not isinstance(listed, list):
        raise BuildpermError(
            f"{path} has no list `allow-build-scripts` in `[bans.build]`",
            hint="`buildperm export --format cargo-deny` writes one.",
        )
    return [_deny_entry(each, path) for each in listed]


def _deny_entry(entry: object, path: Path) -> tuple[str, tuple[str, str]]:
    if isinstance(entry, dict):
        named = entry.get("crate") or entry.get("name")
        said = entry.get("version", "")
        if isinstance(named, str) and isinstance(said, str):
            text = f"{named}:{said}" if said else named
            return text, _spec(text)
    if isinstance(entry, str):
        return entry, _spec(entry)
    raise BuildpermError(f"{path}: `allow-build-scripts` holds what names no crate")


def _spec(text: str) -> tuple[str, str]:
    """Take `NAME`, `NAME@VERSION` or `NAME:REQUIREMENT` apart."""
    name, at, version = text.partition("@")
    if at:
        return name, version
    name, _, requirement = text.partition(":")
    requirement = requirement.strip()
    return name, requirement[1:].strip() if requirement.startswith("=") else ""
