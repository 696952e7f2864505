"""The target directory of supervised builds: what buildperm keeps in it besides what Cargo does.

It is never the user's own: a supervised build and an ordinary one must not take each other's output
for fresh. It lies below the user's, so `cargo clean` removes it too.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

from buildperm.cargo import claim
from buildperm.cargo.configuration import CARGOS_OWN, SCRIPT
from buildperm.errors import BuildpermError
from buildperm.rules.layout import GIT_COPY
from buildperm.sandbox import wrapper_entry
from buildperm.sandbox.stub import interpreter, keeps_libraries_away, stub
from buildperm.supervisor import session as sessions
from buildperm.tracer.notation import encode

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.toolchain import Toolchain
    from buildperm.supervisor.session import Session

_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# Made by buildperm. See https://bford.info/cachedir/
"""
_WRAPPER = PurePath(__file__).with_name("rustc-wrapper.sh")
_HELD = PurePath(__file__).with_name("held-compiler.sh")
_GIVEN_BACK = b"""\
[ -z "${BUILDPERM_LIBRARIES:-}" ] || export LD_LIBRARY_PATH="$BUILDPERM_LIBRARIES"
unset BUILDPERM_LIBRARIES"""
"""What Cargo has rustc look through for libraries: env(1) has kept it from the shell."""
_ASIDE = b"""\
for our_name in ${BUILDPERM_ASIDE:-}; do
    eval "export $our_name=\\"\\$BUILDPERM_ASIDE_$our_name\\""
    unset "BUILDPERM_ASIDE_$our_name"
done
unset BUILDPERM_ASIDE BUILDPERM_DIFFERS"""
"""What the program before the script has set aside is given back: `supervisor/starting/entry.c`."""
_HELD_SERVER = PurePath(__file__).with_name("held-macro-server.sh")


@dataclass(frozen=True, slots=True)
class CompileFiles:
    """What is written where compiling is held."""

    launcher: bytes  # Its path.
    session: bytes  # Of the launcher, whole.
    filter: bytes  # The system call filter, whole.
    rustdoc: str  # The path of the true one.
    macro_server: str  # The path of rust-analyzer's, which may be missing.
    compilers: tuple[str, ...]  # The paths of those that another wrapper may call; rustc first.
    proxies: tuple[str, ...]  # What Cargo may call in their place: `Toolchain.proxies`.


