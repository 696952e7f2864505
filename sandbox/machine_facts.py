"""More facts about a machine: for `buildperm doctor`, and for reports of bugs.

Of foreign text only known words and numbers are taken, so that no name of a user, a host or a
folder gets in.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import native_programs, stub
from buildperm.sandbox.canaries import CanaryRun
from buildperm.sandbox.canary import CANARIES, CanaryOutcome
from buildperm.sandbox.machine import ProbeResults, bubblewrap, probe
from buildperm.supervisor import landlock, network

_TIMEOUT_S = 10
_VERSION = re.compile(r"\d+(?:\.\d+)+")
_RELEASE = re.compile(r"\d+(?:\.\d+)+(?:-[a-z0-9.+_~-]*)?", re.IGNORECASE)

_MARKS = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
_VARIABLES = {
    "KUBERNETES_SERVICE_HOST": "kubernetes",
    "GITHUB_ACTIONS": "github-actions",
    "GITLAB_CI": "gitlab-ci",
    "WSL_DISTRO_NAME": "wsl",
}
_WORDS = ("docker", "containerd", "kubepods", "libpod", "podman", "lxc", "buildkit", "nspawn")
_TOLD = ("/proc/self/cgroup", "/run/systemd/container")


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """Facts about the machine, none of them about who uses it."""

    facts: ProbeResults
    kernel: str  # Its release, without what does not look like one.
    landlock_errata: tuple[int, ...]  # Those that are mended; none where the kernel does not tell.
    hosts: str  # Why grants of hosts cannot be held; empty where they can.
    user_namespaces: str  # Why there are none for this user; empty where there are.
    bubblewrap: str  # Its version; empty where there is none.
    containers: tuple[str, ...]  # Hints of what this runs in.
    is_root: bool
    python: str
    c_compiler: str  # Its name; empty where there is none.
    shell: str  # In which stubs are run, as after `#!`; empty where there is none.


def collect(free: CanaryRun | None, environ: Mapping[str, str]) -> MachineFacts:
    """Find out everything; `free` is the run of the canaries without a sandbox."""
    facts = probe()
    return MachineFacts(
        facts=facts,
        kernel=_release(facts.kernel),
        landlock_errata=tuple(sorted(landlock.errata())),
        hosts=network.unavailable(),
        user_namespaces=_namespaces(free),
        bubblewrap=_bubblewrap(),
        containers=tuple(dict.fromkeys(_containers(environ))),
        is_root=os.geteuid() == 0,
        python=platform.python_version(),
        c_compiler=native_programs.compiler_name(),
        shell=_shell(),
    )


def _release(text: str) -> str:
    found = _RELEASE.match(text)
    return found.group() if found else "unknown"


def _namespaces(free: CanaryRun | None) -> str:
    if free is None:
        return "not tried"
    (canary,) = (each for each in CANARIES if each.id == "user-namespace")
    if free.outcome(canary) is CanaryOutcome.ALLOWED:
        return ""
    return f"refused ({free.error(canary)})"


def _bubblewrap() -> str:
    program = bubblewrap()
    if not program:
        return ""
    try:
        told = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(told.stdout.decode(errors="replace"))
    return found.group() if found else "of an unknown version"


def _containers(environ: Mapping[str, str]) -> Iterator[str]:
    for path, word in _MARKS.items():
        if os.path.exists(path):
            yield word
    for name, word in _VARIABLES.items():
        if environ.get(name):
            yield word
    for path in _TOLD:
        text = _read(Path(path))
        yield from (word for word in _WORDS if word in text)
    if "microsoft" in os.uname().release.lower():
        yield "wsl"


def _shell() -> str:
    try:
        return stub.shell().decode()
    except CannotEnforceError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
