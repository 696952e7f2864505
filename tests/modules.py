"""Modules for WASI, written by hand: what `--runtime wasi` runs, without a tool chain for it."""

from __future__ import annotations

import wasmtime

_IMPORTS = """
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink"
    (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
"""
_READS, _WRITES, _CREATES = 2, 64, 1  # Rights of fd_read and fd_write; O_CREAT: WASI preview 1.


class ModuleText:
    """Puts a module together, one call after the other."""

    def __init__(self, extra: str = "") -> None:
        """Begin; `extra` are imports of other functions."""
        self._extra = extra
        self._data: list[str] = []
        self._code: list[str] = []
        self._at = 1024

    def says(self, text: bytes, descriptor: str = "i32.const 1") -> ModuleText:
        """Write a text, to standard output unless another descriptor is told."""
        at = self._put(text)
        self._code += [
            f"(i32.store (i32.const 0) (i32.const {at}))",
            f"(i32.store (i32.const 4) (i32.const {len(text)}))",
            f"(drop (call $fd_write ({descriptor}) (i32.const 0) (i32.const 1) (i32.const 8)))",
        ]
        return self

    def leaves(self, folder: int, name: bytes, text: bytes) -> ModuleText:
        """Write a file below the folder with this descriptor: they count from 3."""
        self._code.append(f"(drop {self._open(folder, name, _CREATES, _WRITES)})")
        return self.says(text, "i32.load (i32.const 16)")

    def tries(self, folder: int, name: bytes) -> ModuleText:
        """Open a file for reading, and say how that ended: `0` is well."""
        self._code.append(
            f"(i32.store8 (i32.const 32) (i32.add (i32.const 48) (i32.ne (i32.const 0) "
            f"{self._open(folder, name, 0, _READS)})))"
        )
        self._code += [
            "(i32.store (i32.const 0) (i32.const 32))",
            "(i32.store (i32.const 4) (i32.const 1))",
            "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))",
        ]
        return self

    def links(self, folder: int, name: bytes, to: bytes) -> ModuleText:
        """Make a symbolic link, or not."""
        old, new = self._put(to), self._put(name)
        self._code.append(
            f"(drop (call $path_symlink (i32.const {old}) (i32.const {len(to)}) "
            f"(i32.const {folder}) (i32.const {new}) (i32.const {len(name)})))"
        )
        return self

    def does(self, code: str) -> ModuleText:
        """Add instructions."""
        self._code.append(code)
        return self

    def binary(self) -> bytes:
        """Return the module."""
        text = "\n".join(self._code)
        return bytes(
            wasmtime.wat2wasm(
                f'(module {_IMPORTS} {self._extra} (memory (export "memory") 1) '
                f'{" ".join(self._data)} (func (export "_start") {text}))'
            )
        )

    def _open(self, folder: int, name: bytes, creates: int, rights: int) -> str:
        at = self._put(name)
        return (
            f"(call $path_open (i32.const {folder}) (i32.const 1) (i32.const {at}) "
            f"(i32.const {len(name)}) (i32.const {creates}) (i64.const {rights}) "
            f"(i64.const 0) (i32.const 0) (i32.const 16))"
        )

    def _put(self, text: bytes) -> int:
        at, self._at = self._at, self._at + len(text)
        escaped = "".join(f"\\{byte:02x}" for byte in text)
        self._data.append(f'(data (i32.const {at}) "{escaped}")')
        return at
