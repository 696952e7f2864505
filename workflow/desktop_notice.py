"""Tells a person at a desktop that a build was refused something: counts, and nothing of a script.

https://specifications.freedesktop.org/notification-spec/
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from buildperm.presentation.wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT_S = 5
_TITLE = "buildperm"
_NAME = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"


def is_possible(environment: Mapping[str, str]) -> bool:
    """Tell whether there is a session bus on which a desktop may listen."""
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    is_running = runtime.startswith("/") and os.path.exists(os.path.join(runtime, "bus"))
    return bool(environment.get("DBUS_SESSION_BUS_ADDRESS")) or is_running


def show(refused: int, environment: Mapping[str, str]) -> bool:
    """Say how much a build was refused; False where nobody could be told.

    Args:
        refused: How many questions are left open.
        environment: That of the person's Cargo.
    """
    body = (
        f"A build script was refused {plural(refused, 'thing')}. "
        "Run buildperm review in its workspace to decide."
    )
    for command in _commands(body, environment):
        try:
            ran = subprocess.run(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if ran.returncode == 0:
            return True
    return False


def _commands(body: str, environment: Mapping[str, str]) -> list[list[str]]:
    path = environment.get("PATH", os.defpath)
    found = []
    if program := shutil.which("notify-send", path=path):
        found.append([program, "--app-name=buildperm", "--", _TITLE, body])
    if program := shutil.which("gdbus", path=path):
        call = [program, "call", "--session", f"--dest={_NAME}", f"--object-path={_PATH}"]
        given = [_TITLE, "0", "", _TITLE, body, "[]", "{}", "-1"]
        found.append([*call, f"--method={_NAME}.Notify", *given])
    return found
