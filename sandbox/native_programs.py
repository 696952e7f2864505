"""Compiles the C programs, once for each C compiler: launcher, shim and host, and the inner loop.

The first three hold compilers; the last is a library that makes the recorder faster. They lie in
the user's cache, in folders that are named after all that they were made of. Whoever may write
there is the user; what is found there is compared with the checksums that were written with it, so
that a damaged file is noticed and made anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePath

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import private_cache

_ROOT = PurePath(os.path.realpath(__file__)).parent.parent
_SOURCES = _ROOT / "supervisor" / "compiling"
_STOPS = _ROOT / "tracer" / "recorder" / "stops"
_FLAGS = (
    *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-fstack-protector-strong"),
    *("-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack"),
)
_PROGRAM, _LIBRARY = ("-fPIE", "-pie"), ("-fPIC", "-shared")
# Cargo has compilers look for libraries among outputs, and in folders of build scripts. Nothing
# holds the launcher, so it looks nowhere; without a static libc, first where the system's is.
_ALONE = ("-fPIE", "-static-pie")
_SYSTEM_FIRST = (
    "-Wl,--disable-new-dtags,-rpath,"
    "/lib64:/usr/lib64:/lib/x86_64-linux-gnu:/lib/aarch64-linux-gnu:/lib:/usr/lib"
)
# Macros need libgcc, and the host begins with it.
_COMMON = ("-Wl,--push-state,--no-as-needed", "-lgcc_s", "-Wl,--pop-state")
_LINKED = ("-ldl", "-lpthread")  # Parts of libc since glibc 2.34.
_COMPILERS = ("cc", "gcc", "clang")
_CHECKSUMS = "checksums"
_TIMEOUT_S = 120
_HINT = (
    "Install a C compiler (`cc`), which Rust needs to link as well, "
    'or set `compile = "off"` in [workspace.metadata.buildperm].'
)


@dataclass(frozen=True, slots=True)
class NativePrograms:
    """The programs as they were compiled here."""

    launcher: Path
    shim: Path
    host: Path
    digest: str
    """Differs where anything about the programs may: sources, flags, the compiler."""


@dataclass(frozen=True, slots=True)
class ProgramRecipe:
    """How one program is made: of which sources, and how linked."""

    name: str
    sources: tuple[Path, ...]
    kind: tuple[str, ...]
    otherwise: tuple[str, ...] = ()
    """Where that cannot be linked."""
    common: tuple[str, ...] = _FLAGS
    linked: tuple[str, ...] = _LINKED


def programs(folder: Path | None = None) -> NativePrograms:
    """Return the programs, which are compiled if they have not been before.

    Args:
        folder: Where folders of programs are kept; by default in the user's cache.

    Raises:
        CannotEnforceError: There is no C compiler, or it cannot compile them.
    """
    flags = " ".join((*_FLAGS, *_ALONE, *_COMMON, *_LINKED))
    kept = made(_recipes(), Path(_SOURCES), flags, folder)
    return NativePrograms(
        launcher=kept / "launcher", shim=kept / "shim.so", host=kept / "host", digest=kept.name
    )


def inner_loop(folder: Path | None = None) -> bytes:
    """Return the library for `tracer.recorder.inner_loop`, which is compiled if it has not been.

    Empty where that cannot be done: the recorder does without.
    """
    recipe = ProgramRecipe("inner_loop.so", tuple(sorted(Path(_STOPS).glob("*.c"))), _LIBRARY)
    flags = " ".join((*_FLAGS, *_LIBRARY))
    try:
        return (made([recipe], Path(_STOPS), flags, folder) / recipe.name).read_bytes()
    except (CannotEnforceError, OSError):
        return b""


def compiler_name() -> str:
    """Return what the C compiler is called that would be used; empty where there is none."""
    return next((name for name in _COMPILERS if shutil.which(name)), "")


def made(
    recipes: Sequence[ProgramRecipe], sources: Path, flags: str, folder: Path | None = None
) -> Path:
    """Return the folder with the programs of some recipes, which is named after their digest.

    Args:
        recipes: All that the folder has to hold.
        sources: Where their sources are, with all that these include.
        flags: All that they are compiled with, as one text.
        folder: Where folders of programs are kept; by default in the user's cache.

    Raises:
        CannotEnforceError: There is no C compiler, or it cannot compile them.
    """
    compiler = _compiler()
    kept = (folder or private_cache.place("programs")) / _digest(compiler, sources, flags)
    names = [recipe.name for recipe in recipes]
    try:
        if not _is_intact(kept, names):
            _compile(compiler, recipes, kept)
    except OSError as error:
        raise CannotEnforceError(
            f"cannot keep compiled programs in {kept}: {error.strerror}",
            hint="Set XDG_CACHE_HOME to a folder that only you can write to.",
        ) from error
    return kept


def _compiler() -> Path:
    for name in _COMPILERS:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise CannotEnforceError("there is no C compiler", hint=_HINT)


def _recipes() -> list[ProgramRecipe]:
    """List the programs: what belongs to neither shim nor host belongs to the launcher."""
    found = sorted(Path(_SOURCES).glob("*.c"))
    shim = tuple(path for path in found if path.name.startswith("shim"))
    host = tuple(path for path in found if path.name.startswith("host"))
    launcher = tuple(path for path in found if path not in {*shim, *host})
    return [
        ProgramRecipe("launcher", launcher, _ALONE, (*_PROGRAM, _SYSTEM_FIRST)),
        ProgramRecipe("shim.so", shim, _LIBRARY),
        ProgramRecipe("host", host, (*_PROGRAM, *_COMMON), _PROGRAM),
    ]


@cache
def _digest(compiler: Path, sources: Path, flags: str) -> str:
    """Digest the sources, the flags, and which compiler it is (without running it)."""
    found = os.stat(compiler)
    identity = f"{os.path.realpath(compiler)} {found.st_size} {found.st_mtime_ns}"
    parts = [os.fsencode(identity), flags.encode()]
    for path in sorted(sources.glob("*.[ch]")):
        parts += [path.name.encode(), path.read_bytes()]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d %s" % (len(part), part))
    return digest.hexdigest()[:32]


def _is_intact(folder: Path, names: Iterable[str]) -> bool:
    """Tell whether all programs are there as they were made, and only their owner writes there."""
    try:
        lines = (folder / _CHECKSUMS).read_text(encoding="utf-8").splitlines()
        paths = [folder, *(folder / name for name in names)]
        if any(private_cache.is_others(path) for path in paths):
            return False
        return lines == list(_sums(folder, names))
    except (OSError, ValueError):
        return False


def _sums(folder: Path, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}"


def _compile(compiler: Path, recipes: Iterable[ProgramRecipe], kept: Path) -> None:
    """Make all programs in a folder beside, and put it in its place in one step."""
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if private_cache.is_others(kept.parent):
        raise CannotEnforceError(
            f"others can write to {kept.parent}", hint=f"Run `chmod go-w {kept.parent}`."
        )
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=kept.parent))  # 0700
    try:
        names = [recipe.name for recipe in recipes]
        _make_all(compiler, recipes, making)
        (making / _CHECKSUMS).write_text("\n".join(_sums(making, names)) + "\n", encoding="utf-8")
        try:
            making.rename(kept)
        except OSError:  # Another process was faster, or what is there is damaged.
            if not _is_intact(kept, names):
                shutil.rmtree(kept)
                making.rename(kept)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _make_all(compiler: Path, recipes: Iterable[ProgramRecipe], into: Path) -> None:
    running = [(recipe, _started(compiler, recipe, into)) for recipe in recipes]
    try:
        for recipe, process in list(running):
            try:
                _finish(recipe, process)
            except CannotEnforceError:
                if not recipe.otherwise:
                    raise
                other = replace(recipe, kind=recipe.otherwise)
                running.append((other, _started(compiler, other, into)))
                _finish(*running[-1])
            (into / recipe.name).chmod(0o700)
    finally:
        for _, process in running:
            process.kill()
            process.communicate()


def _started(compiler: Path, recipe: ProgramRecipe, into: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(str(compiler), *recipe.common, *recipe.kind, "-o", str(into / recipe.name)),
            *(*map(str, recipe.sources), *recipe.linked),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(into)},
        encoding="utf-8",
        errors="backslashreplace",
    )


def _finish(recipe: ProgramRecipe, process: subprocess.Popen[str]) -> None:
    try:
        said, _ = process.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise CannotEnforceError(
            f"the C compiler did not end over {recipe.name}: compiling cannot be held", hint=_HINT
        ) from error
    if process.returncode:
        wrong = [line for line in said.splitlines() if "error" in line] or said.splitlines()
        raise CannotEnforceError(
            f"the C compiler cannot make {recipe.name}: {wrong[0] if wrong else 'it says nothing'}",
            hint=_HINT,
        )
