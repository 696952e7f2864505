"""A macro library that tries everything at once: all of it succeeds in plain Cargo, none held."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildperm.cargo import claim
from buildperm.tracer.notation import encode
from tests.command import buildperm, environment
from tests.programs import program_text
from tests.redteam.packages import crate, workspace

MACRO = "[lib]\nproc-macro = true\n"
TOLD = re.compile(r"^attempt (.+): (done|refused)$", re.MULTILINE)
FILES = ("constructor", "destructor", "read", "thread")
TOKEN = {"ATTACKED_TOKEN": "0123456789"}
JSON = '{"reason":"build-finished","success":true}'


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, port: int) -> Path:
    """Make a workspace with an attacker and an honest library, which one member uses both."""
    top = tmp_path_factory.mktemp("attacked")
    (top / "around/folder").mkdir(parents=True)
    for name in FILES:
        (top / "around" / name).write_text("theirs")
    folder = workspace(top / "ws", "app", "attacker", "honest")
    source = program_text("attacking_macros.rs", AROUND=str(top / "around"), PORT=str(port))
    crate(folder / "attacker", manifest=MACRO, source=source)
    quiet = "#[proc_macro]\npub fn nothing(t: proc_macro::TokenStream) -> proc_macro::TokenStream"
    crate(folder / "honest", manifest=MACRO, source=f"extern crate proc_macro;\n{quiet} {{ t }}")
    needs = "attacker = { path = '../attacker' }\nhonest = { path = '../honest' }\n"
    crate(folder / "app", manifest=f"[dependencies]\n{needs}")
    return folder


def _aim(folder: Path, target: Path, names: tuple[str, ...]) -> None:
    """Have the attacker change files of the build, of which each is there."""
    claim.make(folder / "target")
    for name in names:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    listed = ", ".join(f'"{target / name}"' for name in names)
    (folder / "app/src/lib.rs").write_text(f"attacker::attack!({listed}); honest::nothing!();")


@pytest.mark.slow
def test_all_attempts_succeed_where_nobody_holds_macros(attacked: Path) -> None:
    target = attacked / "target"
    _aim(attacked, target, ("debug/deps/libother-1.rlib", "debug/.fingerprint/other"))

    plain = subprocess.run(
        ["cargo", "check", "-q"],
        cwd=attacked,
        env=environment(TOKEN),
        capture_output=True,
        text=True,
        check=False,
    )

    assert plain.returncode == 0, plain.stderr
    told = dict(TOLD.findall(plain.stderr))
    assert len(told) == 15
    assert set(told.values()) == {"done"}, told


def test_no_attempt_succeeds_and_each_is_told_of_the_attacker(attacked: Path) -> None:
    target = attacked / "target/buildperm/ci"
    names = (
        "debug/deps/libother-1.rlib",
        "debug/.fingerprint/other",
        "debug/incremental/other-2",
        "buildperm-session",
        "buildperm-compile-session",
        "buildperm-compile/debug%deps%other-1/unit",
        "buildperm-compile/libraries/other-3",
        "buildperm-compile/tables/other-4",
    )
    _aim(attacked, target, names)

    held = buildperm("ci", "--format", "json", "--", "check", folder=attacked, extra=TOKEN)

    assert held.returncode == 20, held.stderr
    told = dict(TOLD.findall(held.stderr))
    assert len(told) == 13 + len(names)
    assert set(told.values()) == {"refused"}, told
    assert not any(line.startswith(JSON[:5]) for line in held.stderr.splitlines())
    report = json.loads(held.stdout)
    refused = [each for each in report["findings"] if each["rule"] != "build-failed"]
    assert {finding["crate"] for finding in refused} == {"attacker"}
    said = "\n".join(line for finding in report["findings"] for line in finding["details"])
    around = attacked.parent / "around"
    for name in (*FILES, "folder"):
        assert f"read {around}/{name}: refused" in said
    for expected in (
        "env ATTACKED_TOKEN: refused",
        f"write {around}/write: refused",
        "exec true: refused",
        "net 127.0.0.1:",
        "write $MANIFEST_DIR/src/lib.rs: refused",
        *(f"write $TARGET_DIR/{encode(name.encode())}: refused" for name in names),
    ):
        assert expected in said
    by = {
        (each["subject"], each["consumer"]) for f in report["findings"] for each in f.get("by", ())
    }
    assert by == {("macro", "app")}
