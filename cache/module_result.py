"""What a build script's run as WASI has left, in the form of a kept result, and how two differ.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.cache.kept_result import FILE, LINK, KeptResult
from buildperm.cache.output_copy import OutputTaker, told
from buildperm.cache.result_store import FolderStore
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from buildperm.cache.path_tokens import PathTokens
    from buildperm.cache.result_store import ResultStore

NOTE = b"/note.json"
"""What a native run leaves for whoever compares, beside a store with its result."""

NATIVE = "0"
"""The name of that result."""

_MOST = 64 << 20  # Bytes of what it prints.
_SHOWN = 120  # Letters of one line.


def take(native: KeptResult, folder: bytes, store: ResultStore, tokens: PathTokens) -> KeptResult:
    """Put what a module has left below a folder into a store: `out`, `stdout`, `stderr`.

    All that a module cannot say, as its inputs and its recording, is that of the native run.

    Args:
        native: The run to compare with.
        folder: Where it has left it.
        store: Where files and texts are put; it has those of the native run.
        tokens: The places of the run.

    Raises:
        NotKeptError: There is too much, or something that cannot be copied.
        OSError: Something cannot be read, or the store cannot take it.
    """
    taker = OutputTaker(store, tokens)
    taker.take(folder + b"/out")
    made = KeptResult()
    for name in KeptResult.__slots__:
        setattr(made, name, getattr(native, name))
    printed = _read(folder + b"/stdout")
    if printed and not printed.endswith(b"\n"):
        printed += b"\n"  # As the lines of a native run are kept.
    made.left = taker.left
    made.stdout, made.stderr = taker.keep(printed), taker.keep(_read(folder + b"/stderr"))
    return made


def _read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise OSError(f"`{encode(path)}` is too long")
    return content


def difference(native: KeptResult, made: KeptResult, store: ResultStore, tokens: PathTokens) -> str:
    """Say in what a module's result differs first, a file with its line; empty if in nothing.

    Raises:
        OSError: The store has lost something.
        ValueError: The store has something else than it should.
    """
    old = {str(each[1]): each for each in native.left}
    new = {str(each[1]): each for each in made.left}
    for path in sorted({*old, *new}):
        here, there = old.get(path), new.get(path)
        if here == there:
            continue
        named = f"$OUT_DIR/{path}"
        if there is None or here is None:
            return f"{named}, which {'only the native run has' if here else 'it alone has'} left"
        if here[0] != there[0]:
            return f"{named}, a {there[0]} where the native run has left a {here[0]}"
        if here[0] == LINK:
            return f"{named}, which leads elsewhere"
        if here[0] != FILE or here[3:] == there[3:]:
            return f"{named}, permissions {int(there[2]):o} for {int(here[2]):o}"
        texts = told(here[3:], store, tokens), told(there[3:], store, tokens)
        return f"{named}, {_line(*texts)}"
    for what, here, there in (
        ("what it prints for Cargo", native.stdout, made.stdout),
        ("what it says", native.stderr, made.stderr),
    ):
        if here != there:
            return f"{what}, {_line(told(here, store, tokens), told(there, store, tokens))}"
    return ""


def _line(here: bytes, there: bytes) -> str:
    """Name the first line that differs, with both versions."""
    old, new = here.splitlines(keepends=True), there.splitlines(keepends=True)
    at = 0
    while at < len(old) and at < len(new) and old[at] == new[at]:
        at += 1
    found = [lines[at] if at < len(lines) else b"" for lines in (new, old)]
    if found[0].rstrip(b"\n") == found[1].rstrip(b"\n"):
        return f"line {at + 1}, in how it ends"
    return f"line {at + 1}: {_shown(found[0])} for {_shown(found[1])}"


def _shown(line: bytes) -> str:
    if not line:
        return "nothing"
    line = line.rstrip(b"\n")
    return f"`{encode(line[:_SHOWN])}`" + ("…" if len(line) > _SHOWN else "")


def module_path(folder: bytes, key: str) -> bytes:
    """Return where a believed module lies; its digest is beside it."""
    return folder + b"/" + key.encode() + b".wasm"


def forget(folder: bytes, key: str) -> None:
    """Remove a believed module, and the result that it had to come to, if they are there.

    Raises:
        OSError: They cannot be removed.
    """
    FolderStore(folder).remove(key, NATIVE)
    path = module_path(folder, key)
    for name in (path, path + b".digest"):
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass


def complete(request: dict[str, Any], folder: bytes) -> dict[str, Any]:
    """Return a request with the places of one run, below a folder that has `module.wasm`.

    Raises:
        OSError: They cannot be made.
    """
    os.mkdir(folder + b"/out", 0o755)
    for name in (b"/stdout", b"/stderr"):
        with open(folder + name, "wb"):
            pass
    told = {name: encode(folder + b"/" + name.encode()) for name in ("stdout", "stderr")}
    told["module"] = encode(folder + b"/module.wasm")
    out = [encode(folder + b"/out"), request["out"], True]
    return {**request, **told, "folders": [*request["folders"], out]}
