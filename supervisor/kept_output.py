"""Keeps what lies in OUT_DIR before a run, so that another run can begin where that one began.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import os
import stat

from buildperm.supervisor import private_folder
from buildperm.supervisor.tree_walk import DEEPEST
from buildperm.tracer.system_values import MAKES_FILE, READS_FILE

MOST_BYTES = 64 << 20
"""More than this is not copied: the other run then begins with nothing, as after `cargo clean`."""

MOST_FILES = 10_000

_CHUNK = 1 << 20


class _TooMuchError(Exception):
    """There is more than is copied, or something that is neither file, folder nor link."""


class KeptOutput:
    """A copy of one OUT_DIR; nobody may write there while this is made, restored or removed."""

    def __init__(self, out_dir: bytes, folder: bytes) -> None:
        """Copy what is in `out_dir` to `folder`, on the same file system; what is there goes.

        Raises:
            OSError: `folder` cannot be made.
        """
        self._out_dir = out_dir
        self._folder = folder
        self._left_bytes, self._left_files = MOST_BYTES, MOST_FILES
        self._about = os.stat(out_dir)
        private_folder.empty(folder)
        try:
            self._copy(out_dir, folder, 0)
        except (_TooMuchError, OSError):
            private_folder.empty(folder)

    def restore(self) -> None:
        """Make OUT_DIR what it was; the copy is used up.

        Raises:
            OSError: Something cannot be moved or removed.
        """
        os.chmod(self._out_dir, 0o700)  # The run may have closed it, to itself and to us.
        for name in os.listdir(self._out_dir):
            private_folder.remove(self._out_dir + b"/" + name)
        for name in os.listdir(self._folder):
            _move(self._folder + b"/" + name, self._out_dir + b"/" + name)
        os.chmod(self._out_dir, stat.S_IMODE(self._about.st_mode))
        os.utime(self._out_dir, ns=(self._about.st_atime_ns, self._about.st_mtime_ns))

    def remove(self) -> None:
        """Remove the copy."""
        try:
            private_folder.remove(self._folder)
        except OSError:
            pass  # The next run makes it anew, or says why it cannot.

    def _copy(self, source: bytes, to: bytes, depth: int) -> None:
        if depth > DEEPEST:
            raise _TooMuchError
        for name in os.listdir(source):
            self._left_files -= 1
            self._copy_entry(source + b"/" + name, to + b"/" + name, depth)
            if self._left_files < 0 or self._left_bytes < 0:
                raise _TooMuchError

    def _copy_entry(self, path: bytes, to: bytes, depth: int) -> None:
        about = os.lstat(path)
        times = about.st_atime_ns, about.st_mtime_ns  # make(1) and ninja compare them.
        if stat.S_ISLNK(about.st_mode):
            os.symlink(os.readlink(path), to)
            os.utime(to, ns=times, follow_symlinks=False)
            return
        if stat.S_ISDIR(about.st_mode):
            os.mkdir(to, 0o700)
            self._copy(path, to, depth + 1)
        elif stat.S_ISREG(about.st_mode):
            self._copy_file(path, to)
        else:
            raise _TooMuchError
        os.chmod(to, stat.S_IMODE(about.st_mode) & 0o777)
        os.utime(to, ns=times)

    def _copy_file(self, path: bytes, to: bytes) -> None:
        source = os.open(path, READS_FILE)
        try:
            target = os.open(to, MAKES_FILE, 0o600)
            try:
                while chunk := os.read(source, _CHUNK):
                    self._left_bytes -= len(chunk)
                    if self._left_bytes < 0:
                        raise _TooMuchError
                    while chunk:
                        chunk = chunk[os.write(target, chunk) :]
            finally:
                os.close(target)
        finally:
            os.close(source)


def _move(path: bytes, to: bytes) -> None:
    """Move what was copied; a folder has to be writable for that: rename(2), EACCES."""
    mode = os.lstat(path).st_mode
    is_closed = stat.S_ISDIR(mode) and not mode & stat.S_IWUSR
    if is_closed:
        os.chmod(path, stat.S_IMODE(mode) | stat.S_IWUSR)
    os.rename(path, to)
    if is_closed:
        os.chmod(to, stat.S_IMODE(mode))
