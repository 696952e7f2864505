"""The patch of the C library of this machine: where it is, and that nothing else is changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.tracer.recorder import open_patch

if TYPE_CHECKING:
    from collections.abc import Callable


KEY = 0x1122334455667788

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="there is no patch for other processors"
)


def library() -> Path:
    """Return the C library that this machine's programs run with."""
    listed = subprocess.check_output(["ldd", "/bin/sh"], text=True)
    found = re.search(r"=> (\S*/libc\.so\.6)", listed)
    if found is None:
        pytest.skip("another C library than glibc")
    return Path(found[1])


def code_offset() -> int:
    """Return where its code is, in the file and in memory."""
    listed = subprocess.check_output(["readelf", "-lW", library()], text=True)
    found = re.search(r"LOAD +0x([0-9a-f]+) 0x([0-9a-f]+) .* R E ", listed)
    assert found is not None
    assert found[1].lstrip("0") == found[2].lstrip("0")
    return int(found[1], 16)


def test_every_call_that_opens_by_a_path_is_redirected() -> None:
    file = library()
    patch = open_patch.of_library(os.fsencode(file), KEY)

    assert patch is not None
    code = subprocess.check_output(["objdump", "-d", "-j", ".text", file], text=True)
    # The number, and a `syscall` that soon follows.
    calls = re.findall(
        r"^ +([0-9a-f]+):\t[0-9a-f ]+\tmov +\$0x101,%eax\n(?:.*\tmov .*\n){0,3}.*\tsyscall",
        code,
        re.MULTILINE,
    )
    jumps = {code_offset() + offset for offset, piece in patch.pieces if len(piece) == 5}
    assert jumps == {int(address, 16) for address in calls}


def test_only_unused_bytes_and_whole_instructions_are_replaced() -> None:
    patch = open_patch.of_library(os.fsencode(library()), KEY)

    assert patch is not None
    content = library().read_bytes()
    (begin, stubs), *jumps = patch.pieces
    for offset, piece in jumps:
        at = code_offset() + offset
        assert len(piece) == 5
        assert content[at : at + 5] == b"\xb8\x01\x01\x00\x00"
    at = code_offset() + begin
    assert content[at : at + len(stubs)] == bytes(len(stubs))
    assert at % 4096 + len(stubs) <= 4096


def test_each_key_is_where_it_is_said_to_be() -> None:
    patch = open_patch.of_library(os.fsencode(library()), KEY)

    assert patch is not None
    begin, stubs = patch.pieces[0]
    assert len(patch.keys) == len(patch.pieces) - 1
    for key_at in patch.keys:
        assert stubs[key_at - begin :][:8] == KEY.to_bytes(8, "little")
    assert stubs.count(KEY.to_bytes(8, "little")) == len(patch.keys)


def test_a_library_that_opens_nothing_gets_no_patch() -> None:
    assert open_patch.of_library(os.fsencode(library().with_name("libm.so.6")), KEY) is None


def test_what_is_no_library_gets_no_patch(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")

    with pytest.raises(ValueError, match="ELF"):
        open_patch.of_library(os.fsencode(tmp_path / "text"), KEY)


def attempts(folder: Path, program: Path, file: Path) -> dict[str, str]:
    """Let `program` put the patch of `file` into itself; return what came of its attempts."""
    patch = open_patch.of_library(os.fsencode(file), KEY)
    assert patch is not None
    folder.chmod(0o777)
    (folder / "readable").write_text("")
    (folder / "closed").write_text("")
    (folder / "closed").chmod(0)
    ran = subprocess.run(
        [str(program), file.name, f"{KEY:x}"],
        input="".join(f"{offset:x} {piece.hex()}\n" for offset, piece in patch.pieces),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split(" ") for line in ran.stdout.splitlines())


EXPECTED = {
    "read": "done",
    "missing": "ENOENT",
    "folder": "ENOTDIR",
    "refused": "EOPNOTSUPP",  # That is what the filter answers to calls without the key.
    "refused-at": "EOPNOTSUPP",
    "made": "done",
    "thread": "done",
    "thread-missing": "ENOENT",
    "later": "done",
}


def test_all_ways_of_the_library_to_open_carry_the_key(
    tmp_path: Path, child: Callable[..., Path]
) -> None:
    program = child("patches_itself")

    assert attempts(tmp_path, program, library()) == EXPECTED | {"stream": "done", "listed": "done"}


def test_a_function_that_makes_the_call_is_given_the_key(
    tmp_path: Path, child: Callable[..., Path]
) -> None:
    """As in glibc 2.41, which this machine may not have."""
    file = child("opens_by_function", "-shared", "-fPIC", "-O2")
    program = child("patches_itself", "-DBY_FUNCTION", str(file), f"-Wl,-rpath,{file.parent}")

    assert attempts(tmp_path, program, file) == EXPECTED


def test_what_is_known_of_a_library_holds_for_each_key_and_until_it_changes(tmp_path: Path) -> None:
    copied = tmp_path / "libc.so.6"
    shutil.copy(library(), copied)
    path = os.fsencode(copied)

    first, second = (open_patch.of_library(path, key) for key in (KEY, KEY + 1))

    assert first is not None
    assert second is not None
    assert first.keys == second.keys
    (begin, stubs), *jumps = first.pieces
    (_, others), *same = second.pieces
    assert jumps == same
    places = [range(at - begin, at - begin + 8) for at in first.keys]
    for place in places:
        assert stubs[place.start : place.stop] == KEY.to_bytes(8, "little")
        assert others[place.start : place.stop] == (KEY + 1).to_bytes(8, "little")
    rest = set(range(len(stubs))) - {at for place in places for at in place}
    assert all(stubs[at] == others[at] for at in rest)

    copied.write_bytes(b"#!/bin/sh\n")
    with pytest.raises(ValueError, match="ELF"):
        open_patch.of_library(path, KEY)
