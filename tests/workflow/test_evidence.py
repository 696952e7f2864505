"""How a recording says that it was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.policy.role import OF_SCRIPT
from buildperm.policy.snapshot import Context
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.reader import End
from buildperm.workflow.evidence import RecordedRun
from tests.presentation.trace_recordings import write_recording

_END = End(0, 0, 1, 0, 0, "", "")
_RUN = RecordedRun(
    Context("x86_64-unknown-linux-gnu", "debug", (), OF_SCRIPT),
    *("learning", 0.0, (), (), {}, ""),
    *((), _END, False),
)


@pytest.mark.parametrize(
    ("mode", "command", "said"),
    [
        ("learning", "learn", "while learning (`buildperm learn`)"),
        ("learning", "review", "while learning (`buildperm review`)"),
        ("enforcing", "ci", "in a held build (`buildperm ci`)"),
        ("enforcing", "cargo", "in a held build (plain Cargo)"),
        ("learning", "", "while learning"),
        ("enforcing", "\x1b[2Jrm -rf", "in a held build"),  # Not one of ours.
    ],
)
def test_the_command_is_named_where_it_is_known(mode: str, command: str, said: str) -> None:
    assert replace(_RUN, mode=mode, command=command).circumstance == said


def test_a_recording_of_an_earlier_version_names_no_command(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "recording.jsonl")
    head, _, rest = path.read_text().partition("\n")
    assert reader.read(path).header.command == ""
    path.write_text(head.removesuffix("}") + ', "command": "ci"}\n' + rest)
    assert reader.read(path).header.command == "ci"
