"""The units of a target directory: compiled build scripts, their runs, and their recordings.

Cargo has two layouts below each profile's folder; HASH stands for 16 hexadecimal digits:

              until 1.99                                   from 1.100
    program   build/PKG-HASH/build_script_X-HASH           build/PKG/HASH/out/build_script_X
              build/PKG-HASH/build-script-X (hard link)
    OUT_DIR   build/PKG-HASH/out                           build/PKG/HASH/out
    freshness .fingerprint/PKG-HASH/run-build-script-*     build/PKG/HASH/fingerprint/run-build-…
              .fingerprint/PKG-HASH/build-script-*         build/PKG/HASH/fingerprint/build-script-*

A unit is the folder above OUT_DIR or above the program. Without the freshness files Cargo does its
work again; programs and outputs themselves may stay where they are.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from buildperm.errors import BuildpermError
from buildperm.tracer.notation import decode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from buildperm.supervisor.session import Session, SessionPackage

_PIECE = 1 << 16  # More than most recordings have in their last line.
_PROGRAMS = ("build_script_", "build-script-", "metabuild_", "metabuild-")
_RUN = "run-build-script-"
_MARKED = "build-script-"
_STUB_MARK = b"\n# real: "


@dataclass(frozen=True, slots=True)
class Unit:
    """One recorded run of one subject, for one target, profile and set of features.

    The subject is a build script, a procedural macro that was expanded in another package, or the
    compiler as it compiled the package.
    """

    folder: Path
    package: bytes  # Manifest directory of whose code ran: the key in `Session.packages`.
    target: str
    profile: str
    features: tuple[str, ...]
    status: int  # What the supervisor told Cargo.
    subject: str = "script"  # Or `macro`, or `compile`.
    consumer: str = ""  # Key of the crate in which a macro was expanded.

    @property
    def recording(self) -> Path:
        """Return the file with its events."""
        return self.folder / "buildperm" / "recording.jsonl"


def recorded(
    target_directory: Path, session: Session, *, among: Collection[Path] | None = None
) -> list[Unit]:
    """Find the complete recordings made under `session`, by folder.

    A build may run one script several times with nothing to tell these runs apart: for the host and
    for the target, or at two levels of optimisation. Each of them counts.

    `among` are the folders of the runs that took part in a build; None for all that there are.
    """
    folders = _units(target_directory) if among is None else among
    found = (_read(folder, session) for folder in folders)
    return sorted((unit for unit in found if unit is not None), key=lambda unit: unit.folder)


def kept(target_directory: Path, session: Session) -> list[Unit]:
    """Find the last complete recording of each run of each build script, under whatever grants.

    What a script is granted by now does not change what Cargo gave it to run.
    """
    newest: dict[tuple[object, ...], tuple[int, Unit]] = {}
    for folder in _units(target_directory):
        unit = _read(folder, session, is_current=False)
        if unit is not None:
            at = unit.recording.stat().st_mtime_ns
            run = unit.package, unit.target, unit.profile, unit.features
            newest[run] = max(newest.get(run, (at, unit)), (at, unit), key=lambda each: each[0])
    return sorted((unit for _, unit in newest.values()), key=lambda unit: unit.folder)


def without_recording(session: Session, folders: Collection[Path]) -> list[Path]:
    """Return those of `folders` whose run has no complete recording made under `session`."""
    return sorted(folder for folder in folders if _read(folder, session) is None)


def unit_of(target_directory: Path, out_dir: str) -> Path | None:
    """Return the folder of the run whose OUT_DIR is called so; None where there is no such run.

    Somebody may have made the name up. It has to be spelt as Cargo spells it: from the target
    directory on, with no link on the way.
    """
    head = f"{target_directory}/"
    parts = out_dir.removeprefix(head).split("/")
    is_spelt_so = out_dir.startswith(head) and parts[-1] == "out" and not {"", ".", ".."} & {*parts}
    if not is_spelt_so or "\0" in out_dir:
        return None
    match parts:
        case [_, "build", _, _] | [_, _, "build", _, _]:
            is_shaped_so = True
        case [_, "build", _, unit, _] | [_, _, "build", _, unit, _]:
            is_shaped_so = _is_hash(unit)
        case _:
            is_shaped_so = False
    folder = target_directory.joinpath(*parts[:-1])
    try:
        is_there = is_shaped_so and os.path.realpath(folder) == str(folder) and _has_run(folder)
    except (OSError, ValueError):  # A name that no file can have.
        return None
    return folder if is_there else None


def _has_run(folder: Path) -> bool:
    is_held = (folder / "buildperm").is_dir()
    return is_held or any(marker.name.startswith(_RUN) for marker in _markers(folder))


def recordings(target_directory: Path) -> list[Path]:
    """List where the recording of each held run is, or should be; by folder.

    Whatever it was made under; and it may be missing or broken.
    """
    folders = (folder / "buildperm" for folder in _units(target_directory))
    scripts = (folder / "recording.jsonl" for folder in folders if folder.is_dir())
    return sorted((*scripts, *_compiled(target_directory)))


def _compiled(target_directory: Path) -> Iterator[Path]:
    """Yield the recordings of macros, and of compilations of which there is something to tell."""
    for unit in entries(target_directory / "buildperm-compile"):
        for entry in entries(Path(unit.path)):
            inner = Path(unit.path) if entry.name == "buildperm" else Path(entry.path)
            found = inner / "buildperm" / "recording.jsonl"
            if found.is_file():
                yield found


def invalidate(target_directory: Path, session: Session, stub: bytes) -> int:
    """Make Cargo repeat what must not count as fresh; return how many runs and programs.

    That is each run without a complete recording made under `session`, and each program that is not
    `stub`, whoever compiled it.

    Raises:
        OSError: A file cannot be removed, so that an unguarded program might run.
    """
    again = 0
    for program in programs(target_directory):
        if _is_stub(program, stub):
            continue
        program.unlink()
        for marker in _markers(_unit_of(program)):
            marker.unlink()
        again += 1
    for folder in _units(target_directory):
        runs = [marker for marker in _markers(folder) if marker.name.startswith(_RUN)]
        if runs and _read(folder, session) is None:
            for marker in runs:
                marker.unlink()
            again += 1
    return again


def forget(target_directory: Path, names: Collection[str]) -> None:
    """Make Cargo compile packages again, even those that it takes for fresh.

    Raises:
        OSError: A file cannot be removed.
    """
    for build in build_folders(target_directory):
        for entry in entries(build.parent / ".fingerprint"):
            if entry.name.rpartition("-")[0] in names:
                shutil.rmtree(entry.path)
        for name in names:
            for unit in entries(build / name):
                shutil.rmtree(os.path.join(unit.path, "fingerprint"), ignore_errors=True)


def without_stub(target_directory: Path, stub: bytes) -> list[Path]:
    """Return the build scripts that Cargo takes for well linked and that have no stub.

    After a build there must be none: they may have run.
    """
    return [
        program
        for program in programs(target_directory)
        if not _is_stub(program, stub) and _is_linked(_unit_of(program))
    ]


def programs(target_directory: Path, *, follows: bool = False) -> Iterator[Path]:
    """Yield what Cargo runs as build scripts: stubs, unless something went wrong.

    Cargo follows links on the way there. With `follows`, so does this.
    """
    for unit in _units(target_directory, follows=follows):
        for folder in _program_folders(unit):
            for entry in entries(folder):
                # Beside it lie NAME.d, NAME.real, and NAME.stub.PID of a wrapper that was killed.
                is_named_so = entry.name.startswith(_PROGRAMS) and "." not in entry.name
                if is_named_so and entry.is_file(follow_symlinks=follows):
                    yield Path(entry.path)


def _program_folders(unit: Path) -> Iterator[Path]:
    """Yield where the program of a unit may be; never OUT_DIR, which is the script's to fill.

    Whoever made a target directory may have put marks of one layout into units of the other.
    """
    yield unit
    if any(entry.name.startswith(_MARKED) for entry in entries(unit / "fingerprint")):
        yield unit / "out"


def _unit_of(program: Path) -> Path:
    return program.parent.parent if program.parent.name == "out" else program.parent


def _units(target_directory: Path, *, follows: bool = False) -> Iterator[Path]:
    """Yield the folders of all units of both layouts; a layout's empty levels do no harm."""
    for build in build_folders(target_directory, follows=follows):
        for package in entries(build):
            if not package.is_dir(follow_symlinks=follows):
                continue
            yield Path(package.path)
            for unit in entries(Path(package.path)):
                if _is_hash(unit.name) and unit.is_dir(follow_symlinks=follows):
                    yield Path(unit.path)


