"""Directives as the real Cargo of this machine obeys them, beside what the gate takes them for.

A build script prints what each case says; a wrapper notes what rustc is then called with, for every
kind of target. Whatever reaches rustc has to be what `directive.parse` read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.rules import directive, directive_table
from buildperm.supervisor.directive_gate import DirectiveGate
from buildperm.tracer.notation import decode
from tests.programs import program_text

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage

_TARGETS = ("lib", "bin", "example", "test", "bench")
_PRINTS = program_text("prints_file.rs")
_TELLS = program_text("notes_dependencies.rs")


@dataclass(frozen=True, slots=True)
class Obeyed:
    """What Cargo made of one run of the build script."""

    has_stopped: bool  # Cargo objects to the output: nothing reaches rustc.
    arguments: dict[str, list[str]]  # By target: those that can come from a directive.
    environment: dict[str, str]  # Of rustc, beyond that of a script which prints nothing.
    metadata: dict[str, str]  # What the build script of a dependent gets.
    said: str


class PrintingPackage:
    """A package whose build script prints what it is told to, and a dependent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        for name, text in (("sample", _PRINTS), ("user", _TELLS)):
            (folder / name / "src").mkdir(parents=True)
            (folder / name / "src/lib.rs").write_text("")
            (folder / name / "build.rs").write_text(text)
        self.sample = folder / "sample"
        (self.sample / "src/main.rs").write_text("fn main() {}")
        for place in ("examples/an_example.rs", "tests/a_test.rs", "benches/a_bench.rs"):
            (self.sample / place).parent.mkdir()
            (self.sample / place).write_text("fn main() {}")
        (folder / "Cargo.toml").write_text(
            '[workspace]\nmembers = ["sample", "user"]\nresolver = "2"\n'
        )
        self.manifest()
        (folder / "user/Cargo.toml").write_text(
            '[package]\nname = "user"\nversion = "0.1.0"\nedition = "2021"\n'
            '[dependencies]\nsample = { path = "../sample" }\n'
        )
        self.wrapper = folder / "wrapper"
        self.wrapper.write_text(program_text("noting_rustc.py", PYTHON=sys.executable))
        self.wrapper.chmod(0o755)
        self._quiet: dict[str, str] = {}
        self._quiet = self.run(b"").environment

    def manifest(self, *lines: str) -> None:
        (self.sample / "Cargo.toml").write_text(
            '[package]\nname = "sample"\nversion = "0.1.0"\nedition = "2021"\nlinks = "sample"\n'
            + "".join(f"{line}\n" for line in lines)
        )

    def run(self, printed: bytes) -> Obeyed:
        (self.sample / "printed").write_bytes(printed)
        shutil.rmtree(self.notes, ignore_errors=True)
        self.notes.mkdir()
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CARGO_", "RUST", "BUILDPERM_"))
            or name in ("CARGO_HOME", "RUSTUP_HOME")
        }
        ran = subprocess.run(
            ["cargo", "check", "--offline", "--all-targets", "--keep-going"],
            cwd=self.folder,
            env=kept | {"RUSTC_WRAPPER": str(self.wrapper), "NOTES": str(self.notes)},
            capture_output=True,
            check=False,
        )
        noted = [json.loads(path.read_text()) for path in self.notes.glob("rustc-*")]
        noted = [each for each in noted if each["name"] in _NAMES]
        dependent = self.notes / "dependent"
        lines = dependent.read_text().splitlines() if dependent.exists() else []
        environment: dict[str, str] = {}
        for each in noted:
            environment |= each["environment"]
        return Obeyed(
            not noted,
            {_target(each): list(_chosen(each["arguments"])) for each in noted},
            {
                name: value
                for name, value in environment.items()
                if self._quiet.get(name) != value and not name.startswith(_PER_TARGET)
            },
            dict(line.removeprefix("DEP_SAMPLE_").split("=", 1) for line in lines if "=" in line),
            ran.stderr.decode(),
        )


_NAMES = {"sample": "", "an_example": "example", "a_test": "test", "a_bench": "bench"}
_OF_CARGO = ("cfg(docsrs", "cfg(feature", "cfg(test")
_PER_TARGET = ("CARGO_", "OUT_DIR", "LD_LIBRARY_PATH", "PYTEST_", "_")


def _target(noted: dict[str, list[str]]) -> str:
    named = _NAMES[str(noted["name"])]
    words = noted["arguments"]
    if named:
        return named
    kind = words[words.index("--crate-type") + 1] if "--crate-type" in words else "test"
    return {"bin": "bin", "lib": "lib"}.get(kind, "unit test")


def _chosen(arguments: list[str]) -> Iterator[str]:
    """Yield what a directive can bring about: options with their values, in order."""
    words = iter(arguments[1:])
    for word in words:
        if word in ("-l", "-L", "--cfg", "--check-cfg"):
            value = next(words)
            own = value.startswith(_OF_CARGO) or (
                value.startswith("dependency=") and value.endswith("/deps")
            )
            if not own:
                yield f"{word} {value}"
        elif word.startswith(("-l", "-L")):
            yield word
        elif word == "-C":
            value = next(words)
            if value.startswith("link-arg"):
                yield f"-C {value}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> PrintingPackage:
    return PrintingPackage(tmp_path_factory.mktemp("directives"))


