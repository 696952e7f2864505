"""A store that several machines share, and that may be anybody's: what is not proven is a miss."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buildperm.cache import blob_form, digest, static_key
from buildperm.cache.kept_result import CANDIDATE, CONFIRMED, KeptResult
from buildperm.cache.result_store import FolderStore
from buildperm.workflow import shared_entry
from buildperm.workflow.entry_signature import Signer
from buildperm.workflow.remote_store import (
    LocalFolder,
    ObjectStore,
    RemoteStore,
    UnreachableError,
    opened,
)
from buildperm.workflow.shared_entry import Entry
from buildperm.workflow.shared_results import Taking, give_shelf
from tests.blob_server import BlobServer, blob_server

SIGNER, STRANGER = Signer(bytes(32)), Signer(bytes([1] * 32))
PARTS = {
    "the version of buildperm": "1",
    "the machine": "m",
    "the package": "sample 0.1.0 ",
    "the program": "p",
}
SHELF = shared_entry.shelf("1", "m", "sample 0.1.0 ")
KEY = static_key.of(PARTS)
MADE = b"what was made " * 100


@pytest.fixture
def server() -> Iterator[BlobServer]:
    with blob_server() as server:
        yield server


@pytest.fixture
def store(server: BlobServer) -> ObjectStore:
    return ObjectStore(server.address, timeout_s=5)


@pytest.fixture
def here(tmp_path: Path) -> FolderStore:
    return FolderStore(os.fsencode(tmp_path / "here"))


@pytest.fixture
def there(tmp_path: Path) -> FolderStore:
    return FolderStore(os.fsencode(tmp_path / "there"))


def kept(local: FolderStore, **fields: object) -> KeptResult:
    """Keep a result that was seen twice, and return it."""
    made = KeptResult()
    made.name, made.version, made.by, made.state = "sample", "0.1.0", "me@there", CONFIRMED
    made.key, made.made_s = {**PARTS}, 1
    made.left = [["file", "made", 0o644, local.put_blob(MADE), len(MADE), 0]]
    made.inputs = [["file", "/data", 0o644, digest.of(b""), 7, 8, 9, 10, 11], ["absent", "/x"]]
    nothing: list[str | int] = [local.put_blob(b""), 0, 0]
    made.stdout, made.stderr, made.recording = [*nothing], [*nothing], [*nothing]
    for name, value in fields.items():
        setattr(made, name, value)
    local.put(static_key.of(made.key), f"{len(list(local.every())) + 1:x}", made)
    return made


def give(
    local: FolderStore, store: RemoteStore, signer: Signer = SIGNER, **fields: object
) -> KeptResult:
    made = kept(local, **fields)
    assert give_shelf(SHELF, [made], local, store, signer) == 1
    return made


def take(local: FolderStore, store: RemoteStore) -> list[str]:
    """Take what is on the shelf, and return why something was not; what was is whole."""
    taking = Taking(store, local, [SIGNER.public])
    lines = taking.take_shelf(SHELF)
    assert taking.unused == len(lines)
    for _, _, result in local.every():
        for named, size, _ in result.blobs():
            local.blob(str(named), int(size))
    return lines


def taken(local: FolderStore) -> list[KeptResult]:
    return [result for _, result in local.results(KEY)]


@pytest.fixture(params=["http", "s3", "file"])
def shared(
    request: pytest.FixtureRequest,
    server: BlobServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> RemoteStore:
    """Return a store of each kind; a bucket is one of the server's folders."""
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}"),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    addresses = {
        "http": server.address,
        "s3": "s3://bucket/prefix",
        "file": f"file://{tmp_path}/shared",
    }
    return opened(addresses[request.param])


def test_what_was_given_is_taken(
    shared: RemoteStore, here: FolderStore, there: FolderStore
) -> None:
    give(there, shared)

    assert take(here, shared) == []

    (result,) = taken(here)
    assert here.blob(*result.left[0][3:5]) == MADE  # type: ignore[arg-type]
    assert result.by == f"me@there, signed {SIGNER.public[:16]}…"
    # The size and the time of its change say something here; device and inode do not.
    assert result.inputs[0][4:] == [7, 8, 0, 0, 0]
    again = Taking(shared, here, [SIGNER.public])
    assert again.take_shelf(SHELF) == []
    assert (again.taken, again.known) == (0, 1)


def test_what_is_there_is_not_given_again(
    server: BlobServer, store: ObjectStore, there: FolderStore
) -> None:
    made = give(there, store)
    before = len(server.asked)

    assert give_shelf(SHELF, [made], there, store, SIGNER) == 0
    assert server.asked[before:] == [f"GET /store/{shared_entry.shelf_path(SHELF)}"]


