"""The live line while Cargo builds: it moves where no build script runs as well."""

from __future__ import annotations

import pytest

from buildperm.cargo.script_progress import ScriptEnded, ScriptStarted
from buildperm.presentation.build_progress import BuildProgress


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> BuildProgress:
    """Make one whose standard error counts as a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return BuildProgress(lambda _: ())


def test_it_counts_crates_where_only_macros_run(
    progress: BuildProgress, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress:
        progress.on_output(
            b"\x1b[1m\x1b[32m   Compiling\x1b[0m syn v2.0.1\n    Checking app v0.1.0\n"
        )
        progress.on_output(b"warning: Compiling is fun\n")

    told = capsys.readouterr().err
    assert "2 crates begun" in told
    assert "build script" not in told


def test_it_counts_build_scripts_as_well(
    progress: BuildProgress, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress:
        progress.on_output(b"   Compiling zlib v1.0.0\n")
        progress.on_progress(ScriptStarted("zlib", "1.0.0", 7))
        progress.on_progress(ScriptEnded("zlib", "1.0.0", 7, 0, None, 1))

    assert "1 crate begun, 1 build script recorded" in capsys.readouterr().err
