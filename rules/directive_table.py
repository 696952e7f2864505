"""Which directives of Cargo are harmless, and which run something else.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

LINK_ARGUMENTS = (
    "rustc-link-arg",
    "rustc-link-arg-bin",
    "rustc-link-arg-bins",
    "rustc-link-arg-tests",
    "rustc-link-arg-examples",
    "rustc-link-arg-benches",
    "rustc-link-arg-cdylib",
    "rustc-cdylib-link-arg",
)
HARMLESS = (
    "rerun-if-changed",
    "rerun-if-env-changed",
    "warning",
    "error",
    "metadata",
    "rustc-cfg",
    "rustc-check-cfg",
    "rustc-link-lib",
)
ARGUMENTS = ("rustc-cfg", "rustc-check-cfg", "rustc-link-lib", "rustc-link-search", "rustc-env")
"""Keys whose values are words of their own on a command line, or name a variable."""
# With one colon Cargo knows these keys only, and takes everything else for metadata.
OLD_KEYS = (
    *(key.encode() for key in LINK_ARGUMENTS),
    *(key.encode() for key in HARMLESS if key not in ("error", "metadata")),
    b"rustc-flags",
    b"rustc-link-search",
    b"rustc-env",
)
SYSTEM_LIBRARIES = (
    "/lib/**",
    "/lib32/**",
    "/lib64/**",
    "/usr/lib/**",
    "/usr/lib32/**",
    "/usr/lib64/**",
    "/usr/local/lib/**",
    "/usr/local/lib64/**",
    "/nix/store/**",
    "/gnu/store/**",
    "/home/linuxbrew/.linuxbrew/Cellar/**",
    "/home/linuxbrew/.linuxbrew/lib/**",
    "/home/linuxbrew/.linuxbrew/opt/**",
    "$SYSROOT/**",
)
