"""Folders that a script may write by a grant, and in which Cargo builds or keeps its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.cargo import claim
from tests.command import buildperm
from tests.programs import program_text
from tests.redteam.packages import crate, workspace

if TYPE_CHECKING:
    from tests.bench import Bench

GRANT = """
[workspace.metadata.buildperm]
version = 1

[workspace.metadata.buildperm.crates.writer]
reviewed = ["0.1.0"]
write = ["$WORKSPACE/gen/**"]
"""
WRITER = program_text("writes_wishes.rs")
OURS = "built/buildperm/ci/buildperm-rustc-wrapper"


@pytest.mark.parametrize(
    ("victim", "told"),
    [
        (OURS, "$TARGET_DIR/buildperm-rustc-wrapper"),
        ("built/buildperm/learn/x", "$WORKSPACE/gen/built/buildperm/learn/x"),
        ("built/debug/app", "$WORKSPACE/gen/built/debug/app"),
        ("cargo/bin/tool", "$CARGO_HOME/bin/tool"),
    ],
)
@pytest.mark.slow
def test_a_granted_folder_is_not_what_cargo_keeps_in_it(
    tmp_path: Path, victim: str, told: str
) -> None:
    folder = workspace(tmp_path / "ws", "writer")
    with (folder / "Cargo.toml").open("a") as file:
        file.write(GRANT)
    crate(folder / "writer", WRITER)
    aim = folder / "gen" / victim
    claim.make(folder / "gen/built")
    aim.parent.mkdir(parents=True)
    (folder / "gen/own").mkdir()
    if victim != OURS:
        aim.write_text("harmless")
    places = {"CARGO_TARGET_DIR": "built", "CARGO_HOME": "cargo"}
    extra = {name: str(folder / "gen" / below) for name, below in places.items()}

    (folder / "writer/wishes").write_text("")
    allowed = buildperm("ci", folder=folder, extra=extra)
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr
    before = aim.read_bytes()
    (folder / "writer/wishes").write_text(str(aim))
    (folder / "writer/build.rs").write_text(f"{WRITER}\n")
    refused = buildperm("ci", folder=folder, extra=extra)

    assert refused.returncode == 20, refused.stdout + refused.stderr
    assert told in refused.stdout
    assert aim.read_bytes() == before
    assert (folder / "gen/own/x.txt").exists()


@pytest.mark.parametrize("granted", ["", "/ws"])
@pytest.mark.quick(1)
def test_a_granted_folder_does_not_open_the_workspace_in_it(own_bench: Bench, granted: str) -> None:
    own_bench.grants["write"] = [f"{own_bench.top}{granted}/**"]
    beside, source = own_bench.top / "beside.txt", own_bench.workspace / "other/src/lib.rs"
    source.parent.mkdir(parents=True)
    for file in (beside, source):
        file.write_text("as before")

    ended = own_bench.run(
        own_bench.script(
            f"for path in ({str(beside)!r}, {str(source)!r}, {str(source)!r} + '.new'):\n"
            "    try: open(path, 'w').close()\n"
            "    except PermissionError: pass\n"
        )
    )

    assert ended.status == 0, ended.stderr
    assert source.read_text() == "as before"
    assert not source.with_name("lib.rs.new").exists()
    assert beside.read_text() == ("as before" if granted else "")


@pytest.mark.parametrize("granted", ["$WORKSPACE/parts/**", "$WORKSPACE/parts/victim/**"])
@pytest.mark.slow
def test_a_granted_folder_is_not_the_packages_in_it(tmp_path: Path, granted: str) -> None:
    folder = workspace(tmp_path / "ws", "writer", "parts/victim")
    with (folder / "Cargo.toml").open("a") as file:
        file.write(GRANT.replace("$WORKSPACE/gen/**", f'{granted}", "$WORKSPACE/gen/own/**'))
    crate(folder / "writer", WRITER)
    crate(folder / "parts/victim", "fn main() {}")
    (folder / "gen/own").mkdir(parents=True)
    victims = [folder / "parts/victim" / name for name in ("build.rs", "Cargo.toml", "src/lib.rs")]
    before = [path.read_text() for path in victims]
    (folder / "writer/wishes").write_text("\n".join(map(str, victims)))

    refused = buildperm("ci", folder=folder)

    assert [path.read_text() for path in victims] == before
    assert "parts/victim/build.rs" in refused.stdout, refused.stdout + refused.stderr
    assert (folder / "gen/own/x.txt").exists()
