"""The shim shows macros in each layout that there may be, and reads what is damaged in bounds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildperm.sandbox import native_programs
from tests.programs import CHILDREN
from tests.sandbox.macro_workshop import MacroWorkshop, workshop

_SOURCES = Path(native_programs.__file__).parent.parent / "supervisor" / "compiling"
_SYMBOL = "__rustc_proc_macro_decls_0__"
_NAMED = ["0 Derived 1", "helper", "ä", "0!given answered", "2 made 1", "1.given answered"]
_BARE = ["0!given answered", "1.given answered"]


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> MacroWorkshop:
    return workshop(tmp_path)


def _compile(shop: MacroWorkshop, *words: str | Path) -> None:
    command = ["cc", "-std=gnu11", "-Wall", "-I", str(_SOURCES), *map(str, words)]
    subprocess.run(command, cwd=shop.folder, check=True)


@pytest.mark.parametrize(("layout", "seen"), [(0, _BARE), (1, _NAMED), (2, _NAMED)])
@pytest.mark.quick(1)
def test_macros_look_as_in_each_layout(shop: MacroWorkshop, layout: int, seen: list[str]) -> None:
    library, program = shop.folder / "libmade-1.so", shop.folder / "compiler"
    chosen = f"-DLAYOUT={layout}"
    _compile(shop, chosen, "-shared", "-fPIC", "-o", library, CHILDREN / "plays_macros.c")
    # That it is a compiler is seen by what it is linked to.
    (shop.folder / "nothing.c").touch()
    _compile(shop, "-shared", "-o", "librustc_driver-0.so", "nothing.c")
    linked = ("-Wl,--no-as-needed", "-L.", "-l:librustc_driver-0.so", f"-Wl,-rpath,{shop.folder}")
    _compile(shop, chosen, "-o", program, CHILDREN / "plays_compiler.c", *linked, "-ldl")

    inside = subprocess.run(
        [program, library, _SYMBOL], capture_output=True, text=True, check=False
    )
    outside = shop.shimmed(library, _SYMBOL, program=program, layout=layout)

    assert outside.status == 0, outside.stdout
    assert outside.stdout.decode().splitlines() == ["2", *seen]
    assert [message[0] for message in outside.messages] == [b"ready", b"table?", b"host", b"table"]
    if layout == 0:  # Its table holds nothing that the shim would have to add.
        assert inside.stdout == outside.stdout.decode()


@pytest.mark.parametrize(
    ("program", "source"),
    [("reads_tables.c", "shim_table.c"), ("reads_queues.c", "shim_calls.c")],
)
@pytest.mark.slow
def test_what_is_damaged_is_read_within_its_bounds(
    shop: MacroWorkshop, program: str, source: str
) -> None:
    made = shop.folder / "reads"
    sanitized = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    _compile(shop, *sanitized, "-o", made, CHILDREN / program, _SOURCES / source)
    for seed in range(3):
        done = subprocess.run([made, str(seed)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
