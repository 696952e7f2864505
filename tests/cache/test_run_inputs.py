from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.run_inputs import RunInputs, compare, renewed

if TYPE_CHECKING:
    from buildperm.cache.run_inputs import Input

LATER_NS = 3_600_000_000_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make what a run may have looked at."""
    top = tmp_path / "place"
    for folder in ("include", "out", "bin", "versions/1", "versions/2"):
        (top / folder).mkdir(parents=True)
    (top / "include/a.h").write_text("one")
    (top / "looked").write_text("at")
    for version in "12":
        (top / f"versions/{version}/data").write_text("same in both")
    (top / "current").symlink_to("versions/1")
    (top / "interpreter").write_text("")
    (top / "tool").write_text(f"#!{top}/sh -e\n")
    (top / "sh").symlink_to("interpreter")
    return top


def tokens_of(place: Path) -> PathTokens:
    return PathTokens({"WORKSPACE": os.fsencode(place)})


def collected(place: Path) -> RunInputs:
    """Collect as after a run that began when nothing had changed for an hour."""
    inputs = RunInputs(tokens_of(place), [os.fsencode(place / "out")], time.time_ns() + LATER_NS)
    at = os.fsencode(place)
    inputs.add_opened(at + b"/include/a.h")
    inputs.add_opened(at + b"/include")
    inputs.add_opened(at + b"/bin/../current/data")
    inputs.add_looked(at + b"/looked")
    inputs.add_looked(at + b"/absent/deep")
    inputs.add_looked(at + b"/include/b.h")
    inputs.add_executed(at + b"/tool")
    inputs.add_executed(at + b"/bin/gone")
    inputs.add_opened(at + b"/out/own")
    return inputs


def kept(place: Path) -> list[Input]:
    inputs = collected(place)
    assert inputs.reason == ""
    return inputs.inputs()


def test_what_has_not_changed_is_the_same(place: Path) -> None:
    compared = compare(kept(place), tokens_of(place))

    assert (compared.difference, compared.times, compared.is_slow) == ("", "", False)


def _replace(path: Path, text: str) -> None:
    """Change a file so that neither its size nor the time of its change differ."""
    about = path.stat()
    path.write_text(text)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def _relink(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


def _unlinked(link: Path, folder: Path) -> None:
    link.unlink()
    shutil.copytree(folder, link)


CHANGES: dict[str, Callable[[Path], object]] = {
    "another content of the same size, dated back": lambda at: _replace(at / "include/a.h", "two"),
    "more content": lambda at: (at / "include/a.h").write_text("longer"),
    "another file in its place": lambda at: (at / "looked").rename(at / "include/a.h"),
    "gone": lambda at: (at / "include/a.h").unlink(),
    "other permissions": lambda at: (at / "include/a.h").chmod(0o600),
    "a new name in a folder": lambda at: (at / "include/z.h").write_text(""),
    "a name that was not there": lambda at: (at / "include/b.h").write_text(""),
    "a folder that was not there": lambda at: (at / "absent").mkdir(),
    "a program that was not there": lambda at: (at / "bin/gone").write_text(""),
    "a link to the same elsewhere": lambda at: _relink(at / "current", "versions/2"),
    "a folder instead of a link": lambda at: _unlinked(at / "current", at / "versions/1"),
    "a larger file that was looked at": lambda at: (at / "looked").write_text("larger"),
    "an interpreter behind a link": lambda at: _relink(at / "sh", "looked"),
    "another interpreter": lambda at: (at / "interpreter").write_text("x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_noticed(place: Path, change: Callable[[Path], object]) -> None:
    inputs = kept(place)

    change(place)

    assert compare(inputs, tokens_of(place)).difference


def test_what_is_its_own_may_change(place: Path) -> None:
    inputs = kept(place)

    (place / "out/own").write_text("anything")

    assert compare(inputs, tokens_of(place)).difference == ""


@pytest.mark.parametrize("name", ["include/a.h", "looked"])
def test_a_file_that_was_only_touched_is_told_apart(place: Path, name: str) -> None:
    inputs = kept(place)

    os.utime(place / name)

    compared = compare(inputs, tokens_of(place))
    assert (compared.difference, compared.times) == ("", f"$WORKSPACE/{name}")


def test_a_copy_elsewhere_is_the_same_and_has_other_times(place: Path, tmp_path: Path) -> None:
    inputs = kept(place)
    other = tmp_path / "other"
    shutil.copytree(place, other, symlinks=True)
    (other / "tool").unlink()
    shutil.copy2(place / "tool", other / "tool")

    compared = compare(inputs, tokens_of(other))

    assert compared.difference == ""
    assert compared.is_slow


def test_signatures_of_now_need_no_reading(place: Path) -> None:
    inputs, tokens = kept(place), tokens_of(place)
    shutil.copy2(place / "include/a.h", place / "new")
    (place / "new").rename(place / "include/a.h")
    assert compare(inputs, tokens).is_slow

    again = renewed(inputs, tokens, time.time_ns() + LATER_NS)

    assert not compare(again, tokens).is_slow


def test_a_file_that_changed_a_moment_ago_keeps_its_signature(place: Path) -> None:
    inputs, tokens = kept(place), tokens_of(place)
    shutil.copy2(place / "include/a.h", place / "new")
    (place / "new").rename(place / "include/a.h")

    assert renewed(inputs, tokens, time.time_ns()) == inputs


@pytest.mark.parametrize("name", ["include/a.h", "include", "looked"])
def test_what_is_younger_than_the_start_is_not_kept(place: Path, name: str) -> None:
    inputs = RunInputs(tokens_of(place), [], time.time_ns() - LATER_NS)

    (inputs.add_looked if name == "looked" else inputs.add_opened)(os.fsencode(place / name))

    assert "was changed when the run had begun" in inputs.reason


def test_what_is_gone_after_the_run_is_not_kept(place: Path) -> None:
    inputs = collected(place)

    inputs.add_opened(os.fsencode(place / "absent/read"))

    assert inputs.reason == "" or "gone" in inputs.reason
    (place / "include/a.h").unlink()
    fresh = collected(place)
    assert fresh.inputs() != inputs.inputs()


@pytest.mark.parametrize("path", [b"/dev/null", b"/dev/urandom", b"/proc/self/maps", b"/proc/stat"])
def test_what_says_something_else_each_time_is_no_input(path: bytes, place: Path) -> None:
    inputs = RunInputs(tokens_of(place), [], time.time_ns())

    inputs.add_opened(path)

    assert inputs.reason == ""
    assert compare(inputs.inputs(), tokens_of(place)).difference == ""


def test_settings_of_the_kernel_are_compared_by_what_they_say(place: Path) -> None:
    inputs = RunInputs(tokens_of(place), [], time.time_ns())

    inputs.add_opened(b"/proc/sys/kernel/ostype")

    (found,) = inputs.inputs()
    assert found[0] == "kernel"
    assert compare([[*found[:2], "0" * 64]], tokens_of(place)).difference


@pytest.mark.parametrize("path", [b"/proc/self/root/etc/passwd", b"/proc/self/cwd/x"])
def test_what_leads_through_a_process_is_not_kept(path: bytes, place: Path) -> None:
    inputs = RunInputs(tokens_of(place), [], time.time_ns())

    inputs.add_looked(path)

    assert "leads through a process" in inputs.reason


def test_a_circle_of_links_is_not_kept(place: Path) -> None:
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    inputs = RunInputs(tokens_of(place), [], time.time_ns() + LATER_NS)

    inputs.add_looked(os.fsencode(place / "a"))

    assert "too many links" in inputs.reason