@dataclass(frozen=True, slots=True)
class TargetDirectory:
    """One of buildperm's own target directories, or the user's while buildperm is always on."""

    folder: Path  # Absolute, without links.
    store: Path | None = None  # Where files are that no build may touch; None: in `folder`.
    on: Path | None = None  # The state folder of always on; None where a command runs Cargo.

    @property
    def _kept(self) -> Path:
        return self.store or self.folder

    @property
    def session(self) -> Path:
        """Return the file that tells supervisors what they need to know."""
        return self._kept / "buildperm-session"

    @property
    def progress(self) -> Path:
        """Return the file that supervisors append to."""
        return self._kept / "buildperm-progress"

    @property
    def report(self) -> Path:
        """Return the JSON report of the last `ci`, if that was refused something."""
        return self.folder / "buildperm-report.json"

    @property
    def stub(self) -> Path:
        """Return the stub without its last line."""
        return self._kept / "buildperm-stub"

    @property
    def wrapper(self) -> Path:
        """Return what Cargo calls in place of rustc."""
        return self._kept / "buildperm-rustc-wrapper"

    @property
    def rustdoc(self) -> Path:
        """Return what Cargo calls in place of rustdoc."""
        return self._kept / "buildperm-rustdoc"

    @property
    def macro_server(self) -> Path:
        """Return what rust-analyzer is to call in place of its server for procedural macros."""
        return self._kept / "buildperm-proc-macro-srv"

    @property
    def compile_session(self) -> Path:
        """Return the file that tells the launcher to what each compiler call is held."""
        return self._kept / "buildperm-compile-session"

    @property
    def failed(self) -> Path:
        """Return the file that the wrapper notes failed compilations in, where nothing holds them.

        Each entry is a package's folder and a crate for rustc, with a NUL behind both.
        """
        return self._kept / "buildperm-failed"

    @property
    def state(self) -> Path:
        """Return the folder with what the launcher has noted about each unit."""
        return self.folder / claim.STATE

    @property
    def compile_filter(self) -> Path:
        """Return the file with the system call filter of compiler calls."""
        return (self.store or self.state) / "filter"

    @property
    def compilers(self) -> Path:
        """Return the folder with held compilers, for wrappers that call these themselves."""
        return (self.store or self.state) / "compilers"

    def claim_state(self) -> str:
        """Make sure that what is in `state` was made here; return what to tell, mostly nothing.

        Whoever fills the user's target directory could say there whose a library of macros is.

        Raises:
            BuildpermError: Git tracks what is in it, or it cannot be put aside, or be made.
        """
        said = claim.claim(self.folder, claim.STATE)
        try:
            claim.make(self.folder, claim.STATE)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        return said

    def stub_text(self) -> bytes:
        """Return what every build script of this directory must begin with.

        Raises:
            BuildpermError: The path of the directory holds a line break.
        """
        try:
            if self.on is not None:  # The same in every target directory, whoever it is held for.
                return stub(b"-", on=os.fsencode(self.on))
            return stub(os.fsencode(self.session))
        except ValueError as error:
            raise BuildpermError(
                f"cannot build in `{encode(os.fsencode(self.folder))}`: {error}",
                hint="Build in a folder without a line break in its name.",
            ) from error

    def wrapper_text(self, wrapped: bytes, compiling: CompileFiles | None = None) -> bytes:
        """Return what Cargo is to call in place of rustc.

        It contains all that it needs to know, so that no variable that Cargo may be told to set can
        change it.

        Args:
            wrapped: The wrapper that would be in use without buildperm; empty for none.
            compiling: What holds compiler calls; None where nothing does.
        """
        launcher = compiling.launcher if compiling else b""
        proxies = compiling.proxies if compiling else ()
        values = {
            b"BUILDPERM_TARGET": os.fsencode(self.folder),
            b"BUILDPERM_STUB": os.fsencode(self.stub),
            b"BUILDPERM_RUSTC_WRAPPER": wrapped,
            b"BUILDPERM_LAUNCHER": launcher,
            b"BUILDPERM_COMPILE_SESSION": os.fsencode(self.compile_session),
            b"BUILDPERM_COMPILERS": os.fsencode(self.compilers),
            b"BUILDPERM_FAILED": b"" if launcher else os.fsencode(self.failed),
            b"BUILDPERM_USERS": os.environb.get(b"LD_LIBRARY_PATH", b""),
            b"BUILDPERM_PATH": os.environb.get(b"PATH", os.fsencode(os.defpath)),
            b"BUILDPERM_PROXIES": os.fsencode(os.pathsep.join(proxies)),
            b"BUILDPERM_RUST": os.fsencode(os.path.dirname(compiling.compilers[0]))
            if compiling
            else b"",
            b"BUILDPERM_FOLLOWS": b"yes" if self.on else b"",
        }
        return script_text(_WRAPPER, values)

    def _unwritten(self, error: OSError) -> BuildpermError:
        """Say where something cannot be written: in the state folder of always on, or here."""
        # A file that cannot be filled has no name in the error.
        named = Path(os.fsdecode(error.filename)) if error.filename else self._kept
        if self.store is None or not named.is_relative_to(self.store):
            return _unusable(self.folder, error)
        return BuildpermError(
            f"cannot write into the state folder `{self.on or self.store}`: {error.strerror}",
            hint="Make room there: it has what builds are held to.",
        )

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

    def write(
        self, session: Session, *, name: str = "", compiling: CompileFiles | None = None
    ) -> Path:
        """Write all that a run of Cargo needs; return the session's file.

        With a `name`, another session is put beside the one that plain Cargo falls back to: for
        running recorded scripts again.

        Args:
            session: For supervisors.
            name: Of a session for a rerun.
            compiling: What holds compiling; None where nothing does.

        Raises:
            BuildpermError: It cannot be written.
        """
        path = self.session.with_name(f"{self.session.name}-{name}") if name else self.session
        try:
            if not name:
                _write(self.progress, b"", 0o600)
                _write(self.failed, b"", 0o600)
                _write(self.stub, self.stub_text(), 0o700)
                text = self.wrapper_text(session["rustc_wrapper"], compiling)
                self._write_script(self.wrapper, text)
                self.state.mkdir(mode=0o700, exist_ok=True)
                self.state.chmod(0o700)
            if compiling and not name:
                self._write_compiling(compiling)
            elif not name:
                self.macro_server.unlink(missing_ok=True)  # Nothing would be held to this session.
            _, copy = session.get("git_settings", (b"", None))
            if copy is not None:
                _write(self.folder / GIT_COPY, copy, 0o600)
            _write(path, sessions.dump(session), 0o600)
        except OSError as error:
            raise self._unwritten(error) from error
        return path

    def _write_compiling(self, compiling: CompileFiles) -> None:
        _write(self.compile_filter, compiling.filter, 0o600)
        _write(self.compile_session, compiling.session, 0o600)
        self.compilers.mkdir(mode=0o700, exist_ok=True)
        held = {self.compilers / os.path.basename(each): each for each in compiling.compilers}
        scripts = [(path, _HELD, each) for path, each in held.items()]
        scripts += [(self.rustdoc, _HELD, compiling.rustdoc)]
        scripts += [(self.macro_server, _HELD_SERVER, compiling.macro_server)]
        for path, script, program in scripts:
            values = {
                b"BUILDPERM_LAUNCHER": compiling.launcher,
                b"BUILDPERM_COMPILE_SESSION": os.fsencode(self.compile_session),
                b"BUILDPERM_COMPILER": os.fsencode(program),
            }
            self._write_script(path, script_text(script, values))

    def _write_script(self, path: Path, text: bytes) -> None:
        """Write what Cargo calls; while always on, what Cargo calls there has started it."""
        script = path.with_name(path.name + SCRIPT)
        program = b"" if self.on is not None else wrapper_entry.entry(os.fsencode(script))
        if program:
            shebang, rest = text.split(b"\n", 1)
            mark, rest = rest.split(b"\n", 1)
            _write(script, b"\n".join((shebang, mark, _ASIDE, rest)), 0o700)
        _write(path, program or text, 0o700)

    def write_rustdoc(self, rustdoc: str) -> None:
        """Write what is called in place of rustdoc where nothing holds it.

        Raises:
            BuildpermError: It cannot be written.
        """
        text = b"#!/bin/sh\nexec " + _quoted(os.fsencode(rustdoc)) + b' "$@"\n'
        try:
            _write(self.rustdoc, text, 0o700)
        except OSError as error:
            raise self._unwritten(error) from error

    def write_spelling(self, spelt: str) -> None:
        """Write how Cargo spells the target directory, for who has to tell it from another one.

        Raises:
            BuildpermError: It cannot be written.
        """
        try:
            _write(self._kept / "target", os.fsencode(spelt) + b"\n", 0o600)
        except OSError as error:
            raise self._unwritten(error) from error

    def forget_progress(self) -> None:
        """Empty the file that supervisors append to, for another run of Cargo.

        Raises:
            BuildpermError: It cannot be written.
        """
        try:
            _write(self.progress, b"", 0o600)
        except OSError as error:
            raise self._unwritten(error) from error

    def environment(
        self,
        toolchain: Toolchain,
        base: Mapping[str, str],
        *,
        rustc_wrapper: str,
        rustdoc: str = "",
    ) -> dict[str, str]:
        """Return the environment for Cargo.

        Args:
            toolchain: Whose Cargo it is.
            base: What the user has set.
            rustc_wrapper: What would be in use without buildperm; empty for none.
            rustdoc: The true one, where calls of it are held; empty where they are not.
        """
        variables = toolchain.environment(base)
        for name in CARGOS_OWN:
            variables.pop(name, None)
        held = {"RUSTDOC": str(self.rustdoc), "BUILDPERM_RUSTDOC": rustdoc} if rustdoc else {}
        return (
            variables
            | held
            | {
                "CARGO_TARGET_DIR": str(self.folder),
                "CARGO_BUILD_BUILD_DIR": str(self.folder),
                "RUSTC_WRAPPER": str(self.wrapper),
                "BUILDPERM_RUSTC_WRAPPER": rustc_wrapper,
                "BUILDPERM_SESSION": str(self.session),
            }
        )


