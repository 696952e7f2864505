from __future__ import annotations

from pathlib import Path
from typing import Any

from buildperm.cargo.standing_changes import told
from buildperm.supervisor.session import ungranted

ROOT = Path("/home/me/space")


def session(**versions: str) -> Any:  # noqa: ANN401 - part of one
    packages = {}
    for name, version in versions.items():
        packages[name.encode()] = {**ungranted(), "name": name, "version": version}
    return {"packages": packages}


def test_the_first_build_has_no_news_and_the_next_one_tells_once(tmp_path: Path) -> None:
    assert told(tmp_path, ROOT, session(ring="1.0.0")) == ""
    said = told(tmp_path, ROOT, session(ring="1.0.1", zstd="2.0.0"))
    assert "build script of ring 1.0.1 (was 1.0.0), build script of zstd 2.0.0 (new)" in said
    assert told(tmp_path, ROOT, session(ring="1.0.1", zstd="2.0.0")) == ""
    assert told(tmp_path, ROOT, session(ring="1.0.0")) == ""  # A branch that was seen.


def test_many_changes_are_one_line(tmp_path: Path) -> None:
    told(tmp_path, ROOT, session())
    said = told(tmp_path, ROOT, session(**{f"crate{n}": "1.0.0" for n in range(9)}))

    assert "\n" not in said
    assert "and 5 more" in said


def test_a_broken_memory_is_begun_anew(tmp_path: Path) -> None:
    told(tmp_path, ROOT, session(ring="1.0.0"))
    (kept,) = (tmp_path / "seen").iterdir()
    kept.write_text("[")

    assert told(tmp_path, ROOT, session(ring="2.0.0")) == ""
