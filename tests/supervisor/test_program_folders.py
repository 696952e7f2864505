"""Folders of PATH: whoever looks for a program by its name lists them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox.machine import bubblewrap
from tests.redteam.runtimes import RUNTIMES

if TYPE_CHECKING:
    from tests.bench import Bench

LISTS = """
import json, os
told = {}
for folder in os.environ["PATH"].split(":"):
    try:
        told[os.path.basename(folder)] = sorted(os.listdir(folder))
    except OSError as error:
        told[os.path.basename(folder)] = type(error).__name__
try:
    told["content"] = open(os.environ["PATH"].split(":")[0] + "/secret").read()
except OSError as error:
    told["content"] = type(error).__name__
with open(os.environ["OUT_DIR"] + "/told", "w") as file:
    json.dump(told, file)
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_folders_of_programs_are_listed_and_others_are_not(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    """Whoever looks for a program lists them; a home on PATH shows what else is in it."""
    if runtime == "full":
        own_bench.wrapper, own_bench.mounts = [os.fsencode(bubblewrap())], True
    folders = [own_bench.home / name for name in ("programs", "mixed", "keys", "denied")]
    for folder in folders:
        folder.mkdir()
        (folder / "tool").write_text("#!/bin/sh\n")
    (own_bench.home / "mixed/private").mkdir()
    (own_bench.home / "keys/.netrc").write_text("password")
    own_bench.deny = {"read": [f"{own_bench.home}/denied"]}
    made = own_bench.session("enforcing")
    made["path"] = b":".join(
        os.fsencode(folder) for folder in (*folders, own_bench.home, Path("/usr/bin"))
    )
    monkeypatch.setattr(type(own_bench), "session", lambda *_: made)
    placed = own_bench.script(LISTS)
    (own_bench.home / "programs/secret").write_text("text")

    ended = own_bench.run(placed)

    told = json.loads((own_bench.out_dir / "told").read_text())
    assert told["content"] in ("PermissionError", "FileNotFoundError")
    assert told.pop("programs") == ["secret", "tool"]
    assert "python3" in told.pop("bin")
    assert all(isinstance(found, str) for found in told.values()), told
    header = ended.events[0]
    assert str(own_bench.home / "programs") in header["harmless"]
    assert str(own_bench.home / "mixed") not in header["harmless"]
