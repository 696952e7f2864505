"""The explainer: why one version of a crate may do something, or why not.

It says what is enforced, by the same lists and functions that enforce it; nothing is run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from buildperm.policy import presets
from buildperm.policy.baseline_patterns import ALLOWED, HABITS, NOT_OWN, OF_PROGRAMS
from buildperm.policy.compilation import effective
from buildperm.policy.coverage import yields_to_wildcards
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
    Refused,
    Sensitive,
)
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind, Syntax
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import STEERS, why_sensitive
from buildperm.rules import address, baseline, directive, keyfiles, variables
from buildperm.rules.layout import GIT_COPY
from buildperm.rules.pattern import TOKENS, is_literal, matches
from buildperm.tracer.notation import encode

TOOL = "Cargo names it to every script as a tool of this build"
ON_PATH = "it is a folder of PATH, in which names of programs may be seen"
HANDED_OVER = "a crate that it depends on handed it over in a `DEP_` variable"
LOOKED_INTO = "buildperm has looked into these settings, and nothing in them is secret"
USED = "macros are run with it: their library, or what says which packages the workspace has"
DOCUMENTED = "Cargo sets it, or tool chains use it by convention"
HARMLESS = "it makes nobody run anything"
UNCONNECTED = "no grant opens a socket that is a file or a name on this machine"
UNOPENED = "no grant opens a system call"
_DESCRIPTORS = "/proc/self/fd/**"  # What it holds open it has already, however it asks again.
# Directives are judged by absolute paths; any folders will do that nothing lies in.
_PLACES = {token: b"/nonexistent/" + token.encode() for token in TOKENS}
_TOKEN = re.compile(rf"\$({'|'.join(TOKENS)})(?![A-Za-z0-9_])")


class Explainer:
    """Explains the accesses of one version of one crate under one set of grants."""

    def __init__(
        self,
        grants: CrateGrants | None,
        version: str,
        subjects: Collection[SubjectKind] = (SubjectKind.SCRIPT,),
    ) -> None:
        """Make the grants ready; None is a crate without any.

        `subjects` are what the crate has: nobody but a build script may write to an OUT_DIR.
        """
        self._has_script = SubjectKind.SCRIPT in subjects
        now = effective(grants, version)
        every = (grants, *grants.imported) if grants else ()
        own = frozenset[Rule]().union(*(each.rules for each in every))
        self._own = own
        self._presets = sorted(name for each in every for name in each.presets)
        self._origins = _Origins(every)
        self._denials = _ByKind(now.denials)
        # What a crate is granted by itself says more than what a preset brings along.
        self._rules = _ByKind(sorted(now.rules, key=lambda rule: (rule not in own, rule)))
        self._withheld = _ByKind(each.rule for each in now.withheld)
        self._why = {each.rule: each.why for each in now.withheld}

    def explain(
        self,
        kind: Kind,
        target: str,
        *,
        resolved: str = "",
        is_free: bool = False,
        handed_over: Collection[str] = (),
    ) -> Explanation:
        """Explain why an access is allowed or refused.

        Args:
            kind: Of the access.
            target: In portable text, as in `Access.target`; a directive also with its whole value.
            resolved: The file behind a program's name, portable; empty if it is not known.
            is_free: It was allowed for a reason of its run, as in `Access.is_free`; of a directive
                without its value: that it was harmless.
            handed_over: Folders that other scripts handed over, portable.

        Raises:
            ValueError: The target holds a `%` without two hexadecimal digits.
        """
        match kind.traits.syntax:
            case Syntax.PATH | Syntax.PROGRAM:
                return self._path(kind, target, resolved, is_free, handed_over)
            case Syntax.VARIABLE:
                return self._variable(kind, target)
            case Syntax.DIRECTIVE:
                return self._directive(target, is_free, handed_over)
            case Syntax.ADDRESS:
                return self._unopened(kind, target) or self._host(kind, target)
            case Syntax.CALL:
                return self._unopened(kind, target) or NeverGrantable(UNOPENED)

    def _unopened(self, kind: Kind, target: str) -> Refused | None:
        """Say why it is refused before any grant is looked at; None if it is not."""
        denial = self._denials.first(kind, target)
        if denial is not None:
            return Denied(denial, self._origins.of_denial(denial))
        habit = _habit(kind, target)
        return HabitualAttempt(habit) if habit else None

    def _host(self, kind: Kind, target: str) -> Explanation:
        found = address.of_pattern(target)
        if found is None:
            return NeverGrantable(UNCONNECTED)
        why = why_sensitive(kind, target)
        is_exact = address.packed_address(found[0]) is not None
        for rule in self._rules.all(kind, target):
            if is_literal(rule.pattern) or not is_exact:
                return self._granted(rule)
        for rule in self._withheld.all(kind, target):
            if is_literal(rule.pattern) or not is_exact:
                return self._not_in_force(rule)
        return Sensitive(why, None) if why else NotGranted()

    def _path(
        self, kind: Kind, target: str, resolved: str, is_free: bool, handed_over: Collection[str]
    ) -> Explanation:
        why = why_sensitive(kind, target)
        if kind is Kind.EXEC and is_free:
            return AllowedByBaseline("", TOOL)
        if kind is Kind.READ and is_free and _is_settings(target):
            return AllowedByBaseline("", LOOKED_INTO)
        if kind is Kind.READ and not why and (is_free or _is_below(target, handed_over)):
            if not self._has_script:
                return AllowedByBaseline("", USED)
            is_below = _is_below(target, handed_over)
            return AllowedByBaseline("", HANDED_OVER if is_below else ON_PATH)
        denial = self._denials.first(kind, target, resolved)
        if denial is not None:
            return Denied(denial, self._origins.of_denial(denial))
        is_own = kind is not Kind.READ or not NOT_OWN.covers(target)
        if kind is Kind.WRITE and not self._has_script:
            is_own = any(matches(pattern, target) for pattern in baseline.OF_MACROS.write)
        if not why and is_own and ALLOWED[kind].covers(target):
            return AllowedByBaseline(_first(kind.traits.baseline, target), "")
        wildcard: Rule | None = None
        for rule in self._rules.all(kind, target, resolved):
            if not why or _opens(rule, target):
                return self._granted(rule)
            wildcard = wildcard or rule
        if kind is not Kind.EXEC:
            habit = _habit(kind, target) if kind is Kind.WRITE or not why else ""
            if kind is Kind.READ and OF_PROGRAMS.covers(target):
                habit = ""  # A program's alone: who asks here asks about the crate.
            if kind is Kind.READ and target in baseline.PASSED_BY:
                habit = target
            if habit:
                return HabitualAttempt(habit)
        for rule in self._withheld.all(kind, target, resolved):
            if not why or _opens(rule, target):
                return self._not_in_force(rule)
        return Sensitive(why, wildcard) if why else NotGranted()

    def _variable(self, kind: Kind, name: str) -> Explanation:
        denial = self._denials.first(kind, name)
        if denial is not None:
            return Denied(denial, self._origins.of_denial(denial))
        why = variables.withheld_because(name)
        if not why and variables.is_baseline(name):
            return AllowedByBaseline("", DOCUMENTED)
        wildcard: Rule | None = None
        for rule in self._rules.all(kind, name):
            if not why or is_literal(rule.pattern):
                return self._granted(rule)
            wildcard = wildcard or rule
        for rule in self._withheld.all(kind, name):
            if not why or is_literal(rule.pattern):
                return self._not_in_force(rule)
        return Sensitive(why, wildcard) if why else NotGranted()

    def _directive(self, target: str, is_free: bool, handed_over: Collection[str]) -> Explanation:
        key, _, value = target.partition("=")
        value = _concrete(value)
        texts = directive.targets(key, value, _PLACES)
        denial = self._denials.first(Kind.DIRECTIVE, *directive.with_parts(key, value, _PLACES))
        if denial is not None:
            return Denied(denial, self._origins.of_denial(denial))
        if is_free:
            return AllowedByBaseline("", HARMLESS)
        granted = {rule.pattern: rule for rule in self._rules.of(Kind.DIRECTIVE)}
        for rule in self._rules.of(Kind.ENV):
            if is_literal(rule.pattern):  # It may tell Cargo to watch the variable, too.
                granted.setdefault(f"rerun-if-env-changed={rule.pattern}", rule)
        verdict = directive.judge(
            key,
            value,
            granted=granted,
            denied=(),
            places=_PLACES,
            # Sources of dependencies may be read, and nothing else.
            handed_over=[
                _concrete(folder).encode()
                for folder in handed_over
                if folder.startswith("$TARGET_DIR/")
            ],
        )
        if verdict == directive.FORBIDDEN:
            return NeverGrantable(STEERS)
        if verdict == directive.FREE:
            return AllowedByBaseline("", HARMLESS)
        if verdict == directive.GRANTED:
            covering = (p for p in granted if any(matches(p, text) for text in texts))
            return self._granted(granted[next(covering)])
        rule_withheld = self._withheld.first(Kind.DIRECTIVE, *texts)
        return self._not_in_force(rule_withheld) if rule_withheld else NotGranted()

    def _granted(self, rule: Rule) -> Explanation:
        if rule in self._own:
            return AllowedByRule(rule, self._origins.of_rule(rule))
        preset = self._preset(rule)
        return AllowedByPreset(preset, rule, self._origins.of_preset(preset))

    def _not_in_force(self, rule: Rule) -> Explanation:
        return NotInForce(rule, "" if rule in self._own else self._preset(rule), self._why[rule])

    def _preset(self, rule: Rule) -> str:
        return next(name for name in self._presets if rule in presets.PRESETS[name].rules)


class _ByKind:
    """Rules by kind, in order, asked many times."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[Kind, list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.kind, []).append(rule)
        self._sets = {
            kind: PatternSet(rule.pattern for rule in found) for kind, found in self._rules.items()
        }

    def of(self, kind: Kind) -> Sequence[Rule]:
        return self._rules.get(kind, ())

    def all(self, kind: Kind, *texts: str) -> list[Rule]:
        """Return the rules that cover one of `texts`; an empty text is none."""
        asked = [text for text in texts if text]
        patterns = self._sets.get(kind)
        if patterns is None or not any(map(patterns.covers, asked)):
            return []
        return [
            rule for rule in self._rules[kind] if any(matches(rule.pattern, text) for text in asked)
        ]

    def first(self, kind: Kind, *texts: str) -> Rule | None:
        found = self.all(kind, *texts)
        return min(found, key=lambda rule: (not is_literal(rule.pattern), rule)) if found else None


