"""An editor's server for macros while buildperm is always on: one setting for all workspaces."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.always_on_machine import PersonsMachine, machine
from tests.programs import CHILDREN

__all__ = ["machine"]

_MACRO = """use proc_macro::TokenStream;
#[proc_macro]
pub fn seven(_: TokenStream) -> TokenStream {
    format!("{:?}", std::fs::read("KEY").is_ok().to_string()).parse().unwrap()
}
"""


@pytest.fixture(name="edited")
def _edited(machine: PersonsMachine) -> PersonsMachine:
    asked = ["rustc", "--print", "sysroot"]
    sysroot = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(sysroot, "libexec/rust-analyzer-proc-macro-srv").exists():
        pytest.skip("this tool chain has no server for macros")
    source = machine.workspace / "mac/src/lib.rs"
    source.write_text(_MACRO.replace("KEY", str(machine.home / ".ssh/id_rsa")))
    return machine


def expanded(
    machine: PersonsMachine, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Have the macro expanded by the server that an editor starts in a folder."""
    [library] = (machine.workspace / "target/debug/deps").glob("libmac-*.so")
    where = machine.workspace / "mac"
    asks = [sys.executable, str(CHILDREN / "asks_macro_server.py")]
    return subprocess.run(
        [*asks, str(machine.state / "macro-server"), str(library), f"seven:,{where}"],
        cwd=folder or machine.workspace,
        env=machine.variables({"CARGO_MANIFEST_DIR": str(where)}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("built", ["before", "while it is on"])
def test_macros_in_an_editor_are_held(edited: PersonsMachine, built: str) -> None:
    """Without anything that has prepared it: editors start the server before they build."""
    if built == "before":
        edited.cargo("check")
    edited.enable()
    if built != "before":
        edited.cargo("check")  # It fails, as the macro reaches for the key.
    assert expanded(edited).stdout == "['seven']\nfalse\n"
    assert expanded(edited, edited.workspace / "lib/src").stdout == "['seven']\nfalse\n"
    assert expanded(edited, edited.home).stdout == "['seven']\nfalse\n"  # The only workspace.


@pytest.mark.slow
def test_an_editor_that_starts_it_before_anything_is_built_expands_macros(
    machine: PersonsMachine,
) -> None:
    machine.enable()
    served = subprocess.Popen(
        [machine.state / "macro-server", "--format", "json-legacy"],
        cwd=machine.workspace,
        env=machine.variables({"RUST_ANALYZER_INTERNALS_DO_NOT_USE": "this is unstable"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert served.stdin is not None
    assert served.stdout is not None
    with served, served.stdin as asks:

        def ask(subject: str, **details: str) -> str:
            asks.write(json.dumps({subject: details}) + "\n")
            asks.flush()
            assert served.stdout is not None
            return served.stdout.readline()

        assert "version" in ask("ApiVersionCheck").lower()
        built = machine.cargo("check", "-v")
        assert built.returncode == 0, built.stderr
        assert (machine.workspace / "target/CACHEDIR.TAG").exists()
        [library] = (machine.workspace / "target/debug/deps").glob("libmac-*.so")
        assert "seven" in ask("ListMacros", dylib_path=str(library))


@pytest.mark.slow
def test_where_nothing_is_held_macros_expand_as_ever(
    edited: PersonsMachine, tmp_path: Path
) -> None:
    edited.cargo("check")
    other = tmp_path / "other"
    shutil.copytree(edited.workspace, other, ignore=shutil.ignore_patterns("target"))
    edited.buildperm("enable", folder=other)
    assert expanded(edited).stdout == "['seven']\ntrue\n"


@pytest.mark.slow
def test_a_server_that_cannot_be_held_expands_nothing(
    edited: PersonsMachine, tmp_path: Path
) -> None:
    edited.cargo("check")
    edited.enable("--user")
    refused = expanded(edited, tmp_path)  # Whose macros it will be asked for is not known.
    assert refused.stdout == ""
    assert "macros are not expanded, as they cannot be held here" in refused.stderr
    assert "Open the folder of the workspace" in refused.stderr


@pytest.mark.slow
def test_enabling_it_for_an_editor_is_undone_by_disabling(machine: PersonsMachine) -> None:
    settings = machine.home / ".config/Code/User/settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{\n  "mine": 1, // yes\n}\n')
    machine.enable()
    status = machine.buildperm("status").stdout
    assert f"rust-analyzer is NOT HELD in the editor of {settings}" in status

    machine.enable("--editor", "vscode", "--editor", "neovim")
    status = machine.buildperm("status").stdout
    assert f"rust-analyzer is held in the editor of {settings}" in status
    assert str(machine.state / "macro-server") in settings.read_text()
    (machine.workspace / ".vscode").mkdir()
    own = machine.workspace / ".vscode/settings.json"
    own.write_text('{"rust-analyzer.procMacro.server": null}')
    status = machine.buildperm("status").stdout
    assert "`.vscode/settings.json` of the workspace has a say in that" in status

    machine.disable()
    assert settings.read_text() == '{\n  "mine": 1, // yes\n}\n'
