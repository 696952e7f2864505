"""What the HTML report says, before it is HTML: texts, numbers and nothing else.

Every text may be one that somebody else chose. `html_document` makes each of them printable and
escapes it, so nothing here is escaped and nothing here is markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from buildperm.policy.proposal import Risk


class Severity(StrEnum):
    """How much something should worry a reader; also the class that colours it."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    CALM = "calm"  # Granted, or what everybody may do.

    @classmethod
    def of(cls, risk: Risk) -> Severity:
        """Return the severity of something that nobody granted."""
        return cls(risk.name.lower())

    @property
    def rank(self) -> int:
        """Its place, the worst first."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number at the top."""

    number: str
    label: str
    severity: Severity | None  # None where a number is neither good nor bad.


@dataclass(frozen=True, slots=True)
class AccessRow:
    """One thing that a crate touched beyond what everybody may."""

    verb: str  # "read", "run".
    target: str
    gloss: str  # What it holds, where it is sensitive; else empty.
    outcome: str  # "done", "refused".
    state: str  # "granted by `read = …`", "undecided".
    severity: Severity
    risk: str  # One of the four words.
    why: str  # A sentence on the risk.
    times: int
    at: str  # When it was first seen, since its run began; empty if unknown.
    chains: tuple[str, ...]  # Which programs did it.
    listed: tuple[str, ...]  # Command lines of a program, with how often; names in a folder.


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """What nobody has decided yet, as a review would ask it."""

    title: str
    severity: Severity
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One program in one process of a run, and its bar on the timeline."""

    branch: str  # The lines of the tree that lead to it.
    command: str
    ending: str  # "exit 1"; empty if nobody knows.
    has_failed: bool
    started: str
    duration: str
    bar: tuple[float, float] | None  # Where it begins and how long it is, of 1000.


@dataclass(frozen=True, slots=True)
class TimelineMark:
    """A moment of a run at which something beyond the ordinary happened."""

    at: float  # Of 1000.
    severity: Severity
    label: str


@dataclass(frozen=True, slots=True)
class RunOutline:
    """One recorded run: its processes, and when they did what."""

    title: str
    duration: str
    ending: str
    warning: str  # Why it may not show everything; empty if it does.
    processes: tuple[ProcessRow, ...]
    left_out: int  # Processes that are not listed.
    marks: tuple[TimelineMark, ...]
    has_times: bool


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One line of Cargo.toml about a crate."""

    text: str  # "may read `$WORKSPACE/a`".
    place: str  # "Cargo.toml:12, 2026-11-22 by Ada".
    severity: Severity
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BaselineCount:
    """What of one kind a crate did that everybody may."""

    verb: str
    number: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CrateChapter:
    """Everything about one crate."""

    anchor: str  # Made by buildperm; unique.
    name: str
    version: str
    what: str  # "build script, procedural macro".
    way: str  # How it got into the dependency tree; empty for a member.
    severity: Severity
    verdict: str  # One sentence.
    deeds: tuple[str, ...]  # Sentences.
    questions: tuple[OpenQuestion, ...]
    accesses: tuple[AccessRow, ...]
    accesses_left_out: int
    baseline: tuple[BaselineCount, ...]
    runs: tuple[RunOutline, ...]
    runs_left_out: int
    grants: tuple[GrantRow, ...]
    reason: str
    source: str  # Where this is known from.

    @property
    def is_open(self) -> bool:
        """Whether a reader should see all of it at once."""
        return self.severity.rank <= Severity.HIGH.rank


@dataclass(frozen=True, slots=True)
class MapCell:
    """What one crate did in one area."""

    number: int  # 0 where it did nothing.
    mark: str  # Readable without colour.
    severity: Severity
    label: str  # For those who hear it.


@dataclass(frozen=True, slots=True)
class MapRow:
    """One crate on the map."""

    anchor: str
    title: str
    cells: tuple[MapCell, ...]


@dataclass(frozen=True, slots=True)
class TouchedTarget:
    """One thing that was touched, and by whom."""

    verb: str
    target: str
    gloss: str
    severity: Severity
    crates: tuple[tuple[str, str], ...]  # Anchor and title.
    crates_left_out: int


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The whole report."""

    workspace: str
    made: str
    source: str  # What it was made from.
    verdict: str
    severity: Severity
    figures: tuple[KeyFigure, ...]
    chapters: tuple[CrateChapter, ...]  # The worst first.
    areas: tuple[str, ...]
    map_rows: tuple[MapRow, ...]
    touched: tuple[TouchedTarget, ...]
    touched_left_out: int
    quiet: int  # Crates that are not on the map.
    other_grants: tuple[tuple[str, tuple[GrantRow, ...]], ...]  # Of tables that nobody here uses.
    folders: tuple[tuple[str, str], ...]  # Short names, and what they stand for.
    warnings: tuple[str, ...]