class _Origins:
    """Which tables the rules of a crate are from; the workspace's own counts first."""

    def __init__(self, every: Sequence[CrateGrants]) -> None:
        self._every = every

    def of_rule(self, rule: Rule) -> str:
        return next((each.origin for each in self._every if rule in each.rules), "")

    def of_preset(self, name: str) -> str:
        return next((each.origin for each in self._every if name in each.presets), "")

    def of_denial(self, rule: Rule) -> str:
        return next((each.origin for each in self._every if rule in each.denials), "")


def _opens(rule: Rule, target: str) -> bool:
    """Tell whether a rule that covers a sensitive target opens it."""
    return is_literal(rule.pattern) or yields_to_wildcards(rule.kind, target)


def _is_below(target: str, folders: Collection[str]) -> bool:
    return any(target == folder or target.startswith(f"{folder}/") for folder in folders)


@lru_cache(maxsize=1 << 14)
def _habit(kind: Kind, target: str) -> str:
    if matches(_DESCRIPTORS, target) and target != "/proc/self/fd":
        return _DESCRIPTORS
    return _first(kind.traits.habits, target) if HABITS[kind].covers(target) else ""


def _first(patterns: Iterable[str], target: str) -> str:
    return next(pattern for pattern in patterns if matches(pattern, target))


def _is_settings(target: str) -> bool:
    """Tell whether a path may be one of the settings that `cargo.settings_files` looks into."""
    is_gits = target.endswith(("/etc/gitconfig", "/etc/gitattributes", f"$TARGET_DIR/{GIT_COPY}"))
    is_limit = target.startswith("/sys/fs/cgroup/")
    return is_gits or is_limit or keyfiles.is_cargo_settings(target.split("/"))


def _concrete(text: str) -> str:
    """Write a portable text with the folders that `_PLACES` has for its tokens."""
    return _TOKEN.sub(lambda found: encode(_PLACES[found[1]]), text)
