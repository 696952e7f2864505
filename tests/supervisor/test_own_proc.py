"""What `/proc` says of a script's own processes is given; of others, and their memory, nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.programs import program_text

if TYPE_CHECKING:
    from tests.bench import Bench, Ended

TRY = program_text("warns_of_attempts.py")
GIVEN = ("status", "mounts", "mountinfo", "thread", "number", "child", "task")
KEPT = ("environ", "memory", "parent", "init", "write")

OTHERS = [f"/proc/{digit}*/**" for digit in range(1, 10)]
"""Of its own processes it is `/proc/self`, whatever their numbers."""


def said(ended: Ended) -> dict[str, str]:
    """Return what the script said came of each attempt."""
    words = (line.removeprefix(b"cargo:warning=") for line in ended.stdout.splitlines())
    return dict(word.decode().split(" ", 1) for word in words)


def test_a_script_reads_of_its_own_processes_and_of_no_others(bench: Bench) -> None:
    # So that reading of another process does not fail the run, and its output is seen.
    bench.deny = {"read": OTHERS}
    placed = bench.script(TRY + program_text("reads_own_proc.py"))

    ended = bench.run(placed)

    found = said(ended)
    assert {name: found[name] for name in GIVEN} == dict.fromkeys(GIVEN, "done"), ended.stderr
    assert {found[name] for name in KEPT} == {"Permission denied"}


def test_a_path_below_proc_of_its_own_has_no_number(own_bench: Bench) -> None:
    ended = own_bench.run(own_bench.script(TRY + program_text("reads_own_proc.py")))

    mine = {(each["path"], each.get("errno", 0)) for each in ended.of("opened")}
    names = ("status", "mounts", "mountinfo", "stat", "maps", "cmdline", "comm")
    assert {(f"/proc/self/{name}", 0) for name in names} <= mine
    assert {("/proc/self/environ", 13), ("/proc/self/mem", 13), ("/proc/self/comm", 13)} <= mine
    told = {path for path, _ in mine if path.startswith("/proc/") and path[6].isdigit()}
    assert len(told) == 2  # Its parent and the first process.
    assert ended.status == 1  # For what it tried with others.
    assert b"/proc/1/cmdline (another process" in ended.stderr
    assert b"/proc/self" not in ended.stderr


def test_the_copy_says_what_the_kernel_says(own_bench: Bench) -> None:
    placed = own_bench.script(
        "import os\n"
        "lines = [line.split() for line in open('/proc/self/status')]\n"
        "assert ['Pid:', str(os.getpid())] in lines, lines\n"
        "assert open('/proc/self/comm').read().strip()\n"
        "assert '/proc' in open('/proc/mounts').read()\n"
    )

    ended = own_bench.run(placed)

    assert ended.status == 0, ended.stderr
    assert os.fsencode("warning") not in ended.stderr


@pytest.mark.slow
def test_nothing_but_the_copy_is_written_to(own_bench: Bench) -> None:
    """Another thread may put a file, which the script may only read, in the place of the copy."""
    victim = own_bench.package / "victim"
    victim.write_text("as it was")
    placed = own_bench.script(
        "import os, threading\n"
        "only_read = os.open('victim', os.O_RDONLY)\n"
        "copy = os.open('/proc/self/status', os.O_RDONLY)\n"
        "os.close(copy)\n"
        "ended = False\n"
        "def swap():\n"
        "    while not ended:\n"
        "        os.dup2(only_read, copy)\n"
        "thread = threading.Thread(target=swap)\n"
        "thread.start()\n"
        "for _ in range(3000):\n"
        "    try:\n"
        "        os.close(copy)\n"
        "        os.open('/proc/self/status', os.O_RDONLY)\n"
        "    except OSError:\n"
        "        pass\n"
        "ended = True\n"
        "thread.join()\n"
    )

    ended = own_bench.run(placed)

    assert ended.status == 0, ended.stderr
    assert victim.read_text() == "as it was"
    opened = {each["path"] for each in ended.of("opened")}
    assert "/proc/self/status" in opened


@pytest.mark.parametrize("rule", ["/proc/**", "/proc/self/**", "/proc/self/status"])
def test_a_denial_holds_for_the_copies_too(own_bench: Bench, rule: str) -> None:
    own_bench.deny = {"read": [rule]}
    placed = own_bench.script(
        TRY + "attempt('status', lambda: open('/proc/self/status'))\n"
        "attempt('number', lambda: open(f'/proc/{os.getpid()}/status'))\n"
        "attempt('comm', lambda: open('/proc/self/comm'))\n"
    )

    found = said(own_bench.run(placed))

    assert found["status"] == found["number"] == "Permission denied"
    # What is beside one denied file is as open as ever.
    assert (found["comm"] == "done") is (rule == "/proc/self/status")


@pytest.mark.parametrize("rule", ["/proc/thread-self/**", "/proc/self/task/**"])
def test_a_denial_of_threads_holds_for_their_copies(own_bench: Bench, rule: str) -> None:
    own_bench.deny = {"read": [rule]}
    placed = own_bench.script(
        TRY + "attempt('thread', lambda: open('/proc/thread-self/status'))\n"
        "attempt('task', lambda: open(f'/proc/self/task/{os.getpid()}/status'))\n"
        "attempt('number', lambda: open(f'/proc/{os.getpid()}/task/{os.getpid()}/status'))\n"
        "attempt('comm', lambda: open('/proc/self/comm'))\n"
    )

    found = said(own_bench.run(placed))

    assert found["thread"] == found["task"] == found["number"] == "Permission denied"
    assert found["comm"] == "done"  # Of the whole process nothing is denied.
