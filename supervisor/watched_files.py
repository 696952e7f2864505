"""Files that a script has Cargo watch: hundreds of thousands of lines, judged many at a time.

Cargo looks at the dates of what `rerun-if-changed` names, and does nothing else with it.

Part of the supervisor: imports nothing but built-in modules, but where there are very many.
"""

from __future__ import annotations

from buildperm.tracer.notation import PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

KEY = "rerun-if-changed"
_BEGINNINGS = (b"cargo::rerun-if-changed=", b"cargo:rerun-if-changed=")
_AT_ONCE = 4096  # Lines.
TOLD_MOST = 2_000
"""Lines that are recorded each by itself; of the others, their number and a digest."""

_PLAIN = PLAIN + b"\n"


class WatchedFiles:
    """Takes lines that only have Cargo watch a file out of what a script printed."""

    def __init__(self, record: Callable[[str, str, str], object], verdict: str) -> None:
        """Prepare; `record` is called with key, value and `verdict` of each line that is told."""
        self._record = record
        self._verdict = verdict
        self._told = 0
        self._more = 0
        self._texts: list[bytes] = []  # Of those that are not told; one for each batch.

    def grouped(self, lines: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield each line as (line, nothing), but many of these at a time as (nothing, their text).

        The order stays. A line that has to be cleaned, or is no text in ASCII, is like all others.
        """
        batch: list[bytes] = []
        beginning = _BEGINNINGS[0]
        for line in lines:
            if not line.startswith(beginning):
                yield from self._finished(batch, beginning)
                batch = []
                if not line.startswith(_BEGINNINGS):
                    yield line, b""
                    continue
                beginning = next(each for each in _BEGINNINGS if line.startswith(each))
            batch.append(line)
            if len(batch) == _AT_ONCE:
                yield from self._finished(batch, beginning)
                batch = []
        yield from self._finished(batch, beginning)
        self._tell_more()

    def _finished(self, batch: Sequence[bytes], beginning: bytes) -> Iterator[tuple[bytes, bytes]]:
        if not batch:
            return
        text = b"\n".join(batch)
        # What Cargo trims, or a terminal obeys, is for whoever looks at each line.
        if text.translate(None, _PLAIN) or b" \n" in text or text.endswith(b" "):
            yield from ((line, b"") for line in batch)
            return
        if self._told < TOLD_MOST:
            self._told += len(batch)
            for value in text[len(beginning) :].decode().split("\n" + beginning.decode()):
                self._record(KEY, value, self._verdict)
        else:
            self._more += len(batch)
            self._texts.append(text)
        yield b"", text + b"\n"

    def _tell_more(self) -> None:
        if self._more:
            import hashlib  # Only where a script has printed that much.

            digest = hashlib.sha256(b"\n".join(self._texts)).hexdigest()
            self._record(KEY, f"({self._more:,} more files, sha256 {digest})", self._verdict)
