"""The store that `cache` in Cargo.toml names: addresses and keys, and what may not stand there."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.cache_store import CacheStore, key_bytes, key_text
from buildperm.policy.grants import Policy

KEY = key_text(bytes(32))
OTHER = key_text(bytes([1] * 32))
SCHEMA = json.loads(files("buildperm.policy").joinpath("grants.schema.json").read_text("utf-8"))


def text(cache: str) -> str:
    return f"[workspace]\n[workspace.metadata.buildperm]\nversion = 1\ncache = {cache}\n"


def read(cache: str) -> Policy:
    return manifest.read(text(cache).encode(), Path("Cargo.toml"))


def fits_schema(cache: str) -> bool:
    table = tomllib.loads(text(cache))["workspace"]["metadata"]["buildperm"]
    return Draft202012Validator(SCHEMA).is_valid(table)


@pytest.mark.parametrize(
    "address",
    [
        *("https://cache.example/team", "https://cache.example:8443/a/b", "s3://bucket/prefix"),
        *("gs://bucket", "file:///srv/cache", "http://127.0.0.1:9000/x", "http://[::1]:9/x"),
    ],
)
def test_a_store_is_read(address: str) -> None:
    said = f'{{ store = "{address}", keys = ["{OTHER}", "{KEY}"] }}'

    policy = read(said)

    assert policy.cache
    assert policy.cache_store == CacheStore(address, (KEY, OTHER))
    assert fits_schema(said)


@pytest.mark.parametrize(("said", "is_on"), [("true", True), ("false", False)])
def test_a_switch_names_no_store(said: str, is_on: bool) -> None:
    policy = read(said)

    assert (policy.cache, policy.cache_store) == (is_on, None)


REFUSED = {
    "a password": ("https://user:hunter2@cache.example/x", "a user or a password"),
    "a token": ("https://hunter2@cache.example/x", "a user or a password"),
    "a signed URL": ("https://cache.example/x?sig=hunter2", "a query"),
    "a fragment": ("https://cache.example/x#hunter2", "a query or a fragment"),
    "not encrypted": ("http://cache.example/hunter2", "not encrypted"),
    "a name like this machine's": ("http://127.0.0.1.example/x", "not encrypted"),
    "another scheme": ("ftp://cache.example/hunter2", "no URL"),
    "a program": ("data:text/plain,hunter2", "no URL"),
    "no scheme": ("/srv/hunter2", "no URL"),
    "no host": ("https:///x", "no host"),
    "another machine's file": ("file://host/x", "no `file:///FOLDER`"),
    "a space": ("https://cache.example/a hunter2", "no URL"),
    "beyond ASCII": ("https://cäche.example/x", "no URL"),
    "a broken host": ("https://[::1/x", "no URL"),
    "a broken port": ("https://cache.example:hunter2/x", "no URL"),
    "upwards": ("https://cache.example/a/../b", "upwards"),
    "a bucket with a port": ("s3://bucket:1/x", "a port"),
}


@pytest.mark.parametrize(("address", "why"), REFUSED.values(), ids=REFUSED)
def test_an_address_that_cannot_be_is_refused_and_not_repeated(address: str, why: str) -> None:
    with pytest.raises(BuildpermError) as caught:
        read(f'{{ store = "{address}", keys = ["{KEY}"] }}')

    assert why in str(caught.value)
    assert "Cargo.toml:4: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


FAULTS = {
    "no store": (f'{{ keys = ["{KEY}"] }}', "`store` is missing"),
    "no keys": ('{ store = "s3://b" }', "`keys` is missing"),
    "an empty list": ('{ store = "s3://b", keys = [] }', "1 to 16 keys"),
    "a text as list": (f'{{ store = "s3://b", keys = "{KEY}" }}', "a list of strings"),
    "another algorithm": ('{ store = "s3://b", keys = ["rsa:x"] }', "no `ed25519:`"),
    "too short": ('{ store = "s3://b", keys = ["ed25519:AAAA"] }', "no `ed25519:`"),
    "two ways to write it": (
        f'{{ store = "s3://b", keys = ["{KEY[:-2]}B="] }}',
        "no `ed25519:`",
    ),
    "a private key": (
        f'{{ store = "s3://b", keys = ["{key_text(bytes(32), "ed25519-private:")}"] }}',
        "no `ed25519:`",
    ),
    "an unknown key": (f'{{ store = "s3://b", keys = ["{KEY}"], kyes = 1 }}', "unknown key"),
    "a number": ("1", "must be true or false"),
}


@pytest.mark.parametrize(("said", "why"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_table_is_one_clear_error(said: str, why: str) -> None:
    with pytest.raises(BuildpermError, match=r"^Cargo\.toml:4: ") as caught:
        read(said)

    assert why in str(caught.value)
    # A schema cannot see that the last bits of a key are not zero.
    assert not fits_schema(said) or said.endswith('B="] }')


def test_a_key_has_one_form() -> None:
    assert key_bytes(KEY, "ed25519:") == bytes(32)
    with pytest.raises(ValueError, match="base64"):
        key_bytes(KEY + "\n", "ed25519:")
