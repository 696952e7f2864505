"""How a `learn` or `review` ended."""

from __future__ import annotations

from dataclasses import dataclass

from buildperm.report.build_failure import BuildFailure


@dataclass(frozen=True, slots=True)
class LearningEnd:
    """What the command hands on to whoever called it."""

    exit_code: int
    failure: BuildFailure | None  # Why Cargo failed in the last round; None where it did not.
