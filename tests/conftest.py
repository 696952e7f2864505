"""Settles the surroundings, and fails tests that were skipped for lack of what has to be there."""

from __future__ import annotations

import os
import re
from collections.abc import Generator

import pytest

from tests import surroundings

_REQUIRED = [name for name in os.environ.get("BUILDPERM_REQUIRE", "").split(",") if name]
# Reasons are worded so: "this kernel has no Landlock", "strace is not installed".
_MISSING = re.compile(
    "|".join(rf"\bno {re.escape(name)}\b|\b{re.escape(name)} is\b" for name in _REQUIRED) or "(?!)",
    re.IGNORECASE,
)

# Before anything is imported or started that looks around.
_MADE = surroundings.settle()


def pytest_unconfigure() -> None:
    """Remove what has been made for all tests."""
    surroundings.unsettle(_MADE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what was skipped for lack of something that BUILDPERM_REQUIRE names."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and call.excinfo is not None:
        reason = str(call.excinfo.value)
        if _MISSING.search(reason):
            report.outcome = "failed"
            report.longrepr = f"BUILDPERM_REQUIRE={','.join(_REQUIRED)}, but: {reason}"
    return report
