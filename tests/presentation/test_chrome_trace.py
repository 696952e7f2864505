"""A trace in the Trace Event Format."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from buildperm.presentation.chrome_trace import chrome_trace
from buildperm.presentation.traced_run import traced_events
from buildperm.printable import is_visible
from tests.presentation.trace_recordings import traced_run

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = {
    "M": {"name", "ph", "pid", "tid", "args"},
    "X": {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"},
    "i": {"name", "cat", "ph", "ts", "pid", "tid", "s", "args"},
    "s": {"name", "cat", "ph", "id", "ts", "pid", "tid"},
    "f": {"name", "cat", "ph", "id", "ts", "pid", "tid", "bp"},
}
"""What the format wants of each kind of entry."""


def entries(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the entries of a trace of two runs, as they were read back."""
    runs = [traced_run(tmp_path / "one"), traced_run(tmp_path / "two")]
    made = chrome_trace("gen 1.0", runs, list(traced_events(runs)))
    read: list[dict[str, Any]] = json.loads(json.dumps(made))["traceEvents"]
    return read


def test_every_entry_has_what_the_format_wants(tmp_path: Path) -> None:
    for entry in entries(tmp_path):
        assert entry.keys() == REQUIRED[entry["ph"]]
        assert is_visible(entry["name"])
        assert all(isinstance(entry[name], int) and entry[name] >= 0 for name in ("pid", "tid"))
        assert entry.get("ts", 0) >= 0
        assert entry.get("dur", 0) >= 0


def test_each_run_has_a_track_for_each_process(tmp_path: Path) -> None:
    found = entries(tmp_path)

    counts = Counter(entry["ph"] for entry in found)
    assert counts == {"M": 2 * (2 + 3 * 2), "X": 6, "i": 14, "s": 4, "f": 4}
    names = {(each["pid"], each["tid"]): each["args"]["name"] for each in found
             if each["name"] == "thread_name"}  # fmt: skip
    assert names == {
        (run, tid): name
        for run in (1, 2)
        for tid, name in ((1, "build script"), (2, "git[8]"), (3, "git[9]"))
    }


def test_a_slice_is_as_long_as_the_process_ran(tmp_path: Path) -> None:
    slices = {each["name"]: each for each in entries(tmp_path) if each["ph"] == "X"}

    assert slices["git log '$x'"]["dur"] == 7_000
    assert slices["git status"]["args"]["ending"] == "exit 1"


def test_what_began_below_a_process_is_tied_to_it(tmp_path: Path) -> None:
    found = entries(tmp_path)
    begins = {each["id"]: each for each in found if each["ph"] == "s"}
    ends = {each["id"]: each for each in found if each["ph"] == "f"}

    assert begins.keys() == ends.keys()
    assert all(begins[key]["ts"] == ends[key]["ts"] for key in begins)
    assert {(each["pid"], each["tid"]) for each in begins.values()} == {(1, 1), (2, 1)}


def test_refusals_have_a_category_of_their_own(tmp_path: Path) -> None:
    refused = [each["args"]["text"] for each in entries(tmp_path) if each.get("cat") == "refused"]

    assert refused == ["/root/.ssh/id", "rustc-link-arg=-fuse-ld=/tmp/x"] * 2
