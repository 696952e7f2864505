"""Links that one script plants for the grants of another one, or below its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildperm.supervisor import filled_trees, landlock, landlock_rules, write_targets

if TYPE_CHECKING:
    from pathlib import Path

    from buildperm.supervisor.session import Session, SessionPackage
    from tests.bench import Bench


def opened(
    bench: Bench, *, links: dict[str, str], others: list[str], package: Path | None = None
) -> list[bytes]:
    """List what the bench's grants open while another package holds the write grants `others`.

    The other one lies in the workspace, unless `package` says where.
    """
    (bench.workspace / "gen").mkdir(exist_ok=True)
    (bench.home / "Documents").mkdir()
    (bench.home / "Documents" / "tax.json").touch()
    for name, target in links.items():
        (bench.workspace / name).symlink_to(bench.top / target)
    session: Session = bench.session("enforcing")
    own: SessionPackage = session["packages"][bytes(bench.package)]
    other: SessionPackage = {**own, "write": others, "read": []}
    session["packages"][bytes(package or bench.workspace / "other")] = other
    places = session["places"] | {
        "MANIFEST_DIR": bytes(bench.package),
        "OUT_DIR": bytes(bench.out_dir),
        "TMP": bytes(bench.unit / "buildperm/scratch"),
    }
    grants = landlock_rules.LandlockRights(
        own, places, session["path"], None, filled_trees.filled(session)
    )
    grants.add_package()
    return [path for path in grants.rights if path.startswith(bytes(bench.top))]


@pytest.mark.parametrize("kind", ["read", "write"])
@pytest.mark.parametrize("pattern", ["gen/x/**", "gen/x/tax.json", "gen/*/tax.json"])
def test_a_link_that_another_script_planted_widens_no_grant(
    own_bench: Bench, kind: str, pattern: str
) -> None:
    own_bench.grants[kind] = [f"$WORKSPACE/{pattern}"]
    links = {"gen/x": "home/u/Documents"}
    assert opened(own_bench, links=links, others=["$WORKSPACE/gen/**"]) == []


def test_a_planted_link_behind_a_wildcard_widens_no_grant(own_bench: Bench) -> None:
    own_bench.grants = {"write": ["$WORKSPACE/gen/**"], "read": ["$WORKSPACE/*/x/*.json"]}
    links = {"gen/x": "home/u/Documents"}
    assert opened(own_bench, links=links, others=[]) == [bytes(own_bench.workspace / "gen")]


def test_a_planted_link_behind_one_of_the_users_own_widens_no_grant(own_bench: Bench) -> None:
    (own_bench.top / "data").mkdir()
    data = f"{own_bench.top}/data"
    own_bench.grants = {"write": [f"{data}/**"], "read": ["$WORKSPACE/data/x/**", f"{data}/x/**"]}
    links = {"data": "data", "data/x": "home/u/Documents"}
    assert opened(own_bench, links=links, others=[]) == [bytes(own_bench.top / "data")]


def test_links_of_the_users_own_are_followed_where_they_stay_in_the_folder(
    own_bench: Bench,
) -> None:
    own_bench.grants["read"] = ["$HOME/docs/**", "$HOME/d?cs/tax.json", "$WORKSPACE/docs/**"]
    documents = own_bench.home / "Documents"
    (own_bench.home / "docs").symlink_to("Documents")
    links = {"docs": "home/u/Documents"}
    assert opened(own_bench, links=links, others=["$WORKSPACE/crate/gen/**"]) == [
        bytes(documents),
        bytes(documents / "tax.json"),
    ]


def test_links_of_the_machine_are_followed_where_no_token_is(own_bench: Bench) -> None:
    current = own_bench.top / "current"
    current.symlink_to("home/u/Documents")
    own_bench.grants["read"] = [f"{current}/**", f"{current}/tax.json"]
    found = opened(own_bench, links={}, others=[])
    assert found == [
        bytes(own_bench.home / "Documents" / name).rstrip(b"/") for name in ("", "tax.json")
    ]


def test_nothing_is_made_behind_a_link_that_another_script_planted(tmp_path: Path) -> None:
    home, gen = tmp_path / "home", tmp_path / "ws" / "gen"
    home.mkdir()
    gen.mkdir(parents=True)
    (gen / "sub").symlink_to(home)
    places = {"WORKSPACE": bytes(tmp_path / "ws")}
    assert write_targets.make_missing(["$WORKSPACE/gen/sub/file"], places, [bytes(gen)]) == []
    assert list(home.iterdir()) == []


def test_a_link_that_is_put_there_before_the_rule_is_made_widens_no_grant(tmp_path: Path) -> None:
    (tmp_path / "home" / "sub").mkdir(parents=True)
    (tmp_path / "gen").symlink_to(tmp_path / "home")
    abi = landlock.abi()
    rules = landlock.ruleset(abi)
    try:
        for name in ("gen", "gen/sub"):
            assert not landlock.allow(rules, bytes(tmp_path / name), landlock.READ_DIR, abi)
        assert landlock.allow(rules, bytes(tmp_path / "home" / "sub"), landlock.READ_DIR, abi)
    finally:
        os.close(rules)


@pytest.mark.parametrize("kind", ["read", "write"])
@pytest.mark.parametrize("place", ["dependency", "home/u/.cargo/git/checkouts/x/1"])
def test_a_link_in_a_package_from_elsewhere_widens_no_grant(
    own_bench: Bench, kind: str, place: str
) -> None:
    # Whatever the grant is called by, the link is one of the package's making.
    package = own_bench.top / place
    package.mkdir(parents=True)
    (package / "gen").symlink_to(own_bench.home / "Documents")
    spelled = f"{package}/gen/**".replace(str(own_bench.home), "$HOME")
    own_bench.grants[kind] = [f"{package}/gen/**", f"{package}/gen/tax.json", spelled]
    assert opened(own_bench, links={}, others=[], package=package) == []
