from pathlib import Path

import pytest

from buildperm.cargo import lock
from buildperm.errors import BuildpermError

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def written(folder: Path, text: str) -> Path:
    path = folder / "Cargo.lock"
    path.write_text(text)
    return path


def entry(name: str, rest: str = "") -> str:
    return f'[[package]]\nname = "{name}"\nversion = "1.0.0"\n{rest}\n'


@pytest.mark.parametrize("version", [3, 4])
def test_the_identity_is_name_version_source_and_checksum(tmp_path: Path, version: int) -> None:
    registry = entry("a", f'source = "{CRATES_IO}"\nchecksum = "abc"')
    path = written(tmp_path, f"version = {version}\n{registry}{entry('b')}")

    read = lock.read(path)

    assert lock.PackageIdentity("a", "1.0.0", CRATES_IO, "abc") in read.packages
    assert read.checksum("a", "1.0.0", CRATES_IO) == "abc"
    assert read.checksum("b", "1.0.0", "") == ""


def test_a_lock_file_of_version_2_has_no_number(tmp_path: Path) -> None:
    registry = entry("a", f'source = "{CRATES_IO}"\nchecksum = "abc"')
    needing = entry("b", 'dependencies = ["a"]')

    read = lock.read(written(tmp_path, registry + needing))

    found = lock.PackageIdentity("a", "1.0.0", CRATES_IO, "abc")
    assert read.requirements[lock.PackageIdentity("b", "1.0.0", "", "")] == (found,)


@pytest.mark.parametrize("is_root", [True, False])
def test_a_lock_file_of_version_1_has_its_checksums_apart(tmp_path: Path, is_root: bool) -> None:
    git = f"git+https://host.example/c?tag=v1#{'0' * 40}"
    needed = ", ".join(f'"{each}"' for each in (f"a 1.0.0 ({CRATES_IO})", f"c 1.0.0 ({git})"))
    needing = entry("b", f"dependencies = [{needed}]")
    text = (
        (needing.replace("[[package]]", "[root]") if is_root else needing)
        + entry("a", f'source = "{CRATES_IO}"')
        + entry("c", f'source = "{git}"')
        + f'[metadata]\n"checksum a 1.0.0 ({CRATES_IO})" = "abc"\n'
        + f'"checksum c 1.0.0 ({git})" = "<none>"\n'
    )

    read = lock.read(written(tmp_path, text))

    assert read.checksum("a", "1.0.0", CRATES_IO) == "abc"
    assert read.requirements[lock.PackageIdentity("b", "1.0.0", "", "")] == (
        lock.PackageIdentity("a", "1.0.0", CRATES_IO, "abc"),
        lock.PackageIdentity("c", "1.0.0", git, ""),
    )


def test_a_registry_package_without_a_checksum_is_an_error(tmp_path: Path) -> None:
    read = lock.read(written(tmp_path, f"version = 4\n{entry('a')}"))

    with pytest.raises(BuildpermError, match=r"no checksum for `a 1\.0\.0`"):
        read.checksum("a", "1.0.0", CRATES_IO)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 4\n[[package", "is broken"),
        ("version = 4\npackage = 3\n", "is broken"),
        ('version = 4\n[[package]]\nname = "a"\n', "is broken: a package without 'version'"),
        ("version = 9\n", "of version 9"),
        ("metadata = 3\n" + entry("a"), "is broken"),
        ("root = 3\n" + entry("a"), "is broken"),
    ],
)
def test_a_broken_or_unknown_file_is_one_clear_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BuildpermError, match=said):
        lock.read(written(tmp_path, text))


@pytest.mark.parametrize(
    ("branch", "plain"),
    [
        ("branch=feature%2Fx", "branch=feature/x"),
        ("branch=feature/x", "branch=feature/x"),
        ("branch=a%2Bb", "branch=a+b"),
        ("branch=a%23b", "branch=a%23b"),
        ("branch=a#b", "branch=a%23b"),
        ("branch=a%252Fb", "branch=a/b"),
    ],
)
def test_a_branch_is_the_same_however_it_is_written(
    tmp_path: Path, branch: str, plain: str
) -> None:
    source, commit = f"git+https://example.org/a%20b?{branch}", "0123456789" * 4
    text = entry("a", f'source = "{source}#{commit}"')
    needed = f'dependencies = ["a 1.0.0 ({source})"]'

    read = lock.read(written(tmp_path, f"version = 4\n{text}{entry('b', needed)}"))

    wanted = f"git+https://example.org/a%20b?{plain}#{commit}"
    found = read.find("a", "1.0.0", wanted)
    assert lock.comparable_source(f"{source}#{commit}") == lock.comparable_source(wanted) == wanted
    assert found is not None
    assert read.requirements[lock.PackageIdentity("b", "1.0.0", "", "")] == (found,)


def test_bytes_that_are_no_text_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "Cargo.lock").write_bytes(b"version = 4\n# \xff\n")

    with pytest.raises(BuildpermError, match="is broken"):
        lock.read(tmp_path / "Cargo.lock")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BuildpermError, match="cargo generate-lockfile"):
        lock.read(tmp_path / "Cargo.lock")
