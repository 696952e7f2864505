"""Refusals are recorded, even those that the kernel could make by itself."""

from __future__ import annotations

import errno
import os
import platform
import re
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox import machine
from buildperm.supervisor import landlock
from tests.bench import OTHER_UID, USERS, compile_c, make_bench
from tests.programs import CHILDREN, program_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench import Bench


BLINDING = {
    # Attempt of tests/children/blinding.c: how it is told, and its errno.
    "untraced": ("clone(CLONE_UNTRACED)", errno.EPERM),
    "traced-by-us": ("clone(CLONE_PTRACE)", errno.EPERM),
    "dumpable": ("prctl(PR_SET_DUMPABLE)", errno.EPERM),
    "ptracer": ("prctl(PR_SET_PTRACER)", errno.EPERM),
    "mm": ("prctl(PR_SET_MM)", errno.EPERM),
    "by-prctl": ("prctl(PR_SET_SECCOMP)", errno.EPERM),
    "filter": ("seccomp(SECCOMP_SET_MODE_FILTER)", errno.EPERM),
    "listener": ("seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)", errno.EPERM),
    "asking": ("seccomp(SECCOMP_SET_MODE_FILTER)", errno.EPERM),
    "int-80": ("i386 call", errno.ENOSYS),
    "x32": ("x32 call", errno.ENOSYS),
}
ON_X86 = ("int-80", "x32")


def test_what_would_blind_the_recorder_is_refused_and_told(bench: Bench) -> None:
    program = compile_c((CHILDREN / "blinding.c").read_text(), bench.top / "blinding")
    (bench.package / "seen").touch()
    # An argument would be one for Cargo's build script, which gets none.
    wrapper = bench.top / "wrapper"
    wrapper.write_text(f"#!/bin/sh\nexec {program} {bench.package}/seen\n")
    wrapper.chmod(0o755)
    bench.grants = {"exec": ["/bin/sh", str(program)], "read": [str(program)]}
    expected = dict(BLINDING)
    if platform.machine() != "x86_64":
        for name in ON_X86:
            del expected[name]

    ended = bench.run(bench.install(wrapper))

    tried = dict(line.split() for line in ended.stderr.decode().splitlines() if line[-1].isdigit())
    assert tried == {name: str(number) for name, (_, number) in expected.items()} | {"open": "0"}
    assert [(call["call"], call["errno"]) for call in ended.of("call")] == list(
        dict.fromkeys(expected.values())
    )
    programs = {line["pid"]: line["program"] for line in ended.of("process")}
    assert {programs[call["pid"]] for call in ended.of("call")} == {str(program)}
    assert str(bench.package / "seen") in [line["path"] for line in ended.of("opened")]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="i386 is x86-64's")
