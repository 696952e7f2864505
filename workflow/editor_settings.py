"""Edits an editor's own settings, so that its rust-analyzer runs nothing unheld.

Two settings of rust-analyzer do it, in the file of settings of a person: one that lies in a
workspace would be committed. Every other byte of the file is kept.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.cargo.home_configuration import content_of
from buildperm.cargo.standing_state import EDITORS, MACRO_SERVER, replace_text
from buildperm.errors import BuildpermError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVER = "rust-analyzer.procMacro.server"
WRAPPER = "rust-analyzer.cargo.buildScripts.useRustcWrapper"
WRITTEN = "vscode"
"""The editor whose settings are written; for all others they are printed."""

PRINTED = ("helix", "neovim", "zed")

_PLACES = (
    *("Code/User", "Code - OSS/User", "VSCodium/User", "Cursor/User", "Windsurf/User"),
)  # In the folder of settings: XDG_CONFIG_HOME.
_REMOTE = (".vscode-server/data/Machine", ".vscode-server-oss/data/Machine")  # In the home folder.


@dataclass(frozen=True, slots=True)
class ChangedSettings:
    """One file of settings that was changed."""

    path: str  # Without links.
    before: str | None  # Its whole content, as hexadecimal digits; None: there was none.
    after: str  # Likewise what was written.
    inserted: str  # Likewise what is new in it.


def wanted(place: Path) -> dict[str, object]:
    """Return the settings that have rust-analyzer hold what it runs."""
    return {WRAPPER: False, SERVER: str(place / MACRO_SERVER)}


def files(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return where editors that are in use keep settings: the file may be missing."""
    home = Path(environment.get("HOME") or Path.home())
    chosen = environment.get("XDG_CONFIG_HOME", "")
    folder = Path(chosen) if chosen.startswith("/") else home / ".config"
    folders = [*(folder / each for each in _PLACES), *(home / each for each in _REMOTE)]
    return [each / "settings.json" for each in folders if each.is_dir()]


def write(place: Path) -> Iterator[Path]:
    """Write the settings for each such editor that is in use; yield what has them now.

    Raises:
        BuildpermError: A file says otherwise, or cannot be written.
    """
    found = files()
    if not found:
        raise BuildpermError(
            "no settings of VS Code were found",
            hint="Start it once, or write what `status` prints.",
        )
    for path in found:
        content = content_of(path)
        text = "" if content is None else content.decode("utf-8")
        new, inserted = with_settings(text, wanted(place), path)
        if inserted:
            real = Path(os.path.realpath(path))
            changed = ChangedSettings(
                str(real),
                None if content is None else content.hex(),
                new.encode().hex(),
                inserted.encode().hex(),
            )
            _note(place, [*(each for each in _noted(place) if each.path != str(real)), changed])
            _replace(real, new.encode())
        yield path


def take_back(place: Path) -> Iterator[str]:
    """Take the settings out again; yield what has to be done by hand."""
    for changed in _noted(place):
        path = Path(changed.path)
        content = content_of(path)
        inserted = bytes.fromhex(changed.inserted)
        if content is None:
            continue
        if content == bytes.fromhex(changed.after):
            before = None if changed.before is None else bytes.fromhex(changed.before)
        elif content.count(inserted) == 1:
            before = content.replace(inserted, b"")
        else:
            yield f"`{path}` was changed: take `{SERVER}` and `{WRAPPER}` out of it"
            continue
        if before is None:
            path.unlink(missing_ok=True)
        else:
            _replace(path, before)


def has(path: Path, place: Path) -> bool:
    """Tell whether a file of settings has them."""
    try:
        told = _members((content_of(path) or b"").decode("utf-8"))
    except (BuildpermError, ValueError):
        return False
    return all(told.get(key) == json.dumps(value) for key, value in wanted(place).items())