def test_two_may_give(store: ObjectStore, here: FolderStore, there: FolderStore) -> None:
    give(there, store, signer=STRANGER)
    give(there, store, by="another@there")

    assert take(here, store) == ["it is signed by a key that Cargo.toml does not list"]
    assert [result.by.partition(",")[0] for result in taken(here)] == ["another@there"]


def test_an_empty_store_is_no_fault(store: ObjectStore, here: FolderStore) -> None:
    assert take(here, store) == []
    assert taken(here) == []


def change_shelf(server: BlobServer, change: Callable[[dict[str, object]], object]) -> None:
    (path,) = server.paths("shelves")
    told = json.loads(server.objects[path])
    change(told[0])
    server.objects[path] = json.dumps(told).encode()


FORGERIES: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "a foreign key": (
        lambda entry: entry.update(signer=STRANGER.public),
        "it is signed by a key that Cargo.toml does not list",
    ),
    "no signature": (lambda entry: entry.update(signature=""), "its signature is not right"),
    "half a signature": (
        lambda entry: entry.update(signature=str(entry["signature"])[:44]),
        "its signature is not right",
    ),
    "no base64": (lambda entry: entry.update(signature="\x1b[31m"), "its signature is not right"),
    "a later date": (
        lambda entry: entry.update(signed_s=int(time.time()) + 9),
        "its signature is not right",
    ),
    "another result": (
        lambda entry: entry.update(result=digest.of(b"forged")),
        "its signature is not right",
    ),
    "another size": (lambda entry: entry.update(size=1 << 60), "its signature is not right"),
    "a path": (lambda entry: entry.update(result="../../etc"), "what is there is no entry"),
    "a number that is none": (lambda entry: entry.update(size=True), "what is there is no entry"),
    "something missing": (lambda entry: entry.pop("signature"), "what is there is no entry"),
    "something more": (lambda entry: entry.update(more=1), "what is there is no entry"),
}


@pytest.mark.parametrize(("change", "why"), FORGERIES.values(), ids=FORGERIES)
def test_a_forged_entry_is_a_miss(
    server: BlobServer,
    store: ObjectStore,
    here: FolderStore,
    there: FolderStore,
    change: Callable[[dict[str, object]], object],
    why: str,
) -> None:
    give(there, store)
    change_shelf(server, change)
    before = len(server.asked)

    assert take(here, store) == [why]

    assert taken(here) == []
    assert len(server.asked) == before + 1  # What nobody has signed is not fetched.


BOMB = b"z" + zlib.compress(bytes(100 << 20), 9)


@pytest.mark.parametrize("which", ["result", "made"])
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda raw: raw[: len(raw) // 2], "damaged"),
        (lambda raw: b"", "damaged"),
        (lambda raw: raw + b"more" * 9999, "longer than it says"),
        (lambda raw: blob_form.packed(b"something else"), "damaged"),
        (lambda raw: BOMB, ""),
        (lambda raw: b"z" + zlib.compress(bytes(1 << 20), 9), ""),
        (lambda raw: None, "is not there"),
    ],
    ids=["cut off", "empty", "longer", "swapped", "bomb", "small bomb", "missing"],
)
def test_a_damaged_part_is_a_miss(
    server: BlobServer,
    store: ObjectStore,
    here: FolderStore,
    there: FolderStore,
    which: str,
    damage: Callable[[bytes], bytes | None],
    why: str,
) -> None:
    give(there, store)
    (shelf,) = server.paths("shelves")
    named = {"result": json.loads(server.objects[shelf])[0]["result"], "made": digest.of(MADE)}
    path = f"/store/{shared_entry.blob_path(named[which])}"
    changed = damage(server.objects.pop(path))
    if changed is not None:
        server.objects[path] = changed

    (line,) = take(here, store)

    assert why in line
    assert taken(here) == []


OBJECT = b"\0object" * 200
_HEAD = b"a.o/".ljust(48) + str(len(OBJECT)).ljust(10).encode() + b"`\n"
ARCHIVE = b"!<arch>\n" + _HEAD + OBJECT
TAIL = (ARCHIVE[:-1] + b"x")[8:]


def give_archive(local: FolderStore, store: RemoteStore, *names: str) -> KeptResult:
    contents = {"a.o": OBJECT, "lib.a": ARCHIVE}
    local.put_blob(OBJECT)
    left = [
        ["file", name, 0o644, local.put_blob(contents[name]), len(contents[name]), 0]
        for name in names
    ]
    return give(local, store, left=left)


