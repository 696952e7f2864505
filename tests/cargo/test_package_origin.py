"""Grants that would go to other code because Cargo.lock names another source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.cargo import lock, package_origin
from buildperm.cargo.project import Project, Projects
from buildperm.policy import manifest
from buildperm.policy.grants import Policy
from tests.command import environment, member

IO = "registry+https://github.com/rust-lang/crates.io-index"
GIT = "git+https://example.org/foo"
ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a workspace with the one member `foo`."""
    folder = member(tmp_path_factory.mktemp("origin") / "ws", "", "foo")
    (folder / "Cargo.lock").write_text(locked(("", "0.1.0", "")))
    return Projects(folder, environment()).open(["check"])


def locked(*packages: tuple[str, str, str]) -> str:
    text = "version = 4\n"
    for source, version, checksum in packages:
        text += f'\n[[package]]\nname = "foo"\nversion = "{version}"\n'
        text += f'source = "{source}"\n' if source else ""
        text += f'checksum = "{checksum}"\n' if checksum else ""
    return text


def policy(*keys: str) -> Policy:
    text = "[workspace.metadata.buildperm]\nversion = 1\n"
    for key in keys:
        text += f'[workspace.metadata.buildperm.crates."{key}"]\nexec = ["perl"]\n'
    return manifest.read(text.encode(), Path("Cargo.toml"))


def told(project: Project, before: str, after: str, keys: tuple[str, ...] = ("foo",)) -> list[str]:
    now = replace(project, lock=lock.parse(after.encode(), Path("Cargo.lock")))
    known = lock.parse(before.encode(), Path("Cargo.lock"))
    found = package_origin.moved_grants(now, policy(*keys), policy(*keys), known)
    return [f"{change.key} {change.what}" for change in found]


MEMBER = ("", "0.1.0", "")
PUBLISHED = (IO, "0.1.0", ONE)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (PUBLISHED, MEMBER, "foo is from $WORKSPACE/foo, and was from crates.io"),
        (MEMBER, PUBLISHED, "foo is from crates.io, and was from the workspace"),
        ((f"{GIT}#{'a' * 40}", "0.1.0", ""), PUBLISHED, f"was from {GIT}"),
        (PUBLISHED, (IO, "0.1.0", TWO), "0.1.0 has another checksum in Cargo.lock"),
    ],
)
def test_other_code_under_the_same_key_is_told(
    project: Project, before: tuple[str, str, str], after: tuple[str, str, str], what: str
) -> None:
    (found,) = told(project, locked(before), locked(after))

    assert found.startswith("foo now grants to other code: ")
    assert what in found


def test_a_folder_that_takes_the_name_of_what_is_gone_is_told(project: Project) -> None:
    (found,) = told(project, locked(), locked(MEMBER))

    assert "foo is new, and from $WORKSPACE/foo" in found


def test_a_folder_whose_twin_is_gone_is_told(project: Project) -> None:
    before, after = locked(MEMBER, PUBLISHED), locked(MEMBER)
    spelled = ("path+$WORKSPACE/foo#foo",)  # Which means the folder, twin or not.

    (found,) = told(project, before, after)

    assert "foo is from $WORKSPACE/foo, and was from crates.io" in found
    assert told(project, before, after, spelled) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([PUBLISHED], [PUBLISHED]),
        ([PUBLISHED], [(IO, "0.2.0", TWO)]),
        ([PUBLISHED], [PUBLISHED, (IO, "0.2.0", TWO)]),
        ([MEMBER], [("", "0.2.0", "")]),
        ([], [PUBLISHED]),
        ([PUBLISHED], [(f"{GIT}#{'a' * 40}", "0.1.0", "")]),  # A plain key does not mean it.
        ([MEMBER, PUBLISHED], [PUBLISHED]),
        ([PUBLISHED], [MEMBER, PUBLISHED]),  # A folder beside it has a key of its own.
    ],
)
def test_an_update_is_no_other_code(
    project: Project, before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]
) -> None:
    assert told(project, locked(*before), locked(*after)) == []


def test_another_commit_of_the_same_repository_is_no_other_source(project: Project) -> None:
    before, after = (locked((f"{GIT}#{digit * 40}", "0.1.0", "")) for digit in "ab")

    assert told(project, before, after, (f"{GIT}#foo",)) == []
