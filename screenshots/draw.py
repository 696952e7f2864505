"""Draws every picture of `screenshots/`: `python -m screenshots.draw FOLDER`.

`inputs/` holds it: reports as `screenshots.record` has made them by real builds, with what
differs from run to run fixed. Everything that is said about it is said by the program as it is now,
so `tests/test_screenshots.py` finds a picture that has become stale.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
import sys
import textwrap
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from buildperm.policy import editor, manifest, proposals
from buildperm.policy.access import Outcome
from buildperm.policy.comparison import Comparison, SourceChange
from buildperm.policy.kinds import Kind
from buildperm.policy.review_state import Review
from buildperm.policy.snapshot import SeenAccess
from buildperm.presentation.front_end import Ran
from buildperm.report import findings, json_reader, text
from buildperm.report.build_run import BuildRun, ScriptRun
from buildperm.report.finding import Report
from buildperm.report.manifest_place import GrantLines
from buildperm.tui.app import ReviewApp
from screenshots.story import FRAME, Frame, animate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildperm.policy.proposal import Proposal

INPUTS: Final = Path(__file__).with_name("inputs")
WIDE: Final = (120, 36)
SMALL: Final = (80, 24)
_DISTRUST: Final = ("n", "X")
_ALL: Final = (*_DISTRUST, "y", *("a",) * 4)
SCENES: Final = {
    # File: input, size, and the keys that lead there.
    "learn": ("learn", WIDE, ("n",)),
    "learn-80x24": ("learn", SMALL, ("n",)),
    "diff": ("learn", WIDE, (*_ALL, "w")),
    "keys": ("learn", WIDE, ("question_mark",)),
    "review": ("review", WIDE, ("n",)),
    "changes": ("review", WIDE, ("n", "o")),
}
STORY: Final = "story"
STORY_SIZE: Final = (100, 30)
CI: Final = "ci"
CI_COLUMNS: Final = 100

_MANIFEST: Final = b'[workspace]\nmembers = ["postcard"]\nresolver = "3"\n'
_CELL: Final = 12.2  # Width of a cell in rich's SVG, in its own units.
_PADDED: Final = re.compile(
    r'x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>((?:&#160;)+)(?=[^<])'
)
_TEXT: Final = re.compile(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>')


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture of the screens is drawn from."""

    heading: str
    summary: str
    scripts: int  # How many ran, those that need nothing included.
    proposals: tuple[Proposal, ...]
    comparisons: dict[tuple[str, str], Comparison]


def pictures() -> dict[str, str]:
    """Draw all pictures; return them as SVG, by the name of the file."""
    scenes = {name: scene(INPUTS / f"{name}.json") for name in ("learn", "review")}
    drawn = {
        f"{name}.svg": asyncio.run(pose(application(scenes[source]), keys, size))
        for name, (source, size, keys) in SCENES.items()
    }
    failing = terminal("buildperm ci", failing_build(INPUTS / f"{CI}.json"))
    return drawn | {f"{CI}.svg": failing, f"{STORY}.svg": animate(story())}


def story() -> list[Frame]:
    """Draw learn, review and ci, step by step: what the real builds of `inputs/` did."""
    learn, review = (scene(INPUTS / f"{name}.json") for name in ("learn", "review"))

    def screen(given: Scene, *keys: str) -> str:
        return asyncio.run(pose(application(given), keys, STORY_SIZE))

    def printed(command: str, said: str) -> str:
        lines = [
            piece
            for line in said.rstrip("\n").split("\n")
            for piece in textwrap.wrap(line, CI_COLUMNS, subsequent_indent=" " * 16) or [""]
        ]
        rows = STORY_SIZE[1] - 1
        shown = [*lines[: rows - 1], "…"] if len(lines) > rows else lines
        return terminal(command, "\n".join([*shown, *[" "] * (rows - len(shown))]))

    recorded = "\n".join(text.summary(recorded_runs(INPUTS / "learn.json")))
    learns, reviews, ci = "buildperm learn", "cargo update && buildperm review", "buildperm ci"
    return [
        Frame(
            learns,
            "Builds once. Every build script and macro runs in a sandbox and is recorded.",
            printed(learns, f"{recorded}\n\n{learn.summary}."),
        ),
        Frame(
            learns,
            "left-padding reaches for keys and the network. Even now it is refused them.",
            screen(learn, "n"),
        ),
        Frame(
            learns,
            "One key denies all that it wants, and says what comes of it.",
            screen(learn, *_DISTRUST),
        ),
        Frame(
            learns,
            "Four answers for the honest ones: what they need, as narrowly as it was seen.",
            screen(learn, *_ALL),
        ),
        Frame(
            learns,
            "This is what Cargo.toml will say. It is tried before it is written.",
            screen(learn, *_ALL, "w"),
        ),
        Frame(
            reviews,
            "It asks only about what behaves differently: a patch release brought a thief along.",
            screen(review, "n"),
        ),
        Frame(
            reviews,
            "What is new in the behaviour of a crate, beside what is new in its sources.",
            screen(review, "n", "o"),
        ),
        Frame(
            ci,
            "It never asks. What nobody allowed is blocked, and the build fails and says why.",
            printed(ci, failing_build(INPUTS / f"{CI}.json")),
        ),
    ]


