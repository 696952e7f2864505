"""An action over gRPC on loopback, and engines that answer it in other ways than they should."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from buildperm.tracer.notation import encode
from buildperm.workflow import bound_process, remote_action, remote_engine
from buildperm.workflow.executor_files import NAMED_BY
from buildperm.workflow.remote_engine import EngineError
from buildperm.workflow.remote_messages import MESSAGES, Message
from buildperm.workflow.remote_settings import RemoteSettings
from tests.engines import LyingEngine

_KEPT = "1/results/ab/0.json"


@pytest.fixture
def engine() -> Iterator[LyingEngine]:
    found = LyingEngine()
    yield found
    found.stop()


class Action:
    """One request, as a supervisor writes it."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.source.write_bytes(b"x" * 3_000_000)
        (folder / "source.looked").write_bytes(b"secret!")
        (folder / "source.named").write_bytes(b"secret")
        self.answer = folder / "answer"
        self.nodes: list[list[Message]] = [
            ["file", "/in/read", encode(bytes(self.source))],
            ["zeros", encode(bytes(folder)) + "/source.looked", 7],
            ["zeros", encode(bytes(folder)) + "/source.named", 0],
            ["folder", "/in/folder"],
            ["link", "/in/link", "read"],
        ]

    def request(self) -> dict[str, Any]:
        return {
            "nodes": self.nodes,
            "command": ["/python", "--executor"],
            "output": "/.buildperm/answer",
            "answer": str(self.answer),
        }

    def ask(self, engine: LyingEngine, timeout_s: int = 60, *, trusts_cache: bool = False) -> bool:
        settings = RemoteSettings(
            engine.address, "", is_encrypted=False, timeout_s=timeout_s, trusts_cache=trusts_cache
        )
        return remote_action.ask(self.request(), [], settings)

    def found(self) -> dict[str, bytes]:
        paths = self.answer.rglob("*")
        return {str(p.relative_to(self.answer)): p.read_bytes() for p in paths if p.is_file()}


@pytest.fixture
def action(tmp_path: Path) -> Action:
    return Action(tmp_path)


def test_what_an_action_leaves_is_written_and_what_it_needs_was_sent(
    engine: LyingEngine, action: Action
) -> None:
    files = {_KEPT: b"{}", "1/blobs/ab/abc": b"y" * 2_500_000}
    engine.answer = lambda _: iter([MESSAGES["Operation"](), engine.result(engine.tree(files))])
    action.ask(engine)

    assert action.found() == files
    assert action.source.read_bytes() in engine.blobs.values()
    assert {bytes(7), b""} <= set(engine.blobs.values())
    assert not any(b"secret" in content for content in engine.blobs.values())
    (asked,) = engine.asked
    assert asked.skip_cache_lookup
    sent = MESSAGES["Action"].FromString(engine.blobs[asked.action_digest.hash])
    assert sent.do_not_cache
    command = MESSAGES["Command"].FromString(engine.blobs[sent.command_digest.hash])
    assert list(command.output_paths) == [".buildperm/answer"]


def test_permissions_and_times_are_sent(engine: LyingEngine, action: Action) -> None:
    action.source.chmod(0o640)
    action.nodes = action.nodes[:1]
    engine.answer = lambda _: iter([engine.result(engine.tree({_KEPT: b"{}"}))])
    action.ask(engine)

    sent = MESSAGES["Action"].FromString(engine.blobs[engine.asked[0].action_digest.hash])
    root = MESSAGES["Directory"].FromString(engine.blobs[sent.input_root_digest.hash])
    (inner,) = root.directories
    (node,) = MESSAGES["Directory"].FromString(engine.blobs[inner.digest.hash]).files
    assert node.node_properties.unix_mode.value == 0o640
    assert node.node_properties.mtime.seconds == int(action.source.stat().st_mtime)


@pytest.mark.parametrize(("kind", "is_same"), [("made", True), ("file", False)])
def test_only_of_what_is_made_anew_the_time_does_not_matter(
    engine: LyingEngine, action: Action, kind: str, *, is_same: bool
) -> None:
    engine.answer = lambda _: iter([engine.result(engine.tree({_KEPT: b"{}"}))])
    action.nodes = [[kind, "/in/read", encode(bytes(action.source))]]
    for seconds in (1_000_000_000, 1_000_000_001):
        os.utime(action.source, (seconds, seconds))
        action.ask(engine)
        shutil.rmtree(action.answer)

    first, second = engine.asked
    assert (first.action_digest == second.action_digest) is is_same


