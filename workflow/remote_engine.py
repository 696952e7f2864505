"""Speaks to an engine of the Remote Execution API: sends blobs, has an action done, fetches blobs.

Nothing that comes from there is trusted: every blob is compared with its digest, is no longer than
was said, and not longer than is wanted; everything together takes no longer than it may.
"""

from __future__ import annotations

import hashlib
import io
import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

import grpc

from buildperm.workflow.remote_messages import MESSAGES, Message

EXECUTED = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse"
PIECE = 1 << 20  # Bytes of a blob in one message; engines take 4 MiB unless told otherwise.

_EXECUTION = "/build.bazel.remote.execution.v2.Execution/Execute"
MISSING = "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs"
_READ, _WRITE = "/google.bytestream.ByteStream/Read", "/google.bytestream.ByteStream/Write"
_MESSAGE_MOST = 8 << 20
_ASKED_AT_ONCE = 10_000  # Digests in one request; some 75 bytes each.
_ANSWER_S = 60.0  # For what an engine need not work for; all of it together has its own bound.
_SLOWEST = 64 << 10  # Bytes per second, of a blob.


class EngineError(Exception):
    """The engine does not do what was asked, or does something else; the text is a clause."""


class RemoteEngine:
    """One engine, for one action."""

    def __init__(self, channel: grpc.Channel, instance: str, timeout_s: float) -> None:
        """Take a channel, and the time for everything that is asked there.

        Args:
            channel: To the engine.
            instance: Which one of those that it serves; may be empty.
            timeout_s: Seconds.
        """
        self._channel = channel
        self._instance = instance
        self._ends = time.monotonic() + timeout_s

    def send(self, sizes: Mapping[str, int], content: Callable[[str], Iterable[bytes]]) -> int:
        """Send what the engine lacks; return how many bytes that was.

        Args:
            sizes: Length by digest of all that it has to have.
            content: Returns the pieces of what has a digest.

        Raises:
            EngineError: It does not take it.
        """
        sent = 0
        for named in self._lacking(sizes):
            if named not in sizes:
                raise EngineError("it asks for something that it was not told of")
            self._write(named, sizes[named], content(named))
            sent += sizes[named]
        return sent

    def execute(self, action: str, size: int, *, trusts_cache: bool) -> tuple[Message, bool]:
        """Have an action done; return its result, and whether it is one of an earlier action.

        Args:
            action: Its digest.
            size: How long it is.
            trusts_cache: What the engine says of an earlier time will do.

        Raises:
            EngineError: It was not done.
        """
        request = MESSAGES["ExecuteRequest"](
            instance_name=self._instance,
            skip_cache_lookup=not trusts_cache,
            action_digest=_digest(action, size),
        )
        operations = self._call("unary_stream", _EXECUTION, "Operation")(request)
        for operation in operations:
            if not operation.done:
                continue
            if operation.error.code:
                raise EngineError(_failed(operation.error.code))
            if operation.response.type_url != EXECUTED:
                raise EngineError("it answers with something else")
            response = _parsed("ExecuteResponse", operation.response.value)
            if response.status.code:
                raise EngineError(_failed(response.status.code))
            if response.cached_result and not trusts_cache:
                raise EngineError("it answers with what it has kept, and was not asked for that")
            return response.result, bool(response.cached_result)
        raise EngineError("it does not say what came of it")

    def fetch(self, named: str, size: int, most: int) -> bytes:
        """Return what has a digest.

        Args:
            named: The digest.
            size: How long it is, as the engine says.
            most: Longer than this it must not be.

        Raises:
            EngineError: It is not there, or something else.
        """
        content = io.BytesIO()
        self.fetch_into(content, named, size, most)
        return content.getvalue()

    def fetch_into(self, file: BinaryIO, named: str, size: int, most: int) -> None:
        """Write what has a digest to a file, piece by piece: it is never held as a whole.

        Args:
            file: Where to; what is in there after an error is to be thrown away.
            named: The digest.
            size: How long it is, as the engine says.
            most: Longer than this it must not be.

        Raises:
            EngineError: It is not there, or something else.
            OSError: The file cannot be written to.
        """
        if not 0 <= size <= most:
            raise EngineError("it has left more than is taken")
        left, found = size, hashlib.sha256()
        if size:
            name = f"{self._prefix()}blobs/{named}/{size}"
            request = MESSAGES["ReadRequest"](resource_name=name)
            most_s = _patience_s(size)
            for response in self._call("unary_stream", _READ, "ReadResponse", most_s)(request):
                left -= len(response.data)
                if left < 0:
                    break
                found.update(response.data)
                file.write(response.data)
        if left or found.hexdigest() != named:
            raise EngineError("it sends something else than its digest says")

    def _lacking(self, sizes: Mapping[str, int]) -> Iterator[str]:
        names = sorted(sizes)
        for at in range(0, len(names), _ASKED_AT_ONCE):
            request = MESSAGES["FindMissingBlobsRequest"](instance_name=self._instance)
            request.blob_digests.extend(
                _digest(named, sizes[named]) for named in names[at : at + _ASKED_AT_ONCE]
            )
            answer = self._call("unary_unary", MISSING, "FindMissingBlobsResponse", _patience_s(0))(
                request
            )
            yield from dict.fromkeys(each.hash for each in answer.missing_blob_digests)

    def _write(self, named: str, size: int, pieces: Iterable[bytes]) -> None:
        resource = f"{self._prefix()}uploads/{uuid.uuid4()}/blobs/{named}/{size}"

        failures: list[EngineError] = []  # gRPC swallows what is raised on its thread.

        def checked() -> Iterator[bytes]:
            try:
                yield from pieces if size else (b"",)
            except EngineError as error:
                failures.append(error)
                raise

        def requests() -> Iterator[Message]:
            at = 0
            for piece in checked():
                yield MESSAGES["WriteRequest"](
                    resource_name="" if at else resource,
                    write_offset=at,
                    data=piece,
                    finish_write=at + len(piece) == size,
                )
                at += len(piece)

        try:
            self._call("stream_unary", _WRITE, "WriteResponse", _patience_s(size))(requests())
        except EngineError as error:
            raise (failures or [error])[0] from error

    def _prefix(self) -> str:
        return f"{self._instance}/" if self._instance else ""

    def _call(
        self, kind: str, method: str, answer: str, most_s: float = math.inf
    ) -> Callable[[Message], Message]:
        """Return what makes one call, within `most_s` and what is left of the time."""
        made = getattr(self._channel, kind)(
            method,
            request_serializer=lambda message: message.SerializeToString(deterministic=True),
            response_deserializer=MESSAGES[answer].FromString,
        )

        def call(request: Message) -> Message:
            try:
                answered = made(
                    request, timeout=max(0.0, min(most_s, self._ends - time.monotonic()))
                )
                return _guarded(answered) if kind == "unary_stream" else answered
            except grpc.RpcError as error:
                raise _explained(error) from error

        return call


