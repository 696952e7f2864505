"""Runs build scripts as WASI after their native runs; where the same comes of it, believes that."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.cache import digest, module_result
from buildperm.cache.output_copy import NotKeptError
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.cargo.script_module import NotCompiledError, ScriptModules
from buildperm.printable import shortened
from buildperm.report.build_run import DIFFERS, EQUAL, NOT_TRIED
from buildperm.sandbox import private_cache
from buildperm.tracer.notation import decode
from buildperm.tracer.recording import reader
from buildperm.workflow import result_inventory

if TYPE_CHECKING:
    from buildperm.cache.kept_result import KeptResult
    from buildperm.cargo.units import Unit
    from buildperm.supervisor.session import SessionWasi
    from buildperm.workflow.build_outcome import BuildOutcome
    from buildperm.workflow.workspace import Workspace

Compile = Callable[[bytes, tuple[str, ...], Path], bytes]
"""Makes the module of a package's script, by its folder and features, in an empty folder."""

_SCRATCH = "wasi-"
_OLD_S = 24 * 3600
_SAID_LAST = 1 << 16  # Bytes at the end of what a module says.
_LONGEST = 400  # Letters of what is said of one script: scripts choose names and lines.


class NotTriedError(Exception):
    """A script was not run as WASI; the text says why, as a clause."""


def compared(outcome: BuildOutcome, workspace: Workspace, wasi: SessionWasi) -> BuildOutcome:
    """Run as WASI what ran natively in a build, and return what came of it beside the rest.

    Raises:
        BuildpermError: Cargo cannot be asked what the scripts are made of.
    """
    modules: list[ScriptModules] = []

    def compiled(package: bytes, features: tuple[str, ...], scratch: Path) -> bytes:
        if not modules:
            modules.append(ScriptModules(workspace.project, outcome.build.compile_rights))
        return modules[0].compile(package, features, scratch)

    found: dict[tuple[str, str, str], list[tuple[str, str, int]]] = {}
    for unit in outcome.units:
        if unit.subject != "script":
            continue
        header = reader.read(unit.recording).header
        if header.wasi_compared_s is None and header.restored is None:
            told = of_unit(unit, wasi, compiled)
            key = header.crate, header.crate_version, header.source
            found.setdefault(key, []).append(told)
    scripts = tuple(
        replace(
            each,
            wasi=(*each.wasi, *found.get((each.crate, each.version, each.source), ())),
        )
        for each in outcome.scripts
    )
    result_inventory.hold_to_limit(wasi["folder"])
    forget_unused(wasi["folder"])
    return replace(outcome, scripts=scripts)


def of_unit(unit: Unit, wasi: SessionWasi, compiled: Compile) -> tuple[str, str, int]:
    """Compare one native run with the same as WASI; return outcome, why, and when.

    The native run is what counts, whatever comes of this.
    """
    now_s = int(time.time())
    try:
        why = _differs(unit, wasi, compiled, now_s)
    except NotTriedError as error:
        return NOT_TRIED, shortened(str(error), _LONGEST), 0
    except (NotCompiledError, NotKeptError) as error:
        return NOT_TRIED, shortened(str(error), _LONGEST), 0
    except (OSError, ValueError, LookupError, StoreError) as error:
        return NOT_TRIED, shortened(f"it cannot be compared: {error}", _LONGEST), 0
    return (DIFFERS, shortened(why, _LONGEST), now_s) if why else (EQUAL, "", now_s)


