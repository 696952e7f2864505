"""Holes that were found by attacking: each test failed before its fix."""

from __future__ import annotations

from tests.bench import bench, own_bench

__all__ = ["bench", "own_bench"]
