"""What runtimes say about themselves, and the proof that one holds."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.errors import CannotEnforceError, ExitCode
from buildperm.policy.runtime_table import RUNTIMES
from buildperm.sandbox import machine, portable_runtime, runtime, selftest, start_programs, stub
from buildperm.sandbox.full_runtime import full
from buildperm.sandbox.machine import ProbeResults
from buildperm.sandbox.portable_runtime import PortableRuntime, portable
from buildperm.sandbox.runtime import Runtime, RuntimeSetup
from buildperm.tracer import syscall_numbers

ROOT = Path(__file__).parents[2]
CAN_ALL = ProbeResults(
    kernel="6.18",
    machine="x86_64",
    landlock_abi=7,
    seccomp_errno=0,
    ptrace_errno=0,
    ptrace_scope="",
)


def test_this_machine_holds_a_child(tmp_path: Path) -> None:
    facts = selftest.check(scratch=tmp_path)

    assert facts.landlock_abi >= 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"landlock_abi": 0}, "offers no Landlock"),
        ({"machine": "riscv64"}, "`riscv64` are not supported"),
        ({"seccomp_errno": errno.EINVAL}, "seccomp filters are refused: Invalid argument"),
        ({"ptrace_errno": errno.EPERM, "ptrace_scope": "3"}, "ptrace_scope is 3"),
        ({"ptrace_errno": errno.EPERM}, "--cap-add SYS_PTRACE"),
        ({"failure": "no python"}, "could not be asked: no python"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, int | str], said: str
) -> None:
    lacking = dataclasses.replace(CAN_ALL, **change)  # type: ignore[arg-type]  # by field
    monkeypatch.setattr(portable_runtime, "probe", lambda: lacking)

    reason = PortableRuntime().unavailable()
    assert reason is not None
    assert said in reason
    with pytest.raises(CannotEnforceError, match="cannot hold build scripts here") as caught:
        selftest.check(PortableRuntime())
    assert caught.value.exit_code is ExitCode.CANNOT_ENFORCE
    assert caught.value.hint


def test_without_landlock_nothing_is_prepared() -> None:
    with pytest.raises(CannotEnforceError, match="offers no Landlock"):
        PortableRuntime(cap=0).prepare()


@dataclasses.dataclass(frozen=True, slots=True)
class Blunt:
    """A runtime whose filter lets everything pass unseen."""

    filter: bytes
    name: str = "blunt"

    def unavailable(self) -> str | None:
        return None

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        return (f"everything above {landlock_abi}",)

    def prepare(self) -> RuntimeSetup:
        return dataclasses.replace(PortableRuntime().prepare(), filter=self.filter, landlock_abi=1)


def test_a_runtime_that_does_not_hold_is_found_out() -> None:
    allow_all = b"\x06\0\0\0\0\0\xff\x7f"
    blunt: Runtime = Blunt(allow_all)

    with pytest.raises(CannotEnforceError, match="it connected to a port"):
        selftest.check(blunt)


def test_a_recorder_that_sees_nothing_is_found_out() -> None:
    """Every call fails without being looked at, as under a foreign listener."""
    refuse_two = b"".join(
        code.to_bytes(2, "little") + bytes([true, false]) + value.to_bytes(4, "little")
        for code, true, false, value in [
            (0x20, 0, 0, 0),
            (0x15, 0, 1, syscall_numbers.table()["connect"]),
            (0x06, 0, 0, 0x5000D),
            (0x06, 0, 0, 0x7FFF0000),
        ]
    )

    with pytest.raises(CannotEnforceError, match="the recorder did not see"):
        selftest.check(Blunt(refuse_two))


def test_an_unknown_runtime_is_named_with_the_known_ones() -> None:
    with pytest.raises(CannotEnforceError, match="`fuller`") as caught:
        runtime.runtime("fuller")
    assert "portable" in caught.value.hint


def test_every_runtime_is_registered_under_its_name() -> None:
    assert all(name == each.name for name, each in runtime.runtimes().items())
    assert runtime.runtime("portable") is portable


def test_an_older_landlock_leaves_more_open() -> None:
    assert len(portable.left_open(1)) > len(portable.left_open(5)) > len(portable.left_open(7)) > 0


def test_the_kernel_is_asked_by_doing() -> None:
    facts = machine.probe()

    assert facts.failure == ""
    assert facts.kernel == os.uname().release


ADDED = """\
import sys
from buildperm.policy.runtime_table import RUNTIMES
RUNTIMES["polite"] = "tests.children.polite_runtime:polite"
from buildperm.cli import main
sys.argv[0] = "buildperm"
main()
"""


def with_polite(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run buildperm with one entry more in its table of runtimes."""
    return subprocess.run(
        [sys.executable, "-c", ADDED, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.slow
def test_a_runtime_is_added_by_one_entry(tmp_path: Path) -> None:
    """It is a choice, a word for Cargo.toml, a part of doctor, and it holds a real build."""
    lower = min(19, os.nice(0) + 7)  # The tests themselves may run at a lower priority.
    secret = tmp_path / "secret"
    secret.write_text("x")
    workspace = tmp_path / "workspace"
    (workspace / "src").mkdir(parents=True)
    (workspace / "src/lib.rs").touch()
    (workspace / "Cargo.toml").write_text(
        '[package]\nname = "nice"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n'
        '[workspace.metadata.buildperm]\nversion = 1\nrequire = "polite"\nruntime = "polite"\n'
        "[workspace.metadata.buildperm.crates.nice]\n"
    )
    (workspace / "build.rs").write_text(
        'extern "C" { fn nice(more: i32) -> i32; }\n'
        "fn main() {\n"
        '    println!("cargo::warning=nice {}", unsafe { nice(0) });\n'
        f'    println!("cargo::warning=read {{}}", std::fs::read("{secret}").is_ok());\n'
        "}\n"
    )

    told = with_polite("ci", "--help", folder=workspace)
    assert "[auto|portable|full|polite|remote|wasi]" in told.stdout

    built = with_polite("ci", "--", "build", "--offline", folder=workspace)
    said = built.stdout + built.stderr
    assert f"nice {lower}" in said, said
    assert "read false" in said
    (recording,) = (workspace / "target").rglob("buildperm/recording.jsonl")
    header, *lines = map(json.loads, recording.read_text().splitlines())
    assert header["runtime"] == "polite"
    # Rust looks at /proc/self/maps as it starts.
    refused = {line["path"] for line in lines if line.get("refused")}
    assert refused - {"/proc/self/maps"} == {str(secret)}
    assert len([line for line in lines if line["type"] == "process"]) == 1  # Not the wrapper's.

    examined = with_polite("doctor", "--format", "json", folder=workspace)
    document = json.loads(examined.stdout)
    assert [each["name"] for each in document["runtimes"]] == [*RUNTIMES, "polite"]
    polite = document["runtimes"][-1]
    assert polite["available"]
    assert polite["reason"] == ""
    assert polite["canaries"]


class Lacking:
    """A runtime that this machine does not have."""

    name = "full"

    def unavailable(self) -> str | None:
        return "it is not there"

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        raise AssertionError(landlock_abi)

    def prepare(self) -> RuntimeSetup:
        raise CannotEnforceError("it is not there")


LACKING = Lacking()


def test_auto_takes_the_strongest_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    best = "full" if full.unavailable() is None else "portable"
    assert runtime.choose("auto", "portable").name == best
    assert runtime.choose("portable", "portable") is portable

    monkeypatch.setitem(RUNTIMES, "full", f"{__name__}:LACKING")

    assert runtime.choose("auto", "portable") is portable


def test_below_what_is_required_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotEnforceError, match='`require = "full"` asks for more') as caught:
        runtime.choose("portable", "full")
    assert caught.value.exit_code is ExitCode.CANNOT_ENFORCE

    monkeypatch.setitem(RUNTIMES, "full", f"{__name__}:LACKING")
    for wanted in ("auto", "full"):
        with pytest.raises(CannotEnforceError, match="it is not there"):
            runtime.choose(wanted, "full").prepare()


@pytest.mark.parametrize("abi", range(1, 8))
def test_each_right_that_a_kernel_lacks_is_named_by_what_becomes_possible(abi: int) -> None:
    told = " ".join(portable.left_open(abi))

    for added, attack in {3: "(truncate)", 4: "TCP", 5: "(ioctl)", 6: "(kill)"}.items():
        assert (attack in told) == (abi < added)
    assert "(kill)" not in " ".join(full.left_open(abi))


@pytest.mark.parametrize("name", ["portable", "full"])
def test_what_an_older_env_cannot_keep_from_a_shell_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = runtime.runtime(name).left_open(7)
    without = tmp_path / "env"
    without.write_text("#!/bin/sh\nexit 125\n")  # As busybox answers to `-S`.
    without.chmod(0o755)
    monkeypatch.setattr(stub, "_ENV", os.fsencode(without))
    stub.interpreter.cache_clear()
    try:
        found = runtime.runtime(name).left_open(7)
        text = stub.stub(b"/session", b"")
    finally:
        monkeypatch.undo()
        stub.interpreter.cache_clear()

    (said,) = set(found) - set(known)
    assert "libraries" in said
    assert text.startswith(b"#!" + stub.shell() + b"\n")
    assert b"unset BUILDPERM_LIBRARIES\n" in text


@pytest.mark.slow
def test_rooms_are_made_where_that_works_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if full.unavailable():
        pytest.skip("bubblewrap is unusable")
    assert full.prepare().room

    for starter in (b"", bytes(tmp_path / "starter")):
        (tmp_path / "starter").write_text("#!/bin/false\n")
        (tmp_path / "starter").chmod(0o755)
        monkeypatch.setattr(start_programs, "starter", lambda starter=starter: starter)
        machine._probe_wrapper.cache_clear()
        try:
            prepared = full.prepare()
        finally:
            machine._probe_wrapper.cache_clear()
        assert not prepared.room
        assert prepared.wrapper
