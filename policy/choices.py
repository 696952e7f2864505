"""Choices: the ways to allow a group of accesses, the narrowest that is portable first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from buildperm.policy import validation
from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.proposal import Choice
from buildperm.policy.rule import Rule

EXACT_MOST = 20
"""Files that are granted one by one where a folder will do."""

# Cargo's hash of a unit, as in `build/zlib-sys-0123456789abcdef/out`.
_HASH = re.compile(r"(?<=-)[0-9a-f]{16}(?=/|$)")
_HISTORY = re.compile(r".*?/\.git(?=/objects/)")
_OUTPUT_FOLDER = re.compile(r"\$TARGET_DIR/.*?/out(?=/|$)")
_BUILD_OUTPUT = re.compile(r"(\$TARGET_DIR)/.*?(/build/[^/]+(?:/[^/]+)?/out)(?=/|$)")


def exactly(kind: Kind, group: Iterable[Access]) -> Choice:
    """Allow what was seen, and nothing else."""
    rules = tuple(sorted({Rule(kind, _portable(access.target)) for access in group}))
    return Choice(_exact_title(kind, len(rules)), rules, "", "")


def for_reads(group: Sequence[Access]) -> list[Choice]:
    """Allow these files, then the folders directly around them, then everything below."""
    exact = _with_history(exactly(Kind.READ, group))
    targets = [rule.pattern for rule in exact.rules]
    above = _above(targets)
    parents = {target if target in above else _parent(target) for target in targets}
    parents = {folder for folder in parents if folder.count("/") >= _depth(folder) - 1}
    folders = set(map(folder_of_read(targets), targets))
    wider = [
        _choice(
            Kind.READ,
            (f"{folder}/*" for folder in parents if folder),
            "any file directly in {}",
            "Allows files there that were not seen, and new ones.",
        ),
        _choice(
            Kind.READ,
            (f"{folder}/**" for folder in folders if folder),
            "everything below {}",
            "Allows all files and folders there, now and later.",
        ),
    ]
    fitting = [choice for choice in wider if choice and _covers_all(choice, targets)]
    if len(exact.rules) > EXACT_MOST and fitting:
        return _distinct(fitting)
    return _distinct([exact, *fitting])


def _with_history(exact: Choice) -> Choice:
    """Take git's folder as a whole where its objects were read: each commit has others."""
    found = map(_HISTORY.match, (rule.pattern for rule in exact.rules))
    folders = sorted({f"{each[0]}/**" for each in found if each})
    widening = "Allows all of git's history, as the next commit has new files."
    return _by_folder(exact, Kind.READ, folders, widening)


def for_writes(group: Sequence[Access]) -> list[Choice]:
    """Allow these files, then everything in their folder."""
    exact = _with_content(exactly(Kind.WRITE, group), group)
    targets = [rule.pattern.removesuffix("/**") for rule in exact.rules]
    below = _choice(
        Kind.WRITE,
        {f"{folder_of_write(target)}/**" for target in targets},
        "everything below {}",
        "Allows making, changing and removing any file there.",
    )
    wider = [below] if below and _covers_all(below, targets) else []
    if wider and (len(exact.rules) > EXACT_MOST or not _above(targets).isdisjoint(targets)):
        return wider  # Folders can only be granted with what is in them.
    return _distinct([exact, *wider])


def _with_content(exact: Choice, group: Iterable[Access]) -> Choice:
    """Grant a folder to be created together with its content: an exact rule covers a file only."""
    folders = sorted({f"{_portable(each.target)}/**" for each in group if each.is_folder})
    return _by_folder(exact, Kind.WRITE, folders, "")


def _by_folder(exact: Choice, kind: Kind, folders: list[str], widening: str) -> Choice:
    """Replace rules by the `FOLDER/**` that covers them, where that can be granted."""
    whole = PatternSet(folders)
    left = [rule for rule in exact.rules if not whole.covers(rule.pattern)]
    rules = tuple(sorted((*(Rule(kind, folder) for folder in folders), *left)))
    if not folders or any(validation.to_grant(rule, reason="") for rule in rules):
        return exact
    named = ", ".join(folder.removesuffix("/**") for folder in folders)
    title = f"everything below {named}" + (f" and {len(left)} more" if left else "")
    return Choice(title, rules, "", widening)


