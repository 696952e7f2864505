"""The runtimes that work on this machine."""

from __future__ import annotations

from buildperm.sandbox.machine import bubblewrap, probe_wrapper

_BWRAP = bubblewrap()

_WHY_NOT = probe_wrapper(_BWRAP) if _BWRAP else "it is not installed"

RUNTIMES = ["portable", *([] if _WHY_NOT else ["full"])]
