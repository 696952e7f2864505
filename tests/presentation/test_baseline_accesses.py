"""What needs no decision is sorted out when it is asked for."""

from __future__ import annotations

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposals import propose
from buildperm.presentation.baseline_accesses import COUNTED_MOST, BaselineAccesses

X = ("x", "1.0.0")


def seen(kind: Kind, target: str, outcome: Outcome = Outcome.DONE) -> Access:
    return Access(kind, target, outcome, 1, 0, 1, (("build",),))


def test_an_access_is_asked_about_or_needs_no_decision() -> None:
    accesses = (
        seen(Kind.EXEC, "$SYSROOT/bin/rustc"),
        seen(Kind.EXEC, "git"),
        seen(Kind.READ, "/etc/absent", Outcome.FAILED),
        seen(Kind.READ, "$HOME/.ssh/id_ed25519"),
    )
    asked = {each for proposal in propose(*X, accesses) for each in proposal.evidence}
    quiet = BaselineAccesses({X: accesses})

    assert {*quiet.of(X), *asked} == set(accesses)
    assert [each.target for each in quiet.of(X)] == ["$SYSROOT/bin/rustc", "/etc/absent"]
    assert quiet.count(X) == 2
    assert quiet.count(("y", "1.0.0")) == 0
    assert quiet.crates == [X]


def test_many_are_counted_once_they_were_asked_for() -> None:
    one = seen(Kind.EXEC, "$SYSROOT/bin/rustc")
    quiet = BaselineAccesses({X: (one,) * (COUNTED_MOST + 1)})

    assert quiet.count(X) is None
    assert len(quiet.of(X)) == COUNTED_MOST + 1
    assert quiet.count(X) == COUNTED_MOST + 1
