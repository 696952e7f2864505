"""Choices: the ways to allow a group of accesses, the narrowest that is portable first."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from buildperm.policy import exact_rules, ladder, risk, validation
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.proposal import Choice, Risk
from buildperm.policy.rule import Rule
from buildperm.policy.stable_target import grantable

EXACT_MOST = 20
"""What is granted one by one where a folder, or a pattern of names, will do."""

_HISTORY = re.compile(r"(?:\$GIT|.*?/\.git)(?=/objects/)")
_TARGET = re.compile(  # Of a variable: the target triple, as `-sys` crates put it before the name.
    r"(?:X86_64|I[3-6]86|AARCH64|ARM[A-Z0-9]*|RISCV[0-9]+[A-Z]*|POWERPC[0-9A-Z]*|S390X|LOONGARCH64"
    r"|MIPS[0-9A-Z]*|WASM32)_(?:UNKNOWN_|PC_|APPLE_|ALPINE_)?"
    r"(?:LINUX|DARWIN|WINDOWS|FREEBSD|NETBSD|OPENBSD|UNKNOWN|WASI)"
    r"(?:_(?:GNU|MUSL|MSVC|ANDROID)[A-Z0-9]*)?_(?=[A-Z])"
)
_OUTPUT_FOLDER = re.compile(r"\$TARGET_DIR/.*?/out(?=/|$)")


@dataclass(frozen=True, slots=True)
class Choices:
    """The ways to allow a group, the narrowest first, and the one that is suggested."""

    all: tuple[Choice, ...]  # Never empty.
    suggested: int = 0  # Index of the narrowest that survives a week of ordinary work.

    @property
    def suggestion(self) -> Choice:
        """The narrowest that survives a week of ordinary work."""
        return self.all[self.suggested]


def exactly(kind: Kind, group: Iterable[Access]) -> Choice:
    """Allow what was seen, and nothing else."""
    seen = [*group]
    rules = exact_rules.of(kind, seen)
    folders = {grantable(each.target) for each in seen if kind is Kind.READ and each.is_folder}
    title = exact_rules.title(kind, rules, len(folders))
    return Choice(title, rules, "", exact_rules.widening(rules))


def for_reads(group: Sequence[Access], most: int = EXACT_MOST) -> Choices:
    """Allow these files, then those of the same kinds beside them, then folders, step by step.

    A folder that is listed gets new files in a week of work, and one whose folders are listed gets
    new folders. What a script reads by name stays exact, if it is not too much to list: `most`.
    """
    exact = _with_history(_with_links(exactly(Kind.READ, group), group))
    targets = [rule.pattern for rule in exact.rules]
    folders = {grantable(each.target) for each in group if each.is_folder}
    steps = ladder.of_reads([_bare(target) for target in targets], folders)
    choices = _climb(Kind.READ, exact, steps, targets)
    listed = ladder.above(targets).intersection(targets)
    if any(ladder.parent(folder) in listed for folder in listed):
        wanted = ladder.outermost(listed)
        fitting = [
            index
            for index, choice in enumerate(choices)
            if wanted <= {_bare(rule.pattern) for rule in choice.rules if "**" in rule.pattern}
        ]
        return Choices(choices, _first_grantable(choices, fitting))
    few = _short(choices, most)
    # What is in a folder that could not be listed nobody has seen.
    if listed or any(each.is_folder and each.outcome is Outcome.REFUSED for each in group):
        few = [index for index in few if index]
    elif any(risk.assess_rule(rule)[0] >= Risk.HIGH for rule in exact.rules):
        # A home folder is opened file by file, however long the list is: others are kept beside.
        few = [index for index in few if not _is_of_folders(choices[index])] or [0]
    return Choices(choices, _first_grantable(choices, few))


def _is_of_folders(choice: Choice) -> bool:
    return any(rule.pattern.rpartition("/")[2] in ("*", "**") for rule in choice.rules)


def _with_links(exact: Choice, group: Sequence[Access]) -> Choice:
    """Take a folder that a link leads to with all that is in it: so does who reads through it."""
    folders = sorted({f"{grantable(each.target)}/**" for each in group if each.is_whole})
    return _by_folder(exact, Kind.READ, folders, "")


def _with_history(exact: Choice) -> Choice:
    """Take git's folder as a whole where its objects were read: each commit has others."""
    found = map(_HISTORY.match, (rule.pattern for rule in exact.rules))
    folders = sorted({f"{each[0]}/**" for each in found if each})
    widening = "Allows all of git's history, as the next commit has new files."
    return _by_folder(exact, Kind.READ, folders, widening)