def test_what_the_engine_has_is_not_sent_again(engine: LyingEngine, action: Action) -> None:
    engine.answer = lambda _: iter([engine.result(engine.tree({_KEPT: b"{}"}))])
    engine.put(action.source.read_bytes())
    engine.content = lambda _: None
    before = dict(engine.blobs)
    action.nodes.append(["file", "/in/again", encode(bytes(action.source))])
    action.ask(engine)

    assert before.items() <= engine.blobs.items()


def test_the_cache_of_an_engine_is_asked_only_if_it_is_trusted(
    engine: LyingEngine, action: Action
) -> None:
    engine.answer = lambda _: iter([engine.result(engine.tree({_KEPT: b"{}"}))])
    action.ask(engine, trusts_cache=True)

    assert not engine.asked[0].skip_cache_lookup


@pytest.mark.parametrize("is_kept", [False, True])
def test_what_the_engine_has_kept_is_told_apart_and_not_taken_unasked(
    engine: LyingEngine, action: Action, *, is_kept: bool
) -> None:
    tree = engine.tree({_KEPT: b"{}"})
    engine.answer = lambda _: iter([engine.result(tree, is_kept=is_kept)])
    assert action.ask(engine, trusts_cache=True) is is_kept

    shutil.rmtree(action.answer)
    if is_kept:
        with pytest.raises(EngineError, match="was not asked for that"):
            action.ask(engine)
        assert action.found() == {}
    else:
        assert not action.ask(engine)


def _tree(engine: LyingEngine, change: Callable[[Message], None]) -> Message:
    tree = MESSAGES["Tree"]()
    change(tree)
    return engine.put(tree.SerializeToString())


def _named(name: str) -> Callable[[LyingEngine], Iterator[Message]]:
    def lie(engine: LyingEngine) -> Iterator[Message]:
        def change(tree: Message) -> None:
            tree.root.files.add(name=name, digest=engine.put(b"lie"))

        yield engine.result(_tree(engine, change))

    return lie


def _linked(engine: LyingEngine) -> Iterator[Message]:
    yield engine.result(_tree(engine, lambda tree: tree.root.symlinks.add(name="1", target="/etc")))


def _folder_named(engine: LyingEngine) -> Iterator[Message]:
    def change(tree: Message) -> None:
        child = tree.children.add()
        child.files.add(name="x", digest=engine.put(b"lie"))
        digest = engine.put(child.SerializeToString(deterministic=True))
        tree.root.directories.add(name="../..", digest=digest)

    yield engine.result(_tree(engine, change))


def _without_child(engine: LyingEngine) -> Iterator[Message]:
    yield engine.result(
        _tree(engine, lambda tree: tree.root.directories.add(name="1", digest=engine.put(b"")))
    )


def _sized(size: int) -> Callable[[LyingEngine], Iterator[Message]]:
    def lie(engine: LyingEngine) -> Iterator[Message]:
        def change(tree: Message) -> None:
            digest = engine.put(b"lie")
            digest.size_bytes = size
            tree.root.files.add(name="x", digest=digest)

        yield engine.result(_tree(engine, change))

    return lie


def _many(engine: LyingEngine) -> Iterator[Message]:
    def change(tree: Message) -> None:
        for at in range(60_000):
            tree.root.files.add(name=str(at), digest=MESSAGES["Digest"](hash="0" * 64))

    yield engine.result(_tree(engine, change))


def _other(**changes: object) -> Callable[[LyingEngine], Iterator[Message]]:
    def lie(engine: LyingEngine) -> Iterator[Message]:
        operation = engine.result(engine.tree({_KEPT: b"{}"}))
        for path, value in changes.items():
            inner, _, name = path.rpartition("__")
            setattr(getattr(operation, inner) if inner else operation, name, value)
        yield operation

    return lie


