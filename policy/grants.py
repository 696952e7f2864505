"""Grants: what a workspace allows and refuses each build script, by the package's source.

A name alone says little: a git or path dependency may call itself `openssl-sys`. A plain key
therefore means the crates.io package of that name, or the workspace's own where the graph has no
crates.io package of that name; everything else is granted by a key that spells its source out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType

from buildperm.policy.cache_store import CacheStore
from buildperm.policy.rule import Rule
from buildperm.policy.runtime_table import WEAKEST
from buildperm.rules.pattern import TOKENS

FORMAT = 1
"""Version of the grant table that this version of buildperm reads and writes."""

AUTO = "auto"
"""In `runtime`: the strongest that the machine can run."""

HOLD, WATCH, OFF = "hold", "watch", "off"
COMPILING = (HOLD, WATCH, OFF)
"""In `compile`: each compiler call is held, or only looked at afterwards, or left alone."""

CRATES_IO = frozenset({"registry+https://github.com/rust-lang/crates.io-index"})
"""What Cargo calls the default registry in metadata and lock file, by whatever protocol it asks."""

_NAME = re.compile(r"[^\W\d][\w-]*")  # Cargo also takes letters beyond ASCII.
_VERSION = re.compile(
    r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)"
    r"(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)?)?",
    re.ASCII,
)
_SOURCE = re.compile(r"(?:git|registry|sparse)\+[a-z][a-z0-9+.-]*://[^\s#]+")
_PATH = re.compile(rf"path\+(?:\$(?:{'|'.join(TOKENS)})(?:/[^/].*)?|/.*)")


@dataclass(frozen=True, slots=True)
class CrateGrants:
    """What one key of the grant table says."""

    key: str  # As written: `openssl-sys`, `openssl-sys@0.9`, `git+https://…#name`.
    reviewed: frozenset[str] = frozenset()  # Revisions whose behaviour a person has seen.
    presets: frozenset[str] = frozenset()
    rules: frozenset[Rule] = frozenset()
    denials: frozenset[Rule] = frozenset()
    reason: str = ""
    consumers: frozenset[str] = frozenset()  # `for`: who else its macros' grants hold for.
    compile: str = ""  # How its own compiling is held: one of COMPILING; as the workspace's if "".
    expires: date | None = None  # The last day on which it grants anything; its denials stay.
    young: str = ""  # Why nothing of it is in force for one package yet: `policy.cooldown`.
    # What files of others grant and deny the package besides, of a package alone. A denial counts
    # whoever says it; an imported grant gives way to a narrower one of the table's own.
    imported: tuple[CrateGrants, ...] = ()
    origin: str = ""  # The file that an imported table is from, as Cargo.toml names it.

    def is_empty(self) -> bool:
        """Tell whether it says no more than having no entry would."""
        return self == CrateGrants(self.key)


def _nothing() -> Mapping[str, int]:
    return MappingProxyType({})


ASK_TIMEOUT_S = 60
"""How long a person has for one question, unless `ask-timeout` says something else."""

ASK_TIMEOUTS_S = range(5, 3601)
"""What may stand in `ask-timeout`."""


def _no_tables() -> Mapping[str, Mapping[str, int]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ImportedGrants:
    """A file of grants that a workspace has from somebody else: see `policy.imported_grants`."""

    file: str  # Its path from the folder of Cargo.toml.
    sha256: str  # In hexadecimal digits.
    origin: str  # Where it was fetched, for people.
    crates: Mapping[str, CrateGrants]  # By key.


@dataclass(frozen=True, slots=True)
class Policy:
    """The grant table of one workspace."""

    require: str  # Weakest runtime that may run a build script: one of RUNTIMES.
    crates: Mapping[str, CrateGrants]  # By key.
    manifest: Path  # The Cargo.toml that holds it.
    contexts: tuple[str, ...] = ()  # Words for Cargo, as for a shell; none: buildperm's own.
    limits: Mapping[str, int] = field(default_factory=_nothing)  # By name: see rules.limits.
    crate_limits: Mapping[str, Mapping[str, int]] = field(default_factory=_no_tables)  # By key.
    runtime: str = WEAKEST  # The one to use: one of RUNTIMES, or AUTO.
    shared: tuple[str, ...] = ()  # Write patterns that are meant for several crates, as written.
    compile: str = ""  # How compiling is held: one of COMPILING; nobody has said if "".
    min_age: int = 0  # Seconds; what is younger is held to the baseline: `policy.cooldown`.
    imports: tuple[ImportedGrants, ...] = ()
    young: tuple[str, ...] = ()  # Keys with whole versions that are held to their grants anyway.
    ask: bool | None = None  # Ask while plain Cargo waits; None: nobody has said.
    cache: bool = False  # Look for results of scripts, and keep them, where it is not said.
    cache_store: CacheStore | None = None  # Where others find what is kept.
    root: str = ""  # Where what scripts see as the system lies: a path, maybe with a token.
    root_digest: str = ""  # What it has to be; empty: scripts see the machine's own system.
    root_image: str = ""  # What it was unpacked from; a build looks at `root_digest` alone.
    ask_timeout_s: int = ASK_TIMEOUT_S  # After so long a question counts as refused.


@dataclass(frozen=True, slots=True)
class PackageSpec:
    """Which packages a key means: Cargo's package ID spec, with tokens for local folders."""

    source: str  # `git+https://…`, `path+$WORKSPACE/…`; empty for a plain name.
    name: str
    version: str  # A prefix such as `0.9`; empty for every version.

    def __str__(self) -> str:
        head = f"{self.source}#" if self.source else ""
        return f"{head}{self.name}@{self.version}" if self.version else f"{head}{self.name}"


