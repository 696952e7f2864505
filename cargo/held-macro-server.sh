#!/bin/sh
# buildperm: rust-analyzer's server for procedural macros, held
#
# Name it in `rust-analyzer.procMacro.server`. Each library of macros runs in a process of its own,
# held to what it was granted, as long as it was compiled in this target directory.
#
#   BUILDPERM_LAUNCHER         what holds compiler calls
#   BUILDPERM_COMPILE_SESSION  to what it holds them
#   BUILDPERM_COMPILER         the true server
#
# In a target directory these are written above, so that no configuration can say otherwise.

if [ ! -x "$BUILDPERM_COMPILER" ]; then
    printf '%s\n' "buildperm: there is no \`$BUILDPERM_COMPILER\`" \
        "  Use a tool chain that has it: those of rustup do." >&2
    exit 1
fi
if [ ! -x "$BUILDPERM_LAUNCHER" ]; then
    printf '%s\n' "buildperm: there is no \`$BUILDPERM_LAUNCHER\`" \
        "  Build with \`buildperm ci\` again." >&2
    exit 1
fi
# Sessions of commands that run now are none of the editor's: it is held to what is granted.
unset BUILDPERM_SESSION BUILDPERM_SERVER
exec "$BUILDPERM_LAUNCHER" --server "$BUILDPERM_COMPILE_SESSION" "$BUILDPERM_COMPILER" "$@"
