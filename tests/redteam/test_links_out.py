"""Links that turn a granted folder into another one, and where scripts may follow them.

Each is made by whoever fills the folder: the package's next commit, another script, an archive.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildperm.policy.fold import fold
from buildperm.rules import directive
from buildperm.rules.containment import Containment, contained
from buildperm.rules.pattern import locate
from buildperm.sandbox import machine
from buildperm.tracer.recording import reader
from buildperm.workflow.build_outcome import propose
from tests.programs import program_text
from tests.redteam.attempted_calls import call_outcomes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench import Bench

BWRAP = machine.bubblewrap()
WHY_NOT = machine.probe_wrapper(BWRAP) if BWRAP else "it is not installed"

_TOOL = "#!/bin/sh\nexit 0\n"
_BODY = program_text("file_calls.py")


def lay(bench: Bench) -> None:
    """Put somebody else's project beside the workspace, and links to it and within."""
    other = bench.top / "other"
    for folder in (other / "gen", bench.workspace / "true", bench.package / "true"):
        folder.mkdir(parents=True)
        (folder / "data").write_text("data")
        (folder / "tool").write_text(_TOOL)
        (folder / "tool").chmod(0o755)
    (bench.workspace / "out").symlink_to("../other/gen")
    (bench.workspace / "in").symlink_to("true")
    (bench.package / "out").symlink_to(other / "gen")
    (bench.package / "up").symlink_to("../true")
    (bench.package / "in").symlink_to("true")
    (bench.top / "current").symlink_to("other")
    bench.owned()


OUT = (
    ("read", "$MANIFEST_DIR/out/**", "crate/out/data"),
    ("read", "$MANIFEST_DIR/out/data", "crate/out/data"),
    ("read", "$MANIFEST_DIR/up/**", "crate/up/data"),
    ("read", "$WORKSPACE/out/**", "out/data"),
    ("read", "$WORKSPACE/o?t/data", "out/data"),
    ("read", "$WORKSPACE/*t/data", "out/data"),
    ("read", "{ws}/out/**", "out/data"),
    ("write", "$MANIFEST_DIR/out/**", "crate/out/data"),
    ("write", "$MANIFEST_DIR/out/new", "crate/out/new"),
    ("write", "$MANIFEST_DIR/up/**", "crate/up/new"),
    ("write", "$WORKSPACE/out/**", "out/new"),
    ("write", "$WORKSPACE/out/data", "out/data"),
    ("write", "{ws}/out/**", "out/new"),
    ("exec", "$MANIFEST_DIR/out/tool", "crate/out/tool"),
    ("exec", "$WORKSPACE/o*/tool", "out/tool"),
)
IN = (
    ("read", "$WORKSPACE/in/**", "in/data"),
    ("read", "$WORKSPACE/i?/data", "in/data"),
    ("read", "{top}/current/gen/**", "../current/gen/data"),
    ("write", "$WORKSPACE/in/**", "in/new"),
    ("write", "$MANIFEST_DIR/in/new", "crate/in/new"),
    ("write", "{top}/current/gen/new", "../current/gen/new"),
    ("exec", "$MANIFEST_DIR/in/tool", "crate/in/tool"),
    ("exec", "{top}/current/gen/tool", "../current/gen/tool"),
)


def outcomes(bench: Bench, cases: tuple[tuple[str, str, str], ...]) -> dict[str, str]:
    """Try each case under all of their grants; return `done` or the number of the error."""
    lay(bench)
    for kind, pattern, _ in cases:
        granted = pattern.format(ws=bench.workspace, top=bench.top)
        bench.grants.setdefault(kind, []).append(granted)
    bench.grants.setdefault("exec", []).append("sh")
    body = _BODY + "".join(
        f"tries({f'{kind} {path}'.replace(' ', ':')!r}, {kind}s({str(bench.workspace / path)!r}))\n"
        for kind, _, path in cases
    )
    body = body.replace("execs(", "runs(")
    lines = call_outcomes(bench, body)
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def test_what_a_link_leads_to_out_of_its_folder_is_refused(bench: Bench) -> None:
    found = outcomes(bench, OUT)

    assert found == {f"{kind}:{path}": "13" for kind, _, path in OUT}
    assert sorted(file.name for file in (bench.top / "other/gen").iterdir()) == ["data", "tool"]
    assert (bench.top / "other/gen/data").read_text() == "data"
    kept = reader.read(bench.recording)
    told = {f"{kind} {pattern.format(ws=bench.workspace)}" for kind, pattern, _ in OUT}
    assert set(kept.header.left_out) == told
    package = bench.session("enforcing")["packages"][bytes(bench.package)]
    asked = propose(package, fold(kept))
    offered = {rule.pattern for each in asked for rule in each.choices[0].rules}
    assert f"{bench.top}/other/gen/tool" in offered
    assert f"{bench.top}/other/gen/data" in offered
    assert not any("/out" in pattern for pattern in offered)


