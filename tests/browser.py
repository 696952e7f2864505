"""A real browser for pages that buildperm writes: Chromium, without a window."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_CONSOLE = re.compile(r":CONSOLE[:(]\d+\)?\] (.*)")
_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-default-apps", "--disable-extensions", "--hide-scrollbars"),
    # Whatever it wants of the world on its own account; pages may still ask this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_OWN = re.compile(
    r"(?:chrome|chrome-extension|devtools|about|data):|https?://[\w.-]*\.google(?:apis)?\.com/"
)
"""What the browser asks for on its own account, whatever it shows."""


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """What came of opening a page."""

    dom: str  # As the browser has it in the end.
    console: list[str]  # What the page, or the browser about it, put on the console.
    requests: set[str]  # Addresses that were asked for, but for the page itself.


class Browser:
    """Opens files; each time with a profile of its own."""

    def __init__(self, folder: Path) -> None:
        """Find the browser; `folder` is for its profile.

        Skips the test where there is none.
        """
        found = next(filter(None, map(shutil.which, _NAMES)), None)
        if found is None:
            pytest.skip("no chromium")
        self._program = found
        self._folder = folder

    def open(self, page: Path, *words: str) -> OpenedPage:
        """Open a page, let it settle, and return what it has become."""
        log = self._folder / "net.json"
        told = self._run(
            page, "--dump-dom", "--virtual-time-budget=3000", f"--log-net-log={log}", *words
        )
        console = [
            found[1] for line in told.stderr.splitlines() if (found := _CONSOLE.search(line))
        ]
        return OpenedPage(told.stdout, console, set(_requests(log)) - {page.as_uri()})

    def picture(self, page: Path, to: Path, size: tuple[int, int], *words: str) -> bytes:
        """Return a picture of the page as PNG."""
        width, height = size
        self._run(page, f"--screenshot={to}", f"--window-size={width},{height}", *words)
        return to.read_bytes()

    def printed(self, page: Path, to: Path) -> bytes:
        """Return the page as PDF."""
        self._run(page, f"--print-to-pdf={to}", "--no-pdf-header-footer")
        return to.read_bytes()

    def _run(self, page: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(self._program, *_QUIET, f"--user-data-dir={self._folder / 'profile'}"),
                *("--enable-logging=stderr", *words, page.as_uri()),
            ],
            capture_output=True,
            check=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=120,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self._folder), "LC_ALL": "C.UTF-8"},
        )


def _requests(log: Path) -> Iterator[str]:
    """Yield the addresses of a net log; it may lack its end, as the browser was in a hurry."""
    for line in log.read_text().splitlines():
        try:
            event: Any = json.loads(line.strip().rstrip(","))
        except ValueError:
            continue
        params: Any = event.get("params", {}) if isinstance(event, dict) else {}
        address = params.get("url", "") if isinstance(params, dict) else ""
        if isinstance(address, str) and address and not _OWN.match(address):
            yield address
