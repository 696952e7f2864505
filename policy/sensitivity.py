"""Sensitivity: why a target of any kind belongs to the sensitive tier."""

from __future__ import annotations

from functools import lru_cache

from buildperm.policy.kinds import Kind, Syntax
from buildperm.rules import address, sensitive
from buildperm.rules.variables import withheld_because

STEERS = "it would make rustc, the linker or Cargo run something else"
"""Why a directive is forbidden."""


@lru_cache(maxsize=8192)  # Most scripts do much the same.
def why_sensitive(kind: Kind, target: str) -> str:
    """Say why a target is in the sensitive tier; empty if it is not.

    Directives are judged where they are printed, as their values hold absolute paths.
    """
    match kind.traits.syntax:
        case Syntax.PATH | Syntax.PROGRAM:
            return sensitive.why(target, writing=kind is Kind.WRITE)
        case Syntax.ADDRESS:
            is_path = target.startswith(("/", "$", "@"))
            return (
                sensitive.why(target, writing=False) if is_path else address.why_sensitive(target)
            )
        case Syntax.VARIABLE:
            return withheld_because(target)
        case Syntax.DIRECTIVE | Syntax.CALL:
            return ""
