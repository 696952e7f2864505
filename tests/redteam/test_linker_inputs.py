"""Files in library folders that a linker, which is not confined, obeys."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.supervisor import linker_inputs

if TYPE_CHECKING:
    from tests.bench import Bench


def _optimised(folder: Path, written: Path) -> Path:
    """Make a library whose code for link-time optimisation asks for a listing of the assembler."""
    source = folder / "good.c"
    source.write_text("int good(void) { return 0; }\n")
    made = folder / "good.o"
    asks = ("-Xassembler", f"-al={written}")
    command = [
        "gcc",
        "-O1",
        "-flto",
        "-ffat-lto-objects",
        "-c",
        str(source),
        "-o",
        str(made),
        *asks,
    ]
    if shutil.which("gcc") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("gcc is of another kind")
    subprocess.run(["ar", "rcs", folder / "libgood.a", made], check=True)
    made.unlink()
    written.unlink()
    return folder / "libgood.a"


def test_the_options_in_a_library_have_the_assembler_write_a_file(tmp_path: Path) -> None:
    written = tmp_path / "written"
    library = _optimised(tmp_path, written)
    source = tmp_path / "main.c"
    source.write_text("int good(void);\nint main(void) { return good(); }\n")

    subprocess.run(["gcc", source, library, "-o", tmp_path / "main"], check=True)

    if not written.exists():
        pytest.skip("this linker loads no plug-in of gcc")
    assert written.read_text().startswith("GAS LISTING")


@pytest.mark.parametrize("line", ["rustc-link-search=native={}", "rustc-flags=-L {}"])
def test_no_folder_is_searched_that_holds_orders_for_the_linker(
    own_bench: Bench, tmp_path: Path, line: str
) -> None:
    library = _optimised(tmp_path, tmp_path / "written")
    for name in ("good", "lto"):
        (own_bench.out_dir / name).mkdir()
    shutil.copy("/bin/true", own_bench.out_dir / "good/libgood.so")
    shutil.copy(library, own_bench.out_dir / "lto/libgood.a")
    (own_bench.out_dir / "script").mkdir()
    (own_bench.out_dir / "script/bindings.rs").write_text("/* */ INPUT(/somewhere/else.o)\n")
    lines = [line.format(own_bench.out_dir / name) for name in ("good", "lto", "script")]
    placed = own_bench.script("".join(f"print({'cargo:' + each!r})\n" for each in lines))

    ended = own_bench.run(placed, "learning")

    assert ended.stdout == f"cargo:{lines[0]}\n".encode()
    assert [event["verdict"] for event in ended.of("directive")] == ["free", "refused", "refused"]
    assert b"lto (refused: not only linked: libgood.a)" in ended.stderr
    assert b"script (refused: not only linked: bindings.rs)" in ended.stderr
    own_bench.grants["directives"] = [line.format(f"$OUT_DIR/{name}") for name in ("lto", "script")]
    assert own_bench.run(placed).status == 0


@pytest.mark.parametrize(
    "content",
    [
        b"INPUT(/somewhere/else.o)",
        b"/* GNU ld script */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/x.so.6 AS_NEEDED(y) )\n",
        b" ;\n# a comment\n/* and another */ GROUP /* and */ (x)",
        b"x = 1; INPUT(x.o)",
        b"x/y-z+=1; INPUT(x.o)",
        b"x<<= 1; INPUT(x.o)",
        b"x/**/ *= 1; INPUT(x.o)",
        b'"x y" = 1; INPUT(x.o)',
        b". += 1;\nINCLUDE other.lds\n",
        b"SECTIONS { .text : { x.o(.text) } }",
        b"VERSION { x { global: *; }; }; STARTUP(x.o)",
        b"PROVIDE(x = 1); INPUT(x.o)",
        b"FLOAT INPUT(x.o)",
        b"NOFLOAT GROUP(x.o)",
        b"HLL() INPUT(x.o)",
        b"SYSLIB(x) INPUT(x.o)",
        b'SEARCH_DIR("/somewhere/else")',
        b"/*" + b"x" * (1 << 20) + b"*/ INPUT(x.o)",
        b"!<thin>\n",
        b"!<arch>\n" + b"x" * ((1 << 20) - 12) + b".gnu.lto_.symtab.0",
        b"\x7fELF" + bytes(100) + b".gnu.offload_lto_x",
        b"L\x01" + bytes(100) + b".gnu.lto_.opts",
    ],
)
def test_a_file_that_gives_orders_is_known(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)

    assert linker_inputs.LinkerSearch().commanding(bytes(tmp_path)) == ["x"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"!<arch>\nlto_codegen",
        b"\x7fELF INPUT(x)",
        b"// INPUT(x)\npub const INPUT: u32 = 1;\n",
        b"/* automatically generated */\n\npub const SECTIONS: u32 = 1;\n",
        b"#ifndef X\n#define X\n#define GROUP(x) x\ntypedef int INPUT;\nint INPUT(x);\n#endif\n",
        b"prefix=/usr\nLibs: -lx\n",
        b"INPUTS = 1\nGROUPS = 2\n".lower(),
        b"BC\xc0\xdeINPUT",
        b"/* no end INPUT(x)",
        b"\xff\xfe INPUT",
    ],
)
def test_a_file_that_gives_none_is_searched(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to("/nowhere")

    assert linker_inputs.LinkerSearch().commanding(bytes(tmp_path)) == []


@pytest.mark.parametrize(
    "orders", ["FLOAT INPUT({}/libdeep.a)", "HLL() INPUT({}/libdeep.a)", "SEARCH_DIR({})"]
)
def test_a_linker_takes_such_orders(tmp_path: Path, orders: str) -> None:
    # Nobody has looked into the folder that they lead to: only one that is named is looked into.
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "deep.c").write_text("int deep(void) { return 7; }\n")
    (tmp_path / "main.c").write_text("int deep(void);\nint main(void) { return deep(); }\n")
    subprocess.run(["cc", "-c", "deep.c"], cwd=deep, check=True)
    subprocess.run(["ar", "rcs", "libdeep.a", "deep.o"], cwd=deep, check=True)
    (tmp_path / "libx.a").write_text(orders.format(deep))

    command = ["cc", "main.c", "-L.", "-lx", "-o", "main"]
    linked = subprocess.run(
        [*command, "-ldeep"] if "SEARCH" in orders else command,
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )

    if linked.returncode:
        pytest.skip("the linker is of another kind")
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 7
    assert linker_inputs.LinkerSearch().commanding(bytes(tmp_path)) == ["libx.a"]


def test_a_file_of_nothing_but_comments_is_read_in_no_time(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"/**/ #\n" * 300_000 + b"INPUT(x)")
    began = time.process_time()  # Others may be busy.

    assert linker_inputs.LinkerSearch().commanding(bytes(tmp_path)) == ["x"]
    assert time.process_time() - began < 5


def test_nobody_waits_for_a_fifo_or_names_everything(tmp_path: Path) -> None:
    subprocess.run(["mkfifo", tmp_path / "fifo"], check=True)
    for number in range(50):
        (tmp_path / str(number)).write_text("INPUT(x)")

    assert len(linker_inputs.LinkerSearch().commanding(bytes(tmp_path))) == 20
    assert linker_inputs.LinkerSearch().commanding(b"/nowhere") == []


def test_what_is_too_much_to_look_through_is_taken_for_orders(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(bytes(50))

    search = linker_inputs.LinkerSearch(120)
    assert search.commanding(bytes(tmp_path)) == ["c"]
    assert search.commanding(bytes(tmp_path)) == ["a", "b", "c"]
