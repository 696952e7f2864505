"""Folders that a person has put elsewhere by links, beside a grant that a link leads astray."""

from __future__ import annotations

from pathlib import Path

from tests.command import buildperm, is_orderly, member
from tests.programs import program_text

GRANTS = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates.honest]
reviewed = ["0.1.0"]
write = ["$WORKSPACE/gen/**"]
[workspace.metadata.buildperm.crates.led]
reviewed = ["0.1.0"]
write = ["$WORKSPACE/x/**"]
"""


def test_only_what_leads_out_of_its_folder_is_refused_and_by_its_own_path_it_is_not(
    tmp_path: Path,
) -> None:
    true, disk, elsewhere = tmp_path / "true", tmp_path / "disk", tmp_path / "elsewhere"
    for name, into in (("honest", "gen"), ("led", "x")):
        member(true, program_text("writes_beside.rs", INTO=into), name)
        (true / name / "true").mkdir()
        (true / name / "true/data").touch()
        (true / name / "linked").symlink_to("true")
    for folder in (disk / "target", disk / "cargo", elsewhere, true / "gen"):
        folder.mkdir(parents=True)
    (true / "x").symlink_to("../elsewhere")
    (true / "target").symlink_to(disk / "target")
    workspace = tmp_path / "ws"
    workspace.symlink_to("true")
    (tmp_path / "cargo").symlink_to("disk/cargo")
    extra = {"CARGO_HOME": str(tmp_path / "cargo")}
    manifest = true / "Cargo.toml"
    text = f'[workspace]\nmembers = ["honest", "led"]\nresolver = "2"\n{GRANTS}'
    manifest.write_text(text)

    told = buildperm("ci", "--", "build", "--keep-going", folder=workspace, extra=extra)

    assert told.returncode == 20, told.stderr
    assert is_orderly(told.stderr)
    said = told.stdout + told.stderr
    assert (true / "gen/made").exists()
    assert list(elsewhere.iterdir()) == []
    assert "`write $WORKSPACE/x/**` does not open `" in said
    assert "/elsewhere/**` by its own path." in said
    assert "honest 0.1.0" not in said

    manifest.write_text(text.replace("$WORKSPACE/x/**", f"{elsewhere}/**"))
    told = buildperm("ci", "--", "build", folder=workspace, extra=extra)
    assert told.returncode == 0, told.stderr
    assert (elsewhere / "made").exists()
