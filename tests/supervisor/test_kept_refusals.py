"""Folders whose listing is refused to whoever looks for a library: such a run is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import kept_results
from tests.bench import Bench, make_bench

pytestmark = pytest.mark.slow  # It runs scripts until they have come to the same.

BODY = """
import os
out = os.environ["OUT_DIR"]
try:
    said = str(os.listdir({folder!r}))
except OSError as error:
    said = error.strerror
with open(out + "/made", "w") as file:
    file.write(said)
"""


def with_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("")


def with_link(folder: Path) -> None:
    folder.rmdir()
    folder.symlink_to("nowhere")


CHANGES: dict[str, Callable[[Path], None]] = {
    "gone": Path.rmdir,
    "a file": with_file,
    "a link": with_link,
}


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Return a bench whose runs are kept."""
    for made in make_bench("own"):
        made.kept = made.top / "results"
        yield made


@pytest.mark.parametrize("light", [False, True])
def test_who_is_refused_a_folder_of_the_search_path_is_kept(bench: Bench, light: bool) -> None:
    bench.light = light
    folder = bench.target / "other/deps"
    folder.mkdir(parents=True)
    placed = bench.script(BODY.format(folder=str(folder)))

    found = kept_results.until_restored(bench, placed)

    assert {made for _, made in found} == {"Permission denied"}
    (folder / "more").touch()  # Nobody is told.
    found = kept_results.until_restored(bench, placed)
    assert {made for _, made in found} == {"Permission denied"}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_there_then_counts(bench: Bench, change: str) -> None:
    folder = bench.target / "other/deps"
    folder.mkdir(parents=True)
    placed = bench.script(BODY.format(folder=str(folder)))
    kept_results.until_restored(bench, placed)

    CHANGES[change](folder)

    came, made = kept_results.outcome(bench, placed)
    assert came != "restored"
    assert made != "Permission denied"


LISTING = """
import os, subprocess
folder = {folder!r}
if {is_direct}:
    try:
        os.listdir(folder)
    except OSError as error:
        said = error.strerror
else:
    listed = subprocess.run(["/bin/ls", folder], capture_output=True, text=True)
    said = "Permission denied" if "Permission denied" in listed.stderr else listed.stdout
with open(os.environ["OUT_DIR"] + "/made", "w") as file:
    file.write(said)
"""


@pytest.mark.parametrize("folder", ["/etc", "/var/cache/ldconfig"])
def test_what_only_programs_look_at_out_of_habit_keeps_no_result_of_others(
    bench: Bench, folder: str
) -> None:
    """Without /var/cache/ldconfig, ldconfig(8) looks at each library, as libtool has it do."""
    if not Path(folder).is_dir():
        pytest.skip(f"there is no {folder} here")
    bench.grants = {"exec": ["ls"]}

    direct = bench.script(LISTING.format(folder=folder, is_direct=True))
    assert kept_results.run(bench, direct)[1]["outcome"] == "not kept"

    by_tool = bench.script(LISTING.format(folder=folder, is_direct=False))
    found = kept_results.until_restored(bench, by_tool)
    assert {made for _, made in found} == {"Permission denied"}


CONNECTING = """
import os, socket
try:
    socket.socket(socket.AF_UNIX).connect({path!r})
    said = "connected"
except OSError as error:
    said = error.strerror
with open(os.environ["OUT_DIR"] + "/made", "w") as file:
    file.write(said)
"""


def test_who_asks_for_the_name_of_a_user_is_kept(bench: Bench) -> None:
    """tar(1) does; whether somebody listens makes no difference."""
    placed = bench.script(CONNECTING.format(path="/run/nscd/socket"))

    found = kept_results.until_restored(bench, placed)

    assert {made for _, made in found} == {"Permission denied"}


def test_who_is_refused_another_socket_is_not_kept(bench: Bench) -> None:
    placed = bench.script(CONNECTING.format(path="/run/other/socket"))

    _, said = kept_results.run(bench, placed)

    assert said["outcome"] == "not kept"
    assert "not kept: it was refused to reach /run/other/socket" in said["why"]


def test_who_lists_its_descriptors_in_vain_is_kept(bench: Bench) -> None:
    """xargs(1) does, to close them."""
    placed = bench.script(BODY.format(folder="/proc/self/fd"))

    found = kept_results.until_restored(bench, placed)

    assert {made for _, made in found} == {"Permission denied"}


def test_who_is_refused_another_folder_is_not_kept(bench: Bench) -> None:
    folder = bench.target / "other/mine"
    folder.mkdir(parents=True)

    _, said = kept_results.run(bench, bench.script(BODY.format(folder=str(folder))))

    assert said["outcome"] == "not kept"
    assert f"not kept: it was refused to read {folder}" in said["why"]
