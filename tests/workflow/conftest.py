"""A copy of the bundled workspace, for every test here."""

from tests.command import examples

__all__ = ["examples"]
