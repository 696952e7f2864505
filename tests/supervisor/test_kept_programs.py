"""Programs in runs that may be kept: what the kernel starts them with, and where none is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import kept_results
from tests.bench import Bench, compile_c, make_bench

BEGIN = """
import os, shutil, subprocess
out, package = os.environ["OUT_DIR"], os.environ["CARGO_MANIFEST_DIR"]
def run(path, env=None):
    try:
        said = subprocess.run([path], env=env, stdout=subprocess.PIPE).stdout
    except OSError as error:
        said = error.strerror.encode()
    with open(out + "/made", "wb") as file:
        file.write(said)
def script():
    with open(out + "/script", "w") as file:
        file.write("#!" + package + "/sh\\n")
    os.chmod(out + "/script", 0o755)
"""
OWN = "script()\nrun(out + '/script')\n"
GONE = OWN + "os.remove(out + '/script')\n"
SEARCHED = "run('tool', {'PATH': package + '/one:' + package + '/two'})\n"
WHOLE = "run(package + '/whole')\n"


@pytest.fixture(params=["full", "light"])
def keeping(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Return a bench whose runs are kept, with programs that say what they are."""
    for bench in make_bench("own"):
        bench.grants = {"exec": ["$OUT_DIR/**", "$MANIFEST_DIR/**"]}
        bench.light = request.param == "light"
        bench.kept = bench.top / "results"
        for name in ("one", "two"):
            source = f'#include <stdio.h>\nint main(void) {{ return puts("{name}") < 0; }}\n'
            compile_c(source, bench.package / f"said-{name}")
        (bench.package / "sh").symlink_to("said-one")
        (bench.package / "one/tool").mkdir(parents=True)
        (bench.package / "two").mkdir()
        shutil.copy(bench.package / "said-two", bench.package / "two/tool")
        yield bench


def relinked(package: Path) -> None:
    (package / "sh").unlink()
    (package / "sh").symlink_to("said-two")


def placed_first(package: Path) -> None:
    (package / "one/tool").rmdir()
    shutil.copy(package / "said-one", package / "one/tool")


CHANGES: dict[str, tuple[str, str, Callable[[Path], None], str]] = {
    "interpreter of its own script": (OWN, "one", relinked, "two"),
    "interpreter of one that is gone": (GONE, "one", relinked, "two"),
    "program where a folder was": (SEARCHED, "two", placed_first, "one"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_another_program_would_be_started(keeping: Bench, change: str) -> None:
    body, first, changed, then = CHANGES[change]
    placed = keeping.script(BEGIN + body)

    found = kept_results.until_restored(keeping, placed)

    assert {made.strip() for _, made in found} == {first}
    changed(keeping.package)
    came, made = kept_results.outcome(keeping, placed)
    assert (came, made.strip()) == ("kept", then)


@pytest.mark.parametrize("grant", ["$MANIFEST_DIR/**", "$MANIFEST_DIR/none"])
def test_a_program_names_another_with_a_nul(keeping: Bench, grant: str) -> None:
    keeping.grants = {"exec": [grant]}
    whole = keeping.package / "whole"
    whole.write_bytes(b"#!%b\0junk\n" % bytes(keeping.package / "said-one"))
    whole.chmod(0o755)

    came, made = kept_results.outcome(keeping, keeping.script(BEGIN + WHOLE))

    is_granted = grant.endswith("**")
    assert (came, made.strip()) == (
        ("kept", "one") if is_granted else ("not kept", "Permission denied")
    )
