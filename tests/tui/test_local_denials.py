"""A denial of something that only this machine has says so, in the list and on the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.rule import Rule
from buildperm.presentation.wording import TIMES

if TYPE_CHECKING:
    from tests.tui.review_bench import ReviewBench


def reading(pattern: str, name: str) -> Proposal:
    rule = Rule(Kind.READ, pattern)
    seen = Access(rule.kind, pattern, Outcome.DONE, 3, 0, 1, (("build",),))
    ways = (Choice("exactly this file", (rule,), "", ""),)
    return Proposal(name, "x", "1.0.0", f"read {pattern}", ways, Risk.LOW, ("why",), (seen,), "")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("$HOME/.config/tool.toml", "in your home folder"),
        ("/opt/tool/settings", "installed on this machine"),
        ("/usr/share/tool/settings", ""),
        ("$HOME/.ssh/id_ed25519", ""),
        ("$WORKSPACE/settings", ""),
    ],
)
async def test_a_denial_that_holds_here_alone_is_marked(
    make_bench: type[ReviewBench], pattern: str, why: str
) -> None:
    bench = make_bench([reading(pattern, "first"), reading("$WORKSPACE/other", "second")])
    async with bench.app.run_test(size=(140, 36)) as pilot:
        await pilot.press("n")
        assert "this machine only" not in bench.text("#tree")
        assert "denied on this machine only" not in bench.text("#card")

        await pilot.press("d", "k")
        await bench.until(pilot, lambda: "✗ denied" in bench.text("#card"))
        assert (f"this machine only  3{TIMES}" in bench.text("#tree")) == bool(why)
        card = " ".join(bench.text("#card").split())
        assert ("✗ denied on this machine only" in card) == bool(why)
        assert why in card

        await pilot.press("k", "k")  # On the crate, whose card lists what it wants.
        await bench.until(pilot, lambda: "undecided" in bench.text("#card"))
        assert ("this machine only" in bench.text("#card")) == bool(why)

        await pilot.press("u")
        await bench.until(pilot, lambda: not bench.answers())
        assert "this machine only" not in bench.text("#tree")
