"""Parts that findings are made of: titles, details, lines about accesses, fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.printable import shortened
from buildperm.report.build_run import ScriptRun
from buildperm.report.finding import Finding, Level
from buildperm.report.shell_line import example_text
from buildperm.report.text import access_text

_LISTED = 10  # Accesses told in words; all of them are in `Finding.evidence`.
_TITLE_MOST = 300  # Characters.
_DETAIL_MOST = 2_000
_COMMAND_MOST = 200
_DIGITS = 32


def fingerprint(rule: str, crate: str, targets: Iterable[str]) -> str:
    """Return a digest of what was found that stays the same over runs, versions and lines."""
    return digest("\0".join((rule, crate, *sorted(targets))))


def digest(text: str) -> str:
    """Return a digest short enough for a report."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def plain(
    rule: str, level: Level, script: ScriptRun, title: str, details: tuple[str, ...], line: int
) -> Finding:
    """Return a finding about a run that nobody can settle by a grant."""
    return Finding(
        rule=rule,
        level=level,
        crate=script.crate,
        version=script.version,
        title=title,
        details=details,
        way=script.way,
        remedy=(),
        command="",
        line=line,
        fingerprint=fingerprint(rule, script.crate, ()),
        roles=script.roles,
    )


def named(crate: str, version: str) -> str:
    """Return a crate with its version, which may be empty."""
    return f"{crate} {version}" if version else crate


def cut_title(text: str) -> str:
    """Shorten a title to what reports have room for."""
    return shortened(text, _TITLE_MOST)


def cut_details(lines: Iterable[str]) -> tuple[str, ...]:
    """Shorten lines likewise, and leave out empty ones."""
    return tuple(shortened(line, _DETAIL_MOST) for line in lines if line)


def evidence_lines(evidence: tuple[Access, ...]) -> Iterator[str]:
    """Yield lines about accesses: what, who, and as which command."""
    for access in evidence[:_LISTED]:
        chain = f", by {' > '.join(access.chains[0])}" if access.chains else ""
        yield f"{access_text(access)}{chain}"
        if access.kind is Kind.EXEC and access.example not in ("", access.target):
            yield f"as {shortened(example_text(access), _COMMAND_MOST)}"
    if len(evidence) > _LISTED:
        yield f"and {len(evidence) - _LISTED:,} more"
