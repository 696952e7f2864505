"""Files beside programs: made by a script, put there when it has passed, never in Cargo's place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox.machine import bubblewrap
from tests.redteam.runtimes import RUNTIMES

if TYPE_CHECKING:
    from tests.bench import Bench

HONEST = """
import os, pathlib, shutil
out = pathlib.Path(os.environ["OUT_DIR"])
(out / "libx.so.1").write_text("library")
for top in (out / "../../..", out.parents[2], out.parents[2] / "deps"):
    top = pathlib.Path(top)
    if (top / "libx.so").exists():
        os.remove(top / "libx.so")
    shutil.copy(out / "libx.so.1", top / "libx.so")
    assert (top / "libx.so").read_text() == "library"
    if (top / "resources").exists():
        shutil.rmtree(top / "resources")
    (top / "resources/icons").mkdir(parents=True)
    (top / "resources/icons/a").write_text("icon")
    assert sorted(os.listdir(top / "resources")) == ["icons"]
    if not os.path.lexists(top / "libx.so.1"):
        os.symlink(out / "libx.so.1", top / "libx.so.1")
print("cargo::warning=done")
"""
GRANTED = [
    *("$TARGET_DIR/$PROFILE/*.so", "$TARGET_DIR/$PROFILE/*.so.*"),
    *("$TARGET_DIR/$PROFILE/resources/**", "$TARGET_DIR/$PROFILE/deps/*.so"),
    *("$TARGET_DIR/$PROFILE/deps/*.so.*", "$TARGET_DIR/$PROFILE/deps/resources/**"),
]


@pytest.fixture(params=RUNTIMES)
def either(own_bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Return a bench of either runtime, in whose target directory Cargo has built."""
    if request.param == "full":
        own_bench.wrapper, own_bench.mounts = [os.fsencode(bubblewrap())], True
    profile = own_bench.target / "debug"
    for folder in ("deps", "examples", ".fingerprint", "incremental", "build/other-1/out"):
        (profile / folder).mkdir(parents=True, exist_ok=True)
    (profile / "deps/libapp.so").write_text("Cargo's")
    (profile / "libapp.so").hardlink_to(profile / "deps/libapp.so")
    (profile / "copied.so").write_text("Cargo's")
    (profile / "copied.d").write_text("copied.so: src/lib.rs")
    (profile / "app").write_text("Cargo's")
    return own_bench


def seen(bench: Bench) -> dict[str, str]:
    """Return what lies beside programs, but for what Cargo has put there."""
    top = bench.target / "debug"
    return {
        str(path.relative_to(top)): path.read_text()
        for path in sorted(top.rglob("*"))
        if path.is_file() and "build" not in path.relative_to(top).parts
        if path.read_text() != "Cargo's" and path.suffix != ".d"
    }


ALL = {
    f"{inner}{name}": text
    for inner in ("", "deps/")
    for name, text in (("libx.so", "library"), ("libx.so.1", "library"))
} | {f"{inner}resources/icons/a": "icon" for inner in ("", "deps/")}


def test_what_was_granted_is_put_beside_programs_each_time(either: Bench) -> None:
    either.grants["write"] = GRANTED

    for _ in range(2):
        ended = either.run(either.script(HONEST))
        assert ended.status == 0, ended.stderr
        assert ended.stdout == b"cargo::warning=done\n"
        assert seen(either) == ALL
    # What it leaves behind the next time it leaves away.
    code = "import os; os.remove(os.environ['OUT_DIR'] + '/../../../libx.so')"
    ended = either.run(either.script(code))
    assert ended.status == 0, ended.stderr
    assert "libx.so" not in seen(either)


def test_while_learning_it_is_seen_and_nothing_is_put_there(either: Bench) -> None:
    ended = either.run(either.script(HONEST), profile="learning")

    assert ended.status == 0, ended.stderr
    assert seen(either) == {}
    staged = f"{either.unit}/buildperm/scratch/beside/"
    made = {e["path"].removeprefix(staged) for e in ended.of("opened") if e.get("creates")}
    assert {"libx.so", "deps/libx.so", "resources/icons/a"} <= made


def test_without_a_grant_it_is_refused(either: Bench) -> None:
    ended = either.run(either.script(HONEST))

    assert ended.status != 0
    assert str(either.target / "debug/libx.so") in ended.refused("opened")
    assert seen(either) == {}


CARGOS = (
    *("app", "app.d", "libapp.so", "copied.so", "libm-0123456789abcdef.so", "deps/x.rlib"),
    *("deps/libapp.so", ".fingerprint/x.so", "incremental/x.so", "build/other-1/out/x.so"),
    *("build/x.so", "deps/build/x.so", "x.wasm", "../release/libx.so", ".hidden.so"),
    "buildperm/x.so",
)
HOSTILE = """
import os
top = os.environ["OUT_DIR"] + "/../../../"
os.symlink("/etc", top + "resources") if {link!r} else None
for name in {names!r}:
    try:
        open(top + name, "w").write("attacked")
        print("cargo::warning=%s" % name)
    except OSError:
        pass
"""


