"""What build scripts have left and printed, in two builds in the same place, compared."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.entries import Unstable

_RERUN = ("cargo:rerun-if-", "cargo::rerun-if-")


@dataclass(frozen=True, slots=True)
class Differences:
    """What is not the same, each as `CRATE WHAT`."""

    files: tuple[str, ...]
    directives: tuple[str, ...]
    excused: tuple[str, ...]  # With the reason, from the list.


def made(build: Path) -> dict[str, tuple[dict[str, str], list[str]]]:
    """Return files and directives of each run below Cargo's folder `build`, by its unit."""
    return {
        str(run.relative_to(build)): (dict(_files(run / "out")), _directives(run / "output"))
        for run in sorted(_runs(build))
    }


def compare(
    plain: dict[str, tuple[dict[str, str], list[str]]],
    held: dict[str, tuple[dict[str, str], list[str]]],
    unstable: Iterable[Unstable],
) -> Differences:
    """Compare what `made` has returned of two builds."""
    files: list[str] = []
    directives: list[str] = []
    excused: set[str] = set()
    known = list(unstable)

    def sort(into: list[str], crate: str, what: str) -> None:
        for each in known:
            if each.crate in ("*", crate) and each.what.search(what):
                excused.add(f"{crate} {each.reason}")
                return
        into.append(f"{crate} {what}")

    for unit in sorted(plain.keys() | held.keys()):
        crate = unit.split("/")[0].rpartition("-")[0]
        if (unit in plain) != (unit in held):
            files.append(f"{crate} ran in one of the builds only")
            continue
        (left, printed), (left_held, printed_held) = plain[unit], held[unit]
        for name in sorted(left.keys() | left_held.keys()):
            if left.get(name) != left_held.get(name):
                sort(files, crate, name)
        for line in sorted(set(printed) ^ set(printed_held)):
            sort(directives, crate, line)
        if set(printed) == set(printed_held) and printed != printed_held:
            sort(directives, crate, "the same lines in another order or number")
    return Differences(tuple(files), tuple(directives), tuple(sorted(excused)))


def _runs(build: Path) -> Iterator[Path]:
    """Yield every folder of a run: `PACKAGE-HASH`, and in Cargo's newer layout `PACKAGE/HASH`."""
    for folder in build.iterdir():
        nested = (path for path in folder.iterdir() if len(path.name) == 16)
        for run in (folder, *nested):
            if (run / "output").is_file() or (run / "root-output").is_file():
                yield run


def _files(top: Path) -> Iterator[tuple[str, str]]:
    """Yield each file below `top` with what it is: its kind, mode and content."""
    for where, folders, names in os.walk(top):
        for name in (*names, *folders):
            path = Path(where, name)
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                yield str(path.relative_to(top)), f"link to {os.readlink(path)}"
            elif stat.S_ISREG(status.st_mode):
                runs = "x" if status.st_mode & stat.S_IXUSR else ""
                yield str(path.relative_to(top)), f"{runs} {_digest(path)}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _directives(output: Path) -> list[str]:
    """Return the lines for Cargo; `rerun-if` in the order of the alphabet, as maps are in none."""
    if not output.is_file():
        return []
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line for line in lines if line.startswith("cargo:")]
    reruns = sorted(line for line in told if line.startswith(_RERUN))
    return [line for line in told if not line.startswith(_RERUN)] + reruns
