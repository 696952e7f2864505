"""The product's modules as syntax trees, for tests about names."""

from __future__ import annotations

import ast
import os
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1] / "buildperm"


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the product by its full name."""
    found = {}
    for folder, _, names in os.walk(ROOT, followlinks=True):
        for path in (Path(folder, name) for name in names if name.endswith(".py")):
            parts = path.relative_to(ROOT.parent).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_bytes())
    return found
