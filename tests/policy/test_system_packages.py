"""System packages: what builds say they lack, and what hostile builds would like us to say."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import system_packages
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.system_packages import Missing, NeedKind, distribution, of_accesses, of_text

TABLE = tomllib.loads(
    Path(system_packages.__file__).with_name("system_packages.toml").read_text("utf-8")
)

DESCRIBED = {
    line.split()[0]: line.split()[1:]
    for line in Path(__file__).with_name("debian_descriptions.txt").read_text().splitlines()
    if not line.startswith("#")
}


def is_debian() -> bool:
    """Tell whether this machine has the packages of Debian itself."""
    release = Path("/etc/os-release")
    return release.exists() and "ID=debian" in release.read_text().splitlines()


@pytest.mark.parametrize(
    ("said", "kind", "name", "package"),
    [
        (
            "The system library `libudev` required by crate `libudev-sys` was not found.\n"
            "The file `libudev.pc` needs to be installed",
            *(NeedKind.DESCRIPTION, "libudev", "libudev-dev"),
        ),
        (
            "Package alsa was not found in the pkg-config search path.\n",
            *(NeedKind.DESCRIPTION, "alsa", "libasound2-dev"),
        ),
        (
            "Package 'dbus-1', required by 'virtual:world', not found",
            *(NeedKind.DESCRIPTION, "dbus-1", "libdbus-1-dev"),
        ),
        ("No package \u2018gtk+-3.0\u2019 found", NeedKind.DESCRIPTION, "gtk+-3.0", "libgtk-3-dev"),
        (
            "configure: error: Package requirements (libssl >= 3.0) were not met:",
            *(NeedKind.DESCRIPTION, "libssl", "libssl-dev"),
        ),
        (
            "wrapper.h:1:10: fatal error: 'openssl/ssl.h' file not found",
            *(NeedKind.HEADER, "openssl/ssl.h", "libssl-dev"),
        ),
        (
            "a.c:3:10: fatal error: zlib.h: No such file or directory",
            *(NeedKind.HEADER, "zlib.h", "zlib1g-dev"),
        ),
        (
            "/usr/bin/ld: cannot find -lxcb-shape: No such file or directory",
            *(NeedKind.LIBRARY, "xcb-shape", "libxcb-shape0-dev"),
        ),
        ("rust-lld: error: unable to find library -lpq", NeedKind.LIBRARY, "pq", "libpq-dev"),
        (
            "Unable to find libclang: \"couldn't find any valid shared libraries matching: ['x']",
            *(NeedKind.LIBRARY, "clang", "libclang-dev"),
        ),
        (
            "failed to execute command: No such file or directory (os error 2)\n"
            "is `cmake` not installed?",
            *(NeedKind.PROGRAM, "cmake", "cmake"),
        ),
        (
            "Could not find `protoc`. If `protoc` is installed, try setting the `PROTOC`",
            *(NeedKind.PROGRAM, "protoc", "protobuf-compiler"),
        ),
        ("autogen.sh: 9: autoreconf: not found", NeedKind.PROGRAM, "autoreconf", "automake"),
        (
            'failed to find tool "x86_64-linux-musl-gcc": No such file or directory',
            *(NeedKind.PROGRAM, "x86_64-linux-musl-gcc", "musl-tools"),
        ),
        (
            "The pkg-config command could not be found.",
            *(NeedKind.PROGRAM, "pkg-config", "pkg-config"),
        ),
        (
            "  Could NOT find CURL (missing: CURL_LIBRARY)",
            NeedKind.PACKAGE,
            "CURL",
            "libcurl4-openssl-dev",
        ),
    ],
)
def test_what_a_build_says_it_lacks_is_a_package_to_install(
    said: str, kind: NeedKind, name: str, package: str
) -> None:
    assert Missing(kind, name) in of_text(f"running: x\n{said}\n")
    assert package in Missing(kind, name).packages("debian")
    assert package in Missing(kind, name).sentence("debian")


@pytest.mark.parametrize(
    "said",
    [
        "error[E0432]: unresolved import: frobnicate not found",
        "fatal error: my/own.h: No such file or directory",
        "cannot find -lmine",
        "checking for libudev... yes",
        "warning: zlib.h is included",
        "running: pkg-config --libs openssl",
    ],
)
def test_other_words_are_no_reason_to_install_anything(said: str) -> None:
    assert of_text(said) == []


@given(st.text())
def test_nothing_of_a_hostile_text_but_a_name_is_told(text: str) -> None:
    said = f"Package {text} was not found in the pkg-config search path.\n{text}: not found"
    for missing in of_text(said):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+/-]*", missing.name)


def test_a_name_cannot_be_a_command() -> None:
    said = "Package x;rm -rf ~ was not found in the pkg-config search path."

    assert all(";" not in each.sentence("fedora") for each in of_text(said))
    unknown = Missing(NeedKind.DESCRIPTION, "frobnicate")
    assert "pkgconfig(frobnicate)" in unknown.sentence("fedora")
    assert "frobnicate`;" in unknown.sentence("debian")


def _access(kind: Kind, target: str, outcome: Outcome) -> Access:
    return Access(kind, target, outcome, 1, 0, 0, (("build script",),))


def test_a_description_that_is_nowhere_is_missing_and_one_that_is_somewhere_is_not() -> None:
    folders = ("/usr/lib/pkgconfig", "/usr/share/pkgconfig")
    looked = [
        _access(Kind.READ, f"{folder}/{name}.pc", Outcome.FAILED)
        for folder in folders
        for name in ("alsa", "zlib", "zlib-uninstalled")
    ]
    found = _access(Kind.READ, "/usr/local/lib/pkgconfig/zlib.pc", Outcome.DONE)

    assert of_accesses([*looked, found]) == [Missing(NeedKind.DESCRIPTION, "alsa")]
    refused = _access(Kind.READ, "/opt/x/alsa.pc", Outcome.REFUSED)
    assert of_accesses([*looked, found, refused]) == []


def test_a_program_that_is_nowhere_on_the_way_is_missing() -> None:
    tried = [
        _access(Kind.EXEC, f"{folder}/{name}", Outcome.FAILED)
        for folder in ("/usr/local/bin", "/usr/bin")
        for name in ("cmake", "protoc", "frobnicate")
    ]

    found = of_accesses([*tried, _access(Kind.EXEC, "protoc", Outcome.DONE)])
    assert found == [Missing(NeedKind.PROGRAM, "cmake")]


@pytest.mark.parametrize(
    ("release", "expected", "command"),
    [
        ("ID=debian\n", "debian", "apt install libudev-dev"),
        ("NAME=x\nID=ubuntu\nID_LIKE=debian\n", "debian", "apt install libudev-dev"),
        ('ID="linuxmint"\nID_LIKE="ubuntu debian"\n', "debian", "apt install libudev-dev"),
        ("ID=fedora\n", "fedora", "dnf install systemd-devel"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora", "dnf install systemd-devel"),
        ("ID=alpine\n", "alpine", "apk add eudev-dev"),
        ("ID=manjaro\nID_LIKE=arch\n", "arch", "pacman -S systemd-libs"),
        ("ID=nixos\n", "nix", "nix-shell -p systemd"),
        ("ID=mine\n", "", ""),
        ("", "", ""),
    ],
)
def test_the_machines_own_distribution_is_named(release: str, expected: str, command: str) -> None:
    assert distribution(release) == expected
    if expected:
        assert command in Missing(NeedKind.DESCRIPTION, "libudev").sentence(expected)


def test_what_the_same_packages_have_is_told_once() -> None:
    found = [Missing(NeedKind.HEADER, "zlib.h"), Missing(NeedKind.LIBRARY, "z")]

    assert system_packages.distinct(found) == found[:1]


def test_links_of_a_package_name_what_it_wants() -> None:
    assert [each.packages("debian") for each in system_packages.of_links("openssl")] == [
        ("libssl-dev",)
    ]
    assert system_packages.of_links("mine") == []


@pytest.mark.parametrize("name", TABLE["packages"])
def test_an_entry_names_packages_and_nothing_else(name: str) -> None:
    entry = TABLE["packages"][name]
    known = {*map(str, NeedKind), *TABLE["distributions"], "confirmed"}

    assert set(entry) - {"undescribed"} <= known
    assert {"debian", "fedora", "alpine", "arch", "nix"} <= set(entry)
    for where, names in entry.get("undescribed", {}).items():
        assert entry[where], "nothing is known to have it"
        assert set(names) <= set(entry["pkg-config"])
    for where in TABLE["distributions"]:
        for package in entry.get(where, ()):
            assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9@.+_-]*", package)


@pytest.mark.parametrize("name", TABLE["packages"])
def test_packages_of_debian_hold_what_they_are_named_for(name: str) -> None:
    entry = TABLE["packages"][name]
    undescribed = entry.get("undescribed", {}).get("debian", ())

    for wanted in entry.get("pkg-config", ()) if entry["debian"] else ():
        assert (wanted in undescribed) != any(
            package in DESCRIBED.get(wanted, ()) for package in entry["debian"]
        ), wanted


def test_debian_has_the_packages_where_its_index_is_at_hand() -> None:
    """Names alone: `apt-cache` knows those of the last `apt-get update`."""
    if not is_debian():
        pytest.skip("this is no Debian")
    told = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=False)
    names = set(told.stdout.split())
    if len(names) < 10_000:
        pytest.skip("`apt-get update` was never run here")

    wanted = {each for entry in TABLE["packages"].values() for each in entry["debian"]}
    assert sorted(wanted - names) == []


def test_what_pkg_config_is_not_told_of_is_not_promised() -> None:
    described = Missing(NeedKind.DESCRIPTION, "lua5.4").sentence("debian")
    undescribed = Missing(NeedKind.DESCRIPTION, "lua").sentence("debian")

    assert described.endswith(": `apt install liblua5.4-dev`")
    assert undescribed.endswith("has the library, but nothing that tells pkg-config of it")
    assert Missing(NeedKind.DESCRIPTION, "lua").sentence("arch").endswith(": `pacman -S lua`")
    none = Missing(NeedKind.DESCRIPTION, "appindicator3-0.1").sentence("debian")
    assert none.endswith("; install the package that has it")


@pytest.mark.parametrize("wanted", ["pkg-config", "libraries", "programs", "links"])
def test_no_two_entries_have_the_same_name(wanted: str) -> None:
    names = [name for entry in TABLE["packages"].values() for name in entry.get(wanted, ())]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", TABLE["packages"])
def test_what_is_confirmed_of_an_entry_is_in_it(name: str) -> None:
    entry = TABLE["packages"][name]
    confirmed = entry.get("confirmed", [])

    assert confirmed == [each for each in TABLE["distributions"] if each in confirmed]
    assert all(entry[each] for each in confirmed)
    assert "debian" not in confirmed  # Its names are tried in its index.
