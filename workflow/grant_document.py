"""Tables of grants as parts of a JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from buildperm.policy import portability
from buildperm.policy.presets import PRESETS
from buildperm.policy.rule import Rule
from buildperm.presentation import explanation_text
from buildperm.presentation.wording import risk_word
from buildperm.workflow.grant_inventory import Denial, Grant, GrantTable, LentGrant, RequestAccount
from buildperm.workflow.line_history import LineChange


@dataclass(frozen=True, slots=True)
class GrantDocument:
    """Writes tables of grants as objects."""

    changes: Mapping[int, LineChange]  # By line of Cargo.toml.
    is_asked: bool  # The user named crates.

    def table(self, table: GrantTable) -> dict[str, object]:
        """Write one table."""
        told: dict[str, object] = {
            "crate": table.key,
            **self._place(table.line),
            "packages": [
                {
                    "name": script.package.name,
                    "version": script.package.version,
                    "source": script.package.source,
                    "way": list(script.way),
                    "subjects": [str(subject) for subject in script.subjects],
                }
                for script in table.scripts
            ],
            "not_in_force": table.not_in_force,
            "grants": [self._grant(grant) for grant in table.grants],
            "for": [{"crate": name, **self._place(line)} for name, line in table.consumers],
            "compile": table.compile and {"mode": table.compile, **self._place(table.compile_line)},
            "denials": [self._denial(denial) for denial in table.denials],
            "imported": [_lent(each) for each in table.lent],
            "requests": [_request(each) for each in table.requests],
            "reviewed": [
                {"version": version, **self._place(line)} for version, line in table.reviewed
            ],
            "reason": {"text": table.reason, **self._place(table.reason_line)},
            "expires": table.expires
            and {"day": str(table.expires), **self._place(table.expires_line)},
        }
        if self.is_asked:
            told["seen"] = [
                {
                    "version": snapshot.version,
                    "target": sighting.context.target,
                    "profile": sighting.context.profile,
                    "features": list(sighting.context.features),
                    "subject": str(sighting.context.role.subject),
                    "consumer": sighting.context.role.consumer,
                    "runtime": sighting.runtime,
                    "accesses": [
                        {
                            "kind": str(seen.kind),
                            "target": seen.target,
                            "outcome": str(seen.outcome),
                        }
                        for seen in sorted(sighting.seen)
                    ],
                }
                for snapshot in table.snapshots
                for sighting in snapshot.sightings
            ]
        return told

    def _grant(self, grant: Grant) -> dict[str, object]:
        preset = PRESETS.get(grant.preset)
        return {
            "kind": str(grant.rule.kind) if grant.rule else "preset",
            "pattern": grant.rule.pattern if grant.rule else grant.preset,
            "may": preset.title if preset else _action_text(grant),
            "covers": preset.covers if preset else "",
            "leaves_out": preset.leaves_out if preset else "",
            "risk": risk_word(grant.risk),
            "why": grant.why,
            "here_only": portability.why_local(grant.rule) if grant.rule else "",
            **self._place(grant.line),
            "not_in_force": [
                {"kind": str(each.rule.kind), "pattern": each.rule.pattern, "why": each.why}
                for each in grant.withheld
            ],
            "unused_in": list(grant.unused),
        }

    def _denial(self, denial: Denial) -> dict[str, object]:
        return {
            "kind": str(denial.rule.kind),
            "pattern": denial.rule.pattern,
            "crate": denial.key,
            "here_only": portability.why_denied_here(denial.rule),
            **self._place(denial.line),
        }

    def _place(self, line: int) -> dict[str, object]:
        """Write a line of Cargo.toml and its last change, which is null if git cannot tell."""
        change = self.changes.get(line)
        told = change and {"commit": change.commit, "date": change.date, "author": change.author}
        return {"line": line, "changed": told}


def _request(account: RequestAccount) -> dict[str, object]:
    request = account.request
    return {
        "package": account.package,
        "asked": [_asked(each) for each in request.everything()],
        "reason": request.reason,
        "unread": list(request.unread),
        "not_seen": None if account.unseen is None else [_asked(each) for each in account.unseen],
        "not_asked": [
            {"kind": str(each.kind), "target": each.target, "outcome": str(each.outcome)}
            for each in account.unasked
        ],
    }


def _asked(asked: Rule | str) -> dict[str, str]:
    if isinstance(asked, str):
        return {"kind": "preset", "pattern": asked}
    return {"kind": str(asked.kind), "pattern": asked.pattern}


def _lent(lent: LentGrant) -> dict[str, object]:
    return {
        "kind": str(lent.rule.kind) if lent.rule else "preset",
        "pattern": lent.rule.pattern if lent.rule else lent.preset,
        "is_denied": lent.is_denial,
        "file": lent.file,
        "from": lent.origin,
        "not_in_force": lent.why,
    }


def _action_text(grant: Grant) -> str:
    return explanation_text.action_text(grant.rule.kind, [grant.rule.pattern]) if grant.rule else ""
