"""Images made by hand: layers of any entries, in an OCI layout or as Docker's own archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path

_OCI = "application/vnd.oci.image"
HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def entry(name: str, content: str | None = None, **traits: object) -> tuple[tarfile.TarInfo, bytes]:
    """Return an entry of a layer: a file where it has content, a folder where nothing is said."""
    made = tarfile.TarInfo(name)
    made.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    made.mode = 0o755 if content is None else 0o644
    data = (content or "").encode()
    made.size = len(data)
    for trait, value in traits.items():
        setattr(made, trait, value)
    return made, data


def link(name: str, target: str, *, is_hard: bool = False) -> tuple[tarfile.TarInfo, bytes]:
    """Return a link as an entry of a layer."""
    kind = tarfile.LNKTYPE if is_hard else tarfile.SYMTYPE
    return entry(name, "", type=kind, linkname=target)


def layer(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a layer, without compression."""
    told = io.BytesIO()
    with tarfile.open(fileobj=told, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for made, data in entries:
            archive.addfile(made, io.BytesIO(data))
    return told.getvalue()


BASE = layer(
    entry("usr"),
    entry("usr/bin/"),
    entry("usr/bin/tool", "#!/bin/sh\n", mode=0o4711),
    entry("etc/os-release", "NAME=image\n", mode=0o600),
    link("bin", "usr/bin"),
)


@dataclass(slots=True)
class MadeImage:
    """An OCI layout."""

    folder: Path

    def put(self, raw: bytes, kind: str, **traits: object) -> dict[str, object]:
        """Write a blob, and return what describes it."""
        digest = hashlib.sha256(raw).hexdigest()
        blobs = self.folder / "blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        (blobs / digest).write_bytes(raw)
        kind = f"{_OCI}.{kind}"
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(raw), **traits}

    def manifest(
        self, *layers: bytes, is_gzip: bool = True, architecture: str = HERE, **traits: object
    ) -> dict[str, object]:
        """Write an image, and return what describes it."""
        contents = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
        configured = {
            "os": "linux",
            "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": contents},
        }
        files = [gzip.compress(each, 1, mtime=0) if is_gzip else each for each in layers]
        kind = "layer.v1.tar+gzip" if is_gzip else "layer.v1.tar"
        document = {
            "schemaVersion": 2,
            "config": self.put(json.dumps(configured).encode(), "config.v1+json"),
            "layers": [self.put(each, kind) for each in files],
        }
        return self.put(json.dumps(document).encode(), "manifest.v1+json", **traits)

    def finish(self, *listed: dict[str, object]) -> Path:
        """Write the index, and return the folder."""
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        index = {"schemaVersion": 2, "manifests": listed}
        (self.folder / "index.json").write_text(json.dumps(index))
        return self.folder


def layout(folder: Path, *layers: bytes, is_gzip: bool = True) -> Path:
    """Make a layout with one image."""
    made = MadeImage(folder)
    return made.finish(made.manifest(*layers, is_gzip=is_gzip))


def packed(folder: Path) -> Path:
    """Put a layout into an archive, as `skopeo copy` does for `oci-archive:`."""
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, ".")
    return path


def saved(path: Path, *layers: bytes) -> tuple[Path, str]:
    """Make an archive of Docker's own kind; return it, and the ID of its image."""
    contents = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
    told = {"os": "linux", "architecture": HERE, "rootfs": {"diff_ids": contents}}
    raw = json.dumps(told).encode()
    digest = hashlib.sha256(raw).hexdigest()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    listed = [{"Config": f"{digest}.json", "RepoTags": ["made:1"], "Layers": names}]
    files = [
        (f"{digest}.json", raw),
        ("manifest.json", json.dumps(listed).encode()),
        *zip(names, layers, strict=True),
    ]
    with tarfile.open(path, "w") as archive:
        for name, data in files:
            made = tarfile.TarInfo(name)
            made.size = len(data)
            archive.addfile(made, io.BytesIO(data))
    return path, f"sha256:{digest}"
