"""`buildperm cache show`: what is kept of build scripts, and what each result is good for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from buildperm.cache.kept_result import CONFIRMED, UNSTABLE, KeptResult
from buildperm.cache.result_store import FolderStore
from buildperm.report.text import count
from buildperm.workflow import result_inventory

VERSION = 1
"""Of the document; see report/cache.schema.json."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """One result, and where it is kept."""

    result: KeptResult
    is_of_module: bool
    """It says that a script comes to the same as WASI: nothing is restored from it."""
    is_shared: bool


@dataclass(frozen=True, slots=True)
class _StoreSize:
    """One folder of results."""

    folder: str
    results: int
    size: int  # Bytes.
    unused: tuple[str, ...]  # What lies there and is not ours, a sentence each.

    @classmethod
    def of(cls, store: FolderStore) -> _StoreSize:
        total = sum(1 for _ in store.every())
        return cls(os.fsdecode(store.folder), total, store.size(), tuple(store.unused()))

    def told(self) -> str:
        """Return how large it is, and where."""
        return f"{count(self.results, 'result')}; {self.size / 1e6:.1f} MB in {self.folder}"


@dataclass(frozen=True, slots=True)
class ResultListing:
    """What is kept, of one crate or of all."""

    rows: tuple[_Listed, ...]
    stores: tuple[_StoreSize, ...]

    @classmethod
    def of(cls, crate: str | None) -> ResultListing:
        """Read every store.

        Raises:
            BuildpermError: Nothing is kept of this crate, or a store cannot be used.
        """
        stores = result_inventory.every_store()
        rows = []
        for store, _, _, result in result_inventory.of_crate(stores, crate):
            is_of_module = result_inventory.is_of_modules(store)
            is_shared = not is_of_module and store is not stores[0]
            rows.append(_Listed(result, is_of_module, is_shared))
        rows.sort(key=lambda row: (row.result.name, row.result.version))
        return cls(tuple(rows), tuple(map(_StoreSize.of, stores)))

    def lines(self) -> Iterator[str]:
        """Return one line a result."""
        return (f"{result_inventory.title(row.result)}  {_told(row)}" for row in self.rows)

    def document(self) -> dict[str, object]:
        """Return all of it for machines."""
        return {
            "version": VERSION,
            "results": [_entry(row) for row in self.rows],
            "stores": [
                {
                    "folder": store.folder,
                    "results": store.results,
                    "bytes": store.size,
                    "unused": list(store.unused),
                }
                for store in self.stores
            ],
        }


def package_entry(name: str, version: str, source: str | None) -> dict[str, object]:
    """Return which package something is about, as a document has it."""
    return {"name": name, "version": version, "source": source or None}


def _told(row: _Listed) -> str:
    """Say of a result what it is good for, by whom and when it was recorded."""
    if row.is_of_module:
        return f"is believed to come to the same as WASI; compared {row.result.day()}"
    return f"{_state(row.result)}{'; of workspaces that share results' if row.is_shared else ''}"


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


def _entry(row: _Listed) -> dict[str, object]:
    result = row.result
    return {
        "package": package_entry(result.name, result.version, result.source),
        "kind": "wasi" if row.is_of_module else "run",
        "shared": row.is_shared,
        "state": result.state,
        "why": result.why or None,
        "recorded": result.made_s,
        "by": result.by,
        "took_ms": round(result.took_ns / 1e6, 1),
        "elsewhere": list(result.free),
        "bound": list(result.bound),
    }
