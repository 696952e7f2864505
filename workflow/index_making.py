"""What `index` does: records crates, or takes what is recorded, into a folder of entries.

A folder is all there is: each entry is a file of its own, written at once, so that a run that is
stopped goes on where it was, and folders of several machines are merged by copying them together.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from buildperm import __version__
from buildperm.cargo import toolchain
from buildperm.cargo.toolchain import Toolchain
from buildperm.cargo.trial_workspace import WantedCrate
from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy.entry_list import (
    ENTRY_MOST,
    FILE,
    LIST_MOST,
    EntryList,
    entry_path,
    is_entry_path,
)
from buildperm.policy.grants import CRATES_IO
from buildperm.policy.permission_entry import PermissionEntry, asks_of, parse_entry
from buildperm.policy.role import SubjectKind
from buildperm.presentation import console
from buildperm.presentation.build_viewer import BuildViewer
from buildperm.printable import shown
from buildperm.report.text import count
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.reader import Header
from buildperm.workflow.crate_trial import (
    FAILED,
    CrateTrial,
    bare_proposals,
    open_trial,
    origin_of,
)
from buildperm.workflow.index_source import read_regular
from buildperm.workflow.kept_builds import kept_builds, kept_crates
from buildperm.workflow.workspace import open_contexts

_LIST_OF_CRATES_MOST = 16 << 20  # Bytes.


@dataclass(frozen=True, slots=True)
class Part:
    """One of several parts of a list of crates: which crates are in it depends on names alone."""

    number: int = 1  # From 1 on.
    total: int = 1

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read `3/8`.

        Raises:
            BuildpermError: It is no part.
        """
        number, slash, total = text.partition("/")
        if slash and number.isascii() and number.isdigit() and total.isascii() and total.isdigit():
            found = cls(int(number), int(total))
            if 1 <= found.number <= found.total:
                return found
        raise BuildpermError(f"`{text}` is no part", hint="Write K/N, such as 3/8.")

    def has(self, name: str) -> bool:
        """Tell whether a crate is in it."""
        digest = hashlib.sha256(name.lower().replace("_", "-").encode()).digest()
        return int.from_bytes(digest[:8]) % self.total == self.number - 1


class IndexFolder:
    """A folder of entries, in which entries are only ever added."""

    def __init__(self, folder: Path, *, again: bool = False) -> None:
        """Take a folder, which is made if it is not there.

        Args:
            folder: Where entries are.
            again: Write entries anew that are there.

        Raises:
            BuildpermError: It cannot be made.
        """
        self.folder = folder
        self._again = again
        self._new: set[str] = set()  # Paths of what this run has written.
        self.written = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BuildpermError(f"cannot make `{folder}`: {error.strerror}") from error

    def lacks(self, name: str, version: str, checksum: str) -> bool:
        """Tell whether an entry has to be written: there is none, or it is of another content."""
        path = entry_path(name, version)
        if self._again:
            return path not in self._new
        try:
            entry = parse_entry(read_regular(self.folder / path, ENTRY_MOST))
        except BuildpermError:
            return True
        return entry.checksum != checksum

    def add(self, entry: PermissionEntry) -> None:
        """Write an entry.

        Raises:
            BuildpermError: It cannot be written, or nobody would read it.
        """
        raw = entry.dump()
        parse_entry(raw)
        if len(raw) > ENTRY_MOST:
            raise BuildpermError(f"the entry of {entry.name} {entry.version} is too long")
        path = entry_path(entry.name, entry.version)
        _write(self.folder / path, raw)
        self._new.add(path)
        self.written += 1

    def is_done(self, resolved: Iterable[str]) -> bool:
        """Tell whether a build of just these packages is in it, even if not all of them ran."""
        return not self._again and self._mark(resolved).exists()

    def note_done(self, resolved: Iterable[str]) -> None:
        """Note that a build of just these packages is in it.

        Raises:
            BuildpermError: That cannot be written.
        """
        _write(self._mark(resolved), b"")

    def _mark(self, resolved: Iterable[str]) -> Path:
        digest = hashlib.sha256("\n".join(resolved).encode()).hexdigest()
        return self.folder / ".done" / digest

    def seal(self) -> str:
        """Write the list anew from the entries that are there; return its SHA-256.

        Raises:
            BuildpermError: An entry is broken, or the list cannot be written.
        """
        hashes = {}
        for path in sorted(self._paths()):
            raw = read_regular(self.folder / path, ENTRY_MOST)
            entry = parse_entry(raw)
            if entry_path(entry.name, entry.version) != path:
                raise BuildpermError(f"`{path}` is the entry of {entry.name} {entry.version}")
            hashes[path] = hashlib.sha256(raw).hexdigest()
        raw = EntryList(hashes, __version__).dump()
        if len(raw) > LIST_MOST:
            raise BuildpermError("the index has too many entries for one list")
        _write(self.folder / FILE, raw)
        return hashlib.sha256(raw).hexdigest()

    def _paths(self) -> Iterator[str]:
        for where, _, names in os.walk(self.folder):
            for name in names:
                path = Path(where, name).relative_to(self.folder).as_posix()
                if is_entry_path(path):
                    yield path


