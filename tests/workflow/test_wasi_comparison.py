"""Modules run by the real wasmtime beside a noted native run: what is compared, and believed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.cache import digest, module_result
from buildperm.cache.kept_result import KeptResult
from buildperm.cache.output_copy import OutputTaker
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.result_store import FolderStore
from buildperm.cargo.units import Unit
from buildperm.report.build_run import DIFFERS, EQUAL, NOT_TRIED
from buildperm.sandbox.confined_command import READS
from buildperm.workflow import result_inventory
from buildperm.workflow.result_listing import ResultListing
from buildperm.workflow.wasi_comparison import forget_unused, of_unit
from tests.kept_results import checked
from tests.modules import ModuleText

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionWasi

KEY = digest.of(b"key")
PACKAGE, DOT, OUT = 3, 4, 5  # Descriptors, in the order of the folders.
PRINTED = b"cargo::rustc-cfg=has\nplain\n"


class NotedRun:
    """A native run as a supervisor notes it: it has left one file and printed two lines."""

    def __init__(self, top: Path) -> None:
        self.package, self.out = top / "package", top / "unit/out"
        self.place = top / "believed"
        for folder in (self.package, self.out, self.place, top / "unit/buildperm/wasi"):
            folder.mkdir(parents=True)
        (self.package / "data").write_text("data")
        (top / "secret").write_text("secret")
        (self.out / "made").write_bytes(b"one\ntwo\n")
        self.unit = Unit(top / "unit", os.fsencode(self.package), "", "debug", (), 0)
        self.noted = os.fsencode(top / "unit/buildperm/wasi")
        store = FolderStore(self.noted)
        places = {"OUT_DIR": str(self.out), "MANIFEST_DIR": str(self.package)}
        tokens = PathTokens({name: path.encode() for name, path in places.items()})
        taker = OutputTaker(store, tokens)
        taker.take(os.fsencode(self.out))
        native = KeptResult()
        native.left, native.places = taker.left, places
        native.made_s = int(time.time())
        native.stdout, native.stderr = taker.keep(PRINTED), taker.keep(b"said\n")
        native.recording = taker.keep(b"{}\n")
        store.put(KEY, module_result.NATIVE, native)
        package = str(self.package)
        self.request: dict[str, object] = {
            "arguments": ["build-script-build"],
            "environment": [["OUT_DIR", str(self.out)]],
            "rights": {package: READS},
            "folders": [[package, package, False], [package, ".", False]],
            "out": str(self.out),
            "memory": 64 << 20,
            "fuel": 20_000_000,
            "bytes": 1 << 20,
        }

    @property
    def wasi(self) -> SessionWasi:
        words = [sys.executable, "-P", "-m", "buildperm.workflow.wasi_action"]
        return {
            "folder": os.fsencode(self.place),
            "command": [os.fsencode(word) for word in words],
            "environ": os.environb.copy(),
            "timeout_s": 60,
        }

    def compared(self, module: ModuleText) -> tuple[str, str]:
        told = {"key": KEY, "request": self.request}
        Path(os.fsdecode(self.noted + module_result.NOTE)).write_text(json.dumps(told))
        outcome, why, _ = of_unit(self.unit, self.wasi, lambda *_: module.binary())
        return outcome, why

    def is_believed(self) -> bool:
        path = Path(os.fsdecode(module_result.module_path(os.fsencode(self.place), KEY)))
        results = FolderStore(os.fsencode(self.place)).results(KEY)
        assert path.exists() is bool(results)
        return bool(results)


@pytest.fixture
def run(tmp_path: Path) -> NotedRun:
    return NotedRun(tmp_path)


def same(extra: str = "") -> ModuleText:
    """Return a module that does what the native run did."""
    made = ModuleText(extra).says(PRINTED).says(b"said\n", "i32.const 2")
    return made.leaves(OUT, b"made", b"one\ntwo\n")


def test_a_module_that_does_the_same_is_believed_until_it_does_not(run: NotedRun) -> None:
    assert run.compared(same()) == (EQUAL, "")
    assert run.is_believed()

    outcome, _ = run.compared(same().says(b"more\n"))

    assert outcome == DIFFERS
    assert not run.is_believed()
    assert (run.out / "made").read_bytes() == b"one\ntwo\n"  # The native run counts.
    assert sorted(each.name for each in run.place.iterdir()) == ["1"]  # Nothing else is left.


_GROW = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 256)) (i32.const -1)))) (unreachable)"


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (
            ModuleText().says(PRINTED).leaves(OUT, b"made", b"one\n2\n"),
            "$OUT_DIR/made, line 2: `2` for `two`",
        ),
        (same().leaves(OUT, b"more", b""), "$OUT_DIR/more, which it alone has left"),
        (
            same().leaves(OUT, b"a\x1b[31m\n\xe2\x80\xae", b""),
            "$OUT_DIR/a%1B%5B31m%0A%E2%80%AE, which it alone has left",
        ),
        (
            ModuleText().says(b"cargo::rustc-cfg=\x1b[2J\n").leaves(OUT, b"made", b"one\ntwo\n"),
            "what it prints for Cargo, line 1: `cargo::rustc-cfg=%1B%5B2J` for "
            "`cargo::rustc-cfg=has`",
        ),
        (
            ModuleText().says(b"cargo::rustc-cfg=has\n").leaves(OUT, b"made", b"one\ntwo\n"),
            "what it prints for Cargo, line 2: nothing for `plain`",
        ),
        (
            ModuleText().says(PRINTED).leaves(OUT, b"made", b"one\ntwo\n"),
            "what it says, line 1: nothing for `said`",
        ),
        (same().does("(call $proc_exit (i32.const 3))"), "in its exit code, 3 for 0"),
        (
            ModuleText()
            .says(b"thread 'main' panicked at build.rs\n", "i32.const 2")
            .does("(unreachable)"),
            "in its exit code, 101 for 0: thread 'main' panicked at build.rs",
        ),
        (
            same().does("(loop $l (br $l))"),
            "in its exit code, 101 for 0: wasm trap: all fuel consumed by WebAssembly",
        ),
        (
            same().does(_GROW),
            "in its exit code, 101 for 0: wasm trap: wasm `unreachable` instruction executed",
        ),
    ],
    ids=["file", "more", "name", "line", "lost", "said", "code", "panic", "endless", "memory"],
)
def test_what_differs_is_named_and_not_believed(
    run: NotedRun, module: ModuleText, why: str
) -> None:
    assert run.compared(module) == (DIFFERS, why)
    assert not run.is_believed()


def test_a_module_that_wants_more_than_wasi_has_is_not_tried(run: NotedRun) -> None:
    outcome, why = run.compared(same('(import "env" "pthread_create" (func))'))

    assert outcome == NOT_TRIED
    assert "unknown import: `env::pthread_create`" in why
    assert not run.is_believed()


def test_a_module_opens_what_it_was_shown_and_nothing_else(run: NotedRun) -> None:
    (run.package / "out").symlink_to("../secret")
    (run.package / "in").symlink_to("data")
    (run.package / "closed").mkdir()
    (run.package / "closed/key").write_text("key")
    # As supervisors tell it where a part of a package is sensitive.
    run.request["rights"] = {str(run.package / each): READS for each in ("data", "in")}
    module = ModuleText().leaves(OUT, b"seen", b"")
    tried = (b"data", b"in", b"../secret", b"out", b"closed/key", b"/etc/passwd", b"missing")
    for name in tried:
        module.tries(DOT, name)
    module.links(OUT, b"link", b"../../secret").tries(OUT, b"link").leaves(DOT, b"data", b"no")

    outcome, _ = run.compared(module)

    assert outcome == DIFFERS
    assert (run.package / "data").read_text() == "data"
    quiet = ModuleText().leaves(OUT, b"made", b"one\ntwo\n")
    for name in tried:
        quiet.tries(DOT, name)
    _, why = run.compared(quiet)
    assert why.startswith("what it prints for Cargo, line 1: `0011111` for ")


def test_a_granted_folder_that_became_a_link_shows_nothing(run: NotedRun, tmp_path: Path) -> None:
    folder, closed = tmp_path / "granted", tmp_path / "closed"
    closed.mkdir()
    (closed / "key").write_text("key")
    folder.mkdir()
    (folder / "key").write_text("open")
    granted, package = str(folder), str(run.package)
    run.request["rights"] = {package: READS, granted: READS}
    run.request["folders"] = [[package, package, False], [granted, granted, False]]
    module = ModuleText().tries(4, b"key").leaves(OUT, b"made", b"one\ntwo\n")

    _, why = run.compared(module)
    assert "`0` for" in why

    folder.rename(tmp_path / "away")
    folder.symlink_to(closed)
    outcome, why = run.compared(module)
    assert outcome == NOT_TRIED
    assert why.endswith("granted` leads elsewhere")
    # A link deeper down opens nothing either.
    (run.package / "sub").symlink_to(closed)
    run.request["folders"] = [[package, package, False], [package, ".", False]]
    run.request["rights"] = {package: READS, f"{package}/sub": READS}
    _, why = run.compared(ModuleText().tries(DOT, b"sub/key").leaves(OUT, b"made", b"one\ntwo\n"))
    assert "`1` for" in why


def _opens(folder: str, oflags: int, rights: int) -> str:
    return (
        f"(call $path_open ({folder}) (i32.const 0) (i32.const 64) (i32.const 1)"
        f" (i32.const {oflags}) (i64.const {rights}) (i64.const {rights}) (i32.const 0)"
        " (i32.const 16))"
    )


_HERE = "i32.load (i32.const 16)"


def test_folders_nested_deeper_than_python_can_count_are_removed(run: NotedRun) -> None:
    extra = (
        '(import "wasi_snapshot_preview1" "path_create_directory"'
        " (func $path_create_directory (param i32 i32 i32) (result i32)))"
    )
    deeper = (
        "(i32.store8 (i32.const 64) (i32.const 100)) (i32.store (i32.const 16) (i32.const 5))"
        " (loop $l"
        f"  (drop (call $path_create_directory ({_HERE}) (i32.const 64) (i32.const 1)))"
        f" (drop {_opens(_HERE, 2, 8704)})"
        "  (i32.store (i32.const 20) (i32.add (i32.load (i32.const 20)) (i32.const 1)))"
        "  (br_if $l (i32.lt_u (i32.load (i32.const 20)) (i32.const 3000))))"
    )

    outcome, why = run.compared(same(extra).does(deeper))

    assert outcome in (NOT_TRIED, DIFFERS)  # Whoever is first to see it.
    assert "nested deeper" in why or "it writes too much" in why
    assert [each.name for each in run.place.iterdir() if each.name != "1"] == []


def test_a_module_that_fills_the_disk_is_ended(run: NotedRun) -> None:
    more = (
        "(drop (memory.grow (i32.const 16)))"
        "(i32.store8 (i32.const 64) (i32.const 65))"
        f"(loop $l (drop {_opens('i32.const 5', 1, 64)})"
        " (i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 0x100000))"
        f" (drop (call $fd_write ({_HERE}) (i32.const 0) (i32.const 1) (i32.const 8)))"
        " (i32.store8 (i32.const 64) (i32.add (i32.load8_u (i32.const 64)) (i32.const 1)))"
        " (br_if $l (i32.lt_u (i32.load8_u (i32.const 64)) (i32.const 80))))"
    )

    outcome, why = run.compared(same().does(more))

    assert (outcome, why) == (DIFFERS, "in its exit code, 101 for 0: it writes too much")
    assert [each.name for each in run.place.iterdir() if each.name != "1"] == []


def test_modules_go_with_their_results(run: NotedRun) -> None:
    assert run.compared(same()) == (EQUAL, "")
    old, other = "ab" * 32, "cd" * 32
    left = (f"{old}.wasm", f"{old}.wasm.digest", f"{KEY}.wasm.7.new", "wasi-left")
    for name in (*left, f"{other}.wasm", "kept"):
        (run.place / name).write_text("")
    for name in (*left, "kept", f"{KEY}.wasm", f"{KEY}.wasm.digest"):
        os.utime(run.place / name, (0, 0))

    forget_unused(os.fsencode(run.place))

    kept = sorted(each.name for each in run.place.iterdir())
    assert kept == sorted(("1", f"{KEY}.wasm", f"{KEY}.wasm.digest", f"{other}.wasm", "kept"))
    assert run.is_believed()

    size = (run.place / f"{KEY}.wasm").stat().st_size
    forget_unused(os.fsencode(run.place), size + 64)  # With its digest.
    assert run.is_believed()
    forget_unused(os.fsencode(run.place), size - 1)
    assert not run.is_believed()


def test_what_is_believed_is_listed_and_cleared(
    run: NotedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what `ci --cache` keeps, and by the name of the crate alone."""
    assert run.compared(same()) == (EQUAL, "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for crate in ("", None):
        place = tmp_path / "buildperm" / "wasi"
        place.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(run.place, place)
        for path in (place, *place.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        listed = ResultListing.of(None)
        assert "believed to come to the same as WASI" in "".join(listed.lines())
        assert checked(json.dumps(listed.document()))["results"][0]["kind"] == "wasi"
        assert result_inventory.verify() == 0
        (place / f"{'ab' * 32}.wasm").write_text("")
        (place / "wasi-being-compared").mkdir()
        (place / "1/results/00").write_text("")

        assert result_inventory.verify() == 2
        assert "is no folder" in capsys.readouterr().out
        assert result_inventory.clear(crate) == 0

        assert "1 result removed" in capsys.readouterr().err
        left = {each.name for each in place.iterdir()} - {"1", "wasi-being-compared"}
        assert left == (set() if crate is None else {f"{'ab' * 32}.wasm"})
        assert not list((place / "1").rglob("*.json"))


def test_a_file_that_has_no_end_is_cut_off(run: NotedRun, tmp_path: Path) -> None:
    module = same().says(b"x" * 32_000, "i32.load (i32.const 16)")
    again = "(call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))"
    module.does(f"(loop $l (br_if $l (i32.eqz {again})))")
    place = tmp_path / "run"
    place.mkdir()
    (place / "module.wasm").write_bytes(module.binary())
    request = module_result.complete(run.request, os.fsencode(place))
    (place / "request.json").write_text(json.dumps(request))

    command = [*run.wasi["command"], os.fsencode(place / "request.json")]
    ended = subprocess.run(command, capture_output=True, check=True)

    assert json.loads(ended.stdout) == {"code": 0, "trap": ""}
    assert (place / "out/made").stat().st_size == run.request["bytes"]


@pytest.mark.parametrize("why", ["it runs cc", "it reads /proc/cpuinfo"])
def test_what_was_noted_as_unfit_is_not_compiled(run: NotedRun, why: str) -> None:
    Path(os.fsdecode(run.noted + module_result.NOTE)).write_text(json.dumps({"why": why}))

    def compiled(*_: object) -> bytes:
        raise AssertionError

    assert of_unit(run.unit, run.wasi, compiled) == (NOT_TRIED, why, 0)


def test_a_damaged_note_is_said_to_be_one(run: NotedRun) -> None:
    path = Path(os.fsdecode(run.noted + module_result.NOTE))
    path.write_text('{"key": "../../x", "request": {}}')

    outcome, why, _ = of_unit(run.unit, run.wasi, lambda *_: same().binary())

    assert (outcome, why) == (NOT_TRIED, "it cannot be compared: not a digest")
