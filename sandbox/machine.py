"""What this machine can do, asked once; the reasons for every "cannot enforce"."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import buildperm
from buildperm.sandbox import start_programs
from buildperm.supervisor import landlock

NEWEST_LANDLOCK_ABI = landlock.NEWEST
"""The newest Landlock ABI whose rights are known here."""

NO_PROC = "/proc is not mounted, as in some containers and chroots"
MOUNT_PROC = "Start the container with its own /proc, or run `mount -t proc proc /proc` in it."

_TIMEOUT_S = 30
_YAMA = "/proc/sys/kernel/yama/ptrace_scope"


@dataclass(frozen=True, slots=True)
class ProbeResults:
    """The answers of the kernel to attempts."""

    kernel: str  # Its release.
    machine: str  # The type of processor, as uname(2) calls it.
    landlock_abi: int  # 0 where there is none; newer ones than are known here count as the newest.
    seccomp_errno: int  # With which installing a filter fails; 0 if it works.
    ptrace_errno: int  # With which tracing a child fails; 0 if it works.
    ptrace_scope: str  # Yama's setting: "0" to "3"; empty where there is no Yama.
    failure: str = ""  # Why the attempts could not be made.
    notify_errno: int = 0  # With which asking others about system calls fails; 0 if it works.


def has_proc() -> bool:
    """Tell whether there is a /proc, without which nobody knows what a program is: proc(5)."""
    return os.path.exists("/proc/self/fd")


def run_lean(statement: str, *arguments: str) -> list[str]:
    """Return the command that runs `statement` like a supervisor, with buildperm importable."""
    root = str(Path(buildperm.__file__).absolute().parent.parent)
    code = f"import sys; sys.path.append(sys.argv.pop(1)); {statement}"
    return [sys.executable, "-IS", "-c", code, root, *arguments]


@functools.cache
def probe() -> ProbeResults:
    """Try what runtimes need, in a process of its own."""
    command = run_lean("from buildperm.sandbox.probe import main; main()")
    answers: dict[str, int] = {}
    failure = ""
    try:
        ended = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        failure = str(error)
    else:
        for line in ended.stdout.decode().splitlines():
            name, _, value = line.partition(" ")
            answers[name] = int(value)
        if len(answers) < 3:
            talk = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            failure = talk or f"the probe ended with status {ended.returncode}"
    return ProbeResults(
        kernel=os.uname().release,
        machine=os.uname().machine,
        landlock_abi=answers.get("landlock", 0),
        seccomp_errno=answers.get("seccomp", -1),
        ptrace_errno=answers.get("ptrace", -1),
        ptrace_scope=Path(_YAMA).read_text().strip() if os.path.exists(_YAMA) else "",
        notify_errno=answers.get("notify", -1),
        failure=failure,
    )


@functools.cache
def bubblewrap() -> str:
    """Return the absolute path of bubblewrap on PATH, without links; empty where there is none."""
    found = shutil.which("bwrap")
    return os.path.realpath(found) if found else ""


def probe_wrapper(program: str) -> str:
    """Let the bubblewrap `program` do what a script needs; return why it fails, or nothing."""
    return _probe_wrapper(program)[0]


def can_make_rooms(program: str) -> bool:
    """Tell whether the starter does by itself what the bubblewrap `program` does."""
    return _probe_wrapper(program)[1]


@functools.cache
def _probe_wrapper(program: str) -> tuple[str, bool]:
    """Try both in one process, whose start takes longer than the rest."""
    starter = os.fsdecode(start_programs.starter())
    command = run_lean(
        "from buildperm.sandbox.probe import wrapper; wrapper(*sys.argv[1:])", program, starter
    )
    try:
        ended = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error), False
    has_rooms = b"room" in ended.stdout.split()
    if ended.returncode == 0:
        return "", has_rooms
    talk = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return talk or f"bubblewrap ended with status {ended.returncode}", has_rooms
