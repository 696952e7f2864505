"""Build scripts that Cargo has compiled itself, in the user's target directory.

While buildperm is always on a stub stands in place of each, so that Cargo takes it for as fresh as
before and holds it when it runs again. Macro libraries stay as they are: whose each is, is noted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import dep_info, units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.target_directory import TargetDirectory

_MARK = b"\n# real: "
_ON = b"\non="
_TAIL = 4096


def adopt(target: Path, stub: bytes) -> int:
    """Put stubs in place of the build scripts of a target directory; return of how many.

    Both names of a program are one file, of the same age as it was: Cargo's fingerprints hold.

    Raises:
        OSError: It cannot be done.
    """
    count = 0
    for program, names in _programs(target):
        if is_stub(program):
            continue
        about = program.stat()
        real = program.with_name(f"{program.name}.real")
        fresh = program.with_name(f"{program.name}.stub.{os.getpid()}")
        text = stub + b"# real: " + os.fsencode(real.name) + b"\n"
        fresh.write_bytes(text)
        fresh.chmod(about.st_mode & 0o777 | 0o100)
        os.utime(fresh, ns=(about.st_atime_ns, about.st_mtime_ns))
        if real.exists():
            real.unlink()
        os.link(program, real)  # There is a program by each name at any time.
        for name in names[1:]:
            second = fresh.with_name(f"{fresh.name}.2")
            os.link(fresh, second)
            second.replace(name)
        fresh.replace(program)
        count += 1
    return count


def give_back(target: Path) -> int:
    """Put the build scripts of a target directory back where stubs of ours are; return how many.

    Raises:
        OSError: It cannot be done.
    """
    count = 0
    for program, names in _programs(target):
        real = program.with_name(f"{program.name}.real")
        if not is_stub(program) or not real.is_file():
            continue
        about = program.stat()
        os.utime(real, ns=(about.st_atime_ns, about.st_mtime_ns))
        for name in names[1:]:
            second = real.with_name(f"{real.name}.2")
            os.link(real, second)
            second.replace(name)
        real.replace(program)
        count += 1
    return count


def without_stub(target: Path) -> list[Path]:
    """List the build scripts in a target directory that would run unheld."""
    return [program for program, _ in _programs(target) if not is_stub(program)]


def is_stub(program: Path) -> bool:
    """Tell whether a program is a stub of always on."""
    try:
        with program.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            end = file.read()
    except OSError:
        return False
    return _MARK in end and _ON in end


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
