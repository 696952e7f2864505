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
CHILDREN = Path(__file__).parents[1] / "children"
CHILD = CHILDREN / "flips_shared_name.c"
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

LED = """
import os
private = os.path.dirname(os.environ["TMPDIR"]) + "/shm"
os.rmdir(private)
os.symlink({folder!r}, private)
for act in (
    lambda: os.unlink("/dev/shm/id"),
    lambda: os.rename("/dev/shm/id", "/dev/shm/other"),
    lambda: os.link("/dev/shm/id", "/dev/shm/other"),
    lambda: open("/dev/shm/id").read(),
    lambda: open("/dev/shm/new", "w").close(),
):
    try:
        act()
    except OSError:
        pass
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


def test_what_the_private_folder_is_led_to_is_refused_and_recorded(either: Bench) -> None:
    """The script has put a link to somebody's keys in the place of its folder."""
    folder = either.home / ".ssh"
    folder.mkdir(parents=True)
    (folder / "id").write_text("a key")

    ended = either.run(either.script(LED.format(folder=str(folder))))

    assert ended.status == 1
    assert b"$HOME/.ssh/id" in ended.stderr
    refused = [each for kind in ("changed", "opened") for each in ended.of(kind) if "errno" in each]
    told = [(each.get("change", ""), each["path"]) for each in refused if each.get("refused")]
    names = {"removed": "id", "renamed": "other", "linked": "other"}
    assert set(told) == {
        *((change, str(folder / name)) for change, name in names.items()),
        *(("", str(folder / name)) for name in ("id", "new")),
    }
    assert os.listdir(folder) == ["id"]


def test_a_folder_that_is_led_to_its_own_output_is_used_there(either: Bench) -> None:
    lead = str(either.out_dir)
    ended = either.run(either.script(LED.format(folder=lead).replace("os.unlink", "open")))

    assert ended.status == 0, ended.stderr
    assert (either.out_dir / "new").exists()
    assert str(either.out_dir / "new") in {each["path"] for each in ended.of("opened")}


def test_memory_below_the_stack_is_as_before(own_bench: Bench, tmp_path: Path) -> None:
    program = tmp_path / "looks"
    child = CHILDREN / "looks_below_stack.c"
    subprocess.run(["cc", "-O1", "-o", program, child], check=True)

    ended = own_bench.run(own_bench.install(program))

    assert ended.status == 0, ended.stderr
    assert ended.stdout == b"cargo:warning=opened, 0 changed\n"
