"""Finds functions by name in a program or library: elf(5), 64 bits, little-endian.

The file may be the build script itself, so no number in it is trusted: all reads are bounded, and
a file that is inconsistent has no functions.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import struct

from buildperm.tracer.recorder import location

_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_SEGMENT = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr
_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym
_SYMTAB, _DYNSYM = 2, 11  # sh_type
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3  # p_type
_NEEDED, _STRINGS = 1, 5  # d_tag: DT_NEEDED, DT_STRTAB
_EXECUTABLE = 1  # PF_X
_PAGE = 0x1000
_ENTRY = struct.Struct("<qQ")  # Elf64_Dyn
_FUNCTION = 2  # STT_FUNC, lower half of st_info
_TABLE_MAX = 32 << 20  # Bytes of one table that are looked at.
_HEADERS_MAX = 4096
_NAME_MAX = 4096  # Bytes of the name of a library, with the zero at its end.


class Image:
    """An open ELF file."""

    __slots__ = ("_file", "_header")

    def __init__(self, path: bytes) -> None:
        """Open `path`.

        Raises:
            OSError: It cannot be read, or is not a regular file.
            ValueError: It is not such a file.
        """
        self._file = location.open_regular_file(path)
        self._header = os.pread(self._file, 64, 0)
        if len(self._header) < 64 or not self._header.startswith(b"\x7fELF\x02\x01"):
            os.close(self._file)
            raise ValueError("not a 64-bit ELF file")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def is_static(self) -> bool:
        """Tell whether it runs without a loader."""
        return all(segment[0] != _INTERPRETER for segment in self._table(32, 54, _SEGMENT))

    def interpreter(self) -> bytes:
        """Return the path of the loader that it needs; empty if it needs none."""
        for kind, _, offset, _, _, size, *_ in self._table(32, 54, _SEGMENT):
            if kind == _INTERPRETER:
                return self._read(offset, size).partition(b"\0")[0]
        return b""

    def needed(self) -> list[bytes]:
        """Return the names of the libraries that it is linked with.

        Raises:
            ValueError: Its tables are inconsistent.
        """
        segments = self._table(32, 54, _SEGMENT)
        dynamic = next((segment for segment in segments if segment[0] == _DYNAMIC), None)
        if dynamic is None:
            return []
        raw = self._read(dynamic[2], dynamic[5])
        entries = list(_ENTRY.iter_unpack(raw[: len(raw) // _ENTRY.size * _ENTRY.size]))
        address = next((value for tag, value in entries if tag == _STRINGS), -1)
        names = []
        for tag, value in entries:
            if tag == 0:  # DT_NULL ends it.
                break
            if tag == _NEEDED:
                names.append(self._text(segments, address + value))
        return names

    def _text(self, segments: list[tuple[int, ...]], address: int) -> bytes:
        """Return the text at an address."""
        for kind, _, offset, first, _, size, *_ in segments:
            if kind == _LOAD and first <= address < first + size:
                text, end, _ = self._read(offset + address - first, _NAME_MAX).partition(b"\0")
                if text and end:
                    return text
        raise ValueError("a name of a library that is not there")

    def lowest(self) -> int:
        """Return the address at which its first byte asks to be mapped."""
        for kind, _, offset, address, *_ in self._table(32, 54, _SEGMENT):
            if kind == _LOAD:  # elf(5): in ascending order
                return address - offset & ~0xFFF
        return 0

    def code(self) -> tuple[int, bytes, int] | None:
        """Return the one segment that may be executed; None if there is none, or several.

        Returns:
            The address of its first page, before relocation; its bytes, with those before it in
            that page and behind it in its last; how many of the latter nobody uses: 0 if not all
            of them are zero.
        """
        found = [
            segment
            for segment in self._table(32, 54, _SEGMENT)
            if segment[0] == _LOAD and segment[1] & _EXECUTABLE
        ]
        if len(found) != 1:
            return None
        _, _, offset, address, _, size, _, _ = found[0]
        before, rest = address % _PAGE, -(address + size) % _PAGE
        content = self._read(offset - before, before + size + rest)
        if len(content) != before + size + rest:
            return None
        is_used = content[before + size :].strip(b"\0")
        return address - before, content, 0 if is_used else rest

    def function(self, name: bytes) -> int:
        """Return the address of the function `name` before relocation; 0 if there is none."""
        sections = self._table(40, 58, _SECTION)
        for section in sections:
            if section[1] in (_SYMTAB, _DYNSYM) and section[6] < len(sections):
                found = self._search(section, sections[section[6]], name)
                if found:
                    return found
        return 0

    def _search(self, table: tuple[int, ...], texts: tuple[int, ...], name: bytes) -> int:
        symbols, strings = self._read(table[4], table[5]), self._read(texts[4], texts[5])
        place = strings.find(name + b"\0")
        while place >= 0:  # linkers share tails: `getenv` may be the end of `secure_getenv`
            wanted = struct.pack("<I", place)
            at = symbols.find(wanted)
            while at >= 0:
                if at % _SYMBOL.size == 0 and at + _SYMBOL.size <= len(symbols):
                    _, kind, _, section, value, _ = _SYMBOL.unpack_from(symbols, at)
                    if section and kind & 0xF == _FUNCTION:
                        return int(value)
                at = symbols.find(wanted, at + 1)
            place = strings.find(name + b"\0", place + 1)
        return 0

    def _table(self, offset_at: int, count_at: int, entry: struct.Struct) -> list[tuple[int, ...]]:
        """Read the table whose offset, entry size and count stand in the ELF header."""
        offset = struct.unpack_from("<Q", self._header, offset_at)[0]
        size, count = struct.unpack_from("<HH", self._header, count_at)
        if size != entry.size or count > _HEADERS_MAX:
            return []
        raw = self._read(offset, size * count)
        return list(entry.iter_unpack(raw[: len(raw) // size * size]))

    def _read(self, offset: int, size: int) -> bytes:
        if size > _TABLE_MAX:
            return b""
        try:
            return os.pread(self._file, size, offset)
        except (OSError, OverflowError):
            return b""
