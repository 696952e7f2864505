"""A registry of Rust packages that a test makes up on the fly, in the place of crates.io.

Nothing leaves the machine, and Cargo.lock names crates.io all the same:

    registry = Registry(tmp_path / "registry")
    registry.publish("helper", "1.0.0", {"build.rs": "fn main() {}"})
    registry.publish("library", "0.3.9", dependencies={"helper": "1"})
    workspace = registry.application(tmp_path / "ws", dependencies={"library": "0.3"})
    buildperm("check", folder=workspace, extra=registry.environment)
    registry.publish("library", "0.3.10", build_dependencies={"helper": "1"})
    registry.cargo("update", folder=workspace)

`registry.environment` has to be given to whatever runs Cargo: it names a CARGO_HOME of the
registry's own, whose configuration puts the registry in the place of crates.io, so that nothing of
it is in the workspace. The layout is Cargo's `local-registry` (Cargo book, "Source Replacement").
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_PACKED_AT = 1_153_704_088  # Seconds; what Cargo itself gives to the files of a package.
_TIMEOUT_S = 120

Files = Mapping[str, str | bytes]


class Registry:
    """A folder with packages and their index, and a CARGO_HOME that makes Cargo use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cargo_home = folder.with_name(f"{folder.name}-cargo-home")
        (folder / "index").mkdir(parents=True)
        self.cargo_home.mkdir()
        (self.cargo_home / "config.toml").write_text(
            '[source.crates-io]\nreplace-with = "made-up"\n'
            f"[source.made-up]\nlocal-registry = {json.dumps(str(folder))}\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that have to be set for Cargo, and for buildperm."""
        return {"CARGO_HOME": str(self.cargo_home)}

    def publish(
        self,
        name: str,
        version: str,
        files: Files | None = None,
        *,
        dependencies: Mapping[str, str] | None = None,
        build_dependencies: Mapping[str, str] | None = None,
        features: Mapping[str, Sequence[str]] | None = None,
        links: str = "",
        yanked: bool = False,
        published: str = "",
    ) -> str:
        """Publish a version and return its checksum; `dependencies` are requirements by name.

        `files` are those of the package, by path; `src/lib.rs` and a Cargo.toml that says what is
        said here are added where they are missing. A package with a `build.rs` has a build script.
        `published` is the time that the index tells.

        Raises:
            ValueError: The version is published already: on crates.io that is for ever.
        """
        archive = self.folder / f"{name}-{version}.crate"
        if archive.exists():
            raise ValueError(f"{name} {version} is published already")
        needed = {"normal": dependencies or {}, "build": build_dependencies or {}}
        written: dict[str, str | bytes] = {
            "Cargo.toml": _manifest(name, version, needed, features or {}, links),
            "src/lib.rs": "",
        }
        packed = _pack(f"{name}-{version}", written | dict(files or {}))
        archive.write_bytes(packed)
        entry = {
            "name": name,
            "vers": version,
            "deps": [
                {
                    "name": other,
                    "req": requirement,
                    "features": [],
                    "optional": False,
                    "default_features": True,
                    "target": None,
                    "kind": kind,
                }
                for kind, table in needed.items()
                for other, requirement in table.items()
            ],
            "cksum": hashlib.sha256(packed).hexdigest(),
            "features": {feature: list(others) for feature, others in (features or {}).items()},
            "yanked": yanked,
        }
        if links:
            entry["links"] = links
        if published:
            entry["pubtime"] = published
        index = self._index(name)
        index.parent.mkdir(parents=True, exist_ok=True)
        with index.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        return str(entry["cksum"])

    def yank(self, name: str, version: str) -> None:
        """Yank a published version: it stays where a Cargo.lock has it, and is chosen no more."""
        index = self._index(name)
        entries = [json.loads(line) for line in index.read_text().splitlines()]
        for entry in entries:
            entry["yanked"] = entry["yanked"] or entry["vers"] == version
        index.write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    def application(
        self,
        folder: Path,
        *,
        dependencies: Mapping[str, str] | None = None,
        build_dependencies: Mapping[str, str] | None = None,
        name: str = "app",
    ) -> Path:
        """Make a workspace with one member that depends on packages, and its Cargo.lock.

        A dependency is a requirement (`0.3`), or what TOML has in its place (`{ git = "…" }`).
        """
        member = folder / name
        (member / "src").mkdir(parents=True)
        (member / "src/lib.rs").write_text("")
        (folder / "Cargo.toml").write_text(f'[workspace]\nmembers = ["{name}"]\nresolver = "2"\n')
        needed = {"normal": dependencies or {}, "build": build_dependencies or {}}
        (member / "Cargo.toml").write_text(_manifest(name, "0.1.0", needed, {}, ""))
        self.cargo("generate-lockfile", folder=folder)
        return folder

    def cargo(self, *words: str, folder: Path) -> str:
        """Run Cargo in `folder`, with this registry and nothing else; return what it said.

        Raises:
            RuntimeError: Cargo failed; with its own words.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CARGO")}
        ended = subprocess.run(
            ["cargo", *words],
            cwd=folder,
            env=kept | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if ended.returncode != 0:
            raise RuntimeError(f"cargo {' '.join(words)}: {ended.stdout}")
        return ended.stdout

    def _index(self, name: str) -> Path:
        """Return the file of a package in the index (Cargo book, "Index Format")."""
        match len(name):
            case 1 | 2:
                places = [str(len(name))]
            case 3:
                places = ["3", name[0].lower()]
            case _:
                places = [name[:2].lower(), name[2:4].lower()]
        return Path(self.folder, "index", *places, name.lower())


def _manifest(
    name: str,
    version: str,
    needed: Mapping[str, Mapping[str, str]],
    features: Mapping[str, Sequence[str]],
    links: str,
) -> str:
    lines = ["[package]", f'name = "{name}"', f'version = "{version}"', 'edition = "2021"']
    if links:
        lines.append(f'links = "{links}"')
    for kind, table in needed.items():
        lines += ["", "[dependencies]" if kind == "normal" else "[build-dependencies]"]
        for other, wanted in table.items():
            lines.append(f"{other} = {wanted if wanted.startswith('{') else json.dumps(wanted)}")
    if features:
        lines += ["", "[features]"]
        lines += [f"{feature} = {json.dumps(list(on))}" for feature, on in features.items()]
    return "\n".join(lines) + "\n"


def _pack(top: str, files: Files) -> bytes:
    """Return a `.crate` file: the same for the same files, whenever and wherever it is made."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in sorted(files.items()):
            raw = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mtime, entry.mode = len(raw), _PACKED_AT, 0o644
            archive.addfile(entry, io.BytesIO(raw))
    return packed.getvalue()
