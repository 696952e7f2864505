from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.policy import manifest

PATH = Path("/w/Cargo.toml")


def table(*lines: str) -> bytes:
    return "\n".join(("[workspace.metadata.buildperm]", "version = 1", *lines, "")).encode()


@pytest.mark.parametrize(
    ("lines", "ask", "timeout_s"),
    [
        ((), None, 60),
        (("ask = true",), True, 60),
        (("ask = false", "ask-timeout = 5"), False, 5),
        (("ask-timeout = 3600",), None, 3600),
    ],
)
def test_what_is_said_about_asking_is_read(
    lines: tuple[str, ...], ask: bool | None, timeout_s: int
) -> None:
    policy = manifest.read(table(*lines), PATH)
    assert (policy.ask, policy.ask_timeout_s) == (ask, timeout_s)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('ask = "yes"', "must be true or false, not a string"),
        ("ask = 1", "must be true or false, not a number"),
        ("ask-timeout = 4", "seconds, from 5 to 3600"),
        ("ask-timeout = 3601", "seconds, from 5 to 3600"),
        ("ask-timeout = 60.0", "seconds, from 5 to 3600"),
        ("ask-timeout = true", "seconds, from 5 to 3600"),
        ('ask-timeout = "60s"', "seconds, from 5 to 3600"),
        ("asks = true", "ask"),
    ],
)
def test_anything_else_is_refused(line: str, told: str) -> None:
    with pytest.raises(BuildpermError, match=r"Cargo\.toml:3: ") as caught:
        manifest.read(table(line), PATH)
    assert told in f"{caught.value.args[0]} {caught.value.hint}"


_DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize("path", ["", "/srv/root", "$HOME/root", "$WORKSPACE/root"])
def test_the_root_that_is_wanted_is_read(path: str) -> None:
    lines = [f'root-digest = "{_DIGEST}"', *([f'root = "{path}"'] if path else [])]
    policy = manifest.read(table(*lines), PATH)
    assert (policy.root, policy.root_digest) == (path, _DIGEST)
    assert manifest.read(table(), PATH).root_digest == ""


def test_the_image_of_a_root_is_read_beside_its_digest() -> None:
    lines = [f'root-digest = "{_DIGEST}"', f'root-image = "{_DIGEST}"']
    assert manifest.read(table(*lines), PATH).root_image == _DIGEST
    assert manifest.read(table(lines[0]), PATH).root_image == ""
    for said in (lines[1:], [lines[0], 'root-image = "debian:trixie"']):
        with pytest.raises(BuildpermError) as refused:
            manifest.read(table(*said), PATH)
        assert "buildperm root unpack" in refused.value.hint


@pytest.mark.parametrize(
    "path", ["root", "../root", "$WORKSPACE/../root", "/srv/../root", "$OUT_DIR/root", "/a\\u001b"]
)
def test_a_root_that_is_somewhere_else_in_each_build_is_refused(path: str) -> None:
    with pytest.raises(BuildpermError, match="is no folder that a root can be") as refused:
        manifest.read(table(f'root-digest = "{_DIGEST}"', f'root = "{path}"'), PATH)
    assert "\x1b" not in str(refused.value)


def test_a_root_without_a_digest_is_refused_and_the_command_named() -> None:
    with pytest.raises(BuildpermError, match="`root-digest` is missing") as refused:
        manifest.read(table('root = "/srv/root"'), PATH)
    assert "buildperm root digest" in refused.value.hint
