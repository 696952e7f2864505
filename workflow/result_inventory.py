"""The stores of what is kept of build scripts: which there are, reads all, clears, bounds them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from buildperm.cache import digest, module_result
from buildperm.cache.kept_result import KeptResult
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.cargo import result_folder
from buildperm.errors import BuildpermError, ExitCode
from buildperm.presentation import console
from buildperm.report.text import count
from buildperm.sandbox import private_cache
from buildperm.workflow import wasi_settings

MOST_BYTES = 1 << 30
"""Above it the results that were used longest ago go at the end of a build."""

_YOUNG_S = 3600  # A blob may be of a result that is about to be filed.


def verify() -> int:
    """Read everything, and remove what is damaged; return the exit code."""
    counts = [_verified(store) for store in every_store()]
    total, damaged = (sum(numbers) for numbers in zip(*counts, strict=True))
    console.print_message(f"{count(total, 'result')} read, {damaged} damaged")
    return ExitCode.USAGE if damaged else ExitCode.OK


def _verified(store: FolderStore) -> tuple[int, int]:
    """Read one store, and remove what is damaged; return how many results, and how many of both.

    A folder in it that is not ours is left where it is, and counts as damaged.
    """
    damaged = 0
    known: dict[tuple[str, int], bool] = {}
    total = 0
    for line in store.unused():
        console.print_line(f"{line}: what lies there is not used; remove it")
        damaged += 1
    for key, name, result in list(store.every()):
        total += 1
        for named, size, _ in result.blobs():
            blob = str(named), int(size)
            if blob not in known:
                known[blob] = _is_whole(store, *blob)
        if not all(known[str(named), int(size)] for named, size, _ in result.blobs()):
            console.print_line(f"{title(result)} was damaged, and is removed")
            store.remove(key, name)
            damaged += 1
    for blob in [blob for blob, is_whole in known.items() if not is_whole]:
        for part in _parts(store, *blob):
            if not _is_whole(store, *part):
                store.remove_blob(part[0])
        store.remove_blob(blob[0])
    return total, damaged


def clear(crate: str | None) -> int:
    """Remove what is kept, of one crate or of all; return the exit code."""
    stores = every_store()
    found = list(of_crate(stores, crate))
    for store, key, name, _ in found:
        if is_of_modules(store):
            module_result.forget(_top(store), key)
        else:
            store.remove(key, name)
    for store in stores:
        if crate is None and is_of_modules(store):
            _forget_modules(_top(store))
        _forget_unused(store, _uses_of(store), young_s=0.0 if crate is None else _YOUNG_S)
    console.print_message(f"{count(len(found), 'result')} removed")
    return ExitCode.OK


def hold_to_limit(folder: bytes, most: int = MOST_BYTES) -> None:
    """Remove the results that were used longest ago until a store takes no more than so many bytes.

    Another build may be at it: what it cannot find any more, it makes anew. What another build may
    be about to name stays for an hour, and does not count.
    """
    try:
        store = FolderStore(folder)
        size = store.size()
        if size <= most:
            return
        kept = _uses_of(store)
        gone = _beyond(store, kept, size, most)
        for each in kept[:gone]:
            store.remove(each.key, each.name)
        _forget_unused(store, kept[gone:], _YOUNG_S)
    except (OSError, StoreError):
        return  # The next build tries again.


@dataclass(frozen=True, slots=True)
class _ResultUse:
    """What of a result decides how long it stays."""

    used_s: float
    key: str
    name: str
    blobs: frozenset[str]
    """All that it needs: those that it names, and the parts of those."""


def _uses_of(store: FolderStore) -> list[_ResultUse]:
    """Return all results of a store, those first that were used longest ago."""
    parts: dict[tuple[str, int], list[str]] = {}
    kept = []
    for key, name, result in store.every():
        blobs = {(str(named), int(size)) for named, size, _ in result.blobs()}
        for blob in blobs - parts.keys():
            parts[blob] = [blob[0], *(part for part, _ in _parts(store, *blob))]
        needed = frozenset(named for blob in blobs for named in parts[blob])
        kept.append(_ResultUse(store.last_use_s(key, name), key, name, needed))
    return sorted(kept, key=lambda each: each.used_s)


def _beyond(store: FolderStore, kept: Sequence[_ResultUse], size: int, most: int) -> int:
    """Return how many results go where all of them take more than `most` bytes.

    They then leave a quarter of it free, so that not each build has to do this again.

    Args:
        store: Where they are.
        kept: Those first that go first.
        size: What the whole store takes, in bytes.
        most: In bytes.
    """
    sizes = {named: about.st_size for named, about in store.blobs()}
    without_blobs = size - sum(sizes.values())
    of_each = without_blobs // max(1, len(kept))
    uses = Counter(named for each in kept for named in each.blobs)
    total = without_blobs + sum(sizes.get(named, 0) for named in uses)
    if total <= most:
        return 0
    for gone, each in enumerate(kept):
        if total <= most * 3 // 4:
            return gone
        uses.subtract(each.blobs)
        total -= of_each + sum(sizes.get(named, 0) for named in each.blobs if not uses[named])
    return len(kept)


def _forget_unused(store: FolderStore, kept: Iterable[_ResultUse], young_s: float) -> None:
    """Remove the blobs that no result needs, and that nobody has used for so many seconds."""
    used = frozenset(named for each in kept for named in each.blobs)
    before_s = time.time() - young_s
    for named, about in store.blobs():
        if named not in used and about.st_mtime <= before_s:
            store.remove_blob(named)


def _parts(store: FolderStore, named: str, size: int) -> list[tuple[str, int]]:
    """Return the other blobs that one consists of; none where it is damaged, and of no use."""
    try:
        return store.parts(named, size)
    except (OSError, ValueError):
        return []


def every_store() -> list[FolderStore]:
    """Return the store of this user, those of workspaces that share results, that of modules."""
    top = private_cache.place(result_folder.OWN).parent
    try:
        listed = sorted(os.listdir(top))
    except OSError:
        listed = []
    others = filter(result_folder.is_shared, listed)
    modules = [wasi_settings.PLACE] if wasi_settings.PLACE in listed else []
    return [opened(each) for each in (result_folder.OWN, *others, *modules)]


def _top(store: FolderStore) -> bytes:
    """Return the folder of the cache that has a store."""
    return os.path.dirname(store.folder)


def is_of_modules(store: FolderStore) -> bool:
    return os.path.basename(_top(store)) == os.fsencode(wasi_settings.PLACE)


def _forget_modules(folder: bytes) -> None:
    """Remove the modules that no result belongs to: what killed builds have left."""
    for name in os.listdir(folder):
        key, dot, _ = os.fsdecode(name).partition(".")
        if dot and digest.is_one(key):
            os.unlink(os.path.join(folder, name))


def opened(named: str) -> FolderStore:
    folder = private_cache.folder(named)
    try:
        if folder is not None:
            return FolderStore(os.fsencode(folder))
        why = "it cannot be made, or others may write there"
    except StoreError as error:
        why = f"it {error}"
    except OSError as error:
        why = error.strerror or "it cannot be read"
    place = private_cache.place(named)
    raise BuildpermError(
        f"cannot use `{place}`: {why}", hint="Set XDG_CACHE_HOME to a folder of your own."
    )


def of_crate(
    stores: Iterable[FolderStore], crate: str | None
) -> Iterator[tuple[FolderStore, str, str, KeptResult]]:
    found = False
    for store in stores:
        for key, name, result in store.every():
            if crate in (None, result.name, result.crate, f"{result.name}@{result.version}"):
                found = True
                yield store, key, name, result
    if crate is not None and not found:
        raise BuildpermError(
            f"nothing is kept of a crate `{crate}`", hint="`buildperm cache show` lists all."
        )


def title(result: KeptResult) -> str:
    """Return the package of a result as people read it."""
    return f"{result.name} {result.version}"


def _is_whole(store: FolderStore, named: str, size: int) -> bool:
    try:
        store.blob(named, size)
    except (OSError, ValueError):
        return False
    return True
