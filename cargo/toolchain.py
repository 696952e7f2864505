"""The Rust tool chain of one command, found once and without rustup's proxies.

`cargo` and `rustc` on PATH are usually rustup's proxies: each call reads the settings, takes a
write lock and may install something. Asking `rustc --print sysroot` once, in the folder the command
is run in, honours rust-toolchain.toml, RUSTUP_TOOLCHAIN and `+toolchain` as the proxies would.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import neutral_query
from buildperm.errors import BuildpermError
from buildperm.rules.layout import PROGRAMS, SHARED
from buildperm.sandbox.machine import MOUNT_PROC, has_proc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PASSES_PROXIES = (1, 72)
_COMPILERS = ("rustc", "clippy-driver")
_TIMEOUT_S = 300  # rustup may be allowed to install the tool chain that is asked for.


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Where the real programs and the folders of Rust are."""

    sysroot: Path  # Without links.
    cargo: Path
    rustc: Path
    cargo_home: Path
    rustup_home: Path | None  # None where rustup has nothing to do with this tool chain.
    name: str  # What RUSTUP_TOOLCHAIN has to be for the proxies to find it again; may be empty.
    host: str  # Target triple of this machine.
    cargo_version: str  # "1.95.0"
    rustc_version: str
    described: str  # What `rustc -vV` says.
    called: Path | None = None  # The proxy of rustup that PATH leads to; None for the real Cargo.

    @property
    def macro_server(self) -> Path:
        """Return the program in which rust-analyzer expands macros; not every tool chain has it."""
        return self.sysroot / "libexec" / "rust-analyzer-proc-macro-srv"

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for Cargo: `base`, as a proxy of rustup would have changed it.

        So Cargo tells scripts the same of itself and of rustc as without buildperm. No proxy runs.
        """
        environment = dict(base)
        environment.pop("CARGO", None)  # Cargo believes it before its own path.
        search = base.get("PATH", os.defpath)
        environment["PATH"] = self.path(search)
        if self.called is not None and self.rustup_home is not None:
            environment |= self._of_proxy(base)
            if self._passes_proxy(search):
                environment["PATH"] = self._searched_by_proxy(search)
        environment["CARGO_HOME"] = str(self.cargo_home)
        if self.rustup_home is not None:
            environment["RUSTUP_HOME"] = str(self.rustup_home)
            environment["RUSTUP_TOOLCHAIN"] = self.name
        return environment

    def _of_proxy(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return what else a proxy sets: rustup, `Toolchain::set_env`."""
        depth = base.get("RUST_RECURSION_COUNT", "")
        libraries = [str(self.sysroot / "lib"), *filter(None, [base.get("LD_LIBRARY_PATH")])]
        return {
            "RUST_RECURSION_COUNT": str(int(depth) + 1 if depth.isdecimal() else 1),
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        }

    def _searched_by_proxy(self, search: str) -> str:
        """Return PATH as a proxy leaves it: its own folder in CARGO_HOME comes first."""
        own = str(self.cargo_home / "bin")
        parts = search.split(os.pathsep)
        return search if own in parts else os.pathsep.join([own, *parts])

    def _passes_proxy(self, search: str) -> bool:
        """Tell whether Cargo finds the real rustc behind the proxy on PATH by itself.

        It does from 1.72 on at the latest, where `rustc` looks like `rustup` and the tool chain has
        a name: `GlobalContext::get_tool` in Cargo.
        """
        parts = self.cargo_version.split(".")[:2]
        known = tuple(int(part) if part.isdecimal() else 0 for part in parts)
        if known < _PASSES_PROXIES or self.rustup_home is None or os.sep in self.name:
            return False
        searched = self._searched_by_proxy(search)
        found = [shutil.which(name, path=searched) for name in ("rustc", "rustup")]
        try:
            sizes = {os.stat(each).st_size for each in found if each is not None}
        except OSError:
            return False
        real = self.rustup_home / "toolchains" / self.name / "bin" / "rustc"
        return None not in found and len(sizes) == 1 and real.exists()

    def proxies(self, base: Mapping[str, str]) -> tuple[str, ...]:
        """Return what Cargo may call as a compiler that is a proxy of rustup, as Cargo spells it.

        Where the tool chain has no name, or Cargo is older, it does not look behind the proxy.
        """
        search = base.get("PATH", os.defpath)
        spelt = [base.get("RUSTC", ""), base.get("CARGO_BUILD_RUSTC", "")]
        for name in _COMPILERS:
            spelt += [
                name,
                str(self.cargo_home / "bin" / name),
                shutil.which(name, path=search) or "",
            ]
        return tuple(
            each
            for each in dict.fromkeys(spelt)
            if os.path.basename(each) in _COMPILERS
            and os.pathsep not in each
            and _is_proxy(shutil.which(each, path=search) or "")
        )

    def is_alone(self) -> bool:
        """Tell whether its folder holds nothing but Rust: rustup's do."""
        if self.sysroot in {Path(os.fsdecode(folder)) for folder in SHARED}:
            return False
        try:
            names = os.listdir(self.sysroot / "bin")
        except OSError:
            return False
        return all(f"$SYSROOT/bin/{name}" in PROGRAMS for name in names)

    def path(self, base: str) -> str:
        """Return the PATH `base`, with this tool chain first where proxies would be found instead.

        A tool chain of the system lies among its other programs, whose order must stay as it is.
        """
        if all(_is_first(program, base) for program in (self.cargo, self.rustc)):
            return base
        return os.pathsep.join([str(self.rustc.parent), *filter(None, base.split(os.pathsep))])


