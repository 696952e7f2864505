"""Risk: how much a person should think before allowing an access, and why.

Whatever is not known is high. The table of programs is `risk.toml`.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from pathlib import Path

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.rule import Rule
from buildperm.rules import address, layout, own_temporaries, profile_output
from buildperm.rules.directive_table import LINK_ARGUMENTS
from buildperm.rules.pattern import is_literal, matches
from buildperm.rules.sensitive import opened_by, why
from buildperm.rules.shared_output import root
from buildperm.rules.variables import withheld_because
from buildperm.tracer.syscall_table import SignalLayout, of

_REACHING_OUT = frozenset(
    ("fetch", "clone", "pull", "push", "ls-remote", "submodule", "remote-https", "archive")
)

# gcc(1), "Link Options", and ld(1): options that take no value, and name no file.
_PLAIN_LINK_ARGUMENTS = frozenset(
    str.split(
        "-pthread -rdynamic -static-libgcc -static-libstdc++ -Wl,--as-needed "
        "-Wl,--no-as-needed -Wl,--no-undefined -Wl,--gc-sections -Wl,--export-dynamic "
        "-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,defs -Wl,-z,nodelete"
    )
)

# getaddrinfo(3) reads these, then asks a name server by UDP: resolv.conf(5), nsswitch.conf(5).
_OF_HOSTS = (
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
)
_DATAGRAMS = re.compile(r"socket\(inet6?, dgram\)")
_LOOK_UP = (
    "it looked up the name of a host by itself, or sent packets. Hosts that are granted are "
    "reached through the proxy that `HTTPS_PROXY` names, without a look-up."
)

_GIT = "git's folder: its settings can hold a token on CI services"
_READ = (  # The first that covers a path counts; all are folders.
    ("$WORKSPACE/.git/**", Risk.MEDIUM, _GIT),
    ("$MANIFEST_DIR/.git/**", Risk.MEDIUM, _GIT),
    ("$GIT/**", Risk.MEDIUM, _GIT),
    ("$WORKSPACE/**", Risk.LOW, "it is part of your workspace"),
    ("$MANIFEST_DIR/**", Risk.LOW, "it is part of the crate"),
    ("$OUT_DIR/**", Risk.LOW, "it is the script's own output"),
    ("$TMP/**", Risk.LOW, "it is the script's own temporary file"),
    *((each, Risk.LOW, "it is part of the Rust toolchain") for each in layout.FILES),
    ("$SYSROOT/**", Risk.MEDIUM, "it lies beside the Rust toolchain"),
    ("$CARGO_HOME/registry/src/**", Risk.LOW, "it is the published source of another crate"),
    ("$CARGO_HOME/git/checkouts/**", Risk.LOW, "it is the source of another crate"),
    ("$CARGO_HOME/**", Risk.MEDIUM, "it is in Cargo's own folder"),
    ("$TARGET_DIR/**", Risk.MEDIUM, "it is what other crates and build scripts produced"),
    ("$HOME/**", Risk.HIGH, "it is in your home folder, which is closed while learning"),
    ("/usr/**", Risk.LOW, "it is part of the operating system"),
    ("/opt/**", Risk.MEDIUM, "it is installed software"),
    (
        "/etc/gitconfig",
        Risk.HIGH,
        "these are Git's settings of this machine, in which addresses may hold a password",
    ),
    *((each, Risk.MEDIUM, "names of hosts are looked up with it") for each in _OF_HOSTS),
    ("/etc/**", Risk.MEDIUM, "it is a setting of this machine"),
    ("/proc/**", Risk.MEDIUM, "it tells about this machine"),
    ("/sys/**", Risk.MEDIUM, "it tells about this machine"),
)
_EXEC = (
    ("$OUT_DIR/**", Risk.MEDIUM, "it is a program that the script has made itself"),
    ("$TMP/**", Risk.MEDIUM, "it is a program that the script has made itself"),
    *((each, Risk.LOW, "it is part of the Rust toolchain") for each in layout.PROGRAMS),
    ("$CARGO_HOME/bin/rustfmt", Risk.LOW, "it is part of the Rust toolchain"),
    ("$CARGO_HOME/bin/rustc", Risk.MEDIUM, "it compiles, inside the same limits as the script"),
    ("$CARGO_HOME/bin/rustdoc", Risk.MEDIUM, "it compiles, inside the same limits as the script"),
    ("$CARGO_HOME/bin/cargo", Risk.MEDIUM, "it compiles, inside the same limits as the script"),
    ("$WORKSPACE/**", Risk.HIGH, "it is a program that lies in your workspace"),
    ("$MANIFEST_DIR/**", Risk.HIGH, "it is a program that came with the crate"),
    ("$TARGET_DIR/**", Risk.HIGH, "it is a program that another crate has made"),
    ("$CARGO_HOME/**", Risk.HIGH, "it is a program that came with another crate"),
    ("/usr/lib/gcc/**", Risk.MEDIUM, "it compiles, inside the same limits as the script"),
    ("/usr/libexec/gcc/**", Risk.MEDIUM, "it compiles, inside the same limits as the script"),
    ("/usr/lib/git-core/**", Risk.MEDIUM, "it is a part of git"),
    ("/usr/libexec/git-core/**", Risk.MEDIUM, "it is a part of git"),
    ("/usr/lib/llvm-*/bin/*", Risk.MEDIUM, "it compiles, inside the same limits as the script"),
    ("/memfd:**", Risk.HIGH, "it is a program that exists in memory only"),
    ("/dev/**", Risk.HIGH, "it is a program that exists in memory only"),
    ("/tmp/**", Risk.HIGH, "anybody can put programs there"),  # noqa: S108
    ("/var/tmp/**", Risk.HIGH, "anybody can put programs there"),  # noqa: S108
    ("/dev/shm/**", Risk.HIGH, "anybody can put programs there"),  # noqa: S108
)


def assess_access(access: Access) -> tuple[Risk, str]:
    """Judge one access; the text is one sentence."""
    if access.sensitive:
        return (
            Risk.CRITICAL,
            f"`{access.target}` is sensitive: {access.sensitive}.",
        )
    if access.kind is Kind.SYSTEM and access.target in of(SignalLayout):
        return Risk.HIGH, f"`{access.target}`: it was about a process that is not its own."
    if access.kind is Kind.SYSTEM and _DATAGRAMS.fullmatch(access.target):
        return Risk.HIGH, f"`{access.target}`: {_LOOK_UP}"
    if access.kind is Kind.SYSTEM:
        return Risk.HIGH, f"`{access.target}` is a system call that no build needs."
    risk, reason = assess_rule(Rule(access.kind, access.target))
    if access.kind is Kind.EXEC and risk < Risk.HIGH and reaches_out(access.example):
        return Risk.HIGH, f"`{access.target}`: it was told to talk to the network."
    is_own = own_temporaries.is_own(access.target) or profile_output.is_pattern(access.target)
    if access.kind is Kind.WRITE and access.outcome is Outcome.DONE and not is_own:
        return Risk.HIGH, f"{reason} It has happened: the sandbox could not prevent it."
    return risk, reason


@lru_cache(maxsize=1 << 17)
def assess_rule(rule: Rule) -> tuple[Risk, str]:
    """Judge what a rule allows; the text is one sentence. Used for pinning grants to versions."""
    match rule.kind:
        case Kind.READ:
            risk, reason = _of_read(rule.pattern)
        case Kind.WRITE:
            risk, reason = _of_write(rule.pattern)
        case Kind.EXEC:
            risk, reason = assess_program(rule.pattern)
        case Kind.NET:
            risk, reason = _of_host(rule.pattern)
        case Kind.ENV:
            withheld = withheld_because(rule.pattern)
            risk = Risk.CRITICAL if withheld else Risk.LOW
            reason = withheld or "an ordinary variable, read only"
        case Kind.DIRECTIVE:
            risk, reason = _of_directive(rule.pattern)
        case _:
            risk, reason = Risk.HIGH, rule.kind.traits.default_risk
    return risk, f"`{rule.pattern}`: {reason}."


@cache
def assess_program(program: str) -> tuple[Risk, str]:
    """Judge running `program`, a name or a portable path; the text is a clause."""
    place = program.partition("*")[0].partition("?")[0].rstrip("/")
    held = why(place, writing=False) if "/" in place else ""
    if held:
        return Risk.CRITICAL, f"it is sensitive: {held}"
    for pattern, risk, reason in _EXEC:
        if matches(pattern, program):
            return risk, reason
    if program.startswith("$"):
        return Risk.HIGH, "it is a program from an unusual place"
    name = program.rpartition("/")[2]
    for patterns, risk, reason in _programs():
        if any(matches(pattern, name) for pattern in patterns):
            return risk, reason
    return Risk.HIGH, "it is a program that buildperm does not know"


def reaches_out(command: str) -> bool:
    """Tell whether a command line, in notation, is one of git that talks to the network."""
    words = command.split()
    if not words or words[0].rpartition("/")[2] != "git":
        return False
    return not _REACHING_OUT.isdisjoint(words[1:])


@cache
def _programs() -> tuple[tuple[tuple[str, ...], Risk, str], ...]:
    text = Path(__file__).with_name("risk.toml").read_text("utf-8")
    return tuple(
        (tuple(table["names"]), Risk[table["risk"].upper()], table["why"])
        for table in tomllib.loads(text)["programs"]
    )


def _of_read(pattern: str) -> tuple[Risk, str]:
    held = _sensitive(pattern, writing=False)
    if held:
        return Risk.CRITICAL, f"it is sensitive: {held}"
    for known, risk, reason in _READ:
        if matches(known, pattern):
            return risk, reason
    return Risk.HIGH, "it lies outside of everything that belongs to the build"


def _sensitive(pattern: str, *, writing: bool) -> str:
    if is_literal(pattern):
        return why(pattern, writing=writing)
    return opened_by(pattern, writing=writing)


def _of_write(pattern: str) -> tuple[Risk, str]:
    if own_temporaries.is_own(pattern):
        return Risk.LOW, "it gets an empty folder of its own in the place of this one"
    if profile_output.is_pattern(pattern) and not profile_output.why_closed(pattern):
        if profile_output.is_loaded(pattern):
            return Risk.HIGH, "programs that Cargo runs from there load it, and it may be shipped"
        return Risk.MEDIUM, "programs find it beside themselves, and it may be shipped with them"
    held = _sensitive(pattern, writing=True)
    if held:
        return Risk.CRITICAL, f"it is sensitive: {held}"
    if pattern.startswith(("$OUT_DIR/", "$TMP/")):
        return Risk.LOW, "it is the script's own output"
    if root(pattern) not in ("", pattern):
        return Risk.MEDIUM, "crates share it: others read what is left there, and build it"
    if pattern.startswith("$MANIFEST_DIR/"):
        return Risk.HIGH, "it edits its own sources, so the next build may differ"
    return Risk.HIGH, "other programs and later builds see what it writes outside OUT_DIR"


def _of_host(pattern: str) -> tuple[Risk, str]:
    held = address.why_sensitive(pattern)
    if held:
        return Risk.CRITICAL, f"it is sensitive: {held}"
    found = address.of_pattern(pattern)
    packed = address.packed_address(found[0]) if found else None
    leaves = "it could send out what it reads, and what it downloads can change"
    if pattern.startswith("*."):
        leaves = f"{leaves}, through any host below this name"
    if packed is not None:
        why = address.why_special(packed)
        if why == "this machine itself":
            return Risk.HIGH, f"a local service may act on its behalf, and {leaves}"
        if why:
            return Risk.HIGH, f"it is in your own network, and {leaves}"
    return Risk.HIGH, leaves


def _of_directive(pattern: str) -> tuple[Risk, str]:
    key, _, value = pattern.partition("=")
    if key in LINK_ARGUMENTS and value in _PLAIN_LINK_ARGUMENTS:
        return Risk.MEDIUM, "it is an option of the linker that names no file and runs nothing"
    if key in LINK_ARGUMENTS or key == "rustc-flags":
        return Risk.HIGH, "arguments of the linker can run programs and add code to yours"
    if key == "rustc-link-search":
        if "$MANIFEST_DIR/" in value:
            return Risk.MEDIUM, "libraries that came with the crate are linked into your program"
        if "$OUT_DIR" in value and ".." not in value:
            return Risk.HIGH, "libraries there stand in for the system's, or give the linker orders"
        return Risk.HIGH, "libraries found there are linked into your program"
    if key == "rustc-link-lib":
        return Risk.HIGH, "a library that is named by its path comes from anywhere"
    if key == "rerun-if-env-changed":
        return Risk.HIGH, "Cargo keeps what looks like a secret in its target directory"
    if key == "rustc-env":
        return Risk.MEDIUM, "Cargo says this about the package itself, and the crate says otherwise"
    if key == "metadata":
        return Risk.HIGH, "what another script is still making is searched for libraries and read"
    return Risk.HIGH, "it is a directive that buildperm does not know"
