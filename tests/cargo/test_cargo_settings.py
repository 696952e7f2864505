from __future__ import annotations

import pytest

from buildperm.cargo.cargo_settings import of_cargo
from buildperm.rules.secret_values import LOGIN, TOKEN

PASSWORD = "https://me:hunter2hunter2@host/"


@pytest.mark.parametrize(
    "content",
    [
        "",
        '[build]\nrustflags = ["-Ctarget-cpu=native"]\ntarget-dir = "../target"\n',
        '[target.x86_64-unknown-linux-gnu]\nlinker = "clang"\n[profile.dev]\nopt-level = 1\n',
        '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "vendor"\n',
        '[registries.ours]\nindex = "sparse+https://host/index/"\n[net]\noffline = true\n',
        '[env]\nRUST_TEST_THREADS = "1"\nDATA = { value = "data", relative = true }\n',
        '[patch.crates-io]\none = { path = "one" }\n[alias]\nb = "build --release"\n',
        '[patch."ssh://git@host/a"]\none = { git = "ssh://git@host/b", branch = "main" }\n',
        '[target.arm]\nrunner = ["qemu-arm", "-L", "/usr/arm"]\nlinker = "arm-gcc"\n',
        '[target.x.z]\nrustc-link-lib = ["z"]\nrustc-env = { LANG = "C" }\n',
        '[profile.dev.package."*"]\nopt-level = 2\n[profile.x]\ninherits = "dev"\n',
        '[profile.release.build-override]\nopt-level = 0\n[host]\nlinker = "cc"\n',
        '[http]\nproxy = "http://proxy.example:3128"\n[term]\ncolor = "always"\n',
        '[registries.o]\nindex = "sparse+https://h.example/registry-2-of-ours/index/"\n',
    ],
)
def test_ordinary_settings_of_cargo_are_harmless(content: str) -> None:
    assert of_cargo(content.encode()) == (True, "")


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ('[registry]\ntoken = "abc"\n', TOKEN),
        ('[registries.ours]\nindex = "https://host/"\ntoken = "abc"\n', TOKEN),
        (f'[http]\nproxy = "{PASSWORD}"\n', LOGIN),
        (f'[source.ours]\nregistry = "{PASSWORD}"\n', LOGIN),
        ('[env]\nAPI = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"\n', TOKEN),
        ('[env]\nAPI_TOKEN = "short"\n', ""),
        ('[env]\nANYTHING = "a text"\n', ""),
        ('include = "other.toml"\n', ""),
        ('[registries.ours]\ncredential-provider = ["tool", "--with", "words"]\n', ""),
        ('[credential-alias]\nours = ["tool"]\n', ""),
        ('[alias]\np = ["publish", "--token", "abcdef12345"]\n', TOKEN),
        ("[alias]\na = \"build --config registries.x.token='abc'\"\n", ""),
        ('[target.x]\nrunner = ["sshpass", "-p", "opaque", "ssh"]\n', ""),
        ('[target.x]\nrunner = "curl --user me:opaque ftp://host"\n', ""),
        ('[target.x]\npassword = "ab"\n', ""),
        ('[target.x.z]\nrustc-env = { ANY = "a text" }\n', ""),
        ('[target.x.z]\nanything = "a text"\n', ""),
        ('[http]\nproxy = "me:opaque@proxy:8080"\n', ""),
        ('[http]\nproxy = "http://opaque@proxy:8080"\n', ""),
        ('[registries.ours]\nindex = "https://opaque@host/git"\n', ""),
        ('[registries.ours]\nindex = "https://host/git?key=opaque"\n', ""),
        ('[source.ours]\nregistry = "sparse+https://host/AbC123def456GhI7/cargo/"\n', ""),
        ('[patch."https://opaque@host/x"]\na = { path = "x" }\n', ""),
        ('[profile.default]\nregion = "here"\n', ""),
        ('[profile.default]\nstrip = { secrets = ["opaque"] }\n', ""),
        ('[unstable]\nkeys = { api-key = "ab" }\n', ""),
        ('[term]\nanything = "opaque"\n', ""),
        ("# https://opaque@host/\n", ""),
        ("build = 1\n", ""),
        ("[broken\n", ""),
    ],
)
def test_other_settings_of_cargo_are_not(content: str, seen: str) -> None:
    assert of_cargo(content.encode()) == (False, seen)


def test_settings_of_cargo_that_nest_too_deeply_are_not_harmless() -> None:
    assert of_cargo(b"[patch]\n" + b"a." * 3_000 + b"b = 1\n") == (False, "")
