"""What rustc makes of macros in processes of their own is what it makes of macros within itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sandbox.macro_workshop import MacroWorkshop, workshop

_ALL = """
#[derive(macros::Twice)]
#[twice]
pub struct Größe { #[twice(1)] field: u8 }
#[macros::twin(LENGTH)]
pub fn f(r#type: &str) -> char { 'ä' }
pub const REVERSED: &[u8; 2] = macros::reversed!(b"\\xff\\0");
pub const DEEP: usize = macros::deep!(1500);
macros::nothing! { }
"""


@pytest.fixture(name="shop", scope="module")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> MacroWorkshop:
    return workshop(tmp_path_factory.mktemp("macros"))


@pytest.fixture(name="macros", scope="module")
def _macros(shop: MacroWorkshop) -> Path:
    return shop.macros("expanding_macros.rs")


def test_the_same_comes_out(shop: MacroWorkshop, macros: Path) -> None:
    command = shop.consumer(_ALL, macros)
    plain = shop.plain(*command)
    expected = shop.made()
    shimmed = shop.shimmed(*command)
    assert (shimmed.status, shimmed.stderr.decode()) == (plain.returncode, plain.stderr) == (0, "")
    assert shop.made() == expected
    assert [message[0] for message in shimmed.messages] == [b"ready", b"table?", b"host", b"table"]


def test_macros_run_in_one_process_which_is_another_one(shop: MacroWorkshop, macros: Path) -> None:
    run = shop.shimmed(
        *shop.consumer(
            "pub const A: u32 = macros::process!(); pub const B: u32 = macros::process!();", macros
        )
    )
    assert run.status == 0
    (mir,) = (data for name, data in shop.made().items() if name.endswith(".mir"))
    first, second = re.findall(rb"const (\d+)_u32", mir)
    assert first == second


def test_a_table_that_was_kept_spares_the_host(shop: MacroWorkshop, macros: Path) -> None:
    command = shop.consumer("pub use macros::*;", macros)
    first = shop.shimmed(*command)
    kept = first.messages[-1][2:]
    again = shop.shimmed(*command, kept_table=b"\0".join(kept) + b"\0")
    assert [message[0] for message in again.messages] == [b"ready", b"table?"]
    assert again.status == 0


def test_a_panic_is_told_as_usual(shop: MacroWorkshop, macros: Path) -> None:
    command = shop.consumer('macros::panics! { "well" ä }', macros)
    plain, shimmed = shop.plain(*command), shop.shimmed(*command)
    assert 'told to: "well"' in plain.stderr
    assert (shimmed.status, shimmed.stderr.decode()) == (plain.returncode, plain.stderr)


@pytest.mark.parametrize("name", ["exits", "aborts"])
def test_a_macro_that_ends_its_process_fails_the_compilation(
    shop: MacroWorkshop, macros: Path, name: str
) -> None:
    text = f"macros::{name}! {{}} pub const A: u32 = macros::process!();"
    run = shop.shimmed(*shop.consumer(text, macros))
    assert run.status == 1
    assert b"buildperm: the process for the macros of `macros` failed: it has ended" in run.stderr
    assert [message[0] for message in run.messages].count(b"host") == 2  # The next one works.
    assert run.stderr.count(b"error: proc macro panicked") == 1


def test_a_crate_whose_processes_end_all_the_time_is_given_up(
    shop: MacroWorkshop, macros: Path
) -> None:
    run = shop.shimmed(*shop.consumer("macros::exits! {}\n" * 50, macros))
    assert run.status == 1
    assert b"it failed 8 times in a row" in run.stderr
    assert [message[0] for message in run.messages].count(b"host") == 8


def test_huge_outputs_and_inputs_pass(shop: MacroWorkshop, macros: Path) -> None:
    long = "y" * 10_000_000
    text = "pub const A: &str = macros::long!(40000000);"
    text += f'#[macros::twin(B)] pub const C: &str = "{long}";'
    run = shop.shimmed(*shop.consumer(text, macros), "--emit=metadata")
    assert run.status == 0, run.stderr[-500:]
