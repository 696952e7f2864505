"""`buildperm config`: where the file is, what is in force, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from buildperm.presentation import preference_text
from tests.command import buildperm

SCHEMA = json.loads((Path(preference_text.__file__).parent / "config.schema.json").read_text())


def config(settings: Path, text: str | None, *words: str, **extra: str) -> tuple[int, str, str]:
    path = settings / "of/me/buildperm/config.toml"
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    variables = {"XDG_CONFIG_HOME": str(settings / "of/me"), **extra}
    told = buildperm("config", *words, folder=settings, extra=variables)
    return told.returncode, told.stdout, told.stderr


def checked(text: str) -> Any:  # noqa: ANN401 - JSON
    """Return a document, which follows its schema."""
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_without_a_file_it_says_where_one_would_be(tmp_path: Path) -> None:
    code, said, _ = config(tmp_path, None)

    assert code == 0
    assert said.startswith(f"{tmp_path}/of/me/buildperm/config.toml: not there")
    assert "`buildperm config --example` prints a file" in said


def test_it_says_what_is_changed(tmp_path: Path) -> None:
    text = 'theme = "nord"\nascii = true\n[keys]\nreview.allow = ["y", "f2"]\n'

    code, said, _ = config(tmp_path, text)

    assert code == 0
    assert "theme    nord\n" in said
    assert "ascii    yes\n" in said
    assert "review.allow = y f2  (was a)" in said


@pytest.mark.slow
def test_the_example_can_be_used_as_it_is_and_with_every_line_in_force(tmp_path: Path) -> None:
    code, example, _ = config(tmp_path, None, "--example")
    assert code == 0
    assert "#review.allow = " in example

    assert config(tmp_path, example)[0] == 0
    in_force = "\n".join(
        line[1:] if line.startswith("#") and " = " in line else line for line in example.split("\n")
    )
    code, said, told = config(tmp_path, in_force, "--format", "json")

    assert (code, told) == (0, "")
    document = checked(said)
    assert document["theme"] == "high-contrast"
    assert (document["ascii"], document["screens"], document["mouse"]) == (True, False, False)
    assert document["keys"]["review.allow"] == ["a"]


def test_the_document_follows_its_schema_which_is_strict(tmp_path: Path) -> None:
    code, said, _ = config(tmp_path, None, "--format", "json")

    assert code == 0
    document = checked(said)
    assert document["exists"] is False
    assert document["theme"] is None
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert not validator.is_valid({**document, "new": 1})
    assert not validator.is_valid({**document, "keys": {"review.allow": []}})
    for name in document:
        assert not validator.is_valid(
            {key: value for key, value in document.items() if key != name}
        )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("theme = ", "broken TOML"),
        ('theme = "norb"', "there is no `norb`\nhint: Did you mean `nord`?"),
        ("keys.review.allow = 'd'", "`d` is the key of review.deny (Deny)"),
        ("keys.review.allow = 'enter'", "`enter` cannot decide or write anything"),
    ],
)
@pytest.mark.quick(1)
def test_what_is_wrong_is_one_error_that_names_the_file(
    tmp_path: Path, text: str, told: str
) -> None:
    code, said, error = config(tmp_path, text)

    assert (code, said) == (2, "")
    assert error.startswith(f"buildperm: {tmp_path}/of/me/buildperm/config.toml: ")
    assert told in error


@pytest.mark.parametrize(("locale", "ascii_only"), [("C", "yes"), ("C.UTF-8", "no")])
def test_the_locale_counts_as_it_was_and_not_as_python_makes_it(
    tmp_path: Path, locale: str, ascii_only: str
) -> None:
    _, said, _ = config(tmp_path, None, LC_ALL="", LC_CTYPE="", LANG=locale)

    assert f"ascii    {ascii_only}, as the locale says" in said
