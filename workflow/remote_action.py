"""Runs one action for a supervisor: `python -m buildperm.workflow.remote_action REQUEST`.

A process of its own, as what it imports must not be in a supervisor. Settings and the files of the
executor are named by variables. It says `done` or `kept` on standard output, or why not, in a line.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from buildperm.cache.output_copy import told
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.printable import log_text
from buildperm.rules import baseline, refused_habits
from buildperm.tracer.notation import decode, encode
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import FileOpened
from buildperm.workflow import bound_process
from buildperm.workflow.executor_files import NAMED_BY
from buildperm.workflow.remote_engine import PIECE, EngineError, RemoteEngine
from buildperm.workflow.remote_messages import MESSAGES, Message
from buildperm.workflow.remote_settings import RemoteSettings

_SAID_MOST = 400  # Letters of what an executor has said.
_TREE_MOST = 16 << 20  # Bytes of what describes an output directory.
_FILES_MOST = 50_000
_BYTES_MOST = 512 << 20
_STDERR_MOST = 1 << 16
_DEEPEST = 8  # Folders in one another: a store has four.
_ZEROS = bytes(PIECE)
_NO_TIME_NS = 946_684_800 * 1_000_000_000  # 2000: of what each build makes anew.


class ActionTree:
    """What an engine has to have for an action: blobs by their digests."""

    def __init__(self) -> None:
        self._top: dict[bytes, Any] = {}
        self._blobs: dict[str, bytes] = {}
        self._sources: dict[str, bytes] = {}
        self._zeros: set[str] = set()
        self._inputs: set[bytes] = set()  # Sources that a supervisor has judged by their paths.
        self.sizes: dict[str, int] = {}

    def add(self, node: list[Any]) -> None:
        """Add a node as `supervisor.input_root` writes it; ours know their digest already."""
        kind, path, *rest = node
        parts = [part for part in decode(path).split(b"/") if part]
        match kind:
            case "folder":
                self._folder(parts)
            case "link":
                self._folder(parts[:-1])[parts[-1]] = decode(rest[0])
            case "zeros" if self._has(parts):
                pass  # It is the supervisor's own, which is sent.
            case "zeros":
                self._add_file(parts, self._put_zeros(rest[0]), 0o644, decode(path))
            case "made":
                source = decode(rest[0])
                mode = stat.S_IMODE(os.stat(source).st_mode)
                self._add_file(parts, self._put_file(source), mode, source, _NO_TIME_NS)
            case _:
                source = decode(rest[0])
                if source == decode(path) and len(rest) == 1:
                    self._inputs.add(source)
                mode = stat.S_IMODE(os.stat(source).st_mode)
                named = self._put_file(source, *rest[1:3])
                self._add_file(parts, named, mode, source)

    def root(self) -> Message:
        """Return the digest of the root folder, when all is added."""
        return self._message(self._top)

    def put(self, message: Message) -> Message:
        """Put a message among the blobs; return its digest."""
        raw = message.SerializeToString(deterministic=True)
        named = hashlib.sha256(raw).hexdigest()
        self._blobs[named], self.sizes[named] = raw, len(raw)
        return MESSAGES["Digest"](hash=named, size_bytes=len(raw))

    def pieces(self, named: str) -> Iterator[bytes]:
        """Yield what has a digest.

        Raises:
            EngineError: A file has changed meanwhile.
        """
        if named in self._blobs:
            raw = self._blobs[named]
            yield from (raw[at : at + PIECE] for at in range(0, max(len(raw), 1), PIECE))
            return
        left, found = self.sizes[named], hashlib.sha256()
        if named in self._zeros:
            while left > 0:
                yield _ZEROS[: min(left, PIECE)]
                left -= PIECE
            return
        with self._opened(self._sources[named]) as file:
            while piece := file.read(PIECE):
                found.update(piece)
                left -= len(piece)
                if left < 0 or (left == 0 and found.hexdigest() != named):
                    break
                yield piece
        if left or found.hexdigest() != named:
            raise EngineError("a file has changed meanwhile")

    def _has(self, parts: list[bytes]) -> bool:
        folder = self._top
        for part in parts:
            if not isinstance(folder, dict) or part not in folder:
                return False
            folder = folder[part]
        return True

    def _folder(self, parts: list[bytes]) -> dict[bytes, Any]:
        folder = self._top
        for part in parts:
            folder = folder.setdefault(part, {})
            if not isinstance(folder, dict):
                raise EngineError("a folder is also something else")
        return folder

    def _add_file(
        self, parts: list[bytes], named: str, mode: int, source: bytes, time_ns: int | None = None
    ) -> None:
        found = os.lstat(source)
        time_ns = found.st_mtime_ns if time_ns is None else time_ns
        permissions = stat.S_IMODE(found.st_mode)
        self._folder(parts[:-1])[parts[-1]] = (named, mode, permissions, time_ns)

    def _opened(self, source: bytes) -> BufferedReader:
        """Open a file; an input only where it is called, and through no link: it was judged so."""
        if source not in self._inputs:
            return open(source, "rb")
        number = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        if os.readlink(b"/proc/self/fd/%d" % number) != source or not _is_regular(number):
            os.close(number)
            raise EngineError("a file has changed meanwhile")
        return open(number, "rb")

    def _put_file(self, source: bytes, named: str = "", size: int = 0) -> str:
        if not named:
            with self._opened(source) as file:
                named = hashlib.file_digest(file, "sha256").hexdigest()
                size = os.fstat(file.fileno()).st_size
        self._sources[named], self.sizes[named] = source, size
        return named

    def _put_zeros(self, size: int) -> str:
        made = hashlib.sha256()
        for at in range(0, size, PIECE):
            made.update(_ZEROS[: min(PIECE, size - at)])
        named = made.hexdigest()
        self.sizes[named] = size
        self._zeros.add(named)
        return named

    def _message(self, folder: dict[bytes, Any]) -> Message:
        made = MESSAGES["Directory"]()
        for name in sorted(folder):
            entry, text = folder[name], name.decode()
            if isinstance(entry, dict):
                made.directories.add(name=text, digest=self._message(entry))
            elif isinstance(entry, bytes):
                made.symlinks.add(name=text, target=entry.decode())
            else:
                named, mode, permissions, time_ns = entry
                node = made.files.add(name=text, is_executable=bool(mode & 0o100))
                node.digest.hash, node.digest.size_bytes = named, self.sizes[named]
                node.node_properties.unix_mode.value = permissions
                seconds, nanos = divmod(time_ns, 1_000_000_000)
                node.node_properties.mtime.seconds = seconds
                node.node_properties.mtime.nanos = nanos
        return self.put(made)


def _is_regular(number: int) -> bool:
    return stat.S_ISREG(os.fstat(number).st_mode)


class OutputReader:
    """Writes an output directory of an action to a folder: files and folders, and nothing else."""

    def __init__(self, engine: RemoteEngine) -> None:
        self._engine = engine
        self._left_bytes, self._left_files = _BYTES_MOST, _FILES_MOST

    def write(self, tree: Message, to: Path) -> None:
        """Write what a tree describes.

        Raises:
            EngineError: It is not as a supervisor of ours leaves it.
            OSError: It cannot be written.
        """
        below = {}
        for each in tree.children:
            raw = each.SerializeToString(deterministic=True)
            below[hashlib.sha256(raw).hexdigest()] = each
        self._write(tree.root, below, to, 0)

    def _write(self, folder: Message, below: dict[str, Any], to: Path, depth: int) -> None:
        if depth > _DEEPEST or folder.symlinks:
            raise EngineError("it has left something else than a result")
        to.mkdir(mode=0o700)
        for each in folder.files:
            self._left_files -= 1
            self._left_bytes -= max(0, each.digest.size_bytes)
            if self._left_files < 0 or self._left_bytes < 0:
                raise EngineError("it has left more than is taken")
            most = self._left_bytes + each.digest.size_bytes
            path = to / _plain(each.name)
            try:
                with path.open("xb") as file:
                    self._engine.fetch_into(file, each.digest.hash, each.digest.size_bytes, most)
            except EngineError:
                path.unlink(missing_ok=True)
                raise
        for each in folder.directories:
            self._left_files -= 1
            inner = below.get(each.digest.hash)
            if inner is None or self._left_files < 0:
                raise EngineError("it has left something else than a result")
            self._write(inner, below, to / _plain(each.name), depth + 1)


def _plain(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise EngineError("it has left something under a name that no file has")
    return name


def ask(request: dict[str, Any], executor: list[list[Any]], settings: RemoteSettings) -> bool:
    """Have an action done, and write what it has left; return whether the engine had kept that.

    Args:
        request: As `supervisor.remote_run` writes it.
        executor: The nodes of Python and the supervisor.
        settings: Where, and how.

    Raises:
        EngineError: It was not done.
        OSError: A file cannot be read or written.
        ValueError: A name is no text, which the API has no form for.
    """
    tree = ActionTree()
    for node in (*executor, *request["nodes"]):
        tree.add(node)
    output = decode(request["output"]).decode().lstrip("/")
    words = [decode(word).decode() for word in request["command"]]
    command = MESSAGES["Command"](arguments=words, output_paths=[output])
    action = MESSAGES["Action"](
        command_digest=tree.put(command),
        input_root_digest=tree.root(),
        do_not_cache=not settings.trusts_cache,
    )
    action.timeout.seconds = settings.timeout_s
    named = tree.put(action)
    with settings.channel() as channel:
        engine = RemoteEngine(channel, settings.instance, settings.timeout_s)
        engine.send(tree.sizes, tree.pieces)
        result, is_kept = engine.execute(
            named.hash, named.size_bytes, trusts_cache=settings.trusts_cache
        )
        if result.exit_code:
            raise EngineError(_said(engine, result))
        found = [each for each in result.output_directories if each.path == output]
        if len(found) != 1:
            raise EngineError("it has left no result")
        digest = found[0].tree_digest
        raw = engine.fetch(digest.hash, digest.size_bytes, _TREE_MOST)
        tree_message = MESSAGES["Tree"].FromString(raw)
        OutputReader(engine).write(tree_message, Path(os.fsdecode(decode(request["answer"]))))
        return is_kept


def check_recording(request: dict[str, Any], scratch: Path) -> None:
    """Make sure that a recording can be read, and is of a run that has ended well.

    Args:
        request: As `ask` takes it; the answer is there.
        scratch: Where a file can be written.

    Raises:
        EngineError: It cannot, or is not.
        OSError: Something cannot be read or written.
        ValueError: What there is is no result.
    """
    results = [each for _, _, each in FolderStore(decode(request["answer"])).every()]
    if len(results) != 1:
        raise EngineError("what came back is no result")
    header = json.loads(request["header"])
    places = {name: place.encode() for name, place in header["places"].items()}
    store = FolderStore(decode(request["answer"]))
    rest = told(results[0].recording, store, PathTokens(places))
    scratch.write_bytes(request["header"].encode("utf-8", "backslashreplace") + rest)
    try:
        recording = reader.read(scratch)
    except reader.RecordingError as error:
        raise EngineError("its recording is broken") from error
    end = recording.end
    if end.exit or end.failure or end.voided or end.dropped:
        raise EngineError("its recording is not of a run that has ended well")
    for event in recording.events:
        # A few habits are refused each time, whatever is there: no executor of ours keeps others.
        is_habit = isinstance(event, FileOpened) and (
            encode(event.path) in baseline.QUIET
            or refused_habits.is_read(event.path, places, is_direct=False)
        )
        if getattr(event, "refused", False) and not is_habit:
            raise EngineError("its recording says that something was refused")


def _said(engine: RemoteEngine, result: Message) -> str:
    """Say how an action has failed, with the last line of what it has said."""
    said = result.stderr_raw[-_STDERR_MOST:]
    if not said and result.stderr_digest.size_bytes:
        digest = result.stderr_digest
        said = engine.fetch(digest.hash, digest.size_bytes, _STDERR_MOST)
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith("buildperm: ")), (lines or [""])[-1])
    return f"it ended there with exit code {result.exit_code}: {told[:_SAID_MOST]}"


def main(path: str) -> int:
    """Do what a request asks for; return the exit code."""
    from google.protobuf.message import DecodeError

    # With the supervisor nobody waits for this.
    bound_process.end_with_parent()
    try:
        request = json.loads(Path(path).read_bytes())
        executor = json.loads(Path(os.environ[NAMED_BY]).read_bytes())
        is_kept = ask(request, executor, RemoteSettings.from_variables(os.environ))
        check_recording(request, Path(path).with_name("recording.jsonl"))
    except (EngineError, StoreError, ValueError, DecodeError) as error:
        sys.stdout.write(log_text(f"{error}"))
        return 1
    except OSError as error:
        sys.stdout.write(log_text(f"a file cannot be used: {error.strerror}"))
        return 1
    sys.stdout.write("kept" if is_kept else "done")  # As `supervisor.remote_run` reads it.
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