def resolve(folder: Path, environment: Mapping[str, str], *, name: str = "") -> Toolchain:
    """Find the tool chain for a command run in `folder`; `name` is that of a `+name`, or empty.

    Raises:
        BuildpermError: There is no cargo or rustc, or they fail, or a file in `folder` or above it
            leads rustup to programs that are not its own.
    """
    base = dict(environment)
    if name:
        base["RUSTUP_TOOLCHAIN"] = name
    search = base.get("PATH", os.defpath)
    proxy = shutil.which(base.get("RUSTC") or "rustc", path=search)
    if proxy is None:
        raise BuildpermError(
            "no `rustc` on PATH", hint="Install Rust, for example with https://rustup.rs."
        )
    named = shutil.which("cargo", path=search)
    if named is None:
        raise BuildpermError(
            "no `cargo` on PATH", hint="Install Rust, for example with https://rustup.rs."
        )
    called = Path(named)
    neutral_query.refuse_toolchain(folder, base, proxy)
    # Only rustup's proxy takes a `+name`: any other rustc says that it does not know what is meant.
    chosen = [f"+{name}"] if name else []
    sysroot = Path(_ask([proxy, *chosen, "--print", "sysroot"], folder, base).strip())
    if not sysroot.is_dir():
        raise BuildpermError(f"`rustc --print sysroot` names `{sysroot}`, which is no folder")
    sysroot = sysroot.resolve()
    rustup_home = _rustup_home(base, sysroot)
    cargo = _program(sysroot, "cargo", search)
    rustc = _program(sysroot, "rustc", search)
    real = {**base, "PATH": f"{rustc.parent}{os.pathsep}{search}"}
    # Not `cargo -vV`: that starts a dozen programs to find out what this system is called.
    said, version = _answers([[str(rustc), "-vV"], [str(cargo), "-V"]], folder, real)
    described = _fields(said)
    if "host" not in described or "release" not in described:
        raise BuildpermError(f"`{rustc} -vV` names no host or no release")
    return Toolchain(
        sysroot=sysroot,
        cargo=cargo,
        rustc=rustc,
        cargo_home=cargo_home(folder, base),
        rustup_home=rustup_home,
        name=_name(base, sysroot, rustup_home),
        host=described["host"],
        cargo_version=_version(version),
        rustc_version=described["release"],
        described=said,
        called=None if called.resolve() == cargo.resolve() else called,
    )


