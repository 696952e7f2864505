from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.pending_review import Cause, Pending
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import Context, Inputs, SeenAccess, Snapshot, SnapshotRun
from buildperm.policy.widening import EVERYBODY, WiderGrant
from buildperm.report import findings, widened
from buildperm.report.build_failure import BrokenPackage, BrokenStep, BuildFailure
from buildperm.report.build_run import BuildRun, IneffectiveGrant, ScriptRun
from buildperm.report.finding import Finding, Level, Report
from buildperm.report.manifest_place import GrantLines
from tests.report.reports import CARGO_TOML, access

_YOUNG = (
    "fresh 1.0.0 is young (published 2 days ago): held to the baseline until 2026-12-06 18:57 UTC, "
    'whatever it is granted; wait, or write `young = ["fresh@1.0.0"]` by hand'
)


@pytest.fixture
def held() -> BuildRun:
    """Three scripts: one that keeps to its grants, one that lacks some, one that steals."""
    lacking = Proposal(
        id="0123456789ab",
        crate="openssl-sys",
        version="0.9.104",
        title="run pkg-config",
        choices=(
            Choice("preset pkg-config", (), preset="pkg-config"),
            Choice("pkg-config", (Rule(Kind.EXEC, "pkg-config"),)),
        ),
        risk=Risk.MEDIUM,
        notes=("It runs a program that is found through PATH.",),
        evidence=(access(Kind.EXEC, "pkg-config", count=6),),
    )
    stealing = Proposal(
        id="ba9876543210",
        crate="left-padding",
        version="1.0.0",
        title="read keys",
        choices=(Choice("exactly this", (Rule(Kind.READ, "$HOME/.ssh/id_ed25519"),)),),
        risk=Risk.CRITICAL,
        notes=("It holds a private key.",),
        evidence=tuple(access(Kind.READ, f"$HOME/.ssh/id_{number}") for number in range(9)),
        locked="It can only be granted by hand.",
    )
    return BuildRun(
        runtime="portable",
        landlock_abi=7,
        kernel="6.18.0",
        left_open=("File names and sizes can be seen.",),
        scripts=(
            ScriptRun("anyhow", "1.0.0", "registry+x", ("app", "anyhow"), 12, 4, 5, ()),
            ScriptRun(
                "left-padding", "1.0.0", "", ("app", "pad", "left-padding"), 9, 9, 5, (stealing,)
            ),
            ScriptRun(
                "openssl-sys",
                "0.9.104",
                "registry+x",
                ("openssl-sys",),
                6,
                1,
                5,
                (lacking,),
                failure="it left 2 processes running",
            ),
        ),
        cargo_exit=101,
    )


def proposal(crate: str, kind: Kind, title: str, *targets: str, risk: Risk, why: str) -> Proposal:
    """Make a proposal as if a run had been refused `targets`."""
    return Proposal(
        id="0123456789ab",
        crate=crate,
        version="1.0.0",
        title=title,
        choices=(Choice("exactly", tuple(Rule(kind, target) for target in targets)),),
        risk=risk,
        notes=(why,),
        evidence=tuple(access(kind, target) for target in targets),
        locked="No grant opens it." if kind in (Kind.NET, Kind.SYSTEM) else "",
    )


_AGAINST = "main (0123456789ab)"
_WIDER = (
    WiderGrant(
        "openssl-sys",
        "exec:perl",
        "may run `perl`",
        ("high risk: it interprets.", "The reason that Cargo.toml gives: configures"),
        Risk.HIGH,
        ("crates", "openssl-sys", "exec"),
    ),
    WiderGrant(
        EVERYBODY, "limit seconds", "may use more: seconds = 9", (), None, ("limits", "seconds")
    ),
)
_FRESH = Snapshot(
    "fresh",
    "1.0.0",
    "",
    Inputs("", {}, (), "0" * 64),
    {},
    (
        SnapshotRun(
            Context("t", "debug", ()),
            "portable",
            frozenset({SeenAccess(Kind.EXEC, "cc", Outcome.DONE)}),
        ),
    ),
)


