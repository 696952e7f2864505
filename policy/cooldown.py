"""Cooldown: versions that are younger than `min-age` are held to the baseline, whatever is granted.

Most malicious versions are found and removed within days. Who waits does not run them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_AGE = re.compile(r"(0|[1-9]\d{0,4})([hdw])", re.ASCII)
_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
LONGEST = 3650 * 86400
"""The longest age, in seconds: ten years."""

TOO_YOUNG = "is younger than `min-age`"
"""What every reason holds that is about an age."""


@dataclass(frozen=True, slots=True)
class Youth:
    """A version that is too young; times are seconds since 1970."""

    name: str
    version: str
    since: int  # When it was published, or seen for the first time.
    until: int  # From then on its grants are in force.
    is_published: bool  # `since` is what the index of its registry says.

    @property
    def clause(self) -> str:
        """Say why none of its grants is in force; the same words as long as that is so."""
        return f"version {self.version} {TOO_YOUNG}, until {_minute(self.until)}"

    def sentence(self, now: int) -> str:
        """Say in one line how old it is, until when it is held, and what to do."""
        what = "published" if self.is_published else "first seen here"
        return (
            f"{self.name} {self.version} is young ({what} {_ago(now - self.since)}): held to the "
            f"baseline until {_minute(self.until)}, whatever it is granted; "
            f"wait, or {exception(self.name, self.version)}"
        )


def exception(name: str, version: str) -> str:
    """Say how one version is excepted, as a clause in the imperative."""
    return f'write `young = ["{name}@{version}"]` by hand and give its table a `reason`'


def parse(text: str) -> int:
    """Read an age, such as `7d`, `36h` or `2w`, in seconds; 0 is none.

    Raises:
        ValueError: It is none; the text says what is wrong, as a clause.
    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValueError("must be a number of hours, days or weeks, such as `36h`, `7d` or `2w`")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > LONGEST:
        raise ValueError("is more than ten years")
    return seconds


def _minute(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "a time that cannot be told"


def _ago(seconds: int) -> str:
    if seconds < 0:
        return "in the future, by the clock of this machine"
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = seconds // unit
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "just now"
