from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from buildperm.cache import static_key
from buildperm.cache.path_tokens import PathTokens

VARIABLES = {b"CC": b"cc", b"NUM_JOBS": b"4", b"CARGO_MAKEFLAGS": b"-j4 --jobserver-auth=3,4"}
TOKENS = PathTokens({"WORKSPACE": b"/home/me/ws"})


def key(
    variables: dict[bytes, bytes] = VARIABLES,
    *,
    settled: str = "a",
    program: str = "b",
    tokens: PathTokens = TOKENS,
) -> str:
    return static_key.of(static_key.parts({"grants": settled}, program, (), variables, tokens))


@pytest.mark.parametrize(
    "other",
    [
        VARIABLES | {b"CC": b"clang"},
        VARIABLES | {b"CFLAGS": b""},
        {b"CC": b"cc"} | {b"CCX": b""},
        VARIABLES | {b"CARGO_MAKEFLAGS": b"-j4 --jobserver-auth=3,4 -B"},
    ],
)
def test_another_variable_is_another_key(other: dict[bytes, bytes]) -> None:
    assert key(other) != key()


@pytest.mark.parametrize(
    "other",
    [
        VARIABLES | {b"NUM_JOBS": b"1"},
        VARIABLES | {b"CARGO_MAKEFLAGS": b"-j 1 --jobserver-fds=9,8 --jobserver-auth=fifo:/x"},
    ],
)
def test_how_much_runs_at_once_is_no_part_of_the_key(other: dict[bytes, bytes]) -> None:
    assert key(other) == key()


def test_grants_program_umask_and_processors_are_parts_of_the_key() -> None:
    mask = os.umask(0o027)
    try:
        masked = key()
    finally:
        os.umask(mask)
    other = 0o077 if mask == 0o027 else 0o027
    os.umask(other)
    try:
        assert key() != masked or other == 0o027
    finally:
        os.umask(mask)
    assert len({key(), key(settled="x"), key(program="x")}) == 3


HANDED_ON = {
    "niceness": "os.nice(1)",
    "personality": "ctypes.CDLL(None).personality(0x0020000)",  # UNAME26
    "an ignored signal": "signal.signal(signal.SIGQUIT, signal.SIG_IGN)",
    "slack of timers": "ctypes.CDLL(None).prctl(29, 70123, 0, 0, 0)",  # PR_SET_TIMERSLACK
    "policy": "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    "privileges": "ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)",  # PR_SET_NO_NEW_PRIVS
}


@pytest.mark.parametrize("change", HANDED_ON.values(), ids=HANDED_ON)
def test_what_a_process_hands_on_is_part_of_the_key(change: str) -> None:
    told = "print(static_key.parts({}, '', (), {}, PathTokens({}))['what the process is'])"
    program = (
        "import ctypes, os, signal\nfrom buildperm.cache import static_key\n"
        f"from buildperm.cache.path_tokens import PathTokens\n{told}\n{told}\n{change}\n{told}"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )

    before, again, after = ended.stdout.splitlines()
    assert before == again
    is_so_already = "prctl" in change and "NoNewPrivs: 1" in before
    assert before != after or is_so_already


def test_a_signal_that_no_script_ignores_is_no_part_of_the_key() -> None:
    before = key()
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As under nohup(1).
    try:
        assert key() == before
    finally:
        signal.signal(signal.SIGHUP, former)


def test_the_same_below_another_place_is_the_same_key() -> None:
    there = PathTokens({"WORKSPACE": b"/srv/other"})

    here = key(VARIABLES | {b"FLAGS": b"-I/home/me/ws/include"})

    assert key(VARIABLES | {b"FLAGS": b"-I/srv/other/include"}, tokens=there) == here
    assert key(VARIABLES | {b"FLAGS": b"-I/home/me/ws/include"}, tokens=there) != here


def test_what_differs_is_named() -> None:
    before = static_key.parts({}, "b", (), VARIABLES, TOKENS)
    now = static_key.parts({}, "c", (), VARIABLES | {b"CC": b"clang"}, TOKENS)

    assert static_key.difference(before, now) == ["the program", "the variable CC"]
