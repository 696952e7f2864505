"""Why a grant cannot stand: a pattern that says nothing, too much, or what nobody may grant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from buildperm.policy.kinds import Kind, Syntax
from buildperm.policy.rule import Rule
from buildperm.policy.write_conflicts import is_own
from buildperm.rules import (
    address,
    directive,
    own_temporaries,
    profile_output,
    sensitive,
    shared_output,
    variables,
)
from buildperm.rules.pattern import TOKENS, is_literal
from buildperm.tracer import notation

_TOKEN = re.compile(rf"\$(?:{'|'.join(TOKENS)})(?![A-Za-z0-9_])")
_PROFILE = re.compile(r"\A\$TARGET_DIR/\$PROFILE(?=/)")
_WORD = re.compile(r"\$\{?([A-Za-z0-9_]*)\}?")
_WILD = re.compile(r"[*?]+")
_DIRECTIVE = re.compile(r"[a-z][a-z0-9-]*=.+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with a grant or a denial, and the way out."""

    what: str  # A clause that begins in lower case.
    hint: str  # One imperative sentence.


def to_grant(rule: Rule, *, reason: str) -> Violation | None:
    """Say why `rule` cannot be granted; `reason` is what its crate gives as one."""
    pattern = rule.pattern
    syntax = rule.kind.traits.syntax
    is_path = syntax is Syntax.PATH or (syntax is Syntax.PROGRAM and _is_path(pattern))
    found = (_form(pattern) if is_path and pattern else None) or to_denial(rule)
    if found is not None:
        return found
    match syntax:
        case Syntax.PATH:
            return _path(rule, reason)
        case Syntax.PROGRAM:
            return (
                _path(rule, reason) if is_path else _only_wildcards(pattern, rule.kind.traits.noun)
            )
        case Syntax.ADDRESS:
            return _address(pattern, reason)
        case Syntax.VARIABLE:
            return _variable(pattern, reason)
        case Syntax.DIRECTIVE:
            return _directive(pattern)
        case Syntax.CALL:
            return Violation("no grant opens a system call", "Remove it.")


def to_sharing(rule: Rule) -> Violation | None:
    """Say why several crates cannot share the places that `rule` lets them write.

    It grants nothing: whether it is in the sensitive tier is for the grants themselves to say.
    """
    if is_own(rule.pattern):
        return Violation("each crate has another one", "Remove it.")
    return to_grant(rule, reason="each grant gives its own")


def to_denial(rule: Rule) -> Violation | None:
    """Say why `rule` is no valid pattern; no denial is too wide."""
    if not rule.pattern:
        return Violation("the pattern is empty", "Remove it.")
    beside = rule.kind is Kind.WRITE and profile_output.is_pattern(rule.pattern)
    for word in _WORD.finditer(rule.pattern):
        if beside and word[0] == "$PROFILE":
            continue
        if not _TOKEN.match(rule.pattern, word.start()):
            return _unknown_token(word)
    if rule.kind.traits.syntax is Syntax.ADDRESS and rule.pattern.startswith(
        "["
    ):  # As everybody writes them.
        return _spelling(rule.pattern.replace("[", "%5B", 1).replace("]", "%5D", 1))
    return _spelling(rule.pattern)


def _is_path(pattern: str) -> bool:
    return "/" in pattern or pattern.startswith(("$", "~", "."))


def _spelling(pattern: str) -> Violation | None:
    """Refuse text that the notation writes in another way: it would match nothing."""
    canonical = ""
    at = 0
    plains = rf"{_PROFILE.pattern}|{_TOKEN.pattern}|{_WILD.pattern}"
    for plain in (*re.finditer(plains, pattern), None):
        literal = pattern[at : plain.start() if plain else len(pattern)]
        try:
            raw = notation.decode(literal)
        except ValueError:
            return Violation(
                "`%` begins a byte and needs two hexadecimal digits",
                "Write `%25` where a percent sign is meant.",
            )
        if b"\0" in raw:
            return Violation("`%00` cannot be part of a name", "Remove it.")
        canonical += notation.encode(raw) + (plain.group() if plain else "")
        at = plain.end() if plain else at
    if notation.renewed(pattern) != canonical:
        return Violation("it is not in the notation of recordings", f"Write `{canonical}`.")
    return None


