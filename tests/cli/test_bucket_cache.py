"""Machines that share a bucket: S3 on loopback, as another program serves it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from buildperm.workflow import shared_entry
from buildperm.workflow.shared_entry import Entry
from tests.blob_server import blob_server
from tests.cli.shared_machine import Machine, make_key, namespace, wait, workspace_at

pytestmark = pytest.mark.slow  # Each builds several times.

_SERVER = Path(__file__).parents[1] / "children/bucket_server.py"


class Bucket:
    """A bucket, as whoever may write to it sees it."""

    def __init__(self, port: int) -> None:
        self.at = f"http://127.0.0.1:{port}"

    def ask(self, path: str, content: bytes | None = None) -> bytes:
        method = "GET" if content is None else "PUT"
        # The server wants to see that somebody has signed, and does not look at how.
        signed = {"Authorization": "AWS testing:testing", "Content-Type": "binary/octet-stream"}
        place = f"{self.at}/bucket{path}"
        asked = urllib.request.Request(place, content, headers=signed, method=method)
        with urllib.request.urlopen(asked) as told:
            found: bytes = told.read()
            return found

    def objects(self) -> dict[str, bytes]:
        listed = ElementTree.fromstring(self.ask("?list-type=2"))
        names = [each.text or "" for each in listed.iter() if each.tag.endswith("}Key")]
        return {name: self.ask(f"/{name}") for name in names}


def _environment(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "not to be told",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    served = subprocess.Popen(
        [sys.executable, _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with served:
        assert served.stdout is not None
        yield Bucket(int(served.stdout.readline()))
        served.communicate(timeout=60)


def _machine(place: Path, name: str, at: str, key: Path | None = None, host: str = "") -> Machine:
    launcher = namespace(host) if host else ()
    machine = Machine(place.parents[1], name, place, key, launcher)
    machine.extra |= _environment(at)
    return machine


@pytest.fixture
def place(tmp_path: Path, bucket: Bucket) -> Path:
    """Return a checkout whose results a machine with a name of its own has given."""
    if subprocess.run([*namespace("one"), "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine has no namespaces")
    public = make_key(tmp_path, "key")
    made = workspace_at(tmp_path / "checkout/ws", "s3://bucket/some/prefix", public)
    trusted = _machine(made, "trusted", bucket.at, tmp_path / "key", "one")
    assert trusted.ci() == "kept", trusted.why
    wait()
    assert trusted.ci() == "kept", trusted.why
    assert "1 result pushed" in trusted.run("cache", "push")
    return made


def test_two_machines_share_a_bucket(place: Path, bucket: Bucket) -> None:
    assert all(name.startswith("some/prefix/1/") for name in bucket.objects())
    other = _machine(place, "other", bucket.at, host="two")

    assert "1 result pulled, 0 here already, 0 not used" in other.run("cache", "pull")
    assert other.ci() == "restored", other.why
    assert other.made() == "data0"
    assert "0 results pulled, 1 here already" in other.run("cache", "pull")

    stranger = _machine(place, "stranger", bucket.at)
    stranger.extra["AWS_ENDPOINT_URL"] = f"{bucket.at}/"
    manifest = place / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("s3://bucket/", "s3://another/"))
    assert "0 results pulled" in stranger.run("cache", "pull")


def _entries(change: Callable[[Entry], Entry]) -> Callable[[bytes], bytes]:
    def changed(raw: bytes) -> bytes:
        return shared_entry.write_shelf(list(map(change, shared_entry.read_shelf(raw))))

    return changed


def _unsigned(raw: bytes) -> bytes:
    told = json.loads(raw)
    del told[0]["signature"]
    return json.dumps(told).encode()


_STRANGER = f"ed25519:{'A' * 43}="
_FORGED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a forged result": ("shelves", _entries(lambda each: replace(each, size=each.size + 1))),
    "a fresh date": ("shelves", _entries(lambda each: replace(each, signed_s=each.signed_s + 9))),
    "a stranger's": (
        "shelves",
        _entries(lambda each: replace(each, signer=_STRANGER)),
    ),
    "no signature": ("shelves", _unsigned),
    "a cut shelf": ("shelves", lambda raw: raw[:-9]),
    "an endless shelf": ("shelves", lambda raw: raw + b" " * (1 << 20)),
    "cut parts": ("blobs", lambda raw: raw[:-1]),
    "other parts": ("blobs", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])),
    "endless parts": ("blobs", lambda raw: raw + bytes(1 << 20)),
}


def test_what_somebody_else_put_into_the_bucket_is_a_line(place: Path, bucket: Bucket) -> None:
    given, reasons = bucket.objects(), set()
    for number, (what, (kind, change)) in enumerate(_FORGED.items()):
        for name, raw in given.items():
            is_meant = f"/1/{kind}/" in name
            bucket.ask(f"/{name}", change(raw) if is_meant else raw)
        other = _machine(place, f"other{number}", bucket.at)
        said = other.run("cache", "pull")
        assert "sample 0.1.0: not used: " in said, what
        reasons.add(said.splitlines()[0])
        assert "0 results pulled, 0 here already, 1 not used" in said, what
    assert len(reasons) >= 5, reasons
    for name, raw in given.items():
        bucket.ask(f"/{name}", raw)
    assert "1 result pulled" in _machine(place, "honest", bucket.at).run("cache", "pull")


def test_a_bucket_that_misbehaves_is_a_line_in_bounded_time(place: Path, bucket: Bucket) -> None:
    with blob_server() as server:
        at = f"http://127.0.0.1:{server.server_port}"
        other = _machine(place, "other", at)
        for misbehaves in (
            *("refuses", "fails", "endless", "trickles", "hangs"),
            *(f"redirects to {bucket.at}/", "redirects to http://169.254.169.254/"),
        ):
            server.misbehaves = misbehaves
            began = time.monotonic()
            said = other.run("cache", "pull")
            assert "0 results pulled, 0 here already, 1 not used" in said, misbehaves
            assert "127.0.0.1" not in said
            assert "not to be told" not in said
            assert time.monotonic() - began < 100, misbehaves
        assert other.ci() == "kept"  # The build goes on.
    assert "1 not used" in other.run("cache", "pull")  # Nobody is there any more.


def test_without_credentials_nobody_waits_for_long(place: Path, bucket: Bucket) -> None:
    other = _machine(place, "other", bucket.at)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del other.extra[name]
    began = time.monotonic()
    assert "1 not used" in other.run("cache", "pull")
    assert time.monotonic() - began < 100