def _expected(found: Iterable[tuple[str, str]]) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Return the options that rustc has to be called with, by target, and its variables."""
    arguments: dict[str, set[str]] = {target: set() for target in _TARGETS}
    environment: dict[str, str] = {}
    for key, value in found:
        everywhere: list[str] = []
        match key:
            case "rustc-env":
                name, _, content = value.partition("=")
                environment[name] = content
            case "rustc-cfg":
                everywhere = [f"--cfg {value}"]
            case "rustc-check-cfg":
                everywhere = [f"--check-cfg {value}"]
            case "rustc-link-search":
                everywhere = [f"-L {value}"]
            case "rustc-link-lib":
                arguments["lib"].add(f"-l {value}")  # What links the library gets it from there.
            case "rustc-flags":
                for each, what in directive._parts(key, value):
                    if each == "rustc-link-lib":
                        arguments["lib"].add(f"-l {decode(what).decode()}")
                    else:
                        everywhere.append(f"-L {decode(what).decode()}")
            case _:
                for target in _LINKED.get(key, ()):
                    argument = value.partition("=")[2] if key.endswith("-bin") else value
                    arguments[target].add(f"-C link-arg={argument}")
        for target in _TARGETS:
            arguments[target].update(everywhere)
    return arguments, environment


_LINKED = {
    "rustc-link-arg": ("lib", "bin", "example", "test", "bench"),
    "rustc-link-arg-bin": ("bin",),
    "rustc-link-arg-bins": ("bin",),
    "rustc-link-arg-tests": ("test",),
    "rustc-link-arg-examples": ("example",),
    "rustc-link-arg-benches": ("bench",),
}

# One line each; with what Cargo takes them for.
_WORKING = [
    "rustc-cfg=plain",
    'rustc-cfg=key="a b"',
    "rustc-check-cfg=cfg(plain, values(none()))",
    "rustc-env=NAME=value",
    "rustc-env=NAME=",
    "rustc-env=NAME=a=b=c",
    "rustc-env= SPACED=x",
    "rustc-env=SPACED =x",
    "rustc-env=NAME=trailing   ",
    "rustc-env=NAME=tab\there",
    "rustc-env=LD_BIND_NOT=1",
    "rustc-link-arg=-Wl,-s",
    "rustc-link-arg=a b",
    "rustc-link-arg=@file",
    "rustc-link-arg-bin=sample=-lm",
    "rustc-link-arg-bins=-lm",
    "rustc-link-arg-tests=-lt",
    "rustc-link-arg-examples=-le",
    "rustc-link-arg-benches=-lb",
    "rustc-link-lib=z",
    "rustc-link-lib=static=z",
    "rustc-link-lib=dylib=z:renamed",
    "rustc-link-lib=framework=Cocoa",
    "rustc-link-lib=static:+whole-archive,-bundle=z",
    "rustc-link-lib=static:+verbatim=libz.a",
    "rustc-link-lib=a=b=c",
    "rustc-link-search=/usr/lib",
    "rustc-link-search=native=/usr/lib",
    "rustc-link-search=dependency=/nowhere",
    "rustc-link-search=crate=/nowhere",
    "rustc-link-search=framework=/nowhere",
    "rustc-link-search=all=/nowhere",
    "rustc-link-search=unknown=/nowhere",
    "rustc-link-search=relative",
    "rustc-flags=-lz",
    "rustc-flags=-l z -L /usr/lib",
    "rustc-flags=-l z\t-L\tnative=/usr/lib",
    "rustc-flags=-lm\u00a0-L/usr/lib",
    "rustc-flags=-lm\u2003-L/usr/lib",
    "rustc-flags=-lm\u0085-L/usr/lib",
    "rustc-flags=-lm\u000b-L/usr/lib",
    "rerun-if-changed=build.rs",
    "rerun-if-env-changed=NAME",
    "warning=text",
]
# What Cargo refuses to go on with.
_STOPPING = [
    "cargo::unknown=x",
    "cargo::rustc-env",
    "cargo:rustc-env",
    "cargo:no value",
    "cargo::rustc-env=NAME",
    "cargo:rustc-env=NAME",
    "cargo::rustc-cdylib-link-arg",
    "cargo::rustc-flags=-C linker=/x",
    "cargo:rustc-flags=-l",
    "cargo::rustc-link-arg-bin=nothing",
    "cargo::rustc-link-arg-bin=unknown=-s",
    "cargo::error=stop",
    "cargo::metadata=nothing",
    "cargo:: rustc-env=A=b",
    "cargo::",
    "cargo::=",
]
# Around and before a directive.
_ODD = [
    b"  cargo:rustc-env=A=b",
    b"cargo:rustc-env=A=b  \t",
    b"cargo:rustc-env=A=b\r",
    b"\x0bcargo:rustc-env=A=b",
    "\u00a0cargo:rustc-env=A=b".encode(),
    "\u2003cargo::rustc-env=A=b\u3000".encode(),
    b"\x1ccargo:rustc-env=A=b",
    b"\x85cargo:rustc-env=A=b",
    "\u0085cargo:rustc-env=A=b".encode(),
    "\u200bcargo:rustc-env=A=b".encode(),
    "\ufeffcargo:rustc-env=A=b".encode(),
    b"\xffcargo:rustc-env=A=b",
    b"cargo:rustc-env=A=\xff",
    b"Cargo:rustc-env=A=b",
    b"x cargo:rustc-env=A=b",
    b"cargo :rustc-env=A=b",
    b"cargo: rustc-env=A=b",
    b"cargo:rustc-env =A=b",
    b"cargo:metadata=x",
    b"cargo:error=x",
    b"cargo:root=/x",
    b"cargo:Root=/x",
    b"cargo:a b=c",
    b"cargo::metadata=root=/x",
    b"cargo::metadata=a-b=c=d",
    b"cargo:rustc-env=A=b\rcargo:rustc-env=C=d",
    b"\x1b[31mcargo:rustc-env=A=b",
    b"cargo:rustc-env=A=\x1b[31mred",
    b"car\x1b[mgo:rustc-env=A=b",
    b"cargo:rustc-\x00env=A=b",
    b"cargo:rustc-cfg=a\x00b",
]


def _parsed(lines: Iterable[bytes]) -> list[tuple[str, str]]:
    found = map(directive.parse, lines)
    return [(each[0].decode(), each[1].decode()) for each in found if each]


def _check(obeyed: Obeyed, found: list[tuple[str, str]]) -> None:
    arguments, environment = _expected(found)
    assert not obeyed.has_stopped, obeyed.said
    got = {target: set(obeyed.arguments[target]) for target in _TARGETS}
    assert got == arguments
    assert obeyed.environment == environment
    told = dict(value.split("=", 1) for key, value in found if key == "metadata" and "=" in value)
    assert obeyed.metadata == {_as_variable(name): value for name, value in told.items()}


def _as_variable(name: str) -> str:
    return name.upper().replace("-", "_")


@pytest.mark.parametrize("spelling", ["cargo:", "cargo::"])
@pytest.mark.quick(1)
def test_directives_are_read_as_cargo_obeys_them(bench: PrintingPackage, spelling: str) -> None:
    lines = [(spelling + text).encode() for text in _WORKING]

    _check(bench.run(b"\n".join(lines)), _parsed(lines))


@pytest.mark.parametrize("line", _STOPPING)
@pytest.mark.quick(5)
def test_what_cargo_stops_at_reaches_nobody(bench: PrintingPackage, line: str) -> None:
    assert bench.run(line.encode() + b"\n").has_stopped


def test_odd_lines_are_read_as_cargo_obeys_them(bench: PrintingPackage) -> None:
    lines = [line for line in _ODD if b"\x00" not in line]

    _check(bench.run(b"\n".join(lines)), _parsed(lines))


@pytest.mark.parametrize("spelling", ["cargo:", "cargo::", "odd"])
def test_cargo_gets_from_the_gate_what_was_judged_and_nothing_else(
    bench: PrintingPackage, spelling: str
) -> None:
    lines = _ODD if spelling == "odd" else [(spelling + text).encode() for text in _WORKING]
    passed: list[tuple[str, str]] = []

    def record(key: str, value: str, verdict: str) -> None:
        if verdict in ("free", "granted"):
            passed.append((decode(key).decode(), decode(value).decode()))

    # Everything that can be granted is.
    package: SessionPackage = {
        "crate": "x",
        "id": "x",
        "name": "x",
        "version": "1.0.0",
        "source": "",
        "checksum": "",
        "read": [],
        "write": [],
        "exec": [],
        "net": [],
        "env": [],
        "directives": [f"{key}=**" for key in _GRANTABLE],
        "deny": {},
    }
    gate = DirectiveGate(package, {"OUT_DIR": b"/o", "MANIFEST_DIR": b"/m"}, (), record)
    printed = b"".join(gate.pass_on(lines))

    assert passed
    _check(bench.run(printed), passed)


_GRANTABLE = (*directive_table.LINK_ARGUMENTS, "rustc-link-search", "rustc-link-lib", "rustc-flags")


def test_a_package_for_an_older_rust_has_the_new_spelling_refused_by_cargo_itself(
    tmp_path: Path,
) -> None:
    bench = PrintingPackage(tmp_path)
    bench.manifest('rust-version = "1.70"')

    assert bench.run(b"cargo::rustc-env=A=b\n").has_stopped
    assert bench.run(b"cargo:rustc-env=A=b\n").environment == {"A": "b"}
