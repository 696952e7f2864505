"""The sources of two versions: what a package file holds is either compared or missing."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.cargo import source_versions
from buildperm.cargo.metadata import Package
from buildperm.policy.snapshot import Inputs, Snapshot

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
NOT_HERE = "are not on this machine any more"
COMMIT = "0123456789" * 4


def package(folder: Path, version: str = "1.1.0", source: str = CRATES_IO) -> Package:
    return Package(
        id="x",
        name="x",
        version=version,
        source=source,
        manifest=folder / "Cargo.toml",
        links="",
        features=(),
        build_scripts=("build-script-build",),
        script_sources=(folder / "build.rs",),
        macro_source=None,
        build_dependencies=frozenset(),
        macro_dependencies=frozenset(),
        dev_dependencies=frozenset(),
        neighbours={},
    )


def snapshot(version: str, checksum: str = "", source: str = CRATES_IO) -> Snapshot:
    return Snapshot("x", version, source, Inputs(checksum, {}, (), "0" * 64), {}, ())


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Return the folder of the present version, in a registry like Cargo's."""
    folder = tmp_path / "registry/src/index/x-1.1.0"
    folder.mkdir(parents=True)
    (tmp_path / "registry/cache/index").mkdir(parents=True)
    (folder / "build.rs").write_text("fn main() { new(); }")
    return folder


def packed(folder: Path, content: bytes) -> str:
    """Put a package file of version 1.0.0 into the cache; return its checksum."""
    raw = gzip.compress(content, mtime=0)
    (folder.parents[2] / "cache/index/x-1.0.0.crate").write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def archive(headers: Mapping[str, str] | None = None, empty: int = 0) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made:
        for number in range(empty):
            made.addfile(tarfile.TarInfo(f"x-1.0.0/{number}"))
        for name, content in (("build.rs", b"fn main() {}"), ("src/lib.rs", b"")):
            entry = tarfile.TarInfo(f"x-1.0.0/{name}")
            entry.size = len(content)
            if name == "src/lib.rs" and headers:
                entry.pax_headers = dict(headers)
            made.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def test_an_older_version_is_read_from_its_package_file(unpacked: Path) -> None:
    known = snapshot("1.0.0", packed(unpacked, archive()))

    (change,), missing = source_versions.compare(known, package(unpacked))

    assert (change.name, missing) == ("build.rs", "")
    assert (change.before, change.after) == (b"fn main() {}", b"fn main() { new(); }")


@pytest.mark.parametrize(
    "content",
    [
        archive({"GNU.sparse.map": "x"}),
        archive({"size": "9" * 30}),
        archive({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
        archive()[:700],
        b"\xff" * 4096,
        b"",
        archive(empty=source_versions._MEMBERS_MOST + 1),
        bytes(source_versions._ARCHIVE_MOST + 512),
    ],
    ids=["sparse", "size", "sparse 1.0", "cut", "no archive", "empty", "many", "long"],
)
@pytest.mark.quick(2)
def test_a_package_file_with_odd_headers_is_not_there(unpacked: Path, content: bytes) -> None:
    found, missing = source_versions.compare(
        snapshot("1.0.0", packed(unpacked, content)), package(unpacked)
    )

    assert found == () or all(change.before is None for change in found)
    assert NOT_HERE in missing or found


def test_a_member_of_negative_size_is_not_there(unpacked: Path) -> None:
    known = snapshot("1.0.0", packed(unpacked, archive({"size": "-1"})))

    source_versions.compare(known, package(unpacked))


def test_names_without_end_are_looked_up_in_no_time(unpacked: Path) -> None:
    names = "".join(f'include!("{number:x}");' for number in range(45_000))
    for number in range(8):
        (unpacked / f"m{number}.rs").write_text(f"/*{names}*/")
    modules = "".join(f"mod m{number};\n" for number in range(8))
    (unpacked / "build.rs").write_text(f"{modules}fn main() {{}}\n/*{names}*/")
    began = time.process_time()  # Others may be busy.

    found, _ = source_versions.compare(None, package(unpacked))

    assert time.process_time() - began < 5
    assert "build.rs" in [change.name for change in found]


def test_a_few_missing_names_hide_no_module(unpacked: Path) -> None:
    (unpacked / "build.rs").write_text('include!("gone"); mod gone;\nmod there;\nfn main() {}')
    (unpacked / "there.rs").write_text("mod below;")
    (unpacked / "there").mkdir()
    (unpacked / "there/below.rs").write_text("")

    found, _ = source_versions.compare(None, package(unpacked))

    assert {change.name for change in found} == {"build.rs", "there.rs", "there/below.rs"}


@pytest.mark.parametrize("version", ["1.0.0/../../..", "/..", "1.0.0\0", "../x"])
def test_a_version_that_is_a_path_leads_nowhere(unpacked: Path, version: str) -> None:
    assert NOT_HERE in source_versions.compare(snapshot(version), package(unpacked))[1]


@pytest.mark.parametrize(("commit", "is_there"), [(COMMIT, True), ("..", False), (".", False)])
def test_a_commit_that_is_a_path_leads_nowhere(tmp_path: Path, commit: str, is_there: bool) -> None:
    checkouts = tmp_path / "git/checkouts/x-1"
    for name in ("fedcba9", COMMIT[:7]):
        (checkouts / name).mkdir(parents=True)
        (checkouts / name / "build.rs").write_text(name)
        (checkouts / name / "Cargo.toml").write_text("")
    (checkouts / "Cargo.toml").write_text("")
    (checkouts.parent / "Cargo.toml").write_text("")
    now = package(checkouts / "fedcba9", source=f"git+https://x/y#fedcba9{'0' * 33}")
    known = replace(snapshot("1.0.0"), source=f"git+https://x/y#{commit}")

    found, missing = source_versions.compare(known, now)

    assert bool(found) == is_there
    assert (NOT_HERE in missing) == (not is_there)


def test_the_sources_of_macros_are_compared_from_their_main_file_on(unpacked: Path) -> None:
    (unpacked / "src").mkdir()
    (unpacked / "src/lib.rs").write_text("mod parse; // new")
    (unpacked / "src/parse.rs").write_text("fn new() {}")
    older = unpacked.with_name("x-1.0.0")
    (older / "src").mkdir(parents=True)
    (older / ".cargo-ok").touch()
    (older / "Cargo.toml").write_text("[lib]\nproc-macro = true\n")
    (older / "src/lib.rs").write_text("mod parse;")
    (older / "src/parse.rs").write_text("fn new() {}")
    now = replace(
        package(unpacked), build_scripts=(), script_sources=(), macro_source=unpacked / "src/lib.rs"
    )

    changes, missing = source_versions.compare(snapshot("1.0.0"), now)

    assert not missing
    assert [(each.name, each.before, each.after) for each in changes] == [
        ("src/lib.rs", b"mod parse;", b"mod parse; // new")
    ]
