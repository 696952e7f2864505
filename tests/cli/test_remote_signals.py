"""A build that is ended while an engine is asked: it ends at once, and leaves nothing half."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildperm.workflow.remote_messages import MESSAGES, Message
from tests.command import buildperm, environment, member
from tests.engines import LyingEngine

pytestmark = pytest.mark.slow  # Each builds.

_WRITES = """fn main() {
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made", "made").unwrap();
}
"""
_ENDS_S = 20.0  # A busy machine; an engine that hangs is waited for longer: 30 s at least.


class HangingEngine(LyingEngine):
    """Hangs at one method, and when it is asked what it lacks only if that is something."""

    def _missing(self, raw: bytes, context: Message) -> bytes:
        asked = MESSAGES["FindMissingBlobsRequest"].FromString(raw)
        if "what it lacks" in self.hangs and asked.blob_digests:
            self.is_hung.set()
            next(self._silence())
        return super()._missing(raw, context)


class Place:
    """A workspace whose script is known by a run here, and an engine."""

    def __init__(self, top: Path) -> None:
        self.engine = HangingEngine()
        self.workspace = member(top / "ws", _WRITES)
        manifest = self.workspace / "Cargo.toml"
        table = "\n[workspace.metadata.buildperm]\nversion = 1\n"
        manifest.write_text(manifest.read_text() + table)
        (top / "cache").mkdir()
        self.variables = {
            "XDG_CACHE_HOME": str(top / "cache"),
            "BUILDPERM_REMOTE": f"grpc://{self.engine.address}",
        }

    def build(self) -> str:
        """Build from nothing; return what was said."""
        self.clear()
        words = ("ci", "--runtime", "remote")
        ended = buildperm(*words, folder=self.workspace, extra=self.variables)
        assert ended.returncode == 0, ended.stderr
        return ended.stderr

    def start(self) -> subprocess.Popen[bytes]:
        self.clear()
        return subprocess.Popen(
            [sys.executable, "-m", "buildperm", "ci", "--runtime", "remote"],
            cwd=self.workspace,
            env=environment(self.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def clear(self) -> None:
        shutil.rmtree(self.workspace / "target", ignore_errors=True)

    def left(self) -> list[str]:
        """Return what is in any OUT_DIR."""
        found = self.workspace.glob("target/**/sample*/out/**/*")
        return [str(path) for path in found]

    def processes(self) -> set[int]:
        """Return those that know of this engine, which is nobody else's."""
        named = f"BUILDPERM_REMOTE={self.variables['BUILDPERM_REMOTE']}".encode()
        found = set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if named in path.read_bytes().split(b"\0"):
                    found.add(int(path.parent.name))
            except OSError:
                continue
        return found


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Return a place that is not in /tmp: executors have that of their own."""
    top = Path(tempfile.mkdtemp(prefix="buildperm-remote-", dir="/var/tmp"))
    made = Place(top)
    made.build()
    yield made
    made.engine.stop()
    shutil.rmtree(top)


STATES = {
    "connecting": "FindMissingBlobs",
    "asking": "what it lacks",
    "uploading": "Write",
    "waiting": "Execute",
    "downloading": "Read",
}


SIGNALS = (signal.SIGINT, signal.SIGTERM)
CASES = [*itertools.product(STATES, SIGNALS), ("connecting", signal.SIGKILL)]
CASES.append(("waiting", signal.SIGKILL))


@pytest.mark.parametrize(("state", "number"), CASES)
def test_whoever_ends_a_build_need_not_wait_for_the_engine(
    place: Place, state: str, number: signal.Signals
) -> None:
    engine = place.engine
    tree = engine.tree({"1/results/ab/0.json": b"{}"})
    engine.answer = lambda _: iter([engine.result(tree)])
    engine.hangs = {STATES[state]}
    engine.is_hung.clear()
    if state == "uploading":
        engine.blobs.clear()
    running = place.start()
    try:
        assert engine.is_hung.wait(120)
        began = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(running.pid, number)  # As a terminal does.
        else:
            running.send_signal(number)
        _, said = running.communicate(timeout=_ENDS_S)
        while place.processes() and time.monotonic() - began < _ENDS_S:
            time.sleep(0.05)
    finally:
        engine.hangs = set()
        running.kill()

    assert time.monotonic() - began < _ENDS_S
    assert place.processes() == set()
    assert place.left() == []
    is_killed = number == signal.SIGKILL or (number == signal.SIGTERM and state == "connecting")
    assert running.returncode == (-number if is_killed else 130), said
    assert b"Traceback" not in said


def test_after_that_it_is_built_as_ever(place: Place) -> None:
    assert "ran here, and not on" in place.build()
    assert [os.path.basename(path) for path in place.left()] == ["made"]
