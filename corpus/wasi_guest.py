"""Runs one module for WASI under wasmtime, as a line of JSON on standard input says.

A process of its own, so that time can be taken from it, and nothing else needs the package.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

TRAPPED = 101  # As a panic ends a native script: wasm has no signal to end by.


def main() -> int:
    """Run the module; print its exit code, and why it was stopped. Return 0 if it could be run."""
    wasmtime: Any = importlib.import_module("wasmtime")
    asked = json.load(sys.stdin)
    config = wasmtime.Config()
    config.consume_fuel = True
    engine = wasmtime.Engine(config)
    module = wasmtime.Module.from_file(engine, asked["module"])
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    wasi = wasmtime.WasiConfig()
    wasi.argv = [asked["program"]]
    wasi.env = list(asked["environment"].items())
    for folder, name, is_writable in asked["folders"]:
        wasi.preopen_dir(folder, name, is_writable)
    wasi.stdout_file, wasi.stderr_file = asked["stdout"], asked["stderr"]
    store = wasmtime.Store(engine)
    store.set_limits(memory_size=asked["memory"], instances=1, memories=1)
    store.set_fuel(asked["fuel"])
    store.set_wasi(wasi)
    instance = linker.instantiate(store, module)
    told = {"code": 0, "trap": ""}
    try:
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as ended:
        told = {"code": int(ended.code), "trap": ""}
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
        told = {"code": TRAPPED, "trap": str(error).splitlines()[-1].strip()}
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
