"""A tool chain without settings and small workspaces, for every test here."""

from tests.cargo.workspaces import environment, nightly, toolchain, workspace

__all__ = ["environment", "nightly", "toolchain", "workspace"]