def for_programs(group: Sequence[Access]) -> list[Choice]:
    """Allow these programs."""
    choices = [exactly(Kind.EXEC, group)]
    made = [rule.pattern for rule in choices[0].rules if rule.pattern.startswith("$OUT_DIR/")]
    if made and len(made) == len(choices[0].rules):
        wider = _choice(
            Kind.EXEC,
            ["$OUT_DIR/**"],
            "everything below {}",
            "Allows any program that the script makes itself, inside the same limits.",
        )
        choices += [wider] if wider else []
    return choices


def for_variables(group: Sequence[Access]) -> list[Choice]:
    """Allow these variables, then all that begin as they do."""
    exact = exactly(Kind.ENV, group)
    targets = [rule.pattern for rule in exact.rules]
    wider = _choice(
        Kind.ENV,
        {f"{target.partition('_')[0]}_*" for target in targets if _has_prefix(target)},
        "all variables {}",
        "Allows variables of these beginnings that were not seen, unless they look like secrets.",
    )
    return [exact, wider] if wider and _covers_all(wider, targets) else [exact]


def for_hosts(group: Sequence[Access]) -> list[Choice]:
    """Allow these hosts; a wider rule for the network has to be written by hand."""
    return [exactly(Kind.NET, group)]


def folder_of_read(targets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that tells which folder's files are decided together with a target.

    It returns an empty text for what lies directly in a root. A folder of `targets` that holds
    others of them is decided together with these.
    """
    above = _above(targets)

    def folder(target: str) -> str:
        components = target.split("/")
        depth = _depth(target)
        if len(components) > depth or (len(components) == depth and target in above):
            return "/".join(components[:depth])
        return ""

    return folder


def _depth(target: str) -> int:
    """Return the number of components of the widest folder that may be granted around a target."""
    output = _OUTPUT_FOLDER.match(target)
    if output:
        return output[0].count("/") + 1
    if target.startswith(("$CARGO_HOME/registry/src/", "$CARGO_HOME/git/checkouts/")):
        return 5  # One crate.
    return 2 if target.startswith("$") and not target.startswith("$TARGET_DIR/") else 3


def folder_of_write(target: str) -> str:
    """Return the folder that `target` was written in."""
    return _parent(target)


def prefix_of(accesses: Iterable[Access]) -> Callable[[str], str]:
    """Return a function that groups variables by their beginning, lonely ones together."""
    counts: dict[str, int] = {}
    for access in accesses:
        beginning = access.target.partition("_")[0]
        counts[beginning] = counts.get(beginning, 0) + 1

    def prefix(name: str) -> str:
        beginning = name.partition("_")[0]
        return beginning if counts.get(beginning, 0) > 1 else ""

    return prefix


def _choice(kind: Kind, patterns: Iterable[str], title: str, widening: str) -> Choice | None:
    """Make a choice; None if one of its rules would be refused in Cargo.toml."""
    rules = tuple(sorted({Rule(kind, pattern) for pattern in patterns}))
    if not rules or any(validation.to_grant(rule, reason="") for rule in rules):
        return None
    named = ", ".join(rule.pattern.removesuffix("/**").removesuffix("/*") for rule in rules[:3])
    more = f" and {len(rules) - 3} more" if len(rules) > 3 else ""
    return Choice(title.format(named + more), rules, "", widening)


def _covers_all(choice: Choice, targets: Iterable[str]) -> bool:
    allowed = PatternSet(rule.pattern for rule in choice.rules)
    return all(map(allowed.covers, targets))


def _distinct(choices: Iterable[Choice]) -> list[Choice]:
    return list({choice.rules: choice for choice in choices}.values())


def _exact_title(kind: Kind, count: int) -> str:
    noun = kind.traits.noun
    if count == 1:
        return f"exactly this {noun}"
    return f"exactly these {count} {noun}{'es' if noun.endswith('s') else 's'}"


def _portable(target: str) -> str:
    """Replace what differs on other machines or in other builds: profile and hashes."""
    target = _BUILD_OUTPUT.sub(r"\1/**\2", target)
    return _HASH.sub("*", target) if target.startswith("$TARGET_DIR/") else target


def _parent(target: str) -> str:
    return target.rpartition("/")[0]


def _above(targets: Iterable[str]) -> set[str]:
    """Return every folder that one of the targets lies in."""
    found: set[str] = set()
    for target in targets:
        folder = _parent(target)
        while folder and folder not in found:
            found.add(folder)
            folder = _parent(folder)
    return found


def _has_prefix(name: str) -> bool:
    beginning, underscore, rest = name.partition("_")
    return bool(underscore and rest) and len(beginning) > 2
