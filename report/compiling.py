"""How compilers and macros were held in a build, where that is less than it can be."""

from __future__ import annotations

_FREE = "macros and compilers may do what you may"


def compiling_text(compiling: str, macros: str, lacking: str = "") -> str:
    """Say it in a sentence; empty where everything is held.

    Args:
        compiling: As in `BuildRun.compiling`.
        macros: As in `BuildRun.macros`.
        lacking: As in `BuildRun.lacking`.
    """
    reason = lacking or f'`compile = "{compiling}"`'
    match compiling, macros:
        case "watch", _:
            return f"compiling is not held ({reason}): {_FREE}, and what they read is only told."
        case "off", _:
            return f"compiling is not held ({reason}): {_FREE}."
        case _, "inside":
            return (
                "macros run inside the compiler, with the grants of all of them together: this "
                "version does not know how this tool chain speaks with them."
            )
        case _:
            return ""
