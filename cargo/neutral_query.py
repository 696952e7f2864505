"""Has Cargo answer a question without running what a workspace's own configuration names.

Whoever looks at a checkout has not decided yet that anything of it may run. What is found by
`cargo.nearer_settings` is outranked here where Cargo lets that be, and refused where it does not.
RUSTC and the wrappers are set by `cargo.workspace_query`.
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import nearer_settings
from buildperm.cargo.nearer_settings import Runs
from buildperm.errors import BuildpermError
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from buildperm.cargo.nearer_settings import NearerSetting

_WITHOUT_NETWORK = ("--offline", "--frozen")
_TOOLCHAIN_FILES = ("rust-toolchain", "rust-toolchain.toml")  # Of both, rustup reads the first.
_YOURS = "Look at what that names. If you want it, {}; if not, remove it."


def options(folder: Path, cargo_home: Path, words: Iterable[str]) -> tuple[str, ...]:
    """Return options for Cargo that outrank what would have something run.

    Args:
        folder: Where Cargo is to run.
        cargo_home: Whose configuration is the user's own.
        words: The other words of the command line.

    Raises:
        BuildpermError: Something cannot be outranked, or a file is broken.
    """
    settings = [*nearer_settings.found(folder, cargo_home)]
    given: list[str] = []
    for each in settings:
        match each.runs:
            case Runs.LOADED:
                raise BuildpermError(
                    f"{each.name} {each.outcome}",
                    hint=_YOURS.format("set RUSTFLAGS to it in your own environment"),
                )
            case Runs.BY_VARIABLE:
                for value in _emptied(each):
                    given += ["--config", value]
            case Runs.FOR_TOKEN if not set(_WITHOUT_NETWORK) & {*words, *given}:
                given.append("--offline")  # Then it asks nobody for a token.
            case _:
                pass
    return tuple(given)


def explained(folder: Path, cargo_home: Path) -> str:
    """Return why Cargo was not let into the network, as a hint; empty where it was."""
    for each in nearer_settings.found(folder, cargo_home):
        if each.runs is Runs.FOR_TOKEN:
            return (
                f"Without a network, since {each.name} {each.outcome}. "
                "If you want that, run `cargo fetch`: it downloads, and builds nothing."
            )
    return ""


def refuse_toolchain(folder: Path, environment: Mapping[str, str], compiler: str) -> None:
    """Refuse a tool chain that the checkout leads rustup to by a path.

    Args:
        folder: Where a proxy of rustup is to run.
        environment: The user's; RUSTUP_TOOLCHAIN in it outranks every file.
        compiler: The `rustc` that PATH leads to.

    Raises:
        BuildpermError: There is such a path.
    """
    search = environment.get("PATH", os.defpath)
    if environment.get("RUSTUP_TOOLCHAIN") or not (
        shutil.which("rustup", path=search) or Path(compiler).with_name("rustup").exists()
    ):
        return
    found = next(_toolchain_files(folder), None)
    named = _path_in(found) if found is not None else ""
    if named:
        shown = encode(os.fsencode(named))
        raise BuildpermError(
            f"`{encode(os.fsencode(found or folder))}` names a tool chain by its path, `{shown}`, "
            "whose programs would run unheld",
            hint=_YOURS.format("name it with RUSTUP_TOOLCHAIN in your own environment"),
        )


def _toolchain_files(folder: Path) -> Iterator[Path]:
    for place in (folder.resolve(), *folder.resolve().parents):
        for name in _TOOLCHAIN_FILES:
            if (place / name).is_file():
                yield place / name


def _path_in(file: Path) -> str:
    """Return the path in a file that names a tool chain; empty where it names none.

    The rustup book, "Overrides". One line alone is a name, and was a path in old versions.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""  # Then rustup cannot read it either.
    try:
        table = tomllib.loads(text).get("toolchain", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        return text.strip() if "/" in text and len(text.split()) == 1 else ""
    told = table if isinstance(table, dict) else {}
    named = (told.get("path"), told.get("channel"))
    paths = [each for each in named if isinstance(each, str) and each]
    return next((each for each in paths if each == told.get("path") or "/" in each), "")


def _emptied(setting: NearerSetting) -> list[str]:
    """Write the same variable without a value: of the same type, or Cargo refuses the two.

    It takes no inline tables in `--config`.
    """
    name = setting.key.partition(".")[2]
    key = f"env.{json.dumps(name, ensure_ascii=False)}"
    if setting.is_table:
        return [f"{key}.value = ''", f"{key}.force = true", f"{key}.relative = false"]
    return [f"{key} = ''"]
