"""A Git source whose next commit, of the same version, misuses what was granted to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.redteam.git_dependency import GitDependency

WRITES = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::write("src/gen/out.txt", "made");
}
"""
MANIFEST = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'


@pytest.fixture
def dependency(tmp_path: Path) -> GitDependency:
    """Make it: the crate writes into its own sources, which is granted to its first commit."""
    here = GitDependency(tmp_path, {"CARGO_HOME": str(tmp_path / "cargo-home")})
    for folder in (here.repository / "src/gen", here.workspace / "src", here.victim):
        folder.mkdir(parents=True)
    (here.repository / "Cargo.toml").write_text(MANIFEST.format("codegen"))
    (here.repository / "build.rs").write_text(WRITES)
    (here.repository / "src/lib.rs").touch()
    (here.repository / "src/gen/kept").touch()
    (here.workspace / "src/lib.rs").touch()
    (here.workspace / "Cargo.toml").write_text(
        MANIFEST.format("app")
        + f'[dependencies]\ncodegen = {{ git = "file://{here.repository}" }}\n[workspace]\n'
    )
    here.git("init", "-q", "-b", "main")
    return here


GRANTS = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates."{}"]
reviewed = ["{}"]
write = ["$MANIFEST_DIR/src/gen/**"]
"""


@pytest.mark.slow
def test_the_next_commit_of_a_git_source_makes_no_more_of_its_grants(
    dependency: GitDependency,
) -> None:
    first = dependency.commit()
    path, plain = dependency.workspace / "Cargo.toml", dependency.manifest
    path.write_text(plain + GRANTS.format(dependency.key, f"0.1.0#{first}"))
    # The next commit, of the same version, makes a link of what it may write.
    (dependency.repository / "src/gen/kept").unlink()
    (dependency.repository / "src/gen").rmdir()
    (dependency.repository / "src/gen").symlink_to(dependency.victim)
    second = dependency.commit()

    held = dependency.run("ci")
    assert held.returncode == 20, held.stderr
    assert "tried 1 thing it was not granted; it was blocked" in held.stdout
    assert f" write    {dependency.victim}/out.txt" in held.stdout
    dependency.run("review", "--no-tui", "--accept", "medium")
    assert list(dependency.victim.iterdir()) == []
    shown = dependency.run("show", "codegen").stdout
    assert f"version 0.1.0 (commit {second[:12]}) has not been reviewed" in shown
    assert "a link leads to `" in shown

    # Nor does it help that somebody has reviewed that commit: the link leads out of the package.
    path.write_text(plain + GRANTS.format(dependency.key, f"0.1.0#{second}"))
    held = dependency.run("ci")
    assert held.returncode == 20, held.stderr
    said = held.stdout + held.stderr
    assert "`write $MANIFEST_DIR/src/gen/**` does not open `" in said
    assert "/victim/**` by its own path." in said
    assert list(dependency.victim.iterdir()) == []
    why = dependency.run("why", "codegen", "write:$MANIFEST_DIR/src/gen/out.txt").stdout
    assert why.startswith("refused: neither the baseline nor a grant")
    assert "/victim/out.txt" in why


@pytest.mark.slow
def test_what_counts_as_reviewed_of_a_git_source_is_a_commit(dependency: GitDependency) -> None:
    commit = dependency.commit()
    path, plain = dependency.workspace / "Cargo.toml", dependency.manifest
    for key, reviewed, wrong in (
        (dependency.key, f"0.1.0#{commit[:12]}", "no whole commit"),
        ("app", f"0.1.0#{commit}", "only a package from a Git repository"),
    ):
        path.write_text(plain + GRANTS.format(key, reviewed))
        told = dependency.run("check")
        assert told.returncode == 2
        assert wrong in told.stderr

    path.write_text(plain + GRANTS.format(dependency.key, "0.1.0"))
    held = dependency.run("ci")
    assert held.returncode == 20
    assert "is granted and not in force: high risk, and version 0.1.0 (commit " in held.stdout
    shown = dependency.run("show", "codegen").stdout
    assert "names no commit; `buildperm review` writes it" in shown
    told_then = dependency.learn()
    assert f'crates."{dependency.key}"]\nreviewed = ["0.1.0#{commit}"]\n' in dependency.manifest, (
        told_then
    )
    assert dependency.run("ci").returncode == 0

    # A commit like any other is asked about, and then it is the one that counts.
    (dependency.repository / "README").write_text("more")
    new = dependency.commit()
    assert dependency.run("check").returncode == 21
    assert dependency.run("ci").returncode == 20
    told_then = dependency.learn()
    assert f'reviewed = ["0.1.0#{new}"]' in dependency.manifest, told_then


READS_VARIABLE = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::env::var("MIRROR");
}
"""
SECRET_GRANT = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates."{}"]
reviewed = ["{}"]
env = ["MIRROR"]
reason = "it fetches from there"
"""


@pytest.mark.slow
def test_a_secret_that_one_commit_may_see_is_kept_from_the_next(dependency: GitDependency) -> None:
    (dependency.repository / "build.rs").write_text(READS_VARIABLE)
    first = dependency.commit()
    secret = {"MIRROR": "https://me:hunter2hunter2@mirror.example.org/"}
    dependency = replace(dependency, extra={**dependency.extra, **secret})
    path, plain = dependency.workspace / "Cargo.toml", dependency.manifest

    path.write_text(plain + SECRET_GRANT.format(dependency.key, f"0.1.0#{first}"))
    told = dependency.run("ci")
    assert told.returncode == 0, told.stdout
    assert dependency.run("why", "codegen", "env:MIRROR").stdout.startswith("allowed")

    (dependency.repository / "README").write_text("more")
    dependency.commit()
    for reviewed in (f"0.1.0#{first}", "0.1.0"):
        path.write_text(plain + SECRET_GRANT.format(dependency.key, reviewed))
        told = dependency.run("ci")
        assert told.returncode == 20, told.stdout
        assert "MIRROR" in told.stdout
        assert not dependency.run("why", "codegen", "env:MIRROR").stdout.startswith("allowed")
