"""What `buildperm cache` does: lists what is kept of build scripts, explains, verifies, clears."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from buildperm.cache import digest, module_result, static_key
from buildperm.cache.kept_result import CONFIRMED, UNSTABLE, KeptResult
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.cargo import result_folder
from buildperm.errors import BuildpermError, ExitCode
from buildperm.presentation import console
from buildperm.report.text import count
from buildperm.sandbox import private_cache
from buildperm.workflow import wasi_settings
from buildperm.workflow.evidence import recordings_of
from buildperm.workflow.script_lookup import find_script, open_view

MOST_BYTES = 1 << 30
"""Above it the oldest results go at the end of a build."""

_YOUNG_S = 3600  # A blob may be of a result that is about to be filed.
_NAMED = 8  # More reasons than this are not listed.


def show(crate: str | None) -> int:
    """List what is kept, of one crate or of all; return the exit code."""
    stores = _every_store()
    for store, _, _, result in sorted(
        _of(stores, crate), key=lambda item: (item[3].name, item[3].version)
    ):
        console.print_line(f"{_title(result)}  {_told(store, result, is_own=store is stores[0])}")
    for store in stores:
        for line in store.unused():
            console.print_warning(f"{line}: what lies there is not used")
        total = count(sum(1 for _ in store.every()), "result")
        place = os.fsdecode(store.folder)
        console.print_message(f"{total}; {store.size() / 1e6:.1f} MB in {place}")
    return ExitCode.OK


def explain(words: Sequence[str], crate: str) -> int:
    """Say what came of looking for results of a crate in its last runs; return the exit code.

    Raises:
        BuildpermError: There is no such crate, or it has not run with `--cache`.
    """
    view = open_view(words)
    script = find_script(view, crate)
    shared = view.workspace.policy.cache_store
    store = _opened(result_folder.name(shared.keys if shared else ()))
    told = 0
    paths = sorted(recordings_of(script, view.targets, console.print_warning))
    for path, _ in paths:
        said = _outcome(os.fsencode(path.with_name("result.json")))
        if said is None:
            continue
        told += 1
        console.print_line(f"{script.title}: {_OUTCOMES.get(str(said['outcome']), 'it ran')}")
        reasons = [str(each) for each in said["why"]]
        if NOTHING in reasons:
            reasons = [*reasons, *_nearest(store, script.package.name, said["parts"])]
        for reason in reasons[:_NAMED]:
            console.print_line(f"  {reason}")
        if len(reasons) > _NAMED:
            console.print_line(f"  and {len(reasons) - _NAMED} more")
    if not told:
        raise BuildpermError(
            f"no run of `{script.title}` looked for a result here",
            hint="Build with `buildperm ci --cache`.",
        )
    return ExitCode.OK


NOTHING = "nothing is kept of a run that began like this one"

_OUTCOMES = {
    "restored": "restored, and not run",
    "kept": "it ran, and what it did is kept",
    "not kept": "it ran, and what it did is not kept",
    "run": "it ran",
    "same": "it ran again, and did what was restored before",
    "different": "it ran again, and did not do what was restored before",
}


def verify() -> int:
    """Read everything, and remove what is damaged; return the exit code."""
    counts = [_verified(store) for store in _every_store()]
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
            console.print_line(f"{_title(result)} was damaged, and is removed")
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
    stores = _every_store()
    found = list(_of(stores, crate))
    for store, key, name, _ in found:
        if _is_of_modules(store):
            module_result.forget(_top(store), key)
        else:
            store.remove(key, name)
    for store in stores:
        if crate is None and _is_of_modules(store):
            _forget_modules(_top(store))
        _forget_unused(store, young_s=0.0 if crate is None else _YOUNG_S)
    console.print_message(f"{count(len(found), 'result')} removed")
    return ExitCode.OK


def hold_to_limit(folder: bytes, most: int = MOST_BYTES) -> None:
    """Remove the oldest results until a store takes no more than so many bytes.

    Another build may be at it: what it cannot find any more, it makes anew.
    """
    try:
        store = FolderStore(folder)
        size = store.size()
        if size <= most:
            return
        for key, name, _ in sorted(store.every(), key=lambda item: item[2].made_s):
            store.remove(key, name)
            _forget_unused(store, _YOUNG_S)
            if store.size() <= most * 3 // 4:
                return
    except (OSError, StoreError):
        return  # The next build tries again.


def _forget_unused(store: FolderStore, young_s: float) -> None:
    """Remove the blobs that no result names, nor any blob of one."""
    blobs = {
        (str(named), int(size))
        for _, _, result in store.every()
        for named, size, _ in result.blobs()
    }
    used = {named for named, _ in blobs}
    for blob in blobs:
        used.update(part for part, _ in _parts(store, *blob))
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


def _every_store() -> list[FolderStore]:
    """Return the store of this user, those of workspaces that share results, that of modules."""
    top = private_cache.place(result_folder.OWN).parent
    try:
        listed = sorted(os.listdir(top))
    except OSError:
        listed = []
    others = filter(result_folder.is_shared, listed)
    modules = [wasi_settings.PLACE] if wasi_settings.PLACE in listed else []
    return [_opened(each) for each in (result_folder.OWN, *others, *modules)]


def _top(store: FolderStore) -> bytes:
    """Return the folder of the cache that has a store."""
    return os.path.dirname(store.folder)


def _is_of_modules(store: FolderStore) -> bool:
    return os.path.basename(_top(store)) == os.fsencode(wasi_settings.PLACE)


def _forget_modules(folder: bytes) -> None:
    """Remove the modules that no result belongs to: what killed builds have left."""
    for name in os.listdir(folder):
        key, dot, _ = os.fsdecode(name).partition(".")
        if dot and digest.is_one(key):
            os.unlink(os.path.join(folder, name))


def _opened(named: str) -> FolderStore:
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


def _of(
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


def _title(result: KeptResult) -> str:
    return f"{result.name} {result.version}"


def _told(store: FolderStore, result: KeptResult, *, is_own: bool) -> str:
    """Say of a result what it is good for, by whom and when it was recorded."""
    if _is_of_modules(store):
        return f"is believed to come to the same as WASI; compared {result.day()}"
    return f"{_state(result)}{'' if is_own else '; of workspaces that share results'}"


def _state(result: KeptResult) -> str:
    recorded = f"recorded {result.day()} by {result.by}"
    if result.state == UNSTABLE:
        return f"not cacheable: two runs differed in {result.why}; {recorded}"
    if result.state == CONFIRMED:
        places = f", elsewhere where {_listed(result.free)} differ" if result.free else ""
        bound = f", bound to {_listed(result.bound)}" if result.bound else ""
        return f"can be restored{places}{bound}; {recorded}"
    return f"seen once, and has to be seen to do the same once more; {recorded}"


def _listed(names: Iterable[str]) -> str:
    return " ".join(f"${name}" for name in names)


def _outcome(path: bytes) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            said = json.load(file)
    except (OSError, ValueError):
        return None
    fits = (
        isinstance(said, dict)
        and isinstance(said.get("outcome"), str)
        and isinstance(said.get("why"), list)
        and isinstance(said.get("parts"), dict)
    )
    return said if fits else None


def _nearest(store: FolderStore, name: str, parts: dict[str, str]) -> list[str]:
    """Say in what the last run began otherwise than the run of this crate that is most like it."""
    differences = [
        static_key.difference(result.key, parts)
        for _, _, result in store.every()
        if result.name == name
    ]
    # Of the run itself there may be a result by now.
    nearest = min(filter(None, differences), key=len, default=[])
    return [f"{each} is another one than in the run most like it" for each in nearest]


def _is_whole(store: FolderStore, named: str, size: int) -> bool:
    try:
        store.blob(named, size)
    except (OSError, ValueError):
        return False
    return True
