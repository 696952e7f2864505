"""Settings for properties: a busy machine is not a slow program."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("policy", deadline=None, database=None)
settings.load_profile("policy")