def archive_path() -> str:
    return f"/store/{shared_entry.blob_path(digest.of(ARCHIVE))}"


def test_an_object_file_is_given_once(
    server: BlobServer, store: ObjectStore, here: FolderStore, there: FolderStore
) -> None:
    give_archive(there, store, "lib.a", "a.o")
    assert blob_form.is_list(server.objects[archive_path()])

    assert take(here, store) == []

    assert here.blob(digest.of(ARCHIVE), len(ARCHIVE)) == ARCHIVE
    assert here.parts(digest.of(ARCHIVE), len(ARCHIVE)) == [(digest.of(OBJECT), len(OBJECT))]


def test_an_archive_alone_is_given_whole(
    server: BlobServer, store: ObjectStore, here: FolderStore, there: FolderStore
) -> None:
    give_archive(there, store, "lib.a")
    assert there.parts(digest.of(ARCHIVE), len(ARCHIVE))
    assert not blob_form.is_list(server.objects[archive_path()])

    assert take(here, store) == []

    assert here.blob(digest.of(ARCHIVE), len(ARCHIVE)) == ARCHIVE


def test_an_archive_alone_that_others_gave_in_parts_is_taken(
    store: ObjectStore, here: FolderStore, there: FolderStore
) -> None:
    give_archive(there, store, "lib.a")
    give_archive(there, store, "lib.a", "a.o")

    assert take(here, store) == []

    assert len(taken(here)) == 2


def _list_of(*records: bytes) -> bytes:
    return b"+" + zlib.compress(b"".join(records))


def _record(kind: bytes, length: int, rest: bytes) -> bytes:
    return kind + length.to_bytes(8, "big") + rest


@pytest.mark.parametrize(
    "forged",
    [
        _list_of(_record(b"@", 1 << 40, bytes(32))),
        _list_of(_record(b"@", len(ARCHIVE), bytes(32))),
        _list_of(_record(b"@", len(ARCHIVE), bytes.fromhex(digest.of(ARCHIVE)))),
        _list_of(_record(b".", 8, ARCHIVE[:8]), _record(b".", len(TAIL), TAIL)),
        _list_of(*[_record(b"@", 512, bytes(32))] * 10_000),
        b"+" + zlib.compress(bytes(100 << 20), 9),
        b"+",
    ],
    ids=["huge", "not there", "itself", "another end", "endless", "bomb", "empty"],
)
def test_a_forged_list_is_a_miss(
    server: BlobServer, store: ObjectStore, here: FolderStore, there: FolderStore, forged: bytes
) -> None:
    give_archive(there, store, "lib.a", "a.o")
    assert archive_path() in server.objects
    server.objects[archive_path()] = forged
    before = len(server.asked)

    (line,) = take(here, store)

    assert "damaged" in line or "not there" in line or "longer" in line
    assert taken(here) == []
    assert len(server.asked) - before < 10


