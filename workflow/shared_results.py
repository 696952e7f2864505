"""`buildperm cache pull` and `push`: results from and for other machines, around a build.

Both run in the command, before and after a build. Supervisors know nothing of it: they use the
folder of the user's as always. What is pulled was proven; and it is restored only where its inputs
are the same here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from buildperm import __version__
from buildperm.cache import blob_form, digest
from buildperm.cache.kept_result import CONFIRMED, KeptResult
from buildperm.cache.output_copy import MOST_BYTES, MOST_FILE_BYTES
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.cargo import result_folder
from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy.cache_store import CacheStore
from buildperm.presentation import console
from buildperm.report.text import count
from buildperm.sandbox import machine_traits
from buildperm.workflow import entry_signature, remote_store, result_inventory, shared_entry
from buildperm.workflow.entry_signature import FILE_VARIABLE, VARIABLE, Signer
from buildperm.workflow.remote_store import RemoteStore, UnreachableError
from buildperm.workflow.script_lookup import open_view
from buildperm.workflow.shared_entry import Entry, NotUsedError

_THREADS = 8


def pull(words: Sequence[str]) -> int:
    """Take what others have signed for the packages of a workspace; return the exit code.

    Raises:
        BuildpermError: The workspace names no store, or this machine cannot use one.
    """
    named, shelves = _workspace(words)
    local = _local(named)
    entry_signature.check_library()
    taking = Taking(remote_store.opened(named.address), local, named.keys)
    with ThreadPoolExecutor(_THREADS) as threads:
        for title, lines in zip(
            shelves.values(), threads.map(taking.take_shelf, shelves), strict=True
        ):
            for line in lines:
                console.print_line(f"{title}: not used: {line}")
    console.print_message(
        f"{count(taking.taken, 'result')} pulled, {taking.known} here already,"
        f" {taking.unused} not used"
    )
    if not (taking.taken or taking.known or taking.unused):
        packages = count(len(shelves), "package with a build script", "packages with build scripts")
        console.print_message(
            "the store has nothing for this version of buildperm on a machine like this one; "
            f"asked about {packages}"
        )
    result_inventory.hold_to_limit(os.fsencode(_place(named)))
    return ExitCode.OK


def push(words: Sequence[str]) -> int:
    """Sign what was seen twice here, and give it to others; return the exit code.

    Raises:
        BuildpermError: The workspace names no store, nobody would use what is signed here, or the
            store cannot be written to.
    """
    named, shelves = _workspace(words)
    signer = entry_signature.signer()
    if signer is None:
        hint = f"{VARIABLE} and {FILE_VARIABLE} name no key"
        console.print_message(f"nothing is pushed: {hint}")
        return ExitCode.OK
    if signer.public not in named.keys:
        raise BuildpermError(
            f"the key here is {signer.public}, which `cache` in Cargo.toml does not list",
            hint="Add it to `keys`, or use the private half of one that is there.",
        )
    local, giving = _local(named), remote_store.opened(named.address)
    found: dict[str, list[KeptResult]] = {}
    for _, name, result in local.every():
        on_shelf = shared_entry.shelf_of(result)
        if result.state == CONFIRMED and on_shelf in shelves and not digest.is_one(name):
            found.setdefault(on_shelf, []).append(result)
    try:
        given = sum(
            give_shelf(on_shelf, results, local, giving, signer)
            for on_shelf, results in found.items()
        )
    except UnreachableError as error:
        raise BuildpermError(
            str(error), hint="Look at `store` in Cargo.toml, and at the variables for it."
        ) from None
    console.print_message(f"{count(given, 'result')} pushed, signed by {signer.public}")
    if not found:
        console.print_message(
            "nothing of this workspace was seen twice here: `buildperm cache explain CRATE`"
        )
    return ExitCode.OK


class Taking:
    """Takes entries into the local store; several threads may do so at once."""

    def __init__(self, store: RemoteStore, local: FolderStore, keys: Sequence[str]) -> None:
        self.taken = self.known = self.unused = 0
        self._store = store
        self._local = local
        self._keys = keys
        self._lock = threading.Lock()
        self._names = frozenset(name for _, name, _ in local.every())

    def take_shelf(self, on_shelf: str) -> list[str]:
        """Take what is on a shelf; return why something was not, in clauses."""
        try:
            content = self._store.get(shared_entry.shelf_path(on_shelf), shared_entry.SHELF_MOST)
            entries = shared_entry.read_shelf(content) if content is not None else []
        except (NotUsedError, UnreachableError, ValueError) as error:
            return self._noted([str(error)])
        lines: list[str] = []
        seen: set[str] = set()
        for entry in entries:
            try:
                shared_entry.check_signature(entry, on_shelf, self._keys, time.time())
                if entry.result not in seen:
                    seen.add(entry.result)
                    self._take(entry, on_shelf)
            except (NotUsedError, UnreachableError) as error:
                lines.append(str(error))
            except OSError as error:
                lines.append(f"it cannot be kept here: {error.strerror}")
        return self._noted(lines)

    def _noted(self, lines: list[str]) -> list[str]:
        with self._lock:
            self.unused += len(lines)
        return lines

    def _take(self, entry: Entry, on_shelf: str) -> None:
        if entry.result in self._names:
            with self._lock:
                self.known += 1
            return
        raw = self._fetched(entry.result, entry.size)
        result = shared_entry.opened_result(raw, entry, on_shelf)
        sizes = [int(size) for _, size, _ in result.blobs()]
        if max(sizes) > MOST_FILE_BYTES or sum(sizes) > MOST_BYTES + MOST_FILE_BYTES:
            raise NotUsedError("what came of it is too large")
        for named, size, _ in result.blobs():
            self._take_blob(str(named), int(size))
        with self._lock:
            self._local.put(shared_entry.key_of(result), entry.result, result)
            self.taken += 1

    def _take_blob(self, named: str, size: int) -> None:
        try:
            self._local.blob(named, size)
            return
        except (OSError, ValueError):
            pass  # It is not there yet, or has been damaged.
        try:
            content = blob_form.unpacked(self._fetched(named, size), named, size, self._part)
        except ValueError as error:
            raise NotUsedError("what came of it is damaged") from error
        with self._lock:
            self._local.remove_blob(named)
            self._local.put_blob(content)

    def _part(self, named: str, size: int) -> bytes:
        """Return a blob that another one consists of; what that comes to is compared, not this.

        Raises:
            NotUsedError: It is not there.
        """
        try:
            return blob_form.plain(self._local.blob(named, size))
        except (OSError, ValueError):
            return self._fetched(named, size)

    def _fetched(self, named: str, size: int) -> bytes:
        try:
            raw = self._store.get(shared_entry.blob_path(named), size + 1)
        except ValueError as error:
            raise NotUsedError("a part of it is longer than it says") from error
        if raw is None:
            raise NotUsedError("a part of it is not there")
        return raw


def give_shelf(
    on_shelf: str,
    results: list[KeptResult],
    local: FolderStore,
    store: RemoteStore,
    signer: Signer,
) -> int:
    """Add results to a shelf; return how many were not there yet."""
    path = shared_entry.shelf_path(on_shelf)
    try:
        content = store.get(path, shared_entry.SHELF_MOST)
        there = shared_entry.read_shelf(content) if content is not None else []
    except (NotUsedError, ValueError):
        there = []  # Whoever wrote it: it is of no use to anybody.
    now_s = int(time.time())
    entries = {entry.result: entry for entry in there}
    given = 0
    for result in results:
        blobs = {str(named): int(size) for named, size, _ in result.blobs()}
        entry, content = shared_entry.signed_entry(result, now_s, signer)
        if _is_there(entries.get(entry.result), on_shelf, signer, now_s):
            continue
        try:
            parts = {named: local.blob(named, size) for named, size in blobs.items()}
        except (OSError, ValueError):
            continue  # Damaged here: `cache verify` says so.
        if len(content) > shared_entry.RESULT_MOST:
            continue
        for named, part in {**parts, entry.result: content}.items():
            store.put(shared_entry.blob_path(named), _given_form(named, part, parts, local))
        entries[entry.result] = entry
        given += 1
    if given:
        store.put(path, shared_entry.write_shelf(entries.values()))
    return given


def _given_form(named: str, content: bytes, others: Collection[str], local: FolderStore) -> bytes:
    """Return a blob as it is given: as it is kept here, if `others` are all that it names."""
    try:
        named_parts = local.parts(named, len(content)) if named in others else []
        if named_parts and all(part in others for part, _ in named_parts):
            return local.raw_blob(named, len(content))
    except (OSError, ValueError):
        pass  # Removed meanwhile.
    return blob_form.packed(content)


def _is_there(entry: Entry | None, on_shelf: str, signer: Signer, now_s: float) -> bool:
    """Tell whether an entry need not be signed again: it counts for a while yet."""
    if entry is None:
        return False
    try:
        later_s = now_s + shared_entry.OLDEST_S / 2
        shared_entry.check_signature(entry, on_shelf, [signer.public], later_s)
    except NotUsedError:
        return False
    return True


def _workspace(words: Sequence[str]) -> tuple[CacheStore, dict[str, str]]:
    """Return the store of a workspace, and the shelves of its packages with their titles."""
    view = open_view(words)
    named = view.workspace.policy.cache_store
    if named is None:
        raise BuildpermError(
            "no store is named in Cargo.toml",
            hint='Write `cache = { store = "https://…", keys = ["ed25519:…"] }`.',
        )
    machine = machine_traits.digest()
    packages = [script.package for script in view.scripts]
    return named, {
        shared_entry.shelf(
            __version__, machine, f"{each.name} {each.version} {each.source}"
        ): f"{each.name} {each.version}"
        for each in packages
    }


def _place(named: CacheStore) -> str:
    return os.fsdecode(result_folder.described(named.keys)["folder"])


def _local(named: CacheStore) -> FolderStore:
    try:
        return FolderStore(os.fsencode(_place(named)))
    except StoreError as error:
        raise BuildpermError(f"`{_place(named)}` {error}") from error
    except OSError as error:
        raise BuildpermError(f"cannot use `{_place(named)}`: {error.strerror}") from error
