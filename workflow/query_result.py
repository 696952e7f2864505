"""The answer to one question about a build script: verdict, evidence, what would change it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from buildperm.policy import cooldown, expiry, explainer, explanation, proposals
from buildperm.policy.access import Access, Outcome
from buildperm.policy.baseline_patterns import NEVER_LISTED
from buildperm.policy.compilation import PINNED, secret_variables
from buildperm.policy.explainer import Explainer
from buildperm.policy.explanation import (
    AllowedByBaseline,
    AllowedByPreset,
    AllowedByRule,
    Denied,
    Explanation,
    HabitualAttempt,
    NeverGrantable,
    NotGranted,
    NotInForce,
    Sensitive,
)
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.risk import assess_rule
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import STEERS, why_sensitive
from buildperm.policy.snapshot import Snapshot, SnapshotRun
from buildperm.policy.validation import to_grant
from buildperm.policy.version import sort_key
from buildperm.presentation.explanation_text import verdict_text
from buildperm.report import next_command
from buildperm.rules import makeflags, secret_values
from buildperm.rules.pattern import is_literal
from buildperm.tracer.notation import decode
from buildperm.workflow import evidence
from buildperm.workflow.evidence import Evidence, RecordedRun
from buildperm.workflow.manifest_lines import ManifestLines
from buildperm.workflow.query import Query
from buildperm.workflow.script_lookup import FoundScript

_NO_GRANT = "No grant opens it."
_CHANGE = (
    "If the crate does not build without, use a version that does,",
    "or change the crate: `[patch]` in Cargo.toml.",
)
_OWN = ("/proc/self", "/proc/thread-self", "/dev/")
"""What each process has of its own: no pattern means that, and scripts have no terminal."""


class ReviewedRun(NamedTuple):
    """A run in which the access was seen when it was reviewed."""

    snapshot: Snapshot
    sighting: SnapshotRun
    outcome: Outcome


class QueryResult:
    """One question, answered."""

    def __init__(
        self,
        script: FoundScript,
        policy: Policy,
        known: Evidence,
        snapshots: Iterable[Snapshot],
        lines: ManifestLines,
        query: Query,
        report: Path,
    ) -> None:
        """Find out what is enforced.

        Args:
            script: The build script that the question is about.
            policy: All grants of the workspace.
            known: What the script was seen doing.
            snapshots: All of `buildperm.lock`.
            lines: The Cargo.toml with the grants.
            query: The access that the question is about.
            report: The kept report of the last build that was refused something, if there is one.
        """
        self._report = report
        self.script = script
        self._policy = policy
        self.known = known
        self.query = query
        self._lines = lines
        self._snapshots = [each for each in snapshots if each.crate == script.key]
        seen = next((each for each in known.accesses() if _is(each, query)), None)
        self._seen = seen
        self._resolved = seen.resolved if seen and seen.resolved else query.resolved
        self.explanation: Explanation = Explainer(
            script.grants, script.package.revision, script.subjects
        ).explain(
            query.kind,
            query.whole,
            resolved=self._resolved,
            is_free=seen is not None and evidence.was_allowed_by_run(seen),
            handed_over=known.handed_over(),
        )
        if query.kind is Kind.ENV:
            self._judge_value(seen)
        self.sentence = verdict_text(
            script.key, query.kind, query.target, self.explanation, script.subjects
        )

    def _judge_value(self, seen: Access | None) -> None:
        """Refuse a variable after all if its value, recorded or current, holds a secret."""
        grants, revision = self.script.grants, self.script.package.revision
        name = self.query.target
        is_open = isinstance(self.explanation, NotGranted) or explanation.is_allowed(
            self.explanation
        )
        if name in secret_variables(grants, revision) or not is_open:
            return
        why = seen.sensitive if seen is not None else ""
        value = os.environb.get(decode(name))
        kind = "" if value is None else secret_values.secret(makeflags.left(decode(name), value))
        if why or kind:
            wildcard = None if self.rule and is_literal(self.rule.pattern) else self.rule
            self.explanation = Sensitive(why or secret_values.HOLDS + kind, wildcard)

    @property
    def rule(self) -> Rule | None:
        """Return the rule that decides; None where there is none."""
        match self.explanation:
            case (
                AllowedByPreset(_, rule)
                | NotInForce(rule, _, _)
                | AllowedByRule(rule)
                | Denied(rule)
            ):
                return rule
            case Sensitive(_, wildcard):
                return wildcard
            case _:
                return None

    @property
    def preset(self) -> str:
        """Return the preset that the deciding rule is part of; empty if none."""
        match self.explanation:
            case AllowedByPreset(name, _) | NotInForce(_, name, _):
                return name
            case _:
                return ""

    @property
    def key(self) -> str:
        """Return the key of the table that decides: a denial may stand in another crate's."""
        if isinstance(self.explanation, Denied):
            return self.script.denying_key(self._policy, self.explanation.rule)
        return self.script.key

    @property
    def line(self) -> int:
        """Return the line of Cargo.toml that decides, else that of the crate's table, else 0."""
        key, rule = self.key, self.rule
        if self.preset:
            return self._lines.preset(key, self.preset)
        if rule is not None:
            is_denial = isinstance(self.explanation, Denied)
            return self._lines.rule(key, rule, is_denial=is_denial)
        return self._lines.crate(key)

    @property
    def _why(self) -> str:
        return self.explanation.why if isinstance(self.explanation, Sensitive) else ""

    @cached_property
    def proposal(self) -> Proposal | None:
        """Return what a review would ask if this had just been seen; None if nothing."""
        query = self.query
        written = [self._seen] if self._seen and query.kind is Kind.WRITE else []
        why = why_sensitive(query.kind, query.target)
        access = Access(
            query.kind,
            query.target,
            Outcome.REFUSED,
            1,
            0,
            0,
            (),
            sensitive=STEERS if self.explanation == NeverGrantable(STEERS) else why or self._why,
            resolved=self._resolved,
            # Whoever makes a folder, or a name in one, writes more than a file.
            is_folder=any(each.is_folder for each in written),
            is_entry=any(each.is_entry for each in written),
        )
        if not isinstance(self.explanation, NotGranted | Sensitive):
            return None
        made = proposals.propose(self.script.key, self.script.package.version, [access])
        return made[0] if made else None

    @cached_property
    def grant(self) -> tuple[str, ...]:
        """Return the lines of Cargo.toml that would allow it; none if no lines do."""
        if isinstance(self.explanation, HabitualAttempt):
            return self._habit_grant
        if self.proposal is None or self._is_never_listed:
            return ()
        choice = self.proposal.suggestion
        grants, version = self.script.grants, self.script.package.revision
        is_sensitive = isinstance(self.explanation, Sensitive)
        is_pinned = is_sensitive or any(assess_rule(rule)[0] >= PINNED for rule in choice.rules)
        what = "BUILD SCRIPT" if SubjectKind.SCRIPT in self.script.subjects else "CRATE"
        more = CrateGrants(
            self.script.key,
            # Without this the grant would not be in force.
            reviewed=frozenset([version] if is_pinned else []),
            presets=frozenset([choice.preset] if choice.preset else []),
            rules=frozenset(choice.rules),
            consumers=frozenset(choice.consumers),
            reason=f"WHY THIS {what} NEEDS IT" if is_sensitive else "",
        )
        return self._lines.pasted(grants.key if grants else self.script.key, more)

    @property
    def _is_never_listed(self) -> bool:
        return self.query.kind is Kind.READ and self.query.target in NEVER_LISTED

    @property
    def _habit_grant(self) -> tuple[str, ...]:
        """Return the lines that allow what programs try out of habit; no review asks about it."""
        kind, target = self.query.kind, self.query.target
        rule = Rule(kind, target)
        held = why_sensitive(kind, target)
        reason = "WHY THIS CRATE NEEDS IT" if held else ""
        is_closed = target in NEVER_LISTED or target.startswith(_OWN)
        if kind not in (Kind.READ, Kind.WRITE) or is_closed or to_grant(rule, reason=reason):
            return ()
        grants, version = self.script.grants, self.script.package.revision
        more = CrateGrants(
            self.script.key,
            reviewed=frozenset([version] if held or assess_rule(rule)[0] >= PINNED else []),
            rules=frozenset([rule]),
            reason=reason,
        )
        return self._lines.pasted(grants.key if grants else self.script.key, more)

    @cached_property
    def _denial(self) -> tuple[str, ...]:
        """Return the lines of Cargo.toml that deny it."""
        denied = frozenset([Rule(self.query.kind, self.query.target)])
        return self._lines.pasted(self.key, CrateGrants(self.key, denials=denied))

    def reviewed(self) -> Iterator[ReviewedRun]:
        """Yield the reviewed runs of any version in which it was seen."""
        for snapshot in sorted(self._snapshots, key=lambda each: sort_key(each.version)):
            for sighting in snapshot.sightings:
                for seen in sorted(sighting.seen):
                    if (seen.kind, seen.target) == (self.query.kind, self.query.target):
                        yield ReviewedRun(snapshot, sighting, seen.outcome)

    def recorded(self) -> Iterator[tuple[RecordedRun, Access]]:
        """Yield the recordings on this machine in which it was seen."""
        for run in self.known.runs:
            for access in run.accesses:
                if _is(access, self.query):
                    yield run, access

    def remedy(self) -> Iterator[str]:
        """Say what would change the verdict."""
        key = self.key
        table, at = self._lines.table(key), self._lines.at(self.line)
        if self._by_system:
            yield f"The system itself refuses it ({self._by_system}). No grant changes that."
        match self.explanation:
            case AllowedByRule(rule):
                yield f"To take it away, remove `{rule.pattern}` from `{rule.kind}` of"
                yield f"    {table} ({at})."
                yield _simulate(key, str(rule))
            case AllowedByPreset(name, _):
                yield f"To take it away, remove `{name}` from `presets` of"
                yield f"    {table} ({at})."
                yield _simulate(key, f"preset:{name}")
            case Denied(rule):
                yield f"To allow it, remove `{rule.pattern}` from `deny.{rule.kind}` of"
                yield f"    {table} ({at})."
            case NotInForce():
                yield f"The grant is in {at}. {self._into_force(table)}"
            case NotGranted() if self.grant:
                asks = self._asking
                decide = f"decide with `{asks}`, or write" if asks else "write"
                yield f"To allow it, {decide} in {self._lines.name}:"
                yield from (f"    {line}" for line in self.grant)
            case HabitualAttempt() if self.grant:
                yield "Nobody is asked about it. If this crate does not do without, write by hand"
                yield f"in {self._lines.name}:"
                yield from (f"    {line}" for line in self.grant)
            case HabitualAttempt() | NotGranted() if not self.grant:
                yield f"{_NO_GRANT} {_CHANGE[0]}"
                yield _CHANGE[1]
            case Sensitive() if self._saw_empty_home:
                yield "No grant would help: the home folder that it sees is empty."
                yield "If you know why it looks there, write a denial:"
                yield from (f"    {line}" for line in self._denial)
            case Sensitive() if self.grant:
                yield f"To grant it all the same, write by hand in {self._lines.name}:"
                yield from (f"    {line}" for line in self.grant)
            case AllowedByBaseline(_, explainer.TOOL | explainer.HANDED_OVER):
                yield "Nothing in Cargo.toml can change that: the build cannot do without it."
            case found if explanation.is_allowed(found):
                if self.query.kind is Kind.WRITE and self.query.target in ("$OUT_DIR", "$TMP"):
                    yield "That is to fill and to empty the folder; nobody removes or renames it."
                yield "To keep it from this crate all the same, write a denial:"
                yield from (f"    {line}" for line in self._denial)
            case NeverGrantable(explainer.UNOPENED):
                yield f"{_NO_GRANT} {_CHANGE[0]}"
                yield _CHANGE[1]
            case NeverGrantable(explainer.UNCONNECTED):
                yield f"{_NO_GRANT} If the crate has to talk to a program, grant an address such as"
                yield '`net = ["127.0.0.1:8080"]`, or let it do without.'
            case NeverGrantable() if self._steered_variable:
                name = self._steered_variable
                yield f"{_NO_GRANT} If you want {name} for this build yourself, set it where you"
                yield "build: in your environment, or in `[env]` of `.cargo/config.toml`."
            case NeverGrantable():
                yield f"{_NO_GRANT} If you want that for this build yourself, say it to Cargo or"
                yield "rustc where you build: in `.cargo/config.toml`."
            case _:
                yield f"{_NO_GRANT} Nothing in {self._lines.name} can change that."

    @property
    def _by_system(self) -> str:
        """Why the system refuses it itself, if that is how it always went; else empty."""
        seen = [access.refused_by_system for _, access in self.recorded()]
        return seen[0] if seen and all(seen) else ""

    @property
    def _steered_variable(self) -> str:
        """Return the variable that a directive would set for rustc; empty if it is none."""
        key, _, value = self.query.target.partition("=")
        return value.partition("=")[0] if key == "rustc-env" else ""

    @property
    def _saw_empty_home(self) -> bool:
        """Whether all that is known of it is a look into the private home."""
        seen = [access for _, access in self.recorded()]
        return bool(seen) and all(access.saw_empty_home for access in seen)

    def _into_force(self, table: str) -> str:
        """Say what puts a grant in force that is there and is not."""
        grants, revision = self.script.grants, self.script.package.revision
        if grants is not None and grants.young:
            package = self.script.package
            way_on = cooldown.exception(package.name, package.version)
            return f"To have it, wait; or {way_on}."
        if grants is not None and expiry.is_over(grants.expires, expiry.today()):
            return f"To have it again, write a later day for `expires` in {table}."
        if grants is not None and revision in grants.reviewed:
            return f"To have it, take away what is denied in {table}."
        if self._asking:
            return f"To decide about it, run `{self._asking}`."
        return (
            f"Nobody has seen that here; to have it all the same, add `{revision}` to `reviewed`."
        )

    @property
    def _asking(self) -> str:
        """Return the command that asks about it; empty where none does: it was not seen here."""
        learnt = {run.is_learning for run, _ in self.recorded()}
        if True in learnt:
            return next_command.review()
        if learnt and self._report.is_file():
            return next_command.decide(self._report)
        return next_command.review() if any(self.reviewed()) else ""


def _is(access: Access, query: Query) -> bool:
    return (access.kind, access.target) == (query.kind, query.target)


def _simulate(key: str, change: str) -> str:
    command = f"buildperm simulate {shlex.quote(key)} --remove {shlex.quote(change)}"
    return f"`{command}` says what else that would refuse."
