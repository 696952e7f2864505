"""For which packages the grants of macros hold: the workspace's own, and those that `for` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from buildperm.cargo.grant_keys import GrantKeys
    from buildperm.cargo.metadata import Metadata
    from buildperm.policy.grants import CrateGrants


class MacroConsumers:
    """The packages of one workspace, as consumers of macros, by the keys that they go by."""

    def __init__(self, metadata: Metadata, keys: GrantKeys) -> None:
        """Prepare to ask."""
        self._packages = metadata.packages
        self._keys = keys
        self.members = {
            keys.of(metadata.packages[each])[0]: metadata.packages[each].name
            for each in metadata.members
        }
        """Names of the packages of the workspace, by key."""

    def named(self, words: Collection[str]) -> frozenset[str]:
        """Return the keys of the packages that the words of a `for` mean."""
        if not words:
            return frozenset()
        packages = self._packages.values()
        return frozenset(self._keys.of(p)[0] for p in packages if self._keys.is_meant(p, words))

    def hold(self, grants: CrateGrants | None, consumer: str) -> bool:
        """Tell whether grants hold for macros that are expanded in `consumer`."""
        return consumer in self.members or (
            grants is not None and consumer in self.named(grants.consumers)
        )
