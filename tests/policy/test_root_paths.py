from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.policy.root_paths import SystemPaths, real_path
from buildperm.rules.pattern import which

_PATH = b"/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "usr/bin").mkdir(parents=True)
    (made / "etc/alternatives").mkdir(parents=True)
    (made / "bin").symlink_to("usr/bin")
    for name, mode in (("gcc-14", 0o755), ("no-program", 0o644)):
        (made / "usr/bin" / name).write_text("")
        (made / "usr/bin" / name).chmod(mode)
    (made / "usr/bin/cc").symlink_to("/etc/alternatives/cc")
    (made / "etc/alternatives/cc").symlink_to("../../usr/bin/gcc-14")
    (made / "usr/bin/loop").symlink_to("loop")
    (made / "usr/bin/away").symlink_to(tmp_path / "away")
    (tmp_path / "away").symlink_to("target")
    return made


def test_links_lead_as_from_within(root: Path, tmp_path: Path) -> None:
    raw = os.fsencode(root)
    for path, expected in (
        (b"/bin/cc", b"/usr/bin/gcc-14"),
        (b"/usr/bin/../../../../bin/cc", b"/usr/bin/gcc-14"),
        (b"/usr/bin/missing/../x", b"/usr/bin/x"),
        (b"/usr/bin/away", os.fsencode(tmp_path / "target")),
        (b"/", b"/"),
    ):
        assert real_path(raw, path) == expected
    assert real_path(raw, b"/usr/bin/loop").startswith(b"/usr/bin")  # It comes back.
    away = real_path(raw, b"/usr/bin/away", follows_outside=False)
    assert away == os.fsencode(tmp_path / "away")


def test_path_leads_to_programs_of_the_root(root: Path) -> None:
    within = SystemPaths(os.fsencode(root))
    assert within.which(b"cc", _PATH) == b"/usr/bin/cc"
    assert within.place(b"/bin/cc") == os.fsencode(root / "usr/bin/gcc-14")
    for name in (b"no-program", b"env", b"loop", b"", b"a/b", b"a\0"):
        assert within.which(name, _PATH) is None


def test_without_a_root_the_machine_is_meant() -> None:
    machine = SystemPaths()
    assert machine.which(b"env", _PATH) == which(b"env", _PATH) is not None
    assert machine.real(b"/usr/bin/env") == machine.place(b"/usr/bin/env")
    assert machine.real(b"/usr/bin/env") == os.path.realpath(b"/usr/bin/env")
    assert machine.real(b"a\0") == b"a\0"