LIES: dict[str, tuple[Callable[[LyingEngine], Iterator[Message]], str]] = {
    "a name that leads out": (_named("../out"), "under a name"),
    "an absolute name": (_named("/out"), "under a name"),
    "no name": (_named(""), "under a name"),
    "a name with a NUL": (_named("a\0b"), "under a name"),
    "the folder itself": (_named(".."), "under a name"),
    "a folder that leads out": (_folder_named, "under a name"),
    "a link": (_linked, "something else than a result"),
    "a folder that is not there": (_without_child, "something else than a result"),
    "more than it says": (_sized(2), "something else than its digest"),
    "less than it says": (_sized(4), "something else than its digest"),
    "a size below nothing": (_sized(-1), "more than is taken"),
    "too large a file": (_sized(1 << 40), "more than is taken"),
    "too many files": (_many, "more than is taken|something else"),
    "a failure": (lambda e: iter([e.result(e.tree({}), 1, b"why \x1b[31m\nlast")]), "exit code 1"),
    "another type": (_other(response__type_url="type.googleapis.com/x"), "something else"),
    "no message": (_other(response__value=b"\xff\xff\xff"), "something else"),
    "an error": (_other(error__code=8), "could not do it: RESOURCE_EXHAUSTED;"),
    "an error that nobody knows": (_other(error__code=99), "could not do it: 99;"),
    "no end": (lambda _: iter([MESSAGES["Operation"]()]), "does not say"),
    "nothing": (lambda _: iter([]), "does not say"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_an_error_and_writes_nothing_elsewhere(
    engine: LyingEngine, action: Action, tmp_path: Path, lie: str
) -> None:
    tell, why = LIES[lie]
    engine.answer = lambda _: tell(engine)
    with pytest.raises(EngineError, match=why):
        action.ask(engine)

    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} <= {"source", "answer"}
    assert set(action.found()) <= {str(at) for at in range(60_000)}


@pytest.mark.parametrize("content", [b"LIE", b"li", b"lied", b"x" * 20_000_000])
def test_a_blob_is_what_its_digest_says(
    engine: LyingEngine, action: Action, content: bytes
) -> None:
    tree = engine.tree({_KEPT: b"lie"})
    named = engine.put(b"lie").hash
    engine.content = lambda asked: content if asked == named else None
    engine.answer = lambda _: iter([engine.result(tree)])
    with pytest.raises(EngineError, match="something else than its digest"):
        action.ask(engine)

    assert action.found() == {}


@pytest.mark.slow
def test_a_large_file_is_never_held_as_a_whole(engine: LyingEngine, tmp_path: Path) -> None:
    """Both ways: it is read, sent, fetched and written in pieces."""
    size = 96 << 20
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(size)
    tree = remote_action.ActionTree()
    tree.add(["file", "/in/large", encode(bytes(large))])
    (named,) = tree.sizes
    engine.blobs[named] = bytes(size)
    with grpc.insecure_channel(engine.address) as channel:
        asked = remote_engine.RemoteEngine(channel, "", 600)
        tracemalloc.start()
        try:
            assert sum(map(len, tree.pieces(named))) == size
            with large.open("wb") as file:
                asked.fetch_into(file, named, size, size)
            assert tracemalloc.get_traced_memory()[1] < size // 3
        finally:
            tracemalloc.stop()
    assert large.stat().st_size == size


def test_two_files_of_one_name_are_none(engine: LyingEngine, action: Action) -> None:
    def twice(tree: Message) -> None:
        for content in (b"one", b"other"):
            tree.root.files.add(name="x", digest=engine.put(content))

    engine.answer = lambda _: iter([engine.result(_tree(engine, twice))])
    with pytest.raises(OSError, match="exists"):
        action.ask(engine)


def test_an_engine_that_never_ends_is_given_up(engine: LyingEngine, action: Action) -> None:
    def forever() -> Iterator[Message]:
        while True:
            yield MESSAGES["Operation"](name="x" * 1000)

    engine.answer = lambda _: forever()
    with pytest.raises(EngineError, match="DEADLINE_EXCEEDED"):
        action.ask(engine, timeout_s=2)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["FindMissingBlobs", "Write", "Read", "Execute"])
