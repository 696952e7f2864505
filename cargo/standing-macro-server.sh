#!/bin/sh
# buildperm: rust-analyzer's server for procedural macros, held
#
# Settings of editors name this while buildperm is always on: one path for all workspaces. It finds
# out what the folder that the editor has started it in is held to, and becomes the server that was
# made for that. Without buildperm, and where nothing is held, it becomes the true one.
#
#   BUILDPERM_ON       the state folder
#   BUILDPERM_PYTHON   the interpreter
#   BUILDPERM_HOLD     what finds out: without it buildperm is not installed any more

our_server=
if [ -e "$BUILDPERM_HOLD" ]; then
    our_server=$(unset LD_LIBRARY_PATH && exec "$BUILDPERM_PYTHON" -I "$BUILDPERM_HOLD" "$BUILDPERM_ON") || {
        printf '%s\n' "buildperm: macros are not expanded, as they cannot be held here" >&2
        exit 1
    }
fi
if [ -z "$our_server" ]; then
    our_sysroot=$(rustc --print sysroot) || exit 1
    our_server=$our_sysroot/libexec/rust-analyzer-proc-macro-srv
fi
exec "$our_server" "$@"
