"""Digests of large files are read once, and again whenever anything says that they may differ."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from buildperm.cache import digest, file_times
from buildperm.cache.known_digests import LEAST_BYTES, KnownDigests
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.run_inputs import RunInputs

LATER_NS = 3_600_000_000_000
FALSE = digest.of(b"what no file holds")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a large file in a folder that keeps times, wherever the tests have theirs."""
    monkeypatch.setattr(file_times, "_untimed", [frozenset()])
    path = tmp_path / "library.so"
    path.write_bytes(b"x" * LEAST_BYTES)
    return path


def read(path: Path, kept: Path, began_ns: int = 0) -> str:
    """Return the digest that an input has; what is kept is what it was before, or more."""
    known = KnownDigests(os.fsencode(kept))
    began_ns = began_ns or time.time_ns() + LATER_NS
    inputs = RunInputs(PathTokens({}), [b"/own"], began_ns, known)
    inputs.add_opened(os.fsencode(path))
    known.save()
    return next((str(each[3]) for each in inputs.inputs() if each[0] == "file"), "")


def forge(kept: Path) -> None:
    """Say something else of every file: whoever tells that has read none."""
    told = json.loads(kept.read_bytes())
    kept.write_text(json.dumps(dict.fromkeys(told, FALSE)))


def test_a_file_that_is_known_is_not_read(library: Path, tmp_path: Path) -> None:
    assert read(library, tmp_path / "kept") == digest.of(library.read_bytes())
    forge(tmp_path / "kept")

    assert read(library, tmp_path / "kept") == FALSE


def test_a_file_in_memory_is_read_each_time(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes by a mapping leaves no time there."""
    read(library, tmp_path / "kept")
    forge(tmp_path / "kept")
    monkeypatch.setattr(file_times, "_untimed", [frozenset([library.stat().st_dev])])

    assert read(library, tmp_path / "kept") == digest.of(library.read_bytes())


def _same_size_and_time(path: Path) -> None:
    about = path.stat()
    path.write_bytes(b"y" * LEAST_BYTES)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def _moved_over(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"z" * LEAST_BYTES)
    other.replace(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: path.write_bytes(b"y" * LEAST_BYTES),
    "size": lambda path: path.write_bytes(b"x" * LEAST_BYTES * 2),
    "content, with its time": _same_size_and_time,
    "another file": _moved_over,
    "time": lambda path: os.utime(path, ns=(0, 0)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_may_have_changed_is_read(
    library: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    read(library, tmp_path / "kept")
    forge(tmp_path / "kept")
    time.sleep(0.05)  # Longer than a tick, by which the kernel tells times.
    change(library)

    assert read(library, tmp_path / "kept") == digest.of(library.read_bytes())


def test_a_file_that_changed_when_the_run_had_begun_is_not_known(
    library: Path, tmp_path: Path
) -> None:
    read(library, tmp_path / "kept", began_ns=library.stat().st_ctime_ns)

    assert not (tmp_path / "kept").exists()


def test_a_small_file_is_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "small").write_text("small")

    read(tmp_path / "small", tmp_path / "kept")

    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a":1}', b"\xff", b"[" * 100_000, b'{"a":"../../x"}']
)
def test_what_is_no_digest_is_not_known(library: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kept").write_bytes(content)

    assert read(library, tmp_path / "kept") == digest.of(library.read_bytes())
    assert len(json.loads((tmp_path / "kept").read_bytes())) == 1


def test_runs_at_the_same_time_lose_nothing_and_little_is_kept(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "kept")
    one, two = KnownDigests(path), KnownDigests(path)
    one.note(b"/one", (1, 2), FALSE)
    two.note(b"/two", (1, 2), FALSE)
    one.save()
    two.save()
    assert KnownDigests(path).found(b"/one", (1, 2)) == FALSE

    for number in range(1_000):
        two.note(b"/many", (number,), FALSE)
    two.save()

    assert len(json.loads((tmp_path / "kept").read_bytes())) == 512
    assert KnownDigests(path).found(b"/many", (999,)) == FALSE
    assert KnownDigests(path).found(b"/one", (1, 2)) == ""
