from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.cache import digest, kept_result
from buildperm.cache.kept_result import KeptResult
from buildperm.cache.output_copy import MOST_FILES, NotKeptError, OutputTaker, put_back
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.result_store import FolderStore, StoreError

KEY = digest.of(b"key")
NOTHING: list[str | int] = [digest.of(b""), 0, 0]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(str(tmp_path / "store").encode())


def result(**fields: object) -> KeptResult:
    made = KeptResult()
    made.name = "sample"
    made.stdout = made.stderr = made.recording = [*NOTHING]
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def blob_path(store: FolderStore, named: str) -> Path:
    return Path(store.folder.decode()) / "blobs" / named[:2] / named


@pytest.mark.parametrize("content", [b"", b"x", b"text " * 1000, bytes(range(256))])
def test_a_blob_comes_back(store: FolderStore, content: bytes) -> None:
    assert store.blob(store.put_blob(content), len(content)) == content


@pytest.mark.parametrize(
    "damage",
    [b"", b"z", b"=", b"zx", b"?text", b"=other", b"=text and more"],
    ids=repr,
)
def test_a_blob_that_was_changed_is_refused(store: FolderStore, damage: bytes) -> None:
    named = store.put_blob(b"text")
    assert store.blob(named, 4) == b"text"

    blob_path(store, named).write_bytes(damage)

    with pytest.raises(ValueError, match=r"blob|digest|compressed"):
        store.blob(named, 4)


def test_a_blob_that_would_become_huge_is_not_unpacked(store: FolderStore) -> None:
    named = store.put_blob(bytes(50 << 20))

    with pytest.raises(ValueError, match="digest"):
        store.blob(named, 10)


def test_results_come_back_the_latest_first(store: FolderStore) -> None:
    for number in (1, 3, 2):
        store.put(KEY, str(number), result(made_s=number, inputs=[["absent", "/x"]]))

    assert [name for name, _ in store.results(KEY)] == ["3", "2", "1"]
    assert store.results(KEY)[0][1].inputs == [["absent", "/x"]]
    assert store.results(digest.of(b"other")) == []


def test_a_result_is_gone_when_it_is_removed(store: FolderStore) -> None:
    store.put(KEY, "1", result())

    store.remove(KEY, "1")
    store.remove(KEY, "1")

    assert list(store.every()) == []


@pytest.mark.parametrize("name", ["../x", "a/b", ""])
def test_no_name_leads_out_of_the_store(store: FolderStore, name: str) -> None:
    if name:
        with pytest.raises(ValueError, match="name"):
            store.put(KEY, name, result())
    with pytest.raises(ValueError, match="digest"):
        store.blob(f"../{name}", 1)


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(StoreError, match="others may write"):
        FolderStore(str(folder).encode())


def test_a_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    with pytest.raises(StoreError, match="no folder"):
        FolderStore(str(tmp_path / "link").encode())


FILE = ["file", "a", 0o644, *NOTHING]
HOSTILE: dict[str, dict[str, object]] = {
    "a place that is none": {"places": {"HOME": "/%zz"}},
    "a place that no path is": {"places": {"HOME": "/\ud800"}},
    "upwards": {"left": [["file", "../x", 0o644, *NOTHING]]},
    "upwards, in other words": {"left": [["file", "%2E%2E", 0o644, *NOTHING]]},
    "a slash in a name": {"left": [["file", "a%2Fb", 0o644, *NOTHING]]},
    "absolute": {"left": [["file", "/etc/x", 0o644, *NOTHING]]},
    "through a link": {"left": [["link", "a", "/etc"], ["file", "a/x", 0o644, *NOTHING]]},
    "through a file": {"left": [FILE, ["file", "a/x", 0o644, *NOTHING]]},
    "twice": {"left": [FILE, FILE]},
    "twice, in other words": {"left": [FILE, ["file", "%61", 0o644, *NOTHING]]},
    "setuid": {"left": [["file", "a", 0o4755, *NOTHING]]},
    "a blob outside": {"left": [["file", "a", 0o644, "../../x", 0, 0]]},
    "a day that no calendar knows": {"seen_s": [1 << 60]},
    "a day as text": {"seen_s": ["1"]},
    "an unknown kind": {"left": [["device", "a", 1]]},
    "a number as text": {"made_s": "1"},
    "a number that no clock says": {"made_s": 10**400},
    "a blob larger than any": {"stdout": [digest.of(b""), 1 << 62, 0]},
    "an input of another shape": {"inputs": [["file", "/x"]]},
    "an input that is none": {"inputs": [7]},
    "an input that is empty": {"inputs": [[]]},
    "a file that is empty": {"left": [[]]},
    "an unknown state": {"state": "fine"},
    "another format": {"format": 99},
}


@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_result_is_not_read(store: FolderStore, fields: dict[str, object]) -> None:
    store.put(KEY, "1", result(left=[FILE]))
    assert len(store.results(KEY)) == 1
    path = next(Path(store.folder.decode()).glob("results/*/*/1.json"))
    said = json.loads(result(left=[FILE]).dump())
    path.write_text(json.dumps(said))
    assert len(store.results(KEY)) == 1

    path.write_text(json.dumps({**said, **fields}))

    assert store.results(KEY) == []


