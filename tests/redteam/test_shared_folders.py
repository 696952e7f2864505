"""Places of the target directory that crates share: what lies beside them stays closed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox.machine import bubblewrap
from tests.redteam.runtimes import RUNTIMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench import Bench

HASH = "0123456789abcdef"
NEIGHBOURS = (
    *("debug/.fingerprint/a/dep", "debug/deps/liba.rlib", f"debug/deps/libm-{HASH}.so"),
    *("debug/app", "debug/app.d", "debug/incremental/a/x.bin", "debug/.cargo-lock"),
    *(f"debug/build/other-{HASH}/out/x.h", f"debug/build/scratch-{HASH}/output"),
    *(f"debug/build/scratch-{HASH}/out/other/x", "debug/build/crate-1/output"),
    *(".rustc_info.json", "CACHEDIR.TAG", "doc/index.html", "package/a.crate", "tmp/x"),
    *("buildperm-stub", "buildperm-compile/filter", "x86_64-unknown-linux-gnu/debug/app"),
    *("dist/deps/liba.rlib", "other/x.h"),
)
TRIES = """
import os
for path in {paths!r}:
    for act in (
        lambda: open(path, "a").write("attacked"),
        lambda: open(path + ".new", "w").write("attacked"),
        lambda: os.unlink(path),
        lambda: os.rename(path, path + ".away"),
        lambda: os.rename("{top}", os.path.dirname(path) + "/moved"),
        lambda: os.link(path, "{top}/stolen"),
        lambda: os.rename(path, "{top}/stolen"),
    ):
        try:
            act()
        except OSError:
            pass
os.makedirs("{top}/a", exist_ok=True)
open("{top}/a/x.h", "w").write("shared")
os.symlink(os.environ["OUT_DIR"], "{top}/a/out")
assert open("{top}/a/x.h").read() == "shared"
"""


@pytest.fixture(params=RUNTIMES)
def either(own_bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Return a bench of either runtime."""
    if request.param == "full":
        own_bench.wrapper, own_bench.mounts = [os.fsencode(bubblewrap())], True
    return own_bench


def _planted(bench: Bench) -> dict[Path, str]:
    """Make what Cargo, buildperm and others have in a target directory; return what is there."""
    for name in NEIGHBOURS:
        path = bench.target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as before")
    (bench.target / "dist/.fingerprint").mkdir()
    return _found(bench)


def _found(bench: Bench) -> dict[Path, str]:
    return {
        path: path.read_text()
        for name in NEIGHBOURS
        for path in (bench.target / name).parent.iterdir()
        if path.is_file() and path.name not in ("buildperm-session", "recording.jsonl")
    }


@pytest.mark.parametrize(
    ("pattern", "top"),
    [
        ("$TARGET_DIR/shared/**", "shared"),
        ("$TARGET_DIR/**/build/scratch-*/out/mine/**", f"debug/build/scratch-{HASH}/out/mine"),
    ],
)
def test_what_lies_beside_a_shared_folder_stays_as_it_is(
    either: Bench, pattern: str, top: str
) -> None:
    either.grants = {"read": [pattern], "write": [pattern]}
    before = _planted(either)
    folder = either.target / top
    paths = [str(either.target / name) for name in NEIGHBOURS]

    ended = either.run(either.script(TRIES.format(paths=paths, top=folder)))

    assert ended.status == 0, ended.stderr
    assert (folder / "a/x.h").read_text() == "shared"
    assert not (folder / "stolen").exists()
    assert _found(either) == before


@pytest.mark.parametrize(
    "granted",
    [
        *("$TARGET_DIR/**", "$TARGET_DIR/debug/**", "$TARGET_DIR/dist/**", "$TARGET_DIR/tmp/**"),
        *("$TARGET_DIR/debug/.fingerprint/a/dep", "$TARGET_DIR/debug/app", "$TARGET_DIR/*/**"),
        *("$TARGET_DIR/buildperm-stub", "$TARGET_DIR/CACHEDIR.TAG", "$WORKSPACE/target/doc/**"),
        *(f"$TARGET_DIR/debug/build/other-{HASH}/out/**", "$TARGET_DIR/**/build/scratch-*/out/**"),
        f"$TARGET_DIR/debug/deps/libm-{HASH}.so",
    ],
)
def test_what_is_cargos_stays_closed_whatever_a_rule_says(own_bench: Bench, granted: str) -> None:
    own_bench.grants = {"write": [granted, "$TARGET_DIR/shared/**"]}
    before = _planted(own_bench)
    paths = [str(own_bench.target / name) for name in NEIGHBOURS]
    text = TRIES.format(paths=paths, top=own_bench.target / "shared").replace("assert", "# assert")

    ended = own_bench.run(own_bench.script(text))

    assert ended.status == 0, ended.stderr
    assert (own_bench.target / "shared/a/x.h").read_text() == "shared"
    assert _found(own_bench) == before


@pytest.mark.parametrize("lead", ["../debug/deps", "../other", "{out}", "../../gen"])
def test_a_link_in_a_shared_folder_leads_no_grant_out_of_it(own_bench: Bench, lead: str) -> None:
    """Another crate, which is granted the shared folder, has put the link there."""
    own_bench.grants = {"read": [], "write": ["$TARGET_DIR/shared/b/**"]}
    own_bench.others = {"writer": {"write": ["$TARGET_DIR/shared/**"]}}
    _planted(own_bench)
    (own_bench.workspace / "gen").mkdir()
    shared = own_bench.target / "shared"
    shared.mkdir()
    (shared / "b").symlink_to(lead.format(out=own_bench.target / f"debug/build/other-{HASH}/out"))
    inside = (shared / "b").resolve()
    before = sorted(inside.iterdir())

    planted = str(shared / "b/planted")
    text = (
        f"try: open({planted!r}, 'w').close()\nexcept PermissionError: print('cargo::warning=no')"
    )

    ended = own_bench.run(own_bench.script(text))

    assert ended.status == 0, ended.stderr
    assert b"warning=no" in ended.stdout
    assert sorted(inside.iterdir()) == before


def test_a_link_in_a_shared_folder_is_read_by_the_readers_own_rights(either: Bench) -> None:
    either.grants = {"read": ["$TARGET_DIR/shared/**"]}
    shared, key = either.target / "shared", either.home / ".ssh/id_ed25519"
    key.parent.mkdir(parents=True)
    key.write_text("a key")
    shared.mkdir(parents=True)
    (shared / "evil.h").symlink_to(key)
    (shared / "good.h").symlink_to(either.out_dir / "made.h")
    (either.out_dir / "made.h").write_text("its own")

    text = "print('cargo::warning=' + open({!r}).read())\n"
    good = either.run(either.script(text.format(str(shared / "good.h"))))
    evil = either.run(either.script(text.format(str(shared / "evil.h"))))

    assert good.status == 0, good.stderr
    assert good.stdout == b"cargo::warning=its own\n"
    assert evil.status == 1
    assert evil.stdout == b""
    assert b"$HOME/.ssh/id_ed25519" in evil.stderr


def test_an_empty_shared_folder_stays_for_whoever_has_found_it(own_bench: Bench) -> None:
    own_bench.grants = {"write": ["$TARGET_DIR/shared/**"]}
    assert own_bench.run(own_bench.script("pass\n")).status == 0
    assert (own_bench.target / "shared").is_dir()
