"""A workspace and a session around one build script, for every test here."""

from tests.bench import bench, own_bench

__all__ = ["bench", "own_bench"]