@pytest.mark.parametrize("learning", [False, True])
def test_what_is_cargos_stays_closed_whatever_is_granted(either: Bench, learning: bool) -> None:
    either.grants["write"] = [*GRANTED, "$TARGET_DIR/$PROFILE/deps/**", "$TARGET_DIR/$PROFILE/**"]
    either.grants["write"] += [f"$TARGET_DIR/$PROFILE/{name}" for name in CARGOS]
    either.deny["write"] = ["$TARGET_DIR/**"]  # So that the run goes on.
    before = {p: p.read_bytes() for p in either.target.rglob("*") if p.is_file()}

    code = HOSTILE.format(names=list(CARGOS), link="")
    either.run(either.script(code), profile="learning" if learning else "enforcing")

    profile = either.target / "debug"
    assert not [name for name in CARGOS if _holds(profile / name, "attacked")]
    kept = {path: content for path, content in before.items() if path.is_relative_to(profile)}
    ours = "buildperm"
    assert all(
        path.read_bytes() == content
        for path, content in kept.items()
        if ours not in str(path.relative_to(profile)) and "crate-" not in str(path)
    )


def test_a_library_of_a_crate_has_one_name_and_stays_closed(either: Bench) -> None:
    """A `dylib` that others depend on lies in `deps` only, without a hash in its name."""
    deps = either.target / "debug/deps"
    for name in ("libone.so", "one.d"):
        (deps / name).write_text("Cargo's")
    (deps.parent / "mine.d").write_text("Of a program that loads libmine.so.")
    either.grants["write"] = GRANTED

    either.run(either.script(HOSTILE.format(names=["deps/libone.so"], link="")))
    either.run(either.script(HOSTILE.format(names=["libmine.so"], link="")))

    assert (deps / "libone.so").read_text() == "Cargo's"
    assert (deps.parent / "libmine.so").read_text() == "attacked"  # That one is the script's own.


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def test_a_link_to_what_was_not_granted_is_a_question(either: Bench) -> None:
    """As of a library that was downloaded to a cache."""
    cache = either.home / ".cache/x/libx.so"
    cache.parent.mkdir(parents=True)
    cache.write_text("cached")
    either.grants["write"] = GRANTED
    code = f"import os; os.symlink({str(cache)!r}, os.environ['OUT_DIR'] + '/../../../libx.so')"

    refused = either.run(either.script(code))
    left = os.path.lexists(either.target / "debug/libx.so")
    either.grants["read"] = ["$HOME/.cache/x/**"]
    granted = either.run(either.script(code))

    assert refused.status != 0
    assert b"it left beside programs links to what it was not allowed to read" in refused.stderr
    assert not left
    told = [e for e in refused.of("changed") if e["change"] == "led-out"]
    assert [(e["other"], e["refused"]) for e in told] == [(str(cache), True)]
    assert granted.status == 0, granted.stderr
    assert os.readlink(either.target / "debug/libx.so") == str(cache)


@pytest.mark.parametrize(
    ("target", "is_fine"),
    [
        *(("libx.so.1", True), ("../debug/libx.so.1", True), ("/proc/self/exe", False)),
        *(("../../../../key", False), ("deps/x.rlib", False), ("/etc/shadow", False)),
        *(("resources/icons/../../libx.so.1", True), ("build/../libx.so.1", True)),
    ],
)
def test_links_beside_programs_lead_where_a_script_may_read(
    either: Bench, target: str, is_fine: bool
) -> None:
    either.grants["write"] = GRANTED
    code = f"import os; os.symlink({target!r}, os.environ['OUT_DIR'] + '/../../../libx.so')"

    ended = either.run(either.script(code))

    assert (ended.status == 0) == is_fine, ended.stderr
    assert os.path.lexists(either.target / "debug/libx.so") == is_fine


@pytest.mark.parametrize("start", ["", "{profile}/"], ids=["relative", "absolute"])
@pytest.mark.parametrize("link", ["resources/s/t/d", "build/crate-1/out/d"])
def test_no_link_turns_back_behind_another_one(either: Bench, link: str, start: str) -> None:
    """`..` is then above what that one leads to, which may be read, and not where it says."""
    deep = either.home / ".cache/x/deep/er"
    deep.mkdir(parents=True)
    (either.home / ".cache/key.so").write_text("not for everybody")
    either.grants.update(write=GRANTED, read=["$HOME/.cache/x/**"])
    profile = either.target / "debug"
    if link.startswith("build/"):
        link = str(Path(either.out_dir).relative_to(profile) / "d")
    text = f"{start.format(profile=profile)}{link}/../../../key.so"
    code = f"""
import os
top = os.environ["OUT_DIR"] + "/../../.."
os.makedirs(os.path.dirname(f"{{top}}/{link}"), exist_ok=True)
os.symlink({str(deep)!r}, f"{{top}}/{link}")
os.symlink({text!r}, f"{{top}}/libx.so")
"""

    ended = either.run(either.script(code))

    assert ended.status != 0
    assert b"turns back behind another one" in ended.stderr, ended.stderr
    assert not os.path.lexists(profile / "libx.so")


def test_a_library_that_is_linked_from_the_output_is_put_there_each_time(
    own_bench: Bench,
) -> None:
    """In `full`, OUT_DIR is another mount: link(2) says so, and scripts copy."""
    own_bench.grants["write"] = GRANTED
    code = (
        "import os, pathlib\nout = pathlib.Path(os.environ['OUT_DIR'])\n"
        "(out / 'libx.so').write_text('library')\nto = out.parents[2] / 'libx.so'\n"
        "to.unlink(missing_ok=True)\nos.link(out / 'libx.so', to)\n"
    )

    for _ in range(2):
        ended = own_bench.run(own_bench.script(code))
        assert ended.status == 0, ended.stderr
        assert (own_bench.target / "debug/libx.so").read_text() == "library"


def test_a_run_that_fails_leaves_nothing_there(either: Bench) -> None:
    either.grants["write"] = GRANTED

    ended = either.run(either.script(HONEST + "raise SystemExit(3)"))

    assert ended.status == 3
    assert seen(either) == {}
