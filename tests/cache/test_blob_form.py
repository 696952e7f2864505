from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.cache import blob_form, digest

PART = b"part" * 200
TEXT = b"before" + PART + b"between" + PART + b"after"
PARTS = {digest.of(PART): blob_form.packed(PART)}
GOOD = blob_form.packed(
    TEXT,
    [b"before", (digest.of(PART), 800), b"between", (digest.of(PART), 800), b"after"],
)


def record(kind: bytes, length: int, rest: bytes) -> bytes:
    return kind + length.to_bytes(8, "big") + rest


def listed(*records: bytes) -> bytes:
    return b"+" + zlib.compress(b"".join(records))


def read(raw: bytes, size: int = len(TEXT), named: str = digest.of(TEXT)) -> bytes:
    def part(named: str, size: int) -> bytes:
        asked.append((named, size))
        if named not in PARTS:
            raise FileNotFoundError
        return PARTS[named]

    asked: list[tuple[str, int]] = []
    try:
        return blob_form.unpacked(raw, named, size, part)
    finally:
        assert sum(length for _, length in asked) <= size


NAMED = bytes.fromhex(digest.of(PART))
WHOLE = record(b"@", 800, NAMED)
REST = len(TEXT) - 800
FORGED = {
    "empty": b"+",
    "not compressed": b"+" + b"x" * 30,
    "cut off": GOOD[:-20],
    "cut off within a record": listed(WHOLE, record(b".", REST, b"x")),
    "cut off within a digest": listed(record(b".", REST, b"x" * REST), WHOLE[:-1]),
    "cut off within a length": listed(WHOLE, record(b".", REST, b"x" * REST), b"@\0"),
    "no pieces": listed(),
    "shorter than its blob": listed(WHOLE),
    "longer than its blob": listed(WHOLE, WHOLE, WHOLE),
    "something else, of the right length": listed(WHOLE, record(b".", REST, b"x" * REST)),
    "a huge part": listed(record(b"@", 1 << 62, NAMED)),
    "a part of all bits": listed(record(b"@", (1 << 64) - 1, NAMED)),
    "a part of another length": listed(record(b"@", 801, NAMED), record(b".", REST - 1, b"x")),
    "a part that is no longer than its name": listed(
        *[record(b"@", 1, NAMED)] * 800, record(b".", REST, b"x" * REST)
    ),
    "a part of nothing": listed(record(b"@", 0, NAMED), record(b".", len(TEXT), TEXT)),
    "nothing, very often": listed(*[record(b".", 0, b"")] * 100_000),
    "an unknown kind": listed(record(b"?", len(TEXT), TEXT)),
    "a list of lists": b"+" + zlib.compress(GOOD),
    "a bomb": b"+" + zlib.compress(bytes(50 << 20)),
}


def test_a_list_is_its_pieces() -> None:
    assert blob_form.is_list(GOOD)
    assert len(GOOD) < len(TEXT) / 10
    assert read(GOOD) == TEXT
    assert blob_form.parts(GOOD, len(TEXT)) == [(digest.of(PART), 800)] * 2
    assert blob_form.parts(blob_form.packed(TEXT), len(TEXT)) == []


@pytest.mark.parametrize("raw", FORGED.values(), ids=FORGED)
def test_a_forged_list_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"list|digest|compressed|part"):
        read(raw)


def test_a_part_is_no_list_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    named = digest.of(TEXT)
    monkeypatch.setitem(PARTS, named, GOOD)
    raw = listed(record(b"@", len(TEXT), bytes.fromhex(named)))
    with pytest.raises(ValueError, match="not a blob"):
        read(raw)

    monkeypatch.setitem(PARTS, named, blob_form.packed(TEXT))
    assert read(raw) == TEXT


@pytest.mark.parametrize(
    "other",
    [b"", b"=", b"=" + PART[1:], blob_form.packed(bytes(50 << 20)), b"=" + PART[:-1] + b"x"],
)
def test_another_part_is_refused(other: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(GOOD) == TEXT

    monkeypatch.setitem(PARTS, digest.of(PART), other)

    with pytest.raises(ValueError, match=r"blob|part|digest"):
        read(GOOD)


def test_a_part_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PARTS, digest.of(PART))

    with pytest.raises(FileNotFoundError):
        read(GOOD)


def test_where_there_are_no_lists_one_is_refused() -> None:
    with pytest.raises(ValueError, match="not a blob"):
        blob_form.unpacked(GOOD, digest.of(TEXT), len(TEXT))
    with pytest.raises(ValueError, match="not a blob"):
        blob_form.text(GOOD, 1 << 20)


@given(st.binary(max_size=60), st.integers(0, 3000))
def test_any_bytes_are_a_list_or_refused(told: bytes, size: int) -> None:
    try:
        found = blob_form.parts(b"+" + zlib.compress(told), size)
    except ValueError:
        return
    assert sum(length for _, length in found) <= size


def test_a_list_that_would_be_longer_is_none() -> None:
    named = digest.of(PART)

    assert not blob_form.is_list(blob_form.packed(b"x" * 20, [(named, 20)]))
    assert blob_form.is_list(blob_form.packed(PART, [(named, 800)]))