def _failed(code: int) -> str:
    """Say that an engine could not do an action, by a code of gRPC."""
    names = {status.value[0]: status.name for status in grpc.StatusCode}
    return f"it could not do it: {names.get(code, code)}; its log may say why"


def channel(
    target: str, credentials: grpc.ChannelCredentials | None, metadata_token: str
) -> grpc.Channel:
    """Return a channel; `credentials` are None for one within this machine.

    Args:
        target: HOST:PORT.
        credentials: Of TLS.
        metadata_token: A bearer token; empty for none.
    """
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_MOST),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", int(credentials is not None)),
    ]
    if credentials is None:
        return grpc.insecure_channel(target, options=options)
    if metadata_token:
        token = grpc.access_token_call_credentials(metadata_token)
        credentials = grpc.composite_channel_credentials(credentials, token)
    return grpc.secure_channel(target, credentials, options=options)


def _guarded(answers: Iterator[Message]) -> Iterator[Message]:
    try:
        yield from answers
    except grpc.RpcError as error:
        raise _explained(error) from error


def _explained(error: grpc.RpcError) -> EngineError:
    """Say which error it is; what the engine has to say of it is its own."""
    code = error.code() if isinstance(error, grpc.Call) else None
    return EngineError(f"it cannot be asked: {code.name if code else 'no answer'}")


def _parsed(name: str, raw: bytes) -> Message:
    from google.protobuf.message import DecodeError

    try:
        return MESSAGES[name].FromString(raw)
    except DecodeError as error:
        raise EngineError("it answers with something else") from error


def _patience_s(size: int) -> float:
    return _ANSWER_S + size / _SLOWEST


def _digest(named: str, size: int) -> Message:
    return MESSAGES["Digest"](hash=named, size_bytes=size)
