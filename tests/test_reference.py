"""The tables of the documents list what the program has: exit codes, limits, presets, filters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from buildperm.errors import ExitCode
from buildperm.policy import selection
from buildperm.policy.access import Outcome
from buildperm.policy.proposal import Reason, Risk
from buildperm.rules.limits import DEFAULTS
from buildperm.rules.pattern import TOKENS
from buildperm.tui import key_bindings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CRATE = json.loads((ROOT / "policy/grants.schema.json").read_text())["$defs"]["crate"]["properties"]


def table(name: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table of a document whose first heading is `heading`."""
    lines = (DOCS / name).read_text(encoding="utf-8").splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def quoted(text: str) -> list[str]:
    """Return what stands in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def test_every_exit_code_is_explained() -> None:
    told = [row[0] for row in table("commands.md", "exit code")]

    assert told == [*(str(int(code)) for code in ExitCode), "other"]


def test_every_limit_is_explained_with_its_default() -> None:
    units = {"GiB": 1 << 30, "MiB": 1 << 20}
    told = {}
    for name, default, _ in table("cargo-toml.md", "limit"):
        number, _, unit = default.replace(",", "").partition(" ")
        told[quoted(name)[0]] = int(number) * units.get(unit, 1)

    assert told == DEFAULTS


def test_every_key_of_a_crate_is_explained() -> None:
    told = [quoted(row[0])[0] for row in table("cargo-toml.md", "key")]

    assert set(told) == set(CRATE)


def test_every_preset_and_every_token_is_named() -> None:
    text = (DOCS / "cargo-toml.md").read_text(encoding="utf-8")
    presets = next(row for row in table("cargo-toml.md", "key") if row[0] == "`presets`")

    assert set(quoted(presets[1])) == set(CRATE["presets"]["items"]["enum"])
    tokens = re.findall(r"`(\$\w+(?: \$\w+)+)`", text)
    assert [set(each.split()) for each in tokens] == [{f"${token}" for token in TOKENS}]


def test_every_word_of_the_filter_is_explained_and_understood() -> None:
    rows = table("review.md", "word")
    words = [word for row in rows for word in quoted(row[0])]
    values = {word for row in rows for word in quoted(row[1])}
    values |= {word.partition(":")[2] for word in words}
    reasons = [quoted(row[0])[0] for row in table("review.md", "reason")]

    fields = {"reason" if field == "standing" else field for field in selection.FIELDS}
    assert {word.partition(":")[0] for word in words if ":" in word} == fields
    assert set(CRATE["deny"]["properties"]) <= values
    assert {risk.name.lower() for risk in Risk} <= values
    assert {str(outcome) for outcome in Outcome} <= values
    assert reasons == [str(reason) for reason in Reason]
    for word in words:
        selection.parse(word)


def test_every_key_of_the_table_is_bound() -> None:
    names = {"[": "left_square_bracket", "]": "right_square_bracket", "/": "slash"}
    names |= {"?": "question_mark", "Space": "space", "Enter": "enter"}
    bound = {
        key
        for screen in ("review", "tree", "tabs")
        for each in key_bindings.bindings(screen)
        for key in str(getattr(each, "key", "")).split(",")
    }
    told = [key for row in table("review.md", "key") for key in quoted(row[0])]

    assert len(told) > 10
    assert {names.get(key, key) for key in told} <= bound


def test_a_table_that_is_not_there_is_missed() -> None:
    with pytest.raises(StopIteration):
        table("review.md", "nothing of the kind")
