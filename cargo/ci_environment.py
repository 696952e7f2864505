"""Tells whether a build runs where nobody can be asked anything: continuous integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = (
    "CI",
    "CONTINUOUS_INTEGRATION",
    "BUILD_NUMBER",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "BUILDKITE",
    "CIRCLECI",
    "TRAVIS",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "APPVEYOR",
    "CODEBUILD_BUILD_ID",
    "DRONE",
    "CIRRUS_CI",
    "BITBUCKET_BUILD_NUMBER",
)
"""What services set. `CI` is set by nearly all of them."""


def is_ci(environment: Mapping[str, str]) -> bool:
    """Tell whether any of these variables is set, whatever to."""
    return any(environment.get(name) for name in NAMES)
