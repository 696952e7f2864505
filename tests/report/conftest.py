from __future__ import annotations

import pytest

from buildperm.policy.access import Access, Kind, Outcome
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.rule import Rule
from buildperm.report.run import BuildRun, ScriptRun


def access(kind: Kind, target: str, outcome: Outcome = Outcome.REFUSED, count: int = 1) -> Access:
    return Access(
        kind, target, outcome, count, 10, 20, (("build-script", "sh", "curl"),), example="curl x"
    )


@pytest.fixture
def held() -> BuildRun:
    """Three scripts: one that keeps to its grants, one that lacks some, one that steals."""
    lacking = Proposal(
        id="0123456789ab",
        crate="openssl-sys",
        version="0.9.104",
        title="run pkg-config",
        ladder=(
            Choice("preset pkg-config", (), preset="pkg-config"),
            Choice("pkg-config", (Rule(Kind.EXEC, "pkg-config"),)),
        ),
        risk=Risk.MEDIUM,
        reasons=("It runs a program that is found through PATH.",),
        evidence=(access(Kind.EXEC, "pkg-config", count=6),),
    )
    stealing = Proposal(
        id="ba9876543210",
        crate="left-padding",
        version="1.0.0",
        title="read keys",
        ladder=(Choice("exactly this", (Rule(Kind.READ, "$HOME/.ssh/id_ed25519"),)),),
        risk=Risk.CRITICAL,
        reasons=("It holds a private key.",),
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
