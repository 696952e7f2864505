"""What crates were seen doing, judged under other grants: what these refuse or allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from buildperm.policy.access import Access, Outcome
from buildperm.policy.combination import combine
from buildperm.policy.explainer import Explainer
from buildperm.policy.explanation import Denied, Explanation, is_allowed
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import LISTED, Kind
from buildperm.policy.rule import Rule
from buildperm.policy.undecided_accesses import is_settled
from buildperm.report.text import count
from buildperm.rules import directive
from buildperm.rules.pattern import matches
from buildperm.workflow.evidence import (
    ContextEvidence,
    Evidence,
    RecordedRun,
    context_text,
    was_allowed_by_run,
)
from buildperm.workflow.query import QueryParser
from buildperm.workflow.script_lookup import FoundScript, WorkspaceView


@dataclass(frozen=True, slots=True)
class ChangedVerdict:
    """An access that other grants judge differently."""

    access: Access  # Of all contexts together.
    now: Explanation
    then: Explanation
    seen: tuple[tuple[ContextEvidence, Access], ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What changed grants mean for one crate."""

    script: FoundScript
    known: Evidence
    refused: tuple[ChangedVerdict, ...]  # Allowed now.
    allowed: tuple[ChangedVerdict, ...]  # Refused now.


class Replayer:
    """Judges recorded accesses again; nothing is run."""

    def __init__(self, view: WorkspaceView, warn: Callable[[str], None]) -> None:
        """Prepare; `warn` gets a line on whatever may make the answer wrong."""
        self._view = view
        self._warn = warn

    def replay(self, script: FoundScript, known: Evidence, then: CrateGrants | None) -> Replay:
        """Judge all that is known of `script` under other grants."""
        new = then.denials if then else frozenset()
        before, after = _Judge(self._view, script, script.grants), _Judge(self._view, script, then)
        found: dict[
            tuple[Kind, str, Explanation, Explanation], list[tuple[ContextEvidence, Access]]
        ] = {}
        for context in self._contexts(script, known):
            for access in context.accesses:
                if access.outcome is Outcome.FAILED and is_settled(access):
                    continue  # Nothing was there.
                told = [
                    _explained(each.explainer_for(access), context, access)
                    for each in (before, after)
                ]
                if is_allowed(told[0]) != is_allowed(told[1]):
                    key = access.kind, access.target, told[0], told[1]
                    found.setdefault(key, []).append((context, access))
                elif is_allowed(told[1]):
                    self._warn_of_denials(script, access, new)
        changed = [
            ChangedVerdict(combine([access] for _, access in seen)[0], now, after_, tuple(seen))
            for (_, _, now, after_), seen in found.items()
        ]
        changed.sort(key=lambda each: (LISTED.index(each.access.kind), each.access.target))
        return Replay(
            script,
            known,
            tuple(each for each in changed if is_allowed(each.now)),
            tuple(each for each in changed if is_allowed(each.then)),
        )

    def _contexts(self, script: FoundScript, known: Evidence) -> Iterator[ContextEvidence]:
        title = script.title
        for context in known.contexts():
            run = context.run
            if run is None:
                yield replace(context, accesses=tuple(self._resolved(script, context.accesses)))
                continue
            which = f"the recording made {run.circumstance} for {context_text(run.context)}"
            if run.incomplete:
                self._warn(f"{title}: {which} may not show everything: {run.incomplete}")
            if _is_older(run, script):
                self._warn(f"{title}: {which} is older than the build script")
            yield context
        if known.unrecorded:
            which = f"{count(len(known.unrecorded), 'context')} " if known.runs else ""
            self._warn(
                f"{title}: {which}not recorded on this machine; told by buildperm.lock, which "
                "leaves out who did it, and what every build script may do"
            )

    def _resolved(self, script: FoundScript, accesses: Iterable[Access]) -> Iterator[Access]:
        """Find the files of programs with today's PATH: a snapshot keeps only their names."""
        parser = QueryParser(self._view, script, (), Path.cwd())
        for access in accesses:
            if access.kind is Kind.EXEC and "/" not in access.target:
                query = parser.parse(f"{Kind.EXEC}:{access.target}", ())
                access = replace(access, resolved=query.resolved)
            yield access

    def _warn_of_denials(
        self, script: FoundScript, access: Access, denials: Iterable[Rule]
    ) -> None:
        """Warn if recordings lack what a denial is about."""
        if access.kind is not Kind.DIRECTIVE or "=" in access.target:
            return
        for rule in denials:
            key, _, _ = rule.pattern.partition("=")
            if rule.kind is Kind.DIRECTIVE and matches(key, access.target):
                self._warn(
                    f"{script.title}: not every value of `{access.target}` is kept, so that "
                    f"`{rule}` may refuse more than is told"
                )


class _Judge:
    """One set of grants: for macros that others use they hold only as far as `for` names these."""

    def __init__(
        self, view: WorkspaceView, script: FoundScript, grants: CrateGrants | None
    ) -> None:
        revision = script.package.revision
        denials = replace(CrateGrants(script.key), denials=grants.denials) if grants else None
        self._consumers = view.reach.named(grants.consumers) if grants else frozenset[str]()
        self._inside = Explainer(grants, revision, script.subjects)
        self._outside = Explainer(denials, revision, script.subjects)

    def explainer_for(self, access: Access) -> Explainer:
        """Return what explains one access."""
        holds = not access.outside or access.outside in self._consumers
        return self._inside if holds else self._outside


def _explained(explainer: Explainer, context: ContextEvidence, access: Access) -> Explanation:
    is_free = was_allowed_by_run(access)
    told = explainer.explain(
        access.kind,
        access.target,
        resolved=access.resolved,
        is_free=is_free,
        handed_over=context.handed_over,
    )
    if access.kind is Kind.DIRECTIVE and is_free and context.run is not None:
        # The values of harmless directives are left out, but for one example.
        value = directive.portable(access.example, context.run.places)
        whole = access.target if "=" in access.target else f"{access.target}={value}"
        denied = explainer.explain(access.kind, whole, is_free=True)
        return denied if isinstance(denied, Denied) else told
    return told


def _is_older(run: RecordedRun, script: FoundScript) -> bool:
    """Tell whether a build script of the user's own was changed since; others never change."""
    if script.package.source:
        return False
    try:
        return any(
            source.stat().st_mtime > run.modified_s for source in script.package.script_sources
        )
    except OSError:
        return True
