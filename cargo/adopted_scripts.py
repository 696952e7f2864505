"""Build scripts that Cargo has compiled itself, in the user's target directory.

While buildperm is always on a stub stands in place of each, so that Cargo takes it for as fresh as
before and holds it when it runs again. Macro libraries stay as they are: whose each is, is noted.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import dep_info, units
from buildperm.errors import BuildpermError
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.target_directory import TargetDirectory

_MARK = b"\n# real: "
_MOST = 1 << 20  # More than a stub has.


def adopt(target: Path, stub: bytes, known: Collection[str]) -> int:
    """Put stubs in place of the build scripts of a target directory; return of how many.

    Both names of a program are one file, of the same age as it was: Cargo's fingerprints hold.

    Args:
        target: The target directory, without links.
        stub: What each of them is to begin with.
        known: Digests of all such beginnings: `cargo.standing_state.note_stub`.

    Raises:
        BuildpermError: It cannot be done, or Cargo would find a build script behind a link.
    """
    _refuse_links(target)
    count = 0
    try:
        for program, names in _programs(target):
            if not is_stub(program, known):
                _replace(program, names, stub)
                count += 1
    except OSError as error:
        raise BuildpermError(
            f"cannot put stubs into `{_named(target)}`: {error.strerror}",
            hint="Make it writable, or run `cargo clean`.",
        ) from error
    return count


def folders(target: Path) -> set[Path]:
    """Return the folders that are changed by a build script that is compiled or brought along."""
    builds = units.build_folders(target)
    found = {each for each in builds if each.parents[1] == target or each.is_dir()}
    return found | {target} | {program.parent for program in units.programs(target)}


def _replace(program: Path, names: list[Path], stub: bytes) -> None:
    about = program.stat()
    real = program.with_name(f"{program.name}.real")
    # A checkout may have brought this folder along: no name in it is free just because it is ours.
    descriptor, made = tempfile.mkstemp(prefix=f"{program.name}.stub.", dir=program.parent)
    fresh = Path(made)
    try:
        with open(descriptor, "wb") as file:
            file.write(stub + b"# real: " + os.fsencode(real.name) + b"\n")
            os.fchmod(descriptor, about.st_mode & 0o777 | 0o100)
        os.utime(fresh, ns=(about.st_atime_ns, about.st_mtime_ns))
        if not (_has_mark(program) and _is_regular(real)):  # Else it is a stub of another version.
            real.unlink(missing_ok=True)
            os.link(program, real)  # There is a program by each name at any time.
        _link_over(fresh, names[1:])
        fresh.replace(program)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _link_over(program: Path, names: list[Path]) -> None:
    """Give a program further names, whatever has these."""
    for name in names:
        second = program.with_name(f"{name.name}.{secrets.token_hex(8)}")
        os.link(program, second)
        second.replace(name)


def give_back(target: Path, known: Collection[str]) -> int:
    """Put the build scripts of a target directory back where stubs of ours are; return how many.

    Raises:
        OSError: It cannot be done.
    """
    count = 0
    for program, names in _programs(target):
        real = program.with_name(f"{program.name}.real")
        if not is_stub(program, known) or not _is_regular(real):
            continue
        about = program.stat()
        os.utime(real, ns=(about.st_atime_ns, about.st_mtime_ns))
        _link_over(real, names[1:])
        real.replace(program)
        count += 1
    for real in _left_over(target):
        real.unlink(missing_ok=True)
    return count


def _left_over(target: Path) -> Iterator[Path]:
    """Yield what a stub stood for that is gone: Cargo has removed it, and compiled no other one."""
    for build in units.build_folders(target):
        for pattern in ("build_script_*.real", "metabuild_*.real"):
            for real in build.glob(f"*/{pattern}"):
                if _is_regular(real) and not os.path.lexists(real.with_suffix("")):
                    yield real


def without_stub(target: Path, known: Collection[str]) -> list[Path]:
    """List the build scripts in a target directory that would run unheld."""
    led = units.programs(target, follows=True)
    return [program for program in led if not is_stub(program, known)]


def is_stub(program: Path, known: Collection[str]) -> bool:
    """Tell whether a program is a stub of always on, all of it.

    Whoever wrote a build script has a say in each of its bytes.
    """
    head, mark, _ = _content(program).rpartition(_MARK)
    return bool(mark) and hashlib.sha256(head + b"\n").hexdigest() in known


def _has_mark(program: Path) -> bool:
    return _MARK in _content(program)


def _content(program: Path) -> bytes:
    """Return what is in a program; nothing where it is too large for a stub."""
    try:
        with program.open("rb") as file:
            content = file.read(_MOST + 1)
    except OSError:
        return b""
    return content if len(content) <= _MOST else b""


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _refuse_links(target: Path) -> None:
    for program in units.programs(target, follows=True):
        if os.path.realpath(program) != str(program):
            raise BuildpermError(
                f"a link leads to the build script `{_named(program)}`, so it cannot be held",
                hint=f"Remove the link on that path below `{_named(target)}`, or run "
                "`cargo clean`.",
            )


def _named(path: Path) -> str:
    return encode(os.fsencode(path))


def _programs(target: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield each program by the name that rustc gave it, with all of its names, that one first."""
    found: dict[tuple[int, int], list[Path]] = {}
    for program in units.programs(target):
        about = program.stat()
        found.setdefault((about.st_dev, about.st_ino), []).append(program)
    for names in found.values():
        # `build_script_build-HASH`, and `build-script-build` for Cargo.
        names.sort(
            key=lambda each: (not each.name.startswith(("build_script_", "metabuild_")), each)
        )
        yield names[0], names


def attribute_macros(directory: TargetDirectory, metadata: Metadata) -> int:
    """Note whose macro libraries are that were compiled before; return how many.

    Whose sources a library was made of says rustc's own list of them beside it.

    Raises:
        OSError: It cannot be written.
    """
    noted = directory.state / "libraries"
    owners = {package.folder: package for package in metadata.packages.values()}
    count = 0
    for library in _libraries(directory.folder):
        key = "%".join(library.relative_to(directory.folder).parts)
        if (noted / key).exists():
            continue
        listed = library.with_name(library.name.removeprefix("lib").removesuffix(".so") + ".d")
        sources = dep_info.listed(listed, metadata.root)
        above = (folder for source in sources for folder in source.parents)
        owner = next((owners[folder] for folder in above if folder in owners), None)
        if owner is None or not owner.has_macros:
            continue
        noted.mkdir(mode=0o700, parents=True, exist_ok=True)
        (noted / key).write_bytes(os.fsencode(owner.folder) + b"\0")
        count += 1
    return count


def _libraries(target: Path) -> Iterator[Path]:
    """Yield what may be libraries of macros, in both of Cargo's layouts."""
    for build in units.build_folders(target):
        packages = [Path(each.path) for each in units.entries(build) if each.is_dir()]
        folders = [build.parent / "deps"]
        folders += [Path(unit.path) / "out" for each in packages for unit in units.entries(each)]
        for folder in folders:
            for entry in units.entries(folder):
                if entry.name.endswith(".so") and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)
