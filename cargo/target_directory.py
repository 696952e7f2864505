"""The target directory of supervised builds: what buildperm keeps in it besides what Cargo does.

It is never the user's own: a supervised build and an ordinary one must not take each other's output
for fresh. It lies below the user's, so `cargo clean` removes it too.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from buildperm.cargo.configuration import CARGOS_OWN
from buildperm.errors import BuildpermError
from buildperm.sandbox.stub import shell, stub
from buildperm.supervisor import session as sessions
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.toolchain import Toolchain
    from buildperm.supervisor.session import Session

_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# Made by buildperm. See https://bford.info/cachedir/
"""
_WRAPPER = Path(__file__).with_name("rustc-wrapper.sh")


@dataclass(frozen=True, slots=True)
class TargetDirectory:
    """One of buildperm's own target directories."""

    folder: Path  # Absolute, without links.

    @property
    def session(self) -> Path:
        """Return the file that tells supervisors what they need to know."""
        return self.folder / "buildperm-session"

    @property
    def progress(self) -> Path:
        """Return the file that supervisors append to."""
        return self.folder / "buildperm-progress"

    @property
    def stub(self) -> Path:
        """Return the stub without its last line."""
        return self.folder / "buildperm-stub"

    @property
    def wrapper(self) -> Path:
        """Return what Cargo calls in place of rustc."""
        return self.folder / "buildperm-rustc-wrapper"

    def stub_text(self) -> bytes:
        """Return what every build script of this directory must begin with.

        Raises:
            BuildpermError: The path of the directory holds a line break.
        """
        try:
            return stub(os.fsencode(self.session))
        except ValueError as error:
            raise BuildpermError(
                f"cannot build in `{encode(os.fsencode(self.folder))}`: {error}",
                hint="Build in a folder without a line break in its name.",
            ) from error

    def wrapper_text(self, wrapped: bytes) -> bytes:
        """Return what Cargo is to call in place of rustc.

        It contains all that it needs to know, so that no variable that Cargo may be told to set can
        change it.

        Args:
            wrapped: The wrapper that would be in use without buildperm; empty for none.
        """
        _, mark, script = _WRAPPER.read_bytes().split(b"\n", 2)
        values = {
            b"BUILDPERM_TARGET": os.fsencode(self.folder),
            b"BUILDPERM_STUB": os.fsencode(self.stub),
            b"BUILDPERM_RUSTC_WRAPPER": wrapped,
        }
        # For a shell that passes on every variable to rustc.
        head = [b"#!" + shell(), mark]
        head += [name + b"=" + _quoted(value) for name, value in values.items()]
        return b"\n".join([*head, script])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands out; the kernel lets go even if this one is killed.

        Raises:
            BuildpermError: Another command is at work here, or the directory cannot be used.
        """
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self.folder / "buildperm-lock", flags, 0o600)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BuildpermError(
                    f"another buildperm is at work in `{self.folder}`",
                    hint="Wait until it is done, or end it.",
                ) from error
            yield
        finally:
            os.close(descriptor)

    def write(self, session: Session, *, name: str = "") -> Path:
        """Write all that a run of Cargo needs; return the session's file.

        With a `name`, another session is put beside the one that plain Cargo falls back to: for
        running recorded scripts again.

        Raises:
            BuildpermError: It cannot be written.
        """
        path = self.session.with_name(f"{self.session.name}-{name}") if name else self.session
        try:
            if not name:
                _write(self.progress, b"", 0o600)
                _write(self.stub, self.stub_text(), 0o700)
                _write(self.wrapper, self.wrapper_text(session["rustc_wrapper"]), 0o700)
            _write(path, sessions.dump(session), 0o600)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        return path

    def forget_progress(self) -> None:
        """Empty the file that supervisors append to, for another run of Cargo.

        Raises:
            BuildpermError: It cannot be written.
        """
        try:
            _write(self.progress, b"", 0o600)
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def environment(
        self, toolchain: Toolchain, base: Mapping[str, str], *, rustc_wrapper: str
    ) -> dict[str, str]:
        """Return the environment for Cargo; `base` is the user's.

        `rustc_wrapper` is the wrapper that would be in use without buildperm; empty for none.
        """
        variables = toolchain.environment(base)
        for name in CARGOS_OWN:
            variables.pop(name, None)
        return variables | {
            "CARGO_TARGET_DIR": str(self.folder),
            "CARGO_BUILD_BUILD_DIR": str(self.folder),
            "RUSTC_WRAPPER": str(self.wrapper),
            "BUILDPERM_RUSTC_WRAPPER": rustc_wrapper,
            "BUILDPERM_SESSION": str(self.session),
        }


def open_target(metadata: Metadata, name: Literal["learn", "ci"]) -> TargetDirectory:
    """Make the directory `name` below the user's target directory where it is missing.

    Raises:
        BuildpermError: It cannot be made.
    """
    folder = metadata.target_directory / "buildperm" / name
    if not {"{", "}"}.isdisjoint(str(folder)):
        raise BuildpermError(  # The Cargo book, "Configuration", `build.build-dir`.
            f"cannot build in `{folder}`: Cargo takes what is in braces for a variable",
            hint="Build in a folder without braces in its name, or set CARGO_TARGET_DIR to one.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for tagged in (folder.parent, folder):
            if not (tagged / "CACHEDIR.TAG").exists():
                _write(tagged / "CACHEDIR.TAG", _TAG, 0o644)
    except OSError as error:
        raise _unusable(folder, error) from error
    return TargetDirectory(folder.resolve())


def _quoted(value: bytes) -> bytes:
    """Return what a shell takes for exactly these bytes."""
    return os.fsencode(shlex.quote(os.fsdecode(value)))


def _unusable(folder: Path, error: OSError) -> BuildpermError:
    return BuildpermError(
        f"cannot use the target directory `{folder}`: {error.strerror}",
        hint="Make room for a folder that you may write there, or set CARGO_TARGET_DIR to another.",
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write atomically: a reader finds the old content or the new, even after a kill."""
    descriptor, new = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, mode)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
