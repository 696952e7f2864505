"""Whether plain Cargo may ask: as the workspace says, else as the person prefers; never in CI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.cargo import ci_environment
from buildperm.presentation.preferences import PreferencesFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from buildperm.policy.grants import Policy


@dataclass(frozen=True, slots=True)
class AskSetting:
    """What holds in one workspace for a Cargo with one environment."""

    timeout_s: int  # For each question; 0 where nothing is asked.
    said_by: str  # Which file says so, or why nothing is asked all the same, for people.
    file: Path  # The person's configuration file, there or not.


def of_workspace(policy: Policy, environment: Mapping[str, str]) -> AskSetting:
    """Find out whether to ask in an enrolled workspace.

    The person's file is looked for with the environment of this process.

    Raises:
        BuildpermError: The person's file is broken.
    """
    preferred = PreferencesFile.load()
    said_by = "Cargo.toml" if policy.ask is not None else str(preferred.path)
    wanted = preferred.preferences.ask if policy.ask is None else policy.ask
    if policy.ask is None and not wanted:
        said_by = "`ask = true` switches that on"
    if wanted and ci_environment.is_ci(environment):
        return AskSetting(0, "never in CI", preferred.path)
    return AskSetting(policy.ask_timeout_s if wanted else 0, said_by, preferred.path)