def test_an_entry_does_not_count_for_another_package(
    server: BlobServer, store: ObjectStore, here: FolderStore, there: FolderStore
) -> None:
    give(there, store)
    (path,) = server.paths("shelves")
    other = shared_entry.shelf("1", "m", "victim 0.1.0 ")
    server.objects[f"/store/{shared_entry.shelf_path(other)}"] = server.objects[path]

    taking = Taking(store, here, [SIGNER.public])

    assert taking.take_shelf(other) == ["its signature is not right"]
    assert list(here.every()) == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": "victim"}, "it is about something else"),
        ({"version": "9.9.9"}, "it is about something else"),
        ({"key": {**PARTS, "the machine": "another"}}, "it is about something else"),
        ({"state": CANDIDATE}, "it was not seen to be the same twice"),
        ({"left": [["file", "../up", 0o644, digest.of(b""), 0, 0]]}, "its result is damaged"),
        ({"left": [["file", "huge", 0o644, digest.of(b""), 1 << 40, 0]]}, "is damaged"),
        (
            {
                "left": [
                    ["file", name, 0o644, digest.of(name.encode()), 1 << 29, 0]
                    for name in ("large", "larger")
                ]
            },
            "is too large",
        ),
        ({"left": [["file", "less", 0o644, digest.of(b""), -5, 0]]}, "its result is damaged"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_signed_has_to_fit_too(
    store: ObjectStore, here: FolderStore, there: FolderStore, fields: dict[str, object], why: str
) -> None:
    made = kept(there)
    for name, value in fields.items():
        setattr(made, name, value)
    put_signed(store, made)

    (line,) = take(here, store)

    assert why in line
    assert list(here.every()) == []


def put_signed(store: RemoteStore, made: KeptResult, signed_s: int | None = None) -> None:
    """Put there what somebody with the right key has signed for this shelf, whatever it is."""
    content = made.dump()
    named = digest.of(content)
    when_s = int(time.time()) if signed_s is None else signed_s
    message = shared_entry.signed_message(SHELF, named, len(content), when_s)
    entry = Entry(named, len(content), when_s, SIGNER.public, SIGNER.sign(message))
    store.put(shared_entry.blob_path(named), blob_form.packed(content))
    store.put(shared_entry.shelf_path(SHELF), shared_entry.write_shelf([entry]))


@pytest.mark.parametrize("days", [-91, 2])
def test_an_old_entry_cannot_be_brought_back(
    store: ObjectStore, here: FolderStore, there: FolderStore, days: int
) -> None:
    put_signed(store, kept(there), int(time.time()) + days * 86_400)

    assert take(here, store) == ["it is too old, or from the future"]
    assert taken(here) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[" * 60_000, b"[null]", b"[[]]", b"\xff", b"1" * 5000, b'[{"size": 1}]'],
    ids=lambda value: repr(value[:12]),
)
def test_a_shelf_that_is_none_is_a_miss(
    store: ObjectStore, here: FolderStore, content: bytes
) -> None:
    store.put(shared_entry.shelf_path(SHELF), content)

    (line,) = take(here, store)

    assert line.startswith("what is there is no")


@pytest.mark.parametrize(
    "misbehaves",
    [
        *("hangs", "trickles", "fails", "refuses", "endless", "redirects to file:///etc/passwd"),
        *("redirects to http://169.254.169.254/", "redirects to /store/other"),
    ],
)
def test_a_server_that_misbehaves_is_a_miss(
    server: BlobServer, here: FolderStore, there: FolderStore, misbehaves: str
) -> None:
    store = ObjectStore(server.address, timeout_s=1)
    give(there, store)
    server.misbehaves = misbehaves
    began = time.monotonic()

    (line,) = take(here, store)

    assert line.startswith(("the store cannot be read", "longer than it may be"))
    assert "127.0.0.1" not in line
    assert "\x1b" not in line
    assert time.monotonic() - began < 20
    assert taken(here) == []


@pytest.mark.parametrize(
    ("misbehaves", "why"), [("fails", "it answers 500"), ("hangs", "no answer in time")]
)
def test_why_a_server_is_of_no_use_is_said(server: BlobServer, misbehaves: str, why: str) -> None:
    store = ObjectStore(server.address, timeout_s=1)
    server.misbehaves = misbehaves
    with pytest.raises(UnreachableError, match=f"cannot be read: {why}$"):
        store.get("x", 1)


def test_nobody_at_an_address_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken_for_now:
        port = taken_for_now.getsockname()[1]
    store = ObjectStore(f"http://127.0.0.1:{port}/x", timeout_s=5)
    with pytest.raises(UnreachableError, match=r"nothing answers there$"):
        store.get("x", 1)


def test_a_dead_server_is_not_asked_for_ever(server: BlobServer, here: FolderStore) -> None:
    store = ObjectStore(server.address, timeout_s=5)
    server.misbehaves = "fails"
    for _ in range(3):
        with pytest.raises(UnreachableError, match="cannot be read"):
            store.get("x", 1)
    asked = len(server.asked)

    assert take(here, store) == ["the store has failed too often"]
    assert len(server.asked) == asked


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_a_folder_that_others_fill_does_not_hold_up(
    tmp_path: Path, here: FolderStore, kind: str
) -> None:
    path = tmp_path / "shared" / shared_entry.shelf_path(SHELF)
    path.parent.mkdir(parents=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to("/dev/zero")

    (line,) = take(here, LocalFolder(str(tmp_path / "shared")))

    assert line.startswith(("no file", "the store cannot be read"))


def test_what_cannot_be_written_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalFolder(str(tmp_path))
    store.put("1/whole", b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(UnreachableError, match="No space left"):
            store.put("1/whole", b"new")

    assert [path.name for path in (tmp_path / "1").iterdir()] == ["whole"]
    assert store.get("1/whole", 10) == b"old"
    store.put("1/whole", b"new")
    assert store.get("1/whole", 10) == b"new"


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shared/1").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnreachableError, match="link"):
        LocalFolder(str(tmp_path / "shared")).put("1/blobs/x", b"")

    assert not any((tmp_path / "elsewhere").iterdir())
