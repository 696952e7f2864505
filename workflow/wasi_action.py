"""Runs one module for WASI: `python -m buildperm.workflow.wasi_action REQUEST`.

A process of its own, which confines itself: `wasmtime` has millions of instructions, and a module
is hostile. It is shown folders and nothing else, and beneath it Landlock opens no more than that.
It says on standard output, in a line of JSON, how the module has ended, or why it was not run.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from buildperm.cache.output_copy import DEEPEST, MOST_FILE_BYTES, MOST_FILES
from buildperm.errors import CannotEnforceError
from buildperm.printable import log_text
from buildperm.rules.pattern import covers
from buildperm.sandbox import confined_command
from buildperm.tracer.notation import decode
from buildperm.workflow import bound_process

if sys.platform != "win32":
    import resource

TRAPPED = 101
"""The exit code of a panic: wasm has no signal to end by."""

_SAID_MOST = 300  # Letters.
_POLL_S = 0.1
_TOO_MUCH = "it writes too much"
_TABLE_MOST = 1 << 20  # Elements.


def run(request: dict[str, Any]) -> dict[str, object]:
    """Run a module; return its exit code, and what has stopped it: empty if it ended by itself.

    Args:
        request: As `supervisor.module_run` writes it.

    Raises:
        CannotEnforceError: This process cannot be confined.
        OSError: A folder cannot be opened.
        Exception: wasmtime cannot run it; its errors are of no common kind.
    """
    wasmtime: Any = importlib.import_module("wasmtime")
    module = Path(os.fsdecode(decode(request["module"]))).read_bytes()
    wasi = wasmtime.WasiConfig()
    wasi.argv = list(request["arguments"])
    wasi.env = [(name, value) for name, value in request["environment"]]
    rights: dict[bytes, int] = {decode(path): value for path, value in request["rights"].items()}
    outputs: list[bytes] = []
    for host, guest, is_writable in request["folders"]:
        real = os.path.realpath(decode(host))
        if is_writable:
            rights[real] = confined_command.WRITES
            outputs.append(real)
        elif real != decode(host) and not any(covers(each, real) for each in rights):
            raise OSError(f"`{host}` leads elsewhere")  # A script may have seen to that.
        wasi.preopen_dir(os.fsdecode(real), os.fsdecode(decode(guest)), is_writable)
    for name in ("stdout", "stderr"):
        setattr(wasi, f"{name}_file", os.fsdecode(decode(request[name])))
    most = min(int(request["bytes"]), MOST_FILE_BYTES)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    confined_command.confine(rights, starts=False)
    threading.Thread(target=_watch, args=(outputs, 2 * most), daemon=True).start()
    config = wasmtime.Config()
    config.consume_fuel = True
    engine = wasmtime.Engine(config)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    store = wasmtime.Store(engine)
    store.set_limits(
        memory_size=int(request["memory"]), table_elements=_TABLE_MOST, instances=1, memories=1
    )
    store.set_fuel(int(request["fuel"]))
    store.set_wasi(wasi)
    instance = linker.instantiate(store, wasmtime.Module(engine, module))
    try:
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as ended:
        return {"code": int(ended.code), "trap": ""}
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
        return {"code": TRAPPED, "trap": _last_line(error)}
    if any(_is_too_much(folder, 2 * most) for folder in outputs):
        return {"code": TRAPPED, "trap": _TOO_MUCH}
    return {"code": 0, "trap": ""}


def _watch(folders: list[bytes], most: int) -> None:
    """End this process when there are more bytes, or files, than are ever kept of a run.

    Fuel does not tell: one call writes much.
    """
    while True:
        time.sleep(_POLL_S)
        if any(_is_too_much(folder, most) for folder in folders):
            os.write(1, json.dumps({"code": TRAPPED, "trap": _TOO_MUCH}).encode())
            os._exit(0)


def _is_too_much(folder: bytes, most: int) -> bool:
    files = used = 0
    pending = [folder]
    while pending:
        path = pending.pop()
        if path.count(b"/") - folder.count(b"/") > DEEPEST:
            return True
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    used += entry.stat(follow_symlinks=False).st_blocks * 512
                    files += 1
                    if used > most or files > MOST_FILES:
                        return True
        except OSError:
            continue  # It changes meanwhile.
    return False


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return log_text((lines or [type(error).__name__])[-1])[:_SAID_MOST]


def main(path: str) -> int:
    """Run what a request asks for; return the exit code."""
    # With whoever asks nobody waits for this.
    bound_process.end_with_parent()
    try:
        told = run(json.loads(Path(path).read_bytes()))
    except CannotEnforceError as error:
        told = {"why": log_text(error.args[0])}
    except Exception as error:
        told = {"why": f"wasmtime: {_last_line(error)}"}
    sys.stdout.write(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
