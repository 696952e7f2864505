"""A copy of the bundled workspace, and a workspace that was learnt, for every test here."""

from tests.cli.learnt_workspace import learnt
from tests.command import examples

__all__ = ["examples", "learnt"]
