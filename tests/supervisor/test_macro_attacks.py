"""Hostile macros in a real compiler: what they try is refused, and recorded as their crate's."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench import make_bench
from tests.programs import program_text
from tests.sandbox.macro_workshop import MacroWorkshop, workshop
from tests.supervisor.macro_bench import MacroBench, served

TOKEN = "t0ps3cret"


@dataclass(slots=True)
class Compilation:
    """A compiler that expands hostile macros, whose host is supervised."""

    macros: MacroBench
    shop: MacroWorkshop
    asking: Path
    status: Path
    places: dict[str, object]

    def attempt(self, verb: str, argument: str) -> str:
        named = argument.format(**self.places)
        return f'macros::attempt!("{verb}" "{named}")'

    def expand(self, *values: str, is_held: bool) -> list[int]:
        """Compile an array of these expressions, and return the values."""
        text = f"pub const FOUND: [i32; {len(values)}] = [{', '.join(values)}];"
        command = self.shop.consumer(text, self.macros.library)
        variables = {"APP_TOKEN": TOKEN}
        if is_held:
            self.macros.environment = variables
            self.macros.write_session()
            self.macros.bench.top.joinpath("request").write_bytes(self.macros.request())
            run = self.shop.shimmed(*command, environ=variables, host=self.asking)
            assert run.status == 0, run.stderr
        else:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("APP_TOKEN", TOKEN)
                done = self.shop.plain(*command)
            assert done.returncode == 0, done.stderr
        (mir,) = (data for name, data in self.shop.made().items() if name.endswith(".mir"))
        return [int(value) for value in re.findall(rb"const (-?\d+)_i32", mir)]


@pytest.fixture(scope="module")
def compilation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compilation]:
    shop = workshop(tmp_path_factory.mktemp("shop"))
    with contextlib.ExitStack() as stack:
        (bench,) = (stack.enter_context(contextlib.contextmanager(make_bench)("own")),)
        macros = MacroBench(bench, shop.programs.host, bench.package)
        macros.prepare()
        (bench.home / ".ssh").mkdir()
        (bench.home / ".ssh/id_rsa").write_text("key\n")
        (bench.workspace / "notes.txt").write_text("notes\n")
        (macros.library.parent / "libother.rmeta").write_text("other\n")
        made = shop.macros("hostile_macros.rs", KEY=str(bench.home / ".ssh/id_rsa"))
        made.rename(macros.library)
        stack.enter_context(served(macros))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        victim = stack.enter_context(subprocess.Popen(["sleep", "1000"]))
        stack.callback(victim.kill)
        asking, status = bench.top / "asks_for_host", bench.top / "status"
        values = {"REQUEST": "request", "SERVER": "", "STATUS": "status"}
        values = {name: str(bench.top / value) for name, value in values.items()}
        asking.write_text(program_text("asks_for_host.py", **(values | {"SERVER": macros.server})))
        asking.chmod(0o755)
        places: dict[str, object] = {
            "home": bench.home,
            "ws": bench.workspace,
            "out": bench.out_dir,
            "target": bench.target,
            "package": bench.package,
            "library": macros.library,
            "port": listener.getsockname()[1],
            "victim": victim.pid,
        }
        yield Compilation(macros, shop, asking, status, places)


ATTEMPTS = [
    ("read", "{home}/.ssh/id_rsa"),
    ("thread", "{home}/.ssh/id_rsa"),
    ("straight", "{home}/.ssh"),
    ("read", "{ws}/notes.txt"),
    ("read", "{target}/debug/deps/libother.rmeta"),
    ("write", "{target}/debug/deps/libother.rmeta"),
    ("write", "{target}/debug/deps/libnew.rmeta"),
    ("write", "{library}"),
    ("write", "{package}/Cargo.toml"),
    ("write", "{out}/made"),
    ("execute", "/usr/bin/id"),
    ("connect", "127.0.0.1:{port}"),
    ("open", "/proc/{victim}/mem"),
    ("open", "/proc/{victim}/environ"),
    ("variable", "APP_TOKEN"),
]


def test_what_macros_try_works_without(compilation: Compilation) -> None:
    attempts = [compilation.attempt(verb, argument) for verb, argument in ATTEMPTS]

    assert compilation.expand(*attempts, is_held=False) == [0] * len(ATTEMPTS)


def test_what_macros_try_is_refused_and_recorded(compilation: Compilation) -> None:
    attempts = [compilation.attempt(verb, argument) for verb, argument in ATTEMPTS]
    ordinary = compilation.attempt("read", "{package}/Cargo.toml")

    found = compilation.expand(*attempts, ordinary, is_held=True)

    assert all(found[:-1])
    assert found[-1] == 0
    macros = compilation.macros
    assert (macros.lines()[0]["crate"], macros.lines()[0]["subject"]) == ("macros", "macro")
    refused = macros.refused()
    for verb, argument in ATTEMPTS[:-1]:
        named = argument.format(**compilation.places)
        assert named in refused, verb
    (asked,) = [line for line in macros.of("environment") if line["name"] == "APP_TOKEN"]
    assert asked["withheld"]
    assert int(compilation.status.read_bytes()) == 1  # The compilation has to fail.
    assert TOKEN not in macros.recording.read_text()


def test_what_a_constructor_tries_is_refused_and_recorded(compilation: Compilation) -> None:
    compilation.status.unlink(missing_ok=True)

    assert compilation.expand("macros::expand!(7)", is_held=True) == [7]

    key = str(compilation.macros.bench.home / ".ssh/id_rsa")
    assert compilation.macros.refused() == {key}
    assert int(compilation.status.read_bytes()) == 1


def test_a_crate_that_does_nothing_is_recorded_and_costs_nothing(
    compilation: Compilation,
) -> None:
    compilation.status.unlink(missing_ok=True)
    compilation.macros.grants = {
        "read": [f"$HOME/.ssh/{os.path.basename('id_rsa')}"]
    }  # What its constructor reads.

    assert compilation.expand("macros::expand!(7)", is_held=True) == [7]

    assert not compilation.macros.refused()
    assert int(compilation.status.read_bytes()) == 0
