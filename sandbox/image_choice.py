"""An OCI image in files: a layout (folder or tar), or what `docker save` and `podman save` write.

The names are those of the OCI image specification: an *index* lists *manifests*, one a platform; a
manifest names a *configuration* and *layers*. Each is named by the SHA-256 of its bytes, which is
checked before any of it is believed. An archive of Docker's older kind has no manifest of that
sort: there the configuration is the image's identity, which Docker calls its ID.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from buildperm.printable import printable
from buildperm.sandbox.image_files import ImageError, Shelf

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOCUMENT_MOST = 4 << 20  # Bytes: as much as registries take.
_LISTED_MOST = 1_000  # Manifests of all indexes, layers of an image; Docker's own limit is 127.
_READ_MOST = 64 << 20  # Bytes of all documents.
_SHOWN_MOST = 200  # Characters of what an image says of itself.
_DEPTH_MOST = 4  # Indexes in one another.
_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
_TAG = "org.opencontainers.image.ref.name"
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True, slots=True)
class LayerFile:
    """A layer: where it lies, and what it has to be."""

    name: str  # Of the file in the archive.
    digest: str  # Of the file; empty where only the content is known.
    content: str  # The digest of the archive in it, without compression.


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """An image for one platform."""

    names: tuple[str, ...]  # Digests by which it is known: itself, indexes, its configuration.
    tag: str
    platform: str  # `linux/amd64`.
    layers: tuple[LayerFile, ...]

    @property
    def digest(self) -> str:
        """Return what it is called by: the digest of its manifest, else its ID."""
        return self.names[0]


def choose(files: Shelf, machine: str, wanted: str = "") -> ImageChoice:
    """Return the image for this machine.

    Args:
        files: Of the layout or archive.
        machine: What uname(2) calls the processor.
        wanted: A digest or tag; empty: the only one that there is.

    Raises:
        ImageError: There is none, or more than one, or something is not what its digest says.
        OSError: Something cannot be read.
    """
    platform = f"linux/{_NAMES.get(machine, machine)}"
    if files.has("index.json"):
        index = _document(_bytes(files, "index.json"))
        found = list(_Images(files, platform).images(index, (), ""))
    elif files.has("manifest.json"):
        found = list(_saved(files))
    else:
        raise ImageError(
            "it has neither `index.json` nor `manifest.json`",
            "Give an OCI layout, or what `docker save`, `podman save` or `skopeo copy` write.",
        )
    # Whoever names a digest means what it is, and not what it calls itself.
    is_digest = bool(DIGEST.fullmatch(wanted))
    named = [
        each
        for each in found
        if not wanted or wanted in each.names or (wanted == each.tag and not is_digest)
    ]
    if not named:
        listed = _list(f"{each.digest} ({each.tag or each.platform})" for each in found)
        raise ImageError(
            f"it does not have the image {printable(wanted)}, but {listed}",
            "Name one of these, as by `--image DIGEST`, or take the archive that has it.",
        )
    fitting = {each.digest: each for each in named if each.platform == platform}
    if not fitting:
        listed = _list(each.platform for each in named)
        raise ImageError(
            f"it is for {listed}, and this machine is {platform}",
            "Copy the one for this machine, as by `skopeo copy --override-arch`.",
        )
    if len(fitting) > 1:
        listed = _list(f"{each.digest} ({each.tag or 'no tag'})" for each in fitting.values())
        raise ImageError(f"it has several images: {listed}", "Name one: `--image DIGEST`.")
    return next(iter(fitting.values()))


class _Images:
    """Reads an index, and those in it; all together they may list and hold only so much."""

    def __init__(self, files: Shelf, platform: str) -> None:
        self._files = files
        self._platform = platform
        self._listed = 0
        self._read = 0

    def images(
        self, index: dict[str, Any], above: tuple[str, ...], tag: str
    ) -> Iterator[ImageChoice]:
        """Yield the images of an index, and of those in it; without layers, where for others.

        What is for another platform may be listed, and not be there.
        """
        if len(above) > _DEPTH_MOST:
            raise ImageError("its indexes lie too deep in one another")
        for each in _objects(index, "manifests"):
            self._count()
            digest = _digest(each)
            noted = each.get("annotations")
            named = _told(noted.get(_TAG, tag) if isinstance(noted, dict) else tag)
            names = (digest, *above)
            told = each.get("platform")
            if isinstance(told, dict):
                meant = _called(told)
                if meant == "unknown/unknown":
                    continue  # It is no image, but says something of one, such as who made it.
                if meant != self._platform:
                    yield ImageChoice(names, named, meant, ())
                    continue
            document = self._document(each)
            is_index = "manifests" in document
            # One digest must not be two things: the image specification, on `mediaType`.
            if is_index and ("config" in document or "layers" in document):
                raise ImageError(f"{digest} is an index and a manifest at once")
            if is_index or each.get("mediaType") in _INDEXES:
                yield from self.images(document, names, named)
            elif "config" in document:
                yield self._image(document, names, named)

    def _image(self, manifest: dict[str, Any], above: tuple[str, ...], tag: str) -> ImageChoice:
        configured = manifest["config"]
        if not isinstance(configured, dict):
            raise ImageError("a manifest has no configuration")
        digest = _digest(configured)
        described = [(_place(each), _digest(each)) for each in _objects(manifest, "layers")]
        return _made(self._document(configured), (*above, digest), tag, described)

    def _document(self, described: dict[str, Any]) -> dict[str, Any]:
        raw = _blob(self._files, described)
        self._read += len(raw)
        if self._read > _READ_MOST:
            raise ImageError(f"its documents have more than {_READ_MOST >> 20} MiB")
        return _document(raw)

    def _count(self) -> None:
        self._listed += 1
        if self._listed > _LISTED_MOST:
            raise ImageError(f"its indexes list more than {_LISTED_MOST:,} manifests")


def _saved(files: Shelf) -> Iterator[ImageChoice]:
    """Yield the images of an archive of Docker's own kind."""
    try:
        told = json.loads(_bytes(files, "manifest.json"))
    except (ValueError, RecursionError) as error:
        raise ImageError("its `manifest.json` is no JSON") from error
    if isinstance(told, dict):
        raise ImageError(
            "it is a copy as `dir:` makes it, and no OCI layout",
            hint="Make one of it: `skopeo copy dir:FOLDER oci:NEW`.",
        )
    for each in _objects({"one": told}, "one"):
        place = each.get("Config")
        layers, tags = each.get("Layers"), each.get("RepoTags")
        is_named = isinstance(layers, list) and all(isinstance(one, str) for one in layers)
        if not isinstance(place, str) or not isinstance(layers, list) or not is_named:
            raise ImageError("its `manifest.json` names no configuration and layers")
        raw = _bytes(files, place)
        tag = _told(tags[0] if isinstance(tags, list) and tags else "")
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        yield _made(_document(raw), (digest,), tag, [(one, "") for one in layers])


