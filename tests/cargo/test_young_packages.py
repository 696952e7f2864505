"""How old versions are: by the index of their registry, else by when they were first seen."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from buildperm.cargo.first_sight import FirstSight
from buildperm.cargo.grant_keys import GrantKeys, places
from buildperm.cargo.project import Project, Projects
from buildperm.cargo.publication import published
from buildperm.cargo.standing_state import FIRST_SEEN
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from tests.registry import Registry

DAY = 86400
MAIN = "fn main() {}\n"
SUM = "ab" * 32


def at(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def entry(version: str, time: object, checksum: str = SUM, name: str = "x") -> bytes:
    return json.dumps({"name": name, "vers": version, "cksum": checksum, "pubtime": time}).encode()


def cache(folder: Path, place: str, *entries: tuple[str, bytes]) -> None:
    """Write what Cargo keeps of a sparse index."""
    file = folder / "registry/index" / "index.example-0123456789abcdef" / ".cache" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    body = b"".join(version.encode() + b"\0" + text + b"\0" for version, text in entries)
    file.write_bytes(b"\x03\x02\0\0\0etag: 1\0" + body)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("x", "1/x"),
        ("xy", "2/xy"),
        ("xyz", "3/x/xyz"),
        ("serde", "se/rd/serde"),
        ("Inf", "3/i/inf"),
    ],
)
def test_the_time_is_read_from_what_cargo_keeps_of_an_index(
    tmp_path: Path, name: str, place: str
) -> None:
    cache(
        tmp_path,
        place,
        ("1.0.0", entry("1.0.0", "2026-01-01T00:00:00Z", name=name)),
        ("1.0.1", entry("1.0.1", "2026-01-02T00:00:00Z", name=name)),
    )

    found = published(tmp_path, tmp_path, name, "1.0.1", SUM)

    assert found == int(datetime(2026, 1, 2, tzinfo=UTC).timestamp())
    assert published(tmp_path, tmp_path, name, "1.0.2", SUM) is None


@pytest.mark.parametrize(
    "text",
    [
        entry("1.0.0", "2026-01-01T00:00:00Z", "cd" * 32),  # Of another registry.
        entry("1.0.0", "2026-01-01T00:00:00"),  # By which clock?
        entry("1.0.0", "yesterday"),
        entry("1.0.0", 1_700_000_000),
        entry("1.0.0", None),
        b'{"vers": "1.0.0", ',
        b'{"vers": "1.0.0", "x": ' + b"[" * 100_000,
        b"",
    ],
)
def test_what_tells_no_time_is_no_time(tmp_path: Path, text: bytes) -> None:
    cache(tmp_path, "1/x", ("1.0.0", text))

    assert published(tmp_path, tmp_path, "x", "1.0.0", SUM) is None


def test_of_several_times_the_latest_counts(tmp_path: Path) -> None:
    cache(
        tmp_path,
        "1/x",
        ("1.0.0", entry("1.0.0", "2026-01-01T00:00:00Z")),
        ("1.0.0", entry("1.0.0", "2020-01-01T00:00:00Z")),
    )

    found = published(tmp_path, tmp_path, "x", "1.0.0", SUM)

    assert found == int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def test_the_first_sight_stays(tmp_path: Path) -> None:
    state = tmp_path / "state"

    assert FirstSight(state).of("x", "1.0.0", SUM, 1000) == 1000
    assert FirstSight(state).of("x", "1.0.0", SUM, 5000) == 1000
    assert FirstSight(state).of("x", "1.0.0", "cd" * 32, 5000) == 5000  # Not the same.
    assert not os.stat(state / FIRST_SEEN).st_mode & 0o077


def test_a_clock_that_was_set_back_makes_nothing_older(tmp_path: Path) -> None:
    FirstSight(tmp_path).of("x", "1.0.0", SUM, 9000)

    assert FirstSight(tmp_path).of("y", "1.0.0", SUM, 10) == 9000


@pytest.mark.parametrize(
    "content", [b"", b"[", b"{}", b'{"format": 1, "packages": 3}', b"[" * 99999]
)
def test_what_is_broken_was_never_seen(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FIRST_SEEN).write_bytes(content)

    assert FirstSight(tmp_path).of("x", "1.0.0", SUM, 9000) == 9000


def test_what_others_may_write_was_never_seen(tmp_path: Path) -> None:
    FirstSight(tmp_path).of("x", "1.0.0", SUM, 1)
    (tmp_path / FIRST_SEEN).chmod(0o666)

    assert FirstSight(tmp_path).of("x", "1.0.0", SUM, 9000) == 9000


class AgedWorkspace:
    """A workspace whose packages came at different times."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        now = time.time()
        registry = Registry(root / "registry")
        registry.publish("old", "1.0.0", {"build.rs": MAIN}, published=at(now - 8 * DAY))
        registry.publish("new", "1.0.0", {"build.rs": MAIN}, published=at(now - 6 * DAY))
        registry.publish("future", "1.0.0", {"build.rs": MAIN}, published=at(now + DAY))
        registry.publish("timeless", "1.0.0", {"build.rs": MAIN})
        registry.publish("plain", "1.0.0", published=at(now))
        names = ("old", "new", "future", "timeless", "plain")
        space = registry.application(root / "ws", dependencies=dict.fromkeys(names, "1"))
        (space / "app/build.rs").write_text(MAIN)
        self.project: Project = Projects(space, {**environment, **registry.environment}).open(
            [], default=["check"]
        )

    def keys(self, *young: str, days: int = 7) -> GrantKeys:
        project = self.project
        names = ("old", "new", "future", "timeless", "plain", "app")
        rules = frozenset({Rule(Kind.EXEC, "perl")})
        crates = {name: CrateGrants(name, rules=rules, compile="off") for name in names}
        policy = Policy(
            "portable", crates, project.metadata.manifest, min_age=days * DAY, young=young
        )
        found = places(project.metadata, project.toolchain, project.environment)
        return GrantKeys(project.metadata, project.lock, policy, found)

    def young(self, *excepted: str, days: int = 7) -> set[str]:
        keys = self.keys(*excepted, days=days)
        return {each.name for each in self.project.metadata.packages.values() if keys.youth(each)}


