"""Cargo's messages among what others print through it, whatever those make up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.cargo.message_stream import Artifact, MessageStream

UNIT = Path("/t/debug/build/a-1")
RAN: dict[str, object] = {
    "reason": "build-script-executed",
    "package_id": "path+file:///a#0.1.0",
    "linked_libs": [],
    "linked_paths": [],
    "cfgs": [],
    "env": [],
    "out_dir": f"{UNIT}/out",
}
BUILT: dict[str, object] = {
    "reason": "compiler-artifact",
    "package_id": "path+file:///a#0.1.0",
    "manifest_path": "/a/Cargo.toml",
    "target": {"kind": ["lib"], "name": "a-b"},
    "profile": {},
    "features": ["y", "x"],
    "filenames": ["/t/debug/deps/liba_b-1.rmeta"],
    "executable": None,
    "fresh": False,
}


def compact(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def sorting(*, keeps: bool = False) -> MessageStream:
    return MessageStream(lambda out_dir: UNIT if out_dir == f"{UNIT}/out" else None, keeps=keeps)


def passed_on(messages: MessageStream, *pieces: bytes) -> bytes:
    parts = [part for piece in pieces for part in messages.sort(piece)]
    return b"".join([*parts, *messages.finish()])


def test_cargos_own_messages_are_kept_and_name_the_runs() -> None:
    messages = sorting()
    lines = [compact(RAN), compact(BUILT), b'{"reason":"build-finished","success":true}']

    assert passed_on(messages, b"a\n" + b"\n".join(lines) + b"\nb") == b"a\nb"
    assert messages.units == {UNIT}
    assert messages.artifacts == {
        Artifact("path+file:///a#0.1.0", "a_b", ("x", "y"), ("/t/debug/deps/liba_b-1.rmeta",))
    }
    assert not messages.is_unclear


def test_messages_that_somebody_asked_for_are_passed_on_too() -> None:
    messages = sorting(keeps=True)

    assert passed_on(messages, compact(RAN) + b"\n") == compact(RAN) + b"\n"
    assert messages.units == {UNIT}


LOOKALIKES = {
    "no out_dir": b'{"reason":"build-script-executed"}',
    "a list": compact({**RAN, "out_dir": [f"{UNIT}/out"]}),
    "no path": compact({**RAN, "out_dir": None}),
    "elsewhere": compact({**RAN, "out_dir": "/etc/out"}),
    "a surrogate": compact({**RAN, "out_dir": "\ud800"}),
    "no text": b'{"reason":"build-script-executed","out_dir":"\xff\xfe"}',
    "deep": b'{"reason":"build-script-executed","out_dir":' + b"[" * 200_000,
    "long number": b'{"reason":"build-script-executed","out_dir":' + b"9" * 20_000 + b"}",
    "cut short": compact(RAN)[:-1],
    "no package": b'{"reason":"build-script-executed","out_dir":"/t/debug/build/a-1/out"}',
}


@pytest.mark.parametrize("line", LOOKALIKES.values(), ids=list(LOOKALIKES))
@pytest.mark.parametrize("end", [b"\n", b""])
def test_what_only_looks_like_a_run_is_text_and_makes_more_count(line: bytes, end: bytes) -> None:
    messages = sorting()

    assert passed_on(messages, line + end) == line + end
    assert messages.units == set()
    assert messages.is_unclear


TEXTS = {
    "another reason": b'{"reason":"hello"}',
    "no reason": b'{"reason":["build-finished"]}',
    "an artifact without a name": compact({**BUILT, "target": {}}),
    "an artifact with a path": compact({**BUILT, "target": {"name": "../a"}}),
    "half a message": b'{"reason":"compiler-artifact","package_id":"a"}',
    "other JSON": b'{ "reason": "build-script-executed", "out_dir": "/t/debug/build/a-1/out" }',
    "a list": compact([RAN]),
    "a beginning": b'{"reason":',
    "control characters": b"\x1b[2J\0\r",
}


@pytest.mark.parametrize("line", TEXTS.values(), ids=list(TEXTS))
def test_other_text_is_passed_on_and_changes_nothing(line: bytes) -> None:
    messages = sorting()

    assert passed_on(messages, line + b"\n", compact(RAN) + b"\n") == line + b"\n"
    assert messages.units == {UNIT}
    assert not messages.is_unclear


def test_a_line_without_an_end_is_passed_on_while_it_comes() -> None:
    messages = sorting()
    piece = b"x" * (1 << 16)

    told = [part for _ in range(100) for part in messages.sort(piece)]

    assert b"".join(told) == piece * 100


def test_a_message_too_long_to_be_read_is_text_and_makes_more_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("buildperm.cargo.message_stream._MOST", 1 << 20)
    messages = sorting()
    line = compact({**RAN, "cfgs": ["x" * (2 << 20)]}) + b"\n"
    pieces = [line[at : at + 7] for at in range(0, 70, 7)] + [line[70:]]

    assert passed_on(messages, *pieces) == line
    assert messages.is_unclear


lines = st.lists(
    st.sampled_from([compact(RAN), *TEXTS.values(), *LOOKALIKES.values()]) | st.binary(max_size=20),
    max_size=6,
)


@given(lines, st.integers(1, 9), st.booleans())
def test_nothing_but_messages_is_ever_lost(drawn: list[bytes], size: int, has_end: bool) -> None:
    written = b"\n".join(drawn)[:3000] + b"\n" * has_end
    messages = sorting()

    told = passed_on(messages, *(written[at : at + size] for at in range(0, len(written), size)))

    whole = written.split(b"\n")
    kept = [line for line in whole[:-1] if line != compact(RAN)] + whole[-1:]
    assert told == b"\n".join(kept)
    assert messages.units == ({UNIT} if compact(RAN) in whole[:-1] else set())
