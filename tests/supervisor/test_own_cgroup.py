from __future__ import annotations

import os
from pathlib import Path

from buildperm.supervisor import own_cgroup


def test_limits_are_those_of_the_own_group_and_of_all_above(tmp_path: Path) -> None:
    for name in ("cpu.max", "a/cpu.max", "a/b/memory.max", "a/other/cpu.max", "a/b/cgroup.procs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    found = own_cgroup.limits(b"0::/a/b\n", os.fsencode(tmp_path))

    assert {os.fsdecode(path) for path in found} == {
        str(tmp_path / name) for name in ("cpu.max", "a/cpu.max", "a/b/memory.max")
    }


def test_in_version_1_each_controller_has_a_folder(tmp_path: Path) -> None:
    name = "cpu,cpuacct/a/cpu.cfs_quota_us"
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")

    found = own_cgroup.limits(b"4:cpu,cpuacct:/a\n3:pids:/a\n", os.fsencode(tmp_path))

    assert found == [os.fsencode(tmp_path / name)]


def test_a_group_above_the_root_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").touch()

    assert own_cgroup.limits(b"0::/../../x\n", os.fsencode(tmp_path)) == []
    assert own_cgroup.limits(b"nonsense\n", os.fsencode(tmp_path)) == []
    assert own_cgroup.limits(b"", os.fsencode(tmp_path)) == []
