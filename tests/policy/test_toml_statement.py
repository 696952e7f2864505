"""Where things stand in a TOML file: the parser's own answer is the measure."""

from __future__ import annotations

from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.toml_statement import layout

TRICKY = "\n".join(
    (
        "a.b = 1 # one",
        r""""quoted key"."x\"y" = 'its'""",
        '[ spaced . header ] # comment with ] and = and "',
        '  list = [ "a", # not ] here',
        "     'b]',",
        '     [1, 2], { x = "}" } ] # after',
        "inline = { m = 1, n.o = [1,",
        '   2], "p q" = { } }',
        r'multi = """a " b \""" = [x]',
        '[not.a.header]"""""',
        "literal = '''",
        "[nor.this] = ''''",
        'empty = ""',
        "date = 1979-05-27 07:32:00Z",
        "float = -1.5e+3",
        "[[array]]",
        "k = true",
        "[[array]]",
        "k = false",
        "[last]",
    )
)


def flat(value: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    """Write a parsed document as leaf values by path; empty tables are leaves."""
    if isinstance(value, dict) and value:
        return {
            k: v for name, inner in value.items() for k, v in flat(inner, (*path, name)).items()
        }
    return {path: value}


def test_every_value_is_found_where_the_parser_says_it_is() -> None:
    document = tomlkit.parse(TRICKY).unwrap()
    found = layout(TRICKY)

    for path, value in flat(document).items():
        if path[0] == "array" or path == ("last",):
            continue
        start, end = found.values[path]
        assert tomlkit.parse(f"x = {TRICKY[start:end]}").unwrap()["x"] == value
    headers = [each.path for each in found.statements if each.is_header]
    assert headers == [("spaced", "header"), ("array",), ("array",), ("last",)]
    assert "".join(TRICKY[each.start : each.line_end] for each in found.statements) == TRICKY


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a", "b"), 1),
        (("quoted key", 'x"y'), 2),
        (("spaced", "header", "list", 0), 4),
        (("spaced", "header", "list", 1), 5),
        (("spaced", "header", "inline", "n", "o", 1), 8),
        (("spaced", "header", "inline", "n", "o", 7), 7),
        (("last",), 20),
        (("nowhere",), 0),
    ],
)
def test_lines_are_those_of_the_nearest_thing(path: tuple[str | int, ...], line: int) -> None:
    assert layout(TRICKY).line(path) == line


def test_line_endings_of_windows_belong_to_the_line() -> None:
    text = "[a]\r\nb = 1 # c\r\n\r\n[d]\r\n"

    assert [text[each.start : each.line_end] for each in layout(text).statements] == [
        "[a]\r\n",
        "b = 1 # c\r\n",
        "[d]\r\n",
    ]


scalars = st.one_of(
    st.text(), st.integers(-(2**40), 2**40), st.booleans(), st.floats(allow_nan=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_any_document_is_cut_up_as_the_parser_reads_it(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    found = layout(text)
    parsed = tomlkit.parse(text).unwrap()

    for each in found.statements:
        if not each.is_header and "[[" not in text:
            value: Any = parsed
            for key in each.path:
                value = value[key]
            assert tomlkit.parse(f"x = {text[each.value : each.end]}").unwrap()["x"] == value
