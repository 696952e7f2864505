"""A few pictures of states, as a terminal would show them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from buildperm.policy.combination import combine
from buildperm.policy.fold import fold
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from buildperm.presentation.front_end import Ran
from buildperm.tracer.notation import encode
from buildperm.tui.appearance import Appearance
from buildperm.tui.trace_app import TraceApp
from tests.policy.macro_recordings import reads, record
from tests.presentation.trace_recordings import traced_run
from tests.tui.evidence_bench import evidence_bench
from tests.tui.proposals import crowd
from tests.tui.review_bench import ReviewBench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import App
    from textual.pilot import Pilot

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.front_end import ReviewEnd

SMALL, MIDDLE, LARGE = (80, 24), (120, 36), (200, 50)


class Compare(Protocol):
    """What pytest-textual-snapshot lends."""

    def __call__(
        self,
        app: App[Any],
        *,
        run_before: Callable[[Pilot[Any]], Awaitable[None]],
        terminal_size: tuple[int, int],
    ) -> bool:
        """Compare the picture of an application after some keys with the one that is kept."""


def pressing(*keys: str) -> Callable[[Pilot[ReviewEnd]], Awaitable[None]]:
    """Press keys and wait until what they start has ended."""

    async def press(pilot: Pilot[ReviewEnd]) -> None:
        await pilot.press(*keys)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()

    return press


def waiting(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Press keys once all is read, and wait until what they show is read."""

    async def settle(pilot: Pilot[Any]) -> None:
        for _ in range(2):
            await pilot.pause(0.3)
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()

    async def press(pilot: Pilot[Any]) -> None:
        await settle(pilot)
        await pilot.press(*keys)
        await settle(pilot)

    return press


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=["80x24", "120x36"])
@pytest.mark.parametrize(
    "keys",
    [(), ("j", "j", "j", "j", "]"), ("slash", *"risk:c", "enter", "n")],
    ids=["start", "ladder", "locked"],
)
@pytest.mark.quick(1)
def test_inbox(
    snap_compare: Compare, bench: ReviewBench, keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    assert snap_compare(bench.app, run_before=pressing(*keys), terminal_size=size)


@pytest.mark.parametrize(
    "keys", [("A",), ("j", "a", "q"), ("j", "a", "d", "w")], ids=["several", "leave", "diff"]
)
def test_other_screens(snap_compare: Compare, bench: ReviewBench, keys: tuple[str, ...]) -> None:
    assert snap_compare(bench.app, run_before=pressing(*keys), terminal_size=MIDDLE)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=["80x24", "120x36"])
