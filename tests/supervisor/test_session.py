"""Sessions as they are read: what was read beforehand counts as long as it is the same file."""

from __future__ import annotations

import marshal
import os
from pathlib import Path

import pytest

from buildperm.supervisor import session
from tests.bench import Bench


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_kept", {})


def replaced(path: Path, content: bytes) -> None:
    made = path.with_suffix(".new")
    made.write_bytes(content)
    made.rename(path)


def test_a_session_that_was_read_beforehand_is_not_read_again(own_bench: Bench) -> None:
    path = own_bench.top / "session"
    path.write_bytes(session.dump(own_bench.session("learning")))

    found = session.preload(os.fsencode(path))

    assert session.load(os.fsencode(path)) is found


def test_a_session_that_was_replaced_is_read(own_bench: Bench) -> None:
    path = own_bench.top / "session"
    path.write_bytes(session.dump(own_bench.session("learning")))
    session.preload(os.fsencode(path))

    replaced(path, session.dump(own_bench.session("enforcing")))

    assert session.load(os.fsencode(path))["profile"] == "enforcing"


def test_a_session_that_is_replaced_as_it_is_read_is_read_again(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own_bench.top / "session"
    path.write_bytes(session.dump(own_bench.session("learning")))
    real = marshal.loads

    def loads(raw: bytes) -> object:
        replaced(path, session.dump(own_bench.session("enforcing")))
        return real(raw)

    with monkeypatch.context() as patch:
        patch.setattr(marshal, "loads", loads)
        session.preload(os.fsencode(path))

    assert session.load(os.fsencode(path))["profile"] == "enforcing"
