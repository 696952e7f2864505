"""What a workspace's own configuration of Cargo has run before, or beside, what is held.

Always on cannot prevent it: Cargo does what that says before it calls anything of ours.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildperm.cargo import configuration
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_RUSTDOC = "outranks it: documentation and what is tested in it are not held"
_ASKED = ("rustc", "rustc-workspace-wrapper")
_LOADER = "LD_"  # ld.so(8), ENVIRONMENT


def unheld(folder: Path, cargo_home: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Say what Cargo runs unheld in `folder` although always on is called.

    Raises:
        BuildpermError: A file is broken.
    """
    for name in ("RUSTDOC", "CARGO_BUILD_RUSTDOC"):
        if environment.get(name) and configuration.wrapped_by(environment[name]) is None:
            yield f"{name} in the environment {_RUSTDOC}"
    for root, settings in configuration.nearer(folder, cargo_home):
        where = f"Cargo's configuration in `{encode(os.fsencode(root))}`"
        build, variables = settings.get("build"), settings.get("env")
        build = build if isinstance(build, dict) else {}
        if "rustdoc" in build:
            yield f"`build.rustdoc` of {where} {_RUSTDOC}"
        for key in _ASKED:
            if key in build:
                said = "names a program that Cargo asks for its version, unheld"
                yield f"`build.{key}` of {where} {said}"
        for name in sorted(variables if isinstance(variables, dict) else ()):
            if name.startswith(_LOADER):
                said = f"`{encode(os.fsencode(name))}` in `[env]` of {where}"
                yield f"{said}: what that names is loaded before anything is held"
