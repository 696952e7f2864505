"""An encrypted engine on loopback: who is believed there, and what a wrong file comes to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import grpc
import pytest

from buildperm.errors import BuildpermError
from buildperm.workflow import remote_credentials, remote_greeting
from buildperm.workflow.remote_settings import described
from tests.command import buildperm, member
from tests.engine_files import DAY, TOKEN, Authority, EngineFiles
from tests.engines import LyingEngine


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> EngineFiles:
    return EngineFiles(tmp_path_factory.mktemp("credentials"))


@pytest.fixture
def serve(place: EngineFiles) -> Iterator[Callable[..., LyingEngine]]:
    """Return what starts an engine of an encrypted connection."""
    started: list[LyingEngine] = []

    def start(certificate: Path | None = None, *, wants_own: bool = True) -> LyingEngine:
        credentials = place.credentials(certificate, wants_own=wants_own)
        started.append(LyingEngine("", credentials, TOKEN))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def _greet(variables: Mapping[str, str]) -> str:
    path = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    return remote_greeting.greet(described({**path, **variables}))


def test_an_engine_that_is_believed_takes_token_and_certificate(
    place: EngineFiles, serve: Callable[..., LyingEngine]
) -> None:
    engine = serve()

    assert _greet(place.variables(engine)) == ""
    assert engine.tokens == {f"Bearer {TOKEN}"}


FAULTS: dict[str, tuple[Callable[[EngineFiles], dict[str, Path | str]], str]] = {
    "another authority": (
        lambda place: {"CA": Authority(place.folder, "stranger").path},
        "is not of anybody who is believed",
    ),
    "the usual authorities": (lambda _: {"CA": ""}, "is not of anybody who is believed"),
    "no token": (lambda _: {"TOKEN_FILE": ""}, "does not take the token"),
    "another token": (
        lambda place: {"TOKEN_FILE": _file(place, b"other", 0o600)},
        "does not take the token",
    ),
    "no certificate": (lambda _: {"CERT": "", "KEY": ""}, "may want another certificate"),
    "a certificate of a stranger": (
        lambda place: _pair(Authority(place.folder, "stranger").issue("theirs")),
        "may want another certificate|no encrypted connection",
    ),
    "a token for all to read": (
        lambda place: {"TOKEN_FILE": _file(place, b"open", 0o604)},
        "others may read or change",
    ),
    "a token that a group may change": (
        lambda place: {"TOKEN_FILE": _file(place, b"open", 0o620)},
        "others may read or change",
    ),
    "two lines for a token": (
        lambda place: {"TOKEN_FILE": _file(place, b"a\nx-admin: 1", 0o600)},
        "holds no bearer token",
    ),
    "an empty token": (
        lambda place: {"TOKEN_FILE": _file(place, b"\n", 0o600)},
        "holds no bearer token",
    ),
    "a token that is not there": (lambda _: {"TOKEN_FILE": "/none/token"}, "cannot be read"),
    "a pipe for a token": (lambda place: {"TOKEN_FILE": _pipe(place)}, "is no file"),
    "a key for all to read": (
        lambda place: {"KEY": _file(place, place.own.with_suffix(".key").read_bytes(), 0o644)},
        "others may read or change",
    ),
    "the key of another": (
        lambda place: {"KEY": place.served.with_suffix(".key")},
        "is not the private key",
    ),
    "no key in a file": (
        lambda place: {"KEY": _file(place, b"x", 0o600)},
        "is not the private key",
    ),
    "no authority in a file": (
        lambda place: {"CA": _file(place, b"x", 0o644)},
        "holds no certificates",
    ),
}


def _file(place: EngineFiles, content: bytes, mode: int) -> Path:
    path = place.folder / "given"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def _pipe(place: EngineFiles) -> Path:
    path = place.folder / "pipe"
    os.mkfifo(path, 0o600)
    return path


def _pair(certificate: Path) -> dict[str, Path | str]:
    return {"CERT": certificate, "KEY": certificate.with_suffix(".key")}


@pytest.mark.quick(6)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_credentials_is_one_error(
    place: EngineFiles, serve: Callable[..., LyingEngine], fault: str
) -> None:
    change, why = FAULTS[fault]
    with pytest.raises(BuildpermError, match=why) as caught:
        _greet(place.variables(serve(), **change(place)))

    assert TOKEN not in f"{caught.value}"


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"ends": -DAY}, "its certificate has expired"),
        ({"host": "engine.example"}, "its certificate is for another host"),
        ({"host": "127.0.0.2"}, "its certificate is for another host"),
    ],
)
def test_an_engine_that_is_not_believed_gets_no_token(
    place: EngineFiles,
    serve: Callable[..., LyingEngine],
    made: Mapping[str, object],
    why: str,
) -> None:
    engine = serve(place.authority.issue("faulty", **made))  # type: ignore[arg-type]
    with pytest.raises(BuildpermError, match=why):
        _greet(place.variables(engine))

    assert engine.tokens == set()


def test_an_engine_that_does_not_encrypt_gets_no_token(place: EngineFiles) -> None:
    engine = LyingEngine("", None, TOKEN)
    try:
        with pytest.raises(BuildpermError, match="it does not encrypt"):
            _greet(place.variables(engine))
        assert engine.tokens == set()
    finally:
        engine.stop()


def test_nobody_there_is_no_fault_of_the_credentials(
    place: EngineFiles, serve: Callable[..., LyingEngine]
) -> None:
    engine = serve()
    engine.stop()

    assert _greet(place.variables(engine)) == "it cannot be asked: UNAVAILABLE"


def test_an_instance_that_there_is_not_is_named_as_a_reason(
    place: EngineFiles, serve: Callable[..., LyingEngine]
) -> None:
    engine = serve()
    engine.refuses["FindMissingBlobs"] = grpc.StatusCode.INVALID_ARGUMENT

    assert _greet(place.variables(engine)).endswith("may have no such instance: INVALID_ARGUMENT")


def test_secrets_are_in_no_text_of_what_was_read(place: EngineFiles) -> None:
    found = remote_credentials.read(
        certificate=str(place.own), key=str(place.own.with_suffix(".key")), token=str(place.token)
    )

    assert found.token == TOKEN
    assert TOKEN not in repr(found)
    assert "PRIVATE" not in repr(found)


@pytest.mark.slow
def test_the_command_ends_before_anything_is_built(
    place: EngineFiles, serve: Callable[..., LyingEngine], tmp_path: Path
) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text() + "[workspace.metadata.buildperm]\nversion = 1\n")
    variables = place.variables(serve(), TOKEN_FILE="")
    ended = buildperm("ci", "--runtime", "remote", folder=workspace, extra=variables)

    assert ended.returncode == 2
    assert "cannot be used: it does not take the token" in ended.stderr
    assert not (workspace / "target").exists()


def test_nothing_but_an_engine_needs_ssl_and_grpc() -> None:
    """Some Pythons have no `ssl`; they build all the same."""
    code = "import sys, buildperm.workflow.enforced_build; print({'ssl', 'grpc'} & {*sys.modules})"
    words = [sys.executable, "-c", code]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)

    assert ended.stdout == "set()\n"
