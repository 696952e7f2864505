"""Links that a run made in its own folders: what is looked at through them is an input."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from buildperm.policy.presets import PRESETS
from buildperm.supervisor import own_links
from tests import kept_results
from tests.bench import Bench, make_bench

BEGIN = """
import ctypes, os, shutil, subprocess
out, package = os.environ["OUT_DIR"], os.environ["CARGO_MANIFEST_DIR"]
os.chdir(out)
there = os.path.exists
def compiled(path):
    with open("x.c", "w") as file:
        file.write('#if __has_include("%s")\\nint yes;\\n#endif\\n' % path)
    ended = subprocess.run(["cc", "-E", "x.c"], stdout=subprocess.PIPE, check=True)
    return b"yes" in ended.stdout
os.makedirs("1/2/3/4/5/m")
UP = "../../../../../crate"  # Within OUT_DIR below `1/2/3/4/5`, and the package at its top.
"""
FLAG = "$MANIFEST_DIR/flag"
LEADING = {
    "gone": "os.symlink(package, 'l'); there('l/flag'); os.remove('l')",
    "gone with its folder": """
os.symlink(package, "1/l"); there("1/l/flag"); shutil.rmtree("1")""",
    "behind another": """
os.symlink(package, "l"); os.symlink("l", "k"); there("k/flag"); os.remove("l"); os.remove("k")""",
    "moved": """
os.symlink(UP, "1/2/3/4/5/l"); os.rename("1/2/3/4/5/l", "l"); there("l/flag"); os.remove("l")""",
    "moved with its folder": """
os.symlink("../" + UP, "1/2/3/4/5/m/l"); os.rename("1/2/3/4/5/m", "m")
there("m/l/flag"); shutil.rmtree("m")""",
    "with another name": """
os.symlink(UP, "1/2/3/4/5/l"); os.link("1/2/3/4/5/l", "l", follow_symlinks=False)
there("l/flag"); os.remove("l")""",
    "of a compiler": "os.symlink(package, 'l'); compiled('l/flag'); os.remove('l')",
    "of a compiler, moved": """
os.symlink(UP, "1/2/3/4/5/l"); os.rename("1/2/3/4/5/l", "l")
compiled("l/flag"); os.remove("l")""",
}
UNCLEAR = {
    "turned": """
os.symlink(package, "l"); there("l/flag"); os.remove("l"); os.symlink("1", "l"); there("l/flag")""",
    "a folder now": """
os.symlink(package, "l"); there("l/flag"); os.remove("l"); os.mkdir("l"); there("l/flag")""",
    "a folder before, a circle now": """
os.mkdir("l"); there("l/../../../" + "crate/flag"); os.rmdir("l"); os.symlink("l", "l")
there("l")""",
    "a folder that was moved there": """
os.mkdir("k"); os.rename("k", "l"); there("l/../flag"); os.rmdir("l"); os.symlink("1/2", "l")""",
    "exchanged": """
os.symlink(UP, "1/2/3/4/5/l"); os.mkdir("q")
assert ctypes.CDLL(None).renameat2(-100, b"1/2/3/4/5/l", -100, b"q", 2) == 0
there("q/flag"); os.remove("q")""",
}
HARMLESS = {
    "turned within": """
os.symlink("1", "l"); there("l/flag"); os.remove("l"); os.symlink("1/2", "l"); there("l/flag")""",
    "gone within": "os.symlink(out + '/1', 'l'); there('l/flag'); os.remove('l')",
    "as libraries are installed": """
open("x.so.1", "w").close(); os.symlink("x.so.1", "x.so.tmp"); os.rename("x.so.tmp", "x.so")""",
}


@pytest.fixture(params=["full", "light"])
def keeping(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Return a bench whose runs are kept."""
    for bench in make_bench("own"):
        bench.grants = {"exec": [rule.pattern for rule in PRESETS["cc"].rules]}
        bench.light = request.param == "light"
        bench.kept = bench.top / "results"
        yield bench


def inputs(bench: Bench, body: str) -> tuple[str, set[tuple[str, str]]]:
    """Run a script; return why it is not kept, and kinds and paths of its inputs."""
    assert bench.kept is not None
    _, said = kept_results.run(bench, bench.script(BEGIN + body))
    results = [kept_results.read(path) for path in bench.kept.rglob("*.json")]
    shutil.rmtree(bench.kept)
    found = {(each[0], each[1]) for result in results for each in result["inputs"]}
    return ", ".join(said["why"]), found


@pytest.mark.slow
@pytest.mark.parametrize("body", LEADING)
def test_what_a_link_led_to_is_an_input(keeping: Bench, body: str) -> None:
    _, found = inputs(keeping, LEADING[body])

    assert ("absent", FLAG) in found


@pytest.mark.slow
@pytest.mark.parametrize("body", UNCLEAR)
def test_what_nobody_can_tell_is_not_kept(keeping: Bench, body: str) -> None:
    why, found = inputs(keeping, UNCLEAR[body])

    assert "was a link" in why or "exchanged" in why
    assert not found


@pytest.mark.slow
@pytest.mark.parametrize("body", HARMLESS)
def test_links_among_its_own_files_are_kept(keeping: Bench, body: str) -> None:
    why, found = inputs(keeping, HARMLESS[body])

    assert "not kept" not in why
    assert found


def made(path: bytes, text: bytes) -> tuple[object, ...]:
    return ("changed", 1, "symlinked", path, text, 0, False, False)


def moved(path: bytes, to: bytes) -> tuple[object, ...]:
    return ("changed", 1, "renamed", to, path, 0, False, False)


def test_links_are_followed_wherever_they_went() -> None:
    events = [moved(b"/o/b", b"/o/c"), made(b"/o/a/l", b"x"), moved(b"/o/a", b"/o/b")]

    assert own_links.of(events) == {b"/o/a/l": {b"x"}, b"/o/b/l": {b"x"}, b"/o/c/l": {b"x"}}
    assert own_links.of(events[1:2]) == {b"/o/a/l": {b"x"}}
    assert own_links.of([("changed", 1, "symlinked", b"/o/l", b"x", 13, True, False)]) == {}


def test_folders_that_are_moved_into_each_other_end() -> None:
    assert own_links.of([made(b"/a/l", b"x"), moved(b"/a", b"/b"), moved(b"/b", b"/a/b")]) is None


@pytest.mark.parametrize(
    ("text", "is_out"),
    [(b"x", False), (b"x/..y", False), (b"/o/x", False), (b"/ox", True), (b"../x", True)],
)
def test_what_leads_out_is_told(text: bytes, is_out: bool) -> None:
    assert own_links.lead_out([b"y", text], (b"/o",)) == is_out
