"""Indexes that are not what they should be: nothing of them is used."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.policy.entry_list import ENTRY_MOST
from buildperm.policy.kinds import Kind
from buildperm.policy.permission_entry import Ask, Origin, PermissionEntry
from buildperm.policy.proposal import Risk
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.workflow.index_making import IndexFolder, Part, requests_of
from buildperm.workflow.index_source import open_index
from tests.supervisor.certificate import certificate

CHECKSUM = "ab" * 32
PERL = Ask("run \x1b[31mperl", Risk.HIGH, (Kind.EXEC,), (), (Rule(Kind.EXEC, "perl"),))


def _entry(name: str = "runner", checksum: str = CHECKSUM) -> PermissionEntry:
    origin = Origin("0.1.0", "2026-12-01T16:00:00Z", "1.95.0", "x", "portable", "learning")
    return PermissionEntry(name, "1.0.0", checksum, (SubjectKind.SCRIPT,), (PERL,), "", (), origin)


@pytest.fixture
def index(tmp_path: Path) -> tuple[Path, str]:
    made = IndexFolder(tmp_path / "index")
    made.add(_entry())
    return made.folder, made.seal()


def test_what_is_listed_is_found_by_its_content(index: tuple[Path, str]) -> None:
    found = open_index(f"{index[0]}#sha256={index[1]}")
    assert found.digest == index[1]
    assert found.find("runner", "1.0.0", CHECKSUM) == _entry()
    assert found.find("runner", "1.0.0", "cd" * 32) is None
    assert found.find("runner", "1.0.1", CHECKSUM) is None
    assert found.find("../runner", "1.0.0", CHECKSUM) is None


def test_a_changed_entry_is_an_error(index: tuple[Path, str]) -> None:
    path = index[0] / "ru/nn/runner/1.0.0.json"
    path.write_bytes(path.read_bytes().replace(b"high", b"low"))
    with pytest.raises(BuildpermError, match="SHA-256"):
        open_index(str(index[0])).find("runner", "1.0.0", CHECKSUM)


def test_an_entry_of_another_package_is_an_error(index: tuple[Path, str]) -> None:
    path = index[0] / "ru/nn/runner/1.0.0.json"
    path.write_bytes(_entry("ruinner").dump())
    listed = json.loads((index[0] / "index.json").read_bytes())
    listed["entries"]["ru/nn/runner/1.0.0.json"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (index[0] / "index.json").write_text(json.dumps(listed))
    with pytest.raises(BuildpermError, match="another package"):
        open_index(str(index[0])).find("runner", "1.0.0", CHECKSUM)


def test_what_is_too_long_or_no_file_is_an_error(index: tuple[Path, str]) -> None:
    path = index[0] / "ru/nn/runner/1.0.0.json"
    path.write_bytes(b" " * (ENTRY_MOST + 1))
    with pytest.raises(BuildpermError, match="bytes"):
        open_index(str(index[0])).find("runner", "1.0.0", CHECKSUM)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BuildpermError, match="no plain file"):
        open_index(str(index[0])).find("runner", "1.0.0", CHECKSUM)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("http://127.0.0.1/x#sha256=" + "0" * 64, "https"),
        ("file:///etc#sha256=" + "0" * 64, "https"),
        ("https://127.0.0.1/x", "needs the SHA-256"),
        ("https://127.0.0.1/x#sha256=12", "needs the SHA-256"),
        ("/nonexistent", "cannot read"),
    ],
)
def test_other_places_are_refused(place: str, said: str) -> None:
    with pytest.raises(BuildpermError, match=said):
        open_index(place)


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def do_GET(self) -> None:
        """Serve a file, or lead elsewhere."""
        if self.path.startswith("/plain/"):
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:9{self.path[6:]}")
            self.end_headers()
        elif self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path[6:])
            self.end_headers()
        else:
            super().do_GET()


@contextmanager
def _served(folder: Path, secrets: Path) -> Iterator[str]:
    certificate(secrets, "IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secrets / "certificate.pem", secrets / "key.pem")
    server = HTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_ASK = """
import sys
from buildperm.errors import BuildpermError
from buildperm.workflow.index_source import open_index
try:
    print(open_index(sys.argv[1]).find("runner", "1.0.0", sys.argv[2]).name)
except BuildpermError as error:
    print("refused:", error.args[0])
"""


def test_an_address_is_read_where_all_fits(index: tuple[Path, str], tmp_path: Path) -> None:
    folder, digest = index

    def asked(place: str, *, trusted: bool = True) -> str:
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        trust = {"SSL_CERT_FILE": str(tmp_path / "certificate.pem")} if trusted else {}
        return subprocess.run(
            [sys.executable, "-c", _ASK, place, CHECKSUM],
            env=kept | trust,
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        ).stdout

    with _served(folder, tmp_path) as address:
        assert asked(f"{address}#sha256={digest}") == "runner\n"
        assert asked(f"{address}/moved#sha256={digest}") == "runner\n"
        assert asked(f"{address}#sha256={'0' * 64}").startswith("refused: the list")
        assert asked(f"{address}/plain#sha256={digest}").startswith("refused: cannot get")
        assert asked(f"{address}/none#sha256={digest}").startswith("refused: cannot get")
        assert asked(f"{address}#sha256={digest}", trusted=False).startswith("refused: cannot")


def test_parts_are_all_of_it_and_each_crate_is_in_one() -> None:
    names = [f"crate-{number}" for number in range(100)]
    parts = [Part.parse(f"{number}/3") for number in (1, 2, 3)]
    split = [[name for name in names if part.has(name)] for part in parts]
    assert sorted(name for part in split for name in part) == sorted(names)
    assert all(split)
    assert [part.has("crate-1") for part in parts] == [part.has("CRATE_1") for part in parts]


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "-1/3", "1/3/3", "a/b"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(BuildpermError, match="no part"):
        Part.parse(text)


def test_folders_are_united_by_copying(tmp_path: Path) -> None:
    for name in ("runner", "other"):
        made = IndexFolder(tmp_path / name)
        made.add(_entry(name))
        made.seal()
    subprocess.run(["cp", "-r", f"{tmp_path}/other/.", f"{tmp_path}/runner"], check=True)
    both = IndexFolder(tmp_path / "runner")
    digest = both.seal()
    found = open_index(f"{both.folder}#sha256={digest}")
    assert found.find("runner", "1.0.0", CHECKSUM)
    assert found.find("other", "1.0.0", CHECKSUM)


def test_a_broken_entry_is_no_part_of_a_list_and_is_made_anew(tmp_path: Path) -> None:
    made = IndexFolder(tmp_path)
    made.add(_entry())
    assert not made.lacks("runner", "1.0.0", CHECKSUM)
    assert made.lacks("runner", "1.0.0", "cd" * 32)
    (tmp_path / "ru/nn/runner/1.0.0.json").write_text("{}")
    assert made.lacks("runner", "1.0.0", CHECKSUM)
    with pytest.raises(BuildpermError):
        made.seal()


def test_lists_of_crates_have_comments(tmp_path: Path) -> None:
    (tmp_path / "crates").write_text("# these\nring\n\nserde@1.0.1  # exactly\nring\n")
    found = requests_of(["libc"], [tmp_path / "crates"])
    assert [(each.name, each.requirement) for each in found] == [
        ("libc", ""),
        ("ring", ""),
        ("serde", "=1.0.1"),
    ]
