"""The proposed patch: `git apply` takes it, it says who wants what, and approves nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import manifest
from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import effective
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import why_sensitive
from buildperm.report.patch import is_patch, patch

PATH = Path("Cargo.toml")
WORKSPACE = b'[workspace]\nmembers = ["app"]\n'
SAMPLE = (
    b'[workspace]\nmembers = ["app"]\n\n[workspace.metadata.buildperm]\nversion = 1\n\n'
    b"# Why: it asks perl.\n[workspace.metadata.buildperm.crates.sample]\n"
    b'reviewed = ["0.1.0"]\nexec = ["perl"]\n'
)


def access(kind: Kind, target: str, count: int = 1, chain: tuple[str, ...] = ("sh",)) -> Access:
    why = why_sensitive(kind, target)
    chains = (("build script", *chain),)
    return Access(kind, target, Outcome.REFUSED, count, 1, 2, chains, "", why)


def asked(*accesses: Access, crate: str = "sample", version: str = "0.1.0") -> list[Proposal]:
    return propose(crate, version, accesses)


def applied(raw: bytes, diff: bytes, folder: Path, name: str = "Cargo.toml") -> bytes:
    """Return the file after `git apply`."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(raw)
    (folder / "patch").write_bytes(diff)
    settings = ["-c", "core.autocrlf=false", "-c", "core.safecrlf=false"]
    subprocess.run(["git", *settings, "apply", "patch"], cwd=folder, check=True, timeout=120)
    return file.read_bytes()


def test_what_was_refused_is_granted_narrowly_with_its_evidence(tmp_path: Path) -> None:
    proposals = asked(
        access(Kind.EXEC, "perl", 3, ("make", "perl")),
        access(Kind.READ, "$WORKSPACE/data.txt"),
    )

    after = applied(WORKSPACE, patch(WORKSPACE, proposals, PATH), tmp_path)

    grants = manifest.read(after, PATH).crates["sample"]
    assert grants.rules == {Rule(Kind.EXEC, "perl"), Rule(Kind.READ, "$WORKSPACE/data.txt")}
    assert not grants.reviewed
    assert (
        "# proposed by buildperm, nobody has approved this: sample 0.1.0 tried to run perl 3 times,"
        " by build script > make > perl"
    ) in after.decode()
    assert after.startswith(WORKSPACE)


def test_what_is_locked_or_critical_is_only_a_comment(tmp_path: Path) -> None:
    proposals = asked(
        access(Kind.READ, "$HOME/.ssh/id_ed25519"),
        access(Kind.NET, "198.51.100.1:443"),
        crate="thief",
    )

    after = applied(WORKSPACE, patch(WORKSPACE, proposals, PATH), tmp_path)

    assert manifest.read(after, PATH).crates == {}
    comments = after.removeprefix(WORKSPACE).decode().splitlines()
    assert all(line.startswith("# not proposed by buildperm, ") for line in comments if line)
    assert any("thief 0.1.0 tried to read $HOME/.ssh/id_ed25519" in line for line in comments)


def test_a_risky_grant_stays_out_of_force_until_its_version_is_reviewed(tmp_path: Path) -> None:
    proposals = asked(access(Kind.WRITE, "$WORKSPACE/generated/made.txt"))

    after = applied(WORKSPACE, patch(WORKSPACE, proposals, PATH), tmp_path)

    grants = manifest.read(after, PATH).crates["sample"]
    assert grants.rules
    assert not effective(grants, "0.1.0").rules


def test_what_would_be_in_force_at_once_is_risky_and_so_only_told(tmp_path: Path) -> None:
    proposals = asked(access(Kind.WRITE, "$WORKSPACE/generated/made.txt"))

    after = applied(SAMPLE, patch(SAMPLE, proposals, PATH), tmp_path)

    assert manifest.read(after, PATH).crates == manifest.read(SAMPLE, PATH).crates
    assert "it would be in force before anybody has reviewed it" in after.decode()


def test_a_risky_grant_for_one_version_is_only_told_where_another_is_reviewed(
    tmp_path: Path,
) -> None:
    proposals = asked(access(Kind.EXEC, "curl"), access(Kind.EXEC, "sed"), version="0.2.0")

    after = applied(SAMPLE, patch(SAMPLE, proposals, PATH), tmp_path)

    grants = manifest.read(after, PATH).crates["sample"]
    assert Rule(Kind.EXEC, "curl") not in effective(grants, "0.1.0").rules
    assert Rule(Kind.EXEC, "sed") in grants.rules
    assert "reviewed it: sample 0.2.0 tried to run curl" in after.decode()


