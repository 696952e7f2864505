"""Manifests that claim files which are not the package's, so that compiling it may read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import buildperm
from tests.redteam.packages import crate, workspace

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IG9uZQ==\n-----END OPENSSH PRIVATE KEY-----\n"
CLAIMS = (
    ("readme = '{file}'", "elsewhere/note.txt"),
    ("license-file = '{file}'", "elsewhere/id_ed25519"),
    ("[[example]]\nname = 'one'\npath = '{folder}/one.rs'", "elsewhere/note.txt"),
    ("readme = '{file}'", "ws/.env"),
    ("[[test]]\nname = 'one'\npath = '{folder}/one.rs'", "ws/.env"),
)


@pytest.fixture
def claiming(tmp_path: Path) -> Path:
    """Return a folder with a workspace in `ws`, whose member reads what it claims."""
    folder = workspace(tmp_path / "ws", "app")
    (tmp_path / "elsewhere").mkdir()
    for path, text in (
        ("elsewhere/note.txt", "not yours"),
        ("elsewhere/id_ed25519", KEY),
        ("ws/.env", "PASSWORD=letmein"),
        ("ws/README.md", "What it is good for."),
        ("ws/shared/part.rs", "pub const PART: u8 = 1;"),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return folder


def _claim(folder: Path, manifest: str, file: Path) -> None:
    manifest = manifest.format(file=file, folder=file.parent)
    crate(folder / "app", manifest=manifest, source=f'pub const T: &str = include_str!("{file}");')


@pytest.mark.parametrize(("manifest", "file"), CLAIMS)
@pytest.mark.quick(2)
def test_a_claim_opens_nothing_outside_and_no_secret(
    claiming: Path, manifest: str, file: str
) -> None:
    path = claiming.parent / file
    _claim(claiming, manifest, path)

    held = buildperm("ci", "--", "check", "--lib", folder=claiming)

    assert held.returncode == 20, held.stdout
    assert "compiling its code:\n" in held.stdout
    assert path.name in held.stdout


@pytest.mark.parametrize(
    ("manifest", "file"),
    [
        ("readme = '../README.md'", "README.md"),
        ("[lib]\npath = '../shared/lib.rs'", "shared/part.rs"),
    ],
)
@pytest.mark.quick(1)
def test_what_is_claimed_in_the_workspace_may_be_read(
    claiming: Path, manifest: str, file: str
) -> None:
    _claim(claiming, manifest, claiming / file)
    (claiming / "shared/lib.rs").write_text(f'pub const T: &str = include_str!("../{file}");')

    held = buildperm("ci", "--", "check", "--lib", folder=claiming)

    assert held.returncode == 0, held.stderr
