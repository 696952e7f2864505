"""What `buildperm status --short` says, in a few milliseconds: for shell prompts and editors.

It reads one file and asks nobody: `buildperm status` proves it. Standard library only, and of that
only what is cheap.
"""

from __future__ import annotations

import json
import os
import sys

_MARK = b"\nBUILDPERM_ON="


def main() -> int:
    """Print one word for this folder, and say what outranks it; return what to exit with."""
    word, why = describe(os.getcwd(), os.environ)
    sys.stdout.write(f"{word}: {why}\n" if why else f"{word}\n")
    return 23 if why else 0


def describe(folder: str, environment: os._Environ[str] | dict[str, str]) -> tuple[str, str]:
    """Return `on`, `baseline` or `off` for a folder, and what keeps it from being in force."""
    home = environment.get("HOME", "")
    chosen = environment.get("XDG_STATE_HOME", "")
    base = chosen if chosen.startswith("/") else f"{home}/.local/state"
    try:
        with open(f"{base}/buildperm/on.json", "rb") as file:
            state = json.load(file)
        roots, others = state["workspaces"], state["others"]
        homes = {each["cargo_home"]: each["path"] for each in state["configurations"]}
    except (OSError, ValueError, LookupError, TypeError):
        return "off", ""
    is_enrolled = others == "grants"  # Each is held to what its own Cargo.toml grants.
    is_enrolled |= any(folder == root or folder.startswith(f"{root}/") for root in roots)
    if not is_enrolled and others != "baseline":
        return "off", ""
    word = "on" if is_enrolled else "baseline"
    cargo_home = os.path.realpath(environment.get("CARGO_HOME") or f"{home}/.cargo")
    for name in ("RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"):
        if name in environment and not _is_ours(environment[name]):
            return "off", f"{name} is set"
    if cargo_home not in homes:
        return "off", "CARGO_HOME is another one"
    try:
        with open(homes[cargo_home], "rb") as file:
            is_named = f"{base}/buildperm/homes/".encode() in file.read()
    except OSError:
        is_named = False
    return (word, "") if is_named else ("off", "Cargo's configuration does not name it")


def _is_ours(program: str) -> bool:
    try:
        with open(program, "rb") as file:
            head = file.read(1 << 14)
        if head.startswith(b"\x7fELF"):  # A program that becomes the script beside it.
            with open(f"{program}.sh", "rb") as file:
                head = file.read(1 << 14)
        return _MARK in head
    except OSError:
        return False
