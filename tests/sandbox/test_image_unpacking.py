"""Images become roots: whatever a layer says stays in the folder, and nothing is half done."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import image_choice, image_unpacking
from buildperm.sandbox.image_files import ImageError, shelf
from buildperm.sandbox.image_tree import ImageTree
from buildperm.sandbox.image_unpacking import UnpackedImage
from buildperm.sandbox.tape_archive import NoArchiveError, TapeArchive, TapeMember
from tests.made_image import BASE, HERE, MadeImage, entry, layer, layout, link, packed, saved

_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(HERE, HERE)


def _unpack(image: Path, folder: Path, wanted: str = "", digest: str = "") -> UnpackedImage:
    files = shelf(image)
    chosen = image_choice.choose(files, _MACHINE, wanted)
    return image_unpacking.unpack(files, chosen, folder, digest)


def _seen(folder: Path) -> dict[str, str]:
    """Return what is there: contents of files, what links say."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[name] = path.read_text()
    return found


_BASE = {"usr/bin/tool": "#!/bin/sh\n", "etc/os-release": "NAME=image\n", "bin": "-> usr/bin"}


def test_each_form_of_an_image_makes_the_same_root(tmp_path: Path) -> None:
    kept, _ = saved(tmp_path / "saved.tar", BASE)
    forms = [
        layout(tmp_path / "zipped", BASE),
        layout(tmp_path / "plain", BASE, is_gzip=False),
        packed(layout(tmp_path / "archive", BASE)),
        kept,
    ]
    made = [_unpack(form, tmp_path / f"root{n}") for n, form in enumerate(forms)]
    assert len({each.digest for each in made}) == 1
    assert _seen(tmp_path / "root0") == _BASE
    modes = [(tmp_path / "root0" / name).stat().st_mode for name in ("usr/bin/tool", "etc")]
    assert list(map(stat.S_IMODE, modes)) == [0o755, 0o755]
    assert stat.S_IMODE((tmp_path / "root0/etc/os-release").stat().st_mode) == 0o644


