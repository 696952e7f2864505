"""Reads what is known of each group and each project, and writes files at once."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from corpus.entries import HERE

RESULTS = HERE / "results"


def records() -> dict[str, Any]:
    """Return what is known of each group and each project."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}


def write(path: Path, text: str) -> None:
    """Write a file at once: whoever is interrupted leaves the old one or the new one."""
    path.parent.mkdir(exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".new")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
