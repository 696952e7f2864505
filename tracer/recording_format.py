"""What the writer and the readers of recordings agree on.

Part of the supervisor: imports nothing.
"""

VERSION = 1
"""Of the format. A reader refuses newer ones."""

REUSED = 1 << 22
"""PID_MAX_LIMIT: is added to a process ID for each earlier program that had the same one."""

FULL, LIGHT = "full", "light"
"""How a run was observed. Light: files that compilers have read are not listed."""

CARGO = "cargo"
"""What a recording names as the command where plain Cargo was held; else one of buildperm's."""

SCRIPT, MACRO, COMPILE = SUBJECTS = ("script", "macro", "compile")
"""What of a package was run: its build script, its procedural macros, or a compiler on its code."""
