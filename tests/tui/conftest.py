"""Applications over reviews, for every test of the screens."""

from tests.tui.review_bench import after_update, bench, make_bench, proposals

__all__ = ["after_update", "bench", "make_bench", "proposals"]