DAY_S = 86_400
NOON_S = 1_780_315_200  # 2026-06-01 12:00 UTC


@pytest.mark.parametrize(
    ("seen", "now", "dated"),
    [
        ([0], 0, ""),
        ([0], 3_600, ""),
        ([0], DAY_S, "day"),
        ([0, DAY_S], 2 * DAY_S, ""),
        ([0, DAY_S], 40 * DAY_S, "month"),
        ([0, 40 * DAY_S], 80 * DAY_S, ""),
        ([0, 40 * DAY_S], 400 * DAY_S, "year"),
        ([0, 400 * DAY_S], 900 * DAY_S, ""),
        ([], 0, "day"),
    ],
)
def test_a_result_of_one_day_is_one_of_that_day(seen: list[int], now: int, dated: str) -> None:
    made = result(seen_s=[NOON_S + each for each in seen])

    assert kept_result.load(made.dump()).is_dated(NOON_S + now) == dated


def test_nothing_waits_for_a_pipe_in_the_store(store: FolderStore) -> None:
    named = store.put_blob(b"text")
    store.put(KEY, "1", result())
    path = next(Path(store.folder.decode()).glob("results/*/*/1.json"))
    for each in (path.with_name("2.json"), blob_path(store, named)):
        each.unlink(missing_ok=True)
        os.mkfifo(each)

    assert [name for name, _ in store.results(KEY)] == ["1"]
    with pytest.raises(OSError, match="Invalid"):
        store.blob(named, 4)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_nothing_that_is_no_result_is_read(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        kept_result.load(content)


def test_what_was_left_comes_back_byte_for_byte(store: FolderStore, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there/deeper"
    (here / "sub/empty").mkdir(parents=True)
    (here / "sub/text").write_text(f"in {here}/sub")
    (here / "sub/binary").write_bytes(bytes(range(256)))
    (here / "tool").write_text("#!/bin/sh\n")
    (here / "tool").chmod(0o755)
    (here / "link").symlink_to(here / "sub/text")
    (here / "sub/closed").mkdir()
    (here / "sub/closed/x").write_text("")
    (here / "sub/closed").chmod(0o500)
    there.mkdir(parents=True)
    tokens = PathTokens({"OUT_DIR": str(here).encode()})
    taker = OutputTaker(store, tokens)
    taker.take(str(here).encode())
    read = kept_result.load(result(left=taker.left).dump())

    put_back(read.left, str(there).encode(), store, PathTokens({"OUT_DIR": str(there).encode()}))

    assert taker.bound == set()
    assert (there / "sub/text").read_text() == f"in {there}/sub"
    assert (there / "sub/binary").read_bytes() == bytes(range(256))
    assert (there / "link").readlink() == there / "sub/text"
    modes = {path.relative_to(there): path.lstat().st_mode for path in there.rglob("*")}
    assert modes == {path.relative_to(here): path.lstat().st_mode for path in here.rglob("*")}
    assert (there / "tool").stat().st_nlink == 1


def test_a_path_in_a_binary_binds(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/lib.a").write_bytes(b"\0" + str(tmp_path / "out").encode())
    taker = OutputTaker(store, PathTokens({"OUT_DIR": str(tmp_path / "out").encode()}))

    taker.take(str(tmp_path / "out").encode())

    assert taker.bound == {"OUT_DIR"}


def _with_attribute(path: Path) -> None:
    try:
        os.setxattr(path, "user.sample", b"x")
    except OSError:
        pytest.skip("this file system has no attributes")


UNLIKE: dict[str, tuple[Callable[[Path], object], str]] = {
    "setuid": (lambda path: path.chmod(0o4755), "special permission"),
    "sticky": (lambda path: path.chmod(0o1755), "special permission"),
    "attribute": (_with_attribute, "attributes"),
}


@pytest.mark.parametrize(("change", "why"), UNLIKE.values(), ids=UNLIKE)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_copy_would_lose_is_not_kept(
    store: FolderStore, tmp_path: Path, kind: str, change: Callable[[Path], object], why: str
) -> None:
    path = tmp_path / "out/made"
    path.parent.mkdir()
    path.mkdir() if kind == "folder" else path.write_text("")
    taker = OutputTaker(store, PathTokens({}))
    taker.take(str(tmp_path / "out").encode())

    change(path)

    with pytest.raises(NotKeptError, match=why):
        taker.take(str(tmp_path / "out").encode())


def test_folders_that_are_given_to_a_group_stay_so(store: FolderStore, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        folder.chmod(0o2755)
    (here / "sub").mkdir()
    taker = OutputTaker(store, PathTokens({}))

    taker.take(str(here).encode())
    put_back(taker.left, str(there).encode(), store, PathTokens({}))

    assert (there / "sub").stat().st_mode == (here / "sub").stat().st_mode


def test_a_file_that_is_too_large_is_not_kept(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buildperm.cache.output_copy.MOST_FILE_BYTES", 1 << 20)
    (tmp_path / "fits").write_bytes(bytes(1 << 20))
    OutputTaker(store, PathTokens({})).take(str(tmp_path).encode())
    (tmp_path / "large").write_bytes(bytes((1 << 20) + 1))

    with pytest.raises(NotKeptError, match="OUT_DIR/large` has more than 1 MiB"):
        OutputTaker(store, PathTokens({})).take(str(tmp_path).encode())


def test_too_many_files_are_not_kept(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buildperm.cache.output_copy.MOST_FILES", 2)
    assert MOST_FILES > 2
    for name in "abc":
        (tmp_path / name).write_text("")

    with pytest.raises(NotKeptError, match="more than 2 files"):
        OutputTaker(store, PathTokens({})).take(str(tmp_path).encode())


def _linked(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


def _opened(path: Path) -> None:
    path.chmod(0o777)


def _given_away(path: Path) -> None:
    os.chown(path, 65534, 65534)


BAD = [_linked, _opened, *([_given_away] if os.geteuid() == 0 else [])]


@pytest.mark.parametrize("spoil", BAD)
@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_in_it_that_is_not_ours_is_not_used(
    tmp_path: Path, spoil: Callable[[Path], None], depth: int
) -> None:
    top = tmp_path / "store/1"
    for folder in (top, top / "results", top / "blobs"):
        folder.mkdir(0o755, parents=True)
    (tmp_path / "store").chmod(0o755)
    store = FolderStore(os.fsencode(tmp_path / "store"))
    named = store.put_blob(b"text")
    store.put(KEY, "1", result())
    assert store.results(KEY)
    assert store.blob(named, 4) == b"text"

    spoil([top / "results" / KEY[:2] / KEY, top / "results" / KEY[:2]][depth])
    spoil(top / "blobs" / named[:2])

    assert not store.results(KEY)
    assert not list(store.every())
    with pytest.raises(OSError, match=r"no folder|belongs"):
        store.put(KEY, "2", result())
    with pytest.raises(OSError, match=r"no folder|belongs"):
        store.blob(named, 4)
    with pytest.raises(OSError, match=r"no folder|belongs"):
        store.put_blob(b"text")


def test_a_result_that_is_a_link_or_not_ours_is_not_read(store: FolderStore) -> None:
    store.put(KEY, "1", result())
    (path,) = Path(store.folder.decode()).glob("results/*/*/1.json")
    assert store.results(KEY)

    _linked(path)

    assert not store.results(KEY)


def test_folders_that_are_open_to_a_group_below_a_closed_one_are_fine(store: FolderStore) -> None:
    store.put(KEY, "1", result())
    (path,) = Path(store.folder.decode()).glob("results/*/*")
    path.chmod(0o775)

    assert store.results(KEY)
    store.put(KEY, "2", result())


def test_what_cannot_be_written_leaves_nothing(store: FolderStore) -> None:
    store.put(KEY, "1", result())
    (target,) = Path(store.folder.decode()).glob("results/*/*")
    (target / "2.json/x").mkdir(parents=True)

    with pytest.raises(OSError, match="directory"):
        store.put(KEY, "2", result())

    assert not list(Path(store.folder.decode()).rglob("*.new"))
    assert [name for name, _ in store.results(KEY)] == ["1"]


def test_a_result_is_compressed_and_one_that_is_not_is_read(store: FolderStore) -> None:
    made = result(inputs=[["absent", f"/usr/include/{number}"] for number in range(200)])
    store.put(KEY, "1", made)
    (path,) = Path(store.folder.decode()).glob("results/*/*/1.json")
    packed = path.read_bytes()
    path.with_name("2.json").write_bytes(made.dump())

    assert len(packed) < len(made.dump()) / 4
    assert [each.dump() for _, each in store.results(KEY)] == [made.dump(), made.dump()]

    path.write_bytes(packed[:-10])
    path.with_name("2.json").write_bytes(b"z" + packed)
    assert not store.results(KEY)


def test_a_result_that_would_become_huge_is_not_unpacked(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = result(inputs=[["absent", f"/usr/include/{number}"] for number in range(200)])
    store.put(KEY, "1", made)
    assert store.results(KEY)

    monkeypatch.setattr("buildperm.cache.result_store._MOST_RESULT", len(made.dump()) - 1)

    assert not store.results(KEY)


def test_what_is_not_used_is_named_and_all_else_is_not(store: FolderStore) -> None:
    store.put(KEY, "0", result())
    store.put_blob(b"honest")
    assert list(store.unused()) == []
    top = Path(store.folder.decode())
    (top / "results/00").symlink_to("/tmp")
    (top / "results" / KEY[:2] / digest.of(b"file")).write_text("")
    (top / "blobs/00\x1b[31m").write_text("")

    said = sorted(store.unused())

    assert len(said) == 3
    assert all("is no folder" in line and line.isprintable() for line in said)
    assert [name for _, name, _ in store.every()] == ["0"]