def _differs(unit: Unit, wasi: SessionWasi, compiled: Compile, now_s: int) -> str:
    """Say in what a module's run differs; believe the module if in nothing.

    Raises:
        NotTriedError: It cannot be run.
        NotCompiledError: There is no module.
        NotKeptError: It has left what cannot be compared.
        StoreError: A store cannot be used.
        OSError: Something cannot be read or written.
        ValueError: What was noted is damaged.
        LookupError: Likewise.
    """
    noted = os.fsencode(unit.folder / "buildperm/wasi")
    try:
        with open(noted + module_result.NOTE, "rb") as file:
            told: dict[str, Any] = json.loads(file.read())
    except FileNotFoundError:
        raise NotTriedError("nothing was noted of its run") from None
    if "why" in told:
        raise NotTriedError(str(told["why"]))
    key = str(told["key"])
    ((_, native),) = FolderStore(noted).results(key)
    tokens = PathTokens({name: decode(place) for name, place in native.places.items()})
    scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=os.fsdecode(wasi["folder"])))
    try:
        (scratch / "made").mkdir()
        module = compiled(unit.package, unit.features, scratch / "made")
        place = os.fsencode(scratch)
        (scratch / "module.wasm").write_bytes(module)
        request = module_result.complete(told["request"], place)
        (scratch / "request.json").write_text(json.dumps(request), encoding="utf-8")
        if why := _failure(wasi, scratch):
            module_result.forget(wasi["folder"], key)
            return why
        store = FolderStore(noted)
        made = module_result.take(native, place, store, tokens)
        why = module_result.difference(native, made, store, tokens)
    finally:
        private_cache.remove(scratch)  # A module may have made it as deep as it likes.
    module_result.forget(wasi["folder"], key)
    if not why:
        native.made_s = now_s
        _believe(wasi, key, native, module, store)
    return why


def _failure(wasi: SessionWasi, scratch: Path) -> str:
    """Run a module; say how it has ended, if not as the native run, which ended with 0.

    Raises:
        NotTriedError: wasmtime could not run it.
    """
    command = [*wasi["command"], os.fsencode(scratch / "request.json")]
    try:
        ended = subprocess.run(
            command,
            cwd="/",
            env=wasi["environ"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=wasi["timeout_s"],
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"in its end: none after {wasi['timeout_s']} s"
    try:
        told = json.loads(ended.stdout)
    except ValueError:
        raise NotTriedError("wasmtime has ended without a word") from None
    if "why" in told:
        raise NotTriedError(str(told["why"]))
    if not told["code"]:
        return ""
    with (scratch / "stderr").open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _SAID_LAST))
        said = file.read(_SAID_LAST).decode("utf-8", "replace").splitlines()
    panics = [line for line in said if "panicked at" in line]
    why = (panics or [told["trap"]])[0]
    return f"in its exit code, {told['code']} for 0" + (f": {why}" if why else "")


def _believe(
    wasi: SessionWasi, key: str, native: KeptResult, module: bytes, noted: FolderStore
) -> None:
    store = FolderStore(wasi["folder"])
    for named, size, _ in native.blobs():
        store.put_blob(noted.blob(str(named), int(size)))
    path = module_result.module_path(wasi["folder"], key)
    for name, content in ((path, module), (path + b".digest", digest.of(module).encode())):
        new = name + b".%d.new" % os.getpid()  # Another build may be at it.
        with open(new, "wb") as file:
            file.write(content)
        os.replace(new, name)
    store.put(key, module_result.NATIVE, native)


def forget_unused(folder: bytes, most: int = result_inventory.MOST_BYTES) -> None:
    """Remove modules without a result, the oldest ones above a limit, and what killed builds left.

    Args:
        folder: Where they are believed.
        most: How many bytes modules may take.
    """
    store = FolderStore(folder)
    modules: list[tuple[float, int, str]] = []
    for path in Path(os.fsdecode(folder)).iterdir():
        key, _, ending = path.name.partition(".")
        is_module = digest.is_one(key) and bool(ending)
        try:
            about = path.lstat()
        except FileNotFoundError:
            continue
        if is_module and not ending.endswith(".new") and store.results(key):
            modules.append((about.st_mtime, about.st_size, key))
            continue
        is_old = about.st_mtime < time.time() - _OLD_S  # Else another build may be at it.
        if is_old and (is_module or path.name.startswith(_SCRATCH)):
            private_cache.remove(path)
    total = sum(size for _, size, _ in modules)
    for _, size, key in sorted(modules):
        if total <= most:
            break
        module_result.forget(folder, key)
        total -= size
