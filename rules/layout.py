"""Who owns a folder where system folders and personal ones are nested.

The deepest owner of a folder decides: a workspace in `/usr/src/app` is not the system's, and the
Rust tool chain in a home folder is not the home's. This module knows owners by name alone;
`supervisor.ownership` knows those of this machine.

Part of the supervisor: imports nothing.
"""

from __future__ import annotations

SHARED = {
    b"/": frozenset(
        b"bin boot dev etc gnu home lib lib32 lib64 libx32 lost+found media mnt nix opt proc root "
        b"run sbin snap srv sys tmp usr var".split()
    ),
    b"/usr": frozenset(
        b"bin etc games include lib lib32 lib64 libexec libx32 local sbin share".split()
    ),
    b"/usr/local": frozenset(
        b"bin etc games include lib lib32 lib64 libexec libx32 sbin share".split(),
    ),
}
"""Folders that may be somebody's home, workspace or tool chain, and what in them is the system's.

See hier(7). HOME is `/` or `/usr/sbin` for many a service, WORKSPACE is `/` in some containers, and
the Rust tool chain of a distribution lies in `/usr`.
"""

_BIN = (
    *("cargo", "cargo-clippy", "cargo-fmt", "cargo-miri", "clippy-driver", "miri"),
    *("rust-analyzer", "rust-gdb", "rust-gdbgui", "rust-lldb", "rustc", "rustdoc", "rustfmt"),
)

PROGRAMS = (
    *(f"$SYSROOT/bin/{name}" for name in _BIN),
    "$SYSROOT/libexec/rust-analyzer-proc-macro-srv",
    "$SYSROOT/lib/rustlib/*/bin/**",
)
"""The programs of a Rust tool chain, linkers such as `rust-lld` and `gcc-ld/ld.lld` among them."""

_LIBRARIES = ("librustc_driver*", "libstd-*", "libtest-*", "libproc_macro-*", "libLLVM*")

FILES = (
    *PROGRAMS,
    "$SYSROOT/lib/rustlib/**",
    # Debian keeps them one folder further down, and links to them from `rustlib`.
    *(f"$SYSROOT/lib/{name}" for name in _LIBRARIES),
    *(f"$SYSROOT/lib64/{name}" for name in _LIBRARIES),
    *(f"$SYSROOT/lib/*-linux-*/{name}" for name in _LIBRARIES),
)
"""What a Rust tool chain consists of, whatever else lies in the same folder."""

PROBED = "$SYSROOT/lib/**/*.so*"
"""Where the loader looks for the libraries of the tool chain's programs: they name `../lib`."""

LISTED = ("$SYSROOT", "$SYSROOT/bin", "$SYSROOT/lib")
"""Folders that may be listed where nothing but the tool chain is in them."""


def is_systems(path: bytes) -> bool:
    """Tell whether `path` is one of the system's own folders in one that may be somebody's."""
    above, _, name = path.rpartition(b"/")
    return name in SHARED.get(above or b"/", ())


GIT_COPY = "buildperm-gitconfig"
"""Git's settings for scripts, in the target directory: no grant opens that name for writing."""
