"""Which versions Cargo takes for one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.cargo.metadata import Package
from buildperm.workflow.own_packages import can_replace

ONE = Package(
    id="",
    name="a",
    version="1.0.0",
    source="registry+https://index.example",
    manifest=Path("/a/Cargo.toml"),
    links="z",
    features=(),
    build_scripts=(),
    script_sources=(),
    macro_source=None,
    build_dependencies=frozenset(),
    macro_dependencies=frozenset(),
    dev_dependencies=frozenset(),
    neighbours={},
)


@pytest.mark.parametrize(
    ("one", "other", "is_so"),
    [
        ("1.0.0", "1.2.3", True),
        ("1.0.0+a", "1.2.3+b", True),
        ("0.9.1", "0.9.118", True),
        ("0.0.1", "0.0.1", True),
        ("1.0.0", "2.0.0", False),
        ("0.9.1", "0.10.0", False),
        ("0.0.1", "0.0.2", False),
        ("1.0.0-rc.1", "1.0.0", False),
    ],
)
def test_compatible_versions_can_stand_for_one_another(one: str, other: str, is_so: bool) -> None:
    assert can_replace(replace(ONE, version=one), replace(ONE, version=other)) is is_so


def test_another_package_can_not() -> None:
    assert can_replace(ONE, replace(ONE, version="1.0.1"))
    assert not can_replace(ONE, replace(ONE, name="b"))
    assert not can_replace(ONE, replace(ONE, source="registry+https://elsewhere.example"))
