"""Machines that share results: what one has signed another one restores, and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildperm.workflow.remote_store import TIMEOUT_S
from tests.blob_server import BlobServer, blob_server
from tests.cli.shared_machine import Machine, make_key, namespace, wait, workspace_at
from tests.command import environment, member

pytestmark = pytest.mark.slow  # Each builds several times.


@pytest.fixture
def server() -> Iterator[BlobServer]:
    with blob_server() as server:
        yield server


@pytest.fixture
def given(tmp_path: Path, server: BlobServer) -> Machine:
    """Return a machine that has built twice, and given what came of it."""
    public = make_key(tmp_path, "key")
    workspace = workspace_at(tmp_path / "ws", server.address, public)
    machine = Machine(tmp_path, "trusted", workspace, tmp_path / "key")
    assert machine.ci() == "kept", machine.why
    assert "0 results pushed" in machine.run("cache", "push")  # Seen once is not enough.
    wait()
    assert machine.ci() == "kept", machine.why
    assert "1 result pushed" in machine.run("cache", "push")
    return machine


def test_another_machine_restores_what_was_signed(given: Machine, tmp_path: Path) -> None:
    made = given.made()
    alone = Machine(tmp_path, "alone", given.workspace)
    other = Machine(tmp_path, "other", given.workspace)

    assert alone.ci() == "kept"  # It has run: nothing was pulled there.
    assert "1 result pulled, 0 here already, 0 not used" in other.run("cache", "pull")
    assert other.ci() == "restored", other.why

    assert other.made() == made == "data0"  # No script saw the key.
    assert "signed ed25519:" in other.run("cache", "show")
    assert "restored" in other.run("cache", "explain", "sample")
    assert "1 result read, 0 damaged" in other.run("cache", "verify")
    assert "0 results pulled, 1 here already" in other.run("cache", "pull")
    assert "1 result removed" in other.run("cache", "clear")


def test_a_signed_result_of_other_inputs_is_not_restored(given: Machine, tmp_path: Path) -> None:
    data = given.workspace / "sample/data"
    about = data.stat()
    data.write_text("DATA")
    os.utime(data, ns=(about.st_atime_ns, about.st_mtime_ns))
    other = Machine(tmp_path, "other", given.workspace)

    other.run("cache", "pull")

    assert other.ci() != "restored"
    assert other.made() == "DATA0"


def test_in_another_place_a_run_has_to_come_to_the_same(given: Machine, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere/ws"
    place.parent.mkdir()
    shutil.copytree(given.workspace, place, ignore=shutil.ignore_patterns("target"))
    other = Machine(tmp_path, "other", place)
    other.run("cache", "pull")

    assert other.ci() == "kept", other.why
    assert other.ci() == "restored", other.why


def test_who_lists_another_key_uses_nothing(given: Machine, tmp_path: Path) -> None:
    other = Machine(tmp_path, "other", given.workspace)
    other.run("cache", "pull")
    manifest = given.workspace / "Cargo.toml"
    mine = given.run("cache", "push").rpartition(" ")[2].strip()
    manifest.write_text(manifest.read_text().replace(mine, make_key(tmp_path, "another")))

    said = other.run("cache", "pull")

    assert "sample 0.1.0: not used: it is signed by a key that Cargo.toml does not list" in said
    assert "0 results pulled" in said
    # What was pulled while the other key was listed lies elsewhere.
    assert other.ci() == "kept", other.why
    assert "does not list" in given.run("cache", "push", code=2)


def test_without_a_key_nothing_is_pushed(
    given: Machine, tmp_path: Path, server: BlobServer
) -> None:
    visitor = Machine(tmp_path, "visitor", given.workspace)
    assert visitor.ci() == "kept"
    before = dict(server.objects)

    assert "nothing is pushed" in visitor.run("cache", "push")
    assert server.objects == before


def test_a_store_that_fails_is_a_line(given: Machine, tmp_path: Path, server: BlobServer) -> None:
    other = Machine(tmp_path, "other", given.workspace)
    server.misbehaves = "fails"

    said = other.run("cache", "pull")

    assert "sample 0.1.0: not used: the store cannot be read" in said
    assert "127.0.0.1" not in said
    assert other.ci() == "kept"
    server.misbehaves = "refuses"
    visitor = Machine(tmp_path, "visitor", given.workspace, tmp_path / "key")
    visitor.ci()
    wait()
    assert visitor.ci() == "kept"
    assert "the store cannot be" in visitor.run("cache", "push", code=2)


def test_who_interrupts_does_not_wait_for_the_store(tmp_path: Path) -> None:
    """Somebody takes the call, and says nothing for as long as a request may take."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        workspace = workspace_at(tmp_path / "ws", address, make_key(tmp_path, "key"))
        subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=workspace, check=True)
        began = subprocess.Popen(
            [sys.executable, "-m", "buildperm", "cache", "pull"],
            cwd=workspace,
            env=environment({"XDG_CACHE_HOME": str(tmp_path / "cache")}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in the background may ignore it, which is handed on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        silent.settimeout(120)
        caller, _ = silent.accept()
        with caller:
            began.send_signal(signal.SIGINT)
            began_s = time.monotonic()
            told, said = began.communicate(timeout=120)

    assert (began.returncode, told, said) == (130, "", "buildperm: interrupted\n")
    assert time.monotonic() - began_s < TIMEOUT_S / 2


def test_a_workspace_without_a_store_has_nobody_to_ask(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}\n")
    machine = Machine(tmp_path, "alone", workspace)
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=workspace, check=True)

    assert "no store is named in Cargo.toml" in machine.run("cache", "pull", code=2)


def test_two_machines_with_names_and_processes_of_their_own_share_a_store(
    tmp_path: Path, server: BlobServer
) -> None:
    if subprocess.run([*namespace("one"), "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine has no namespaces")
    public = make_key(tmp_path, "key")
    checkouts = [tmp_path / name / "ws" for name in ("one", "two")]
    workspace_at(checkouts[0], server.address, public)
    trusted = Machine(tmp_path, "trusted", checkouts[0], tmp_path / "key", namespace("one"))
    assert trusted.ci() == "kept", trusted.why
    wait()
    assert trusted.ci() == "kept", trusted.why
    assert "1 result pushed" in trusted.run("cache", "push")
    shutil.copytree(checkouts[0], checkouts[1], ignore=shutil.ignore_patterns("target"))
    other = Machine(tmp_path, "other", checkouts[1], launcher=namespace("two"))
    assert "1 result pulled" in other.run("cache", "pull")

    # In another checkout a run there has to come to the same first; its own result is local.
    assert other.ci() == "kept"
    assert "elsewhere" in other.why
    assert other.made() == trusted.made()
    same_place = Machine(tmp_path, "same-place", checkouts[0], launcher=namespace("three"))
    assert "1 result pulled" in same_place.run("cache", "pull")
    assert same_place.ci() == "restored", same_place.why
    assert same_place.made() == "data0"
    (checkouts[0] / "sample/data").write_text("DATA")
    assert same_place.ci() != "restored"
    assert same_place.made() == "DATA0"
