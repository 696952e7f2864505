"""Compiles a build script for WASI: as the program of a package that stands in for its own.

Nothing that is compiled may run meanwhile, as nothing holds it here: a script is left out if one of
its build-dependencies is a procedural macro or has a build script of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.workshop import Workshop

TARGET = "wasm32-wasip1"
_RUNNING = {"custom-build", "proc-macro"}


class NotTriedError(Exception):
    """A script is not run as WASI, and why."""


@dataclass(frozen=True, slots=True)
class ScriptSource:
    """A build script, and what it is compiled with."""

    name: str  # Of its package.
    version: str
    path: Path
    edition: str
    needs: Mapping[str, Mapping[str, Any]]  # Build-dependencies, as Cargo.toml has them.


def sources(metadata: Mapping[str, Any]) -> dict[str, ScriptSource]:
    """Return the build scripts that `cargo metadata` lists, by the folder of their package."""
    packages = {each["id"]: each for each in metadata["packages"]}
    nodes = {each["id"]: each for each in metadata["resolve"]["nodes"]}
    found = {}
    for key, package in packages.items():
        for target in package["targets"]:
            if "custom-build" in target["kind"] and key in nodes:
                needs = {
                    each["name"]: _requirement(packages[each["pkg"]], nodes[each["pkg"]])
                    for each in nodes[key]["deps"]
                    if any(kind["kind"] == "build" for kind in each["dep_kinds"])
                }
                found[str(Path(package["manifest_path"]).parent)] = ScriptSource(
                    *(package["name"], package["version"], Path(target["src_path"])),
                    *(target["edition"], needs),
                )
    return found


def _requirement(package: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    where = (
        {"version": f"={package['version'].partition('+')[0]}"}
        if package["source"]
        else {"path": str(Path(package["manifest_path"]).parent)}
    )
    features = [each for each in node["features"] if each != "default"]
    has_default = "default" in node["features"]
    return {
        **where,
        "package": package["name"],
        "features": features,
        "default-features": has_default,
    }


def manifest(script: ScriptSource) -> str:
    """Return the Cargo.toml of the package that stands in."""
    lines = [
        *("[workspace]", "", "[package]", f"name = {json.dumps(script.name)}"),
        *(f"version = {json.dumps(script.version)}", f"edition = {json.dumps(script.edition)}"),
        *("build = false", "autobins = false", "publish = false", ""),
        *("[[bin]]", 'name = "script"', f"path = {json.dumps(str(script.path))}", ""),
        *("[profile.dev]", "debug = false", "", "[dependencies]"),
    ]
    for name, needed in sorted(script.needs.items()):
        pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in needed.items())
        lines.append(f"{json.dumps(name)} = {{ {pairs} }}")
    return "\n".join(lines) + "\n"


def compiled(script: ScriptSource, features: tuple[str, ...], lock: Path, place: Workshop) -> Path:
    """Compile a script in the empty folder of `place`; return the module.

    Args:
        script: What to compile.
        features: Those of its package, as the native script was compiled.
        lock: The Cargo.lock that has its build-dependencies.
        place: Its environment names the tool chain.

    Raises:
        NotTriedError: Something would run meanwhile, or it does not compile.
    """
    (place.folder / "Cargo.toml").write_text(manifest(script), encoding="utf-8")
    if lock.exists():
        shutil.copyfile(lock, place.folder / "Cargo.lock")
    asked = ["cargo", "metadata", "--format-version", "1", "--filter-platform", TARGET]
    told = place.run(asked)
    if told.code != 0:
        raise NotTriedError(f"its build-dependencies are not all here: {_last(told.err)}")
    runs = running(json.loads(told.out))
    if runs:
        raise NotTriedError(f"compiling {', '.join(runs)} would run code")
    words = ["cargo", "rustc", "--quiet", "--target", TARGET, "--target-dir", "target"]
    flags = [word for each in features for word in ("--cfg", f'feature="{each}"')]
    step = place.run([*words, "--bin", "script", "--", *flags])
    if step.code != 0:
        raise NotTriedError(f"it does not compile: {_first(step.err)}")
    return place.folder / "target" / TARGET / "debug/script.wasm"


def running(metadata: Mapping[str, Any]) -> list[str]:
    """Name the packages whose own code would run while they are compiled."""
    active = {each["id"] for each in metadata["resolve"]["nodes"]}
    return sorted(
        package["name"]
        for package in metadata["packages"]
        if package["id"] in active
        if any(_RUNNING & {*target["kind"]} for target in package["targets"])
    )


def _first(text: str) -> str:
    errors = [line for line in text.splitlines() if line.startswith("error")]
    return errors[0] if errors else _last(text)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
