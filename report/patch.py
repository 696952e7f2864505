"""A patch of Cargo.toml that would allow what was refused: for a person, or a robot, to propose.

It never approves anything. What is risky stays out of force, because `reviewed` is left as it is;
what only a person may grant by hand is no more than a comment; and every line says who wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from buildperm.errors import BuildpermError
from buildperm.policy import editor, manifest, manifest_reader, summaries, validation
from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import PINNED
from buildperm.policy.decision import Answer, Decision
from buildperm.policy.grants import CrateGrants
from buildperm.policy.merging import merged
from buildperm.policy.proposal import Proposal, Reason, Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.toml_statement import layout
from buildperm.printable import shortened

_SHOWN_MOST = 5  # Accesses told of one proposal; the rest is counted.
_LINE_MOST = 240  # Characters of a comment.
_PROPOSED = "proposed by buildperm, nobody has approved this"
_OWN = re.compile(rb"--- [^\n]+\n\+\+\+ [^\n]+\n@@(?s:.*)\n\+# (?:not )?proposed by buildperm, ")


def patch(raw: bytes, proposals: Iterable[Proposal], path: Path, name: str = "Cargo.toml") -> bytes:
    """Return a unified diff of the Cargo.toml `raw` for `git apply`; empty where nothing was asked.

    Args:
        raw: The whole file.
        proposals: What was refused, with the evidence.
        path: Where the file is; only used in messages.
        name: The file's path in its repository.

    Raises:
        BuildpermError: The file cannot hold these grants.
    """
    by_crate: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        if proposal.reason is Reason.ASKED:
            by_crate.setdefault(proposal.crate, []).append(proposal)
    # Whether two crates ask to write the same is for the person who applies it to say.
    policy = manifest.policy(*manifest.parse(raw, path), path)
    wanted: dict[str, CrateGrants] = {}
    comments: dict[str, list[str]] = {}
    for crate, asked in sorted(by_crate.items()):
        had = policy.crates.get(crate, CrateGrants(crate))
        closed = {each.id: why for each in asked if (why := _why_closed(each, had))}
        allowed = [(each, Decision(Answer.ALLOW)) for each in asked if each.id not in closed]
        wanted[crate] = merged(had, allowed)
        comments[crate] = [line for each in asked for line in _comments(each, closed.get(each.id))]
    after = editor.with_all_grants(raw, wanted, path)
    commented = _with_comments(after, comments, path)
    if manifest.parse(commented, path)[1] != manifest.parse(after, path)[1]:
        raise BuildpermError(
            f"{path}: the way its tables are written leaves no room for comments",
            hint=f"Write `[{_home(after, path)}]` as a table of its own and try again.",
        )
    return editor.diff(raw, commented, name).encode("utf-8", "surrogateescape")


def _why_closed(proposal: Proposal, had: CrateGrants) -> str:
    """Return why the patch may only mention a grant, not propose it; empty if it may."""
    suggested = proposal.suggestion
    if suggested.consumers:
        return "only a person can let others than this workspace make use of a grant"
    if proposal.locked or any(validation.to_grant(rule, reason="") for rule in suggested.rules):
        return "only a person can decide about this"
    if proposal.risk >= Risk.CRITICAL:
        return "this is too risky for a patch"
    waits = any(assess_rule(rule)[0] >= PINNED for rule in suggested.rules)
    # A table is about all versions of a crate: what waits for this one is in force for another.
    if proposal.risk >= PINNED and (had.reviewed or not waits):
        return "it would be in force before anybody has reviewed it"
    return ""


def _comments(proposal: Proposal, closed: str | None) -> Iterator[str]:
    head = f"not proposed by buildperm, {closed}" if closed else _PROPOSED
    for access in proposal.evidence[:_SHOWN_MOST]:
        yield _comment(f"{head}: {proposal.who} {_action_text(access)}")
    if len(proposal.evidence) > _SHOWN_MOST:
        yield _comment(f"{head}: {len(proposal.evidence) - _SHOWN_MOST:,} more of the same")


def _action_text(access: Access) -> str:
    if access.is_answered_look:
        verb = "looked whether there is"
    elif access.outcome is Outcome.DONE:
        verb = access.kind.traits.past
    else:
        verb = f"tried to {summaries.LOOK if access.is_look else access.kind.traits.verb}"
    times = f" {access.count:,} times" if access.count > 1 else ""
    chain = f", by {' > '.join(access.chains[0])}" if access.chains else ""
    return f"{verb} {access.target}{times}{chain}"


def _comment(text: str) -> str:
    return f"# {shortened(text, _LINE_MOST)}"


def _with_comments(raw: bytes, comments: Mapping[str, list[str]], path: Path) -> bytes:
    """Put comments above the tables of their crates, or at the end for crates without one."""
    text, document = manifest.parse(raw, path)
    crates = (*manifest.table_path(document), "crates")
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    found, known = layout(text), manifest.policy(text, document, path).crates
    above: dict[int, str] = {}  # By the place that they go to.
    below = ""
    for crate, lines in comments.items():
        block = "".join(line + newline for line in lines)
        statements = found.below((*crates, crate)) if crate in known else ()
        first = statements[0] if statements else None
        if first is None and crate in known:
            first = found.container((*crates, crate))
        if first is not None:
            above[first.start] = above.get(first.start, "") + block
        else:
            below += newline + block
    parts, end = [], len(text)
    for start in sorted(above, reverse=True):
        parts += [text[start:end], above[start]]
        end = start
    text = "".join((text[:end], *reversed(parts)))
    gap = newline if below and text and not text.endswith("\n") else ""
    text += gap + below
    bom = manifest.BOM if raw.startswith(manifest.BOM.encode()) else ""
    return (bom + text).encode()


def _home(raw: bytes, path: Path) -> str:
    return manifest_reader.dotted(manifest.table_path(manifest.parse(raw, path)[1]))


def is_patch(beginning: bytes) -> bool:
    """Tell whether a file that begins so is such a patch; without anything to propose it is empty.

    What it proposes it tells before all else.
    """
    return not beginning or _OWN.match(beginning) is not None
