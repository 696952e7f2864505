"""The test of how rustc and macros talk finds out what works, and takes no chances."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from buildperm.sandbox import foreseen_calls, macro_interface, native_programs
from buildperm.sandbox.macro_interface import layout
from buildperm.sandbox.native_programs import NativePrograms
from tests.sandbox.macro_workshop import STABLE, rustc

_SOURCES = Path(native_programs.__file__).parent.parent / "supervisor" / "compiling"
_MADE = "return (struct client){shim.layout == LAYOUT_FUNCTION ? function : counters, run};"


@pytest.fixture(scope="module", name="compiled")
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the programs are, and nothing that was found out about a rustc."""
    made = native_programs.programs()
    kept = tmp_path_factory.mktemp("compiled") / "programs" / made.digest
    kept.mkdir(parents=True)
    for name in (made.launcher.name, made.shim.name, made.host.name, "checksums"):
        shutil.copy(made.shim.parent / name, kept)
    return kept.parent


@pytest.fixture(name="programs")
def _programs(compiled: Path, tmp_path: Path) -> NativePrograms:
    return native_programs.programs(shutil.copytree(compiled, tmp_path / "programs"))


def _with_other_shim(programs: NativePrograms, folder: Path, old: str, new: str) -> NativePrograms:
    """Compile a shim that takes something of the interface for something else."""
    sources = folder / "sources"
    shutil.copytree(_SOURCES, sources)
    (changed,) = (path for path in sources.glob("shim*.c") if old in path.read_text())
    changed.write_text(changed.read_text().replace(old, new))
    shim = folder / "other" / "shim.so"
    shim.parent.mkdir()
    command = ["cc", "-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden", "-o", str(shim)]
    parts = [str(path) for path in sources.glob("shim*.c")]
    subprocess.run([*command, *parts, "-ldl", "-lpthread"], check=True)
    return dataclasses.replace(programs, shim=shim)


def test_the_tool_chain_hosts_macros(programs: NativePrograms) -> None:
    found = layout(rustc(), programs)
    assert (found.is_outside, found.layout) == (True, STABLE), found.why
    assert found.foreseen != foreseen_calls.NONE


def test_what_works_is_kept_for_this_rustc(
    programs: NativePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = layout(rustc(), programs)
    monkeypatch.setattr(macro_interface, "_find", lambda *_: pytest.fail("tested again"))
    assert layout(rustc(), programs) == first


@pytest.mark.slow
def test_a_kept_result_that_is_damaged_is_found_anew(programs: NativePrograms) -> None:
    layout(rustc(), programs)
    (kept,) = programs.shim.parent.glob("interface-*.json")
    kept.write_text('{"is_outside": tr')
    assert layout(rustc(), programs).is_outside


@pytest.mark.parametrize(
    "other",
    [
        "return (struct client){run, counters};",
        "return (struct client){counters, 0};",
        "return (struct client){counters, (run_function)(uintptr_t)(entries_code)};",
    ],
)
@pytest.mark.quick(1)
def test_macros_stay_inside_where_the_layout_is_none_that_is_known(
    programs: NativePrograms, tmp_path: Path, other: str
) -> None:
    found = layout(rustc(), _with_other_shim(programs, tmp_path, _MADE, other))
    assert not found.is_outside
    assert "with macros in a process of their own" in found.why


@pytest.mark.slow
def test_macros_stay_inside_where_panics_are_said_in_another_way(
    programs: NativePrograms, tmp_path: Path
) -> None:
    old = "size == b->length - 10"
    assert not layout(rustc(), _with_other_shim(programs, tmp_path, old, "0")).is_outside


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "entries_count(shim.foreseen.counter) : 0",
            "entries_count(shim.foreseen.counter) + 1 : 0",
        ),
        ("b->length == 1 + size && !b->data[0]", "b->length == 2 + size && !b->data[0]"),
        ("call_and_tell(calls);", "calls->config->call(calls->config->environment, calls->b);"),
    ],
)
@pytest.mark.quick(1)
def test_nothing_is_foreseen_where_that_changes_what_comes_out(
    programs: NativePrograms, tmp_path: Path, old: str, new: str
) -> None:
    found = layout(rustc(), _with_other_shim(programs, tmp_path, old, new))
    assert (found.is_outside, found.foreseen) == (True, foreseen_calls.NONE), found.why


def test_macros_stay_inside_where_nothing_can_be_preloaded(
    programs: NativePrograms, tmp_path: Path
) -> None:
    nothing = tmp_path / "nothing.so"
    (tmp_path / "nothing.c").touch()
    subprocess.run(["cc", "-shared", "-o", nothing, tmp_path / "nothing.c"], check=True)
    found = layout(rustc(), dataclasses.replace(programs, shim=nothing))
    assert (found.is_outside, found.why) == (False, "nothing can be loaded into this rustc")


@pytest.mark.parametrize("text", ["exit 1", "kill -SEGV $$", "echo 'release: 1.99.0'"])
def test_a_rustc_that_works_in_no_way_is_no_error(
    programs: NativePrograms, tmp_path: Path, text: str
) -> None:
    program = tmp_path / "rustc"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o700)
    assert not layout(program, programs).is_outside
    assert not layout(tmp_path / "missing", programs).is_outside


def test_a_rustc_that_does_not_end_is_no_error(
    programs: NativePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "rustc"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o700)
    monkeypatch.setattr(macro_interface, "_TIMEOUT_S", 0.2)
    assert not layout(program, programs).is_outside
