"""What images say of themselves is not believed, costs little, and leads nowhere else."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from buildperm.sandbox import image_choice, image_unpacking
from buildperm.sandbox.image_files import ImageError, shelf
from tests.made_image import BASE, MadeImage, layout, saved

_TAG = "org.opencontainers.image.ref.name"
_MACHINE = os.uname().machine


def _choose(image: Path, wanted: str = "") -> image_choice.ImageChoice:
    return image_choice.choose(shelf(image), _MACHINE, wanted)


def test_a_tag_is_taken_for_no_digest(tmp_path: Path) -> None:
    wanted = "sha256:" + "0" * 64
    made = MadeImage(tmp_path / "image")
    named = made.manifest(BASE, annotations={_TAG: wanted})
    image = made.finish(named)
    with pytest.raises(ImageError, match="does not have the image"):
        _choose(image, wanted)
    assert _choose(image, str(named["digest"])).tag == wanted


def test_indexes_that_list_one_another_end(tmp_path: Path) -> None:
    """Three of a thousand are a thousand millions."""
    made = MadeImage(tmp_path / "image")
    listed = made.put(b"{}", "manifest.v1+json")
    for _ in range(3):
        raw = json.dumps({"manifests": [listed] * 900}).encode()
        listed = made.put(raw, "index.v1+json")
    image = made.finish(listed)
    began = time.process_time()
    with pytest.raises(ImageError, match="list more than"):
        _choose(image)
    assert time.process_time() - began < 5


def test_what_is_two_things_at_once_is_neither(tmp_path: Path) -> None:
    made = MadeImage(tmp_path / "image")
    (manifest,) = [made.manifest(BASE)]
    raw = (made.folder / "blobs/sha256" / str(manifest["digest"])[7:]).read_bytes()
    both = json.loads(raw) | {"manifests": [manifest]}
    image = made.finish(made.put(json.dumps(both).encode(), "manifest.v1+json"))
    with pytest.raises(ImageError, match="at once"):
        _choose(image)


def _outside(image: Path) -> None:
    """Let the index be what lies elsewhere."""
    (image / "index.json").rename(image.parent / "elsewhere.json")
    (image / "index.json").symlink_to("../elsewhere.json")


def _outside_blobs(image: Path) -> None:
    (image / "blobs").rename(image.parent / "blobs")
    (image / "blobs").symlink_to(image.parent / "blobs")


def _saved_with(**told: object) -> Callable[[Path], None]:
    """Let it be Docker's, with one thing of its list another."""

    def change(image: Path) -> None:
        (image / "index.json").unlink()
        (image / "c.json").write_text('{"rootfs": {"diff_ids": ["sha256:' + "0" * 64 + '"]}}')
        listed = [{"Config": "c.json", "Layers": ["layer.tar"], **told}]
        (image / "manifest.json").write_text(json.dumps(listed))

    return change


_DEEP = json.loads("[" * 900 + "]" * 900)
_LIES: dict[str, Callable[[Path], object]] = {
    "a link out of it": _outside,
    "a folder that is a link out of it": _outside_blobs,
    "half a character": _saved_with(Config="\ud800"),
    "a zero byte": _saved_with(Config="a\0b"),
    "a path": _saved_with(Config="/etc/passwd"),
    "a path up": _saved_with(Config="../elsewhere.json"),
    "its own folder": _saved_with(Config="."),
    "layers that are no names": _saved_with(Layers=[{}]),
    "a layer that is nothing": _saved_with(Layers=[None]),
    "a platform as long as it may be": lambda image: _rewrite(
        image, platform={"os": "linux", "architecture": "x" * 1_000_000}
    ),
    "a digest that is no text": lambda image: _rewrite(image, digest=_DEEP),
    "a digest of another kind": lambda image: _rewrite(image, digest="sha512:" + "0" * 128),
    "a digest with an end of line": lambda image: _rewrite(
        image, digest="sha256:" + "0" * 64 + "\n"
    ),
    "a number that is none": lambda image: _rewrite(image, digest=float("nan")),
}


def _rewrite(image: Path, **told: object) -> None:
    path = image / "index.json"
    index = json.loads(path.read_bytes())
    index["manifests"][0] |= told
    path.write_text(json.dumps(index))


@pytest.mark.parametrize("case", _LIES)
def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, case: str) -> None:
    image = layout(tmp_path / "image", BASE)
    assert _choose(image).layers
    _LIES[case](image)
    with pytest.raises(ImageError) as told:
        _choose(image)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 500


def test_the_copy_of_a_registry_is_told_from_an_image_with_a_way_on(tmp_path: Path) -> None:
    """As `podman save --format docker-dir` and `skopeo copy … dir:` make it."""
    image = layout(tmp_path / "image", BASE)
    index = json.loads((image / "index.json").read_bytes())
    name = index["manifests"][0]["digest"].removeprefix("sha256:")
    folder = tmp_path / "dir"
    shutil.copytree(image / "blobs/sha256", folder)
    (folder / name).rename(folder / "manifest.json")
    (folder / "version").write_text("Directory Transport Version: 1.1\n")

    with pytest.raises(ImageError, match="as `dir:` makes it") as error:
        _choose(folder)

    assert "skopeo copy dir:" in error.value.hint


def test_links_within_an_image_are_followed(tmp_path: Path) -> None:
    image = layout(tmp_path / "image", BASE)
    (image / "index.json").rename(image / "other.json")
    (image / "index.json").symlink_to("other.json")
    (tmp_path / "named").symlink_to("image")
    assert _choose(tmp_path / "named") == _choose(image)


@pytest.mark.parametrize("case", ["holes", "a name"])
def test_an_archive_is_not_read_without_end(tmp_path: Path, case: str) -> None:
    image, _ = saved(tmp_path / "image.tar", BASE)
    if case == "holes":
        os.truncate(image, 1 << 40)
    else:
        with tarfile.open(image, "w", format=tarfile.GNU_FORMAT) as archive:
            archive.addfile(tarfile.TarInfo("n" * 5_000))
    began = time.process_time()
    with pytest.raises(ImageError, match=r"GiB|too long"):
        _choose(image)
    assert time.process_time() - began < 5


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="is no file"):
        _choose(tmp_path / "pipe")


def test_what_fills_the_disk_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = layout(tmp_path / "image", BASE)
    files = shelf(image)
    about = os.statvfs(tmp_path)
    full = os.statvfs_result([*about[:4], 0, *about[5:10]])
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(OSError, match="MiB"):
        image_unpacking.unpack(files, _choose(image), tmp_path / "root")
    assert os.listdir(tmp_path) == ["image"]
