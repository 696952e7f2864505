"""Writes packages and workspaces, and reads what is kept of the reviewed runs."""

from __future__ import annotations

from pathlib import Path


def crate(folder: Path, build: str = "", *, manifest: str = "", source: str = "") -> None:
    """Write a package with the name of its folder; `manifest` goes below its first lines."""
    (folder / "src").mkdir(parents=True)
    head = f'[package]\nname = "{folder.name}"\nversion = "0.1.0"\nedition = "2021"\n'
    (folder / "Cargo.toml").write_text(head + manifest)
    (folder / "src/lib.rs").write_text(source)
    if build:
        (folder / "build.rs").write_text(build)


def workspace(folder: Path, *members: str, contexts: str = "") -> Path:
    listed = ", ".join(f'"{member}"' for member in members)
    metadata = f"\n[workspace.metadata.buildperm]\nversion = 1\n{contexts}\n" if contexts else ""
    folder.mkdir(exist_ok=True)
    (folder / "Cargo.toml").write_text(
        f'[workspace]\nmembers = [{listed}]\nresolver = "2"\n'
        f"[profile.dev.build-override]\nopt-level = 1\n{metadata}"
    )
    return folder


def lock_file_text(folder: Path) -> str:
    """Return what is kept of the reviewed runs."""
    return (folder / "buildperm.lock").read_text()