def _unknown_token(word: re.Match[str]) -> Violation:
    close = get_close_matches(word[1].upper(), TOKENS, 1, 0.5)
    if close:
        return Violation(f"`{word[0]}` is no token", f"Write `${close[0]}`.")
    tokens = " ".join(f"${token}" for token in TOKENS)
    return Violation(
        f"`{word[0]}` is no token",
        f"Use one of {tokens}, or write `%24` where a dollar sign is meant.",
    )


def _form(pattern: str) -> Violation | None:
    """Refuse a path that is not absolute, or not in its shortest form."""
    head, *components = pattern.split("/")
    if head.startswith("~"):
        return Violation("`~` is not expanded", "Write `$HOME` instead.")
    token = _TOKEN.match(head)
    word = _WORD.match(head)
    if word and not token:
        return _unknown_token(word)
    if token:
        if token.end() < len(head):
            return Violation("a token is a folder of its own", f"Put a `/` after `{token[0]}`.")
    elif head:
        return Violation(
            "a relative path has no meaning here",
            "Begin it with a token such as `$WORKSPACE/`, or with `/`.",
        )
    if ".." in components or "." in components:
        return Violation("`.` and `..` are not followed", "Write the path that is meant.")
    if components and components[-1] == "" and pattern != "/":
        return Violation(
            "it ends in `/`", "Write `FOLDER/**` for a folder with everything below it."
        )
    if "" in components[:-1]:
        return Violation("it holds an empty component", "Write one `/` for `//`.")
    return None


def _path(rule: Rule, reason: str) -> Violation | None:
    pattern, writing = rule.pattern, rule.kind is Kind.WRITE
    if writing and own_temporaries.is_own(pattern):
        return None
    syntax = rule.kind.traits.syntax
    components = pattern.split("/")
    if profile_output.is_pattern(pattern):
        return _beside_programs(pattern, writing=writing)
    closed = shared_output.why_closed(pattern) if writing else _around_outputs(components)
    if closed:
        return Violation(
            f"nobody is granted {'to write ' if writing else ''}`{pattern}` ({closed})",
            "Name a folder that crates share, such as `$TARGET_DIR/NAME/**`."
            if writing
            else "Name the folder, such as `$TARGET_DIR/NAME/**` or "
            "`$TARGET_DIR/**/build/CRATE-*/out/**`.",
        )
    literal = next((n for n, part in enumerate(components) if not is_literal(part)), None)
    if literal is not None:
        base = "/".join(components[:literal]) or "/"
        tail = components[literal:]
        everything = any("**" in part for part in tail) or (
            syntax is Syntax.PROGRAM and not _WILD.sub("", tail[-1])
        )
        shared = shared_output.root(pattern)
        if everything and base in rule.kind.traits.too_wide and not shared:
            return Violation(
                f"everything below `{base}` is too much for one grant",
                "Name the folder or the files that are needed.",
            )
        below = pattern[len(shared) :].removesuffix("/**")
        is_folder = pattern.endswith("/**") and is_literal(below) if shared else tail == ["**"]
        if writing and not is_folder:
            return Violation(
                "what may be written is one file, or a folder with everything below it",
                "Write the file's path, or `FOLDER/**`.",
            )
        opened, held = _opened(pattern, writing=writing)
        if held:
            return Violation(
                f"a wildcard cannot grant what is sensitive, as `{opened}` is ({held})",
                "Name what is needed by its exact path, with a `reason`.",
            )
        return None
    if pattern in rule.kind.traits.too_wide and writing:
        return Violation("it is a folder that everybody uses", "Name a file.")
    held = sensitive.why(pattern, writing=writing)
    if held and not reason:
        return Violation(
            f"it is sensitive ({held}), and its crate gives no reason",
            'Add `reason = "…"` to the crate, or remove the grant.',
        )
    return None


