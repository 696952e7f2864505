"""The pictures of `screenshots/`: they say what the program says now."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from screenshots import draw
from screenshots.story import SECONDS, Frame, animate

if TYPE_CHECKING:
    from buildperm.policy.proposal import Proposal

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "screenshots"
AGAIN = "`make screenshots` draws them anew"


@pytest.mark.slow
def test_no_picture_says_what_the_program_no_longer_says() -> None:
    drawn = draw.pictures()

    assert {path.name for path in FOLDER.glob("*.svg")} == set(drawn)
    for name, svg in drawn.items():
        committed = draw.words((FOLDER / name).read_text("utf-8"))
        assert len(committed) > 20, name
        assert draw.words(svg) == committed, f"{name} is stale: {AGAIN}"


def test_pictures_hold_nothing_of_the_machine_that_made_them() -> None:
    for path in (*FOLDER.glob("*.svg"), *FOLDER.glob("inputs/*.json")):
        text = path.read_text("utf-8")
        assert "/root/" not in text
        assert "/tmp/buildperm-" not in text


@pytest.mark.slow
def test_the_inputs_are_what_real_builds_do_now(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "screenshots.record", tmp_path],
        cwd=ROOT, check=True, capture_output=True, timeout=280,
    )  # fmt: skip

    for name in ("learn", "ci", "review"):
        made, committed = tmp_path / f"{name}.json", FOLDER / "inputs" / f"{name}.json"
        before, now = draw.scene(committed), draw.scene(made)
        assert [_told(each) for each in now.proposals] == [_told(each) for each in before.proposals]
        assert now.comparisons == before.comparisons
        assert (now.heading, now.summary, now.scripts) == (
            before.heading, before.summary, before.scripts,
        )  # fmt: skip
        assert _failures(made) == _failures(committed), AGAIN


def test_the_story_asks_nobody_for_anything_and_tells_all_of_itself() -> None:
    frames = [Frame(f"step {each}", f"<told> & {each}", _svg(each)) for each in range(3)]

    made = animate(frames)
    root = ElementTree.fromstring(made)

    assert re.sub(r'xmlns="[^"]*"', "", made).count("http") == 0
    assert "@font-face" not in made
    assert root.get("aria-label") == "1. <told> & 0; 2. <told> & 1; 3. <told> & 2"
    groups = root.findall("{*}g")
    assert [group.get("style") for group in groups] == [
        f"animation-delay:{each * SECONDS}s" for each in range(3)
    ]
    assert [group.get("class") for group in groups] == ["frame first", "frame", "frame"]
    assert f"animation:shown {3 * SECONDS}s" in made
    assert "33.3333%{visibility:hidden}" in made


def _svg(tall: int) -> str:
    return (
        '<svg class="rich-terminal" viewBox="0 0 100 5{tall}" xmlns="http://www.w3.org/2000/svg">'
        "<!-- Generated with Rich https://www.textualize.io -->"
        '<style>@font-face { src: url("https://cdnjs.example/x.woff2") }</style></svg>'
    ).replace("{tall}", str(tall))


def _told(proposal: Proposal) -> tuple[object, ...]:
    return proposal.crate, proposal.title, proposal.risk, proposal.notes, proposal.locked


def _failures(path: Path) -> list[tuple[str, str]]:
    scripts = json.loads(path.read_text("utf-8"))["scripts"]
    return [(each["crate"], each["failure"]) for each in scripts]


def test_a_picture_begins_each_text_at_its_first_letter() -> None:
    """Some viewers drop the spaces before it."""
    svg = '<text class="a" x="0" y="20" textLength="61" clip-path="url(#b)">&#160;&#160;abc</text>'

    assert draw.unpadded(svg) == (
        '<text class="a" x="24.4" y="20" textLength="36.6" clip-path="url(#b)">abc</text>'
    )
    assert draw.words(svg) == draw.words(draw.unpadded(svg)) == ["abc"]
