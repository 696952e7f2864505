"""What a newcomer reads first, and what takes the place of a card when the list is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.tui.widgets.styled_line import Line, hanging, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from buildperm.presentation.front_end import Ran

    WithKeys: TypeAlias = Callable[[str], str]
    """Puts the keys of a person into a sentence, in place of ids in braces."""


def coach_lines(told: WithKeys, cells: int) -> Iterator[Line]:
    """Yield the five lines that a newcomer needs; `told` puts keys in place of ids in braces."""
    yield Line((("New here?", "heading"),))
    for keys, what in (
        ("{review.allow} {review.deny} {review.later}",
         "allow, deny, leave for later; the next one comes up"),
        ("{review.narrow} {review.widen}", "how much to allow: only what was seen, or more"),
        ("{review.undo}", "takes a decision back, as often as you like"),
        ("{review.write}", "shows the diff of Cargo.toml; nothing is written before"),
        ("{review.help}", "lists every key; {review.leave} leaves and keeps your decisions"),
    ):  # fmt: skip
        yield from hanging(((f"{told(keys):>5}  ", "accent"),), told(what), "", cells)
    yield Line()


def empty_lines(ran: Ran, *, filtered: bool, cells: int, told: WithKeys) -> Iterator[Line]:
    """Yield what takes the place of the card when the list is empty."""
    yield Line()
    if filtered:
        yield from hanging((), "The filter lets nothing through.", "strong", cells)
        yield from hanging(
            ((told("{review.back} ").capitalize(), "accent"),),
            "shows everything again.",
            "muted",
            cells,
        )
        return
    stay = f"all {ran} stay"
    if (ran.scripts, ran.macros) in ((1, 0), (0, 1)):
        stay = "the build script stays" if ran.scripts else "the procedural macro stays"
    yield from hanging(
        (("✓ ", "good"),),
        f"{stay} within the baseline and their grants: nothing to decide",
        "strong",
        cells,
    )
    yield Line()
    text = (
        "Within the baseline a crate reads its own package and the toolchain, writes only to its "
        "own output, runs only rustc and Cargo, and uses no network. It needs no entry in "
        "Cargo.toml."
    )
    for part in wrap(text, cells):
        yield Line(((part, "muted"),))
    yield Line()
    yield Line(((told("{review.baseline} "), "accent"), ("shows what they did.", "muted")))
    yield Line(((told("{review.leave} "), "accent"), ("leaves.", "muted")))
