"""What root can do to the machine without any file: a build script that root runs cannot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.programs import program_text
from tests.redteam.attempted_calls import call_outcomes

if TYPE_CHECKING:
    from tests.bench import Bench

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root has something to give up")


def test_roots_script_cannot_do_to_the_machine_what_root_can(own_bench: Bench) -> None:
    # A firewall was replaced through a TCP socket that was connected to nobody.
    own_bench.limits = {"file_bytes": 1 << 20}
    body = program_text("needs_capabilities.py")
    refused = ["firewall 1", "mark 1", "core 1", "size 1", "realtime 1", "nice 13"]

    assert call_outcomes(own_bench, body) == refused


def test_roots_script_still_handles_files_of_others(own_bench: Bench) -> None:
    inherited = own_bench.package / "of-somebody"
    inherited.write_text("x")
    inherited.chmod(0o600)
    os.chown(inherited, 1234, 1234)
    body = program_text("changes_ownership.py")
    assert call_outcomes(own_bench, body) == [
        f"{each} done" for each in ("read", "give", "mode", "write", "leave", "become")
    ]
    assert (own_bench.out_dir / "given").stat().st_uid == 1234


def test_a_sandbox_wrapper_that_leaves_root_its_privileges_makes_no_difference(
    own_bench: Bench,
) -> None:
    own_bench.wrapper = [b"/usr/bin/env"]
    body = """
tries("firewall", lambda: socket.socket().setsockopt(0, 64, bytes(96)))
open(os.environ["OUT_DIR"] + "/given", "w").close()
tries("give", lambda: os.chown(os.environ["OUT_DIR"] + "/given", 1234, 1234))
"""
    assert call_outcomes(own_bench, body) == ["firewall 1", "give done"]
