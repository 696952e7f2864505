"""Kinds of access: one table says everything that is particular to one kind.

To add a kind, add a member to `Kind`. Its key in Cargo.toml, its order, its words, the schemas, the
filter, `why` and the findings follow from its traits. Where a kind needs rules of its own, as for
risk and enforcement, a `match` without a default makes mypy point at what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Self

from buildperm.rules import baseline

_SYSTEM = ("/boot", "/dev", "/etc", "/home", "/media", "/mnt", "/proc", "/root", "/run", "/sys")
_CHANGING = ("/tmp", "/var", "/var/lib", "/var/run", "/var/tmp")  # noqa: S108
_WIDE = frozenset(("/", "$HOME", "$CARGO_HOME", *_SYSTEM, *_CHANGING))
_USR = ("/usr/bin", "/usr/lib", "/usr/libexec", "/usr/local", "/usr/local/bin", "/usr/sbin")
_STORES = ("/gnu/store", "/nix/store", "/opt")
_PROGRAMS = frozenset(("/bin", "/lib", "/lib64", "/sbin", "/usr", *_USR, *_STORES))
_HELD = "It was held to what the workspace grants it; the message says where that did not stop it."


class Syntax(Enum):
    """How the targets and patterns of a kind are written."""

    PATH = "path"
    PROGRAM = "program"  # A name that is looked up on PATH, or a path.
    ADDRESS = "address"
    VARIABLE = "variable"
    DIRECTIVE = "directive"  # KEY=VALUE
    CALL = "call"  # No pattern can be granted.


@dataclass(frozen=True, slots=True)
class FindingText:
    """What a report says about an access that was not granted."""

    name: str  # The rule's name in SARIF.
    deed: str  # Completes "A build script … without a grant".
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What sets one kind apart."""

    syntax: Syntax
    verb: str  # Completes "may …".
    past: str
    gerund: str
    noun: str  # What a target is: "program".
    plural: str
    finding: FindingText
    alias: str = ""  # Another word for the key where a kind is asked for.
    object: str = ""  # Follows the verb where there is room: "the variable".
    description: str = ""  # In the schema of the grant table.
    default_risk: str = ""  # Why it is high where risk.py does not know the kind; a clause.
    too_wide: frozenset[str] = frozenset()  # Folders whose whole content is never meant.
    baseline: tuple[str, ...] = ()  # What every build script may do, as far as patterns say it.
    habits: tuple[str, ...] = ()  # What programs try and get by without.
    is_first: bool = False  # In Cargo.toml and in lists for people.
    is_outward: bool = False  # Comes last in lists for people.

    def may(self) -> str:
        """Return the verb with its object, as they follow "may"."""
        return f"{self.verb} {self.object}".rstrip()


