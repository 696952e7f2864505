"""Pictures of the screens as SVG: `python -m buildperm.tui.pictures FOLDER RECORDING...`.

The same application, driven by keys, over proposals that come from real recordings.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import editor, manifest
from buildperm.policy.fold import fold
from buildperm.policy.proposals import propose
from buildperm.policy.review import Review
from buildperm.tracer.recording import reader
from buildperm.tui.app import ReviewApp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from buildperm.policy.access import Access
    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.front_end import Preview

SIZES: Final = ((80, 24), (120, 36), (200, 50))
"""Columns and rows."""

SCENES: Final = {
    "start": (),
    "card": ("n",),
    "worst": ("slash", *"risk:>=high", "enter", "n"),
    "several": ("A",),
    "diff": ("n", "a", "a", "d", "w"),
    "leave": ("n", "a", "q"),
    "keys": ("question_mark",),
}
"""Keys that lead to each picture."""

_MANIFEST: Final = b'[package]\nname = "app"\nversion = "0.1.0"\nedition = "2024"\n'

_CELL: Final = 12.2
"""Width of a cell in rich's SVG, in its own units."""

_PADDED: Final = re.compile(
    r'x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>((?:&#160;)+)(?=[^<])'
)


def draw(
    folder: Path,
    proposals: Sequence[Proposal],
    *,
    cargo_toml: bytes = _MANIFEST,
    heading: str = "learn",
    scenes: Iterable[str] = tuple(SCENES),
    sizes: Iterable[tuple[int, int]] = SIZES,
) -> list[Path]:
    """Write one picture per scene and size into `folder`; return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    for scene, (columns, rows) in itertools.product(scenes, sizes):
        review = Review(proposals)
        app = ReviewApp(
            review,
            preview=_preview(review, cargo_toml),
            verify=lambda progress: (),
            journal=lambda entry: None,
            heading=heading,
            scripts=len({(each.crate, each.version) for each in proposals}),
            clock=itertools.count().__next__,  # No key comes too early here.
        )
        svg = asyncio.run(pose(app, SCENES[scene], (columns, rows)))
        path = folder / f"{scene}-{columns}x{rows}.svg"
        path.write_text(svg, "utf-8")
        drawn.append(path)
    return drawn


def unpadded(svg: str) -> str:
    """Begin each text at its first letter: some viewers drop the spaces before it."""

    def moved(match: re.Match[str]) -> str:
        x, y, length, tail, spaces = match.groups()
        by = spaces.count(";") * _CELL
        return f'x="{float(x) + by:g}" y="{y}" textLength="{float(length) - by:g}"{tail}>'

    return _PADDED.sub(moved, svg)


def proposals_of(paths: Iterable[Path]) -> list[Proposal]:
    """Return what the build scripts of these recordings ask for, nothing being granted yet.

    Raises:
        BuildpermError: One of them cannot be used.
    """
    crates: dict[tuple[str, str], list[Access]] = {}
    for path in paths:
        recorded = reader.read(path)
        key = recorded.header.crate, recorded.header.crate_version
        crates.setdefault(key, []).extend(fold(recorded))
    return [
        proposal
        for (crate, version), accesses in crates.items()
        for proposal in propose(crate, version, accesses)
    ]


def _preview(review: Review, before: bytes) -> Preview:
    def preview() -> tuple[bytes, bytes]:
        path = Path("Cargo.toml")
        after = before
        for key, grants in review.grants(manifest.read(before, path)).items():
            after = editor.with_grants(after, key, grants, path)
        return before, after

    return preview


async def pose(app: ReviewApp, keys: Sequence[str], size: tuple[int, int]) -> str:
    """Press keys and return the picture of what is shown then, as SVG."""
    async with app.run_test(size=size) as pilot:
        await pilot.press(*keys)
        await app.workers.wait_for_complete()
        await pilot.pause()
        return unpadded(app.export_screenshot(title=" "))


def main(words: Sequence[str]) -> int:
    """Draw all pictures of `words[1:]` into the folder `words[0]`; return the exit code."""
    if len(words) < 2:
        sys.stderr.write("usage: python -m buildperm.tui.pictures FOLDER RECORDING...\n")
        return ExitCode.USAGE
    try:
        proposals = proposals_of(map(Path, words[1:]))
    except BuildpermError as error:
        sys.stderr.write(f"pictures: {error}\n")
        return error.exit_code
    for path in draw(Path(words[0]), proposals):
        sys.stdout.write(f"{path}\n")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