def open_target(metadata: Metadata, name: Literal["learn", "ci"]) -> TargetDirectory:
    """Make the directory `name` below the user's target directory where it is missing.

    What is there and was not made here by this user is put aside: see `claim`.

    Raises:
        BuildpermError: It cannot be made, or Git tracks what is in it.
    """
    folder = metadata.target_directory / claim.NAME / name
    if not {"{", "}"}.isdisjoint(str(folder)):
        raise BuildpermError(  # The Cargo book, "Configuration", `build.build-dir`.
            f"cannot build in `{folder}`: Cargo takes what is in braces for a variable",
            hint="Build in a folder without braces in its name, or set CARGO_TARGET_DIR to one.",
        )
    made = [folder.parent, folder]
    if not metadata.target_directory.exists():  # As Cargo does with one that it makes, and only so.
        made.append(metadata.target_directory)
    claim.claim(metadata.target_directory)
    try:
        claim.make(metadata.target_directory)
        folder.mkdir(exist_ok=True)
        for tagged in made:
            if not (tagged / "CACHEDIR.TAG").exists():
                _write(tagged / "CACHEDIR.TAG", _TAG, 0o644)
    except OSError as error:
        raise _unusable(folder, error) from error
    return TargetDirectory(folder.resolve())


def script_text(path: PurePath, values: Mapping[bytes, bytes]) -> bytes:
    """Return a script of ours with `values` for its variables above it.

    Raises:
        CannotEnforceError: There is no shell to run it.
    """
    _, mark, script = Path(path).read_bytes().split(b"\n", 2)
    # For a shell that passes on every variable to rustc, and loads no library of a build script.
    head = [b"#!" + interpreter(), mark]
    head += [name + b"=" + _quoted(value) for name, value in values.items()]
    head += [_GIVEN_BACK] if keeps_libraries_away() else []
    return b"\n".join([*head, script])


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
