"""Which build scripts and macros of an enrolled workspace are new, or of another version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from buildperm.cargo.standing_state import digest, replace_text

if TYPE_CHECKING:
    from pathlib import Path

    from buildperm.supervisor.session import Session

_MOST_NAMED = 4


def told(place: Path, root: Path, session: Session) -> str:
    """Return one sentence about what has changed since the last build; empty if nothing has.

    The first time there is nothing to compare with. What was seen once is no news again.
    """
    kept = place / "seen" / f"{digest(str(root))}.json"
    try:
        known = {key: list(map(str, each)) for key, each in json.loads(kept.read_bytes()).items()}
        is_first = False
    except (OSError, ValueError, AttributeError, TypeError):
        known, is_first = {}, True
    news = []
    packages = [("build script", each) for each in session["packages"].values()]
    packages += [("macros", each) for each in session.get("macros", {}).values()]
    for what, package in sorted(packages, key=lambda each: (each[1]["name"], each[0])):
        versions = known.setdefault(f"{what} of {package['name']} {package['source']}", [])
        if package["version"] not in versions:
            was = f"was {versions[-1]}" if versions else "new"
            news.append(f"{what} of {package['name']} {package['version']} ({was})")
            versions.append(package["version"])
    if news or is_first:
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        replace_text(kept, json.dumps(known).encode(), 0o600)
    if not news or is_first:
        return ""
    more = f", and {len(news) - _MOST_NAMED} more" if len(news) > _MOST_NAMED else ""
    named = ", ".join(news[:_MOST_NAMED])
    return f"changed since the last build, and held: {named}{more}; run `buildperm review`"
