from __future__ import annotations

import pytest

from buildperm.cargo.cargo_settings import of_cargo
from buildperm.cargo.git_settings import UnclearError, git_entries, of_attributes, of_git
from buildperm.rules.secret_values import LOGIN, TOKEN

PASSWORD = "https://me:hunter2hunter2@host/"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# nothing\n; at all\n",
        "[core]\n\tabbrev = 12 ; short\n\tautocrlf = input\n[safe]\n\tdirectory = *\n",
        "[CORE] Bare = false\n[init]\ndefaultBranch = main\n",
        '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\trequired = true\n\tprocess\n',
        '[filter "lfs"]\n\tprocess = git-lfs filter-process --skip\n# ssh://git@host.example/x\n',
        '[credential "https://host.example"]\n\thelper = store\n',
        '[user]\n\tname = "A # B" # quoted\n\temail = a@example.org\n',
        "[color]\n\tui = au\\\nto\n[http]\n\tsslCAInfo = /etc/ssl/ca.pem\n",
        "\ufeff[color.branch]\r\ncurrent = red\r\n",
    ],
)
def test_ordinary_settings_of_git_are_harmless(content: str) -> None:
    assert of_git(content.encode()) == (True, "")


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (f'[url "{PASSWORD}"]\n\tinsteadOf = https://host/\n', LOGIN),
        ('[http "https://host"]\n\textraHeader = X: y\n', TOKEN),
        (f"# {PASSWORD}\n[core]\n\tbare = false\n", LOGIN),
        ('[credential]\n\thelper = "!f() { echo password=abc; }; f"\n', "a password"),
    ],
)
def test_secrets_in_settings_of_git_are_seen(content: str, seen: str) -> None:
    assert of_git(content.encode()) == (False, seen)


@pytest.mark.parametrize(
    "content",
    [
        "[include]\n\tpath = other\n",
        '[includeIf "gitdir:/x"]\n\tpath = other\n',
        '[url "git@host:"]\n\tinsteadOf = https://host/\n',
        "[alias]\n\tst = status\n",
        "[core]\n\tsshCommand = ssh -i key\n",
        '[core]\n\tpager = "sh -c anything"\n',
        "[credential]\n\thelper = !anything\n",
        '[credential "https://me@host"]\n\thelper = store\n',
        '[filter "own"]\n\tclean = anything\n',
        "[http]\n\tproxy = host:3128\n",
        "[unheard-of]\n\tkey = value\n",
        # A section without keys is in the file as well, and so is a comment.
        '[url "https://opaque@host/"]\n',
        '[remote "https://host/x"]\n',
        '[credential "https://opaque@host"]\n# nothing\n',
        "[include]\n[core]\n\tbare = false\n",
        "# was https://opaque@host/ before\n[core]\n\tbare = false\n",
        "[http]\n\tsslCAInfo = https://opaque@host/\n",
        '[filter "lfs"]\n\tsmudge = curl -u me:opaque https://host/%f\n',
        "[core\n",
        "key = value\n",
        '[core]\n\tbare = "false\n',
        "[core]\n\tbare = \\x\n",
        "[core]\n\tbare false\n",
    ],
)
def test_what_is_not_known_of_git_is_not_harmless(content: str) -> None:
    assert of_git(content.encode()) == (False, "")


def test_bytes_that_are_no_text_are_not_harmless() -> None:
    assert of_git(b"[core]\n\tbare = \xff\n") == (False, "")
    assert of_cargo(b"[build]\ntarget = '\xff'\n") == (False, "")


def test_settings_are_read_as_git_reads_them() -> None:
    text = '[a "B \\"c\\""]\nKey = " x " y \\t # z\nalone\n[d.E] k=\n'

    assert list(git_entries(text)) == [
        ("a", 'B "c"', "key", " x  y \t"),
        ("a", 'B "c"', "alone", "true"),
        ("d", "e", "k", ""),
    ]
    with pytest.raises(UnclearError):
        list(git_entries("[a]\n=\n"))


def test_attributes_hold_a_secret_by_its_form_alone() -> None:
    assert of_attributes(b'# x\n*.png binary\n"a b" -text diff=c eol=lf\n\n[attr]x a=1 !b\n') == (
        True,
        "",
    )
    assert of_attributes(b"host:5432:data:me:opaque\n") == (False, "")
    assert of_attributes(b"pass word, and more!\n") == (False, "")
    assert of_attributes(f"# {PASSWORD}\n".encode()) == (False, LOGIN)
