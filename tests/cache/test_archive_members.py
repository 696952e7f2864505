from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.cache import archive_members, digest
from buildperm.cache.result_store import FolderStore

OBJECTS = {f"{name}.o": name.encode() * 1000 + bytes(size) for size, name in enumerate("abc")}


def archive(members: dict[str, bytes]) -> bytes:
    made = archive_members.MAGIC
    for name, content in members.items():
        head = f"{name}/".ljust(16) + "0".ljust(12) + "0".ljust(6) * 2 + "100644".ljust(8)
        made += head.encode() + str(len(content)).ljust(10).encode() + b"`\n" + content
        made += b"\n" * (len(content) % 2)
    return made


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(os.fsencode(tmp_path / "store"))


def test_members_are_found_as_ar_writes_them(tmp_path: Path) -> None:
    for name, content in OBJECTS.items():
        (tmp_path / name).write_bytes(content)
    long = tmp_path / ("long" * 10 + ".o")
    long.write_bytes(b"l" * 999)
    subprocess.run(["ar", "crsD", "lib.a", *OBJECTS, long.name], cwd=tmp_path, check=True)
    content = (tmp_path / "lib.a").read_bytes()

    found = [content[begin:end] for begin, end in archive_members.spans(content)]

    assert found == [*OBJECTS.values(), b"l" * 999]


def test_an_object_file_is_kept_once(store: FolderStore) -> None:
    content = archive({name: os.urandom(3000) + each for name, each in OBJECTS.items()})
    members = [content[begin:end] for begin, end in archive_members.spans(content)]
    for each in members[:2]:
        store.put_blob(each)
    before = store.size()

    named = store.put_blob(content)

    assert store.parts(named, len(content)) == [
        (digest.of(each), len(each)) for each in members[:2]
    ]
    assert store.size() - before < len(members[2]) + 500
    assert store.blob(named, len(content)) == content


def test_what_stands_alone_is_kept_whole(store: FolderStore) -> None:
    small, inner = {"a.o": b"a" * 511}, {"inner.a": archive(OBJECTS)}
    for content in (archive(OBJECTS), archive(small), archive(inner)):
        for members in (small, inner):
            for each in members.values():
                store.put_blob(each)

        named = store.put_blob(content)

        assert store.parts(named, len(content)) == []
        assert store.blob(named, len(content)) == content


def test_a_part_that_is_lost_is_kept_again(store: FolderStore) -> None:
    content = archive(OBJECTS)
    first = store.put_blob(OBJECTS["a.o"])
    named = store.put_blob(content)
    assert [part for part, _ in store.parts(named, len(content))] == [first]
    store.remove_blob(first)
    with pytest.raises(FileNotFoundError):
        store.blob(named, len(content))

    store.put_blob(content)

    assert store.blob(named, len(content)) == content


def test_an_archive_of_an_older_version_stays_as_it_is(store: FolderStore) -> None:
    content = archive(OBJECTS)
    named = store.put_blob(content)
    for each in OBJECTS.values():
        store.put_blob(each)

    store.put_blob(content)

    assert store.parts(named, len(content)) == []
    assert store.blob(named, len(content)) == content


BROKEN = {
    "cut off in a member": lambda whole: whole[:-1],
    "cut off in a head": lambda whole: whole + b"x" * 59,
    "another end of a head": lambda whole: whole.replace(b"`\n", b"``"),
    "no number": lambda whole: whole.replace(b"1000 ", b"10e3 "),
    "below zero": lambda whole: whole.replace(b"1000 ", b"-100 "),
    "nothing": lambda whole: b"",
    "thin": lambda whole: whole.replace(b"!<arch>", b"!<thin>"),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_what_is_no_archive_has_no_members(change: object, store: FolderStore) -> None:
    whole = archive(OBJECTS)
    assert len(archive_members.spans(whole)) == 3
    for each in OBJECTS.values():
        store.put_blob(each)

    content = change(whole)  # type: ignore[operator]

    assert archive_members.spans(content) == []
    assert store.blob(store.put_blob(content), len(content)) == content


@given(st.binary(max_size=300), st.integers(0, 4000), st.binary(max_size=3))
def test_any_bytes_may_be_asked_about(tail: bytes, at: int, other: bytes) -> None:
    whole = archive(OBJECTS)
    changed = whole[:at] + other + whole[at + len(other) :] + tail
    kept = {digest.of(each) for each in OBJECTS.values()}

    pieces = archive_members.pieces(changed, kept.__contains__)

    by_digest = {digest.of(each): each for each in OBJECTS.values()}
    joined = b"".join(each if isinstance(each, bytes) else by_digest[each[0]] for each in pieces)
    assert joined in (b"", changed)
    assert b"" not in pieces
