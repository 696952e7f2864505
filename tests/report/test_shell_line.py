"""Command lines, as a shell would read them back."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildperm.printable import is_visible
from buildperm.report.shell_line import recalled_line, shell_line

words = st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b""))


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ((b"cc", b"-c", b"a.c"), "cc -c a.c"),
        ((b"sh", b"-c", b'echo "$HOME"'), "sh -c 'echo \"$HOME\"'"),
        ((b"x", b""), "x ''"),
        ((b"say", b"it's"), """say 'it'"'"'s'"""),
        ((b"a\nb",), "$'a\\nb'"),
        ((b"\x1b[2J'\\",), "$'\\e[2J\\'\\\\'"),
        (("\N{RIGHT-TO-LEFT OVERRIDE}".encode(), b"\xff"), "$'\\xe2\\x80\\xae' $'\\xff'"),
        (
            ("\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),),
            "'\N{LATIN SMALL LETTER E WITH ACUTE}'",
        ),
    ],
)
def test_a_word_is_quoted_where_a_shell_would_not_take_it_as_it_is(
    argv: tuple[bytes, ...], line: str
) -> None:
    assert shell_line(argv) == line


@given(st.lists(words, min_size=1, max_size=5))
def test_nothing_in_it_is_invisible(argv: list[bytes]) -> None:
    assert is_visible(shell_line(argv))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@settings(max_examples=30, deadline=None)
@given(st.lists(words, min_size=1, max_size=5))
def test_bash_reads_back_what_was_run(argv: list[bytes]) -> None:
    script = f"printf '%s\\0' {shell_line(argv)}"

    read = subprocess.run(
        ["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    ).stdout

    assert read.split(b"\0")[:-1] == argv


def test_a_line_kept_in_notation_is_written_as_it_was_run() -> None:
    assert recalled_line("sh -c 'echo %24HOME'") == "sh -c 'echo $HOME'"
    assert recalled_line("ar cq a.o [1,900 characters left out] z.o") == (
        "ar cq a.o [1,900 characters left out] z.o"
    )
    assert recalled_line("sh -c 'cut in the [900 characters left out]") == (
        "sh -c 'cut in the [900 characters left out]"
    )