def _is_hash(name: str) -> bool:
    return len(name) == 16 and set(name) <= set("0123456789abcdef")


def build_folders(target_directory: Path, *, follows: bool = False) -> Iterator[Path]:
    """Yield `PROFILE/build` and `TARGET/PROFILE/build`."""
    for profile in entries(target_directory):
        if profile.is_dir(follow_symlinks=follows):
            yield Path(profile.path) / "build"
            for inner in entries(Path(profile.path)):
                if inner.name != "build" and inner.is_dir(follow_symlinks=follows):
                    yield Path(inner.path) / "build"


def _is_linked(unit: Path) -> bool:
    """Tell whether Cargo saw rustc succeed: it empties the marker before, and fills it after."""
    return any(marker.stat().st_size for marker in _linked_markers(unit))


def _linked_markers(unit: Path) -> list[Path]:
    return [marker for marker in _markers(unit) if not marker.name.startswith(_RUN)]


def _markers(unit: Path) -> list[Path]:
    """Return the files that make Cargo take the unit for fresh, of both layouts."""
    old = unit.parent.parent / ".fingerprint" / unit.name
    return [
        Path(entry.path)
        for folder in (old, unit / "fingerprint")
        for entry in entries(folder)
        if entry.name.startswith((_RUN, _MARKED))
    ]


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder by name; what is no folder is empty.

    Raises:
        BuildpermError: It cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BuildpermError(
            f"cannot list `{folder}`: {error.strerror}",
            hint="Make it a folder that you may read, or remove it.",
        ) from error