@pytest.mark.parametrize(
    "keys",
    [("equals_sign", "j", "j", "j", "j"), ("n", "n"), ("n", "n", "o"), ("n", "n", "e")],
    ids=["crates", "proposal", "changes", "everywhere"],
)
@pytest.mark.quick(2)
def test_after_an_update(
    snap_compare: Compare, after_update: ReviewBench, keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    assert snap_compare(after_update.app, run_before=pressing(*keys), terminal_size=size)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "high-contrast"])
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])
@pytest.mark.quick(1)
def test_themes(
    snap_compare: Compare, after_update: ReviewBench, theme: str, size: tuple[int, int]
) -> None:
    after_update.app.theme = theme

    assert snap_compare(
        after_update.app, run_before=pressing("n", "n", "a", "x"), terminal_size=size
    )


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])
@pytest.mark.parametrize(
    "keys",
    [("D",), ("i",), ("question_mark",), ("b",), ("n", "enter")],
    ids=["batch", "evidence", "help", "baseline", "card"],
)
@pytest.mark.quick(2)
def test_every_screen_of_the_inbox(
    snap_compare: Compare, bench: ReviewBench, keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    assert snap_compare(bench.app, run_before=pressing("n", *keys), terminal_size=size)


@pytest.mark.parametrize("keys", [("j",), ("j", "j", "j"), ("d",)], ids=["cause", "rule", "batch"])
@pytest.mark.quick(1)
def test_causes(
    snap_compare: Compare,
    make_bench: type[ReviewBench],
    proposals: list[Proposal],
    keys: tuple[str, ...],
) -> None:
    evidence = tuple(
        dataclasses.replace(each, causes=("pkg-config",)) for each in proposals[3].evidence
    )
    wanted = dataclasses.replace(proposals[3], evidence=evidence, wanted_by="pkg-config")
    bench = make_bench([proposals[0], wanted, *proposals[1:3], *proposals[4:]])

    assert snap_compare(bench.app, run_before=pressing(*keys), terminal_size=MIDDLE)


@pytest.mark.slow
def test_five_thousand(
    snap_compare: Compare, make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    bench = make_bench(crowd(proposals[0], 250))

    assert snap_compare(bench.app, run_before=pressing("end", "enter", "n"), terminal_size=MIDDLE)


def test_nothing_to_decide(snap_compare: Compare, make_bench: type[ReviewBench]) -> None:
    assert snap_compare(make_bench([]).app, run_before=pressing(), terminal_size=SMALL)


def test_without_colours(
    snap_compare: Compare, bench: ReviewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = type(bench)(bench.review.proposals).app

    assert snap_compare(app, run_before=pressing("j", "a", "d", "s"), terminal_size=MIDDLE)


def test_hostile_names(
    snap_compare: Compare, make_bench: type[ReviewBench], proposals: list[Proposal]
) -> None:
    name = encode(b"\x1b[2J\n\xffrisk: low" + "\u202e漢字[b]".encode() * 12)
    choice = Choice(f"read {name}", (Rule(Kind.READ, name),), widening=name)
    hostile = dataclasses.replace(
        proposals[0], crate=name, title=f"read {name}", choices=(choice,), notes=(name,)
    )

    assert snap_compare(make_bench([hostile]).app, run_before=pressing("n"), terminal_size=SMALL)


@pytest.mark.parametrize(
    "keys", [("j", "j"), ("slash", *"subject:c", "enter", "j", "j")], ids=["outside", "compiling"]
)
@pytest.mark.quick(1)
def test_who_did_it_and_for_whom(
    snap_compare: Compare, tmp_path: Path, keys: tuple[str, ...]
) -> None:
    queries, key = b"/ws/.sqlx/query-1.json", b"/home/u/.ssh/id_ed25519"
    used = [
        fold(record(tmp_path / consumer, reads(queries), consumer=consumer), ("api", "web"))
        for consumer in ("api", "web", "elsewhere")
    ]
    refused = reads(key, refused=True)
    compiled = fold(record(tmp_path / "compile", refused, subject="compile", crate="evil"))
    proposals = [
        *propose("sqlx-macros", "0.8.0", combine(used)),
        *propose("evil", "1.0.0", compiled),
    ]
    bench = ReviewBench(proposals, ran=Ran(3, 87))

    assert snap_compare(bench.app, run_before=pressing(*keys), terminal_size=MIDDLE)


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE], ids=["80x24", "120x36", "200x50"])
@pytest.mark.parametrize("tab", "123456")
@pytest.mark.quick(2)
def test_evidence(snap_compare: Compare, tab: str, size: tuple[int, int]) -> None:
    bench, _ = evidence_bench()

    assert snap_compare(bench.app, run_before=waiting("n", "i", tab), terminal_size=size)


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE], ids=["80x24", "120x36", "200x50"])
@pytest.mark.parametrize("keys", [("j",), ("tab", "j"), ("slash", *"is:refused", "enter")],
                         ids=["process", "event", "filter"])  # fmt: skip
@pytest.mark.quick(1)
def test_a_trace(
    snap_compare: Compare, tmp_path: Path, keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    run = dataclasses.replace(traced_run(tmp_path / "recording"), path=Path("recording.jsonl"))
    app = TraceApp("gen 1.0", [run], "", (), Appearance())

    assert snap_compare(app, run_before=waiting(*keys), terminal_size=size)
