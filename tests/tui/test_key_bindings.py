"""The table of actions: ids that a configuration file can rely on, keys that do not collide."""

from __future__ import annotations

from collections import Counter

import pytest

from buildperm.tui.key_bindings import (
    ACTIONS,
    DECIDE,
    FINISH,
    TOGETHER,
    ActionGroup,
    action_of,
    bindings,
)

ALONE = {action.screen for action in ACTIONS} - {each for screens in TOGETHER for each in screens}


def test_ids_are_unique_and_say_the_screen() -> None:
    assert [name for name, count in Counter(each.id for each in ACTIONS).items() if count > 1] == []
    assert all(each.id == f"{each.screen}.{each.id.partition('.')[2]}" for each in ACTIONS)
    assert action_of("review.allow") is not None
    assert action_of("review.nothing") is None


def test_every_action_has_a_label_and_all_but_interrupts_are_told() -> None:
    assert all(each.label for each in ACTIONS)
    untold = {each.id.partition(".")[2] for each in ACTIONS if not each.told}
    assert untold == {"interrupt"}


def test_no_key_that_a_hand_presses_by_itself_decides() -> None:
    decisive = [each for each in ACTIONS if each.group in {DECIDE, FINISH}]

    keys = {key for each in decisive for key in each.keys.split(",")}

    assert not {"enter", "space", "escape", "tab"} & keys


@pytest.mark.parametrize("screens", [*TOGETHER, *((each, "app") for each in sorted(ALONE))])
def test_no_key_does_two_things_on_one_screen(screens: tuple[str, ...]) -> None:
    keys = Counter(
        key
        for each in ACTIONS
        if each.screen in screens and each.told
        for key in each.keys.split(",")
    )

    assert [key for key, count in keys.items() if count > 1] == []


def test_every_group_is_a_heading_of_some_action() -> None:
    assert {each.group for each in ACTIONS} == set(ActionGroup)
    assert len(bindings("tree")) == len([each for each in ACTIONS if each.id.startswith("tree.")])
