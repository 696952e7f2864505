"""What one build script was refused, and what a person answers about that while Cargo waits.

`once` counts for one more run of this script, `always` and `deny` stand in Cargo.toml from then on.
"""

from __future__ import annotations

import os
import re
import signal
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import compile_mode, once_grants, standing_build
from buildperm.cargo.target_directory import TargetDirectory
from buildperm.errors import BuildpermError, ChangedMeanwhileError
from buildperm.policy import presets
from buildperm.policy.proposal import Reason
from buildperm.policy.robot_limits import ROBOT_LIMIT, risk_of, why_not_by_person
from buildperm.presentation.proposal_facts import command_lines
from buildperm.presentation.question_terminal import NobodyAnswersError
from buildperm.printable import shortened, shown
from buildperm.report.text import access_text, rule_lines
from buildperm.supervisor import session as sessions
from buildperm.workflow.pending_work import PendingWork

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildperm.cargo.cargo_invocation import CargoInvocation
    from buildperm.policy.proposal import Choice, Proposal
    from buildperm.policy.rule import Rule
    from buildperm.presentation.question_terminal import QuestionTerminal

MOST_ASKED = 20
"""Questions about one run beyond this are left to `review`."""

_EVIDENCE_MOST = 5  # Lines; the rest is counted.
_LONGEST = 200  # Characters of one of them.
_MOST = 2000  # Characters of what is asked about: the rest of a question has to stay in sight.
_GRACE_S = 10  # Behind the time for an answer: then something hangs.
_PADDING = re.compile(" {3,}")
_OFFERED = "o once, a always, d deny, Enter refuses, q refuses all"


class LiveAnswer(StrEnum):
    """What a person can answer."""

    ONCE = "once"
    ALWAYS = "always"
    DENY = "deny"
    REFUSE = "refuse"  # For now: it stays undecided.
    REFUSE_ALL = "refuse all"


_WORDS = {
    **dict.fromkeys(("o", "once"), LiveAnswer.ONCE),
    **dict.fromkeys(("a", "always"), LiveAnswer.ALWAYS),
    **dict.fromkeys(("d", "deny"), LiveAnswer.DENY),
    **dict.fromkeys(("", "r", "refuse"), LiveAnswer.REFUSE),
    **dict.fromkeys(("q", "refuse all"), LiveAnswer.REFUSE_ALL),
}


class LiveAnswers:
    """The questions about one run, and the answers."""

    def __init__(
        self, invocation: CargoInvocation, state: Path, unit: Path, before: Sequence[str]
    ) -> None:
        """Read what the run has recorded.

        Args:
            invocation: The Cargo that waits.
            state: The state folder of always on.
            unit: The folder of the run.
            before: What was answered to the same script before: the id of each question that was
                refused, and as `once_grants.written` what was allowed.

        Raises:
            BuildpermError: Something in the workspace is broken.
        """
        self._invocation = invocation
        self._state = state
        self._unit = unit
        self._left = frozenset(each for each in before if " " not in each)
        self._once = once_grants.parsed(each for each in before if " " in each)
        self._work = _work(invocation, unit, self._once)
        self._answers: dict[str, LiveAnswer] = {}
        self._has_asked = self._has_written = False

    @property
    def has_written(self) -> bool:
        """Whether Cargo.toml says something else now."""
        return self._has_written

    @property
    def open_questions(self) -> list[Proposal]:
        """What is undecided and can be decided at a terminal: nothing of the sensitive tier."""
        return [each for each in self._work.proposals if _is_askable(each)]

    def ask(self, terminal: QuestionTerminal, seconds: int) -> bool:
        """Ask, and write what is to last; False where nobody has answered.

        Raises:
            BuildpermError: Cargo.toml cannot be written.
        """
        asked = [each for each in self.open_questions if each.id not in self._left]
        self._has_asked = bool(asked)
        is_answered = True
        try:
            for number, proposal in enumerate(asked[:MOST_ASKED], 1):
                place = f"{number} of {len(asked)}" if len(asked) > 1 else ""
                answer = _asked(terminal, proposal, place, seconds)
                self._answers[proposal.id] = answer
                if answer is LiveAnswer.REFUSE_ALL:
                    break
        except NobodyAnswersError as error:
            is_answered = False
            terminal.tell(f"buildperm: refused, as {error}")
        finally:
            signal.alarm(0)
        refused = {each.id for each in asked if not _is_decision(self._answers.get(each.id))}
        self._left |= refused
        if refused:
            terminal.tell("buildperm: refused for now; `buildperm review` asks again")
        self._write(terminal)
        return is_answered

    def session(self) -> bytes:
        """Return the session for one more run; nothing where all that was asked is refused.

        Where nothing was left to ask, somebody has decided meanwhile: in another build, say.

        Raises:
            BuildpermError: There can be none.
        """
        work = self._work
        build = next((each for each in work.builds if each.outcome.units), None)
        is_decided = any(map(_is_decision, self._answers.values()))
        if build is None or (self._has_asked and not is_decided):
            return b""
        policy, project = work.policy_as_answered(), build.workspace.project
        once = self._once | self._allowed()
        store = Path(os.path.realpath(self._invocation.link))
        target = TargetDirectory(project.metadata.target_directory.resolve(), store, self._state)
        mode = compile_mode.choose(project, policy)
        session = standing_build.session_of(
            project, policy, target, mode, ask_s=work.workspace.policy.ask_timeout_s
        )
        packages, folder = session["packages"], build.outcome.units[0].package
        packages[folder] = once_grants.extended(packages[folder], once)
        session["ask_once"], session["ask_left"] = once_grants.written(once), sorted(self._left)
        return sessions.dump(session)

    def _allowed(self) -> frozenset[Rule]:
        """Return what was allowed; what is risky is not in force yet while anything is open.

        Raises:
            BuildpermError: It cannot be granted beside what others are.
        """
        rules: set[Rule] = set()
        for proposal in self._work.review.proposals:
            if self._answers.get(proposal.id) in (LiveAnswer.ONCE, LiveAnswer.ALWAYS):
                choice = proposal.suggestion
                rules |= {*choice.rules, *presets.expand(frozenset({choice.preset} - {""}))}
                self._work.review.allow(proposal.id)
        self._work.policy_as_answered()
        return frozenset(rules)

    def _write(self, terminal: QuestionTerminal) -> None:
        review = self._work.review
        for proposal_id, answer in self._answers.items():
            if answer is LiveAnswer.ALWAYS:
                review.allow(proposal_id)
            elif answer is LiveAnswer.DENY:
                review.deny(proposal_id)
        if not {LiveAnswer.ALWAYS, LiveAnswer.DENY} & {*self._answers.values()}:
            return
        before, after = self._work.write()
        self._has_written = before != after
        if self._has_written:
            terminal.tell("buildperm: wrote Cargo.toml; `buildperm undo` takes it back")