def test_a_32_bit_program_gets_nothing_done_and_the_recorder_goes_on(own_bench: Bench) -> None:
    code = bytes.fromhex("b801000000cd80f4")  # exit by int 0x80, then hlt, which is a fault.
    at, size = 0x08048000, 52 + 32
    header = struct.pack(
        *("<16s2H5I6H", b"\x7fELF\x01\x01\x01", 2, 3, 1, at + size, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    )
    segment = struct.pack("<8I", 1, 0, at, at, size + len(code), size + len(code), 5, 0x1000)
    program = own_bench.top / "thirty-two"
    program.write_bytes(header + segment + code)
    program.chmod(0o755)
    own_bench.grants = {"exec": [str(program)]}
    script = own_bench.script(
        "import os\n"
        f"status = os.spawnv(os.P_WAIT, {str(program)!r}, ['thirty-two'])\n"
        "open(os.environ['OUT_DIR'] + '/after', 'w').write(str(status))\n"
        "os.mkdir(os.environ['OUT_DIR'] + '/made')\n"
    )

    ended = own_bench.run(script)

    if not ended.of("call"):
        pytest.skip("no 32-bit programs")
    assert (own_bench.out_dir / "after").read_text() == "-11"  # SIGSEGV: it could not even end.
    assert [call["call"] for call in ended.of("call")] == ["i386 call"]
    assert [line["path"] for line in ended.of("changed")][-1] == os.fspath(
        own_bench.out_dir / "made"
    )
    assert ended.status == 0


SIGNALLING = program_text("signals.py")
STRANGER = program_text("signals_strangers.py")
OWN = program_text("signals_children.py")


@pytest.fixture(params=[(user, state) for user in USERS for state in ("portable", "full")])
def held(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Make a bench for each user and each runtime."""
    user, state = request.param
    for bench in make_bench(user):
        if state == "full":
            found = machine.bubblewrap()
            why_not = machine.probe_wrapper(found) if found else "it is not installed"
            if why_not:
                pytest.skip(f"bubblewrap is unusable: {why_not}")
            bench.wrapper, bench.mounts = [os.fsencode(found)], True
        yield bench


def _tried(stderr: bytes) -> dict[str, int]:
    return {
        name: int(number) for name, number in re.findall(r"^(\S+) (\d+)$", stderr.decode(), re.M)
    }


def _may_raise_limits() -> bool:
    """Tell whether this process has CAP_SYS_RESOURCE: capabilities(7), proc_pid_status(5)."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> 24 & 1)


def test_signals_to_others_are_refused_and_told(held: Bench) -> None:
    if landlock.abi(landlock.NEWEST) < 6:
        pytest.skip("no LANDLOCK_SCOPE_SIGNAL")
    user = OTHER_UID if held.uid else None
    with subprocess.Popen(["sleep", "60"], start_new_session=True, user=user) as victim:
        pid = str(victim.pid)
        held.environment = {"CARGO_FEATURE_VICTIM": pid, "CARGO_FEATURE_GROUP": pid}

        ended = held.run(held.script(SIGNALLING + STRANGER))

        is_alive = victim.poll() is None
        victim.kill()
    assert is_alive
    others = errno.ESRCH if held.mounts else errno.EPERM
    pidfd = "pidfd_open" if held.mounts else "pidfd_send_signal"
    told = {
        # Attempt: how it is told, and its errno.
        "kill": ("kill", others),
        "group": ("kill", others),
        "all": ("kill", errno.ESRCH if held.mounts else errno.EPERM),
        "tkill": ("tkill", others),
        "tgkill": ("tgkill", others),
        "queue": ("rt_sigqueueinfo", others),
        "tgqueue": ("rt_tgsigqueueinfo", others),
        "parent": ("kill", errno.EPERM),
        "pidfd": (pidfd, others),
        "owner": ("fcntl(F_SETOWN)", errno.EPERM),
    }
    assert _tried(ended.stderr) == {name: number for name, (_, number) in told.items()}
    if held.mounts:
        del told["tkill"]  # A number of a thread says too little about who was meant.
        del told["all"]  # Nobody but the script is there.
    calls = {(call["call"], call["errno"]): call.get("count", 1) for call in ended.of("call")}
    assert calls == {each: list(told.values()).count(each) for each in told.values()}


def test_signals_within_the_tree_arrive_and_are_nobodys_affair(held: Bench) -> None:
    held.environment = {"CARGO_FEATURE_VICTIM": "1", "CARGO_FEATURE_GROUP": "1"}

    ended = held.run(held.script(SIGNALLING + OWN))

    tried = _tried(ended.stderr)
    assert tried.pop("gone") == errno.ESRCH
    assert len(tried) == 8
    assert {name for name, number in tried.items() if number} == set()
    assert ended.of("call") == []
    assert ended.status == 0


def test_raising_the_limit_of_core_dumps_is_told_and_lowering_it_is_not(bench: Bench) -> None:
    script = bench.script(program_text("raises_limits.py"))

    ended = bench.run(script)

    is_privileged = not bench.uid and _may_raise_limits()
    expected = [] if is_privileged else [("setrlimit(RLIMIT_CORE)", errno.EPERM)]
    assert [(call["call"], call["errno"]) for call in ended.of("call")] == expected
    assert (b"refused" in ended.stdout) != is_privileged
