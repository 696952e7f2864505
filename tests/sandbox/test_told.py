"""What is refused is told: whatever the kernel could answer by itself is in the recording."""

from __future__ import annotations

import errno
import os
import platform
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.conftest import compile_c

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

CHILDREN = Path(__file__).parents[1] / "children"

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