def test_an_engine_that_hangs_is_given_up(
    engine: LyingEngine, action: Action, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it need not work for has a shorter time than the action itself."""
    engine.answer = lambda _: iter([engine.result(engine.tree({_KEPT: b"{}"}))])
    engine.hangs = {name}
    monkeypatch.setattr(remote_engine, "_ANSWER_S", 0.5)
    monkeypatch.setattr(remote_engine, "_SLOWEST", 1 << 30)
    began = time.monotonic()
    with pytest.raises(EngineError, match="DEADLINE_EXCEEDED"):
        action.ask(engine, timeout_s=3 if name == "Execute" else 600)

    assert time.monotonic() - began < 60
    assert action.found() == {}


@pytest.mark.slow
def test_an_engine_that_takes_blobs_slowly_is_given_up_and_a_patient_one_is_not(
    engine: LyingEngine, action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.answer = lambda _: iter([engine.result(engine.tree({_KEPT: b"{}"}))])
    engine.delay_s = 0.3  # Each of three pieces.
    action.ask(engine)
    assert action.found() == {_KEPT: b"{}"}

    engine.blobs.clear()
    monkeypatch.setattr(remote_engine, "_ANSWER_S", 0.1)
    monkeypatch.setattr(remote_engine, "_SLOWEST", 1 << 30)
    engine.delay_s = 60
    with pytest.raises(EngineError, match="DEADLINE_EXCEEDED"):
        action.ask(engine)


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", ["FindMissingBlobs", "Write", "Execute", "Read"])
@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
    ],
    ids=lambda status: status.name,
)
def test_whatever_an_engine_refuses_is_an_error_by_its_code_alone(
    engine: LyingEngine, action: Action, name: str, status: grpc.StatusCode
) -> None:
    engine.answer = lambda _: iter([engine.result(engine.tree({_KEPT: b"{}"}))])
    engine.refuses = {name: status}
    with pytest.raises(EngineError) as caught:
        action.ask(engine)

    assert f"{caught.value}" == f"it cannot be asked: {status.name}"
    assert action.found() == {}


def test_an_engine_that_dies_in_the_middle_is_an_error(engine: LyingEngine, action: Action) -> None:
    def dies() -> Iterator[Message]:
        yield MESSAGES["Operation"](name="begun")
        threading.Thread(target=engine.stop).start()
        yield from forever()

    def forever() -> Iterator[Message]:
        while True:
            yield MESSAGES["Operation"](name="x" * 1000)

    engine.answer = lambda _: dies()
    with pytest.raises(EngineError, match=r"it cannot be asked: (UNAVAILABLE|CANCELLED)"):
        action.ask(engine, timeout_s=60)


def test_nobody_there_is_an_error(engine: LyingEngine, action: Action) -> None:
    engine.stop()
    with pytest.raises(EngineError, match="UNAVAILABLE"):
        action.ask(engine, timeout_s=10)


def test_a_file_that_changes_is_not_sent_as_something_else(
    engine: LyingEngine, action: Action
) -> None:
    action.nodes.append(["file", "/in/changed", encode(bytes(action.source)), "0" * 64, 3_000_000])
    with pytest.raises(EngineError, match="changed meanwhile"):
        action.ask(engine)


@pytest.mark.parametrize("leads", ["folder", "file"])
def test_an_input_is_sent_only_from_where_it_was_judged(
    engine: LyingEngine, action: Action, tmp_path: Path, leads: str
) -> None:
    """A supervisor has judged its path; a link that came since leads to what nobody has judged."""
    engine.answer = lambda _: iter([engine.result(engine.tree({_KEPT: b"{}"}))])
    path, private = tmp_path / "inputs/key", tmp_path / "private"
    for each in (path, private / "key"):
        each.parent.mkdir()
        each.write_text(f"of {each.parent.name}")
    action.nodes.append(["file", encode(bytes(path)), encode(bytes(path))])
    action.ask(engine)
    assert b"of inputs" in engine.blobs.values()

    moved = path.parent if leads == "folder" else path
    moved.rename(tmp_path / "aside")
    moved.symlink_to(private if leads == "folder" else private / "key")
    with pytest.raises((EngineError, OSError)):
        action.ask(engine)
    assert b"of private" not in engine.blobs.values()


def test_an_input_that_is_led_away_while_it_is_sent_stays_here(tmp_path: Path) -> None:
    path = tmp_path / "inputs/key"
    path.parent.mkdir()
    path.write_text("of inputs")
    (tmp_path / "private").mkdir()
    (tmp_path / "private/key").write_text("a secret!")
    tree = remote_action.ActionTree()
    tree.add(["file", encode(bytes(path)), encode(bytes(path))])
    (named,) = tree.sizes
    assert list(tree.pieces(named)) == [b"of inputs"]

    path.parent.rename(tmp_path / "aside")
    path.parent.symlink_to("private")
    with pytest.raises(EngineError, match="has changed meanwhile"):
        next(iter(tree.pieces(named)))


def test_what_an_engine_says_is_one_harmless_line(
    engine: LyingEngine,
    action: Action,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine.answer = lambda _: iter([engine.result(engine.tree({}), 7, b"\x1b[31mred\r\n")])
    (tmp_path / "request").write_text(json.dumps(action.request()))
    (tmp_path / "files").write_text("[]")
    monkeypatch.setenv(NAMED_BY, str(tmp_path / "files"))
    monkeypatch.setenv("BUILDPERM_REMOTE", f"grpc://{engine.address}")
    monkeypatch.setattr(bound_process, "_PR_SET_PDEATHSIG", 0)

    assert remote_action.main(str(tmp_path / "request")) == 1
    said = capsys.readouterr().out
    assert "exit code 7" in said
    assert said.isprintable()
