"""The HTML report: whatever others have named, it is text and stays text."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.printable import is_visible, shown
from buildperm.report.html_document import MARK, document
from tests.report.page_reader import PageReader
from tests.report.page_strategies import HOSTILE_TEXTS, MARKUP, page

_LOADING = re.compile(r"""\b(?:src|srcset|action|data|poster|background|formaction|ping)\s*=""")


@given(HOSTILE_TEXTS, st.integers(0, 60))
def test_no_text_changes_the_markup(texts: list[str], number: int) -> None:
    """Only quotation marks for code may, as they do in a harmless text."""
    harmless = [re.sub("[^`]", "x", shown(text)) for text in texts]

    read = PageReader(document(page(texts, number)))

    assert read.skeleton == PageReader(document(page(harmless, number))).skeleton
    assert read.open == []


@given(HOSTILE_TEXTS, st.integers(0, 60))
def test_every_text_is_there_and_printable(texts: list[str], number: int) -> None:
    made = document(page(texts, number))
    said = "".join(PageReader(made).texts).replace("`", "")

    assert is_visible(made.replace("\n", ""))
    for text in texts:
        assert shown(text).replace("`", "") in said


@pytest.mark.parametrize("hostile", MARKUP)
def test_markup_in_a_name_is_shown_as_it_is(hostile: str) -> None:
    made = document(page([hostile], 7))

    assert hostile.replace("`", "") in "".join(PageReader(made).texts).replace("`", "")
    assert made.count("<script>") == 1
    assert made.count("<style>") == 1


def test_the_policy_allows_nothing_but_the_style_and_the_script_of_the_page() -> None:
    made = document(page(["x"], 3))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', made)

    assert "default-src &#39;none&#39;" in policy
    assert "unsafe" not in policy
    for element in ("style", "script"):
        (content,) = re.findall(rf"<{element}>(.*?)</{element}>", made, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src &#39;sha256-{digest}&#39;" in policy


@given(HOSTILE_TEXTS, st.integers(0, 60))
def test_nothing_leads_out_of_the_page(texts: list[str], number: int) -> None:
    for tag, *attributes in PageReader(document(page(texts, number))).skeleton:
        for name, value in attributes[0] if attributes and tag != "comment" else ():  # type: ignore[attr-defined]
            assert name != "style"
            assert not name.startswith("on")
            assert not _LOADING.match(f"{name}=")
            if name == "href":
                assert re.fullmatch(r"#[a-z0-9-]+", value)


def test_every_link_leads_to_something() -> None:
    made = document(page(["x"], 3))
    anchors = set(re.findall(r' id="([^"]+)"', made))

    assert set(re.findall(r'href="#([^"]+)"', made)) <= anchors
    assert len(re.findall(r' id="', made)) == len(anchors)


def test_headings_tables_and_regions_have_names() -> None:
    made = document(page(["x"], 4))
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", made)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert not re.search(r"<th(?![a-z])(?![^>]*\bscope=)", made)
    assert not re.search(r'role="region"(?![^>]*aria-label=)', made)
    assert '<html lang="en">' in made


def _luminance(colour: str) -> float:
    """Return how light a colour is: WCAG 2.2, "relative luminance"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_colour_is_readable_by_day_by_night_and_on_paper() -> None:
    """WCAG 2.2, 1.4.3: text of all sizes against what lies behind it."""
    schemes = re.findall(r":root \{(.*?)\}", document(page(["x"], 1)), re.DOTALL)
    texts = ("ink", "faint", "critical", "high", "medium", "low", "calm", "link")

    assert len(schemes) == 3
    for scheme in schemes:
        found = re.findall(r"--(\w+): #(\w+)", scheme)
        colours = {
            name: f"#{value if len(value) == 6 else value[0] * 2 + value[1] * 2 + value[2] * 2}"
            for name, value in found
        }
        for text in texts:
            for behind in ("paper", "sheet"):
                dark, light = sorted(_luminance(colours[each]) for each in (text, behind))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, behind, scheme)


def test_a_report_is_known_by_its_beginning() -> None:
    assert MARK in document(page(["x" * 500], 1))[:2_000]


@pytest.mark.parametrize(
    ("said", "shown_as"),
    [
        ("run `buildperm ci` now", "run <code>buildperm ci</code> now"),
        ("one ` alone", "one ` alone"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
        ("", ""),
    ],
)
def test_what_stands_between_backquotes_is_set_apart(said: str, shown_as: str) -> None:
    assert f'<p class="verdict low">{shown_as}</p>' in document(page([said], 3))