def _is_stub(program: Path, stub: bytes) -> bool:
    """Tell whether a program is the current stub, with the build script behind it."""
    try:
        with program.open("rb") as file:
            text = file.read(len(stub) + 4096)
    except OSError:
        return False
    head, mark, name = text.rpartition(_STUB_MARK)
    return bool(mark) and head + b"\n" == stub and _is_file(program.parent, name.rstrip(b"\n"))


def _is_file(folder: Path, name: bytes) -> bool:
    return b"/" not in name and (folder / os.fsdecode(name)).is_file()


def _read(folder: Path, session: Session, *, is_current: bool = True) -> Unit | None:
    """Read head and tail of a script's recording; None if incomplete or of another session.

    Without `is_current`, of another session is fine, as long as the package is the same.
    """
    ends = _ends(folder)
    try:
        manifest_dir = decode(ends[0]["places"]["MANIFEST_DIR"]) if ends else b""
        package = session["packages"].get(manifest_dir)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    if ends is None or package is None:
        return None
    profile = session["profile"] if is_current else ""
    return _unit(folder, profile, package, manifest_dir, "script", *ends)


def read(
    folder: Path, profile: str, package: SessionPackage, manifest_dir: bytes, subject: str
) -> Unit | None:
    """Read head and tail of the recording of a macro or a compilation.

    None if it is incomplete, of another subject, or was made under another session.
    """
    ends = _ends(folder)
    return _unit(folder, profile, package, manifest_dir, subject, *ends) if ends else None


def _unit(
    folder: Path,
    profile: str,
    package: SessionPackage,
    manifest_dir: bytes,
    subject: str,
    header: Any,  # noqa: ANN401 - JSON
    end: Any,  # noqa: ANN401 - JSON
) -> Unit | None:
    """Make a unit of what its recording says; an empty `profile` means any session."""
    try:
        now = (package["name"], package["version"], package["source"], package["checksum"])
        then = (header["name"], header["crate_version"], header["source"], header["checksum"])
        is_of_it = header.get("subject", "script") == subject
        if header["type"] != "header" or end["type"] != "end" or now != then or not is_of_it:
            return None
        # Plain Cargo enforces where a command would have learnt.
        if profile and (header["session"], header["mode"]) != (package.get("digest"), profile):
            return None
        return Unit(
            folder=folder,
            package=manifest_dir,
            target=str(header["target"]),
            profile=str(header["profile"]),
            features=tuple(sorted(map(str, header["features"]))),
            status=int(end["exit"]),
            subject=subject,
            consumer=str(header["consumer"]["crate"]) if subject == "macro" else "",
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _ends(folder: Path) -> tuple[Any, Any] | None:
    """Parse the first and the last line of a recording."""
    try:
        with (folder / "buildperm" / "recording.jsonl").open("rb") as file:
            return json.loads(file.readline()), json.loads(_last_line(file))
    except (OSError, ValueError, RecursionError):
        return None


def _last_line(file: BinaryIO) -> bytes:
    """Return the last line. It can be long: it names programs that the script has left."""
    at = file.seek(0, os.SEEK_END)
    found = b""
    while at > 0 and b"\n" not in found.rstrip(b"\n"):
        length = min(at, max(_PIECE, len(found)))  # Twice as much each time.
        at = file.seek(at - length)
        found = file.read(length) + found
    return found.rstrip(b"\n").rpartition(b"\n")[2]