def recorded_runs(path: Path) -> list[ScriptRun]:
    """Read what ran in the build of an input, as a summary tells it."""
    document = json.loads(path.read_text("utf-8"))
    asked = scene(path).proposals
    return [
        ScriptRun(
            crate=each["crate"],
            version=each["version"],
            source="",
            way=tuple(each["way"]),
            events=each["events"],
            accesses=each["accesses"],
            duration_ns=0,
            findings=tuple(one for one in asked if one.crate == each["crate"]),
        )
        for each in document["scripts"]
    ]


def scene(path: Path) -> Scene:
    """Read what is decided in a picture of the screens."""
    document = json.loads(path.read_text("utf-8"))
    report = json_reader.read(path)
    order = [(each["crate"], each["version"]) for each in document["scripts"]]
    asked = [
        proposal
        for script in sorted(report.scripts, key=lambda one: order.index((one.crate, one.version)))
        for proposal in proposals.propose(script.crate, script.version, script.accesses)
    ]
    compared = [_comparison(each) for each in document["scene"]["comparisons"]]
    return Scene(
        document["scene"]["heading"],
        document["scene"]["summary"],
        len(order),
        tuple(asked),
        {(each.crate, each.version): each for each in compared},
    )


def application(given: Scene) -> ReviewApp:
    """Return the screens on which a scene is decided."""
    review = Review(given.proposals)

    def preview() -> tuple[bytes, bytes]:
        path = Path("Cargo.toml")
        after = _MANIFEST
        for key, grants in review.grants(manifest.read(_MANIFEST, path)).items():
            after = editor.with_grants(after, key, grants, path)
        return _MANIFEST, after

    return ReviewApp(
        review,
        preview=preview,
        verify=lambda progress: (),
        journal=lambda entry: None,
        heading=given.heading,
        summary=given.summary,
        ran=Ran(given.scripts),
        comparisons=given.comparisons,
        clock=itertools.count().__next__,  # No key comes too early here.
    )


async def pose(app: ReviewApp, keys: Sequence[str], size: tuple[int, int]) -> str:
    """Press keys and return the picture of what is shown then, as SVG."""
    async with app.run_test(size=size) as pilot:
        await pilot.press(*keys)
        await app.workers.wait_for_complete()
        await pilot.wait_for_scheduled_animations()
        return unpadded(app.export_screenshot(title=" "))


def failing_build(path: Path) -> str:
    """Return what `buildperm ci` says at the end of a build that was held to its grants."""
    document = json.loads(path.read_text("utf-8"))
    scripts = []
    for script in json_reader.read(path).scripts:
        (told,) = (each for each in document["scripts"] if each["crate"] == script.crate)
        asked = proposals.propose(script.crate, script.version, script.accesses)
        scripts.append(
            ScriptRun(
                crate=script.crate,
                version=script.version,
                source="",
                way=tuple(told["way"]),
                events=told["events"],
                accesses=told["accesses"],
                duration_ns=0,
                # What the others did is granted: the report says who was refused something.
                findings=tuple(asked) if script.failure else (),
                failure=script.failure,
            )
        )
    run = BuildRun("portable", document["landlock_abi"], "", (), tuple(scripts), 101)
    found = findings.from_build(run, GrantLines(_MANIFEST, Path("Cargo.toml")))
    return text.document(Report(run, tuple(found), "workspace", "Cargo.toml", 20))


def terminal(command: str, said: str) -> str:
    """Return the picture of a terminal after a command, as SVG."""
    console = Console(
        file=io.StringIO(), record=True, width=CI_COLUMNS, force_terminal=True, highlight=False
    )
    console.print(f"$ {command}", style="bold", markup=False)
    console.print(said.rstrip("\n"), markup=False)
    return unpadded(console.export_svg(title=" "))


def unpadded(svg: str) -> str:
    """Begin each text at its first letter: some viewers drop the spaces before it."""

    def moved(match: re.Match[str]) -> str:
        x, y, length, tail, spaces = match.groups()
        by = spaces.count(";") * _CELL
        return f'x="{float(x) + by:g}" y="{y}" textLength="{float(length) - by:g}"{tail}>'

    return _PADDED.sub(moved, svg)


def words(svg: str) -> list[str]:
    """Return what a picture says, line by line, whatever its colours and its measures are."""
    told = []
    for frame in svg.split(FRAME):  # Those of a story lie upon one another.
        lines: dict[float, list[tuple[float, str]]] = {}
        for x, y, said in _TEXT.findall(frame):
            lines.setdefault(float(y), []).append((float(x), unescape(said).replace("\xa0", " ")))
        told += [
            " ".join(" ".join(said for _, said in sorted(pieces)).split())
            for _, pieces in sorted(lines.items())
        ]
    return told


def _comparison(said: dict[str, Any]) -> Comparison:
    def seen(name: str) -> tuple[SeenAccess, ...]:
        return tuple(
            SeenAccess(Kind(kind), target, Outcome(outcome)) for kind, target, outcome in said[name]
        )

    def raw(given: str | None) -> bytes | None:
        return None if given is None else given.encode()

    return Comparison(
        said["crate"],
        said["version"],
        said["before"],
        tuple(said["way"]),
        tuple(said["causes"]),
        seen("new"),
        seen("gone"),
        seen("same"),
        tuple(SourceChange(name, raw(old), raw(new)) for name, old, new in said["sources"]),
        said["without_sources"],
    )


def main() -> None:
    """Draw all pictures into the folder that is named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures().items():
        (folder / name).write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