def test_what_a_link_leads_to_within_its_folder_is_granted(bench: Bench) -> None:
    found = outcomes(bench, IN)

    assert found == {f"{kind}:{path}": "done" for kind, _, path in IN}
    assert reader.read(bench.recording).header.left_out == {}


@pytest.mark.skipif(bool(WHY_NOT), reason=f"bubblewrap is unusable: {WHY_NOT}")
def test_nothing_of_it_is_there_within_the_sandbox_wrapper(own_bench: Bench) -> None:
    own_bench.wrapper, own_bench.mounts = [os.fsencode(BWRAP)], True

    found = outcomes(own_bench, OUT)

    assert "done" not in found.values()
    assert not (own_bench.top / "other/gen/new").exists()


@pytest.mark.skipif(bool(WHY_NOT), reason=f"bubblewrap is unusable: {WHY_NOT}")
def test_links_within_a_folder_lead_there_within_the_sandbox_wrapper(own_bench: Bench) -> None:
    own_bench.wrapper, own_bench.mounts = [os.fsencode(BWRAP)], True

    assert outcomes(own_bench, IN) == {f"{kind}:{path}": "done" for kind, _, path in IN}


def test_a_denial_is_about_what_links_lead_to(own_bench: Bench) -> None:
    own_bench.deny = {"read": ["$MANIFEST_DIR/out/**"], "write": ["$WORKSPACE/out/**"]}
    other = own_bench.top / "other"
    cases = (("read", f"{other}/**", "../other/gen/data"), ("write", f"{other}/**", "out/new"))

    assert set(outcomes(own_bench, cases).values()) == {"13"}
    assert not (other / "gen/new").exists()


def test_a_denial_of_what_is_not_there_yet_is_about_what_links_lead_to(own_bench: Bench) -> None:
    lay(own_bench)
    own_bench.grants = {"write": [f"{own_bench.top}/other/**"]}
    own_bench.deny = {"write": ["$WORKSPACE/out/new"]}
    path = own_bench.top / "other/gen/new"

    ended = own_bench.run(own_bench.script(f"open({str(path)!r}, 'w')"))

    assert ended.status != 0
    assert f"it made what it was denied to write: {path}" in ended.stderr.decode()


def test_a_workspace_that_is_reached_by_a_link_is_as_any_other(
    tmp_path: Path, own_bench: Bench
) -> None:
    # Its places are those of the true folder; nothing leads out of that.
    lay(own_bench)
    way = own_bench.top / "way"
    way.symlink_to("ws")
    places = {"WORKSPACE": bytes(own_bench.workspace), "OTHER": bytes(tmp_path)}
    for root in (way, own_bench.workspace):
        containment = Containment(places | {"WORKSPACE": bytes(root)}, ())
        true = bytes(own_bench.workspace / "true")
        assert containment.within("read", "$WORKSPACE/in/**") == [(true, True)]
        assert containment.within("read", "$WORKSPACE/out/**") == []


@pytest.mark.parametrize("key", ["rustc-link-search", "rustc-link-arg"])
def test_a_directive_is_about_the_folder_that_a_link_leads_to(own_bench: Bench, key: str) -> None:
    lay(own_bench)
    places = {"MANIFEST_DIR": bytes(own_bench.package), "OUT_DIR": bytes(own_bench.out_dir)}
    dash = "-L" if key == "rustc-link-arg" else ""
    granted = [f"{key}={dash}$MANIFEST_DIR/**", f"{key}={dash}$OUT_DIR/**"]

    def judged(path: Path | str, denied: tuple[str, ...] = ()) -> str:
        return directive.judge(key, f"{dash}{path}", granted=granted, denied=denied, places=places)

    assert judged(own_bench.package / "in") == directive.GRANTED
    assert judged(own_bench.package / "out") == directive.REFUSED
    assert judged(f"{own_bench.out_dir}/../up") == directive.REFUSED
    granted.append(f"{key}={dash}{own_bench.top}/other/**")
    assert judged(own_bench.package / "out") == directive.GRANTED
    denied = (f"{key}={dash}$MANIFEST_DIR/out",)
    assert judged(own_bench.package / "out", denied) == directive.REFUSED


def test_links_that_change_while_they_are_looked_at_are_not_believed(tmp_path: Path) -> None:
    for name in ("ws/gen", "away"):
        (tmp_path / name).mkdir(parents=True)
    containment = Containment({}, [bytes(tmp_path / "ws")])
    named, real = (os.fsencode(tmp_path / name) for name in ("ws/gen", "away"))
    assert not containment.holds("/x/**", named, real)  # It was a link when it was resolved.
    assert containment.holds("/x/**", named, named)


def test_a_path_is_written_with_its_token_only_where_it_lies_there(own_bench: Bench) -> None:
    lay(own_bench)
    places = {"WORKSPACE": bytes(own_bench.workspace)}
    inside, outside = bytes(own_bench.workspace / "in/x"), bytes(own_bench.workspace / "out/x")
    assert contained(inside, places) == locate(inside, places) == "$WORKSPACE/in/x"
    assert contained(outside, places) == f"{own_bench.top}/other/gen/x"