def _write(path: Path, raw: bytes) -> None:
    """Write a file at once: whoever is stopped leaves the old one, or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                os.fchmod(file.fileno(), 0o644)  # It is to be served.
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise BuildpermError(f"cannot write `{path}`: {error.strerror}") from error


def requests_of(crates: Iterable[str], lists: Iterable[Path]) -> list[WantedCrate]:
    """Return the crates of the command line, and of files with one on a line; `#` is a comment.

    Raises:
        BuildpermError: One is no crate, or a file cannot be read.
    """
    named = list(crates)
    for path in lists:
        text = read_regular(path, _LIST_OF_CRATES_MOST).decode("utf-8", "replace")
        named += [bare for line in text.splitlines() if (bare := line.partition("#")[0].strip())]
    return [WantedCrate.parse(each) for each in dict.fromkeys(named)]


def make_index(
    index: IndexFolder, requests: Iterable[WantedCrate], part: Part, viewer: BuildViewer
) -> int:
    """Record crates with their dependencies, and write an entry for each that is not there.

    Returns the exit code: that of the last crate that could not be had or built, else 0. The others
    are recorded all the same.

    Raises:
        BuildpermError: The folder cannot be used, or nothing can be held here.
    """
    chain = toolchain.resolve(Path.cwd(), os.environ)
    code: int = ExitCode.OK
    wanted = [each for each in requests if part.has(each.name)]
    for number, request in enumerate(wanted, 1):
        console.print_message(f"{number}/{len(wanted)}  {request.name}")
        try:
            ended = _record(index, request, chain, viewer)
        except BuildpermError as error:
            if error.exit_code is ExitCode.CANNOT_ENFORCE:
                raise
            console.print_message(f"{request.name}: {error.args[0]}")
            ended = error.exit_code
        if ended == ExitCode.INTERRUPTED:
            return ended
        code = ended or code
    return code


def _record(index: IndexFolder, request: WantedCrate, chain: Toolchain, viewer: BuildViewer) -> int:
    with open_trial(request, chain, None, None) as trial:
        packages = trial.packages()
        resolved = sorted(f"{each.id} {','.join(each.features)}" for each in packages)
        if index.is_done(resolved) or not any(
            _is_wanted(index, trial, each.id) for each in packages
        ):
            return ExitCode.OK
        built = trial.build(viewer, f"index  {request.name}")
        for package_id, entry in built.entries.items():
            if _is_wanted(index, trial, package_id):
                index.add(entry)
        if built.interrupted:
            return ExitCode.INTERRUPTED
        if built.failure is not None:
            console.print_message(f"{request.name}: the build failed; what ran is in the index")
            return built.failure.exit_code
        index.note_done(resolved)
    return ExitCode.OK


def _is_wanted(index: IndexFolder, trial: CrateTrial, package_id: str) -> bool:
    package = trial.project.metadata.packages[package_id]
    checksum = trial.checksum(package)
    if not checksum or package.source not in CRATES_IO:
        return False  # Its name means another package elsewhere.
    return index.lacks(package.name, package.version, checksum)


def take_recorded(index: IndexFolder) -> None:
    """Write an entry for whatever is recorded in the workspace of the current folder.

    Its grants play no part: what was asked for is what was recorded.

    Raises:
        BuildpermError: There is no workspace, or something in it is broken.
    """
    workspaces = open_contexts([], locked=True)
    builds = kept_builds(workspaces)
    project = workspaces[0].project
    newest: dict[bytes, tuple[float, Header]] = {}
    ran: dict[bytes, set[str]] = {}
    failed: set[bytes] = set()
    for unit in (unit for build in builds for unit in build.outcome.units):
        try:
            moment, header = unit.recording.stat().st_mtime, reader.read(unit.recording).header
        except (OSError, BuildpermError):
            continue  # `kept_crates` tells of it.
        if unit.package not in newest or newest[unit.package][0] < moment:
            newest[unit.package] = moment, header
        ran.setdefault(unit.package, set()).add(unit.subject)
        if unit.status:
            failed.add(unit.package)
    for crate in kept_crates(builds, console.print_warning):
        package = project.metadata.packages.get(crate.package["id"])
        folder = os.fsencode(package.folder) if package else b""
        if package is None or package.source not in CRATES_IO or folder not in newest:
            continue
        checksum = project.lock.checksum(package.name, package.version, package.source)
        if not index.lacks(package.name, package.version, checksum):
            continue
        moment, header = newest[folder]
        origin = origin_of(project.toolchain, header.runtime, header.mode, moment)
        bare = bare_proposals(crate.package, crate.accesses, crate.consumers)
        index.add(
            PermissionEntry(
                package.name,
                package.version,
                checksum,
                tuple(kind for kind in SubjectKind if kind in ran[folder]),
                asks_of(bare),
                FAILED if folder in failed else "",
                package.features,
                # Which rustc and which buildperm that was, a recording tells in part.
                replace(origin, buildperm=header.buildperm, rustc=""),
            )
        )


def sealed(index: IndexFolder) -> str:
    """Write the list, and say what there is: a line for people.

    Raises:
        BuildpermError: The list cannot be written.
    """
    digest = index.seal()
    console.print_message(f"{count(index.written, 'new entry', 'new entries')}.")
    return f"{shown(str(index.folder))}#sha256={digest}"
