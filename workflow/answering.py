"""What `decide` does: answers questions that `pending` lists, under the limits of who answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from buildperm import __version__
from buildperm.errors import BuildpermError, ChangedMeanwhileError, ExitCode
from buildperm.policy import editor
from buildperm.policy.decision import Answer
from buildperm.policy.merging import is_settled, refused_by
from buildperm.policy.portability import why_denied_here
from buildperm.policy.proposal import Choice, Proposal
from buildperm.policy.robot_limits import (
    ROBOT_LIMIT,
    risk_of,
    why_not_by_person,
    why_not_by_robot,
)
from buildperm.policy.rule import Rule
from buildperm.presentation.front_end import Failure
from buildperm.presentation.local_rules import denied_here_lines
from buildperm.presentation.prompt_terminal import PromptEndedError, PromptTerminal
from buildperm.presentation.proposal_facts import command_lines
from buildperm.printable import shown
from buildperm.report import next_command
from buildperm.report.text import access_text, rule_lines
from buildperm.workflow.pending_work import PendingWork

VERSION = 1
"""Of the JSON document."""

_COMMANDS_MOST = 20  # Command lines shown before a person confirms; more are counted.

_AGAIN = "List it again with `buildperm pending`, and answer with the new token."


class StaleError(BuildpermError):
    """What was to be decided about is not as it was when it was listed."""

    exit_code = ExitCode.STALE


class RefusedAnswerError(BuildpermError):
    """Whoever answers may not give this answer."""

    exit_code = ExitCode.REFUSED


class Wanted(StrEnum):
    """The answers on the command line."""

    ALLOW = "allow"
    DENY = "deny"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """What the command line says about one answer."""

    answer: Wanted
    rung: int | None = None  # The way to allow it: its place in the list; None: the suggested one.
    reason: str = ""  # For Cargo.toml; empty for none.
    token: str | None = None  # Of the list in which the questions stood.
    verifies: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an answer."""

    proposals: tuple[Proposal, ...]
    answer: Wanted
    choices: tuple[Choice, ...]
    failures: tuple[Failure, ...]  # What does not get by with the grants as they are now.
    is_written: bool
    diff: str
    token: str  # Of what is left now.
    unrecorded: tuple[str, ...]  # Commands that are to be run before `check` is content.
    exit_code: ExitCode

    def lines(self) -> Iterator[str]:
        """Return plain lines: what is decided, what it does, what comes next."""
        said = {Wanted.ALLOW: "allowed", Wanted.DENY: "denied", Wanted.LATER: "left for later"}
        for proposal, choice in zip(self.proposals, self.choices, strict=True):
            how = f" ({choice.title})" if self.answer is Wanted.ALLOW else ""
            verb = said[self.answer] if not self._is_refused else "not decided"
            yield shown(f"{verb}: {proposal.who}: {proposal.title}{how}")
            if self.answer is Wanted.DENY and not self._is_refused:
                yield from denied_here_lines(
                    rule for rule in self._rules(proposal, choice) if why_denied_here(rule)
                )
        for failure in self.failures:
            yield shown(f"with this, {failure.crate} {failure.version} {failure.sentence}")
            for proposal in failure.proposals:
                yield shown(f"    it wants to {proposal.title}")
        if any(failure.proposals for failure in self.failures):
            yield "`buildperm pending` lists what it wants besides."
        if self.is_written:
            commands = " and ".join(f"`{one}`" for one in self.unrecorded)
            yield f"Wrote Cargo.toml; `buildperm undo` takes it back. To go on: {commands}."
        elif self._is_refused:
            yield "Nothing was written: it does not work with these grants. Allow more, or deny it."

    @property
    def _is_refused(self) -> bool:
        return self.exit_code is not ExitCode.OK

    def _rules(self, proposal: Proposal, choice: Choice) -> list[Rule]:
        """Return what stands for one answer in Cargo.toml."""
        match self.answer:
            case Wanted.ALLOW:
                return list(choice.rules)
            case Wanted.DENY:
                return sorted(refused_by(proposal, choice))
            case Wanted.LATER:
                return []

    def document(self) -> dict[str, object]:
        """Return the same for machines: see `report/decide.schema.json`."""
        return {
            "version": VERSION,
            "buildperm": __version__,
            "decided": [
                {
                    "id": proposal.id,
                    "crate": proposal.crate,
                    "version": proposal.version,
                    "answer": str(self.answer),
                    "rules": [
                        {"kind": str(rule.kind), "pattern": rule.pattern}
                        for rule in self._rules(proposal, choice)
                    ],
                    "preset": choice.preset,
                }
                for proposal, choice in zip(self.proposals, self.choices, strict=True)
            ],
            "failures": [
                {
                    "crate": failure.crate,
                    "version": failure.version,
                    "sentence": failure.sentence,
                    "wants": [each.title for each in failure.proposals],
                }
                for failure in self.failures
            ],
            "written": self.is_written,
            "diff": self.diff,
            "token": self.token,
            "next": list(self.unrecorded),
            "exit": int(self.exit_code),
        }


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why there is no answer."""

    message: str
    hint: str  # Empty where there is nothing to say.
    exit_code: ExitCode

    @classmethod
    def because(cls, error: BuildpermError) -> Unanswered:
        """Say what an error says."""
        return cls(str(error.args[0]), error.hint, error.exit_code)

    def lines(self) -> Iterator[str]:
        """Return nothing: what is for people goes to standard error."""
        yield from ()

    def document(self) -> dict[str, object]:
        """Return it for machines: see `report/decide.schema.json`."""
        return {
            "version": VERSION,
            "buildperm": __version__,
            "error": {"message": self.message, "hint": self.hint},
            "exit": int(self.exit_code),
        }


def answer(
    words: Sequence[str],
    ids: Sequence[str],
    options: AnswerOptions,
    terminal: PromptTerminal | None,
) -> Answered:
    """Answer questions; write Cargo.toml, or for `later` the journal.

    Args:
        words: For Cargo.
        ids: Of the questions; all of them get the same answer, or none gets any.
        options: What the command line says.
        terminal: Where a person confirms what is risky; None where a program answers.

    Raises:
        StaleError: The token is of another state, or another answer came first.
        RefusedAnswerError: It may not be allowed, or not by whoever answers.
        BuildpermError: There is no such question, or something cannot be read, run or written.
    """
    try:
        return _answer(PendingWork(words), ids, options, terminal)
    except ChangedMeanwhileError as error:
        raise StaleError(
            "Cargo.toml has changed meanwhile; nothing was decided", hint=_AGAIN
        ) from error


def _answer(
    work: PendingWork,
    ids: Sequence[str],
    options: AnswerOptions,
    terminal: PromptTerminal | None,
) -> Answered:
    if options.token is not None and options.token != work.token:
        raise StaleError(
            "what was to be decided about has changed since it was listed",
            hint=_AGAIN,
        )
    chosen = [_chosen(work, each, options) for each in dict.fromkeys(ids)]
    if options.answer is Wanted.ALLOW:
        _check_allowed(work, chosen, options, terminal)
    for proposal, choice in chosen:
        _decide(work, proposal, proposal.choices.index(choice), options.answer)
    if options.reason:
        _give_reason(work, (proposal for proposal, _ in chosen), options.reason)
    failures = work.verify(lambda *_: True) if _is_tried(options) else []
    if options.answer is Wanted.ALLOW and any(_blocks(work, each) for each in failures):
        return _answered(work, chosen, options, failures, is_refused=True)
    before, after = work.write() if options.answer is not Wanted.LATER else (b"", b"")
    done = _answered(work, chosen, options, failures, changed=(before, after))
    return replace(done, token=PendingWork(work.words).token)


def _is_tried(options: AnswerOptions) -> bool:
    return options.verifies and options.answer is not Wanted.LATER


def _chosen(work: PendingWork, proposal_id: str, options: AnswerOptions) -> tuple[Proposal, Choice]:
    proposal = next((each for each in work.proposals if each.id == proposal_id), None)
    if proposal is None and not work.has_recordings:
        raise BuildpermError(
            "nothing is recorded here", hint="Run `buildperm learn`, then `buildperm pending`."
        )
    if proposal is None:
        raise BuildpermError(
            f"no question has the id `{proposal_id}`",
            hint="`buildperm pending` lists those that there are.",
        )
    rung = proposal.suggested if options.rung is None else options.rung
    if not 0 <= rung < len(proposal.choices):
        raise BuildpermError(
            f"`{proposal.id}` has no rung {rung}: they end at {len(proposal.choices) - 1}",
            hint="`buildperm pending` lists them.",
        )
    return proposal, proposal.choices[rung]


def _check_allowed(
    work: PendingWork,
    chosen: Sequence[tuple[Proposal, Choice]],
    options: AnswerOptions,
    terminal: PromptTerminal | None,
) -> None:
    """Refuse what may not be allowed so; have a person confirm what is risky.

    Raises:
        RefusedAnswerError: It may not be allowed.
    """
    why_not = why_not_by_person if terminal is not None else why_not_by_robot
    if terminal is None and options.reason:
        raise RefusedAnswerError(
            "a program cannot give a reason for what it allows: with one, a variable is passed on "
            "even where its value looks like a secret",
            hint="Leave out `--reason`; a person at a terminal can give it.",
        )
    for proposal, choice in chosen:
        why = why_not(proposal, choice)
        if why:
            raise RefusedAnswerError(
                f"`{proposal.title}` of {proposal.crate} cannot be allowed by `decide`: {why}",
                hint=_other_rungs(proposal, choice, why_not) or _way_on(work, proposal, choice),
            )
    if terminal is None and options.token is None:
        raise RefusedAnswerError(
            "a program cannot allow anything without the token of the list that it answers",
            hint="Pass the `token` of `buildperm pending --format json` as `--token`.",
        )
    for proposal, choice in chosen:
        if terminal is not None and risk_of(proposal, choice) > ROBOT_LIMIT:
            _confirm(terminal, proposal, choice, work.workspace.home)


def _other_rungs(
    proposal: Proposal, choice: Choice, why_not: Callable[[Proposal, Choice], str]
) -> str:
    """Name the ways by which whoever answers may allow it; empty where there are none."""
    rungs = [str(at) for at, each in enumerate(proposal.choices) if not why_not(proposal, each)]
    if not rungs:
        return ""
    refused = proposal.choices.index(choice)
    named = f"rung {rungs[0]} can" if len(rungs) == 1 else f"rungs {', '.join(rungs)} can"
    return (
        f"Not by rung {refused}; {named} be allowed with `--rung`. It can be denied or left, too."
    )


def _way_on(work: PendingWork, proposal: Proposal, choice: Choice) -> str:
    if why_not_by_person(proposal, choice):
        return "It can be denied or left."
    command = next_command.again(f"buildperm decide {proposal.id} allow", work.words)
    return f"It can be denied or left; a person at a terminal can run `{command}`."


def _confirm(terminal: PromptTerminal, proposal: Proposal, choice: Choice, home: str) -> None:
    """Show all on which the answer rests, and have the crate's name typed.

    Raises:
        RefusedAnswerError: Something else was typed.
    """
    terminal.print_lines(*map(shown, _card(proposal, choice, home)))
    name = proposal.crate
    try:
        typed = terminal.answer(f"type {name} to allow it, Enter to leave it", flushing=True)
    except PromptEndedError:
        typed = ""
    if typed != name:
        raise RefusedAnswerError("nothing was allowed", hint="Deny it, or leave it for later.")


def _card(proposal: Proposal, choice: Choice, home: str) -> Iterator[str]:
    yield f"{proposal.who}: {proposal.title}"
    yield f"risk {risk_of(proposal, choice).name.lower()}"
    yield from (f"  {note}" for note in proposal.notes)
    for access in proposal.evidence:
        yield f"  - {access_text(access)}"
        yield from (f"    {line}" for line in command_lines(access, _COMMANDS_MOST))
    yield f"It would be allowed by: {choice.title}"
    yield from (f"  {line}" for line in rule_lines(proposal, choice, home))
    if choice.widening:
        yield f"  {choice.widening}"


def _decide(work: PendingWork, proposal: Proposal, rung: int, answer: Wanted) -> None:
    review = work.review
    match answer:
        case Wanted.ALLOW:
            review.choose(proposal.id, rung)
            review.allow(proposal.id)
        case Wanted.DENY:
            review.choose(proposal.id, rung)
            review.deny(proposal.id)
        case Wanted.LATER:
            work.keep(review.later(proposal.id))


def _give_reason(work: PendingWork, proposals: Iterable[Proposal], reason: str) -> None:
    for crate in {each.crate for each in proposals}:
        terms = replace(work.review.terms(crate), reason=reason)
        work.review.set_terms(crate, terms)


def _blocks(work: PendingWork, failure: Failure) -> bool:
    """Tell whether a failure speaks against what was allowed: nothing is open that explains it."""
    if failure.proposals:
        return False  # It got further than before, and asks for more.
    about = (each for each in work.proposals if each.crate == failure.crate)
    return all(is_settled(each, work.review.decision(each.id)) for each in about) and not any(
        work.review.decision(each.id).answer is Answer.DENY
        for each in work.proposals
        if each.crate == failure.crate
    )


def _answered(
    work: PendingWork,
    chosen: Sequence[tuple[Proposal, Choice]],
    options: AnswerOptions,
    failures: Sequence[Failure],
    *,
    changed: tuple[bytes, bytes] = (b"", b""),
    is_refused: bool = False,
) -> Answered:
    before, after = changed
    return Answered(
        tuple(proposal for proposal, _ in chosen),
        options.answer,
        tuple(choice for _, choice in chosen),
        tuple(failures),
        before != after,
        editor.diff(before, after) if before != after else "",
        work.token,
        (next_command.review(work.words),) if before != after else (),
        ExitCode.UNDECIDED if is_refused else ExitCode.OK,
    )
