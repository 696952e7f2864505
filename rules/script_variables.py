"""Variables of a build script that are replaced, and what of the others holds a secret.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

from buildperm.rules import makeflags, secret_values
from buildperm.rules import variables as policy
from buildperm.tracer.notation import encode

OURS = b"BUILDPERM_"
PRIVATE_HOME = "$TMP/home/"
"""The home folder that scripts and macros see, as portable text; it is empty."""

REPLACED = (
    *(b"RUSTC_WRAPPER", b"CARGO_HOME", b"RUSTUP_HOME", b"PATH"),
    # They name the target directory of a supervised build, which Cargo keeps locked: a script that
    # runs Cargo would wait for it for ever.
    *(b"CARGO_TARGET_DIR", b"CARGO_BUILD_BUILD_DIR"),
    # Without them, everybody looks for his files in HOME: XDG Base Directory Specification.
    *(b"XDG_CACHE_HOME", b"XDG_CONFIG_HOME", b"XDG_DATA_HOME", b"XDG_STATE_HOME"),
)

_COMPILER_CACHES = frozenset((b"sccache", b"cachepot", b"kache", b"ccache"))


def script_wrapper(wrapper: bytes) -> bytes:
    """Return what a script is told as RUSTC_WRAPPER where `wrapper` is in use; empty for nothing.

    A compiler cache makes no difference but of time. Its server is out of the reach of a script,
    which could fill the cache of everybody. So a script calls the compiler itself.
    """
    return b"" if wrapper.rpartition(b"/")[2] in _COMPILER_CACHES else wrapper


# What Cargo takes from the package and from its folders (Cargo book, "Environment variables Cargo
# sets for build scripts"): whatever it looks like, a crate has chosen it, or it is a path.
_OF_PACKAGE_TEXT = b"""
    CARGO_MANIFEST_DIR CARGO_MANIFEST_LINKS CARGO_MANIFEST_PATH OUT_DIR
    CARGO_PKG_AUTHORS CARGO_PKG_DESCRIPTION CARGO_PKG_HOMEPAGE CARGO_PKG_LICENSE
    CARGO_PKG_LICENSE_FILE CARGO_PKG_NAME CARGO_PKG_README CARGO_PKG_REPOSITORY
    CARGO_PKG_RUST_VERSION CARGO_PKG_VERSION CARGO_PKG_VERSION_MAJOR CARGO_PKG_VERSION_MINOR
    CARGO_PKG_VERSION_PATCH CARGO_PKG_VERSION_PRE
    """
_OF_PACKAGE = frozenset(_OF_PACKAGE_TEXT.split())


def private(home: bytes, temporary: bytes) -> dict[bytes, bytes]:
    """Return what makes a home private: git(1); no colours."""
    return {
        b"HOME": home,
        b"TMPDIR": temporary,
        b"GIT_CONFIG_GLOBAL": b"/dev/null",
        b"GIT_CONFIG_NOSYSTEM": b"1",
        b"GIT_OPTIONAL_LOCKS": b"0",
        # In `full` each granted folder is a mount, and git would not look above it.
        b"GIT_DISCOVERY_ACROSS_FILESYSTEM": b"1",
        b"TERM": b"dumb",
    }


_PRIVATE = frozenset(private(b"", b""))


def without_secrets(name: bytes, value: bytes) -> tuple[bytes | None, str]:
    """Return what may be known of a value, None for nothing; and what was left out."""
    if name in _OF_PACKAGE or name in _PRIVATE:
        return value, ""
    left, why = makeflags.left(name, value), ""
    if left is not value and left.split() != value.split():
        why = makeflags.DEFINITIONS
    kind = secret_values.secret(left)
    return (None, secret_values.HOLDS + kind) if kind else (left, why)


def is_replaced(name: bytes) -> bool:
    """Tell whether a script never sees the value with which Cargo was started."""
    return name.startswith(OURS) or name in REPLACED or name in _PRIVATE


def is_secret(name: bytes, value: bytes) -> bool:
    """Tell whether a variable is not stored for a rerun: by its name or its value."""
    return policy.looks_secret(encode(name)) or without_secrets(name, value)[0] is None
