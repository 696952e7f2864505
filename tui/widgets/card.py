"""The card: everything a person needs to decide about one proposal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from buildperm.policy import portability
from buildperm.policy.access import Outcome
from buildperm.policy.decision import Answer, Decision
from buildperm.policy.kinds import Kind
from buildperm.policy.merging import is_settled
from buildperm.policy.proposal import Reason
from buildperm.policy.role import role_text
from buildperm.presentation import comparison_facts
from buildperm.presentation.proposal_facts import ANY_COMMAND_LINE, command_lines
from buildperm.presentation.wording import (
    ANSWER_GLYPHS,
    GLYPHS,
    REASON_GLYPHS,
    REASON_WORDS,
    TIMES,
    answer_word,
    chain_text,
    is_unreadable,
    outcome_word,
    plural,
    reason_text,
    risk_word,
    short_title,
    verb,
    version_text,
)
from buildperm.printable import shown
from buildperm.report.shell_line import example_text
from buildperm.tui.widgets.comparison_lines import summary_lines, title_pieces
from buildperm.tui.widgets.guidance import coach_lines, empty_lines
from buildperm.tui.widgets.styled_line import Line, Piece, answer_tone, hanging, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildperm.policy.access import Access
    from buildperm.policy.comparison import Comparison
    from buildperm.policy.proposal import Choice, Proposal
    from buildperm.policy.rule import Rule
    from buildperm.policy.surplus import Surplus
    from buildperm.presentation.agenda import Agenda, ProposalGroup
    from buildperm.presentation.baseline_accesses import BaselineAccesses
    from buildperm.presentation.front_end import Ran
    from buildperm.presentation.proposal_cause import ProposalCause
    from buildperm.tui.widgets.guidance import WithKeys

ACTION_TARGETS: Final = {-1: "everywhere", -2: "changes", -3: "baseline"}
"""What a click on a line does that names a key; other targets are choices, or lines of a crate."""

_EVERYWHERE, _CHANGES, _BASELINE = ACTION_TARGETS
_SHOWN_ACCESSES: Final = 200
_SHOWN_PROPOSALS: Final = 200
_SHOWN_RULES: Final = 300
_TITLE_LEAST: Final = 30  # Cells for the title of a rule, if anything stands beside it.
_OUTCOME_TONES: Final = {Outcome.DONE: "muted", Outcome.FAILED: "muted", Outcome.REFUSED: "bad"}


@dataclass(frozen=True, slots=True)
class CardSubject:
    """A proposal and the state of its decision."""

    proposal: Proposal
    chosen: int  # Index into its choices.
    answer: Answer
    elsewhere: int = 0  # How many other crates ask for the same.
    surplus: tuple[Surplus | None, ...] = ()  # Of each choice, once it is counted.
    denied_here: tuple[Rule, ...] = ()  # Denials that hold on this machine alone.


@dataclass(frozen=True, slots=True)
class CardContext:
    """Where the facts of cards come from."""

    agenda: Agenda
    ran: Ran
    baseline: BaselineAccesses
    told: WithKeys
    surplus: tuple[Surplus | None, ...] = ()  # Of each choice of the proposal that is shown.


def card_lines(
    about: CardContext,
    group: ProposalGroup | None,
    cause: ProposalCause | None,
    proposal: Proposal | None,
    cells: int,
) -> Iterator[Line]:
    """Yield the card of a proposal, else of a cause, else of a crate, else of an empty list."""
    agenda = about.agenda

    def subject(each: Proposal) -> CardSubject:
        denied_here = agenda.denied_here(each)
        return CardSubject(each, agenda.chosen(each), agenda.answer(each), denied_here=denied_here)

    comparison = agenda.comparison(group)
    if proposal is not None:
        others = len(agenda.elsewhere(proposal))
        about_it = replace(subject(proposal), elsewhere=others, surplus=about.surplus)
        yield from proposal_lines(about_it, comparison, cells, about.told)
    elif group is not None:
        if cause is None and not (agenda.has_comparisons or agenda.has_answers):
            yield from coach_lines(about.told, cells)
        listed = cause.proposals if cause is not None else group.proposals
        subjects = [subject(each) for each in listed[:_SHOWN_PROPOSALS]]
        if cause is not None:
            yield from cause_lines(group, cause, subjects, cells, about.told)
        else:
            yield from crate_lines(group, subjects, comparison, cells, about.told)
            yield from _baseline_lines(about.baseline.count(group.key), cells, about.told)
    else:
        yield from empty_lines(about.ran, filtered=agenda.is_filtered, cells=cells, told=about.told)


def proposal_lines(
    subject: CardSubject, comparison: Comparison | None, cells: int, told: WithKeys
) -> Iterator[Line]:
    """Yield the card of a proposal."""
    proposal = subject.proposal
    yield Line(
        ((f"{shown(proposal.crate)} {version_text(proposal.version)}", "muted"),),
        (_answer_piece(subject),),
    )
    who = role_text(proposal.roles)
    if who:
        yield from hanging((("by ", "muted"),), shown(who), "accent", cells)
    if proposal.wanted_by:
        text = f"{shown(proposal.wanted_by)}, not the script itself"
        yield from hanging((("wanted by ", "muted"),), text, "accent", cells)
    yield Line()
    for part in wrap(shown(proposal.title), cells):
        yield Line(((part, "title"),))
    yield from _risk_lines(proposal, cells)
    yield from _local_lines(subject.denied_here, cells)
    if comparison is not None:
        yield from _news_lines(proposal, comparison, cells)
        text = f"shows what changed in its {comparison_facts.what_text(comparison)}"
        key: Piece = (told("{review.changes} "), "accent")
        yield Line((key, (text, "muted")), target=_CHANGES)
    if proposal.reason is not Reason.ASKED:
        yield Line()
        lead: Piece = (f"{REASON_GLYPHS[proposal.reason]} ", "accent")
        yield from hanging((lead,), reason_text(proposal.reason), "strong", cells)
    if proposal.locked and proposal.reason is not Reason.NEWCOMER:
        yield Line()
        yield from hanging((("⊘ ", "bad"),), shown(proposal.locked), "strong", cells)
    elif is_unreadable(proposal):
        yield Line()
        text = "It is too long to be shown, so it cannot be allowed from here."
        yield from hanging((("⊘ ", "bad"),), text, "strong", cells)
    if subject.elsewhere:
        yield Line()
        crates = plural(subject.elsewhere, "other crate")
        text = f"answers for all: also asked by {crates}"
        key = (told("{review.everywhere} "), "accent")
        yield from hanging((key,), text, "", cells, target=_EVERYWHERE)
    if any(choice.rules or choice.preset for choice in proposal.choices):
        yield Line()
        yield Line((("Rule", "heading"),), _choice_keys(subject, told))
        for number, choice in enumerate(proposal.choices):
            yield from _choice_lines(
                choice,
                number,
                cells,
                chosen=number == subject.chosen,
                asked=proposal.reason is Reason.ASKED,
                surplus=subject.surplus[number] if number < len(subject.surplus) else None,
            )
    if proposal.evidence:
        yield Line()
        yield from _evidence_lines(proposal.evidence, cells)


def _answer_piece(subject: CardSubject) -> Piece:
    """Return the state of the decision as a glyph and a word."""
    reason, answer = subject.proposal.reason, subject.answer
    tone = answer_tone(answer, subject.proposal.risk)
    glyph = ANSWER_GLYPHS[answer]
    if answer is Answer.UNDECIDED and reason is not Reason.ASKED:
        glyph, tone = REASON_GLYPHS[reason], "accent"
    return f"{glyph} {answer_word(subject.proposal, answer)}".strip(), tone


def _news_lines(proposal: Proposal, comparison: Comparison, cells: int) -> Iterator[Line]:
    """Yield whether the accesses are new since the last review, if there was one."""
    if comparison_facts.is_new(comparison) or not proposal.evidence:
        return
    targets = {(access.kind.value, access.target) for access in proposal.evidence}
    new = comparison_facts.new_in(comparison, targets)
    before = shown(comparison.before)
    if new:
        count = "" if new == len(targets) else f"{new} of {len(targets)} "
        text = f"{count}new since {before}"
        yield from hanging((("+ ", "waiting"),), text, "waiting", cells)
    else:
        yield from hanging((("  ", ""),), f"seen in {before} already", "muted", cells)


def _risk_lines(proposal: Proposal, cells: int) -> Iterator[Line]:
    word = risk_word(proposal.risk)
    lead: tuple[Piece, ...] = ((f"{GLYPHS[proposal.risk]} {word}", word), ("  ", ""))
    for note in proposal.notes:
        yield from hanging(lead, shown(note), "", cells)
        lead = ((" " * sum(len(text) for text, _ in lead), ""),)


def _local_lines(denied_here: Sequence[Rule], cells: int) -> Iterator[Line]:
    """Yield why a denial is an empty promise elsewhere, with the first rule of each reason."""
    firsts: dict[str, Rule] = {}
    for rule in denied_here:
        firsts.setdefault(portability.why_local(rule), rule)
    for why, rule in firsts.items():
        lead: Piece = (f"{ANSWER_GLYPHS[Answer.DENY]} denied {portability.SHORT}  ", "waiting")
        yield from hanging((lead,), f"{shown(rule.pattern)}: {shown(why)}", "", cells)


def _choice_keys(subject: CardSubject, told: WithKeys) -> tuple[Piece, ...]:
    if len(subject.proposal.choices) < 2:
        return ()
    narrower = "accent" if subject.chosen > 0 else "muted"
    wider = "accent" if subject.chosen < len(subject.proposal.choices) - 1 else "muted"
    return (
        (told("{review.narrow}"), narrower),
        (" narrower   ", "muted"),
        (told("{review.widen}"), wider),
        (" wider", "muted"),
    )


def _choice_lines(
    choice: Choice,
    number: int,
    cells: int,
    *,
    chosen: bool,
    asked: bool,
    surplus: Surplus | None = None,
) -> Iterator[Line]:
    lead: tuple[Piece, ...] = (("● " if chosen else "○ ", "accent" if chosen else "muted"),)
    if choice.locked:
        lead = (("⊘ ", "bad"),)
    tone = "strong" if chosen else "muted"
    added = _added_piece(surplus, cells) if not choice.locked else ()
    room = cells - sum(len(text) + 2 for text, _ in added)
    for line in hanging(lead, shown(choice.title), tone, room, target=number):
        yield replace(line, right=added)
        added = ()
    if choice.locked:
        text = f"Locked: {shown(choice.locked)}"
        yield from hanging((("    ", "muted"),), text, "strong" if chosen else "muted", cells)
    if not chosen:
        return
    if choice.preset and choice.title != f"preset {choice.preset}":
        yield from hanging((("    preset ", "muted"),), shown(choice.preset), "", cells)
    for consumer in choice.consumers:
        yield from hanging((("    for ", "muted"),), shown(consumer), "", cells)
    for rule in choice.rules[:_SHOWN_RULES]:
        kind: Piece = (f"    {rule.kind.value} ", "muted")
        yield from hanging((kind,), shown(rule.pattern), "", cells)
    if len(choice.rules) > _SHOWN_RULES:
        more = f"… and {len(choice.rules) - _SHOWN_RULES} more; the diff has them all"
        yield Line(((f"    {more}", "muted"),))
    if not (asked or choice.widening):
        return  # It is granted already.
    runs = any(rule.kind is Kind.EXEC for rule in choice.rules)
    if choice.widening:
        yield from hanging((("    + ", "waiting"),), shown(choice.widening), "muted", cells)
    # What is run is told apart: a widening may be about the files beside it alone.
    if runs:
        yield from hanging((("    ", ""),), ANY_COMMAND_LINE, "muted", cells)
    elif not choice.widening:
        yield from hanging((("    ", ""),), "Nothing beyond what was seen.", "muted", cells)


def _added_piece(surplus: Surplus | None, cells: int) -> tuple[Piece, ...]:
    """Say how many files a rule adds on this machine, where there is room for it."""
    told = surplus.short if surplus is not None else ""
    if surplus is None or not told or cells < len(told) + _TITLE_LEAST:
        return ()
    return ((told, "bad" if surplus.keys else "muted"),)


def _evidence_lines(evidence: Sequence[Access], cells: int) -> Iterator[Line]:
    calls = sum(access.count for access in evidence)
    yield Line((("Seen", "heading"),), ((plural(calls, "time"), "muted"),))
    for access in evidence[:_SHOWN_ACCESSES]:
        yield from _access_lines(access, cells)
    if len(evidence) > _SHOWN_ACCESSES:
        yield Line(((f"… and {plural(len(evidence) - _SHOWN_ACCESSES, 'more target')}", "muted"),))


def _access_lines(access: Access, cells: int) -> Iterator[Line]:
    times = f"{access.count}{TIMES}"
    lead: tuple[Piece, ...] = (
        (f"{outcome_word(access):<7} ", _OUTCOME_TONES[access.outcome]),
        (f"{times:>4} ", "muted"),
        (f"{verb(access.kind)} ", "muted"),
    )
    yield from hanging(lead, shown(access.target), "", cells)
    indent: Piece = (" " * 13, "")
    if access.unstable:
        text = f"not stable: seen {shown(access.unstable)}"
        yield from hanging((indent, ("~ ", "waiting")), text, "waiting", cells)
    if access.sensitive:
        yield from hanging((indent, ("! ", "high")), shown(access.sensitive), "", cells)
    for chain in access.chains:
        yield from hanging((indent, ("by ", "muted")), chain_text(chain), "muted", cells)
    for line in command_lines(access):
        yield from hanging((indent, ("$ ", "muted")), line, "muted", cells)
    if not access.commands and access.example not in ("", access.target):
        yield from hanging(
            (indent, ("$ " if access.kind.value == "exec" else "= ", "muted")),
            shown(example_text(access)),
            "muted",
            cells,
        )


def crate_lines(
    group: ProposalGroup,
    subjects: Sequence[CardSubject],
    comparison: Comparison | None,
    cells: int,
    told: WithKeys,
) -> Iterator[Line]:
    """Yield the card of a crate: what changed, what it would do, what a decision on it covers."""
    right = _undecided(subjects)
    if comparison is None:
        yield Line(((f"{shown(group.crate)} {version_text(group.version)}", "title"),), right)
    else:
        yield Line(title_pieces(comparison), right)
        yield Line()
        yield from summary_lines(comparison, cells)
    yield Line()
    yield from _subject_lines(subjects, len(group.proposals), cells, told)


def _baseline_lines(count: int | None, cells: int, told: WithKeys) -> Iterator[Line]:
    """Yield the count that what needs no decision lies behind; nothing where there is nothing."""
    if count == 0:
        return
    what = "what" if count is None else f"{plural(count, 'access', 'accesses')} that"
    text = f"shows {what} every build script may make, with no grant"
    yield Line()
    yield from hanging(
        ((told("{review.baseline} "), "accent"),), text, "muted", cells, target=_BASELINE
    )


def cause_lines(
    group: ProposalGroup,
    cause: ProposalCause,
    subjects: Sequence[CardSubject],
    cells: int,
    told: WithKeys,
) -> Iterator[Line]:
    """Yield the card of a cause: what a program, or the script itself, would do."""
    yield Line(
        ((f"{shown(group.crate)} {version_text(group.version)}", "muted"),), _undecided(subjects)
    )
    yield Line()
    for part in wrap(shown(cause.name), cells):
        yield Line(((part, "title"),))
    if cause.program:
        text = "A program that it ran, and what only this program wanted."
        yield from hanging((), text, "muted", cells)
    yield Line()
    yield from _subject_lines(subjects, len(cause.proposals), cells, told)


def _undecided(subjects: Sequence[CardSubject]) -> tuple[Piece, ...]:
    left = sum(not is_settled(each.proposal, Decision(each.answer)) for each in subjects)
    return ((f"{left:,} undecided", "muted"),)


def _subject_lines(
    subjects: Sequence[CardSubject], total: int, cells: int, told: WithKeys
) -> Iterator[Line]:
    """Yield a line for each proposal, and what a decision on all of them covers."""
    for number, subject in enumerate(subjects):
        yield _subject_line(subject, number)
    if total > len(subjects):
        yield Line(((f"     … and {total - len(subjects):,} more", "muted"),))
    yield Line()
    text = told(
        "{review.allow}: everything here below high risk. {review.deny}, {review.later}: "
        "everything. You confirm first."
    )
    if all(each.proposal.reason is Reason.NEWCOMER for each in subjects):
        text = "Nothing to decide here."
    elif not any(each.proposal.reason is Reason.ASKED for each in subjects):
        text = "Nothing has to be decided here; each of the above can be answered."
    yield from hanging((), text, "muted", cells)


def _subject_line(subject: CardSubject, number: int) -> Line:
    """Write proposal `number` of a crate or a cause, with the reason if it is no question."""
    proposal, reason = subject.proposal, subject.proposal.reason
    glyph = ANSWER_GLYPHS[subject.answer]
    tone = answer_tone(subject.answer, proposal.risk)
    if subject.answer is Answer.UNDECIDED and reason is not Reason.ASKED:
        glyph, tone = REASON_GLYPHS[reason], "accent"
    word = REASON_WORDS[reason]
    here: tuple[Piece, ...] = ((portability.MARK, "waiting"),) if subject.denied_here else ()
    between: tuple[Piece, ...] = (("  ", ""),) if here and word else ()
    return Line(
        (
            (f"{glyph} ", tone),
            (f"{GLYPHS[proposal.risk]:>2}", risk_word(proposal.risk)),
            (" ", ""),
            (short_title(proposal), "muted" if word else ""),
        ),
        (*here, *between, *(((word, "muted"),) if word else ())),
        number,
    )
