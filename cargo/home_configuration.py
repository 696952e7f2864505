"""Edits the configuration in CARGO_HOME: two keys, and every byte besides is the user's."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import tomlkit

from buildperm.cargo.standing_state import replace_text
from buildperm.errors import BuildpermError

KEYS = ("rustc-wrapper", "rustdoc")


def path_of(cargo_home: Path) -> Path:
    """Return the file that Cargo reads there: the old name counts where both exist."""
    old = cargo_home / "config"
    return old if old.is_file() else cargo_home / "config.toml"


def content_of(path: Path) -> bytes | None:
    """Return what is in it; None where there is none.

    Raises:
        BuildpermError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BuildpermError(f"cannot read `{path}`: {error.strerror}") from error


def values(content: bytes | None, path: Path) -> dict[str, str]:
    """Return what it says for our keys; what it does not say is left out.

    Raises:
        BuildpermError: It is broken.
    """
    build = _document(content or b"", path).get("build")
    told = build if isinstance(build, dict) else {}
    return {key: told[key] for key in KEYS if isinstance(told.get(key), str)}


def with_values(content: bytes | None, path: Path, wanted: dict[str, str | None]) -> bytes:
    """Return it with other values for our keys; None removes one.

    Raises:
        BuildpermError: It is broken, or written so that it cannot be changed.
    """
    raw = content or b""
    before = _document(raw, path)
    text = raw.decode()
    build = before.get("build", {})
    if not isinstance(build, dict):
        raise BuildpermError(f"`{path}`: `build` is no table", hint="Make it one: Cargo needs it.")
    expected = {**before, "build": dict(build)}
    for key, value in wanted.items():
        expected["build"].pop(key, None)
        if value is not None:
            expected["build"][key] = value
    if not expected["build"]:
        del expected["build"]
    result = b""
    try:
        document = tomlkit.parse(text)
        is_kept = tomlkit.dumps(document) == text
        _set(document, wanted)
        result = tomlkit.dumps(document).encode()
        found = tomllib.loads(result.decode())
        if not found.get("build", True):
            del found["build"]
        why = "" if is_kept and found == expected else "more than our keys would change"
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        why = str(error)
    if why:
        lines = "".join(f" {key} = {value!r}" for key, value in wanted.items() if value is not None)
        raise BuildpermError(
            f"cannot edit `{path}`: {why}", hint=f"Write into its `[build]` yourself:{lines}."
        )
    return result


def write(path: Path, content: bytes | None) -> Path:
    """Write it, or remove it for None; a link stays one. Return the file without links.

    Raises:
        BuildpermError: It cannot be written.
    """
    real = Path(os.path.realpath(path))
    try:
        if content is None:
            real.unlink(missing_ok=True)
            return real
        mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else 0o644
        real.parent.mkdir(parents=True, exist_ok=True)
        replace_text(real, content, mode)
    except OSError as error:
        raise BuildpermError(
            f"cannot write `{path}`: {error.strerror}",
            hint="Always on needs two lines in Cargo's configuration: make it writable.",
        ) from error
    return real


def _document(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(raw.decode())
    except ValueError as error:
        raise BuildpermError(f"`{path}` is broken: {error}") from error


def _set(document: Any, wanted: dict[str, str | None]) -> None:  # noqa: ANN401 - tomlkit
    if "build" not in document:
        document["build"] = tomlkit.table()
    build = document["build"]
    for key, value in wanted.items():
        if value is not None:
            build[key] = value
        elif key in build:
            del build[key]
    if not build:
        del document["build"]