def _work(invocation: CargoInvocation, unit: Path, once: frozenset[Rule]) -> PendingWork:
    """Return what is undecided, by Cargo's own words where buildperm can be told the same."""
    try:
        return PendingWork(invocation.words, unit=unit, once=once)
    except ChangedMeanwhileError:
        raise
    except BuildpermError:
        return PendingWork((), unit=unit, once=once)


def _is_decision(answer: LiveAnswer | None) -> bool:
    return answer in (LiveAnswer.ONCE, LiveAnswer.ALWAYS, LiveAnswer.DENY)


def _is_askable(proposal: Proposal) -> bool:
    is_asked = proposal.reason in (Reason.ASKED, Reason.DORMANT) and bool(proposal.evidence)
    is_sensitive = any(access.sensitive for access in proposal.evidence)
    choice = proposal.suggestion
    is_short = len(proposal.title) + sum(len(rule.pattern) for rule in choice.rules) <= _MOST
    may_be = not is_sensitive and not why_not_by_person(proposal, choice)
    return is_asked and is_short and may_be


def _asked(terminal: QuestionTerminal, proposal: Proposal, place: str, seconds: int) -> LiveAnswer:
    """Put one question.

    Raises:
        NobodyAnswersError: Nobody answers it.
    """
    choice = proposal.suggestion
    terminal.print_lines(*(_unpadded(shown(line)) for line in _question(proposal, choice, place)))
    terminal.settle()
    until_s = time.monotonic() + seconds
    signal.alarm(seconds + _GRACE_S)  # The terminal may take nothing any more: tcflow(3).
    while True:
        answer = _WORDS.get(terminal.answer(_OFFERED, until_s).lower())
        if answer is not None:
            break
    is_allowed = answer in (LiveAnswer.ONCE, LiveAnswer.ALWAYS)
    if not is_allowed or risk_of(proposal, choice) <= ROBOT_LIMIT:
        return answer
    risk = risk_of(proposal, choice).name.lower()
    offered = f"risk is {risk}: type {proposal.crate} to allow it, Enter refuses"
    typed = terminal.answer(shown(offered), until_s)
    return answer if typed == proposal.crate else LiveAnswer.REFUSE


def _question(proposal: Proposal, choice: Choice, place: str) -> Iterator[str]:
    """Yield the lines of one question."""
    counted = f" ({place})" if place else ""
    yield f"buildperm asks{counted}: {proposal.who} was refused to"
    yield f"  {proposal.title}"
    risk = risk_of(proposal, choice).name.lower()
    yield f"  risk: {risk}. {shortened(' '.join(proposal.notes), _MOST)}"
    yield from _limited([access_text(access) for access in proposal.evidence])
    yield from _limited([line for each in proposal.evidence for line in command_lines(each, 2)])
    yield "  would be allowed by:"
    yield from (f"    {line}" for line in rule_lines(proposal, choice)[1:])
    if choice.widening:
        yield f"    {choice.widening}"


def _unpadded(line: str) -> str:
    """Write the blanks in notation with which a name could fill the rest of a terminal's line.

    What stands behind them would begin a line, like one of ours.
    """
    text = line.lstrip(" ")
    return line[: len(line) - len(text)] + _PADDING.sub(lambda found: "%20" * len(found[0]), text)


def _limited(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  - {shortened(line, _LONGEST)}" for line in lines[:_EVIDENCE_MOST])
    if len(lines) > _EVIDENCE_MOST:
        yield f"  - and {len(lines) - _EVIDENCE_MOST} more"
