"""Runs one module for WASI: `python -m buildperm.workflow.wasi_action REQUEST`.

A process of its own, which confines itself: `wasmtime` has millions of instructions, and a module
is hostile. It is shown folders and nothing else, and beneath it Landlock opens no more than that.
It says on standard output, in a line of JSON, how the module has ended, or why it was not run.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from buildperm.errors import CannotEnforceError
from buildperm.printable import log_text
from buildperm.sandbox import confined_command
from buildperm.tracer.notation import decode

if sys.platform != "win32":
    import resource

TRAPPED = 101
"""The exit code of a panic: wasm has no signal to end by."""

_PR_SET_PDEATHSIG = 1  # prctl(2)
_SAID_MOST = 300  # Letters.
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
    for host, guest, is_writable in request["folders"]:
        wasi.preopen_dir(os.fsdecode(decode(host)), os.fsdecode(decode(guest)), is_writable)
        if is_writable:
            rights[decode(host)] = confined_command.WRITES
    for name in ("stdout", "stderr"):
        setattr(wasi, f"{name}_file", os.fsdecode(decode(request[name])))
    most = int(request["bytes"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    confined_command.confine(rights, starts=False)
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
    return {"code": 0, "trap": ""}


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return log_text((lines or [type(error).__name__])[-1])[:_SAID_MOST]


def main(path: str) -> int:
    """Run what a request asks for; return the exit code."""
    # With whoever asks nobody waits for this.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
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
