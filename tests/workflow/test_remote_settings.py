"""Which addresses are taken, and what may be said beside them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.workflow.remote_settings import RemoteSettings, check_required, described
from tests.supervisor.certificate import certificate


@pytest.mark.parametrize(
    ("address", "target", "instance"),
    [
        ("grpcs://engine.example:443/main", "engine.example:443", "main"),
        ("grpcs://engine.example:443/a/b/", "engine.example:443", "a/b"),
        ("grpcs://192.0.2.1:8980", "192.0.2.1:8980", ""),
        ("grpcs://[2001:db8::1]:8980/x", "[2001:db8::1]:8980", "x"),
        ("grpc://127.0.0.1:50051", "127.0.0.1:50051", ""),
        ("grpc://127.8.9.1:50051", "127.8.9.1:50051", ""),
        ("grpc://[::1]:50051/x", "[::1]:50051", "x"),
        ("grpc://localhost:50051", "localhost:50051", ""),
    ],
)
def test_an_address_is_taken_apart(address: str, target: str, instance: str) -> None:
    settings = RemoteSettings.from_variables({"BUILDPERM_REMOTE": address})

    assert (settings.target, settings.instance) == (target, instance)
    assert settings.is_encrypted is address.startswith("grpcs")
    assert not settings.trusts_cache


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "no engine is named"),
        ("engine.example:443", "is none"),
        ("https://engine.example:443", "is none"),
        ("grpcs://engine.example", "is none"),
        ("grpcs://:443", "is none"),
        ("grpcs://engine.example:port", "is none"),
        ("grpcs://engine.example:443/\x1b[31m", "is none"),
        ("grpcs://engine.example:443/a b", "is none"),
        ("grpcs://token@engine.example:443", "more than host, port and instance"),
        ("grpcs://engine.example:443/x?token=1", "more than host, port and instance"),
        ("grpc://engine.example:50051", "encrypted"),
        ("grpc://192.0.2.1:50051", "encrypted"),
        ("grpc://0.0.0.0:50051", "encrypted"),
        ("grpc://localhost.example:50051", "encrypted"),
    ],
)
def test_another_address_is_not(address: str, why: str) -> None:
    with pytest.raises(BuildpermError, match=why) as caught:
        RemoteSettings.from_variables({"BUILDPERM_REMOTE": address})

    said = f"{caught.value}"
    assert "token@" not in said
    assert "=1" not in said
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("TOKEN_FILE", "/token", "only for addresses"),
        ("TIMEOUT", "0", "TIMEOUT is"),
        ("TIMEOUT", "-1", "TIMEOUT is"),
        ("TIMEOUT", "99999999", "TIMEOUT is"),
        ("TRUST_CACHE", "yes", "TRUST_CACHE is"),
    ],
)
def test_a_setting_that_says_nothing_is_an_error(variable: str, value: str, why: str) -> None:
    variables = {"BUILDPERM_REMOTE": "grpc://127.0.0.1:1", f"BUILDPERM_REMOTE_{variable}": value}
    with pytest.raises(BuildpermError, match=why):
        RemoteSettings.from_variables(variables)


def test_a_key_needs_its_certificate() -> None:
    variables = {"BUILDPERM_REMOTE": "grpcs://h:1", "BUILDPERM_REMOTE_KEY": "/key"}
    with pytest.raises(BuildpermError, match="only one of"):
        RemoteSettings.from_variables(variables)


def test_what_is_asked_for_is_kept(tmp_path: Path) -> None:
    variables = {
        "BUILDPERM_REMOTE": "grpcs://h:1",
        "BUILDPERM_REMOTE_TIMEOUT": "30",
        "BUILDPERM_REMOTE_TRUST_CACHE": "1",
        "BUILDPERM_REMOTE_TOKEN_FILE": str(tmp_path / "token"),
    }
    settings = RemoteSettings.from_variables(variables)

    assert (settings.timeout_s, settings.trusts_cache) == (30, True)
    with pytest.raises(BuildpermError, match="cannot be read"):
        settings.channel()
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "token").chmod(0o600)
    settings.channel().close()


def test_a_workspace_that_asks_for_more_is_not_run_there() -> None:
    check_required("portable")
    with pytest.raises(CannotEnforceError, match="asks for more"):
        check_required("full")


def test_supervisors_pass_on_only_what_the_command_was_given() -> None:
    variables = {"BUILDPERM_REMOTE": "grpc://127.0.0.1:1/x", "PATH": "/bin", "CARGO_X": "1"}
    told = described(variables)

    assert told["at"] == "grpc://127.0.0.1:1/x"
    assert told["environ"].keys() == {
        b"BUILDPERM_REMOTE",
        b"BUILDPERM_REMOTE_FILES",
        b"PATH",
    }
    assert b"secret" not in repr(told).encode()


def test_the_folder_of_a_package_is_not_searched_for_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks an engine is started in it, where a relative path would lead."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o600)
    ca = str(certificate(tmp_path))
    variables = {
        "BUILDPERM_REMOTE": "grpcs://engine.example:1",
        "BUILDPERM_REMOTE_TOKEN_FILE": "token",
        "BUILDPERM_REMOTE_CA": ca,
        "PYTHONPATH": ":/mine::src:.:/other/",
    }
    told = described(variables)["environ"]

    assert told[b"PYTHONPATH"] == b"/mine:/other/"
    assert told[b"BUILDPERM_REMOTE_TOKEN_FILE"] == bytes(tmp_path / "token")
    assert told[b"BUILDPERM_REMOTE_CA"] == os.fsencode(ca)


def test_what_asks_an_engine_imports_nothing_of_a_package(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("open('imported', 'w')")
    (tmp_path / "grpc.py").write_text("open('imported', 'w')")
    variables = {
        "BUILDPERM_REMOTE": "grpc://127.0.0.1:1",
        "PYTHONPATH": f":.:{Path(__file__).parents[2]}",
        "PATH": os.environ["PATH"],
    }
    told = described(variables)
    ended = subprocess.run(
        [*told["command"], b"none"], env=told["environ"], cwd=tmp_path, capture_output=True
    )

    assert (ended.returncode, ended.stdout[:22]) == (1, b"a file cannot be used:")
    assert not (tmp_path / "imported").exists()