def with_settings(text: str, settings: Mapping[str, object], path: Path) -> tuple[str, str]:
    """Return a text of settings that has these as well, and what is new in it.

    Raises:
        BuildpermError: It is no object of JSON with comments, or says something else for one.
    """
    if not text.strip().lstrip("\ufeff"):
        lines = ",\n".join(
            f"    {json.dumps(key)}: {json.dumps(settings[key])}" for key in settings
        )
        return text + f"{{\n{lines}\n}}\n", f"{{\n{lines}\n}}\n"
    try:
        told = _members(text)
        opening = _opening(text)
    except ValueError as error:
        raise BuildpermError(f"`{path}` is not understood: {error}") from error
    left = {}
    for key, value in settings.items():
        if key not in told:
            left[key] = json.dumps(value)
        elif told[key] != json.dumps(value):
            raise BuildpermError(
                f"`{path}` says `{key}` already", hint=f"Change it to {json.dumps(value)} there."
            )
    if not left:
        return text, ""
    line = "\r\n" if "\r\n" in text else "\n"
    body = ",".join(f"{line}    {json.dumps(key)}: {value}" for key, value in left.items())
    inserted = body + ("," if told else "")
    if not told and text[opening + 1 :].lstrip(" \t")[:1] not in ("\r", "\n"):
        inserted += line
    return text[: opening + 1] + inserted + text[opening + 1 :], inserted


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Yield what stands in JSON with comments, and where: strings, signs and words."""
    at = 0
    while at < len(text):
        if text.startswith("//", at):
            at = min((each for each in (text.find("\n", at),) if each >= 0), default=len(text))
        elif text.startswith("/*", at):
            end = text.find("*/", at + 2)
            if end < 0:
                raise ValueError("a comment does not end")
            at = end + 2
        elif text[at] == '"':
            end = at + 1
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            if end >= len(text):
                raise ValueError("a string does not end")
            yield at, text[at : end + 1]
            at = end + 1
        elif text[at] in "{}[]:,":
            yield at, text[at]
            at += 1
        elif text[at].isspace() or text[at] == "\ufeff":
            at += 1
        else:
            end = at
            while end < len(text) and not text[end].isspace() and text[end] not in '{}[]:,"/':
                end += 1
            yield at, text[at : max(end, at + 1)]
            at = max(end, at + 1)


def _opening(text: str) -> int:
    first = next(_tokens(text), None)
    if first is None or first[1] != "{":
        raise ValueError("it is no object")
    return first[0]


def _members(text: str) -> dict[str, str]:
    """Return the members of the outermost object: what each begins with, as it is written.

    Raises:
        ValueError: It is no object.
    """
    if text.strip():
        _opening(text)
    found: dict[str, str] = {}
    depth = 0
    words = [word for _, word in _tokens(text)]
    for index, word in enumerate(words):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(word, 0)
        if depth == 1 and words[index + 1 : index + 2] == [":"] and word.startswith('"'):
            value = words[index + 2] if index + 2 < len(words) else ""
            found[json.loads(word)] = json.dumps(json.loads(value)) if value[:1] == '"' else value
    if depth:
        raise ValueError("its brackets do not match")
    return found


def _replace(path: Path, content: bytes) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
        replace_text(path, content, mode)
    except OSError as error:
        raise BuildpermError(f"cannot write `{path}`: {error.strerror}") from error


def _noted(place: Path) -> list[ChangedSettings]:
    try:
        document: Any = json.loads((place / EDITORS).read_bytes())
        return [ChangedSettings(**each) for each in document]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise BuildpermError(f"`{place / EDITORS}` is broken: {error}") from error


def _note(place: Path, changed: list[ChangedSettings]) -> None:
    text = json.dumps([asdict(each) for each in changed], indent=1).encode()
    try:
        replace_text(place / EDITORS, text, 0o600)
    except OSError as error:
        raise BuildpermError(f"cannot write into `{place}`: {error.strerror}") from error


def snippet(editor: str, place: Path) -> tuple[str, ...]:
    """Return what the settings of an editor that are not written for its user have to say."""
    server = json.dumps(str(place / MACRO_SERVER))
    match editor:
        case "helix":
            return (
                "in languages.toml:",
                "  [language-server.rust-analyzer.config]",
                "  cargo.buildScripts.useRustcWrapper = false",
                f"  procMacro.server = {server}",
            )
        case "neovim":
            return (
                "in init.lua:",
                '  vim.lsp.config("rust_analyzer", { settings = { ["rust-analyzer"] = {',
                "    cargo = { buildScripts = { useRustcWrapper = false } },",
                f"    procMacro = {{ server = {server} }} }} }} }})",
            )
        case "zed":
            return (
                "in settings.json:",
                '  "lsp": { "rust-analyzer": { "initialization_options": {',
                '    "cargo": { "buildScripts": { "useRustcWrapper": false } },',
                f'    "procMacro": {{ "server": {server} }} }} }} }}',
            )
        case _:
            told = wanted(place).items()
            lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in told]
            return ("in settings.json:", f"{lines[0]},", lines[1])
