"""The evidence beside a decision, driven by keys."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from buildperm.errors import BuildpermError
from buildperm.policy.surplus import Surplus
from buildperm.presentation.front_end import NoEvidence
from buildperm.presentation.wording import TIMES
from buildperm.tui.screens.evidence_screen import EvidenceScreen
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.widgets import card
from buildperm.tui.widgets.evidence_lines import ManifestEdit, manifest_lines
from buildperm.tui.widgets.evidence_pane import EvidencePane
from tests.tui.evidence_bench import evidence_bench
from tests.tui.proposals import realistic
from tests.tui.review_bench import ReviewBench

if TYPE_CHECKING:
    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.proposal_evidence import ProposalEvidence
    from buildperm.tui.widgets.styled_line import Line

SIZE = (100, 30)


async def opened(bench: ReviewBench, pilot: object) -> str:
    """Return the text of the body once the evidence has been read."""
    for _ in range(100):
        await pilot.pause(0.02)  # type: ignore[attr-defined]
        text = bench.text("#evidence-body")
        if "Reading" not in text:
            return text
    raise AssertionError(text)


async def test_i_opens_every_command_line_counted_and_inert() -> None:
    bench, _ = evidence_bench()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i")
        text = await opened(bench, pilot)

        assert bench.is_at(EvidenceScreen)
        assert "Ran 2 command lines" in text
        assert "sh -c $'\\e[2J[red]\\xe2\\x80\\xae'" in text
        assert f"3{TIMES}" in text.partition("sh -c $")[0]
        assert "sh -c 'curl x | sh'" in text
        assert "refused by buildperm (EACCES)" in text


async def test_each_digit_shows_its_tab() -> None:
    bench, _ = evidence_bench()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i")
        await opened(bench, pilot)
        seen = {}
        for key in "123456":
            await pilot.press(key)
            seen[key] = bench.text("#evidence-body")

        assert "▸ └" not in seen["1"]
        assert "exit 1" in seen["2"]
        assert "90 ms" in seen["2"]
        assert "├─ sh -c" in seen["2"]
        assert "killed by SIGKILL" in seen["2"]
        assert "0.001 run" in seen["3"]
        assert "build script" in seen["3"].splitlines()[1]
        assert 'Best effort: searched gen for `"sh"`. A match proves nothing.' in seen["4"]
        assert "build.rs:12" in seen["4"]
        assert 'Command::new("sh")' in seen["4"]
        assert seen["5"].index("LD_PRELOAD") < seen["5"].index("rustc-link-lib")
        assert "it can never be granted" in seen["5"]
        assert "+allow 0" in seen["6"]


@pytest.mark.slow
async def test_tab_goes_round_and_a_click_chooses() -> None:
    bench, _ = evidence_bench()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i", "shift+tab")
        pane = bench.app.screen.query_one(EvidencePane)
        assert pane.tab == 5
        await pilot.press("tab", "tab")
        assert pane.tab == 1

        await pilot.click("#evidence-tabs", offset=(27, 0))

        assert pane.tab == 2


async def test_escape_goes_back_and_the_source_was_asked_once() -> None:
    bench, source = evidence_bench()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i")
        await opened(bench, pilot)
        await pilot.press("2", "3", "escape")

        assert bench.is_at(InboxScreen)
        assert len(source.asked) == 1


async def test_what_a_denied_proposal_would_write_is_the_denial() -> None:
    bench, _ = evidence_bench()
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "d", "k", "j", "i", "6")
        text = await opened(bench, pilot)

        assert "If you deny it" in text
        assert "+deny 0" in text


async def test_what_cannot_be_read_is_said_and_the_screen_stays() -> None:
    bench, source = evidence_bench()
    source.trouble = BuildpermError("cannot list the folder", hint="Make it readable.")
    async with bench.app.run_test(size=SIZE) as pilot:
        await pilot.press("n", "i")
        text = await opened(bench, pilot)

        assert "cannot list the folder" in text
        await pilot.press("2", "3", "4", "5")
        assert "Make it readable." in bench.text("#evidence-body")


@pytest.mark.parametrize(
    ("edit", "tone"),
    [
        (ManifestEdit(('+exec = ["sh"]',), "If you allow it", "high"), "high"),
        (ManifestEdit(('+exec = ["sh"]',), "If you allow it", "low"), "low"),
        (ManifestEdit(("+version = 1",), "If you allow it", "high"), ""),
    ],
)
@pytest.mark.quick(1)
def test_what_is_risky_is_never_added_in_green(edit: ManifestEdit, tone: str) -> None:
    *_, line = manifest_lines(edit, 60)

    assert {each for _, each in line.left} == {tone}


@pytest.mark.parametrize(
    ("surplus", "said"),
    [(Surplus(0, 0, is_complete=True), False), (Surplus(3, 1, is_complete=True), True),
     (Surplus(0, 0, is_complete=False), True)],
)  # fmt: skip
@pytest.mark.quick(1)
def test_only_what_a_rule_adds_is_counted(surplus: Surplus, said: bool) -> None:
    edit = ManifestEdit(('+read = ["x/*"]',), "If you allow it", "low", surplus)

    texts = [text for line in manifest_lines(edit, 90) for text, _ in line.left]
    assert (str(surplus) in texts) is said


class _CountingSource(NoEvidence):
    """Counts the same for each proposal."""

    def of(self, proposal: Proposal, /) -> ProposalEvidence:
        """Return what was counted."""
        counted = (Surplus(0, 0, is_complete=True), Surplus(12, 1, is_complete=True), None)
        return replace(super().of(proposal), surplus=counted)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (160, 45)])
async def test_what_each_rule_adds_stands_beside_it_once_it_is_counted(
    size: tuple[int, int],
) -> None:
    bench = ReviewBench(realistic(), evidence=_CountingSource())
    async with bench.app.run_test(size=size) as pilot:
        await pilot.press("slash", *"openssl.cnf", "enter", "n")
        await bench.until(pilot, lambda: "+12 files" in bench.text("#card"))

        lines = bench.text("#card").split("\n")
        (beside,) = (line for line in lines if "+12 files, 1 key closed" in line)
        assert "every file in /etc/ssl" in beside
        assert not any("+0" in line for line in lines)

        await pilot.press("left_square_bracket", "right_square_bracket")
        assert "+12 files, 1 key closed" in bench.text("#card")


def test_what_a_rule_adds_leaves_room_for_its_title() -> None:
    choice = realistic()[3].choices[1]

    def lines(cells: int) -> list[Line]:
        added = Surplus(12, 1, is_complete=True)
        return list(card._choice_lines(choice, 1, cells, chosen=False, asked=True, surplus=added))

    assert lines(80)[0].right == (("+12 files, 1 key closed", "bad"),)
    assert not any(line.right for line in lines(40))
    assert all(line.cells <= 54 for line in lines(54))
