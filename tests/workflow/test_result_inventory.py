from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cache import digest
from buildperm.cache.kept_result import KeptResult
from buildperm.cache.result_store import FolderStore
from buildperm.errors import ExitCode
from buildperm.workflow import result_inventory

if TYPE_CHECKING:
    import pytest

OBJECT = bytes(range(256)) * 40
ARCHIVE = b"!<arch>\n" + b"a.o/".ljust(48) + str(len(OBJECT)).ljust(10).encode() + b"`\n" + OBJECT


def kept(store: FolderStore, name: str, made_s: int, content: bytes) -> None:
    made = KeptResult()
    made.name, made.made_s = name, made_s
    made.left = [["file", name, 0o644, store.put_blob(content), len(content), 0]]
    nothing: list[str | int] = [store.put_blob(b""), 0, 0]
    made.stdout, made.stderr, made.recording = [*nothing], [*nothing], [*nothing]
    store.put(digest.of(name.encode()), "1", made)
    (path,) = Path(os.fsdecode(store.folder)).glob(f"results/*/{digest.of(name.encode())}/1.json")
    os.utime(path, (made_s, made_s))


def test_parts_stay_as_long_as_what_they_are_parts_of(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = FolderStore(os.fsencode(folder))
    kept(store, "a.o", 1, OBJECT)
    kept(store, "large", 2, os.urandom(9_000))
    kept(store, "lib.a", 3, ARCHIVE)
    assert store.parts(digest.of(ARCHIVE), len(ARCHIVE)) == [(digest.of(OBJECT), len(OBJECT))]
    for path in folder.glob("1/blobs/*/*"):
        os.utime(path, (0, 0))

    result_inventory.hold_to_limit(os.fsencode(folder), store.size() - 1)

    assert [result.name for _, _, result in store.every()] == ["lib.a"]
    assert store.blob(digest.of(ARCHIVE), len(ARCHIVE)) == ARCHIVE

    result_inventory.hold_to_limit(os.fsencode(folder), 1)

    assert list(store.every()) == []
    assert list(store.blobs()) == []


def test_what_was_made_within_the_hour_is_not_taken_for_what_could_make_room(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "store"
    store = FolderStore(os.fsencode(folder))
    for number in range(8):
        kept(store, str(number), number, os.urandom(100_000))

    result_inventory.hold_to_limit(os.fsencode(folder), 500_000)

    assert sorted(result.name for *_, result in store.every()) == ["5", "6", "7"]
    assert len(list(store.blobs())) == 9  # Another build may be about to name what is young.
    result_inventory.hold_to_limit(os.fsencode(folder), 500_000)
    assert sorted(result.name for *_, result in store.every()) == ["5", "6", "7"]
    for path in folder.glob("1/blobs/*/*"):
        os.utime(path, (0, 0))
    result_inventory.hold_to_limit(os.fsencode(folder), 500_000)
    assert len(list(store.blobs())) == 4


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = FolderStore(os.fsencode(folder))
    for number in range(8):
        kept(store, str(number), number, os.urandom(100_000))
    store.note_use(digest.of(b"1"), "1")

    result_inventory.hold_to_limit(os.fsencode(folder), 500_000)

    assert sorted(result.name for *_, result in store.every()) == ["1", "6", "7"]


def test_a_store_of_thousands_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "store"
    store = FolderStore(os.fsencode(folder))
    for number in range(400):
        kept(store, str(number), number, str(number).encode() * 1000)
    read: list[str] = []
    results = FolderStore.results

    def counted(self: FolderStore, key: str) -> list[tuple[str, KeptResult]]:
        read.append(key)
        return results(self, key)

    monkeypatch.setattr(FolderStore, "results", counted)

    result_inventory.hold_to_limit(os.fsencode(folder), store.size() // 2)

    assert 0 < len(os.listdir(folder / "1/results")) < 256
    assert len(read) == 400


def test_a_damaged_part_is_removed_with_what_it_is_a_part_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "buildperm/results"
    folder.parent.mkdir(mode=0o700)
    store = FolderStore(os.fsencode(folder))
    part = store.put_blob(OBJECT)
    kept(store, "lib.a", 1, ARCHIVE)
    assert result_inventory.verify() == ExitCode.OK
    (folder / f"1/blobs/{part[:2]}/{part}").write_bytes(b"=something else")

    assert result_inventory.verify() == ExitCode.USAGE

    assert list(store.every()) == []
    kept(store, "lib.a", 2, ARCHIVE)
    assert store.blob(digest.of(ARCHIVE), len(ARCHIVE)) == ARCHIVE
