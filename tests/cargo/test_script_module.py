"""Scripts compiled once more, held: for this machine, as it has no library for WASI."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.cargo.project import Project, Projects
from buildperm.cargo.script_module import NotCompiledError, ScriptModules
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.policy.grants import Policy
from tests.cargo.workspaces import package

pytestmark = pytest.mark.slow


class Scripts:
    """A workspace of one package with a script and a library for it, beside a secret."""

    def __init__(self, top: Path, environment: Mapping[str, str]) -> None:
        self.top = top
        self.root = top / "space"
        package(self.root, "app", "fn main() {}\n")
        package(self.root / "help", "help", None)
        self.helps('pub const WORD: &str = "helped";')
        manifest = self.root / "Cargo.toml"
        manifest.write_text(
            f"{manifest.read_text()}\n[build-dependencies]\n"
            'help = { path = "help" }\n[workspace]\n'
        )
        (top / "secret").write_text("secret")
        (self.root / "data").write_text("data")
        (self.root / ".npmrc").write_text("//npm/:_authToken=secret\n")
        (self.root / "leads").symlink_to("../secret")
        project = Projects(self.root, environment).open([], default=["check"])
        build = SupervisedBuild(
            project, Policy("portable", {}, self.root / "Cargo.toml"), "enforcing"
        )
        self.project, self.rights = project, build.compile_rights

    def helps(self, text: str) -> None:
        path = self.root / "help/src/lib.rs"
        path.write_text(f"pub fn word() -> &'static str {{ WORD }}\n{text}\n")

    def compiled(self, build: str, project: Project | None = None) -> Path:
        """Compile a script; return the program that comes of it."""
        (self.root / "build.rs").write_text(build)
        scratch = self.top / "scratch"
        subprocess.run(["rm", "-rf", scratch], check=True)
        scratch.mkdir()
        project = project or self.project
        modules = ScriptModules(project, self.rights, project.toolchain.host)
        made = modules.compile(os.fsencode(os.path.realpath(self.root)), (), scratch)
        program = self.top / "program"
        program.write_bytes(made)
        program.chmod(0o755)
        return program


@pytest.fixture
def scripts(tmp_path: Path, environment: dict[str, str]) -> Scripts:
    return Scripts(tmp_path, environment)


def shows(path: object) -> str:
    return f'fn main() {{ println!("{{:?}}", include_bytes!("{path}").len()); }}\n'


def test_what_a_compiler_embeds_is_of_the_package(scripts: Scripts) -> None:
    honest = 'fn main() { println!("{} {}", include_str!("data"), help::word()); }\n'
    program = scripts.compiled(honest)
    assert subprocess.check_output([program], text=True) == "data helped\n"

    closed = (".npmrc", "leads", scripts.top / "secret", "../secret", "/etc/passwd")
    for path in (*closed, "/proc/self/cwd/../secret", "/proc/self/root/etc/passwd"):
        with pytest.raises(NotCompiledError, match="does not compile: error: couldn't read"):
            scripts.compiled(shows(path))
    with pytest.raises(NotCompiledError, match="does not compile"):
        scripts.compiled('#[path = "../secret"] mod secret;\nfn main() {}\n')
    # Of its dependencies as well.
    scripts.helps('pub const WORD: &str = include_str!("../../../secret");')
    with pytest.raises(NotCompiledError, match="help does not compile: error: couldn't read"):
        scripts.compiled(honest)


def test_no_variable_of_the_machine_is_told_to_a_compiler(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "secret")
    body = 'println!("{:?} {}", option_env!("MY_TOKEN"), env!("CARGO_PKG_NAME"));'

    program = scripts.compiled(f"fn main() {{ {body} }}\n")

    assert subprocess.check_output([program], text=True) == "None app\n"


def test_a_compiler_can_write_and_connect_nowhere(scripts: Scripts) -> None:
    """Whatever may come to run in it: here that is a wrapper, which lies outside of any `bin`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        tried = {
            "made": f"echo x > {scripts.top}/made",
            "changed": f"echo x >> {scripts.root}/data",
            "mode": f"chmod 777 {scripts.root}/data",
            "read": f"read x < {scripts.top}/secret",
            "beside": f"read x < {scripts.top}/tools/beside",
            "connected": f"exec 3<>/dev/tcp/127.0.0.1/{server.getsockname()[1]}",
            "killed": f"kill -0 {os.getpid()}",
            "allowed": "echo x > $TMPDIR/x",
        }
        lines = [f"({words}) 2>&- && happened=$happened,{name}" for name, words in tried.items()]
        real = scripts.project.toolchain.rustc
        wrapper = scripts.top / "tools/rustc"
        wrapper.parent.mkdir()
        (wrapper.parent / "beside").write_text("secret\n")
        wrapper.write_text(
            '#!/bin/bash\nif [ -f "$1" ]; then  # Else Cargo asks, and nothing is compiled.\n'
            + "\n".join(lines)
            + f'\nfi\nMADE=$happened exec {real} "$@"\n'
        )
        wrapper.chmod(0o755)
        tools = replace(scripts.project.toolchain, rustc=wrapper)
        project = replace(scripts.project, toolchain=tools)

        program = scripts.compiled('fn main() { print!("{}", env!("MADE")); }\n', project)

    assert subprocess.check_output([program], text=True) == ",allowed"
    assert (scripts.root / "data").read_text() == "data"