@pytest.fixture
def every_rule(held: BuildRun) -> Report:
    """Return a report with at least one finding of each rule."""
    greedy = ScriptRun(
        crate="greedy",
        version="1.0.0",
        source="registry+x",
        way=("app", "greedy"),
        events=7,
        accesses=7,
        duration_ns=1_500_000_000,
        findings=(
            proposal(
                "greedy",
                Kind.NET,
                "connect to example.org:443",
                "example.org:443",
                risk=Risk.HIGH,
                why="It reaches out.",
            ),
            proposal(
                "greedy",
                Kind.WRITE,
                "write $WORKSPACE/src/lib.rs",
                "$WORKSPACE/src/lib.rs",
                risk=Risk.HIGH,
                why="It changes source code.",
            ),
            proposal(
                "greedy",
                Kind.DIRECTIVE,
                "tell Cargo rustc-link-arg=-Bx",
                "rustc-link-arg=-Bx",
                risk=Risk.HIGH,
                why="It steers the linker.",
            ),
            proposal(
                "greedy",
                Kind.SYSTEM,
                "call ptrace",
                "ptrace",
                risk=Risk.HIGH,
                why="It looks into others.",
            ),
            proposal(
                "greedy",
                Kind.ENV,
                "see the environment variables A, B",
                "A",
                "B",
                risk=Risk.LOW,
                why="They are not Cargo's.",
            ),
        ),
        dropped=1_200,
        left_out=(
            IneffectiveGrant(Rule(Kind.WRITE, "$MANIFEST_DIR/gen/**"), "$WORKSPACE/other/gen"),
        ),
        unopened=(
            Access(
                Kind.WRITE,
                "$WORKSPACE/gen/new.rs",
                Outcome.REFUSED,
                1,
                0,
                0,
                (("build script", "protoc"),),
            ),
        ),
    )
    broken = (
        BrokenPackage("greedy", "1.0.0", BrokenStep.RUN_SCRIPT, was_refused=True),
        BrokenPackage("no-rust", "1.0.0", BrokenStep.COMPILE_SCRIPT, was_refused=False),
    )
    failure = BuildFailure(101, broken, ("no-rust 1.0.0", "later 2.0.0"), was_refused=True)
    run = replace(held, scripts=(*held.scripts, greedy), failure=failure)
    lines = GrantLines(CARGO_TOML, Path("Cargo.toml"))
    pending = (
        Pending("fresh", "fresh", "1.0.0", "", "", ("app", "fresh"), ((Cause.NEW, "It is new."),)),
        Pending(
            "openssl-sys",
            "openssl-sys",
            "0.9.118",
            "",
            "0.9.104",
            ("app", "openssl-sys"),
            (
                (Cause.VERSION, "The version changed: 0.9.104 -> 0.9.118."),
                (Cause.BUILD_DEPENDENCIES, "Built with cc 1.2.4 instead of cc 1.2.3."),
            ),
        ),
    )
    unused = [("openssl-sys", "0.9.104", ["preset:cc", "exec:perl"]), ("ring", "", ["env:RING_*"])]
    return Report(
        run=run,
        findings=(
            *findings.from_build(run, lines),
            *findings.from_pending(pending, lines),
            *findings.from_unused(unused, lines),
            *findings.from_young([("fresh", "1.0.0", _YOUNG)], lines),
            *widened.from_wider(_WIDER, lines, _AGAINST, level=Level.ERROR),
            *widened.from_new_reviews({}, {("fresh", "1.0.0"): _FRESH}, lines, _AGAINST),
        ),
        workspace="demo",
        manifest="rust/Cargo.toml",
        exit_code=20,
        members=("app",),
        pending=pending,
        unused=(
            ("openssl-sys", "exec:perl"),
            ("openssl-sys", "preset:cc"),
            ("ring", "env:RING_*"),
        ),
    )


HOSTILE = (
    "\x1b[31m|`a``b```{0}[x](y)<script>alert(1)</script> & \r\n::error::forged\u202e"
    "%0A::add-mask::x \udcff\ud800 ]]> --> \x00 https://example.org @all #1 \\|\\"
)


@pytest.fixture
def hostile() -> Report:
    """Return a report in which every text is hostile."""
    finding = Finding(
        rule="exec",
        level=Level.ERROR,
        crate=HOSTILE,
        version=HOSTILE,
        title=HOSTILE,
        details=(HOSTILE, ""),
        way=(HOSTILE, HOSTILE),
        remedy=(HOSTILE,),
        command=HOSTILE,
        line=-1,
        fingerprint="00",
    )
    script = ScriptRun(HOSTILE, HOSTILE, HOSTILE, (HOSTILE, HOSTILE), 1, 1, -5, ())
    run = BuildRun(HOSTILE, 7, HOSTILE, (HOSTILE,), (script,), 1)
    return Report(run, (finding,), HOSTILE, HOSTILE, 20)