_LAYERS: dict[str, tuple[bytes, dict[str, str | None]]] = {
    "replaced": (layer(entry("etc/os-release", "new")), {"etc/os-release": "new"}),
    "whiteout": (layer(entry("etc/.wh.os-release", "")), {"etc/os-release": None}),
    "whiteout of a folder": (layer(entry("usr/.wh.bin", "")), {"usr/bin/tool": None}),
    "opaque, which its own layer outlives": (
        layer(entry("usr/bin/new", "n"), entry("usr/bin/.wh..wh..opq", "")),
        {"usr/bin/tool": None, "usr/bin/new": "n"},
    ),
    "whiteout of what its own layer has": (
        layer(entry("etc/os-release", "new"), entry("etc/.wh.os-release", "")),
        {"etc/os-release": "new"},
    ),
    "whiteout of nothing": (layer(entry("gone/.wh.x", ""), entry("etc/.wh.x", "")), {}),
    "another name": (
        layer(link("usr/bin/other", "usr/bin/tool", is_hard=True)),
        {"usr/bin/other": "#!/bin/sh\n"},
    ),
    "another name, and then an opaque folder": (
        layer(
            link("usr/bin/other", "usr/bin/tool", is_hard=True),
            entry("usr/bin/.wh..wh..opq", ""),
        ),
        {"usr/bin/tool": None, "usr/bin/other": "#!/bin/sh\n"},
    ),
    "another name, and then a whiteout of it and of the first": (
        layer(
            link("usr/bin/other", "usr/bin/tool", is_hard=True),
            entry("usr/bin/.wh.other", ""),
            entry("usr/bin/.wh.tool", ""),
        ),
        {"usr/bin/tool": None, "usr/bin/other": "#!/bin/sh\n"},
    ),
    "another name of a link": (
        layer(link("usr/also", "bin", is_hard=True)),
        {"usr/also": "-> usr/bin"},
    ),
    "a name of another name": (
        layer(
            link("usr/one", "usr/bin/tool", is_hard=True),
            link("usr/two", "usr/one", is_hard=True),
            entry("usr/one", "new"),
        ),
        {"usr/one": "new", "usr/two": "#!/bin/sh\n"},
    ),
    "opaque folders in one another, from within": (
        layer(
            entry("usr/bin/.wh..wh..opq", ""),
            entry("usr/bin/new", "n"),
            entry("usr/.wh..wh..opq", ""),
            entry("usr/.wh..wh..opq", ""),
        ),
        {"usr/bin/tool": None, "usr/bin/new": "n"},
    ),
    "permissions as large as GNU tar can write": (
        layer(entry("usr/made", "m", mode=(1 << 40) | 0o644)),
        {"usr/made": "m"},
    ),
    "through a link": (layer(entry("bin/more", "m")), {"usr/bin/more": "m"}),
    "through a link that leads up": (
        layer(link("usr/up", "../../../../etc"), entry("usr/up/made", "m")),
        {"usr/up": "-> ../../../../etc", "etc/made": "m"},
    ),
    "an absolute name": (layer(entry("/usr/made", "m")), {"usr/made": "m"}),
    "a folder instead of a link": (layer(entry("bin"), entry("bin/x", "x")), {"bin/x": "x"}),
    "what no script sees": (layer(entry("home/x", "x"), entry("var/x", "x")), {}),
    "devices and pipes": (
        layer(
            entry("usr/null", "", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
            entry("usr/pipe", "", type=tarfile.FIFOTYPE),
        ),
        {},
    ),
    "a long name": (layer(entry("usr/" + "n" * 200, "long")), {"usr/" + "n" * 200: "long"}),
}


@pytest.mark.parametrize("case", _LAYERS)
def test_layers_are_applied_as_the_specification_says(tmp_path: Path, case: str) -> None:
    added, changed = _LAYERS[case]
    _unpack(layout(tmp_path / "image", BASE, added), tmp_path / "root")
    wanted = {name: text for name, text in (_BASE | changed).items() if text is not None}
    if case == "a folder instead of a link":
        del wanted["bin"]
    assert _seen(tmp_path / "root") == wanted


_HOSTILE = {
    "up": (layer(entry("usr/../../evil", "x")), "leads out"),
    "a link to up": (layer(link("usr/x", "../../etc/passwd", is_hard=True)), "leads out"),
    "a link to what is outside": (layer(link("usr/x", "/home/x", is_hard=True)), "no file of it"),
    "a file as a folder": (layer(entry("usr/bin/tool/x", "x")), "as a file and as a folder"),
    "links in a circle": (
        layer(link("usr/a", "b"), link("usr/b", "a"), entry("usr/a/x", "x")),
        "in a circle",
    ),
    "a name too long": (layer(entry("usr/" + "n" * 256, "x")), "too long"),
    "folders too deep": (layer(entry("usr/" + "a/" * 2_000 + "x", "x")), "in one another"),
    "folders too deep, by links": (
        layer(
            *(link(f"usr/l{n}", f"l{n - 1}/" + "a/" * 60 if n else "bin") for n in range(9)),
            *(entry(f"usr/l{n}/x", "x") for n in range(9)),
        ),
        "in one another",
    ),
    "a path too long": (
        layer(
            link("usr/l", "/".join(["n" * 250] * 15)),
            entry("usr/l/x"),
            link("usr/m", "l/" + "/".join(["n" * 250] * 10)),
            entry("usr/m/x", "x"),
        ),
        "path that is too long",
    ),
    "a link that says nothing": (layer(link("usr/x", "")), "no system can make"),
    "a link that says too much": (layer(link("usr/x", "x/" * 3_000)), "no system can make"),
    "a whiteout of its folder": (layer(entry("usr/.wh...", "")), "without a name"),
    "a damaged header": (BASE[:512] + b"x" * 512 + BASE[1024:], "damaged"),
    "half of it": (BASE[:-10_000], "too early"),
}


@pytest.mark.parametrize("case", _HOSTILE)
def test_a_layer_that_cannot_be_is_refused_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    added, why = _HOSTILE[case]
    if case == "half of it":
        added = layer(entry("usr/x", "x" * 5_000))[:3_000]
    image = layout(tmp_path / "image", BASE, added)
    with pytest.raises(ImageError, match=why):
        _unpack(image, tmp_path / "root")
    assert os.listdir(tmp_path) == ["image"]


def test_a_link_as_parent_leads_nowhere_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    added = layer(link("usr/out", str(outside)), entry("usr/out/evil", "x"))
    with pytest.raises(CannotEnforceError, match="leads out of it"):
        _unpack(layout(tmp_path / "image", BASE, added), tmp_path / "root")
    assert sorted(os.listdir(tmp_path)) == ["image", "outside"]
    assert os.listdir(outside) == []


def _damage(image: Path, number: int) -> None:
    """Change a byte of one of the blobs, the longest first."""
    blobs = sorted((image / "blobs/sha256").iterdir(), key=lambda each: -each.stat().st_size)
    raw = bytearray(blobs[number].read_bytes())
    raw[20] ^= 1
    blobs[number].write_bytes(raw)


@pytest.mark.parametrize("number", range(3))
def test_whatever_is_damaged_is_not_unpacked(tmp_path: Path, number: int) -> None:
    image = layout(tmp_path / "image", BASE, is_gzip=False)
    _damage(image, number)
    with pytest.raises(ImageError, match="damaged"):
        _unpack(image, tmp_path / "root")
    assert os.listdir(tmp_path) == ["image"]


def test_another_content_than_the_configuration_names_is_not_unpacked(tmp_path: Path) -> None:
    path, digest = saved(tmp_path / "saved.tar", BASE)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"#!/bin/sh\n", b"#!/bin/no\n"))
    with pytest.raises(ImageError, match="its content is"):
        _unpack(path, tmp_path / "root")
    path.write_bytes(raw)
    assert _unpack(path, tmp_path / "root", digest).files == 6