def for_walked_output(group: Iterable[Access], walked: Iterable[str]) -> Choice:
    """Allow reading target folders as wholes, and what this build has in its own folder there."""
    parts: dict[str, bool] = {}  # Whether it is a folder.
    for access in group:
        top, slash, rest = grantable(access.target).removeprefix("$TARGET_DIR/").partition("/")
        if access.target.startswith("$TARGET_DIR/"):
            parts[top] = parts.get(top, False) or bool(slash and rest) or access.is_folder
    own = (f"$TARGET_DIR/{top}{'/**' * is_folder}" for top, is_folder in parts.items())
    patterns = {*(f"{folder}/**" for folder in walked), *own}
    return Choice(
        f"everything below {ladder.named(walked)}",
        tuple(sorted(Rule(Kind.READ, pattern) for pattern in patterns)),
        widening="Allows reading what other crates were compiled to and what scripts left there.",
    )


def for_writes(group: Sequence[Access], granted: Iterable[Rule] = ()) -> Choices:
    """Allow these files, then everything in their folder, and in each folder around it.

    A script stops at the first file that it may not write, and tries the next one once it may. Who
    was granted a file has its folder suggested, not one file more in each round.
    """
    exact = _with_content(exactly(Kind.WRITE, group), group)
    targets = [_bare(rule.pattern) for rule in exact.rules]
    folders = {ladder.parent(target) for target in targets}
    steps = ladder.of_folders(folders, "Allows making, changing and removing any file there.")
    choices = _climb(Kind.WRITE, exact, steps, targets)
    if len(choices) > 1 and not choices[1].locked:
        if not ladder.above(targets).isdisjoint(targets):
            return Choices(choices[1:])  # Folders can only be granted with what is in them.
        before = {ladder.parent(rule.pattern) for rule in granted if rule.kind is Kind.WRITE}
        is_next = not before.isdisjoint(folders)
        return Choices(choices, int(is_next or len(exact.rules) > EXACT_MOST))
    return Choices(choices)


def is_beyond_grants(access: Access) -> bool:
    """Tell whether no grant can allow a change of a folder, as none can be for all of that."""
    return access.is_entry and validation.to_grant(_around(access), reason="") is not None


def _around(access: Access) -> Rule:
    return Rule(Kind.WRITE, f"{ladder.parent(grantable(access.target))}/**")


def _with_content(exact: Choice, group: Sequence[Access]) -> Choice:
    """Grant a folder to be created together with its content: an exact rule covers a file only.

    Names are made, moved and removed by a right over the folder that they are in.
    """
    folders = {f"{grantable(each.target)}/**" for each in group if each.is_folder}
    around = {_around(each).pattern for each in group if each.is_entry}
    widening = "Allows making, changing and removing any file there." if around else ""
    outermost = ladder.outermost(_bare(folder) for folder in folders | around)
    return _by_folder(exact, Kind.WRITE, sorted(f"{each}/**" for each in outermost), widening)


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


def for_programs(group: Sequence[Access]) -> Choices:
    """Allow these programs, then those in the folders of what is no program by name."""
    exact = exactly(Kind.EXEC, group)
    targets = [rule.pattern for rule in exact.rules]
    paths = {target for target in targets if "/" in target}
    if len(paths) < len(targets) or exact.widening:
        return Choices((exact,))
    steps = (
        *ladder.numbered(paths),
        *ladder.of_folders(map(ladder.parent, paths), "Allows any other program there, too."),
    )
    found = _climb(Kind.EXEC, exact, steps, targets)
    return Choices(found, _first_grantable(found, _short(found)))


