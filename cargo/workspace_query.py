"""Asks Cargo about a workspace without building anything: `cargo metadata`, and the like."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import neutral_query
from buildperm.errors import BuildpermError
from buildperm.sandbox import private_cache, start_programs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buildperm.cargo.toolchain import Toolchain

_TIMEOUT_S = 1800  # It may download the packages first.
_ENV = "/usr/bin/env" if os.access("/usr/bin/env", os.X_OK) else ""
_NOWHERE = "/nonexistent/buildperm"
_WITHOUT_NETWORK = ("--offline was specified", "--frozen was specified", "offline mode (")
"""How Cargo says that it may not download what it lacks."""


def ask(
    toolchain: Toolchain, folder: Path, environment: Mapping[str, str], words: Sequence[str]
) -> bytes:
    """Run Cargo as a command in `folder` would, and return its standard output.

    Like any command of Cargo's this downloads what is missing and completes Cargo.lock, unless a
    word forbids it. Nothing runs that the workspace's own configuration names.

    Args:
        toolchain: Whose Cargo is asked.
        folder: Where it runs.
        environment: The user's.
        words: The command with its options: `metadata …`.

    Raises:
        BuildpermError: There is no manifest, or Cargo cannot use it; with Cargo's own words.
    """
    # A build directory that is moved by `--config` cannot be moved back by the environment.
    moved = {"CARGO_BUILD_BUILD_DIR": build_directory(toolchain)}
    return _ask(toolchain, folder, toolchain.environment(environment) | moved, words)


def users_build_directory(
    toolchain: Toolchain, folder: Path, environment: Mapping[str, str]
) -> Path | None:
    """Return where Cargo compiles by itself, without links; None before Cargo 1.91.

    That is the target directory, unless `build.build-dir` says otherwise: cargo-metadata(1). Rustc
    is asked nothing for that, so nothing is kept there.

    Raises:
        BuildpermError: There is no manifest, or Cargo cannot use it.
    """
    words = ("metadata", "--format-version", "1", "--no-deps", "--offline")
    answered = _ask(toolchain, folder, toolchain.environment(environment), words)
    try:
        found = json.loads(answered).get("build_directory")
    except (ValueError, AttributeError, RecursionError) as error:
        raise BuildpermError(f"`cargo metadata` answered something unknown: {error}") from error
    return Path(os.path.realpath(found)) if isinstance(found, str) else None


def _ask(
    toolchain: Toolchain, folder: Path, variables: dict[str, str], words: Sequence[str]
) -> bytes:
    # It asks rustc about the platforms; which program that is, is not for the workspace to say.
    # A wrapper starts what it is given, without what the workspace has rustc load (`[env]`): where
    # there is none that can be found, Cargo keeps nothing of rustc's.
    no_wrapper = start_programs.neutral() or ("" if "=" in str(toolchain.rustc) else _ENV)
    variables = variables | {
        "RUSTC": str(toolchain.rustc),
        "RUSTC_WRAPPER": no_wrapper,
        "RUSTC_WORKSPACE_WRAPPER": no_wrapper,
    }
    # Behind the command, where the user's own `--config` outranks it.
    neutral = neutral_query.options(folder, toolchain.cargo_home, words)
    try:
        answered = subprocess.run(
            [str(toolchain.cargo), words[0], *neutral, *words[1:]],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildpermError(f"cannot run `{toolchain.cargo} {words[0]}`: {error}") from error
    if answered.returncode != 0:
        said = answered.stderr.decode("utf-8", "replace").strip()
        lines = [line for line in said.split("\n") if line.strip()]
        begin = next((n for n, line in enumerate(lines) if line.startswith("error: ")), 0)
        lines = lines[begin:]  # Before that it says what it is about to do.
        reason = "\n".join(lines).removeprefix("error: ") or f"exit code {answered.returncode}"
        hint = _hint(said)
        if "--offline" in neutral and any(known in said for known in _WITHOUT_NETWORK):
            hint = neutral_query.explained(folder, toolchain.cargo_home)
        raise BuildpermError(f"Cargo cannot read the workspace: {reason}", hint=hint)
    return answered.stdout


def build_directory(toolchain: Toolchain) -> str:
    """Return a folder in which Cargo keeps nothing but what rustc has told it about platforms.

    In the user's own, build scripts could write that.
    """
    made_of = hashlib.sha256(os.fsencode(toolchain.rustc)).hexdigest()[:16]
    found = private_cache.folder(f"rustc-{made_of}")
    return str(found) if found is not None else _NOWHERE


def _hint(said: str) -> str:
    """Return a hint for a failure of Cargo; empty where its own message has to do."""
    if "--locked was passed" in said or "--frozen was passed" in said:
        return "Run `cargo fetch`, which completes Cargo.lock and builds nothing, and commit that."
    if any(words in said for words in _WITHOUT_NETWORK):
        return "Run `cargo fetch` where there is a network: it downloads, and builds nothing."
    if "lock file version" in said:
        return "Update the Rust tool chain, or make Cargo.lock anew with `cargo generate-lockfile`."
    if "could not find `Cargo.toml` in" in said:
        return "Run it in the folder of a Cargo package. `buildperm demo` needs none."
    if "failed to parse lock file" in said:
        return "Get the committed one back with `git checkout Cargo.lock`, or delete it."
    return ""
