"""Secrets in the values of variables that every build script is given by their names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench import Bench, Ended, compile_c
from tests.command import LEARN, buildperm, environment, member
from tests.programs import program_text

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARK = "sesame7sesame"  # Part of each secret.
_KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{_MARK}\n-----END OPENSSH PRIVATE KEY-----\n"
_TOKEN = f"ghp_{_MARK}0123456789abcdef0123456789"
SECRETS = {
    "TARGET_CFLAGS": f"-O2 -DFROM=https://user:{_MARK}@example.com",
    "CARGO_BUILD_RUSTFLAGS": _KEY,
    "LIBZ_SYS_MIRROR": f"https://{_TOKEN}@github.com/z/z",
    "OPENSSL_MIRROR": f"postgres://user:{_MARK}@db/x",
    "CFLAGS": f"-DAUTH={_TOKEN}",
    "PKG_CONFIG_PATH": f"/usr/lib/pkgconfig:https://user:{_MARK}@example.com/pc",
    "CMAKE_ARGS": _KEY.replace("\n", "\\n"),
    "RUSTFLAGS": f'--cfg password="{_MARK}"',
    "NIX_LDFLAGS": f"Authorization: Bearer {_MARK}",
    "HOST_CC": f"cc --token={_MARK}",
    "DEP_OTHER_FROM": f"https://user:{_MARK}@example.com",
    "CARGO_PKG_NOT_OF_CARGO": f"https://user:{_MARK}@example.com",
}
HONEST = {
    "CXXFLAGS": "-O2 -DTOKEN=3 -DPASSWORD_HASH=sha256",
    "TARGET_CC": "clang --target=x86_64-unknown-linux-gnu",
    "CARGO_PKG_REPOSITORY": "https://user:password@example.com/chosen-by-the-crate",
    "CARGO_PKG_AUTHORS": "Me <me@example.com>:You <you@example.com>",
    "OPENSSL_SRC": "https://github.com/openssl/openssl",
    "LIBGIT2_SYS_URL": "ssh://git@github.com/libgit2/libgit2",
    "CARGO_BUILD_REV": "0123456789abcdef0123456789abcdef01234567",
    "CARGO_ENCODED_RUSTFLAGS": "--remap-path-prefix=/a/secret=b",
}


def _printing(bench: Bench, names: Iterable[str]) -> Path:
    """Install a script that asks for `names`, and prints its whole environment."""
    listed = ", ".join(json.dumps(name) for name in names)
    program = compile_c(program_text("prints_environment.c", NAMES=listed), bench.top / "printing")
    return bench.install(program)


def _given(ended: Ended) -> dict[str, str]:
    lines = ended.stdout.decode().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _stored(bench: Bench) -> bytes:
    files = (path for path in bench.target.rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in files)


def test_no_value_that_holds_a_secret_reaches_a_script(bench: Bench) -> None:
    bench.environment = SECRETS | HONEST
    placed = _printing(bench, SECRETS)

    learnt = bench.run(placed, "learning")

    assert learnt.status == 0
    assert _MARK.encode() not in learnt.stdout + learnt.stderr + _stored(bench)
    assert HONEST.items() <= _given(learnt).items()
    asked = {event["name"]: event for event in learnt.of("environment")}
    assert set(SECRETS) <= set(asked)
    for name in SECRETS:
        assert asked[name]["withheld"] is True
        assert asked[name]["secret"].startswith("its value holds a")

    bench.grants = {"env": ["*", "CFLAGS*", "CFLAGS"]}  # Not by hand, with a reason.
    enforced = bench.run(placed)

    assert enforced.status == 1
    assert enforced.stdout == b""
    assert b"CFLAGS (its value holds a token)" in enforced.stderr
    assert _MARK.encode() not in enforced.stderr + _stored(bench)

    bench.secrets = ["CFLAGS"]
    bench.deny = {"env": [name for name in SECRETS if name != "CFLAGS"]}
    granted = bench.run(placed)

    assert granted.status == 0
    assert _given(granted)["CFLAGS"] == SECRETS["CFLAGS"]
    assert not set(bench.deny["env"]) & set(_given(granted))


def test_cargo_is_not_asked_to_note_down_a_value_that_holds_a_secret(own_bench: Bench) -> None:
    # It keeps the values of these in its target directory.
    own_bench.environment = SECRETS | HONEST
    lines = [f"cargo:rerun-if-env-changed={name}" for name in ("CFLAGS", "CXXFLAGS")]
    placed = own_bench.script("\n".join(f"print({line!r})" for line in lines))

    learnt = own_bench.run(placed, "learning")
    own_bench.grants = {"directives": ["rerun-if-env-changed=*"], "env": ["CFLAGS"]}
    enforced = own_bench.run(placed)
    own_bench.grants = {"directives": ["rerun-if-env-changed=CFLAGS"]}
    granted = own_bench.run(placed)

    assert learnt.stdout == f"{lines[1]}\n".encode()
    assert enforced.status == 1
    assert b"rerun-if-env-changed=CFLAGS (refused)" in enforced.stderr
    assert granted.stdout == "".join(f"{line}\n" for line in lines).encode()


def test_makes_definitions_stay_with_make(own_bench: Bench) -> None:
    reading, writing = os.pipe()
    server = f"-j2 --jobserver-auth={reading},{writing}"
    own_bench.environment = {
        "MAKEFLAGS": f"kw {server} -- TOKEN={_MARK} X=a\\ {_MARK}",
        "MFLAGS": f"-kw {server} TOKEN={_MARK}",
        "CARGO_MAKEFLAGS": server,
        "GNUMAKEFLAGS": f"--eval=TOKEN={_MARK}",
        "MAKEOVERRIDES": f"TOKEN={_MARK}",
    }
    placed = _printing(own_bench, own_bench.environment)
    try:
        learnt = own_bench.run(placed, "learning", pass_fds=(reading, writing))
        enforced = own_bench.run(placed, pass_fds=(reading, writing))
    finally:
        os.close(reading)
        os.close(writing)

    for ended in (learnt, enforced):
        assert ended.status == 0
        assert _MARK.encode() not in ended.stdout + ended.stderr
        given = _given(ended)
        assert given["MAKEFLAGS"] == f"kw {server}"
        assert given["MFLAGS"] == f"-kw {server}"
        assert given["CARGO_MAKEFLAGS"] == server
    assert _MARK.encode() not in _stored(own_bench)
    asked = {event["name"]: event for event in learnt.of("environment")}
    assert asked["MAKEFLAGS"]["secret"] == "definitions of make"
    assert asked["MAKEFLAGS"]["present"] is True
    assert "secret" not in asked["CARGO_MAKEFLAGS"]


_BUILD = program_text("runs_make.rs")


@pytest.mark.slow
def test_make_drives_a_build_and_keeps_its_token(tmp_path: Path) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make")
    workspace = member(tmp_path / "ws", _BUILD)
    command = " ".join((sys.executable, "-m", "buildperm", *LEARN))
    (workspace / "Makefile").write_text(f"ci:\n\t+{command}\n")
    extra = {"OPENSSL_DIR": f"https://user:{_MARK}@example.com"}
    definitions = (f"TOKEN={_MARK}", "CFLAGS=-O2")

    made = subprocess.run(
        [make, "-j2", *definitions, "ci"],
        cwd=workspace,
        env=environment(extra),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    seen = [path.read_text() for path in workspace.glob("target/**/out/seen")]

    assert "Error 3" in made.stderr, made.stderr  # Something is left undecided.
    assert any("--jobserver" in text for text in seen)  # Not where a script is run once more.
    for text in seen:
        assert "CFLAGS=-O2" in text
        assert _MARK not in text
    assert "OPENSSL_DIR" in made.stdout + made.stderr
    assert _MARK not in made.stdout + made.stderr.replace(f"TOKEN={_MARK}", "")
    kept = (path for path in (workspace / "target").rglob("*") if path.is_file())
    assert not [path for path in kept if _MARK.encode() in path.read_bytes()]

    why = buildperm("why", "sample", "env:OPENSSL_DIR", folder=workspace, extra=extra)
    assert why.returncode == 20
    assert "its value holds an address with a password" in why.stdout
    assert "reason =" in why.stdout

    manifest = workspace / "Cargo.toml"
    granted = 'env = ["OPENSSL_DIR"]\nexec = ["make", "sh"]\nreviewed = ["0.1.0"]\n'
    table = "\n[workspace.metadata.buildperm]\nversion = 1\n"
    table += f"[workspace.metadata.buildperm.crates.sample]\n{granted}"
    manifest.write_text(manifest.read_text().partition("\n[workspace.metadata")[0] + table)
    refused = buildperm("ci", folder=workspace, extra=extra)
    manifest.write_text(manifest.read_text() + 'reason = "it fetches"\n')
    passed = buildperm("ci", folder=workspace, extra=extra)

    assert refused.returncode == 20, refused.stderr
    assert "OPENSSL_DIR (its value holds an address with a password)" in refused.stderr
    assert _MARK not in refused.stdout + refused.stderr
    assert passed.returncode == 0, passed.stderr
    seen = [path.read_text() for path in workspace.glob("target/buildperm/ci/**/out/seen")]
    assert all(f"OPENSSL_DIR=https://user:{_MARK}@example.com" in text for text in seen)