class Kind(StrEnum):
    """What an access does; the value is the key in Cargo.toml."""

    traits: Traits

    def __new__(cls, key: str, traits: Traits | None = None) -> Self:
        """Make a member whose value is its key; to look one up, a key is enough."""
        assert traits is not None
        member = str.__new__(cls, key)
        member._value_ = key
        member.traits = traits
        return member

    READ = (
        "read",
        Traits(
            syntax=Syntax.PATH,
            verb="read",
            past="read",
            gerund="reading",
            noun="file",
            plural="files",
            finding=FindingText(
                "UngrantedRead",
                "reads files",
                "A script or macro reached for files outside its own package, the tool chain and "
                f"the system's own files. {_HELD}",
            ),
            description="Files it may read and folders it may list.",
            too_wide=_WIDE,
            baseline=(*baseline.READ, *baseline.OWN_PROC, *baseline.WRITE),
            habits=baseline.QUIET,
        ),
    )
    WRITE = (
        "write",
        Traits(
            syntax=Syntax.PATH,
            verb="write",
            past="wrote",
            gerund="writing",
            noun="file",
            plural="files",
            finding=FindingText(
                "UngrantedWrite",
                "writes files",
                "A script or macro tried to make, change or remove files outside its OUT_DIR, "
                f"where they may outlive the build or be run later. {_HELD}",
            ),
            description=(
                "Files it may write, or folders (`FOLDER/**`) in which it may write, make, rename "
                "and remove."
            ),
            too_wide=_WIDE | _PROGRAMS | {"$WORKSPACE", "$MANIFEST_DIR", "$TARGET_DIR", "$SYSROOT"},
            baseline=baseline.WRITE,
            habits=baseline.QUIET_WRITES,
        ),
    )
    EXEC = (
        "exec",
        Traits(
            syntax=Syntax.PROGRAM,
            verb="run",
            past="ran",
            gerund="running",
            noun="program",
            plural="programs",
            finding=FindingText(
                "UngrantedProgram",
                "runs a program",
                "A script or macro tried to run a program that is neither rustc nor Cargo. What "
                f"such a program does, the build script does. {_HELD}",
            ),
            description=(
                "Programs it may run: a name, looked up on PATH when the script starts, or a path."
            ),
            too_wide=_WIDE | _PROGRAMS | {"$SYSROOT"},
            baseline=baseline.EXEC,
            is_first=True,
        ),
    )
    NET = (
        "net",
        Traits(
            syntax=Syntax.ADDRESS,
            verb="connect to",
            past="connected to",
            gerund="connecting to",
            noun="address",
            plural="addresses",
            finding=FindingText(
                "UngrantedConnection",
                "uses the network",
                "A script or macro tried to connect or to listen: to download what nobody pinned, "
                f"or to send what it found. {_HELD}",
            ),
            description=(
                "Where it may connect: `HOST:PORT`, `*.HOST:PORT`, or an address such as "
                "`127.0.0.1:8080` or `[::1]:443`; private ones only as addresses."
            ),
            habits=baseline.QUIET_SOCKETS,
            is_outward=True,
        ),
    )
    ENV = (
        "env",
        Traits(
            syntax=Syntax.VARIABLE,
            verb="see",
            past="saw",
            gerund="reading the variable",
            noun="variable",
            plural="variables",
            finding=FindingText(
                "UngrantedVariable",
                "sees an environment variable",
                "A script or macro reached for environment variables beyond those of Cargo and of "
                f"the usual tool chains. Variables hold secrets in CI. {_HELD}",
            ),
            object="the variable",
            description=(
                "Environment variables that it gets; what looks like a secret needs its exact name "
                "and a reason."
            ),
        ),
    )
    DIRECTIVE = (
        "directives",
        Traits(
            syntax=Syntax.DIRECTIVE,
            verb="tell Cargo",
            past="told Cargo",
            gerund="telling Cargo",
            noun="directive",
            plural="directives",
            finding=FindingText(
                "UngrantedDirective",
                "tells Cargo",
                "A script or macro printed directives that change how other code is compiled or "
                "linked: a script that is held can otherwise let rustc or the linker act for it. "
                "They were not passed on to Cargo.",
            ),
            alias="directive",
            description=("Lines `KEY=VALUE` that it may print for Cargo beyond the harmless ones."),
        ),
    )
    SYSTEM = (
        "system",
        Traits(
            syntax=Syntax.CALL,
            verb="call",
            past="called",
            gerund="calling",
            noun="call",
            plural="system calls",
            finding=FindingText(
                "RefusedSystemCall",
                "makes a refused system call",
                "A script or macro used a part of the kernel that no grant opens, such as loading "
                "modules or tracing other processes. Builds work without it.",
            ),
            default_risk="no build needs this system call",
            habits=baseline.QUIET,
            is_outward=True,
        ),
    )

    @property
    def is_file(self) -> bool:
        """Whether a target can be a path."""
        return self.traits.syntax in (Syntax.PATH, Syntax.PROGRAM)


_ORDERED = sorted(Kind, key=lambda kind: not kind.traits.is_first)

GRANTABLE = tuple(kind for kind in _ORDERED if kind.traits.syntax is not Syntax.CALL)
"""The kinds that a crate has a list of, in the order in which they are written."""

LISTED = tuple(sorted(_ORDERED, key=lambda kind: kind.traits.is_outward))
"""All kinds in the order in which they are listed for people."""

WORDS: Mapping[str, Kind] = MappingProxyType(
    {str(kind): kind for kind in Kind}
    | {kind.traits.alias: kind for kind in Kind if kind.traits.alias}
)
"""Kinds by the words that stand for them, as in `exec:cc`."""
