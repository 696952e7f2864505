"""The answer of `show`, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.policy import lock_file
from buildperm.policy.grants import Policy, parse_key
from buildperm.policy.role import SubjectKind
from buildperm.report.text import subject_tally
from buildperm.workflow import root_report
from buildperm.workflow.grant_description import GrantDescription
from buildperm.workflow.grant_document import GrantDocument
from buildperm.workflow.grant_inventory import GrantTable, tables
from buildperm.workflow.line_history import LineChange, blame
from buildperm.workflow.manifest_lines import ManifestLines
from buildperm.workflow.script_lookup import (
    FoundScript,
    WorkspaceView,
    find_scripts,
    match_scripts,
    open_view,
)

VERSION = 1
"""Of the JSON document."""


@dataclass(frozen=True, slots=True)
class GrantOverview:
    """What build scripts are granted."""

    manifest: Path
    manifest_lines: ManifestLines
    tables: tuple[GrantTable, ...]
    changes: Mapping[int, LineChange]  # By line of Cargo.toml.
    without_grants: tuple[tuple[SubjectKind, ...], ...]  # What crates without any have.
    is_asked: bool  # The user named crates.
    policy: Policy

    @classmethod
    def of(cls, words: Sequence[str], crates: Sequence[str]) -> GrantOverview:
        """Find out what `crates` are granted; without any, what all are granted.

        Args:
            words: For Cargo.
            crates: Names, names with versions, or keys of the grant table.

        Raises:
            BuildpermError: One of them is not here, or something is broken.
        """
        view = open_view(words)
        workspace = view.workspace
        snapshots = lock_file.read(workspace.project.metadata.root / lock_file.NAME)
        lines = ManifestLines(workspace.manifest, workspace.manifest_path)
        scripts, keys = _selected(view, crates)
        found = tables(view, lines, snapshots, scripts, keys)
        return cls(
            workspace.manifest_path,
            lines,
            tuple(found),
            blame(workspace.manifest_path, (line for table in found for line in table.lines())),
            tuple(script.subjects for script in view.scripts if script.grants is None),
            is_asked=bool(crates),
            policy=workspace.policy,
        )

    def lines(self) -> Iterator[str]:
        """Return plain lines, table by table."""
        described = GrantDescription(self.manifest_lines, self.changes, is_asked=self.is_asked)
        yield from described.text(self.tables)
        if not self.is_asked:
            yield from _closing(len(self.tables), self.without_grants)
        if root := root_report.told(self.policy):
            yield root

    def document(self) -> dict[str, object]:
        """Return one document."""
        written = GrantDocument(self.changes, is_asked=self.is_asked)
        root, image = self.policy.root_digest, self.policy.root_image
        return {
            "version": VERSION,
            "manifest": str(self.manifest),
            **({"root": root} if root else {}),
            **({"root_image": image} if image else {}),
            "crates": [written.table(table) for table in self.tables],
            "without_grants": len(self.without_grants),
        }


def _selected(view: WorkspaceView, words: Sequence[str]) -> tuple[list[FoundScript], list[str]]:
    """Return the build scripts and the keys that `words` mean; all keys where there are none."""
    lent = {script.key for script in view.scripts if script.grants and script.grants.imported}
    known = sorted({*view.workspace.policy.crates, *lent})
    if not words:
        return list(view.scripts), known
    scripts: dict[str, FoundScript] = {}
    keys: dict[str, None] = {}
    for word in words:
        here = match_scripts(view.scripts, word)
        there = [key for key in known if word in (key, parse_key(key).name)]
        if not there:
            here = find_scripts(view, word)
        scripts.update({script.package.id: script for script in here})
        keys.update(dict.fromkeys([*(script.key for script in here), *there]))
    return list(scripts.values()), list(keys)


def _closing(number: int, bare: Sequence[Sequence[SubjectKind]]) -> Iterator[str]:
    if not number:
        yield "No build script is granted anything."
    if bare:
        told = subject_tally(bare)
        macros = any(SubjectKind.MACRO in each for each in bare)
        if number:
            amount, _, rest = told.partition(" ")
            told = f"{amount} other {rest}"
        yield (
            f"{told} without grants: held to the baseline, which is what every build script"
            f"{' and every macro' if macros else ''} may do."
        )
