"""Reports that are made by hand."""

from __future__ import annotations

from collections.abc import Callable

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.report.finding import Finding, Level, Report

CARGO_TOML = b"""\
[workspace]
members = ["app"]

[workspace.dependencies]
pad = "1"

[workspace.metadata.buildperm]
version = 1

[workspace.metadata.buildperm.crates.openssl-sys]
reviewed = ["0.9.104"]
presets = ["cc"]
exec = [
    "make",
    "perl",
]

[workspace.metadata.buildperm.crates.ring]
env = ["RING_*"]
"""


def access(kind: Kind, target: str, outcome: Outcome = Outcome.REFUSED, count: int = 1) -> Access:
    return Access(
        kind, target, outcome, count, 10, 20, (("build-script", "sh", "curl"),), example="curl x"
    )


def many(number: int, change: Callable[[Finding], Finding] = lambda finding: finding) -> Report:
    """Make a report of `number` findings about a tenth as many crates."""
    evidence = (access(Kind.EXEC, "perl"),)
    made = [
        change(
            Finding(
                rule="exec",
                level=Level.ERROR if index % 2 else Level.WARNING,
                crate=f"crate-{index // 10}",
                version="1.0.0",
                title=f"crate-{index // 10} 1.0.0 was refused to run program-{index}",
                details=(
                    "It runs a program that is found through PATH.",
                    f"exec program-{index}: refused, by build script > make > program-{index}",
                ),
                way=("app", "between", f"crate-{index // 10}"),
                remedy=(
                    f"[workspace.metadata.buildperm.crates.crate-{index // 10}]",
                    f'exec = ["program-{index}"]',
                ),
                command="buildperm review",
                line=index + 1,
                fingerprint=f"{index:032x}",
                evidence=evidence,
                risk=Risk(index % 4),
            )
        )
        for index in range(number)
    ]
    return Report(None, tuple(made), "demo", "Cargo.toml", 20)
