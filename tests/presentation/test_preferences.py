"""The configuration file: what it may say, and what is said where something in it is wrong."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.presentation.preference_text import KeyRow, PreferencesResult, example
from buildperm.presentation.preferences import Preferences, PreferencesFile, parse

PATH = Path("/home/me/.config/buildperm/config.toml")
DIGEST = "ab" * 32


def test_everything_that_can_be_set_is_read() -> None:
    text = """
        theme = "nord"
        ascii = true
        screens = false
        mouse = false
        ask = true
        [keys]
        review.allow = "y"
        "review.deny" = ["x", "f2"]
        [keys.tree]
        down = "ctrl+n"
        [roots]
        "sha256:%s" = "$HOME/roots/trixie"
    """

    read = parse((text % DIGEST).encode(), PATH)

    assert read == Preferences(
        theme="nord",
        ascii=True,
        screens=False,
        mouse=False,
        ask=True,
        keys={"review.allow": ("y",), "review.deny": ("x", "f2"), "tree.down": ("ctrl+n",)},
        roots={f"sha256:{DIGEST}": "$HOME/roots/trixie"},
    )


def test_an_empty_file_changes_nothing() -> None:
    assert parse(b"", PATH) == Preferences()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("them = 'nord'", "`them` is no setting\nhint: Did you mean `theme`?"),
        (
            "frobnicate = 1",
            "is no setting\nhint: There is: theme, ascii, screens, mouse, ask, keys, roots.",
        ),
        ("theme = 3", "`theme` cannot be 3"),
        ("ascii = 'yes'", "hint: Write `ascii = true` or `ascii = false`."),
        ("keys = 'a'", "`keys` must be a table"),
        ("keys.review.allow = 3", "`keys.review.allow` cannot be 3"),
        ("keys.review.allow = []", "`keys.review.allow` cannot be []"),
        ("roots = 'a'", "`roots` must be a table"),
        ("roots.trixie = '/srv'", "`roots`: `trixie` is no digest of a root"),
        (f"roots.'sha256:{DIGEST}' = 1", f"`roots.sha256:{DIGEST}` cannot be 1"),
        (f"roots.'sha256:{DIGEST}' = 'roots'", "hint: Write an absolute folder"),
        (f"roots.'sha256:{DIGEST}' = '$WORKSPACE/a'", "one that begins with `$HOME/`"),
        ("theme = ", "broken TOML"),
        (r'"\u001b[31m" = 1', "%1B[31m"),
    ],
)
def test_what_is_wrong_is_one_error_with_the_file(text: str, told: str) -> None:
    with pytest.raises(BuildpermError) as error:
        parse(text.encode(), PATH)

    assert str(error.value).startswith(f"{PATH}: ")
    assert told in str(error.value)
    assert "\x1b" not in str(error.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_preferences_or_one_error(raw: bytes) -> None:
    try:
        told = repr(parse(raw, PATH))
    except BuildpermError as error:
        told = str(error).replace("\nhint: ", "")

    assert told.isprintable()


def test_the_file_lies_where_the_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert not PreferencesFile.load().exists

    path = tmp_path / "buildperm/config.toml"
    path.parent.mkdir()
    path.write_text("mouse = false\n")

    assert PreferencesFile.load() == PreferencesFile(
        path, exists=True, preferences=Preferences(mouse=False)
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert PreferencesFile.load().path == tmp_path / "home/.config/buildperm/config.toml"


def test_who_has_no_home_gets_no_file_of_the_folder_that_they_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workspace could have a folder `~`, which is what stays of it then."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    nobody: dict[int, object] = {}
    monkeypatch.setattr("pwd.getpwuid", lambda user: nobody[user])
    planted = tmp_path / "~/.config/buildperm/config.toml"
    planted.parent.mkdir(parents=True)
    planted.write_text("mouse = false\n")
    monkeypatch.chdir(tmp_path)

    found = PreferencesFile.load()

    assert (found.exists, found.preferences) == (False, Preferences())


def test_a_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "buildperm/config.toml").mkdir(parents=True)

    with pytest.raises(BuildpermError, match="cannot be read: Is a directory"):
        PreferencesFile.load()


@pytest.mark.parametrize(
    ("environment", "is_ascii_only"),
    [
        ({}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "C.utf8"}, False),
        ({"LANG": "de_DE.UTF-8@euro"}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
    ],
)
def test_the_locale_decides_about_ascii_unless_the_file_does(
    environment: dict[str, str], *, is_ascii_only: bool
) -> None:
    assert Preferences().is_ascii_only(environment) is is_ascii_only
    assert Preferences(ascii=True).is_ascii_only(environment)
    assert not Preferences(ascii=False).is_ascii_only(environment)


ROWS = (
    KeyRow("review.allow", "review: Decide", ("a",), "Allow the chosen rule"),
    KeyRow("tree.down", "tree: Move", ("down", "j"), "Next line"),
)


def test_the_example_is_a_file_that_changes_nothing_until_it_is_edited() -> None:
    text = example(ROWS)

    assert parse(text.encode(), PATH) == Preferences()
    edited = "\n".join(line.removeprefix("#") if "=" in line else line for line in text.split("\n"))
    read = parse(edited.encode(), PATH)
    assert read.keys == {"review.allow": ("a",), "tree.down": ("down", "j")}
    named = {"theme", "ascii", "screens", "mouse", "ask", "roots", "keys"}
    assert set(tomllib.loads(edited)) == named


def test_the_answer_names_the_file_and_what_is_changed() -> None:
    file = PreferencesFile(
        PATH, exists=True, preferences=Preferences(keys={"review.allow": ("y",)})
    )
    result = PreferencesResult(file, ROWS, is_ascii_only=False)

    text = "\n".join(result.lines())

    assert text.startswith(f"{PATH}: read\n")
    assert "review.allow = y  (was a)" in text
    assert "tree.down" not in text
    document = json.loads(json.dumps(result.document()))
    assert document["keys"] == {"review.allow": ["y"], "tree.down": ["down", "j"]}
