#!/bin/sh
# buildperm: rustc wrapper
#
# A compiler as others are to call it: rustdoc for Cargo, and rustc for another wrapper, such as one
# that caches. Whoever calls it, the launcher holds the call.
#
#   BUILDPERM_LAUNCHER         what holds compiler calls
#   BUILDPERM_COMPILE_SESSION  to what it holds them
#   BUILDPERM_COMPILER         the true compiler
#
# The rustc wrapper hands over in BUILDPERM_SEARCHED where Cargo has rustc look for libraries: the
# other wrapper, which nothing holds, is not to look where build scripts said.
#
# In a target directory these are written above, so that no configuration can say otherwise.

[ -z "${BUILDPERM_SEARCHED:-}" ] || export LD_LIBRARY_PATH="$BUILDPERM_SEARCHED"
unset BUILDPERM_SEARCHED
exec "$BUILDPERM_LAUNCHER" "$BUILDPERM_COMPILE_SESSION" "$BUILDPERM_COMPILER" "$@"
