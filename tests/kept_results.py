"""Reads results as a store keeps them: JSON, compressed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from buildperm.cache import blob_form

_MOST = 1 << 26  # Bytes.


def told(raw: bytes) -> dict[str, Any]:
    """Return what a result says."""
    said: dict[str, Any] = json.loads(blob_form.text(raw, _MOST))
    return said


def read(path: Path) -> dict[str, Any]:
    """Return what the result in a file says."""
    return told(path.read_bytes())
