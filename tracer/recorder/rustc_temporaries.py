"""Gives rustc a place for its temporary folder where it may not write to the current one.

rustc makes a folder `rmeta` + six random letters beside its output, for metadata that it has not
finished (compiler/rustc_metadata/src/fs.rs, `encode_and_write_metadata`). With `-o -`, as feature
probes have it, that is the current folder: the package, where no script may write unasked. Without
it rustc fails, and a probe says that a feature is not there.

So a rustc that prints its output, and is given nothing that lies in the current folder, begins in
the temporary folder of the script:

    first call that stops ──▶ chdir in its place ──▶ the instruction once more ──▶ goes on

The script could have started it there itself: nobody gets more rights.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer.recorder import registers
from buildperm.tracer.recorder.process_tree import kill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildperm.tracer.recorder.process_tree import Process

_CHDIR = 49 if registers.MACHINE == "aarch64" else 80  # <asm/unistd.h>
_RED_ZONE = 128  # Bytes below the stack pointer that belong to the function: System V ABI.


class RustcTemporaries:
    """Knows which rustc goes where, and has it go."""

    def __init__(
        self, programs: frozenset[bytes], folder: bytes, is_writable: Callable[[bytes], bool]
    ) -> None:
        """Prepare to watch.

        Args:
            programs: The compilers of the tool chain, without links.
            folder: Where they may write.
            is_writable: Tells whether they may write at a path.
        """
        self.due: set[int] = set()  # Processes that have not gone yet.
        self._programs = programs
        self._folder = folder
        self._is_writable = is_writable

    def at_exec(self, process: Process, argv: Sequence[bytes]) -> None:
        """Look at what `process` has executed; it stands at its exec stop."""
        self.due.discard(process.pid)
        if process.program not in self._programs or not _prints(argv):
            return
        try:
            current = os.readlink(b"/proc/%d/cwd" % process.pid)
        except OSError:
            return
        if not self._is_writable(current) and not _names_any(argv, current):
            self.due.add(process.pid)

    def begin(self, tid: int, process: Process) -> list[int] | None:
        """Have a thread that is due, at the entry of a call, go elsewhere instead.

        Returns:
            Its registers, for `registers.repeat_call` at the exit of that call; None if it is to go
            on as it is.
        """
        self.due.discard(process.pid)
        before = registers.load(tid)
        if before is None:
            return None
        text = self._folder + b"\0"
        at = (registers.stack_pointer(before) - _RED_ZONE - len(text)) & ~15
        try:
            memory = os.open(b"/proc/%d/mem" % tid, os.O_WRONLY | os.O_CLOEXEC)
            try:
                if os.pwrite(memory, text, at) != len(text):
                    return None
            finally:
                os.close(memory)
        except OSError:
            return None  # It is gone, or has no room: what it makes is refused as any other's.
        if not registers.replace_call(tid, before, _CHDIR, (at, 0, 0, 0, 0, 0)):
            kill(tid)
        return before


def _prints(argv: Sequence[bytes]) -> bool:
    """Tell whether rustc is told to write to its standard output: `-o -`."""
    return b"-o-" in argv or any(
        argv[at : at + 2] in ((b"-o", b"-"), [b"-o", b"-"]) for at in range(1, len(argv))
    )


def _names_any(argv: Sequence[bytes], folder: bytes) -> bool:
    """Tell whether an argument may name anything in `folder`: `x.rs`, `-Lx`, `--extern=y=x`."""
    for word in argv[1:]:
        if word.startswith(b"@"):
            return True
        pieces = {word, word[2:], *word.split(b"="), *word[2:].split(b"=")}
        for piece in pieces - {b"", b"-"}:
            if not piece.startswith(b"/") and os.path.lexists(os.path.join(folder, piece)):
                return True
    return False