def _is_proxy(program: str) -> bool:
    """Tell whether a program is rustup by another name: a link, a hard link, or a copy."""
    try:
        return os.stat(program).st_size == os.stat(Path(program).with_name("rustup")).st_size
    except (OSError, ValueError):
        return False


def _program(sysroot: Path, name: str, search: str) -> Path:
    """Find `name` in the tool chain; tool chains of one's own often come without cargo."""
    own = sysroot / "bin" / name
    if os.access(own, os.X_OK):
        return own
    found = shutil.which(name, path=search)
    if found is None:
        raise BuildpermError(f"no `{name}` in `{sysroot / 'bin'}` or on PATH")
    return Path(found)


def _is_first(program: Path, search: str) -> bool:
    found = shutil.which(program.name, path=search)
    return found is not None and Path(found).resolve() == program.resolve()


def _name(environment: Mapping[str, str], sysroot: Path, rustup_home: Path | None) -> str:
    if rustup_home is None:
        return environment.get("RUSTUP_TOOLCHAIN", "")
    if sysroot.parent == rustup_home / "toolchains":
        return sysroot.name
    return str(sysroot)  # rustup takes an absolute path in place of a name.


def _rustup_home(environment: Mapping[str, str], sysroot: Path) -> Path | None:
    """Return RUSTUP_HOME where rustup is in use at all."""
    home = _home(environment, "RUSTUP_HOME", ".rustup", sysroot)
    in_use = environment.get("RUSTUP_HOME") or sysroot.is_relative_to(home) or home.is_dir()
    return home if in_use else None


def cargo_home(folder: Path, environment: Mapping[str, str]) -> Path:
    """Return CARGO_HOME without links, whether it exists or not.

    Raises:
        BuildpermError: There is no home folder.
    """
    return _home(environment, "CARGO_HOME", ".cargo", folder)


def _home(environment: Mapping[str, str], variable: str, default: str, folder: Path) -> Path:
    """Return the folder that `variable` names, without links, whether it exists or not."""
    value = environment.get(variable)
    if value:
        return (folder / value).resolve()
    return (home(environment) / default).resolve()


def home(environment: Mapping[str, str]) -> Path:
    """Return the home folder, as Cargo finds it: HOME, or what the user database says.

    Raises:
        BuildpermError: There is none; what is sensitive in it could not be told from the rest.
    """
    named = environment.get("HOME")
    try:
        return Path(named) if named else Path.home()
    except RuntimeError:
        raise BuildpermError(
            "this user has no home folder: HOME is not set, and the user database names none",
            hint="Set HOME; an empty folder will do.",
        ) from None


def _fields(described: str) -> dict[str, str]:
    pairs = (line.split(": ", 1) for line in described.splitlines() if ": " in line)
    return {pair[0]: pair[1].strip() for pair in pairs}


def _version(told: str) -> str:
    """Read what `cargo -V` says: `cargo 1.95.0 (f2d3ce0bd 2026-03-21)`; empty if unclear."""
    words = told.split()
    return words[1] if len(words) > 1 and words[0] == "cargo" else ""


def _ask(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    return _answers([command], folder, environment)[0]


def _answers(
    commands: Sequence[list[str]], folder: Path, environment: Mapping[str, str]
) -> list[str]:
    """Return what programs print, which run at the same time."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            running.append(_started(command, folder, environment))  # noqa: PERF401 - see `finally`
        return [_answer(*each) for each in zip(running, commands, strict=True)]
    finally:
        for process in running:
            process.kill()
            process.communicate()


def _started(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise BuildpermError(f"cannot run `{' '.join(command)}`: {error}") from error


def _answer(process: subprocess.Popen[bytes], command: list[str]) -> str:
    try:
        output, talk = process.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise BuildpermError(f"cannot run `{' '.join(command)}`: {error}") from error
    if process.returncode != 0:
        said = talk.decode("utf-8", "replace").strip() or "it says nothing"
        hint = "" if has_proc() else MOUNT_PROC  # rustup asks there which program it is.
        raise BuildpermError(f"`{' '.join(command)}` failed: {said}", hint=hint)
    return output.decode("utf-8", "surrogateescape")
