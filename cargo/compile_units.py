"""Compilations and macros in a target directory: which are fresh, what they did, what is recorded.

For each unit that a compiler was called for the launcher keeps a folder with a marker in it, and
below that the recording of each library of macros that ran. What compiling itself was refused, or
was seen reading from elsewhere, becomes a recording here.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import (
    compile_markers,
    compile_reads,
    compile_recording,
    dep_info,
    fingerprints,
    units,
)
from buildperm.policy.grants import OFF, WATCH
from buildperm.rules import tier
from buildperm.tracer.notation import encode
from buildperm.tracer.recording_format import COMPILE, MACRO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from buildperm.cargo.compile_markers import Marker
    from buildperm.cargo.compile_session import CompileSession
    from buildperm.cargo.message_stream import Artifact
    from buildperm.cargo.metadata import Metadata, Package
    from buildperm.cargo.units import Unit
    from buildperm.supervisor.session import Session, SessionPackage

_DOCUMENTED = re.compile(r"%[0-9a-f]{16}$")
"""The number by which the launcher tells calls of rustdoc apart: see `unit.c`."""


@dataclass(frozen=True, slots=True)
class CompileUnits:
    """The compilations of one target directory, under one session."""

    target: Path
    state: Path
    session: Session
    compiling: CompileSession
    metadata: Metadata

    def invalidate(self) -> int:
        """Make Cargo compile again what was not compiled under this session; return how much.

        Raises:
            OSError: A file cannot be removed, so that Cargo would take something for fresh.
        """
        by_hash: dict[str, Marker] = {}
        by_name: dict[str, list[Marker]] = defaultdict(list)
        for marker in compile_markers.markers(self.state):
            package = self.compiling.packages.get(marker.manifest)
            if package is not None and marker.manifest not in self.compiling.marked:
                shutil.rmtree(marker.folder)  # It will say nothing of what is compiled now.
            elif marker.hash:
                by_hash[marker.hash] = marker
            else:
                by_name[_DOCUMENTED.sub("", marker.folder.name)].append(marker)
        marked = {
            each.name
            for each in self.metadata.packages.values()
            if os.fsencode(each.folder) in self.compiling.marked
        }
        again = 0
        for package_name, number, fresh in fingerprints.all_in(self.target):
            compiled = list(fingerprints.compiled(fresh))
            if not compiled or package_name not in marked:
                continue
            numbered = by_hash.get(number)
            found = (
                [numbered] if numbered else self._unnumbered(by_name, package_name, fresh, compiled)
            )
            if not found or not all(map(self._is_current, found)):
                shutil.rmtree(fresh)
                for marker in found:  # One that nobody makes again would never be current.
                    shutil.rmtree(marker.folder, ignore_errors=True)
                again += 1
        return again

    def before(self) -> dict[Path, tuple[int, int]]:
        """Return which markers there are, to tell those apart that a build makes."""
        return {each.folder: each.changed for each in compile_markers.markers(self.state)}

    def recorded(
        self, before: Mapping[Path, tuple[int, int]], among: Collection[Artifact] | None
    ) -> list[Unit]:
        """Return what took part in a build and is recorded; compilations where there is news.

        Args:
            before: What `before` returned.
            among: What Cargo has reported, fresh or not; None: everything there is counts.

        Raises:
            OSError: A recording cannot be written.
        """
        reported: dict[tuple[bytes, str], list[Artifact]] = defaultdict(list)
        packages = self.metadata.packages
        for each in among or ():
            if each.package in packages:
                folder = os.fsencode(packages[each.package].folder)
                reported[folder, each.crate].append(each)
        found: list[Unit] = []
        seen: set[tuple[bytes, str]] = set()
        for marker in compile_markers.markers(self.state):
            seen.add((marker.manifest, marker.crate))
            has_run = before.get(marker.folder) != marker.changed
            is_reported = any(
                _is_of(marker, each) for each in reported[marker.manifest, marker.crate]
            )
            if (among is None or has_run or is_reported) and self._is_of_session(marker):
                found += self._of_macros(marker)
                found += self._of_compiling(marker)
        for (manifest, crate), artifacts in reported.items():
            if (manifest, crate) not in seen and self.compiling.modes[manifest] == WATCH:
                for marker in self._watched(manifest, artifacts):
                    found += self._of_compiling(marker)
        return sorted(found, key=lambda unit: unit.folder)

    def failed(self, before: Mapping[Path, tuple[int, int]]) -> list[tuple[bytes, str]]:
        """Return the compilations that failed in a build: package folder, and crate for rustc.

        `before` is what `before` returned.
        """
        return sorted(
            {
                (marker.manifest, marker.crate)
                for marker in compile_markers.markers(self.state)
                if marker.status
                and before.get(marker.folder) != marker.changed
                and self._is_of_session(marker)
            }
        )

    def kept(self) -> list[Unit]:
        """Return the last recordings of macros and compilations, under whatever grants.

        Nothing is written, so that a compilation of which nobody has asked yet has none.
        """
        newest: dict[tuple[object, ...], tuple[tuple[int, int], Unit]] = {}
        for marker in compile_markers.markers(self.state):
            package = self.compiling.packages.get(marker.manifest)
            found = (
                [units.read(marker.folder, "", package, marker.manifest, COMPILE)]
                if package
                else []
            )
            for library, manifest in marker.macros:
                macros = self.session.get("macros", {}).get(manifest)
                if macros is not None:
                    found.append(units.read(marker.recording(library), "", macros, manifest, MACRO))
            for unit in filter(None, found):
                told = replace(unit, target=marker.target, features=marker.features)
                run = told.package, told.subject, told.consumer, told.target, told.features
                newest[run] = max(
                    newest.get(run, (marker.changed, told)),
                    (marker.changed, told),
                    key=lambda each: each[0],
                )
        return sorted((unit for _, unit in newest.values()), key=lambda unit: unit.folder)

    def _watched(self, manifest: bytes, artifacts: Iterable[Artifact]) -> Iterator[Marker]:
        """Yield what would be the markers of compilations that were only looked at."""
        for artifact in artifacts:
            for told in dep_info.beside(artifact.crate, artifact.files):
                if told.is_relative_to(self.target):
                    name = "%".join(("watched", *told.relative_to(self.target).parts))
                    yield compile_markers.unheld(
                        self.state / name,
                        manifest,
                        self.session["profile"],
                        artifact.crate,
                        artifact.features,
                        told,
                    )

    def _of_macros(self, marker: Marker) -> Iterator[Unit]:
        macros = self.session.get("macros", {})
        for library, manifest in marker.macros:
            package = macros.get(manifest)
            if package is None:
                continue
            found = self._read(marker.recording(library), package, manifest, MACRO)
            if found is not None:
                yield replace(found, target=marker.target, features=marker.features)

    def _of_compiling(self, marker: Marker) -> Iterator[Unit]:
        """Write the recording of a compilation, if there is anything to tell."""
        if self.compiling.modes[marker.manifest] == OFF:
            return
        package = self.compiling.packages[marker.manifest]
        recording = marker.folder / "buildperm" / "recording.jsonl"
        reads, refused = self._news(marker)
        given = compile_reads.variables(marker, package["env"])
        if not (reads or refused or given or marker.withheld):
            recording.unlink(missing_ok=True)
            return
        compile_recording.write(
            os.fsencode(recording),
            self._header(marker),
            b"rustc",
            read=reads,
            refused=refused,
            given=given,
            withheld={name: self.compiling.secrets.get(name, "") for name in marker.withheld},
            status=marker.status,
        )
        found = self._read(marker.folder, package, marker.manifest, COMPILE)
        if found is not None:
            yield found

    def _news(self, marker: Marker) -> tuple[list[bytes], list[tuple[str, bytes]]]:
        """Return what a compilation has read without being asked about, and was refused.

        What macros have put into the code that they made may be read by their grants. While those
        are being learnt, that they read it is all that there is to ask.
        """
        root, places = self.metadata.root, self.session["places"]
        lent = self.compiling.lent[marker.manifest]
        allowed = self.compiling.rights.unasked(self._package(marker), lent)
        reads = compile_reads.outside(marker, root, places["TARGET_DIR"], allowed)
        refused = compile_reads.refused(marker, root, places)
        if self.session["profile"] == "learning" and (reads or refused):
            asked = compile_reads.by_macros(unit.recording for unit in self._of_macros(marker))
            reads = compile_reads.without(reads, asked)
            kept = compile_reads.without((path for how, path in refused if how == "read"), asked)
            refused = [each for each in refused if each[0] != "read" or each[1] in kept]
        return reads, refused

    def _package(self, marker: Marker) -> Package:
        return self.metadata.by_folder[marker.manifest]

    def _read(
        self, folder: Path, package: SessionPackage, manifest: bytes, subject: str
    ) -> Unit | None:
        return units.read(folder, self.session["profile"], package, manifest, subject)

    def _header(self, marker: Marker) -> dict[str, object]:
        session = self.session
        package = self.compiling.packages[marker.manifest]
        places = session["places"] | {"MANIFEST_DIR": marker.manifest}
        return {
            "subject": COMPILE,
            "crate": package["crate"],
            "name": package["name"],
            "crate_version": package["version"],
            "source": package["source"],
            "checksum": package["checksum"],
            "target": encode(os.fsencode(marker.target)),
            "host": "",
            "profile": "",
            "features": [encode(os.fsencode(each)) for each in marker.features],
            "kernel": session["kernel"],
            "runtime": session["runtime"],
            "landlock_abi": session["landlock_abi"],
            "left_open": list(session.get("left_open", ())),
            "mode": session["profile"],
            "command": session.get("command", ""),
            "buildperm": session["buildperm"],
            "session": package.get("digest", ""),
            "places": {token: encode(path) for token, path in places.items()},
            "path": encode(session["path"]),
            "foreign": [
                encode(path) for path in self.compiling.rights.foreign(self._package(marker))
            ],
            "held": {
                encode(path): session["tier"]["held"][path]
                for path in tier.closed_to(session["tier"], marker.manifest)
            },
        }

    def _is_of_session(self, marker: Marker) -> bool:
        package = self.compiling.packages.get(marker.manifest)
        return package is not None and (
            (marker.digest, marker.profile) == (package.get("digest"), self.session["profile"])
        )

    def _is_current(self, marker: Marker) -> bool:
        """Tell whether a unit was compiled under this session, and its macros ran under it."""
        if marker.manifest not in self.compiling.packages:
            return True  # It takes no part here.
        return self._is_of_session(marker) and all(
            self._is_macro_current(marker, *each) for each in marker.macros
        )

    def _is_macro_current(self, marker: Marker, library: str, manifest: bytes) -> bool:
        if not (marker.recording(library) / "buildperm").is_dir():
            return True  # Its table was known, and nothing of it was expanded.
        package = self.session.get("macros", {}).get(manifest)
        if package is None:
            return False
        return self._read(marker.recording(library), package, manifest, MACRO) is not None

    def _unnumbered(
        self,
        by_name: Mapping[str, list[Marker]],
        package: str,
        fresh: Path,
        compiled: Iterable[tuple[str, str]],
    ) -> list[Marker]:
        """Find the markers of a unit whose outputs have no number in their names."""
        if fresh.name == "fingerprint":  # build/PKG/HASH/fingerprint
            root, folders = fresh.parents[3], [fresh.parent / "out"]
        else:
            root = fresh.parents[1]
            folders = [root / "deps", root / "examples"]
        packages = self.metadata.by_folder
        found = []
        for how, crate in compiled:
            for folder in [root.parent / "doc"] if how == "doc-" else folders:
                name = "%".join((*folder.relative_to(self.target).parts, crate))
                found += [
                    marker
                    for marker in by_name.get(name, ())
                    if marker.manifest in packages and packages[marker.manifest].name == package
                ]
        return found


def _is_of(marker: Marker, artifact: Artifact) -> bool:
    """Tell whether a marker is, or may be, of what Cargo has reported."""
    if not set(artifact.features) <= set(marker.features):  # A build script may add some.
        return False
    if marker.hash and any(marker.hash in name for name in artifact.files):
        return True
    # What Cargo puts somewhere else at last has no number in its name.
    if not marker.hash or not artifact.files:
        return True
    paths = [Path(name) for name in artifact.files]
    is_numbered = any(path.parent.name == "deps" for path in paths)
    return not is_numbered and any(_may_be(marker, path) for path in paths)


def _may_be(marker: Marker, path: Path) -> bool:
    """Tell whether Cargo may have put an output of a unit there: as a second name, or a copy."""
    folder = Path(os.fsdecode(marker.out_dir))
    if not folder.is_relative_to(path.parent):
        return False  # Of another profile, or for another target.
    try:
        found = path.stat()
        return found.st_nlink < 2 or any(
            os.path.samestat(each.stat(), found) for each in folder.glob(f"*{marker.hash}*")
        )
    except OSError:
        return True