def test_a_crate_that_has_a_table_keeps_what_it_says_and_gets_its_comments_above_it(
    tmp_path: Path,
) -> None:
    proposals = asked(access(Kind.EXEC, "sed"))

    after = applied(SAMPLE, patch(SAMPLE, proposals, PATH), tmp_path).decode()

    before, _, table = after.partition("[workspace.metadata.buildperm.crates.sample]\n")
    assert before.splitlines()[-1].startswith("# proposed by buildperm")
    assert "# Why: it asks perl." in before
    assert table == 'reviewed = ["0.1.0"]\nexec = ["perl", "sed"]\n'


@pytest.mark.parametrize(
    "raw",
    [
        WORKSPACE,
        WORKSPACE[:-1],
        WORKSPACE.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + SAMPLE,
        SAMPLE[:-1],
        b"[package]\nname = 'x'\nversion = '1.0.0'\n",
        WORKSPACE + b"metadata.buildperm = { version = 1, crates = { sample = {} } }\n",
        WORKSPACE + b"metadata.buildperm.version = 1\nmetadata.buildperm.crates.a.exec = ['x']\n",
        WORKSPACE + b"[workspace.metadata.buildperm]\nversion = 1\n[profile.dev]\ndebug = 0",
    ],
)
def test_a_patch_fits_however_the_file_is_written(tmp_path: Path, raw: bytes) -> None:
    proposals = [
        *asked(access(Kind.EXEC, "sed")),
        *asked(access(Kind.READ, "$HOME/.ssh/id_rsa"), crate="thief"),
    ]

    after = applied(raw, patch(raw, proposals, PATH, "sub/Cargo.toml"), tmp_path, "sub/Cargo.toml")

    grants = manifest.read(after, PATH).crates
    assert Rule(Kind.EXEC, "sed") in grants["sample"].rules
    assert "thief" not in grants
    assert after.count(b"thief 0.1.0") == 1
    assert (b"\r\n" in after) == (b"\r\n" in raw)
    assert b"\r\n" not in raw or after.count(b"\n") == after.count(b"\r\n")


def test_nothing_to_propose_is_an_empty_patch() -> None:
    assert patch(WORKSPACE, [], PATH) == b""


def test_evidence_is_bounded(tmp_path: Path) -> None:
    many = [access(Kind.READ, f"$WORKSPACE/proto/{number:03}.txt") for number in range(100)]

    after = applied(WORKSPACE, patch(WORKSPACE, asked(*many), PATH), tmp_path).decode()

    comments = [line for line in after.splitlines() if line.startswith("#")]
    assert len(comments) == 6
    assert "95 more of the same" in comments[-1]


_HOSTILE = st.text(st.characters(codec="utf-8"), max_size=300)


@given(st.lists(_HOSTILE, max_size=3), _HOSTILE)
def test_a_comment_stays_one_printable_line_whatever_a_script_calls_its_programs(
    chain: list[str], example: str
) -> None:
    seen = Access(Kind.EXEC, "ruby", Outcome.REFUSED, 1, 1, 2, (("build script", *chain),), example)

    written = patch(WORKSPACE, asked(seen), PATH)
    lines = written.decode().splitlines()

    assert is_patch(written)
    added = [line[1:] for line in lines[3:] if line.startswith("+")]
    assert added == [
        "",
        "[workspace.metadata.buildperm]",
        "version = 1",
        "",
        added[4],
        "[workspace.metadata.buildperm.crates.sample]",
        'exec = ["ruby"]',
    ]
    assert added[4].startswith("# proposed by buildperm, nobody has approved this: sample 0.1.0")
    assert added[4].isprintable()
    assert len(added[4]) <= 250


def test_a_diff_of_somebody_else_is_no_patch_of_buildperm() -> None:
    assert is_patch(patch(SAMPLE, asked(access(Kind.READ, "$WORKSPACE/data.txt")), PATH))
    assert is_patch(b"")
    assert not is_patch(b"--- a/Cargo.toml\n+++ b/Cargo.toml\n@@ -1 +1 @@\n-a\n+b\n")
    assert not is_patch(SAMPLE)


def test_many_crates_take_little_longer_for_each() -> None:
    calls = 0

    def count(frame: object, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    def cost(many: int) -> int:
        nonlocal calls
        wanted = [
            each
            for number in range(many)
            for each in asked(access(Kind.EXEC, "sed"), crate=f"crate-{number:03}")
        ]
        patch(SAMPLE, wanted, PATH)
        calls = 0
        sys.setprofile(count)
        try:
            patch(SAMPLE, wanted, PATH)
        finally:
            sys.setprofile(None)
        return calls

    assert cost(90) < 4.5 * cost(30)
