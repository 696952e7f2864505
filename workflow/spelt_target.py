"""The target directory of a Cargo that runs, told from the words of a compiler call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def find(call: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the target directory as Cargo spells it, from where an output goes; empty if unknown.

    OUT/[TRIPLE/]PROFILE/{deps,examples,build/…}, and OUT/[TRIPLE/]doc: see `cargo.units`.
    """
    if not call:  # For a build script.
        out, triple = environment.get("OUT_DIR", ""), environment.get("TARGET", "")
    else:
        out, triple = _option(call, "--out-dir"), _option(call, "--target")
    if not out.startswith("/"):
        return ""
    parts = out.rstrip("/").split("/")
    if parts[-1] in ("deps", "examples"):
        parts = parts[:-2]
    elif parts[-1] == "doc":
        parts = parts[:-1]
    elif "build" in parts[-4:]:
        at = max(n for n, part in enumerate(parts[:-1]) if part == "build")
        is_unit = parts[-1] == "out" and len(parts) >= 4 and parts[-4] == "build"  # From 1.100 on.
        parts = parts[: len(parts) - 4 if is_unit else at][:-1]
    else:
        return ""
    names = {triple, os.path.basename(triple).removesuffix(".json")} - {""}
    return "/".join(parts[:-1] if parts[-1] in names else parts)


def _option(call: Sequence[str], name: str) -> str:
    for at, word in enumerate(call):
        if word == name:
            return call[at + 1] if at + 1 < len(call) else ""
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word.startswith("@") and at <= 3:  # Cargo writes one argument a line.
            try:
                lines = Path(word[1:]).read_text("utf-8", "surrogateescape").split("\n")
            except OSError:
                continue
            return _option(lines, name)
    return ""
