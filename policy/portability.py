"""Portability: which rules hold on this machine alone, as others have nothing at that path."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.rules import sensitive

SHORT = "on this machine only"
MARK = "this machine only"
"""The same where there is little room."""

_SYSTEM = tuple(
    f"/{each}/"
    for each in ("bin", "dev", "etc", "lib", "lib32", "lib64", "proc", "run", "sbin", "sys", "usr")
)
_ENVIRONMENT = re.compile(r"(?:^|/)(?:\.?venv|\.?virtualenv|site-packages|\.tox|\.nox)(?:/|$)")
_TRIPLE = re.compile(r"/usr/lib(?:exec)?/[a-z0-9_]+-[a-z0-9_-]*linux-[a-z0-9]+/")
_NAMED = re.compile(  # What Cargo calls after the address that crates come from.
    r"\$CARGO_HOME/(?:registry/(?:src|cache|index)|git/(?:checkouts|db))/[^/*?]*-[0-9a-f]{7,16}(?=/|$)"
)
_HASHED = re.compile(r"(?:^|[/-])[0-9a-f]{16}(?=/|$)")
_PLACES = re.compile(
    r"(?:\$(?!ORIGIN)[A-Z_]+|(?<![A-Za-z0-9_.*/-])|(?<=-[A-Za-z]))/(?!/)[^\s:;,=]*"
)
"""Paths within the value of a directive: `-L/opt/x`, `native=/opt/x`. An address is no path."""
_MARK = "/pyvenv.cfg"  # In each virtual environment: PEP 405.


def environments(accesses: Iterable[Access]) -> frozenset[str]:
    """Return the folders that turned out to be virtual environments of Python."""
    return frozenset(
        access.target.removesuffix(_MARK)
        for access in accesses
        if access.kind is Kind.READ
        and access.target.endswith(_MARK)
        and access.outcome is not Outcome.FAILED  # Python looks for it beside each of its programs.
    )


def why_local(rule: Rule, environments: Collection[str] = ()) -> str:
    """Say why a rule holds on this machine alone, as a clause; empty if it may hold elsewhere."""
    if rule.kind is Kind.DIRECTIVE:
        found = _PLACES.findall(rule.pattern.partition("=")[2])
        return next(filter(None, (_why_path(path, environments) for path in found)), "")
    if not rule.kind.is_file or "/" not in rule.pattern:
        return ""
    return _why_path(rule.pattern, environments)


def why_denied_here(denial: Rule) -> str:
    """Say why a denial holds on this machine alone, as a clause; empty if it holds elsewhere, too.

    What is sensitive and hidden in a home folder, such as `$HOME/.ssh`, is where its program has it
    in everybody's: there a denial says the same to all.
    """
    settled = denial.kind.is_file and denial.pattern.startswith("$HOME/.")
    if settled and sensitive.why(denial.pattern, writing=denial.kind is Kind.WRITE):
        return ""
    return why_local(denial)


def _why_path(path: str, environments: Collection[str]) -> str:
    if ".." in path.split("/"):
        return "it goes up from a folder, and what is above it differs"
    if _NAMED.match(path):
        return "its folder is called after the registry or repository, and mirrors have others"
    if _HASHED.search(path):
        return "its name has a hash in it, which differs from build to build"
    inside = any(path == each or path.startswith(f"{each}/") for each in environments)
    if inside or _ENVIRONMENT.search(path):
        return "it is in a virtual environment of Python, which others have elsewhere"
    if path.startswith("$HOME/"):
        return "it is in your home folder, and others may not have it there"
    if path.startswith(("/nix/store/", "/gnu/store/")):
        return "its name changes with every version of the package"
    if path.startswith(("/usr/local/", "/opt/")):
        return "it was installed on this machine, and others may not have it there"
    if _TRIPLE.match(path):
        return "its folder is named for this processor and distribution; others have it elsewhere"
    if path.startswith("/") and not f"{path}/".startswith(_SYSTEM):
        return "it is an absolute path, and others may not have it there"
    return ""


def marked(title: str, rules: Iterable[Rule], environments: Collection[str] = ()) -> str:
    """Return the title of a choice, with a word if any of its rules holds here alone."""
    is_local = any(why_local(rule, environments) for rule in rules)
    return f"{title} ({SHORT})" if is_local else title


def notes(rules: Iterable[Rule], environments: Collection[str] = ()) -> tuple[str, ...]:
    """Return a sentence for each reason why rules hold here alone, with the first of them."""
    found: dict[str, list[str]] = {}
    for rule in rules:
        why = why_local(rule, environments)
        if why:
            found.setdefault(why, []).append(rule.pattern)
    return tuple(
        f"`{patterns[0]}`{_others(len(patterns) - 1)} may be missing on other machines: {why}."
        for why, patterns in found.items()
    )


def _others(count: int) -> str:
    return f" and {count} other{'s' * (count > 1)}" if count else ""
