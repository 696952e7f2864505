"""What a compiler loads or writes that is only asked."""

from __future__ import annotations

import pytest

from buildperm.cargo import asked_flags


@pytest.mark.parametrize(
    ("flags", "loaded"),
    [
        ("-Zcodegen-backend=./b.so", ["./b.so"]),
        ("-Z codegen_backend=b.so -Zcodegen-backend=llvm", ["b.so"]),
        ("-gZcodegen-backend=./b.so", ["./b.so"]),
        ("-gOZ codegen-backend=./b.so", ["./b.so"]),
        ("-A -L -Zcodegen-backend=./b.so", ["./b.so"]),
        ("codegen-backend=./b.so", ["./b.so"]),  # Behind the `-Z` of another file.
        ("-O @flags", ["@flags"]),
        ("--sysroot=x --sysroot y", ["--sysroot=x", "--sysroot"]),
        ("-Zcodegen-backend=cranelift -Zthreads=8 -Cllvm-args=codegen-backend=b.so", []),
        ("--cfg tokio_unstable -Ctarget-cpu=native -Clink-arg=-fuse-ld=lld -L@x", []),
        ("-Clink-arg=--sysroot=/x -Clink-arg=@x --remap-path-prefix=/a=/b", []),
    ],
)
def test_what_is_loaded_is_found_wherever_it_stands(flags: str, loaded: list[str]) -> None:
    assert asked_flags.loaded(flags.split()) == loaded


@pytest.mark.parametrize(
    ("flags", "written"),
    [
        ("--print=cfg=/a", ["--print=cfg=/a"]),
        ("--print cfg=/a", ["--print cfg=/a"]),
        ("-A --print --print=cfg=/a", ["--print --print=cfg=/a", "--print=cfg=/a"]),
        ("--cfg=a --print", ["--print "]),
        ("-Zself-profile=/a", ["-Zself-profile=/a"]),
        ("-gZ self_profile", ["self_profile"]),
        ("--print=cfg --print sysroot --cfg=a=b --check-cfg=cfg(print,values(1))", []),
        ("-Zself-profile-events=all -Cprofile-use=/a --printing=a=b", []),
    ],
)
def test_what_is_written_is_found(flags: str, written: list[str]) -> None:
    assert asked_flags.written(flags.split()) == written


def test_targets_are_found_in_all_lists() -> None:
    flags = ["--target=a.json", "--target", "b", "--cfg", "c.json", "-od.json"]
    assert asked_flags.targets(flags) == ["a.json", "b", "c.json"]
