"""Secrets that lay where the sandbox did not look for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from buildperm.rules import sensitive
from tests.programs import program_text

if TYPE_CHECKING:
    from tests.bench import Bench


def _read(
    bench: Bench, profile: Literal["learning", "enforcing"], *paths: str
) -> tuple[list[str], list[str]]:
    for path in paths:
        place = bench.workspace / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("planted")
    ended = bench.run(
        bench.script(program_text("reads_workspace_paths.py", PATHS=repr(paths))), profile
    )
    said = ended.stderr.decode().splitlines()
    read = [line.removeprefix("read ") for line in said if line.startswith("read ")]
    refused = [line.removeprefix("refused ") for line in said if line.startswith("refused ")]
    return read, refused


KEYS = ("deploy/.ssh/id_rsa", "deploy/.aws/credentials", "deploy/id_ed25519", "deploy/.npmrc")


def test_keys_in_the_workspace_are_not_read_while_learning(bench: Bench) -> None:
    keys = (*KEYS, ".git-credentials")
    assert _read(bench, "learning", "deploy/plain", *keys) == (["deploy/plain"], list(keys))


def test_a_grant_of_a_folder_opens_no_key_in_it(bench: Bench) -> None:
    bench.grants["read"] = ["$WORKSPACE/deploy/**"]
    keys = (*KEYS, "deploy/1/2/3/4/.ssh/id_rsa", "deploy/1/2/3/4/.env")
    assert _read(bench, "enforcing", "deploy/plain", *keys) == (["deploy/plain"], list(keys))


def test_a_package_of_many_files_hides_no_secret_of_the_workspace(own_bench: Bench) -> None:
    for number in range(2_500):
        (own_bench.package / str(number)).touch()
    assert _read(own_bench, "learning", "plain", ".env") == (["plain"], [".env"])


@pytest.mark.parametrize(
    "name", [".config/sops/age/keys.txt", ".kaggle/kaggle.json", ".cargo/credentials.toml"]
)
def test_what_tools_keep_below_home_is_sensitive(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.parent.mkdir(parents=True)
    place.touch()
    found = sensitive.existing({"HOME": bytes(tmp_path)}, writing=False)
    assert any(bytes(place) == path or bytes(place).startswith(path + b"/") for path in found)


def test_what_cargo_built_without_buildperm_is_not_written_by_decision() -> None:
    # A program in there is a build script that runs without its stub.
    target = "$WORKSPACE/target/debug/build/a-1/build-script-build"
    assert sensitive.why(target, writing=True)
    assert sensitive.opened_by("$WORKSPACE/target/**", writing=True)
