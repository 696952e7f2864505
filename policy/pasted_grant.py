"""Lines that a person may paste below a Cargo.toml: they break nothing that stands there.

A table can be written once in TOML. So where it is there already, in whatever way, what it would
say is written as comments: to paste them does no harm, and they name the line that is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from buildperm.errors import BuildpermError
from buildperm.policy import editor, manifest, manifest_reader
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.toml_statement import layout


@lru_cache(
    maxsize=256
)  # A report asks for the same lines beside each finding, and for all of them.
def lines(raw: bytes, key: str, more: CrateGrants, path: Path) -> tuple[str, ...]:
    """Return what makes a crate have `more` beside what it has; nothing where there is no room.

    Args:
        raw: The whole file.
        key: The crate's key in the grant table.
        more: What is to be allowed or denied, and the versions for which it is.
        path: Where the file is; only its name is used.
    """
    try:
        text, document = manifest.parse(raw, path)
        policy = manifest.policy(text, document, path)
        had = policy.crates.get(key, CrateGrants(key))
        wanted = together(had, more)
        after = editor.with_grants(raw, key, wanted, path)
    except BuildpermError:
        return ()
    home = manifest.table_path(document)
    found = layout(text)
    if key not in policy.crates:
        made = editor.new_table(home, key, wanted, is_first=not found.below(home))
        fresh = tuple("\n".join(made).split("\n"))  # A long list takes several lines.
        if _reads(raw, fresh, replace(policy, crates={**policy.crates, key: wanted}), path):
            return fresh
    table = f"[{manifest_reader.dotted((*home, 'crates', key))}]"
    place = f"{path.name}:{found.line((*home, 'crates', key))}"
    differing = [line[1:] for line in _added(raw, after)]
    return (f"# {table} ({place}) would say:", *(f"# {line}" for line in differing))


def together(had: CrateGrants, more: CrateGrants) -> CrateGrants:
    """Return what a crate has together with more of it."""
    return replace(
        had,
        reviewed=had.reviewed | more.reviewed,
        presets=had.presets | more.presets,
        rules=had.rules | more.rules,
        denials=had.denials | more.denials,
        reason=had.reason or more.reason,
        consumers=had.consumers | more.consumers,
    )


def _reads(raw: bytes, pasted: Sequence[str], wanted: Policy, path: Path) -> bool:
    """Tell whether a file says what is wanted with these lines below it."""
    below = raw + b"\n" + "\n".join(pasted).encode() + b"\n"
    try:
        return manifest.policy(*manifest.parse(below, path), path) == wanted
    except BuildpermError:
        return False


def _added(before: bytes, after: bytes) -> list[str]:
    """Return the lines of the difference that are new, each with its sign."""
    told = editor.diff(before, after).splitlines()[2:]
    return [line.rstrip("\r") for line in told if line.startswith("+") and line.strip("+\r ")]
