"""Makes what is costly once for all workers of a test run, and in parallel."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def once(
    factory: pytest.TempPathFactory, name: str, makers: Mapping[str, Callable[[], str]]
) -> str:
    """Return what `makers[name]` returns, called by the first process of this run that asks.

    While another process is at it, this one makes something else of `makers`, which will be asked
    for in a moment. pytest-xdist gives each worker a folder of its own, below the one of the run.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    wanted = _path(shared, name)
    while not wanted.exists():
        # Each goes on from where it is, so that two that begin together do not collide for long.
        for each in (name, *makers):
            if _make(_path(shared, each), makers[each]):
                break
        else:
            time.sleep(0.05)
    return wanted.read_text()


def wanted(items: Iterable[pytest.Item]) -> set[tuple[str, str]]:
    """List the users and states that some test of this run is about; no other has to be made."""
    given = [getattr(item, "callspec", None) for item in items]
    cases = [each.params for each in given if each is not None]
    return {(each["user"], each["state"]) for each in cases if each.keys() >= {"user", "state"}}


def _path(shared: Path, name: str) -> Path:
    return Path(shared, f"redteam-{name}")


def _make(path: Path, make: Callable[[], str]) -> bool:
    """Make it, unless it exists or another process makes it; tell whether this one did."""
    if path.exists():
        return False
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if path.exists():
            return False
        text = make()
        new = path.with_name(f"{path.name}.new")
        new.write_text(text)
        new.rename(path)
    return True
