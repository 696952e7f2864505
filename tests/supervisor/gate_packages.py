"""A package for the directive gate, with nothing granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage


def package(*denied: str) -> SessionPackage:
    """Return a package to which some directives are denied."""
    return {
        "crate": "crate",
        "id": "crate 0.1.0",
        "name": "crate",
        "version": "0.1.0",
        "source": "",
        "checksum": "",
        "read": [],
        "write": [],
        "exec": [],
        "net": [],
        "env": [],
        "directives": [],
        "deny": {"directives": list(denied)},
    }
