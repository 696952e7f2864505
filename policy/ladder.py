"""Ladders: from exactly what was seen up to whole folders, each step as small as possible."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

STEPS_MOST = 12
"""Steps of one ladder; what lies above is written by hand."""
EXTENSIONS_MOST = 5
"""Extensions in one folder that are granted one by one; of more, any file there is."""
BEGINNING_LEAST = 3
"""Characters of the first word of a variable that may stand for all variables of a library."""
NAMED_MOST = 3
"""Places that the name of one step tells."""

_ONES_OWN = ("$WORKSPACE/", "$MANIFEST_DIR/")
_NUMBER = re.compile(r"(%[0-9A-Fa-f]{2})|[0-9]+")  # What stands for one byte is no number.
_KEY_FOLDERS = frozenset(("", "$HOME", "$CARGO_HOME"))  # Keys lie directly in them.
_EXTENSION = re.compile(r".(\.[A-Za-z][A-Za-z0-9_+-]{0,11})\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rung:
    """Patterns that cover everything that was seen, and what they are called."""

    title: str  # Follows "allows": "the *.proto files in $WORKSPACE/proto".
    patterns: frozenset[str]
    widening: str  # What they allow beyond what was seen, in a sentence; empty if nothing.


def of_reads(targets: Collection[str], folders: Iterable[str] = ()) -> Iterator[Rung]:
    """Yield the steps above the exact one: by extension, by folder, and each folder around.

    A target that is the folder of another one was listed, and so was one of `folders`.
    """
    found = frozenset(targets)
    listed = found.intersection(above(found).union(folders))
    files = found - listed
    if listed:
        there = {file for file in files if parent(file) in listed}
        kept = found - there
        yield _like(kept | by_extension(there), listed, "as the script lists the folder")
    around = listed | {parent(file) for file in files} - {""}
    tops = outermost(listed)
    apart = {target for target in found - tops if tops.isdisjoint(above([target]))}
    if apart and any(parent(folder) in listed for folder in listed):
        # A step for all folders would reach up to what joins them: here, those that were walked.
        yield _walked(tops, frozenset(apart))
        yield _walked(tops, by_extension(apart))
        yield from of_folders(around, "Allows all files and folders there, now and later.")
        return
    yield _like(listed | by_extension(files), listed, "")
    if not listed:
        yield from numbered(files)
    yield Rung(
        f"any file directly in {named(around)}",
        frozenset((*around, *(f"{folder}/*" for folder in around))),
        "Allows files there that were not seen, and new ones.",
    )
    yield from of_folders(around, "Allows all files and folders there, now and later.")


def of_folders(folders: Iterable[str], widening: str) -> Iterator[Rung]:
    """Yield all that is below these folders, then below the folders around them, up to the root."""
    roots = outermost(folders)
    for _ in range(STEPS_MOST):
        if not roots or "" in roots or any(_is_varying(folder) for folder in roots):
            return
        yield Rung(
            f"everything below {named(roots)}",
            frozenset(f"{folder}/**" for folder in roots),
            widening,
        )
        deepest = max(folder.count("/") for folder in roots)
        roots = outermost(
            parent(folder) if folder.count("/") == deepest else folder for folder in roots
        )


def numbered(names: Iterable[str]) -> Iterator[Rung]:
    """Yield the same names with any text in the place of their numbers, where that joins some."""
    found = frozenset(names)
    if not all("/" not in name or name.startswith(_ONES_OWN) for name in found):
        return  # What lies elsewhere is numbered by version, or beside what is not one's own.
    patterns = frozenset(map(numberless, found))
    if len(patterns) < len(found) and not any(name.strip("*_/$") == "" for name in patterns):
        kinds = listing(sorted(patterns))
        yield Rung(f"all of {kinds}", patterns, "Allows what is called alike, now and later.")


def numberless(name: str) -> str:
    """Write a wildcard in the place of each number in a name."""
    return _NUMBER.sub(lambda found: found[1] or "*", name)


def of_variables(names: Collection[str]) -> Iterator[Rung]:
    """Yield the variables of the same beginnings, the longest beginnings first."""
    yield from numbered(names)
    cut = {name: name.split("_") for name in names}
    for less in range(1, max((len(words) for words in cut.values()), default=0)):
        patterns = set()
        for words in cut.values():
            start = "_".join(words[: max(1, len(words) - less)])
            if len(words) < 2 or not words[-1] or len(words[0]) < BEGINNING_LEAST:
                return
            patterns.add(f"{start}_*")
        least = {each for each in patterns if not _has_shorter(each, patterns)}
        yield Rung(
            f"all variables {listing(sorted(least))}",
            frozenset(least),
            "Allows variables of these beginnings that were not seen, unless they look like "
            "secrets.",
        )


def by_extension(files: Iterable[str]) -> frozenset[str]:
    """Return patterns for files of the same extension in the same folder; other files as they are.

    A file that is alone of its kind among many stays as it is: `README.md` beside sources. Where
    there are many kinds of files in a folder, they are any file there.
    """
    folders: dict[str, dict[str, list[str]]] = {}
    for file in files:
        kinds = folders.setdefault(parent(file), {})
        kinds.setdefault(extension(file), []).append(file)
    patterns: set[str] = set()
    for folder, kinds in folders.items():
        if folder in _KEY_FOLDERS:
            patterns.update(file for there in kinds.values() for file in there)
        elif len(kinds) > EXTENSIONS_MOST or len(kinds.get("", ())) > EXTENSIONS_MOST:
            patterns.add(f"{folder}/*")
        else:
            are_many = any(len(there) > 1 for kind, there in kinds.items() if kind)
            for kind, there in kinds.items():
                is_alone = are_many and len(there) == 1
                patterns.update([f"{folder}/*{kind}"] if kind and not is_alone else there)
    return frozenset(patterns)


def by_habit(targets: Collection[str]) -> dict[str, str]:
    """Tell what was read as the next commits will read it, too, by target.

    A folder that is listed gets other files. One whose folders are listed gets other folders.
    """
    found = frozenset(targets)
    listed = found.intersection(above(found))
    walked = {
        top: f"{top}/**"
        for top in outermost(listed)
        if any(parent(folder) in listed and folder.startswith(f"{top}/") for folder in listed)
    }
    told = {}
    for target in found:
        folder = parent(target)
        top = next((each for each in (target, *above([target])) if each in walked), None)
        if top is not None:
            told[target] = walked[top]
        elif target in listed or folder not in listed:
            told[target] = target
        else:
            told[target] = f"{folder}/*{extension(target)}"
    return told


def extension(file: str) -> str:
    """Return the extension of a file with its dot; empty if it has none, as `LICENSE`."""
    found = _EXTENSION.search(file.rpartition("/")[2])
    return found[1] if found else ""


def above(targets: Iterable[str]) -> set[str]:
    """Return every folder that one of the targets lies in."""
    found: set[str] = set()
    for target in targets:
        folder = parent(target)
        while folder and folder not in found:
            found.add(folder)
            folder = parent(folder)
    return found


def parent(target: str) -> str:
    """Return the folder that a target lies in; empty for a root."""
    return target.rpartition("/")[0]


def outermost(folders: Iterable[str]) -> frozenset[str]:
    """Leave out the folders that lie below others of them."""
    everything = frozenset(folders)
    return frozenset(each for each in everything if above([each]).isdisjoint(everything))


def named(folders: Iterable[str]) -> str:
    """Name folders for a title: the first few."""
    return listing(sorted(outermost(folders)))


def listing(names: list[str]) -> str:
    """List names for a title: the first few, and how many more there are."""
    more = f" and {len(names) - NAMED_MOST} more" if len(names) > NAMED_MOST else ""
    return ", ".join(names[:NAMED_MOST]) + more


def _walked(tops: frozenset[str], others: frozenset[str]) -> Rung:
    """Allow all below folders that were walked, and of what lies elsewhere only `others`."""
    return Rung(
        f"everything below {named(tops)} and {listing(sorted(others))}",
        frozenset(f"{folder}/**" for folder in tops) | others,
        "Allows all files and folders there, now and later, as the script walks them.",
    )


def _like(patterns: frozenset[str], listed: frozenset[str], why: str) -> Rung:
    """Name patterns, some of which stand for the files of one extension or folder."""
    wild: dict[str, list[str]] = {}
    exact = 0
    for pattern in sorted(patterns):
        folder, _, name = pattern.rpartition("/")
        if "*" in name and "**" not in name:
            wild.setdefault(folder, []).append(name)
        elif pattern not in listed:
            exact += 1
    parts = [
        f"{'any file' if names == ['*'] else f'the {listing(names)} files'} in {folder}"
        for folder, names in wild.items()
    ]
    title = listing(parts)
    if exact:
        title = f"{title} and exactly {exact} other{'s' * (exact > 1)}" if parts else "these files"
    reason = f", {why}" if why else ""
    return Rung(title, patterns, f"Allows new files of these kinds there, too{reason}.")


def _is_varying(folder: str) -> bool:
    """Tell whether a folder has another name in each build, which a pattern stands for already."""
    return "*" in folder.rpartition("/")[2]


def _has_shorter(pattern: str, others: Iterable[str]) -> bool:
    return any(each != pattern and pattern.startswith(each[:-1]) for each in others)
