"""MAKEFLAGS: the job server and switches pass, definitions do not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.rules.makeflags import reduced

KEPT = str.split(
    """
    -j|-j2|-j8 --jobserver-fds=3,4 --jobserver-auth=3,4|-j --jobserver-auth=fifo:/tmp/GMfifo7
    kw|w|ks -j4 --jobserver-auth=fifo:/tmp/GMfifo7|-w|--no-print-directory|-j 4|-l 2.5 -j|-l2.5
    w -j2 --jobserver-auth=-2,-2|-Otarget --sync-mutex=fnm:/tmp/GMmutex1|--trace|-j8 -l8 -Oline
    -j --jobserver-auth=fifo:/a\\ b/GMfifo7|
    """.replace("\n    ", "|"),
    "|",
)


@pytest.mark.parametrize("flags", [each for each in KEPT if each.strip()])
def test_what_make_needs_is_kept(flags: str) -> None:
    assert reduced(flags.encode()) == flags.encode()


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        ("TOKEN=sesame", ""),
        (" -- TOKEN=sesame", ""),
        ("w -- TOKEN=sesame", "w"),
        ("w -j2 --jobserver-auth=3,4 -- TOKEN=sesame X=sesame", "w -j2 --jobserver-auth=3,4"),
        ("-- TOKEN=open\\ sesame -j2", ""),
        ("-- -j2", ""),
        ("w TOKEN=open\\ sesame -j2", "w -j2"),
        ("w TOKEN=sesa\\\\ -j2", "w -j2"),
        ("TOKEN=a$$sesame -j2", "-j2"),
        ("TOKEN:=sesame TOKEN+=sesame TOKEN!=sesame -k", "-k"),
        ("--eval=TOKEN=sesame -k", "-k"),
        ("--eval TOKEN=sesame -k", "-k"),
        ("-E sesame -k", "-k"),
        ("-I sesame -k", "-k"),
        ("-Isesame -k", "-k"),
        ("-C sesame -f sesame -o sesame -W sesame", ""),
        ("--jobserver-auth=sesame -j", "-j"),
        ("-jsesame -lsesame -Osesame --jobs=sesame", ""),
        ("-j sesame", "-j"),
        ("k sesame", "k"),
        ("sesame", ""),
        ("-sesame", ""),
        ("w\tTOKEN=sesame\t-k", "w -k"),
        ("w\nTOKEN=sesame\n-k", "w -k"),
        ("\\TOKEN=sesame", ""),
        ("--TOKEN=sesame", ""),
        ("--jobserver-auth=fifo:sesame", ""),
        ("", ""),
    ],
)
def test_everything_else_is_left_out(flags: str, left: str) -> None:
    assert reduced(flags.encode()) == left.encode()


@given(st.text(alphabet="kwj-=TOKEN \\$\t4:/,", max_size=60))
def test_no_definition_is_left_and_reducing_again_changes_nothing(flags: str) -> None:
    left = reduced(flags.encode())

    assert b"TOKEN" not in left
    assert reduced(left) in (left, left[:0]) or b"-" in left
    assert all(
        b"=" not in word or word.startswith(b"--") for word in left.replace(b"\\ ", b"_").split()
    )


@pytest.mark.parametrize("switches", [[], ["-j2"], ["-kw"], ["-j2", "-Otarget", "-r"], ["-Idir"]])
@pytest.mark.parametrize("value", ["sesame", "open sesame", "a$$sesame", "b\\sesame", "'sesame'"])
def test_what_a_real_make_hands_on(tmp_path: Path, switches: list[str], value: str) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make")
    (tmp_path / "Makefile").write_text('all:\n\t+@env | grep "^M.*FLAGS="\n')
    ran = subprocess.run(
        [make, *switches, f"TOKEN={value}", "X=1"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )

    flags = dict(line.split(b"=", 1) for line in ran.stdout.splitlines() if b"FLAGS=" in line)
    assert b"sesame" in flags[b"MAKEFLAGS"]
    for given_flags in flags.values():
        left = reduced(given_flags)
        assert b"sesame" not in left
        assert (b"--jobserver" in left) == (b"--jobserver" in given_flags)
    if "-j2" in switches:
        assert b"--jobserver" in reduced(flags[b"MAKEFLAGS"])
