"""The baseline's patterns, prepared once to match many targets."""

from __future__ import annotations

from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.rules import baseline

ALLOWED = {kind: PatternSet(kind.traits.baseline) for kind in Kind}
"""What every build script may do."""

HABITS = {kind: PatternSet(kind.traits.habits) for kind in Kind}
"""What programs try out of habit, and get by without."""

OF_PROGRAMS = PatternSet(baseline.OF_PROGRAMS)
"""Of the habits of reading, those that only programs have."""

NOT_OWN = PatternSet(baseline.NOT_OWN)
"""What `ALLOWED` covers though it belongs to somebody else."""

NEVER_LISTED = frozenset(("/", "/proc", "/etc", "/dev"))
"""Folders in which something is always closed, so that no grant lets anybody list them."""

SOUGHT_BY_TOOLS = PatternSet(baseline.SOUGHT_BY_TOOLS)
"""Settings that tools look for beside the sources."""
