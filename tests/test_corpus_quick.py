"""One quick crate of each kind, taken through all the steps: the table of docs/corpus.md holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus import entries, trial, verdicts
from tests import surroundings

CORPUS = entries.load()
RESULTS = Path(entries.__file__).parent / "results"
CHEAP = [crate for crate in CORPUS.crates if crate.cheap]
GROUP = CHEAP[0].group

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(1800), pytest.mark.xdist_group("quick")]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, verdicts.Row]:
    """Take the group through all the steps."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings.registries().items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("corpus") / GROUP
        record = trial.try_crates(CORPUS, GROUP, CORPUS.groups()[GROUP], folder, 1500)
    assert "error" not in record, record
    return {row.name: row for row in verdicts.rows(CORPUS, {GROUP: record})}


@pytest.mark.parametrize("crate", CHEAP, ids=lambda crate: crate.name)
def test_a_crate_behaves_as_the_table_says(
    tried: dict[str, verdicts.Row], crate: entries.CorpusCrate
) -> None:
    records = {GROUP: json.loads((RESULTS / f"{GROUP}.json").read_text("utf-8"))}
    told = {row.name: row for row in verdicts.rows(CORPUS, records)}[crate.name]
    row = tried[crate.name]

    assert (row.verdict, row.codes[1:]) == (told.verdict, (0, 0)) == ("ok", (0, 0))
    assert row.decisions <= told.decisions
    assert row.lines <= told.lines <= verdicts.MOST_LINES
    assert row.presets == told.presets
    assert row.version == told.version
