"""Carries the output of a build script: stdout is held back, stderr passes on live.

One thread reads both pipes while the recorder waits in waitpid(2).

Part of the supervisor: standard library only; no `threading`, which costs its import.
"""

from __future__ import annotations

import _thread
import os
import select

from buildperm.supervisor.talk import Talk
from buildperm.tracer.recorder.run_end import StdoutLost, TooMuchPrinted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 1 << 16


class Streams:
    """The pipes of one run, the thread that empties them, and what standard output held."""

    def __init__(
        self,
        folder: bytes,
        stdout_bytes: int,
        stderr_bytes: int,
        on_flood: Callable[[], None],
        *,
        keeps_talk: bool = False,
    ) -> None:
        """Make the pipes and, in `folder`, the unlinked file that holds standard output.

        Args:
            folder: Where there is space for `stdout_bytes`.
            stdout_bytes: Beyond it `stop_cause` is set, `on_flood` is called once, and the rest
                is thrown away.
            stderr_bytes: Beyond it the rest is thrown away, and a line says so.
            on_flood: Called on the reading thread.
            keeps_talk: Standard error is kept in `said` as well, up to that bound and a bit more.

        Raises:
            OSError: `folder` cannot be written to.
        """
        self.stop_cause: TooMuchPrinted | StdoutLost | None = None
        self.stdout, self._stdout = _pipe()
        self.stderr, self._stderr = _pipe()
        self._held = _unlinked(folder)
        self._size = 0
        self._left = stdout_bytes
        self._talk = Talk("the build script", stderr_bytes)
        self._on_flood = on_flood
        self.said = bytearray()
        self._most_said = stderr_bytes if keeps_talk else -1
        self._done = _thread.allocate_lock()

    def start(self) -> None:
        """Start reading; the script's ends, `stdout` and `stderr`, are closed on this side."""
        os.close(self.stdout)
        os.close(self.stderr)
        self._done.acquire()
        _thread.start_new_thread(self._read, ())

    def finish(self, timeout_s: float) -> bool:
        """Wait until both pipes are at their end and read; False if they are not yet."""
        return self._done.acquire(timeout=timeout_s)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of standard output, without their newlines."""
        position = 0
        begun: list[bytes] = []  # A line may be as long as all that may be printed.
        while position < self._size:
            chunk = os.pread(self._held, _CHUNK, position)
            if not chunk:
                break
            position += len(chunk)
            first, *others = chunk.split(b"\n")
            begun.append(first)
            if others:
                yield b"".join(begun)
                yield from others[:-1]
                begun = [others[-1]]
        rest = b"".join(begun)
        if rest:
            yield rest

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        poll.register(self._stderr, select.POLLIN)
        left = 2
        while left:
            for descriptor, _ in poll.poll():
                try:
                    chunk = os.read(descriptor, _CHUNK)
                except OSError:
                    chunk = b""
                if not chunk:
                    poll.unregister(descriptor)
                    left -= 1
                elif descriptor == self._stdout:
                    self._hold(chunk)
                else:
                    if len(self.said) <= self._most_said:
                        self.said += chunk
                    self._talk.add(chunk)
        self._talk.end()
        self._done.release()

    def _hold(self, chunk: bytes) -> None:
        if self.stop_cause is not None:
            return
        if len(chunk) > self._left:
            self.stop_cause = TooMuchPrinted()
            self._on_flood()
            return
        self._left -= len(chunk)
        try:
            while chunk:
                written = os.write(self._held, chunk)
                self._size += written
                chunk = chunk[written:]
        except OSError as error:
            self.stop_cause = StdoutLost(error.strerror or "cannot write")
            self._on_flood()


def _unlinked(folder: bytes) -> int:
    """Open a file that has no name; open(2), "O_TMPFILE": not every file system can."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        path = folder + b"/stdout.%d" % os.getpid()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        os.unlink(path)
        return descriptor


def _pipe() -> tuple[int, int]:
    """Make a pipe and return its writing end first."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    return writing, reading