def test_of_several_platforms_this_machine_s_is_taken(tmp_path: Path) -> None:
    made = MadeImage(tmp_path / "image")
    other = {"os": "linux", "architecture": "s390x"}
    here = {"os": "linux", "architecture": HERE}
    absent = {**made.manifest(b"", platform=other), "digest": "sha256:" + "0" * 64}
    said = made.put(b"{}", "manifest.v1+json", platform=dict.fromkeys(here, "unknown"))
    mine = made.manifest(BASE, platform=here)
    index = {"manifests": [absent, said, mine]}
    above = made.put(json.dumps(index).encode(), "index.v1+json")
    image = made.finish(above)
    chosen = image_choice.choose(shelf(image), _MACHINE)
    assert chosen.names[:2] == (mine["digest"], above["digest"])
    _unpack(image, tmp_path / "root", str(above["digest"]))
    assert _seen(tmp_path / "root") == _BASE
    with pytest.raises(ImageError, match=r"is for linux/s390x, .* and this machine is linux/odd"):
        image_choice.choose(shelf(image), "odd")


def test_of_several_images_one_has_to_be_named(tmp_path: Path) -> None:
    made = MadeImage(tmp_path / "image")
    tag = "org.opencontainers.image.ref.name"
    one = made.manifest(BASE, annotations={tag: "one"})
    two = made.manifest(BASE, BASE, annotations={tag: "two"})
    image = made.finish(one, two)
    with pytest.raises(ImageError, match="several images") as told:
        image_choice.choose(shelf(image), _MACHINE)
    assert "--image" in told.value.hint
    for wanted in ("two", str(two["digest"])):
        assert image_choice.choose(shelf(image), _MACHINE, wanted).digest == two["digest"]
    with pytest.raises(ImageError, match="does not have the image three"):
        image_choice.choose(shelf(image), _MACHINE, "three")


def test_zstd_is_named_with_a_way_around(tmp_path: Path) -> None:
    made = MadeImage(tmp_path / "image")
    described = made.manifest(b"\x28\xb5\x2f\xfd" + bytes(600), is_gzip=False)
    with pytest.raises(ImageError, match="zstd") as told:
        _unpack(made.finish(described), tmp_path / "root")
    assert "skopeo copy" in told.value.hint


