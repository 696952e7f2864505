"""The static key of a run: a digest of all that is known before it begins.

Below it lie the results of runs that began alike, each with what it has read. What differs without
meaning anything for the result is left out: the job server, and how much may run at once.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import sys

from buildperm.cache import digest
from buildperm.rules import makeflags
from buildperm.tracer.notation import encode

if sys.platform != "win32":
    import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildperm.cache.path_tokens import PathTokens

FORMAT = "1"
"""Of keys and of what is kept below them: another one finds nothing of this."""

JOBS = b"NUM_JOBS"
"""Cargo's `-j`: it says how much may run at once, and must not say more."""

# SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGXFSZ: no script ignores them when it begins.
_DEFAULT = sum(1 << (number - 1) for number in (1, 2, 13, 15, 25))
_SERVER = (b"--jobserver-auth=", b"--jobserver-fds=", b"--sync-mutex=", b"-j", b"--jobs")


def parts(
    settled: Mapping[str, str],
    program: str,
    arguments: Iterable[bytes],
    variables: Mapping[bytes, bytes],
    tokens: PathTokens,
) -> dict[str, str]:
    """Return what goes into the key, each part by a name that a person understands.

    Of values there are only digests: a variable may hold what is nobody's business.

    Args:
        settled: What others have found out: grants, runtime, machine.
        program: Digest of the build script.
        arguments: With which it is started, without its own name.
        variables: Its whole environment.
        tokens: Its places.
    """
    told = {f"the {name}": value for name, value in settled.items()}
    told["the program"] = program
    told["the arguments"] = digest.of_parts(arguments)
    told["the places"] = tokens.shape()
    told["the working directory"] = tokens.portable(os.getcwdb())
    told["the limits of the process"] = " ".join(
        f"{name}={resource.getrlimit(getattr(resource, name))}"
        for name in sorted(dir(resource))
        if name.startswith("RLIMIT_")
    )
    mask = os.umask(0o077)
    os.umask(mask)
    told["the umask"] = f"{mask:03o}"
    ids = (*os.getresuid(), *os.getresgid(), *sorted(os.getgroups()))
    told["the user"] = " ".join(map(str, ids))
    told["what the process is"] = _process()
    told["the processors"] = " ".join(map(str, sorted(os.sched_getaffinity(0))))
    for name, value in variables.items():
        if name in makeflags.NAMES:
            value = without_job_server(value)
        if name != JOBS:
            told[f"the variable {encode(name)}"] = digest.of(tokens.tokens_for(value))
    return told


def _process() -> str:
    """Say what a process hands on, and a script learns without opening anything.

    Capabilities: capabilities(7). Personality: personality(2), which turns what uname(2) says.
    Ignored signals: execve(2); in a background job of a shell, SIGQUIT is one.
    """
    with open("/proc/self/status", "rb") as file:
        told = file.read().splitlines()
    lines = [line for line in told if line.startswith((b"Cap", b"NoNewP"))]
    lines += [
        b"ignored %x" % (int(line.split()[1], 16) & ~_DEFAULT)
        for line in told
        if line.startswith(b"SigIgn:")
    ]
    with open("/proc/self/timerslack_ns", "rb") as file:
        lines.append(b"slack " + file.read().strip())
    lines.append(b"policy %d" % os.sched_getscheduler(0))
    with open("/proc/self/personality", "rb") as file:
        lines.append(file.read().strip())
    lines.append(b"nice %d" % os.getpriority(os.PRIO_PROCESS, 0))
    return b" ".join(lines).replace(b"\t", b" ").decode("ascii", "replace")


def of(told: Mapping[str, str]) -> str:
    """Return the key for what `parts` has returned."""
    pieces = (text for item in sorted(told.items()) for text in item)
    return digest.of_parts(text.encode("utf-8", "surrogateescape") for text in (FORMAT, *pieces))


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Name the parts that differ."""
    return sorted(name for name in {*before, *now} if before.get(name, None) != now.get(name, None))


def without_job_server(value: bytes) -> bytes:
    """Return a value of MAKEFLAGS without what says how much may run at once, and who says so."""
    kept: list[bytes] = []
    words = value.split()
    for at, word in enumerate(words):
        is_number = at > 0 and words[at - 1] in (b"-j", b"--jobs") and word.isdigit()
        if not is_number and not word.startswith(_SERVER):
            kept.append(word)
    return b" ".join(kept)
