"""Files that a script has Cargo watch: hundreds of thousands of lines, judged many at a time.

Cargo looks at the dates of what `rerun-if-changed` names, and does nothing else with it.

Part of the supervisor: imports nothing but built-in modules, but where there are very many.
"""

from __future__ import annotations

from buildperm.printable import cleaned, is_visible
from buildperm.rules.pattern import parts
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

KEY = "rerun-if-changed"
_BEGINNINGS = (b"cargo::rerun-if-changed=", b"cargo:rerun-if-changed=")
_AT_ONCE = 4096  # Lines.
TOLD_MOST = 2_000
"""Lines that are recorded each by itself; of the others, their number and a digest."""

_ASCII = bytes(range(0x20, 0x7F))  # What is visible of it.


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

        The order stays. A line that Cargo would trim is like all others.
        """
        batch: list[bytes] = []
        for line in lines:
            if line.startswith(_BEGINNINGS):
                batch.append(line)
                if len(batch) == _AT_ONCE:
                    yield from self._finished(batch)
                    batch = []
            else:
                if batch:
                    yield from self._finished(batch)
                    batch = []
                yield line, b""
        if batch:
            yield from self._finished(batch)
        self._tell_more()

    def _finished(self, batch: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        text = b"\n".join(batch) + b"\n"
        if b" \n" not in text and _is_clean(b"".join(batch)):
            self._tell(batch, text)
            yield b"", text
            return
        good: list[bytes] = []
        for line in batch:
            clean = cleaned(line)  # Line ends of Windows vanish.
            if clean.startswith(_BEGINNINGS) and not clean.endswith(b" ") and _is_clean(clean):
                good.append(clean)
                continue
            if good:
                yield b"", self._tell(good)
                good = []
            yield line, b""
        if good:
            yield b"", self._tell(good)

    def _tell(self, batch: Sequence[bytes], text: bytes = b"") -> bytes:
        """Record lines, and return their text."""
        text = text or b"\n".join(batch) + b"\n"
        if self._told < TOLD_MOST:
            self._told += len(batch)
            for line in batch:
                self._record(KEY, encode(line.partition(b"=")[2]), self._verdict)
        else:
            self._more += len(batch)
            self._texts.append(text[:-1])
        return text

    def _tell_more(self) -> None:
        if self._more:
            import hashlib  # Only where a script has printed that much.

            digest = hashlib.sha256(b"\n".join(self._texts)).hexdigest()
            self._record(KEY, f"({self._more:,} more files, sha256 {digest})", self._verdict)


def may_match(patterns: Iterable[str]) -> bool:
    """Tell whether any pattern of directives may be about a file that Cargo is to watch."""
    beginning = f"{KEY}="
    heads = (parts(pattern)[0] for pattern in patterns)
    return any(head.startswith(beginning) or beginning.startswith(head) for head in heads)


def _is_clean(raw: bytes) -> bool:
    """Tell whether all characters are visible ones, of which the plain space alone is white."""
    others = raw.translate(None, _ASCII)
    if not others:
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return is_visible(others.decode())
