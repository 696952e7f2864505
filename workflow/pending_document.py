"""The answer of `pending`, for people and for machines: see `report/pending.schema.json`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from buildperm import __version__
from buildperm.policy import portability
from buildperm.policy.decision import Answer
from buildperm.policy.merging import takes_answer
from buildperm.policy.proposal import Choice, Proposal
from buildperm.policy.robot_limits import risk_of, why_not_by_person, why_not_by_robot
from buildperm.policy.role import Role
from buildperm.policy.surplus import Surplus
from buildperm.presentation.local_rules import denied_here
from buildperm.presentation.proposal_evidence import SourceLine
from buildperm.presentation.wording import answer_word
from buildperm.printable import printable, shown
from buildperm.report import build_failure, text
from buildperm.report.json import access_document
from buildperm.tracer.notation import encode
from buildperm.workflow.learning_end import LearningEnd
from buildperm.workflow.pending_work import PendingWork

VERSION = 1
"""Of the JSON document; it changes when something is removed or means something else."""


@dataclass(frozen=True, slots=True)
class PendingReport:
    """What is left to decide, listed."""

    work: PendingWork
    after: tuple[str, LearningEnd] | None = None  # The command that has just built, and its end.

    def lines(self) -> Iterator[str]:
        """Return plain lines: a question each, with its id and the ways to allow it."""
        work = self.work
        if not work.has_recordings:
            yield "Nothing is recorded here: run `buildperm learn` first."
            return
        if not work.proposals:
            yield "Nothing is left to decide."
            return
        remembered = work.remembered()
        for proposal in work.proposals:
            answer = remembered.decision(proposal.id).answer
            here = f" {portability.SHORT}" if denied_here(remembered, proposal) else ""
            said = "" if answer is Answer.UNDECIDED else f", {answer_word(proposal, answer)}{here}"
            said = said if takes_answer(proposal) else ", nothing to decide"
            risk = proposal.risk.name.lower()
            yield f"{proposal.id}  {shown(proposal.who)}: {shown(proposal.title)} ({risk}{said})"
            for rung, choice in enumerate(proposal.choices):
                adds = f": {shown(choice.widening)}" if choice.widening else ""
                mark = "*" if rung == proposal.suggested else " "
                lock = f" (cannot be allowed: {shown(choice.locked)})" if choice.locked else ""
                yield f"   {mark}{rung}  {shown(choice.title)}{lock or adds}"
            if proposal.locked:
                yield f"    {shown(proposal.locked)}"
        yield ""
        left = remembered.counts().open
        yield f"{left:,} undecided; * is what `allow` takes unless --rung names another."
        yield f"To answer: `buildperm decide ID allow|deny|later`. Token {work.token}."

    def document(self) -> dict[str, object]:
        """Return all of it, with everything on which a decision rests."""
        work = self.work
        lines = work.lines_of(work.proposals)
        sources = work.source_lines(work.proposals)
        existing = work.existing(work.proposals)
        remembered = work.remembered()
        metadata = work.workspace.project.metadata
        return {
            "version": VERSION,
            "buildperm": __version__,
            "workspace": {
                "name": work.workspace.name,
                "members": list(metadata.member_names()),
            },
            "manifest": _path(work.workspace.manifest_path),
            "token": work.token,
            "recorded": work.has_recordings,
            **(_end_document(*self.after) if self.after else {}),
            "proposals": [
                _proposal_document(
                    proposal,
                    lines[proposal.id],
                    sources.get(proposal.id, ()),
                    existing.get(proposal.id, ()),
                    remembered.decision(proposal.id).answer,
                    work.workspace.home,
                )
                for proposal in work.proposals
            ],
        }


def _end_document(command: str, end: LearningEnd) -> dict[str, object]:
    failure = end.failure
    failed = None if failure is None else build_failure.document(failure)
    return {"command": command, "exit": end.exit_code, "build_failure": failed}


def _proposal_document(
    proposal: Proposal,
    line: int,
    sources: Iterable[SourceLine],
    existing: Sequence[Surplus | None],
    answer: Answer,
    home: str,
) -> dict[str, object]:
    return {
        "id": proposal.id,
        "crate": proposal.crate,
        "version": proposal.version,
        "title": proposal.title,
        "risk": proposal.risk.name.lower(),
        "reasons": list(proposal.notes),
        "asked_because": str(proposal.reason),
        "locked": proposal.locked,
        "answer": str(answer),
        "by": [_role(role) for role in proposal.roles],
        "wanted_by": proposal.wanted_by,
        "suggested": proposal.suggested,
        "rungs": [
            _rung(proposal, number, choice, added, home)
            for number, (choice, added) in enumerate(
                zip_longest(proposal.choices, existing[: len(proposal.choices)])
            )
        ],
        "evidence": [access_document(access) for access in proposal.evidence],
        "manifest_line": line,
        "source_lines": [_source_line(each) for each in sources],
    }


def _source_line(line: SourceLine) -> dict[str, object]:
    return {
        "package": line.package,
        "file": line.file,
        "path": _path(line.path),
        "line": line.number,
        "text": printable(line.text.strip()),
        "found": printable(line.found),
    }


def _path(path: Path) -> str:
    """Write a path as programs open it; what is no Unicode is in notation."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return encode(os.fsencode(path))
    return str(path)


def _role(role: Role) -> dict[str, str]:
    return {"subject": str(role.subject), "consumer": role.consumer}


def _rung(
    proposal: Proposal, number: int, choice: Choice, added: Surplus | None, home: str
) -> dict[str, object]:
    """Write one way to allow it: what it grants, and what that adds to what was seen."""
    return {
        "rung": number,
        "title": choice.title,
        "adds": choice.widening,
        "existing": added
        and {"files": added.files, "keys": added.keys, "all_counted": added.is_complete},
        "risk": risk_of(proposal, choice).name.lower(),
        "rules": [{"kind": str(rule.kind), "pattern": rule.pattern} for rule in choice.rules],
        "preset": choice.preset,
        "for": list(choice.consumers),
        "grant": ""
        if proposal.locked or choice.locked
        else "\n".join(text.rule_lines(proposal, choice, home)),
        "refused_to_robots": why_not_by_robot(proposal, choice),
        "refused_to_all": why_not_by_person(proposal, choice),
    }
