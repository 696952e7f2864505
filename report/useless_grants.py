"""Findings about grants that did not open what they say: what was refused all the same."""

from __future__ import annotations

from collections.abc import Iterator

from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.policy.undecided_accesses import is_unlisted
from buildperm.report.build_run import IneffectiveGrant, ScriptRun
from buildperm.report.finding import Finding, Level
from buildperm.report.finding_parts import (
    cut_details,
    cut_title,
    evidence_lines,
    fingerprint,
    named,
    plain,
)
from buildperm.report.manifest_place import GrantLines
from buildperm.report.rule_catalogue import LEADS_OUT, UNOPENED
from buildperm.report.text import count

_IN_OUT_DIR = (
    "In its OUT_DIR a script makes no devices and no setuid bits, and no file of elsewhere is "
    "linked or moved there: it can be copied."
)
_KEPT_FOLDERS = ("$OUT_DIR", "$TMP")
_NO_FOLDER = (
    "No folder can be made where a grant names a file: `PATH/**` is a grant of the folder PATH."
)
_UNLISTED = (
    "A folder with a closed folder in it cannot be listed: that would list the closed one, too. "
    "Grant the folders beside it, move it elsewhere, or use the runtime `full`."
)


def leading_out(script: ScriptRun, one: IneffectiveGrant, places: GrantLines) -> Finding:
    """Tell of a grant that opens nothing, as a link leads out of its folder."""
    grant = f"{one.rule.kind}:{one.rule.pattern}"
    return Finding(
        rule=LEADS_OUT,
        level=Level.WARNING,
        crate=script.crate,
        version=script.version,
        title=cut_title(f"{named(script.crate, script.version)}: {one}"),
        details=cut_details((one.remedy,)),
        way=script.way,
        remedy=(),
        command="",
        line=places.of_grant(script.crate, script.version, grant, script.way),
        fingerprint=fingerprint(LEADS_OUT, script.crate, (grant,)),
    )


def unopened(script: ScriptRun, places: GrantLines, level: Level) -> Iterator[Finding]:
    """Tell what was refused although it is granted."""
    kept = tuple(each for each in script.unopened if each.target in _KEPT_FOLDERS and each.is_entry)
    if kept:
        yield _kept_folder(script, kept, places)
    others = tuple(each for each in script.unopened if each not in kept)
    if others:
        unlisted = [each for each in others if is_unlisted(each)]
        first, *more = sorted(others, key=lambda each: each not in unlisted)
        also = f" and {count(len(more), 'more access', 'more accesses')}" if more else ""
        who = named(script.crate, script.version)
        title = cut_title(f"{who}: {first.kind} {first.target}{also} refused, though granted")
        line = places.of_crate(script.crate, script.version, script.way)
        told = tuple(evidence_lines(others))
        if any(each.target.startswith("$OUT_DIR") for each in others):
            told = (*told, _IN_OUT_DIR)
        if unlisted:
            told = (*told, _UNLISTED)
        if any(each.kind is Kind.WRITE and each.is_folder for each in others):
            told = (*told, _NO_FOLDER)
        yield plain(UNOPENED, level if unlisted else Level.WARNING, script, title, told, line)


def _kept_folder(script: ScriptRun, kept: tuple[Access, ...], places: GrantLines) -> Finding:
    """Tell that a script was to remove a folder that it was given: it may only empty it."""
    names = " and ".join(each.target for each in kept)
    who = named(script.crate, script.version)
    one = len(kept) == 1
    return plain(
        UNOPENED,
        Level.NOTE if not script.failed else Level.WARNING,
        script,
        cut_title(f"{who} tried to remove or rename {names}: {'it stays' if one else 'they stay'}"),
        (
            *evidence_lines(kept),
            "Cargo made the folder and looks into it afterwards. A script may empty it, and fill "
            "it again; the folder itself stays. Most scripts do not mind.",
            *(
                ("This one failed: if that is why, only a version that empties it helps.",)
                if script.failed
                else ()
            ),
        ),
        places.of_crate(script.crate, script.version, script.way),
    )