def _made(
    configuration: dict[str, Any],
    names: tuple[str, ...],
    tag: str,
    described: list[tuple[str, str]],
) -> ImageChoice:
    filesystem = configuration.get("rootfs")
    contents = filesystem.get("diff_ids") if isinstance(filesystem, dict) else None
    if not isinstance(contents, list) or len(contents) != len(described) or not contents:
        raise ImageError("its configuration does not name the layers that it has")
    if len(described) > _LISTED_MOST:
        raise ImageError(f"it has more than {_LISTED_MOST:,} layers")
    layers = tuple(
        LayerFile(name, digest, _checked(content))
        for (name, digest), content in zip(described, contents, strict=True)
    )
    return ImageChoice(names, tag, _called(configuration), layers)


def _called(described: dict[str, Any]) -> str:
    """Return the platform that something is for: `linux/amd64`."""
    return f"{_told(described.get('os'))}/{_told(described.get('architecture'))}"


def _told(said: object) -> str:
    """Return what an image says of itself, as it may be shown; empty where that is no text."""
    return printable(said[:_SHOWN_MOST]) if isinstance(said, str) else ""


def _objects(table: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = table.get(key)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ImageError(f"it has no list of {key}" if key != "one" else "it lists what is none")
    if len(found) > _LISTED_MOST:
        raise ImageError(f"it lists more than {_LISTED_MOST:,} {key}")
    return found


def _checked(said: object) -> str:
    if not isinstance(said, str) or not DIGEST.fullmatch(said):
        raise ImageError(f"`{_told(said) or 'nothing'}` is no digest of SHA-256")
    return said


def _digest(described: dict[str, Any]) -> str:
    return _checked(described.get("digest"))


def _place(described: dict[str, Any]) -> str:
    return f"blobs/sha256/{_digest(described).removeprefix('sha256:')}"


def _blob(files: Shelf, described: dict[str, Any]) -> bytes:
    raw = _bytes(files, _place(described))
    if f"sha256:{hashlib.sha256(raw).hexdigest()}" != _digest(described):
        raise ImageError(f"`{_place(described)}` is damaged: its digest is another")
    return raw


def _bytes(files: Shelf, name: str) -> bytes:
    with files.open(name) as file:
        raw = file.read(_DOCUMENT_MOST + 1)
    if len(raw) > _DOCUMENT_MOST:
        raise ImageError(f"`{_told(name)}` has more than {_DOCUMENT_MOST >> 20} MiB")
    return raw


def _document(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ImageError("one of its documents is no JSON") from error
    if not isinstance(found, dict):
        raise ImageError("one of its documents is no object")
    return found


def _list(told: Iterable[str]) -> str:
    found = list(dict.fromkeys(told))
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return (", ".join(found[:5]) + more) or "nothing"
