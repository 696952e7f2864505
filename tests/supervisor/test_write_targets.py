"""A folder that a script makes where a grant names a file: it is told, and asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildperm.policy.fold import fold
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.policy.undecided_accesses import unopened
from buildperm.tracer.recording import reader
from buildperm.workflow.build_outcome import wider

if TYPE_CHECKING:
    from tests.bench import Bench

MAKES = """
import os
gen = os.path.join(os.environ["CARGO_MANIFEST_DIR"], "src/gen")
os.makedirs(gen, exist_ok=True)
with open(gen + "/a.rs", "w") as file:
    file.write("")
"""


def test_a_grant_of_a_file_is_told_to_be_no_folder(own_bench: Bench) -> None:
    (own_bench.package / "src").mkdir()
    own_bench.grants = {"write": ["$MANIFEST_DIR/src/gen"]}

    ended = own_bench.run(own_bench.script(MAKES))

    assert ended.status == 1
    assert not (own_bench.package / "src/gen").exists()
    accesses = fold(reader.read(own_bench.recording))
    rules = [Rule(Kind.WRITE, "$MANIFEST_DIR/src/gen")]
    assert [each.target for each in unopened(accesses, rules)] == ["$MANIFEST_DIR/src/gen"]
    package = own_bench.session("enforcing")["packages"][bytes(own_bench.package)]
    (asked,) = wider(package, accesses)
    assert Rule(Kind.WRITE, "$MANIFEST_DIR/src/gen/**") in asked.choices[0].rules


@pytest.mark.parametrize("is_there", [False, True])
def test_a_grant_of_the_folder_is_enough(own_bench: Bench, *, is_there: bool) -> None:
    """`mkdir -p` asks whether a folder is there by making it: that is no refusal."""
    (own_bench.package / "src").mkdir()
    if is_there:
        (own_bench.package / "src/gen").mkdir()
    own_bench.grants = {"write": ["$MANIFEST_DIR/src/gen/**"]}

    ended = own_bench.run(own_bench.script(MAKES))

    assert ended.status == 0, ended.stderr
    assert (own_bench.package / "src/gen/a.rs").exists()
    rules = [Rule(Kind.WRITE, "$MANIFEST_DIR/src/gen/**")]
    assert unopened(fold(reader.read(own_bench.recording)), rules) == []
