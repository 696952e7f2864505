"""What the shim tells of the compiler itself, and what it keeps from what the compiler starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.sandbox.shimmed_compiler import CompilerRun
from tests.programs import CHILDREN, program_text
from tests.sandbox.macro_workshop import MacroWorkshop, workshop

_MANY = 300
_FOR_CHILDREN, _INSIDE = 1, 4


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> MacroWorkshop:
    return workshop(tmp_path)


def test_withheld_names_that_are_asked_for_are_told(shop: MacroWorkshop) -> None:
    (shop.folder / "read").write_text("x")
    text = program_text("using_much.rs", FILE="read")
    run = shop.shimmed(*shop.consumer(text), withheld=("WITHHELD_ONE", "WITHHELD_TWO"))
    assert run.status == 0, run.stderr
    assert set(run.messages) == {(b"ready",), (b"asked", b"env", b"WITHHELD_ONE")}


@pytest.mark.parametrize(
    "text", ['const A: &[u8] = include_bytes!("{}");', '#[path = "{}"] mod module;']
)
def test_files_that_the_compiler_may_not_read_are_told(
    shop: MacroWorkshop, outside: Path, text: str
) -> None:
    (outside / "read").touch()
    relative = os.path.relpath(outside / "read", shop.folder)
    run = _held(shop, *shop.consumer(text.replace("{}", relative)))
    assert run.status == 1
    told = {(kind, os.path.normpath(path)) for _, kind, path in run.messages[1:]}
    assert (b"read", bytes(outside / "read")) in told


def test_files_that_the_compiler_may_not_write_are_told(shop: MacroWorkshop, outside: Path) -> None:
    run = _held(shop, *shop.consumer(""), f"--emit=dep-info={outside}/made")
    assert run.status == 1
    assert (b"refused", b"write", bytes(outside / "made")) in run.messages


@pytest.fixture(name="outside")
def _outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside")


def _held(shop: MacroWorkshop, *arguments: str | Path) -> CompilerRun:
    sysroot = shop.compiler.parent.parent
    folders = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/dev", "/sys")
    allowed = (*folders, sysroot, shop.folder, shop.programs.shim.parent)
    return shop.shimmed(
        CHILDREN / "compiles_under_landlock.py",
        *(str(len(allowed)), *allowed, shop.compiler, *arguments),
        program=Path(sys.executable),
        environ={"PYTHONPATH": str(CHILDREN.parent.parent)},
    )


def test_what_the_compiler_starts_gets_nothing_of_the_shim(shop: MacroWorkshop) -> None:
    linker = shop.folder / "linker"
    linker.write_text(
        f'#!/bin/sh\nenv > {shop.folder}/env\nls -l /proc/$$/fd > {shop.folder}/fds\nexec cc "$@"\n'
    )
    linker.chmod(0o700)
    (shop.folder / "main.rs").write_text("fn main() {}")
    run = shop.shimmed("main.rs", f"-Clinker={linker}")
    assert run.status == 0, run.stderr
    variables = (shop.folder / "env").read_text()
    assert "LD_PRELOAD" not in variables
    assert "BUILDPERM_SHIM" not in variables
    assert "socket:" not in (shop.folder / "fds").read_text()


def test_macros_of_documented_tests_are_expanded_outside_as_well(shop: MacroWorkshop) -> None:
    library = shop.macros("expanding_macros.rs")
    test = "/// assert!(macros::process!() != std::process::id());"
    text = f"/// ```\n{test}\n/// ```\npub fn f() {{}}\n"
    (shop.folder / "documented.rs").write_text(text)
    run = shop.shimmed(
        *("--test", "--edition=2021", "--crate-name=documented", f"--extern=macros={library}"),
        "documented.rs",
        program=shop.compiler.parent / "rustdoc",
        flags=_FOR_CHILDREN,
    )
    assert run.status == 0, run.stdout + run.stderr
    assert b"1 passed" in run.stdout
    said = [message[0] for message in run.messages]
    assert said.count(b"ready") >= 2
    assert b"host" in said


def test_where_macros_run_inside_the_compiler_it_is_told_what_is_refused(
    shop: MacroWorkshop,
) -> None:
    library = shop.macros("expanding_macros.rs")
    text = 'macros::nothing! {} pub const READ: Option<&str> = option_env!("WITHHELD");'
    run = shop.shimmed(*shop.consumer(text, library), flags=_INSIDE, withheld=("WITHHELD",))
    assert run.status == 0, run.stderr
    assert run.messages == ((b"ready",), (b"asked", b"env", b"WITHHELD"))


def test_a_macro_within_a_macro_gets_another_process(tmp_path: Path) -> None:
    shop = workshop(tmp_path, "nightly")
    library = shop.macros("nesting_macros.rs")
    text = "pub const A: (u32, u32) = macros::outer!(macros::process!());"
    run = shop.shimmed(*shop.consumer(text, library))
    assert run.status == 0, run.stderr
    assert [message[0] for message in run.messages].count(b"host") == 2


def test_macros_within_macros_do_not_go_on_for_ever(tmp_path: Path) -> None:
    shop = workshop(tmp_path, "nightly")
    library = shop.macros("nesting_macros.rs")
    text = '#![recursion_limit = "100000"] pub const A: u32 = macros::endless!(1);'
    run = shop.shimmed(*shop.consumer(text, library))
    assert run.status == 1, run.stderr
    assert [message[0] for message in run.messages].count(b"host") <= 64


def test_a_stack_as_large_as_wanted(shop: MacroWorkshop) -> None:
    library = shop.macros("expanding_macros.rs")
    command = shop.consumer("pub const A: usize = macros::deep!(12000);", library)
    size = str(64 << 20)
    assert shop.shimmed(*command, environ={"RUST_MIN_STACK": size}).status == 0
    run = shop.shimmed(*command)
    assert run.status == 1
    assert b"the process for the macros of `macros` failed" in run.stderr


@pytest.mark.slow
def test_a_library_may_have_many_macros(shop: MacroWorkshop) -> None:
    macros = "".join(
        f"#[proc_macro] pub fn m{number}(_: proc_macro::TokenStream) -> proc_macro::TokenStream"
        f' {{ "{number}".parse().unwrap() }}\n'
        for number in range(_MANY)
    )
    source = shop.folder / "many.rs"
    source.write_text(f"extern crate proc_macro; {macros}")
    done = shop.plain("--crate-type=proc-macro", "-Cextra-filename=-1", source)
    assert done.returncode == 0, done.stderr
    sums = " + ".join(f"many::m{number}!()" for number in range(_MANY))
    text = f"pub const A: [(); {_MANY * (_MANY - 1) // 2}] = [(); {sums}];"
    run = shop.shimmed(*shop.consumer(text, shop.folder / "libmany-1.so"))
    assert run.status == 0, run.stderr


def test_a_backend_is_not_opened_but_from_the_tool_chain(shop: MacroWorkshop) -> None:
    (shop.folder / "backend.c").write_text(
        "__attribute__((constructor)) void f(void) { for (;;); }"
    )
    library = shop.folder / "backend.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, shop.folder / "backend.c"], check=True)
    (shop.folder / "main.rs").write_text("fn main() {}")
    run = shop.shimmed(
        *("main.rs", f"-Zcodegen-backend={library}"), environ={"RUSTC_BOOTSTRAP": "1"}
    )
    assert run.status != 0
    assert b"is not opened in a compiler" in run.stderr