@pytest.fixture
def aged(
    tmp_path: Path, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> AgedWorkspace:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return AgedWorkspace(tmp_path, environment)


def test_what_is_younger_than_the_age_is_held_and_nothing_else(aged: AgedWorkspace) -> None:
    assert aged.young() == {"new", "future", "timeless"}
    assert aged.young(days=0) == set()
    assert aged.young(days=5) == {"future", "timeless"}


def test_an_exception_is_for_the_one_version(aged: AgedWorkspace) -> None:
    assert aged.young("new@1.0.0") == {"future", "timeless"}
    assert aged.young("new@1.0.1", "git+https://h/new#new@1.0.0") == {"new", "future", "timeless"}


def test_what_was_seen_first_long_ago_is_not_young(aged: AgedWorkspace, tmp_path: Path) -> None:
    aged.young()
    file = tmp_path / "state/buildperm" / FIRST_SEEN
    known = json.loads(file.read_text())
    assert [key.split()[0] for key in known["packages"]] == ["timeless"]
    known["packages"] = {key: when - 8 * DAY for key, when in known["packages"].items()}
    file.write_text(json.dumps(known))

    assert aged.young() == {"new", "future"}


def test_grants_say_why_they_are_not_in_force(aged: AgedWorkspace) -> None:
    keys = aged.keys()
    found = {each.name: keys.of(each)[1] for each in aged.project.metadata.packages.values()}

    assert {name for name, grants in found.items() if grants and grants.young} == {
        "new",
        "future",
        "timeless",
    }
    (said,) = (
        line for line in keys.told_of_young(aged.project.metadata.reviewed()) if "new" in line
    )
    assert "published 6 days ago" in said
