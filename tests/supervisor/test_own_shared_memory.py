"""Shared memory by name is a script's own; what others have there is not there for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox.machine import bubblewrap
from tests.redteam.runtimes import RUNTIMES

if TYPE_CHECKING:
    from tests.bench import Bench

SHARED = Path("/dev/shm")
CHILD = Path(__file__).parents[1] / "children" / "flips_shared_name.c"
HONEST = """
import multiprocessing, os
from multiprocessing import shared_memory
lock = multiprocessing.get_context("fork").Lock()
memory = shared_memory.SharedMemory(create=True, size=64)
def work():
    with lock:
        again = shared_memory.SharedMemory(name=memory.name)
        again.buf[0] = 7
        again.close()
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
print("cargo::warning=%d %d" % (child.exitcode, memory.buf[0]))
memory.close()
memory.unlink()
"""
HOSTILE = """
import os
SHM = "/dev/shm/"
def tried(name, act):
    try:
        act()
        print("cargo::warning=%s done" % name)
    except OSError as error:
        print("cargo::warning=%s %d" % (name, error.errno))
mine = os.environ["OUT_DIR"]
tried("read", lambda: open(SHM + {name!r}).read())
tried("write", lambda: open(SHM + {name!r}, "a").write("attacked"))
tried("remove", lambda: os.unlink(SHM + {name!r}))
tried("deep", lambda: open(SHM + "../shm/" + {name!r}).read())
tried("link", lambda: os.link(SHM + {name!r}, mine + "/stolen"))
tried("out", lambda: os.rename(SHM + {name!r}, mine + "/stolen"))
tried("in", lambda: os.rename(mine, SHM + "moved"))
"""


@pytest.fixture(params=RUNTIMES)
def either(own_bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Return a bench of either runtime."""
    if request.param == "full":
        own_bench.wrapper, own_bench.mounts = [os.fsencode(bubblewrap())], True
    return own_bench


def test_semaphores_and_shared_memory_work_and_leave_nothing(either: Bench) -> None:
    before = set(os.listdir(SHARED))

    ended = either.run(either.script(HONEST))

    assert ended.status == 0, ended.stderr
    assert ended.stdout == b"cargo::warning=0 7\n"
    assert not ended.refused("opened")
    assert not (either.unit / "buildperm/scratch/shm").exists()
    assert not {each for each in set(os.listdir(SHARED)) - before if each.startswith("psm_")}


def test_no_other_thread_makes_it_another_file(own_bench: Bench, tmp_path: Path) -> None:
    """One that changes the text below the stack, where the path of the call has been put."""
    key = own_bench.top / "elsewhere/key"
    key.parent.mkdir()
    key.write_text("a key")
    program = tmp_path / "flips"
    subprocess.run(["cc", "-O1", "-pthread", "-o", program, CHILD], check=True)

    ended = own_bench.run(own_bench.install(program))

    words = (line.split(b"=")[1].split(b" ") for line in ended.stdout.splitlines())
    counts = {name: int(count) for name, count in words}
    assert ended.status == 0, ended.stderr
    assert counts[b"stolen"] == 0
    assert sum(counts.values()) == 3000
    told = [each for each in ended.of("opened") if each.get("refused")]
    assert sum(each.get("count", 1) for each in told) == counts[b"refused"]


def test_what_others_have_in_shared_memory_is_neither_read_nor_changed(either: Bench) -> None:
    theirs = SHARED / f"buildperm-test-{os.getpid()}"
    theirs.write_text("theirs")
    either.deny = {"read": ["/dev/**"], "write": ["/dev/**"]}  # So that the run goes on.
    try:
        ended = either.run(either.script(HOSTILE.format(name=theirs.name)))
        kept = theirs.read_text()
    finally:
        theirs.unlink(missing_ok=True)

    words = (line.removeprefix(b"cargo::warning=").decode() for line in ended.stdout.splitlines())
    said = dict(word.split(" ") for word in words)
    assert kept == "theirs"
    assert said["read"] == "2", ended.stderr
    assert said["write"] == said["remove"] == "done"  # Of its own of that name.
    assert "done" not in (said["deep"], said["link"], said["out"], said["in"])
    assert not (either.out_dir / "stolen").exists()
