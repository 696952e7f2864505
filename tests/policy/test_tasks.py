"""Tasks: what a program of many purposes was told to do."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import tasks
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS


def _ran(name: str, *lines: str) -> Access:
    commands = tuple((line, 1) for line in lines)
    return Access(Kind.EXEC, name, Outcome.DONE, 1, 0, 0, (), commands=commands)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("git rev-parse HEAD", ("git rev-parse",)),
        ("git -C /x -c a=b --no-pager log -1", ("git log",)),
        ("git --git-dir x describe --tags", ("git describe",)),
        ("git submodule update --init", ("git submodule update",)),
        ("git submodule --quiet update", ("git submodule update",)),
        ("git --version", ()),
        ("git", ()),
        ("cargo +nightly metadata --format-version 1", ("cargo metadata",)),
        ("git log 'a", ("git log",)),
    ],
)
def test_the_task_is_the_first_word_that_is_no_option(line: str, told: tuple[str, ...]) -> None:
    assert tasks.told(_ran(line.split(maxsplit=1)[0], line)) == told


def test_other_programs_have_no_tasks() -> None:
    assert tasks.told(_ran("python3", "python3 gen.py")) == ()


@pytest.mark.parametrize(
    ("preset", "lines", "fits"),
    [
        ("git", ["git rev-parse HEAD", "git log -1"], True),
        ("git", ["git --version"], True),
        ("git", ["git rev-parse HEAD", "git submodule update --init"], False),
        ("git", ["git clone https://x"], False),
        ("git", ["git remote get-url origin"], True),
        ("git", ["git remote update"], False),
        ("git", ["git submodule status"], True),
        ("rustc-probe", ["cargo metadata"], True),
        ("rustc-probe", ["cargo --version"], True),
        ("rustc-probe", ["cargo install x"], False),
        ("cmake", ["cmake --build ."], True),
        ("cmake", ["cmake -P fetch.cmake"], False),
        ("cmake", ["/usr/bin/cmake -P cmake_install.cmake"], True),
        ("cmake", ["cmake -DCMAKE_INSTALL_LOCAL_ONLY=1 -P sub/cmake_install.cmake"], True),
        ("cmake", ["cmake -P CMakeFiles/zng.dir/cmake_clean_target.cmake"], True),
        ("cmake", ["cmake -P /tmp/out/build/CMakeFiles/zng.dir/cmake_clean.cmake"], True),
        ("cmake", ["cmake -P cmake_install.cmake -P fetch.cmake"], False),
        ("cmake", ["cmake -P CMakeFiles/../fetch.cmake"], False),
        ("cmake", ["cmake -P cmake_install.cmake.in"], False),
        ("cmake", ["cmake -P"], False),
    ],
)
def test_a_preset_fits_where_every_command_line_does(
    preset: str, lines: list[str], fits: bool
) -> None:
    name = lines[0].split()[0].rpartition("/")[2]

    assert tasks.fits(PRESETS[preset], [_ran(name, *lines)]) is fits


@given(st.lists(st.text(), max_size=6))
def test_one_command_line_that_does_not_fit_is_enough_whatever_the_others_are(
    words: list[str],
) -> None:
    other = shlex.join(("git", *words))

    assert not tasks.fits(PRESETS["git"], [_ran("git", other, "git push")])
    assert not tasks.fits(PRESETS["git"], [_ran("git", "git push", other)])
