"""Words and glyphs that the screens and the plain prompts share; knows no terminal."""

from __future__ import annotations

from typing import Final

from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.role import SubjectKind
from buildperm.policy.summaries import title
from buildperm.printable import LONGEST_SHOWN, escaped, shown
from buildperm.report.refused_text import GLYPHS as GLYPHS  # Of screens and reports alike.

ANSWER_GLYPHS: Final = {
    Answer.UNDECIDED: " ",
    Answer.ALLOW: "✓",
    Answer.DENY: "✗",
    Answer.LATER: "↷",
}
"""What stands for an answer where there is no room for the word."""

ANSWER_WORDS: Final = {
    Answer.UNDECIDED: "undecided",
    Answer.ALLOW: "allowed",
    Answer.DENY: "denied",
    Answer.LATER: "later",
}

ANSWER_VERBS: Final = {
    Answer.UNDECIDED: "clear",
    Answer.ALLOW: "allow",
    Answer.DENY: "deny",
    Answer.LATER: "leave for later",
}

REASON_GLYPHS: Final = {
    Reason.ASKED: " ",
    Reason.DORMANT: "↺",
    Reason.COVERED: "≈",
    Reason.UNUSED: "∅",
    Reason.NEWCOMER: "+",
}
"""Why something is listed must be readable without colour."""

REASON_WORDS: Final = {
    Reason.ASKED: "",
    Reason.DORMANT: "dormant",
    Reason.COVERED: "covered",
    Reason.UNUSED: "unused",
    Reason.NEWCOMER: "new",
}

SUBJECT_WORDS: Final = {
    SubjectKind.SCRIPT: "",
    SubjectKind.MACRO: "macro",
    SubjectKind.COMPILE: "compiling",
}
"""What stands behind a crate in a list; nothing for a build script, as most of them are."""

LISTED_AS: Final = {
    Reason.ASKED: "",
    Reason.DORMANT: "granted before",
    Reason.COVERED: "nothing to decide",
    Reason.UNUSED: "unused grant",
    Reason.NEWCOMER: "new build script, nothing to decide",
}
"""What a list shows in place of the risk; empty where it shows the risk."""

LEFT_FOR_LATER: Final = {
    Reason.ASKED: "Left for later; it stays refused.",
    Reason.DORMANT: "Left for later; the version does not count as reviewed.",
    Reason.COVERED: "Left for later; it stays allowed.",
    Reason.UNUSED: "Left for later; the grant stays.",
    Reason.NEWCOMER: "",
}
"""What leaving it for later means."""

TIMES: Final = "\N{MULTIPLICATION SIGN}"

_STEP: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"

_DONE: Final = {Outcome.DONE: "done", Outcome.FAILED: "failed", Outcome.REFUSED: "refused"}


def risk_word(risk: Risk) -> str:
    """Return one of the four words: low, medium, high, critical."""
    return risk.name.lower()


def verb(kind: Kind) -> str:
    """Return what an access of `kind` does, as it follows "may"."""
    return kind.traits.may()


def outcome_word(access: Access) -> str:
    """Return how it went."""
    return _DONE[access.outcome]


def plural(count: int, noun: str, many: str = "") -> str:
    """Return "1 crate", "2 crates"; `many` is the plural where an s does not make it."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {many or f'{noun}s'}"


def chain_text(chain: tuple[str, ...]) -> str:
    """Return a process chain on one line, from the build script on."""
    # A program chooses its own name: it must not be able to look like two.
    return f" {_STEP} ".join(shown(name.replace(_STEP, escaped(_STEP))) for name in chain)


def answer_word(proposal: Proposal, answer: Answer) -> str:
    """Return the word for an answer, given what the proposal is about."""
    match proposal.reason, answer:
        case ((Reason.UNUSED | Reason.DORMANT), Answer.ALLOW):
            return "kept"
        case ((Reason.UNUSED | Reason.DORMANT), Answer.DENY):
            return "removed"
        case Reason.COVERED, Answer.ALLOW:
            return "fine"
        case reason, Answer.UNDECIDED if reason is not Reason.ASKED:
            return REASON_WORDS[reason]
        case _:
            return ANSWER_WORDS[answer]


def reason_text(reason: Reason) -> str:
    """Say why a proposal is listed and what the answers do; empty for a plain question."""
    match reason:
        case Reason.COVERED:
            return "New, but already allowed by a grant: to deny it takes it out of that grant."
        case Reason.DORMANT:
            return (
                "In force for this version, too, once it is reviewed: to allow it keeps the grant, "
                "to deny it removes it. The review waits for an answer."
            )
        case Reason.UNUSED:
            return "Not used any more: to deny it removes the grant, to allow it keeps it."
        case Reason.NEWCOMER:
            return "A new build script that there is nothing to decide about."
        case Reason.ASKED:
            return ""


def short_title(proposal: Proposal) -> str:
    """Return a title for a place that shows the reason as well."""
    if proposal.reason is not Reason.COVERED or not proposal.evidence:
        return shown(proposal.title)
    kinds = dict.fromkeys(access.kind for access in proposal.evidence)
    groups = ([seen for seen in proposal.evidence if seen.kind is kind] for kind in kinds)
    return shown("; ".join(title(group[0].kind, group) for group in groups))


def version_text(version: str) -> str:
    """Return a version, or `(gone)` for a crate that is no longer there."""
    return shown(version) or "(gone)"


def is_unreadable(proposal: Proposal) -> bool:
    """Tell whether an approval would cover something that is too long to be shown."""
    return len(proposal.title) > LONGEST_SHOWN or any(
        len(text) > LONGEST_SHOWN for choice in proposal.choices for text in _texts(choice)
    )


def _texts(choice: Choice) -> tuple[str, ...]:
    return (choice.title, choice.widening, *(rule.pattern for rule in choice.rules))
