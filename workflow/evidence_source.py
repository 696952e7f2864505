"""What lies behind the proposals of a review: the recordings, the sources, Cargo.toml."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from buildperm.cargo import rerun
from buildperm.cargo.held_packages import HeldPackages
from buildperm.errors import BuildpermError
from buildperm.policy import editor, manifest, merging, surplus
from buildperm.policy.decision import Answer, Decision
from buildperm.policy.fold import attributed, role_of
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.surplus import Surplus
from buildperm.presentation.proposal_evidence import (
    ProposalEvidence,
    RunEvidence,
    proposal_evidence,
    run_evidence,
)
from buildperm.presentation.traced_run import TracedRun
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import Event
from buildperm.workflow import file_listing
from buildperm.workflow.build_outcome import BuildOutcome
from buildperm.workflow.evidence import time_ago
from buildperm.workflow.kept_builds import kept_builds
from buildperm.workflow.recording_round import CrateVersion
from buildperm.workflow.source_search import CrateSources, asking_lines, sources_of
from buildperm.workflow.workspace import Workspace

_KEPT = 4
"""Crates whose recordings stay in memory."""

_EVENTS_KEPT = 100_000
"""Events that stay in memory; those of the crate that was asked for last always do."""


@dataclass(frozen=True, slots=True)
class _Known:
    """One recording, and which events each access is made of."""

    run: TracedRun
    made_of: Mapping[tuple[Kind, str], list[Event]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """The recordings of a crate, and what could not be read."""

    recordings: tuple[_Known, ...]
    trouble: str  # What is wrong with a recording, in a sentence; empty if nothing is.
    stamp: tuple[int, ...]  # When each of the files was written, in nanoseconds.


@dataclass(frozen=True, slots=True)
class RecordedFiles:
    """Where what is known about the crates of a round lies."""

    recordings: Mapping[CrateVersion, Collection[tuple[Path, ...]]]
    """Of each run, and where it was repeated to try decisions; those that are newer count."""

    members: Collection[str] = ()  # Keys of the packages of the workspace: see `policy.fold`.
    sources: Mapping[CrateVersion, CrateSources] = field(default_factory=dict)


class RecordedEvidence:
    """Reads the recordings of a crate when somebody asks; keeps the latest few in memory."""

    def __init__(
        self,
        find: Callable[[], RecordedFiles],
        manifest_of: Callable[[], tuple[bytes, Path]],
    ) -> None:
        """Begin with nothing read.

        Args:
            find: Finds the files; called once, when somebody asks.
            manifest_of: Returns Cargo.toml as it is, and where it is.
        """
        self._find = find
        self._manifest_of = manifest_of
        self._files: RecordedFiles | None = None
        self._known: OrderedDict[CrateVersion, _Kept] = OrderedDict()
        self._lock = Lock()  # Two panes can ask at once, each on a thread of its own.

    def of(self, proposal: Proposal, /) -> ProposalEvidence:
        """Return what is known about a proposal."""
        with self._lock:
            known, trouble = self._read((proposal.crate, proposal.version))
        runs = [run for each in known if (run := _run(each, proposal)) is not None]
        unseen = "There is no recording of it on this machine."
        if not proposal.evidence:
            unseen = "Nothing of it was seen in this build."
        missing = "" if runs else trouble or unseen
        sources = self._found().sources.get((proposal.crate, proposal.version))
        asking, searched = asking_lines(proposal, sources) if sources else ((), "")
        evidence = proposal_evidence(
            proposal, runs, asking=asking, searched=searched, missing=missing
        )
        places = next((each.run.recording.header.places for each in known), None)
        return evidence if places is None else replace(evidence, surplus=_counted(proposal, places))

    def edit(self, proposal: Proposal, chosen: int, answer: Answer, /) -> tuple[str, ...]:
        """Return the diff of Cargo.toml for one answer about one proposal alone.

        Raises:
            BuildpermError: Cargo.toml cannot be read, or cannot hold it.
        """
        before, path = self._manifest_of()
        policy = manifest.read(before, path)
        decided = [(proposal, Decision(answer, chosen))]
        had = policy.crates.get(proposal.crate, CrateGrants(proposal.crate))
        now = merging.merged(merging.pruned(had, decided), decided)
        after = editor.with_grants(before, proposal.crate, now, path)
        return tuple(editor.diff(before, after).splitlines())

    def _is_full(self) -> bool:
        kept = (each.run.recording for kept in self._known.values() for each in kept.recordings)
        return len(self._known) > _KEPT or sum(len(each.events) for each in kept) > _EVENTS_KEPT

    def _found(self) -> RecordedFiles:
        if self._files is None:
            self._files = self._find()
        return self._files

    def _read(self, crate: CrateVersion) -> tuple[Sequence[_Known], str]:
        files = self._found()
        paths = [path for each in files.recordings.get(crate, ()) for path in _current(*each)]
        stamp = tuple(map(_modified_ns, paths))
        kept = self._known.pop(crate, None)
        if kept is None or kept.stamp != stamp:
            kept = _read_all(paths, stamp, files.members)
        self._known[crate] = kept  # The last one now.
        while len(self._known) > 1 and self._is_full():
            self._known.popitem(last=False)
        return kept.recordings, kept.trouble


def _current(first: Path, *repeated: Path) -> Iterator[Path]:
    """Yield a recording, and those of its repetitions that are newer."""
    yield first
    since_ns = _modified_ns(first)
    yield from (path for path in repeated if _modified_ns(path) > since_ns)


def _modified_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read_all(paths: Iterable[Path], stamp: tuple[int, ...], members: Collection[str]) -> _Kept:
    found: list[_Known] = []
    trouble = ""
    for path, modified_ns in zip(paths, stamp, strict=True):
        try:
            recording = reader.read(path)
        except BuildpermError as error:
            trouble = str(error.args[0])
            continue
        run = TracedRun.of(path, time_ago(modified_ns / 1e9), recording)
        found.append(_Known(run, attributed(recording, members)))
    return _Kept(tuple(found), trouble, stamp)


def _counted(proposal: Proposal, places: Mapping[str, bytes]) -> tuple[Surplus | None, ...]:
    """Count, for each choice, the files on this machine that nobody asked for."""
    open_ = (choice for choice in proposal.choices if not choice.locked)
    files, is_complete = file_listing.existing(surplus.bases(open_), places)
    return surplus.of_choices(proposal, files, is_complete=is_complete)


def _run(known: _Known, proposal: Proposal) -> RunEvidence | None:
    """Return what one recording holds about a proposal; None if nothing."""
    role = role_of(known.run.recording.header)
    events = [
        event
        for access in proposal.evidence
        if role in access.roles
        for event in known.made_of.get((access.kind, access.target), ())
    ]
    return run_evidence(known.run, events) if events else None


def files_of(
    workspaces: Iterable[Workspace],
    outcomes: Iterable[BuildOutcome],
    policy: Policy,
    files: Mapping[Path, tuple[Path, ...]],
) -> RecordedFiles:
    """Return where what a round of builds has recorded lies, and the sources of what ran.

    `files` are those that each build script was compiled from, by the folder of its package.
    """
    found: dict[CrateVersion, list[tuple[Path, ...]]] = {}
    sources: dict[CrateVersion, CrateSources] = {}
    members: set[str] = set()
    for workspace, outcome in zip(workspaces, outcomes, strict=False):
        held = HeldPackages(workspace.project, policy, outcome.build.session)
        members.update(held.members)
        for unit in outcome.units:
            package = held.of(unit.package)
            crate = package["crate"], package["version"]
            # Trying the decisions leaves a recording of its own, of what had not been seen before.
            tried = rerun.recording(outcome.build.scratch(unit))
            found.setdefault(crate, []).append((unit.recording, tried))
            if crate not in sources:
                sources[crate] = sources_of(workspace.project.metadata, unit.package, files)
    return RecordedFiles(found, members, sources)


def kept_files(workspace: Workspace) -> RecordedFiles:
    """Return where what the last builds on this machine have recorded lies.

    Raises:
        BuildpermError: A folder cannot be read.
    """
    builds = kept_builds([workspace])
    outcomes = [build.outcome for build in builds]
    return files_of([workspace] * len(builds), outcomes, workspace.policy, {})
