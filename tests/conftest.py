"""Settles the surroundings, and fails tests that lack what has to be there."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests import surroundings

_REQUIRED = [name for name in os.environ.get("BUILDPERM_REQUIRE", "").split(",") if name]
# Reasons are worded so: "this kernel has no Landlock", "strace is not installed".
_MISSING = re.compile(
    "|".join(rf"\bno {re.escape(name)}\b|\b{re.escape(name)} is\b" for name in _REQUIRED) or "(?!)",
    re.IGNORECASE,
)

# How long an example takes says something about the machine. Where all is required, each run tries
# the same examples, so that it says something about the change; runs of people look for new ones.
settings.register_profile(
    "unhurried", settings(settings.default, deadline=None, derandomize=bool(_REQUIRED))
)
settings.load_profile("unhurried")

# Before anything is imported or started that looks around.
_MADE = surroundings.settle()


def pytest_unconfigure() -> None:
    """Remove what has been made for all tests."""
    surroundings.unsettle(_MADE)


@pytest.hookimpl(tryfirst=True)  # Before pytest chooses by markers.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow all cases of a test but those that `quick` leaves: they lie evenly apart.

    Where root runs the tests, those of a script of root's beside the same of an ordinary user's.
    """
    for _, group in itertools.groupby(items, lambda item: item.nodeid.partition("[")[0]):
        cases = list(group)
        mark = cases[0].get_closest_marker("quick")
        if mark is not None:
            (most,) = mark.args
            left = {number * len(cases) // most for number in range(most)}
            for number, case in enumerate(cases):
                if number not in left:
                    case.add_marker(pytest.mark.slow)
    if os.getuid() == 0:
        for item in items:
            if _is_of_root_once_more(item):
                item.add_marker(pytest.mark.slow)


def _is_of_root_once_more(item: pytest.Item) -> bool:
    """Tell whether a case is the same as another one, which runs as an ordinary user."""
    given = getattr(item, "callspec", None)
    params = given.params.values() if given is not None else ()
    values = [value[0] if isinstance(value, tuple) and value else value for value in params]
    return any(isinstance(value, str) and value.split("-")[0] == "own" for value in values)


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
