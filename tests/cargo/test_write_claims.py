"""Two packages that may write the same place under two names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.cargo import arguments, configuration, write_claims
from buildperm.cargo.grant_keys import places
from buildperm.cargo.project import Projects
from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from tests.cargo.workspaces import QUIET, Workspace

GRANTS = """
[workspace.metadata.buildperm]
version = 1
{shared}
[workspace.metadata.buildperm.crates.app]
write = ["{first}"]
[workspace.metadata.buildperm.crates.other]
write = ["{second}"]
"""


def check(
    root: Path, environment: Mapping[str, str], first: str, second: str, shared: str = ""
) -> None:
    """Check the grants of two packages, the second of which lies in `crates/other`."""
    path = root / "Cargo.toml"
    said = f'shared = ["{shared}"]' if shared else ""
    raw = path.read_bytes() + GRANTS.format(first=first, second=second, shared=said).encode()
    path.write_bytes(raw)
    policy = manifest.read(raw, path)
    project = Projects(root, environment).open([], default=["check"])
    found = places(project.metadata, project.toolchain, project.environment)
    write_claims.check(project, policy, found, manifest.parse(raw, path)[1])


@pytest.fixture
def root(workspace: Workspace) -> Path:
    return workspace(QUIET, {"other": QUIET})


def test_a_folder_of_the_workspace_may_be_anothers_own(
    root: Path, environment: Mapping[str, str]
) -> None:
    with pytest.raises(BuildpermError, match="`app` may write there, too") as caught:
        check(root, environment, "$WORKSPACE/crates/other/gen/**", "$MANIFEST_DIR/gen/x.txt")
    assert 'add `shared = ["$WORKSPACE/crates/other/gen/x.txt"]`' in caught.value.hint


def test_a_link_may_lead_to_it(root: Path, environment: Mapping[str, str]) -> None:
    (root / "made").mkdir()
    (root / "linked").symlink_to("made")
    with pytest.raises(BuildpermError, match="may write there, too"):
        check(root, environment, "$WORKSPACE/made/**", "$WORKSPACE/linked/**")


def test_it_may_be_meant(root: Path, environment: Mapping[str, str]) -> None:
    check(
        *(root, environment),
        *("$WORKSPACE/crates/other/gen/**", "$MANIFEST_DIR/gen/x.txt"),
        shared="$WORKSPACE/crates/other/gen/**",
    )


@pytest.mark.parametrize("second", ["$OUT_DIR/**", "$MANIFEST_DIR/gen/**", "$TMP/**"])
def test_what_is_each_ones_own_is_no_ones_affair(
    root: Path, environment: Mapping[str, str], second: str
) -> None:
    check(root, environment, second, second)


@pytest.mark.parametrize("pattern", ["$TARGET_DIR/dist/**", "$TARGET_DIR/Dist/deps/x"])
def test_a_shared_folder_is_not_one_that_a_profile_will_have(
    root: Path, environment: Mapping[str, str], pattern: str
) -> None:
    path = root / "Cargo.toml"
    path.write_text(path.read_text() + '[profile.dist]\ninherits = "release"\n')
    with pytest.raises(BuildpermError, match="Cargo builds the profile `dist` there"):
        check(root, environment, pattern, "$OUT_DIR/x")


@pytest.mark.parametrize("where", ["file", "config", "variable", "option", "target"])
def test_nor_one_that_only_the_configuration_or_the_command_names(
    root: Path, environment: Mapping[str, str], where: str
) -> None:
    words = ["check"]
    if where == "file":
        (root / ".cargo").mkdir()
        (root / ".cargo/config.toml").write_text('[profile.Mine]\ninherits = "release"\n')
    elif where == "config":
        words += ["--config", 'profile.mine.inherits="release"']
    elif where == "variable":
        environment = {**environment, "CARGO_PROFILE_MINE_INHERITS": "release"}
    elif where == "option":
        words += ["--profile", "mine"]
    else:
        words += ["--target=where/mine.json"]
    project = Projects(root, {**environment}).open([], default=["check"])
    named = replace(project, arguments=arguments.parse(words, default=[]), environment=environment)
    if where == "config":
        found = configuration.read(root, root, environment, named.arguments.configuration)
        named = replace(named, configuration=found)

    for pattern in ("$TARGET_DIR/mine/**", "$TARGET_DIR/MINE/x"):
        assert "there" in write_claims.closed(Rule(Kind.WRITE, pattern), named, {})
    for pattern in ("$TARGET_DIR/mines/**", "$WORKSPACE/mine/**", "$TARGET_DIR/cxxbridge/mine/**"):
        assert write_claims.closed(Rule(Kind.WRITE, pattern), named, {}) == ""
    assert write_claims.closed(Rule(Kind.READ, "$TARGET_DIR/mine/**"), named, {}) == ""


def test_any_other_shared_folder_is_nobodys_alone(
    root: Path, environment: Mapping[str, str]
) -> None:
    path = root / "Cargo.toml"
    path.write_text(path.read_text() + '[profile.dist]\ninherits = "release"\n')
    check(root, environment, "$TARGET_DIR/distributed/**", "$TARGET_DIR/cxxbridge/dist/**")
