"""`python -m corpus.wasi`: which scripts are tried, how they are compiled, and what is compared."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from buildperm.tracer.recording.event import (
    Event,
    Executed,
    FileOpened,
    OpenMode,
    RecordedProcess,
    SocketUse,
    SocketUsed,
)
from buildperm.tracer.recording.reader import End, Recording
from corpus import wasi, wasi_module, wasi_run
from corpus.wasi_run import Compared

_SCRIPT = b"/t/build/a-1/build-script-build"


def _recording(*events: Event) -> Recording:
    program = RecordedProcess(pid=7, parent=0, program=_SCRIPT, argv=(), started_ns=0)
    start = Executed(0, 7, _SCRIPT, _SCRIPT, (), 0, False)
    end = End(0, 0, 1, 0, 0, "", "")
    header: Any = None  # Nothing here looks at it.
    return Recording(header, {7: program}, (start, *events), end)


def _opened(path: bytes, errno: int = 0) -> FileOpened:
    return FileOpened(0, 7, path, OpenMode.READ, False, errno, False, False)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (_opened(b"/p/src/lib.rs"), ""),
        (_opened(b"/proc/self/maps"), ""),
        (_opened(b"/elsewhere", errno=2), ""),
        (_opened(b"/proc/cpuinfo"), "it reads /proc/cpuinfo"),
        (_opened(b"/proc/cpuinfo", errno=13), "it reads /proc/cpuinfo"),
        (_opened(b"/pp/x"), "it looks at what is not its package's"),
        (Executed(0, 8, b"/usr/bin/cc", b"/usr/bin/cc", (), 0, False), "it runs cc"),
        (Executed(0, 7, b"", b"/no/cc", (), 2, False), "it runs cc"),
        (
            SocketUsed(0, 7, SocketUse.CREATED, "inet", "stream", 13, True),
            "it uses a socket",
        ),
    ],
)
def test_only_scripts_that_need_what_wasi_has_are_tried(event: Event, why: str) -> None:
    assert wasi_run.why_not(_recording(event), [b"/p"]) == why


def _package(name: str, kind: str = "lib", source: str | None = "registry") -> dict[str, Any]:
    target = {"kind": [kind], "src_path": f"/r/{name}/build.rs", "edition": "2018"}
    manifest = f"/r/{name}/Cargo.toml"
    fields = {"id": name, "name": name, "version": "1.2.3+x", "source": source}
    return {**fields, "manifest_path": manifest, "targets": [target]}


def _metadata(*packages: dict[str, Any]) -> dict[str, Any]:
    deps = [
        {"name": "a_tool", "pkg": "a-tool", "dep_kinds": [{"kind": "build"}]},
        {"name": "other", "pkg": "other", "dep_kinds": [{"kind": None}]},
    ]
    nodes = [{"id": each["id"], "features": ["default", "x"], "deps": []} for each in packages]
    nodes[0]["deps"] = deps
    return {"packages": list(packages), "resolve": {"nodes": nodes}}


def test_a_script_is_compiled_with_its_own_build_dependencies() -> None:
    metadata = _metadata(_package("a", "custom-build"), _package("a-tool"), _package("other"))

    [(folder, script)] = wasi_module.sources(metadata).items()

    assert folder == "/r/a"
    text = wasi_module.manifest(script)
    assert 'path = "/r/a/build.rs"' in text
    assert (
        '"a_tool" = { version = "=1.2.3", package = "a-tool", features = ["x"], '
        "default-features = true }" in text.replace(": true", " = true")
    )
    assert "other" not in text


@pytest.mark.parametrize("kind", ["proc-macro", "custom-build", "lib"])
def test_what_would_run_while_it_is_compiled_is_named(kind: str) -> None:
    metadata = _metadata(_package("a"), _package("helper", kind))
    expected = [] if kind == "lib" else ["helper"]

    assert wasi_module.running(metadata) == expected
    metadata["resolve"]["nodes"].pop()  # Of another target.
    assert wasi_module.running(metadata) == []


def test_runs_are_read_from_what_cargo_says() -> None:
    told = (
        "       Fresh b v1\n"
        "     Running `CARGO_PKG_AUTHORS='It'\\''s a\n <b>' OUT_DIR=/t/build/a-1/out "
        "/t/build/a-2/build-script-build`\n"
        "     Running `A=1 /bin/rustc --crate-name build_script_build`\n"
    )

    [run] = wasi_run.native_runs(told)

    assert run.unit == Path("/t/build/a-1")
    assert run.program == "/t/build/a-2/build-script-build"
    assert run.environment == {"CARGO_PKG_AUTHORS": "It's a\n <b>", "OUT_DIR": "/t/build/a-1/out"}


def _made(folder: Path) -> Path:
    (folder / "out").mkdir(parents=True)
    (folder / "out/x.rs").write_text("x")
    (folder / "output").write_text("cargo:rerun-if-changed=build.rs\n")
    (folder / "stderr").write_text("")
    return folder


@pytest.mark.parametrize("name", ["", "out/x.rs", "out/more", "output", "stderr"])
def test_each_byte_counts(tmp_path: Path, name: str) -> None:
    native, scratch = _made(tmp_path / "native"), _made(tmp_path / "scratch")
    if name:
        (scratch / name).write_text("y")

    outcome = wasi_run.outcome_of(native, scratch, 0)

    assert outcome == (f"differs in {name}" if name else "equal")


def test_what_panics_differs_whatever_it_made(tmp_path: Path) -> None:
    native, scratch = _made(tmp_path / "native"), _made(tmp_path / "scratch")
    (scratch / "stderr").write_text("\nthread 'main' panicked at build.rs:1:1:\nno\n")

    outcome = wasi_run.outcome_of(native, scratch, 101)

    assert outcome == "differs in the exit code: thread 'main' panicked at build.rs:1:1:"
    (scratch / "stderr").write_text("")
    assert wasi_run.outcome_of(native, scratch, 3) == "differs in the exit code: 3"
    assert wasi_run.outcome_of(native, scratch, -1, "ended") == "differs in the exit code: ended"


def test_what_the_engine_cannot_run_is_no_result_of_the_script(tmp_path: Path) -> None:
    with pytest.raises(wasi_module.NotTriedError, match=r"^wasmtime: \w"):
        wasi_run.run_module(tmp_path / "none.wasm", tmp_path, "script", {}, [])


def test_the_table_counts_and_stands_between_its_markers() -> None:
    compared = [
        Compared("g", "a 1", "equal"),
        Compared("g", "b 1", "differs in output"),
        Compared("g", "c 1", "not tried: it runs cc"),
        Compared("g", "d 1", "not tried: it runs git"),
    ]
    text = wasi.DOCUMENT.read_text(encoding="utf-8")

    made = wasi.table(compared, "rustc 1")

    assert "With rustc 1: 4 runs of build scripts, 2 tried, 1 equal." in made
    assert "| g | b 1 | differs in output | 1 |" in made
    assert "| all | | not tried: it runs another program | 2 |" in made
    assert "Equal: a 1." in made
    written = wasi.with_table(text, made)
    assert made in written
    assert wasi.with_table(written, made) == written
    with pytest.raises(ValueError, match="place"):
        wasi.with_table("", made)


def test_the_committed_table_counts_its_own_rows() -> None:
    text = wasi.DOCUMENT.read_text(encoding="utf-8")
    found = re.search(r"(\d+) runs of build scripts, (\d+) tried, (\d+) equal", text)
    assert found is not None
    differ = re.findall(r"^\| [\w/]+ \| \S+ \d\S* \| differs .* \| 1 \|$", text, re.MULTILINE)
    left_out = re.findall(r"^\| all \| \| not tried: .* \| (\d+) \|$", text, re.MULTILINE)

    assert int(found[2]) == int(found[3]) + len(differ)
    assert int(found[1]) == int(found[2]) + sum(map(int, left_out))


def test_without_the_target_nothing_is_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rustc = tmp_path / "rustc"
    rustc.write_text(f"#!/bin/sh\necho {tmp_path}/none\n")
    rustc.chmod(0o755)
    folder = tmp_path / "made"

    code = wasi.main(["--rustc", str(rustc), "--folder", str(folder)])

    assert code == 23
    [line] = capsys.readouterr().err.splitlines()
    assert "has no standard library for wasm32-wasip1" in line
    assert not os.path.lexists(folder)


@pytest.mark.parametrize("version", ["rustc 1.0.0", ""])
def test_another_version_than_that_of_native_scripts_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    (tmp_path / "libstd-1.rlib").touch()
    for name, told in (("other", version), ("rustc", "rustc 1.0.1")):
        answer = f'[ "$1" = --print ] && exec echo "{tmp_path}"; exec echo "{told}"'
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert wasi.main(["--rustc", str(tmp_path / "other"), "--folder", str(tmp_path / "x")]) == 23
    assert "is not of the version of `rustc`" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
