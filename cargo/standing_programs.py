"""The programs of always on: what Cargo's configuration and editors name."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from buildperm.cargo import configuration, standing_state
from buildperm.cargo.target_directory import script_text
from buildperm.errors import BuildpermError
from buildperm.sandbox import start_programs, wrapper_entry

if TYPE_CHECKING:
    from buildperm.cargo.toolchain import Toolchain

_WRAPPER = PurePath(__file__).with_name("standing-wrapper.sh")
_SERVER = PurePath(__file__).with_name("standing-macro-server.sh")
_FINDS = os.path.join(os.path.dirname(standing_state.HOLD), "standing_server.py")
_PARTS = {"rustc-wrapper": "buildperm-rustc-wrapper", "rustdoc": "buildperm-rustdoc"}


def write(place: Path, folder: Path, path: Path, tools: Toolchain, before: dict[str, str]) -> None:
    """Write what the configuration of one CARGO_HOME names, and what editors call.

    Args:
        place: The state folder.
        folder: Where what that configuration names lies.
        path: The configuration.
        tools: The tool chain that is in use.
        before: The wrapper and the rustdoc that are called in their turn, by key.

    Raises:
        BuildpermError: It cannot be written.
    """
    toolchains = tools.rustup_home / "toolchains" if tools.rustup_home else ""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for key, part in _PARTS.items():
            values = {
                b"BUILDPERM_ON": os.fsencode(place),
                b"BUILDPERM_PYTHON": os.fsencode(sys.executable),
                b"BUILDPERM_HOLD": os.fsencode(standing_state.HOLD),
                b"BUILDPERM_WRAPPED": os.fsencode(before.get(key, "")),
                b"BUILDPERM_TOOLCHAINS": os.fsencode(toolchains),
                b"BUILDPERM_RUSTC": os.fsencode(tools.rustc),
                b"BUILDPERM_PART": part.encode(),
                b"BUILDPERM_CONFIGURATION": os.fsencode(path),
            }
            script = folder / f"{key}{configuration.SCRIPT}"
            program = wrapper_entry.entry(os.fsencode(script))
            values[b"BUILDPERM_ENTERED"] = b"yes" if program else b""
            text = script_text(_WRAPPER, values)
            standing_state.replace_text(script, text, 0o700)
            standing_state.replace_text(folder / key, program or text, 0o700)
            named = {name: values[name] for name in (b"BUILDPERM_ON", b"BUILDPERM_PYTHON")}
            named[b"BUILDPERM_HOLD"] = os.fsencode(_FINDS)
            server = script_text(_SERVER, named)
            standing_state.replace_text(place / standing_state.MACRO_SERVER, server, 0o700)
            unheld = b'#!/bin/sh\n# buildperm: of a Cargo that is not held\npass "$@"\n'
            standing_state.replace_text(place / "unheld" / part, unheld, 0o700)
    except OSError as error:
        raise BuildpermError(f"cannot write into `{place}`: {error.strerror}") from error


def are_current(place: Path, wrapper: Path) -> bool:
    """Tell whether this buildperm has made a wrapper, and what belongs to it."""
    scripts = {
        wrapper.with_name(f"{wrapper.name}{configuration.SCRIPT}"): _WRAPPER,
        place / standing_state.MACRO_SERVER: _SERVER,
    }
    try:
        is_program = wrapper.read_bytes().startswith(b"\x7fELF")
        made = all(path.read_bytes().endswith(_body(script)) for path, script in scripts.items())
    except OSError:
        return False
    return made and (is_program or not start_programs.entry_program())


def _body(script: PurePath) -> bytes:
    return Path(script).read_bytes().split(b"\n", 2)[2]
