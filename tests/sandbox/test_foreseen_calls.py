"""Which answers are foreseen is seen from what a tool chain does, and changes nothing it makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from buildperm.sandbox import foreseen_calls
from buildperm.sandbox.foreseen_calls import NONE, find
from buildperm.sandbox.macro_interface import layout
from tests.sandbox.macro_workshop import MacroWorkshop, workshop

_TELLS_CALLS = 8
_USES = {
    "mixes": 'macros::mixes! { a (b, [c]) "d" }',
    "rebuilds": "#[macros::rebuilds] pub fn f(x: [u8; 2]) -> u8 { x[0] + { 1 } }",
    "drops_many": "pub const A: u8 = macros::drops_many!(7);",
    "long_call": "macros::long_call! { a }",
    "panics_among": "macros::panics_among! { a }",
    "survives": "macros::survives! { a }",
}

_Message = tuple[bytes, ...]


@pytest.fixture(name="shop", scope="module")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> MacroWorkshop:
    return workshop(tmp_path_factory.mktemp("foreseen"))


@pytest.fixture(name="macros", scope="module")
def _macros(shop: MacroWorkshop) -> Path:
    return shop.macros("making_streams.rs")


@pytest.mark.parametrize("name", _USES)
def test_the_same_comes_out(shop: MacroWorkshop, macros: Path, name: str) -> None:
    command = shop.consumer(_USES[name], macros)
    plain = shop.plain(*command)
    expected = shop.made()
    shimmed = shop.shimmed(*command)
    assert (shimmed.status, shimmed.stderr.decode()) == (plain.returncode, plain.stderr)
    assert shop.made() == expected
    assert plain.returncode == (name == "panics_among")


def test_the_compiler_is_asked_the_same_in_the_same_order(
    shop: MacroWorkshop, macros: Path
) -> None:
    command = shop.consumer("\n".join(_USES[name] for name in ("mixes", "rebuilds")), macros)
    asked = [
        [each for each in run.messages if each[0] == b"called"]
        for run in (
            shop.shimmed(*command, flags=_TELLS_CALLS, foreseen=NONE),
            shop.shimmed(*command, flags=_TELLS_CALLS),
        )
    ]
    assert len(asked[0]) > 1000
    assert asked[0] == asked[1]


def test_the_tool_chain_has_all_of_them(shop: MacroWorkshop) -> None:
    foreseen = bytes.fromhex(layout(shop.compiler, shop.programs).foreseen)
    head, counter = foreseen[:2]
    methods = {foreseen[at : at + head] for at in range(2, len(foreseen), 2)}
    assert head in (1, 2)
    assert counter < 128
    assert len(methods) == 5


def test_macros_within_macros_count_on(tmp_path: Path) -> None:
    shop = workshop(tmp_path, "nightly")
    library = shop.macros("nesting_macros.rs")
    inner = "macros::weaves!(macros::number!(a b c))"
    command = shop.consumer(f"pub const A: usize = macros::weaves!({inner});", library)
    plain = shop.plain(*command)
    expected = shop.made()
    assert layout(shop.compiler, shop.programs).foreseen != NONE
    shimmed = shop.shimmed(*command)
    assert (shimmed.status, plain.returncode) == (0, 0), shimmed.stderr.decode() + plain.stderr
    assert shop.made() == expected
    assert [message[0] for message in shimmed.messages].count(b"host") > 1


# ---- Made up, to be changed ----


def _called(asked: bytes, answered: bytes, counter: str = "0") -> _Message:
    return (b"called", asked.hex().encode(), answered.hex().encode(), counter.encode())


def _handle(number: int) -> bytes:
    return b"\0" + number.to_bytes(4, "little")


def _mark(name: str, head: bytes = b"\x01") -> _Message:
    return _called(head + b"\7\0\0\0\0\0\0\0buildperm_mark_" + name.encode(), b"\0" + _handle(1))


def _made(sections: Sequence[tuple[str, bytes]], drop: bytes = b"\x02") -> Iterator[_Message]:
    following = 10
    yield (b"ready",)
    for name, method in sections:
        yield _mark(name, b"\x01" * len(drop))
        for _ in range(3):
            yield _called(method + b"\0\0\0\0\1", _handle(following))
            following += 1
    yield _mark("drop", b"\x01" * len(drop))
    for number in range(3):
        yield _called(drop + number.to_bytes(4, "little"), b"\0", "-")
    yield _mark("end", b"\x01" * len(drop))


_SECTIONS = (("clone", b"\x03"), ("tree", b"\x04"), ("trees", b"\x05"), ("streams", b"\x06"))
_GOOD = "0100020003000400050006000200" + "0200" * 2


def test_what_is_seen_beyond_doubt_is_foreseen() -> None:
    assert find(_made(_SECTIONS)) == _GOOD


def test_methods_of_two_bytes_are_found() -> None:
    two = [(name, b"\x09" + method) for name, method in _SECTIONS]
    assert find(_made(two, drop=b"\x09\x02")) == "020009020903090409050906" + "0902" * 3


def test_without_a_counter_handles_are_counted_from_answers() -> None:
    said = [
        (*each[:3], b"-") if len(each) == 4 and len(each[2]) == 10 else each
        for each in _made(_SECTIONS)
    ]
    assert find(said) == _GOOD[:2] + "ff" + _GOOD[4:]


def test_where_two_counters_count_none_is_known() -> None:
    said = list(_made(_SECTIONS))
    said[2] = (*said[2][:3], b"1")
    assert find(said)[2:4] == "ff"


@pytest.mark.parametrize("at", range(4))
def test_a_way_that_is_answered_otherwise_is_not_foreseen(at: int) -> None:
    said = list(_made(_SECTIONS))
    change = 2 + 4 * at + 1  # The second call behind its mark.
    for answer in (_handle(4711), b"\1\1", b"\0\0", _handle(0)):
        changed = [*said[:change], _called(_SECTIONS[at][1] + b"x", answer), *said[change + 1 :]]
        found = find(changed)
        assert found != NONE
        assert _SECTIONS[at][1].hex() + "00" not in found[4:]
        assert len({found[each : each + 4] for each in range(4, len(found), 4)}) == 4


@pytest.mark.parametrize("at", range(4))
def test_a_way_that_is_asked_in_other_words_is_not_foreseen(at: int) -> None:
    said = list(_made(_SECTIONS))
    change = 2 + 4 * at
    others = [
        [*said[:change], *said[change + 1 :]],
        [*said[:change], said[change], *said[change:]],
        [*said[:change], _called(b"\x77", _handle(10 + 3 * at)), *said[change + 1 :]],
    ]
    for changed in others:
        assert _SECTIONS[at][1].hex() + "00" not in find(changed)[4:]


def test_a_method_that_is_elsewhere_answered_otherwise_is_not_foreseen() -> None:
    said = list(_made(_SECTIONS))
    assert "0400" not in find([*said, _called(b"\x04abc", b"\0\1")])[4:]
    assert find([*said, _called(b"\x02abc", b"\1\1")]) == NONE


@pytest.mark.parametrize(
    "changed",
    [
        [],
        [_mark("drop")],
        list(_made(_SECTIONS))[:-2],  # A drop less.
        list(_made(_SECTIONS, drop=b"\x01")),  # Dropped by what marks.
        list(_made(_SECTIONS, drop=b"\x03")),  # By what clones.
        list(_made(_SECTIONS, drop=b"\x02\x02\x02")),
        list(_made(_SECTIONS, drop=b"")),
        [*_made(_SECTIONS), (b"called", b"0", b"", b"-")],
        [*_made(_SECTIONS), (b"called", b"\xff", b"zz", b"-")],
    ],
)
def test_where_dropping_is_not_clear_nothing_is_foreseen(changed: list[_Message]) -> None:
    assert find(changed) == foreseen_calls.NONE
