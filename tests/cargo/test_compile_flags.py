"""What flags name outside of the build: folders with libraries, linkers, plug-ins."""

from __future__ import annotations

import pytest

from buildperm.cargo import compile_flags


@pytest.mark.parametrize(
    ("flags", "folders"),
    [
        ("", []),
        ("-L /a -L/b", ["/a", "/b"]),
        ("-L native=/a -Lall=/b -L framework=/c", ["/a", "/b", "/c"]),
        ("-L native=relative -L", []),
        ("-L a=/b", []),
        ("-Cdebuginfo=1 --cfg /x", []),
    ],
)
def test_folders_with_libraries_are_found(flags: str, folders: list[str]) -> None:
    assert compile_flags.searched(flags.split()) == folders


@pytest.mark.parametrize(
    ("flags", "programs"),
    [
        ("-Clinker=/a/ld", ["/a/ld"]),
        ("-C linker=/a/ld", ["/a/ld"]),
        ("--codegen linker=/a/ld", ["/a/ld"]),
        ("--codegen=linker=/a/ld", ["/a/ld"]),
        ("-Clinker=ld", []),
        ("-Clink-arg=-fuse-ld=/a/mold", ["/a/mold"]),
        ("-Clink-arg=-B/a/bin", ["/a/bin"]),
        ("-Clink-arg=-Wl,-T,/a/x.ld", ["/a/x.ld"]),
        ("-Clinker-plugin-lto=/a/LLVMgold.so", ["/a/LLVMgold.so"]),
        ("-Zcodegen-backend=/a/backend.so", ["/a/backend.so"]),
        ("-Z codegen_backend=/a/backend.so", ["/a/backend.so"]),
        ("--remap-path-prefix=/home/me=/x", []),
        ("-Cprofile-use=/a/x.profdata", []),
        ("-Clink-arg=/", []),
    ],
)
def test_what_is_run_or_loaded_is_found(flags: str, programs: list[str]) -> None:
    assert compile_flags.programs(flags.split()) == programs


def test_several_words_for_a_linker_are_taken_apart() -> None:
    assert compile_flags.programs(["-Clink-args=-L/a -l b /c.o"]) == ["/a", "/c.o"]