def _beside_programs(pattern: str, *, writing: bool) -> Violation | None:
    """Say why files beside programs cannot be granted."""
    if not writing:
        return Violation(
            "`$PROFILE` stands for a folder in grants to write only",
            "Write `$TARGET_DIR/*/NAME` where it is read.",
        )
    closed = profile_output.why_closed(pattern)
    if closed:
        return Violation(
            f"nobody is granted to write `{pattern}` ({closed})",
            "Name what lies beside programs, such as `$TARGET_DIR/$PROFILE/*.so` or "
            "`$TARGET_DIR/$PROFILE/resources/**`.",
        )
    if "**" in pattern.removesuffix("/**"):
        return Violation("it means every file", "Write `FOLDER/**`, or files with one ending.")
    return None


def _around_outputs(components: Sequence[str]) -> str:
    """Say why nobody reads what a pattern means, if it is most of the target directory."""
    if components[0] != "$TARGET_DIR" or not any(map(_is_wild, components[1:2])):
        return ""
    rest = [part for part in components[1:] if _WILD.sub("", part)]
    if rest and (rest[0] != "build" or len(rest) > 1):
        return ""
    return "it is what all other crates are compiled to, and buildperm's own files"


def _is_wild(component: str) -> bool:
    return not is_literal(component)


def _address(pattern: str, reason: str) -> Violation | None:
    found = address.of_pattern(pattern)
    if found is None:
        return Violation(
            "it is no host with a port",
            "Write `HOST:PORT` or `*.HOST:PORT`, such as `crates.io:443`.",
        )
    host, port = found
    packed = address.packed_address(host)
    is_wild = pattern.startswith("*.")
    canonical = f"{'*.' if is_wild else ''}{address.joined(host, port)}"
    if pattern not in (canonical, notation.encode(canonical.encode())):
        return Violation("it is not written as it is compared", f"Write `{canonical}`.")
    if packed is None:
        if is_wild and "." not in host:
            return Violation(
                f"everything below `{host}` is too much for one grant",
                "Name the host, or a domain that belongs to somebody.",
            )
        return None
    if is_wild:
        return Violation("an address has nothing below it", f"Write `{canonical[2:]}`.")
    why = address.why_special(packed)
    if why in ("unspecified", "multicast") or packed in (b"\xff" * 4, b"\0" * 16):
        return Violation("it is no address of one machine", "Write the address of one.")
    held = address.why_sensitive(pattern)
    if held and not reason:
        return Violation(
            f"it is sensitive ({held}), and its crate gives no reason",
            'Add `reason = "…"` to the crate, or remove the grant.',
        )
    return None


def _variable(pattern: str, reason: str) -> Violation | None:
    if "=" in pattern:
        return Violation("a variable is granted by its name alone", "Remove `=` and the value.")
    if is_literal(pattern) and variables.looks_secret(pattern) and not reason:
        return Violation(
            "its name looks like a secret's and its crate gives no reason",
            'Add `reason = "…"` to the crate, or remove the grant.',
        )
    return _only_wildcards(pattern, "variable")


def _directive(pattern: str) -> Violation | None:
    key, _, value = pattern.partition("=")
    if not _DIRECTIVE.fullmatch(pattern):
        return Violation(
            "it is no directive with a value", "Write `KEY=VALUE`, such as `rustc-link-arg=-lm`."
        )
    if directive.judge(key, value, granted=[pattern], denied=[], places={}) == "forbidden":
        return Violation(
            "no build script may tell Cargo this",
            "Remove it: it would steer tools outside the sandbox.",
        )
    return _only_wildcards(value, "value")


def _only_wildcards(pattern: str, what: str) -> Violation | None:
    if _WILD.sub("", pattern):
        return None
    return Violation(f"it means every {what}", f"Name the {what}s that are needed.")


@lru_cache(maxsize=1 << 15)
def _opened(pattern: str, *, writing: bool) -> tuple[str, str]:
    """Say what is sensitive that a pattern would open; crates share folders, so it is kept."""
    return sensitive.opening(pattern, writing=writing)