def for_variables(group: Sequence[Access]) -> Choices:
    """Allow these variables, then all that begin as they do.

    What is named for one target, `X86_64_UNKNOWN_LINUX_GNU_FOO_DIR`, is allowed for all.
    """
    exact = exactly(Kind.ENV, group)
    names = [rule.pattern for rule in exact.rules]
    plain = set(map(_for_any_target, names))
    if plain == set(names):
        found = _climb(Kind.ENV, exact, ladder.of_variables(names), names)
        return Choices(found, _first_grantable(found, _short(found)))
    patterns = {
        name if _for_any_target(name) == name else f"*_{_for_any_target(name)}" for name in names
    }
    rules = tuple(sorted(Rule(Kind.ENV, pattern) for pattern in patterns))
    title = "this variable" if len(patterns) == 1 else f"these {len(patterns)} variables"
    first = Choice(f"{title}, for every target", rules, "", "Allows it for other targets, too.")
    families = (
        replace(step, patterns=step.patterns | {f"*_{pattern}" for pattern in step.patterns})
        for step in ladder.of_variables(sorted(plain))
    )
    found = _climb(Kind.ENV, first, families, names)
    return Choices(found, _first_grantable(found, _short(found)))


def _for_any_target(name: str) -> str:
    """Return what a variable is called without the target that it is named for."""
    return name[found.end() :] if (found := _TARGET.match(name)) else name


def for_hosts(group: Sequence[Access]) -> Choices:
    """Allow these hosts; a wider rule for the network has to be written by hand."""
    return Choices((exactly(Kind.NET, group),))


def _climb(
    kind: Kind, exact: Choice, steps: Iterable[ladder.Rung], targets: Iterable[str]
) -> tuple[Choice, ...]:
    """Make choices of the steps above the exact one, up to the first that cannot be granted."""
    found = {exact.rules: exact}
    needed = tuple(targets)
    for step in steps:
        rules = tuple(sorted(Rule(kind, pattern) for pattern in step.patterns))
        allowed = PatternSet(step.patterns)
        if rules in found or not all(map(allowed.covers, needed)):
            continue
        violation = next(
            filter(None, (validation.to_grant(rule, reason="") for rule in rules)), None
        )
        locked = f"{violation.what[0].upper()}{violation.what[1:]}." if violation else ""
        found[rules] = Choice(step.title, rules, "", step.widening, locked=locked)
        if locked or len(found) > ladder.STEPS_MOST:
            break
    return tuple(found.values())


def _short(choices: Sequence[Choice], most: int = EXACT_MOST) -> list[int]:
    """Return the indices of the choices that somebody will read in Cargo.toml."""
    return [index for index, choice in enumerate(choices) if len(choice.rules) <= most]


def _first_grantable(choices: Sequence[Choice], indices: Iterable[int]) -> int:
    """Return the first of these indices whose choice can be granted, else the narrowest."""
    return next((index for index in indices if not choices[index].locked), 0)


def _bare(pattern: str) -> str:
    return pattern.removesuffix("/**")


def folder_of_read(targets: Iterable[str], folders: Collection[str] = ()) -> Callable[[str], str]:
    """Return a function that tells which folder's files are decided together with a target.

    It returns an empty text for what lies directly in a root. A folder of `targets` that holds
    others of them, or is one of `folders`, is decided together with what is in it.
    """
    above = ladder.above(targets).union(folders)

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
    return ladder.parent(target)


def prefix_of(accesses: Iterable[Access]) -> Callable[[str], str]:
    """Return a function that groups variables by their beginning, lonely ones together."""

    def beginning_of(name: str) -> str:
        return _for_any_target(name).partition("_")[0]

    counts: dict[str, int] = {}
    for access in accesses:
        beginning = beginning_of(access.target)
        counts[beginning] = counts.get(beginning, 0) + 1

    def prefix(name: str) -> str:
        beginning = beginning_of(name)
        return beginning if counts.get(beginning, 0) > 1 else ""

    return prefix
