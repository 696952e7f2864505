from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.cache.found_content import listing
from buildperm.cache.input_comparison import compare, renewed
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.run_inputs import RunInputs, is_plain_device

if TYPE_CHECKING:
    from buildperm.cache.input_kind import Input

LATER_NS = 3_600_000_000_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make what a run may have looked at."""
    top = tmp_path / "place"
    for folder in ("include", "out", "bin/folder", "versions/1", "versions/2"):
        (top / folder).mkdir(parents=True)
    (top / "include/a.h").write_text("one")
    (top / "include/c.h").write_text("")
    (top / "looked").write_text("at")
    (top / "way").write_text("")
    (top / "empty").mkdir()
    (top / "bin/back").symlink_to("../looked/../include")
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
    inputs.add_looked(at + b"/looked/../include")
    inputs.add_looked(at + b"/versions/../bin/back")
    inputs.add_looked(at + b"/absent/deep")
    inputs.add_looked(at + b"/include/b.h")
    inputs.add_looked(at + b"/way/below")
    inputs.add_looked(at + b"/empty/below")
    inputs.add_executed(at + b"/tool")
    inputs.add_executed(at + b"/bin/gone")
    inputs.add_executed(at + b"/bin/folder")
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


def _moved(folder: Path, to: Path) -> None:
    folder.rename(to)
    folder.symlink_to(to)


def _made(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _blocked(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("")


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
    "a program instead of a folder": lambda at: _blocked(at / "bin/folder"),
    "a link to the same elsewhere": lambda at: _relink(at / "current", "versions/2"),
    "a link instead of a folder, before `..`": lambda at: _moved(at / "versions", at / "aside"),
    "a folder instead of a file, before `..`": lambda at: _made(at / "looked"),
    "a folder instead of a link": lambda at: _unlinked(at / "current", at / "versions/1"),
    "a larger file that was looked at": lambda at: (at / "looked").write_text("larger"),
    "an interpreter behind a link": lambda at: _relink(at / "sh", "looked"),
    "a pipe instead of a file that was listed": lambda at: _piped(at / "include/c.h"),
    "nothing where a file was in the way": lambda at: (at / "way").unlink(),
    "a file in the way of a name that was not there": lambda at: _blocked(at / "empty"),
    "another interpreter": lambda at: (at / "interpreter").write_text("x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_noticed(place: Path, change: Callable[[Path], object]) -> None:
    inputs = kept(place)

    change(place)

    assert compare(inputs, tokens_of(place)).difference


_WAYS = (
    "a/b/x", "a/b/y", "a/b/none", "a/b/../b/y", "a/b/..", "a/b/.", "a/b/", "a/b", "a//b/x",
    "to_b/x", "to_b/..", "to_b/../c", "to_x", "to_x/none", "round/x", "round/y", "a/b/x/under",
    "a/b/x/../y", "none/x", "none/y", "none/../a/b/x", "far39/x", "far39/to_b2", "far39/to_b2/x",
    "out/gone/..", "out/gone/x", "out/gone/../made", "to_self/status", "to_self/stat",
    "to_self/cwd", "to_proc/uptime", "to_proc/self/exe", "to_proc/version", "through/a/b/x",
)  # fmt: skip


@pytest.mark.parametrize("turn", [1, -1])
def test_what_one_path_leads_through_says_nothing_else_of_the_next(
    tmp_path: Path, turn: int
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for name in ("x", "y"):
        (tmp_path / "a/b" / name).write_text(name)
    targets = {
        "to_b": "a/b",
        "to_x": "a/b/x",
        "round": "round",
        "to_self": "/proc/self",
        "to_proc": "/proc",
        "through": f"/proc/..{tmp_path}",
        "a/b/to_b2": "to_b3",
        "a/b/to_b3": ".",
        "far0": "a/b",
        **{f"far{at}": f"far{at - 1}" for at in range(1, 40)},
    }
    for name, target in targets.items():
        (tmp_path / name).symlink_to(target)

    def found(*ways: str) -> list[tuple[bool, list[Input]]]:
        made = RunInputs(PathTokens({}), [os.fsencode(tmp_path / "out")], time.time_ns() + LATER_NS)
        each: list[tuple[bool, list[Input]]] = []
        for way in ways:
            made.reason = ""
            made.add_looked(os.fsencode(f"{tmp_path}/{way}"))
            each.append((bool(made.reason), made.inputs()))
        return each

    ways = _WAYS[::turn]
    known: list[Input] = []
    for way, (is_refused, together) in zip(ways, found(*ways), strict=True):
        ((is_refused_alone, alone),) = found(way)
        known = sorted([*known, *(each for each in alone if each not in known)])

        assert (way, is_refused) == (way, is_refused_alone)
        assert (way, sorted(together)) == (way, known)


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


def test_a_folder_that_was_only_looked_at_has_times_of_its_own(place: Path) -> None:
    inputs = RunInputs(tokens_of(place), [], time.time_ns() + LATER_NS)
    inputs.add_looked(os.fsencode(place / "versions"))
    links = (place / "versions").stat().st_nlink

    (place / "versions/3").mkdir()

    compared = compare(inputs.inputs(), tokens_of(place))
    assert (compared.difference, compared.times) == ("", "")
    assert compared.folder_times == "$WORKSPACE/versions"
    assert inputs.inputs()[0][3] == links


ORDERS = {
    "newer than another one": ((10.0, 20.0), (30.0, 20.0), True),
    "older than another one": ((30.0, 20.0), (10.0, 20.0), True),
    "as new as another one": ((10.0, 20.0), (20.0, 20.0), True),
    "no longer as new": ((20.0, 20.0), (30.0, 20.0), True),
    "both later": ((10.0, 20.0), (30.0, 40.0), False),
    "later, still the older one": ((10.0, 30.0), (20.0, 30.0), False),
    "written at once, one a moment later": ((20.0, 20.0), (50.0, 50.1), False),
    "written a moment apart, then at once": ((20.0, 20.1), (50.0, 50.0), False),
}


@pytest.mark.parametrize(("before", "now", "differs"), ORDERS.values(), ids=ORDERS)
def test_what_make_would_tell_apart_is_another_result(
    place: Path, before: tuple[float, float], now: tuple[float, float], differs: bool
) -> None:
    files = [place / "versions/1/data", place / "versions/2/data"]
    for file, time_s in zip(files, before, strict=True):
        os.utime(file, (time_s, time_s))
    inputs = RunInputs(tokens_of(place), [], time.time_ns() + LATER_NS)
    for file in files:
        inputs.add_looked(os.fsencode(file))

    for file, time_s in zip(files, now, strict=True):
        os.utime(file, (time_s, time_s))

    compared = compare(inputs.inputs(), tokens_of(place))
    assert ("another order" in compared.difference) == differs
    assert compared.times


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="no /proc")
def test_names_that_come_without_a_time_are_noticed() -> None:
    inputs = RunInputs(PathTokens({}), [], time.time_ns() + LATER_NS)
    inputs.add_opened(b"/proc")

    with subprocess.Popen(["sleep", "60"]) as process:  # One more folder.
        compared = compare(inputs.inputs(), PathTokens({}))
        process.kill()

    assert inputs.reason == ""
    assert compared.difference == "/proc lists something else"


def test_another_order_of_names_is_another_listing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "include/b.h").write_text("")
    found = listing(os.fsencode(place / "include"))
    with os.scandir(os.fsencode(place / "include")) as entries:
        turned = list(entries)[::-1]

    monkeypatch.setattr(os, "scandir", lambda _: contextlib.nullcontext(turned))

    assert len(turned) > 1
    assert listing(os.fsencode(place / "include")) != found


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no folder in memory")
def test_what_is_written_through_a_mapping_in_memory_is_noticed() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top, open(f"{top}/file", "w+b") as file:
        file.write(b"before")
        file.flush()
        with mmap.mmap(file.fileno(), 6) as mapped:
            mapped[:1] = b"B"  # Only the first time a page is written to, the kernel notes it.
            inputs = RunInputs(PathTokens({}), [], time.time_ns() + LATER_NS)
            inputs.add_opened(os.fsencode(file.name))
            assert compare(inputs.inputs(), PathTokens({})).difference == ""
            about = os.stat(file.name)

            mapped[:6] = b"after!"

            assert os.stat(file.name).st_ctime_ns == about.st_ctime_ns
            assert "holds something else" in compare(inputs.inputs(), PathTokens({})).difference


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


@pytest.mark.parametrize(
    "path",
    [b"/dev/null", b"/dev/urandom", b"/proc/self/maps", b"/proc/1/task/1/stat", b"/proc/meminfo"],
)
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


@pytest.mark.parametrize("name", [b"cgroup", b"mountinfo", b"mounts"])
def test_where_a_process_is_counts(name: bytes, place: Path) -> None:
    inputs = RunInputs(tokens_of(place), [], time.time_ns())

    inputs.add_opened(b"/proc/%d/%b" % (os.getpid(), name))

    (found,) = inputs.inputs()
    assert found[:2] == ["kernel", f"/proc/self/{name.decode()}"]
    assert compare([[*found[:2], "0" * 64]], tokens_of(place)).difference


@pytest.mark.parametrize("name", [b"uptime", b"loadavg", b"stat", b"pressure/cpu"])
def test_what_tells_the_time_is_not_kept(name: bytes, place: Path) -> None:
    inputs = RunInputs(tokens_of(place), [], time.time_ns())

    inputs.add_opened(b"/proc/" + name)

    assert "what the machine is doing" in inputs.reason


def test_the_way_out_of_an_own_folder_that_is_gone_is_walked(place: Path) -> None:
    (place / "read").write_text("read")
    time.sleep(0.1)  # It is older than the run.
    inputs = RunInputs(tokens_of(place), [bytes(place / "out")], time.time_ns())

    inputs.add_opened(bytes(place / "out/made/below/../../../read"))
    inputs.add_opened(bytes(place / "out/made/temporary"))

    assert [each[:2] for each in inputs.inputs()] == [
        ["file", tokens_of(place).portable(bytes(place / "read"))]
    ]
    assert inputs.reason == ""


def test_a_relative_interpreter_is_not_kept(place: Path) -> None:
    (place / "tool").write_text("#!sh -e\n")

    assert "relative path" in collected(place).reason


@pytest.mark.parametrize(
    "path",
    [
        *(b"/proc/self/root/etc/passwd", b"/proc/self/cwd/x", b"/proc/self/fd/3/x"),
        *(b"/proc/././self/./fd/../fd/../cwd/x", b"/proc/self/task/1/cwd/x", b"/proc/self/net/dev"),
        *(b"/dev/fd/3/x", b"/proc/1/fd/../cwd"),
    ],
)
def test_what_leads_through_a_process_is_not_kept(path: bytes, place: Path) -> None:
    inputs = RunInputs(tokens_of(place), [], time.time_ns())

    inputs.add_looked(path)

    assert "leads through a process" in inputs.reason


def test_links_that_lead_on_and_on_are_no_circle(place: Path) -> None:
    own = place / "made"
    own.mkdir()
    (own / "deeper").symlink_to("deeper/still")
    for number in range(60):
        (own / str(number)).symlink_to(str(number + 1))
    inputs = RunInputs(tokens_of(place), [bytes(own)], time.time_ns() + LATER_NS)

    for name in ("deeper", "0"):
        inputs.reason = ""
        inputs.add_looked(bytes(own / name))
        assert "too many links" in inputs.reason


def test_a_circle_of_links_is_not_kept(place: Path) -> None:
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    inputs = RunInputs(tokens_of(place), [], time.time_ns() + LATER_NS)

    inputs.add_looked(os.fsencode(place / "a"))

    assert "too many links" in inputs.reason


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_circle_of_its_own_leads_nowhere_else(place: Path, is_gone: bool) -> None:
    """As `configure` makes it, to see what `ln -s` does, and removes it."""
    own = place / "made"
    own.mkdir()
    circle = {own / "itself": "itself", own / "a": str(own / "b"), own / "b": "./a"}
    for link, text in circle.items():
        if not is_gone:
            link.symlink_to(text)
    made = {bytes(link): {text.encode()} for link, text in circle.items()}
    inputs = RunInputs(tokens_of(place), [bytes(own)], time.time_ns() + LATER_NS, made=made)

    for link in circle:
        inputs.add_looked(bytes(link))

    assert (inputs.reason, inputs.inputs()) == ("", [])


@pytest.mark.parametrize("own", ["made", "elsewhere"])
def test_a_circle_that_is_not_all_its_own_is_not_kept(place: Path, own: str) -> None:
    (place / "made").mkdir()
    (place / "made/in").symlink_to("../back")
    (place / "back").symlink_to("made/in")
    inputs = RunInputs(tokens_of(place), [bytes(place / own)], time.time_ns() + LATER_NS)

    inputs.add_looked(bytes(place / "made/in"))

    assert "too many links" in inputs.reason


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        (b"/dev/null", True),
        (b"/dev/pts/3", True),
        (b"/dev/shm/left", False),  # Others find it there.
        (b"/dev/mqueue/left", False),
        (b"/dev/sda", False),
        (b"/dev", False),
        (b"/tmp/dev/null", False),
        (b"dev/null", False),
    ],
)
def test_a_plain_device_keeps_nothing_for_others(path: bytes, is_one: bool) -> None:
    assert is_plain_device(path) == is_one


@pytest.mark.parametrize("number", [-1, 1 << 40, -(1 << 62), (1 << 63) - 1])
@pytest.mark.parametrize("is_staged", [False, True])
def test_numbers_that_no_file_has_are_a_difference(
    place: Path, number: int, is_staged: bool
) -> None:
    """Inputs may come from an engine, which can say anything."""
    for kind, name in (("look", "include"), ("look", "looked"), ("file", "looked")):
        rest: list[str | int] = ["0" * 64] if kind == "file" else []
        size = 5 if kind == "file" else 2
        row: Input = [kind, f"$WORKSPACE/{name}", number, *rest, *([number] * size)]
        assert compare([row], tokens_of(place), is_staged=is_staged).difference
