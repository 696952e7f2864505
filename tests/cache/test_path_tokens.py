from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.cache.path_tokens import PathTokens

HERE = {
    "WORKSPACE": b"/home/me/ws",
    "MANIFEST_DIR": b"/home/me/ws/a",
    "TARGET_DIR": b"/home/me/ws/target",
    "OUT_DIR": b"/home/me/ws/target/debug/build/a-1/out",
    "HOME": b"/home/me",
}
THERE = {
    "WORKSPACE": b"/srv/ws",
    "MANIFEST_DIR": b"/srv/ws/a",
    "TARGET_DIR": b"/tmp/t",
    "OUT_DIR": b"/tmp/t/debug/build/a-2/out",
    "HOME": b"/root",
}

pieces = st.sampled_from([*HERE.values(), b"$OUT_DIR", b"/", b"x", b"\n", b"%24", b" ", b"\xff"])
texts = st.lists(pieces, max_size=12).map(b"".join)


@given(texts)
def test_a_text_comes_back_as_it_was(text: bytes) -> None:
    tokens = PathTokens(HERE)

    assert tokens.places_for(tokens.tokens_for(text)) == text


@given(st.binary(max_size=60))
def test_what_has_a_nul_character_stays_as_it_is(content: bytes) -> None:
    told = content + b"\0" + HERE["OUT_DIR"]

    assert PathTokens(HERE).tokens_for(told) == told


@given(texts.map(lambda rest: b"/" + rest.replace(b"\0", b"")))
def test_a_path_comes_back_as_it_was(path: bytes) -> None:
    tokens = PathTokens(HERE)

    assert tokens.real(tokens.portable(path)) == path


def test_a_text_of_here_is_right_elsewhere() -> None:
    search = b"cargo:rustc-link-search=" + HERE["OUT_DIR"] + b"/lib\n"
    text = search + b"-I" + HERE["MANIFEST_DIR"] + b"/i"

    told = PathTokens(THERE).places_for(PathTokens(HERE).tokens_for(text))

    assert told == b"cargo:rustc-link-search=/tmp/t/debug/build/a-2/out/lib\n-I/srv/ws/a/i"


def test_a_name_that_only_begins_like_a_place_is_not_in_it() -> None:
    assert PathTokens(HERE).portable(b"/home/me/wsx/a") == "$HOME/wsx/a"


@pytest.mark.parametrize("told", [b"\0", b"\0$OUT_DIR", b"\0$NOWHERE\0", b"\0OUT_DIR\0"])
def test_a_broken_token_is_refused(told: bytes) -> None:
    with pytest.raises(ValueError, match="token"):
        PathTokens(HERE).places_for(told)


@pytest.mark.parametrize("text", ["relative", "$NOWHERE/x", "%2G"])
def test_a_path_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|place|digits"):
        PathTokens(HERE).real(text)


def test_places_that_lie_otherwise_in_one_another_have_another_shape() -> None:
    assert PathTokens(HERE).shape() != PathTokens(THERE).shape()
    moved = {name: place.replace(b"/home/me", b"/mnt") for name, place in HERE.items()}
    assert PathTokens(HERE).shape() == PathTokens(moved).shape()