def parse_key(key: str) -> PackageSpec:
    """Read a key of the grant table; `str` writes it back unchanged.

    Raises:
        ValueError: It is no package ID spec; the text says what is wrong, as a clause.
    """
    source, hash_sign, rest = key.rpartition("#")
    if not hash_sign and ("+" in key.split("@")[0] or "/" in key):
        raise ValueError("a source needs the name of the package behind it: `SOURCE#NAME`")
    if hash_sign and not (_SOURCE.fullmatch(source) or _PATH.fullmatch(source)):
        raise ValueError(
            "a source is `git+https://HOST/PATH`, `registry+https://…`, `sparse+https://…` or "
            "`path+$WORKSPACE/FOLDER`"
        )
    name, at_sign, version = rest.partition("@")
    if not _NAME.fullmatch(name):
        raise ValueError(f"`{name}` is no name that a package can have")
    if at_sign and not _VERSION.fullmatch(version):
        raise ValueError(f"`{version}` is no version and no beginning of one, such as `0.9`")
    return PackageSpec(source, name, version)


def key_for(
    name: str, source: str, directory: str, *, is_workspace_member: bool, has_registry_twin: bool
) -> str:
    """Return the shortest key that means this package and no impostor: what new grants go under.

    Args:
        name: The package's name.
        source: Cargo's source string; empty for a path.
        directory: The folder of its manifest in portable text.
        is_workspace_member: It belongs to the workspace itself.
        has_registry_twin: The graph has a crates.io package of the same name.
    """
    if _plain_name_means(source, is_workspace_member, has_registry_twin):
        return name
    return f"{_spelled(source, directory)}#{name}"


def with_imported(
    local: CrateGrants | None, key: str, found: Iterable[tuple[ImportedGrants, CrateGrants | None]]
) -> CrateGrants | None:
    """Return what a package is granted by its workspace together with what was imported for it.

    Args:
        local: What the workspace's own tables say; None if nothing.
        key: The key that new grants would go under.
        found: Each imported file, with what it says of the package.
    """
    lent = tuple(replace(grants, origin=each.file) for each, grants in found if grants is not None)
    return replace(local or CrateGrants(key), imported=lent) if lent else local


def flattened(grants: CrateGrants | None) -> CrateGrants | None:
    """Return all that a package is granted as one table, to compare it with another."""
    if grants is None or not grants.imported:
        return grants
    every = (grants, *grants.imported)
    return replace(
        grants,
        reviewed=frozenset().union(*(each.reviewed for each in every)),
        presets=frozenset().union(*(each.presets for each in every)),
        rules=frozenset().union(*(each.rules for each in every)),
        denials=frozenset().union(*(each.denials for each in every)),
        imported=(),
    )


def matching(
    policy: Policy,
    name: str,
    version: str,
    source: str,
    is_workspace_member: bool,
    has_registry_twin: bool,
    directory: str = "",
    as_named_here: str = "",
) -> CrateGrants | None:
    """Return what `policy` grants one package: the closest key's grants, every key's denials.

    The closest key is the one that spells the source out, then the one with the longest version.
    `directory` is the folder of its manifest in portable text, for `path+` keys, `as_named_here`
    what a key calls it that holds on this machine alone, as those of earlier versions do.
    """
    plain = _plain_name_means(source, is_workspace_member, has_registry_twin)
    spelled = {_spelled(source, directory), _spelled(source, as_named_here or directory)}
    meant: list[tuple[bool, int, CrateGrants]] = []
    for key, grants in policy.crates.items():
        spec = parse_key(key)
        fits = _spelled(spec.source, "") in spelled if spec.source else plain
        if fits and spec.name == name and is_of_version(version, spec.version):
            meant.append((bool(spec.source), len(spec.version), grants))
    if not meant:
        return None
    closest = max(meant, key=lambda candidate: candidate[:2])[2]
    denials = closest.denials.union(*(grants.denials for _, _, grants in meant))
    return replace(closest, denials=denials)


def _plain_name_means(source: str, is_workspace_member: bool, has_registry_twin: bool) -> bool:
    if source:
        return source in CRATES_IO
    return is_workspace_member and not has_registry_twin


def _spelled(source: str, directory: str) -> str:
    """Write a source as a key does: without the commit, and one name for all of crates.io."""
    if source in CRATES_IO:
        return "crates.io"
    if source.startswith("git+"):
        return source.partition("#")[0]
    return source or f"path+{directory}"


def is_of_version(version: str, prefix: str) -> bool:
    """Tell whether `prefix` means `version`: by whole numbers, pre-releases only by full name."""
    if not prefix:
        return True
    head, _, build = prefix.partition("+")
    number, _, pre = head.partition("-")
    whole, _, whole_build = version.partition("+")
    whole_number, _, whole_pre = whole.partition("-")
    if pre != whole_pre or (build and build != whole_build):
        return False
    parts = number.split(".")
    return whole_number.split(".")[: len(parts)] == parts
