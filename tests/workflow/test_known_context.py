"""What was found out about a Cargo holds until something that it depends on has changed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.workflow import known_context
from buildperm.workflow.known_context import KnownContext


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "Cargo.toml"
    path.write_text("[workspace]\n")
    return path


@pytest.fixture
def context(manifest: Path) -> KnownContext:
    inputs = {
        str(path): known_context.identity(str(path))
        for path in (manifest, manifest.with_name("rust-toolchain"))
    }
    return KnownContext("/state/sessions/a", ("said\n",), inputs, int(time.time()), 1 << 62)


def read_back(context: KnownContext, folder: Path) -> KnownContext | None:
    kept = folder / "context.json"
    kept.write_bytes(context.text())
    return known_context.still_true(kept)


def test_what_was_kept_is_read_back(context: KnownContext, tmp_path: Path) -> None:
    assert read_back(context, tmp_path) == context


def test_a_changed_file_ends_it(context: KnownContext, manifest: Path, tmp_path: Path) -> None:
    """With the same size and the same modification time, too: the time of the change tells."""
    before = manifest.stat()
    while manifest.stat().st_ctime_ns == before.st_ctime_ns:
        manifest.write_text("[Workspace]\n")
        os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert read_back(context, tmp_path) is None


def test_a_removed_file_ends_it(context: KnownContext, manifest: Path, tmp_path: Path) -> None:
    manifest.unlink()

    assert read_back(context, tmp_path) is None


def test_a_new_file_ends_it(context: KnownContext, manifest: Path, tmp_path: Path) -> None:
    manifest.with_name("rust-toolchain").write_text("nightly\n")

    assert read_back(context, tmp_path) is None


def test_it_ends_with_its_time(context: KnownContext, tmp_path: Path) -> None:
    now = int(time.time())

    assert read_back(replace(context, until=now), tmp_path) is None
    assert read_back(replace(context, made=now + 3600), tmp_path) is None
    assert read_back(replace(context, until=now + 3600), tmp_path) is not None


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b'{"inputs": []}'])
def test_a_broken_file_is_none(text: bytes, tmp_path: Path) -> None:
    kept = tmp_path / "context.json"
    kept.write_bytes(text)

    assert known_context.still_true(kept) is None
    assert known_context.still_true(tmp_path / "missing") is None