def test_what_is_too_large_ends_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = layout(tmp_path / "image", BASE, layer(entry("usr/zeros", "\0" * 3_000_000)))
    monkeypatch.setattr("buildperm.sandbox.image_unpacking._LARGEST", 2_000_000)
    with pytest.raises(ImageError, match="GiB"):
        _unpack(image, tmp_path / "root")
    assert os.listdir(tmp_path) == ["image"]
    monkeypatch.setattr("buildperm.sandbox.image_unpacking._LARGEST", 4_000_000)
    assert _unpack(image, tmp_path / "root").files == 7


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


_NO_IMAGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda image: (image / "index.json").unlink(),
    "no JSON": lambda image: (image / "index.json").write_text("{"),
    "deep JSON": lambda image: (image / "index.json").write_text("[" * 100_000),
    "a list": lambda image: (image / "index.json").write_text("[]"),
    "numbers": lambda image: (image / "index.json").write_text('{"manifests": [1]}'),
    "a path as a digest": lambda image: (image / "index.json").write_text(
        '{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}'
    ),
    "a pipe": lambda image: _to_pipe(image / "index.json"),
    "huge": lambda image: os.truncate(image / "index.json", 1 << 40),
}


@pytest.mark.parametrize("case", _NO_IMAGES)
def test_what_is_no_image_is_said(tmp_path: Path, case: str) -> None:
    image = layout(tmp_path / "image", BASE)
    _NO_IMAGES[case](image)
    with pytest.raises(ImageError):
        _unpack(image, tmp_path / "root")


def test_another_root_than_wanted_leaves_nothing(tmp_path: Path) -> None:
    image = layout(tmp_path / "image", BASE)
    with pytest.raises(CannotEnforceError, match="unpacks to sha256:"):
        _unpack(image, tmp_path / "root", digest="sha256:" + "0" * 64)
    assert os.listdir(tmp_path) == ["image"]
    with pytest.raises(CannotEnforceError, match="`etc`") as told:
        _unpack(layout(tmp_path / "empty", layer(entry("usr"))), tmp_path / "root")
    assert "unpacking" not in str(told.value)


def test_what_is_said_again_and_again_costs_little() -> None:
    """Of processor time: a fraction of a second for what took a minute."""
    tree = ImageTree()
    tree.add(0, 0, _member(b"usr/" + b"a/" * 50 + b"x"))
    for number in range(20_000):
        tree.add(0, number, _member(b"usr/%d" % number))
    records = b"".join(b"8 k%d=\n" % n for n in range(100, 1_000)) * 140
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XGLTYPE, len(records)
    raw = header.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)
    began = time.process_time()
    for number in range(5_000):
        tree.add(0, number, _member(b"usr/" + b"a/" * (50 - number % 51) + b".wh..wh..opq"))
    assert not list(TapeArchive(io.BytesIO(raw)).members())
    assert time.process_time() - began < 5


def _member(name: bytes) -> TapeMember:
    return TapeMember(name, stat.S_IFREG, 0o644, 0, 0, b"")


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120)


@given(
    st.lists(st.tuples(_NAMES, st.binary(max_size=1_500)), max_size=5),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_an_archive_is_read_as_python_reads_it(files: list[tuple[str, bytes]], form: int) -> None:
    told = io.BytesIO()
    with tarfile.open(fileobj=told, mode="w", format=form) as archive:
        for name, data in files:
            made = tarfile.TarInfo(name)
            made.size = len(data)
            archive.addfile(made, io.BytesIO(data))
    told.seek(0)
    archived = TapeArchive(told)
    found = [(os.fsdecode(each.name), b"".join(archived.content())) for each in archived.members()]
    assert found == files


@given(st.binary(max_size=2_000), st.integers(0, 2_000))
def test_damage_is_an_error_of_its_own(noise: bytes, where: int) -> None:
    raw = BASE[:where] + noise + BASE[where + len(noise) :]
    try:
        for _ in TapeArchive(io.BytesIO(raw)).members():
            pass
    except NoArchiveError:
        pass
