"""rust-analyzer's server for macros, as an editor starts it after a held build has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildperm.cargo.project import Projects
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.cargo.target_directory import TargetDirectory
from buildperm.cargo.toolchain import Toolchain
from buildperm.policy.access import Access
from buildperm.policy.fold import fold
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.tracer.recording import reader
from tests.cargo.workspaces import package
from tests.programs import CHILDREN

MACROS = """use proc_macro::TokenStream;
#[proc_macro]
pub fn key(_: TokenStream) -> TokenStream {
    let read = std::fs::read_to_string("KEY");
    format!("{:?}", read.unwrap_or_else(|error| format!("{:?}", error.kind()))).parse().unwrap()
}
"""


class EditedWorkspace:
    """A package `app` that uses the macros of `library`, and the server that an editor starts."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.environment = dict(environment)
        self.key = root.parent / "key"
        self.target = TargetDirectory(root / "target" / "buildperm" / "ci")

    def build(self, *rules: Rule, how: str = "") -> None:
        grants = CrateGrants("library", frozenset({"0.1.0"}), rules=frozenset(rules))
        policy = Policy("portable", {"library": grants}, self.root / "Cargo.toml", compile=how)
        project = Projects(self.root, self.environment).open((), default=["check", "--quiet"])
        said = bytearray()
        build = SupervisedBuild(project, policy, "enforcing", on_output=said.extend)
        assert build.run().finished.exit_code == 0, said.decode()

    @property
    def library(self) -> Path:
        [found] = (self.target.folder / "debug" / "deps").glob("liblibrary-*.so")
        return found

    def expanded(self) -> str:
        """Have the macro expanded for `app`; return what it made."""
        served = subprocess.run(
            [
                sys.executable,
                CHILDREN / "asks_macro_server.py",
                self.target.macro_server,
                self.library,
                f"key:,{self.root},CARGO_MANIFEST_DIR={self.root}",
            ],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert served.stdout, served.stderr
        listed, answer = served.stdout.splitlines()
        assert listed == "['key']", served.stderr
        return answer

    def recorded(self) -> list[tuple[str, str, str]]:
        """Return what macros did in the editor: kind, target, outcome."""

        def told(access: Access) -> tuple[str, str, str]:
            return str(access.kind), access.target, str(access.outcome)

        paths = self.target.state.glob("server%*/*/buildperm/recording.jsonl")
        return sorted(told(each) for path in paths for each in fold(reader.read(path)))


@pytest.fixture(name="edited")
def _edited(
    tmp_path: Path, environment: Mapping[str, str], toolchain: Toolchain
) -> EditedWorkspace:
    if not toolchain.macro_server.exists():
        pytest.skip("this tool chain has no server for macros")
    root = tmp_path / "space"
    package(root, "app", None, dependencies=("library",), tail="[workspace]\n")
    folder = root / "crates" / "library"
    package(folder, "library", None)
    manifest, library = folder / "Cargo.toml", "[lib]\nproc-macro = true\n"
    manifest.write_text(manifest.read_text().removesuffix(library) + library)
    edited = EditedWorkspace(root, environment)
    edited.key.write_text("secret")
    (folder / "src" / "lib.rs").write_text(MACROS.replace("KEY", str(edited.key)))
    return edited


def test_an_editor_expands_macros_held_to_what_was_granted(edited: EditedWorkspace) -> None:
    edited.build()
    assert edited.expanded() == "PermissionDenied"
    assert ("read", str(edited.key), "refused") in edited.recorded()

    edited.build(Rule(Kind.READ, str(edited.key)))
    assert edited.expanded() == "secret"
    assert ("read", str(edited.key), "done") in edited.recorded()


@pytest.mark.slow
def test_there_is_no_server_where_nothing_is_held(edited: EditedWorkspace) -> None:
    edited.build()
    assert os.access(edited.target.macro_server, os.X_OK)
    edited.build(how="off")
    assert not edited.target.macro_server.exists()


@pytest.mark.slow
def test_a_tool_chain_without_a_server_is_told_of(edited: EditedWorkspace) -> None:
    edited.build()
    script = edited.target.macro_server.with_name(f"{edited.target.macro_server.name}.sh")
    text = script.read_text()
    script.write_text(text.replace("rust-analyzer-proc-macro-srv", "missing"))
    ran = subprocess.run([edited.target.macro_server], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "libexec/missing`" in ran.stderr
