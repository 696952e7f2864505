"""A package that `cargo add` would bring, beside what the workspace has of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from buildperm.cargo.metadata import Package
from buildperm.policy import system_packages
from buildperm.policy.kinds import Kind
from buildperm.policy.permission_entry import Ask, PermissionEntry
from buildperm.policy.role import SubjectKind
from buildperm.printable import shown
from buildperm.workflow.own_packages import OwnPackages

_C = frozenset({"cc", "cmake", "autotools"})
"""Presets of what compiles C."""


@dataclass(frozen=True, slots=True)
class BroughtPackage:
    """One package that `cargo add` would bring and that runs code in a build."""

    package: Package
    checksum: str  # Empty where it is from no registry.
    entry: PermissionEntry | None  # None where nothing of it was recorded.
    undecided: tuple[Ask, ...]  # What no grant and no denial of the workspace is about.
    owned: tuple[str, ...]  # The versions that the workspace has.
    has_grants: bool  # It says something about this version.

    @property
    def is_owned(self) -> bool:
        """Tell whether the workspace has this very version."""
        return self.package.version in self.owned

    @property
    def missed(self) -> tuple[SubjectKind, ...]:
        """Return what of it did not run, so that nobody knows what it asks."""
        ran = self.entry.ran if self.entry is not None else ()
        return tuple(each for each in self.package.subjects if each not in ran)

    @property
    def is_baseline(self) -> bool:
        """Tell whether all of it ran, with the same features, and asked for nothing."""
        entry = self.entry
        return entry is not None and not (
            entry.asks or entry.failure or self.missed or self.has_more_features
        )

    @property
    def has_more_features(self) -> bool:
        """Tell whether features are on that were not when it was recorded, as far as is known."""
        known = self.entry.features if self.entry is not None else None
        return known is not None and not {*self.package.features} <= {*known}

    @property
    def compiles_c(self) -> bool:
        """Tell whether it asks for a preset of C compilers."""
        return self.entry is not None and not _C.isdisjoint(self.entry.presets)

    @property
    def connects(self) -> bool:
        """Tell whether it asks for the network."""
        return self.entry is not None and any(Kind.NET in ask.kinds for ask in self.entry.asks)

    @property
    def install(self) -> str:
        """Return the command that installs what it links; empty if nobody knows."""
        distribution = system_packages.this_distribution()
        found = system_packages.of_links(self.package.links)
        return found[0].command(distribution) if found else ""

    def ownership(self) -> str:
        """Say whether the workspace has it; empty if it has none of it."""
        if self.is_owned:
            return f"you have it, {'with' if self.has_grants else 'without'} grants"
        if self.owned:
            return f"you have {', '.join(shown(each) for each in self.owned)}"
        return ""


def described(
    root: Package,
    found: Sequence[tuple[Package, str, PermissionEntry | None]],
    own: OwnPackages | None,
) -> list[BroughtPackage]:
    """Put beside what was found what the workspace has.

    Args:
        root: The crate that was asked for.
        found: Packages, their checksums, and what is known of them.
        own: The workspace; None where there is none.
    """
    brought = []
    for package, checksum, entry in found:
        asks = entry.asks if entry else ()
        owned: tuple[str, ...] = ()
        has_grants = False
        if own is not None:
            grants = own.grants(package)
            owned, has_grants = own.versions(package), grants is not None
            asks = own.open_asks(package, entry) if entry else ()
        brought.append(BroughtPackage(package, checksum, entry, asks, owned, has_grants))
    return sorted(brought, key=lambda each: (each.package != root, each.package.name))
