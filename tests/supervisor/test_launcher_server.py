"""rust-analyzer's server is held, and has each crate's macros expanded by a host for that crate."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildperm.sandbox import native_programs
from tests.command import environment
from tests.programs import CHILDREN
from tests.sandbox.macro_workshop import workshop
from tests.supervisor.held_calls import HeldCalls
from tests.supervisor.hosting_server import hosting


@dataclass(frozen=True, slots=True)
class EditorWorkspace:
    """A package, a library of macros that was compiled before, and a session for both."""

    calls: HeldCalls
    package: Path
    marker: Path  # The folder of the macros' package.
    library: Path
    server: Path

    def serve(self, *wanted: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Have macros expanded: see `asks_macro_server.py`."""
        program = CHILDREN / "asks_macro_server.py"
        given = {"BUILDPERM_SERVER": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "MY_TOKEN": "t"}
        call = (self.calls.launcher, "--server", self.calls.session, sys.executable, program)
        return subprocess.run(
            [*map(str, (*call, self.server, self.library)), *wanted],
            env=environment(given),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(name="editor")
def _editor(tmp_path: Path) -> EditorWorkspace:
    programs = native_programs.programs()
    target, package, marker = tmp_path / "target", tmp_path / "package", tmp_path / "marker"
    deps = target / "debug" / "deps"
    for each in (deps, package, marker):
        each.mkdir(parents=True)
    shop = workshop(deps)
    server = shop.compiler.parent.parent / "libexec" / "rust-analyzer-proc-macro-srv"
    if not server.exists():
        pytest.skip("rust-analyzer is not installed")
    library = shop.macros("expanding_macros.rs")
    calls = HeldCalls(
        programs.launcher,
        package,
        target,
        globals=[f"shim {programs.shim}", f"r {deps}", f"r {CHILDREN}"],
    )
    calls.prepare({package: "mine", marker: "marker"})
    libraries = calls.state / "libraries"
    libraries.mkdir(parents=True)
    (libraries / f"debug%deps%{library.name}").write_text(f"{marker}\0")
    return EditorWorkspace(calls, package, marker, library, server)


def test_macros_are_expanded_by_a_host_for_the_crate(
    editor: EditorWorkspace, tmp_path: Path
) -> None:
    place = f"{editor.package},CARGO_MANIFEST_DIR={editor.package},OUT_DIR={tmp_path}/out,X=yes"
    wanted = (f"process:,{place}", f"variable:X,{place}", f"process:,{place}")
    with hosting(tmp_path, native_programs.programs().host) as server:
        served = editor.serve(*wanted, folder=tmp_path)
    assert served.returncode == 0, served.stderr
    _, first, variable, second = served.stdout.splitlines()
    assert (first, variable) == (second, "yes")
    listing, expanding = server.requests
    assert listing["consumer"] == listing["manifest"] == str(editor.marker)
    assert expanding["consumer"] == str(editor.package)
    assert expanding["out-dir"] == f"{tmp_path}/out"
    assert expanding["cwd"] == str(editor.package)


def test_the_key_of_a_crate_may_hold_an_address(editor: EditorWorkspace, tmp_path: Path) -> None:
    key = f"mine@git+https://example.org/{'long/' * 60}mine"
    editor.calls.prepare({editor.package: key, editor.marker: "marker"})
    wanted = f"process:,{editor.package},CARGO_MANIFEST_DIR={editor.package}"
    with hosting(tmp_path, native_programs.programs().host) as server:
        served = editor.serve(wanted, folder=tmp_path)
    assert served.returncode == 0, served.stderr
    folder = Path(server.requests[-1]["folder"]).parent
    assert folder.parent == editor.calls.state
    assert folder.name.startswith("server%mine@git+https:%%example.org%long%")


def test_a_crate_that_is_not_known_gets_no_host(editor: EditorWorkspace, tmp_path: Path) -> None:
    wanted = f"process:,{tmp_path},CARGO_MANIFEST_DIR={tmp_path}"
    with hosting(tmp_path, native_programs.programs().host) as server:
        served = editor.serve(wanted, folder=tmp_path)
    _, answer = served.stdout.splitlines()
    assert "the process for the macros of `macros` failed" in answer
    assert len(server.requests) == 1


def test_the_server_is_held_and_leaves_nothing(editor: EditorWorkspace, tmp_path: Path) -> None:
    with hosting(tmp_path, native_programs.programs().host):
        editor.serve(folder=tmp_path)
    assert not list(editor.calls.state.glob("server-*"))
    (tmp_path / "secret").touch()
    text = f"import os; print('MY_TOKEN' in os.environ); open('{tmp_path}/secret')"
    held = subprocess.run(
        [editor.calls.launcher, "--server", editor.calls.session, sys.executable, "-c", text],
        env=environment({"MY_TOKEN": "t"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert held.stdout == "False\n"
    assert "PermissionError" in held.stderr
    assert os.path.exists(tmp_path / "secret")
