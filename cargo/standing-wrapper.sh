#!/bin/sh
# buildperm: rustc wrapper
#
# Cargo's configuration names this while buildperm is always on. It finds out which Cargo calls, has
# what that Cargo is held to prepared once, and goes on with the wrapper that was made for it:
# `STATE/run/PID-STARTED` leads to its folder. Without buildperm it only passes on.
#
#   BUILDPERM_ON       the state folder
#   BUILDPERM_PYTHON   the interpreter
#   BUILDPERM_HOLD     what prepares: without it buildperm is not installed any more
#   BUILDPERM_WRAPPED  the wrapper, or the rustdoc, that was configured before; may be empty
#   BUILDPERM_TOOLCHAINS   the folder of rustup's tool chains; empty without rustup
#   BUILDPERM_RUSTC    the compiler that was in use when it was enabled
#   BUILDPERM_PART     what is called in the folder
#   BUILDPERM_ENTERED  a program has started this, and set aside what a loader obeys: entry.c
#
# A shell passes on what it makes of a variable that was exported: so its own are `our_…`.
# Nothing is forked on the way that nearly every call takes.

[ "$BUILDPERM_ENTERED" ] || unset BUILDPERM_ASIDE BUILDPERM_DIFFERS
give_back() { # Names are what a shell can write: the program has looked at them.
    for our_name in ${BUILDPERM_ASIDE:-}; do
        eval "export $our_name=\"\$BUILDPERM_ASIDE_$our_name\""
        unset "BUILDPERM_ASIDE_$our_name"
    done
    unset BUILDPERM_ASIDE BUILDPERM_DIFFERS
}

pass() {
    give_back
    if [ "$BUILDPERM_PART" = buildperm-rustdoc ]; then
        exec "${BUILDPERM_WRAPPED:-rustdoc}" "$@"
    fi
    exec ${BUILDPERM_WRAPPED:+"$BUILDPERM_WRAPPED"} "$@"
}

[ -e "$BUILDPERM_HOLD" ] || pass "$@"

prepare() {
    (unset LD_LIBRARY_PATH && exec "$BUILDPERM_PYTHON" -I "$BUILDPERM_HOLD" "$BUILDPERM_ON" \
        "$PPID" "$@" >&2) && return
    our_status=$?
    [ "$our_status" -eq 23 ] || printf '%s\n' "buildperm: cannot hold this build: \
\`$BUILDPERM_PYTHON\` ended with $our_status" "  Install buildperm again where it was, and run \
\`buildperm enable\`; or switch it off by removing" "  \`rustc-wrapper\` and \`rustdoc\` from \
$BUILDPERM_CONFIGURATION." >&2
    exit 23
}

# What compiles nothing is a question about the tool chain. A project may name another program to be
# asked: `build.rustc`, `build.rustc-workspace-wrapper`.
is_compiler() {
    case $1 in
    *..* | [!/]*) return 1 ;;
    /usr/bin/rustc | /usr/local/bin/rustc | "${BUILDPERM_TOOLCHAINS:-/nowhere}"/*/bin/rustc) ;;
    "${BUILDPERM_TOOLCHAINS:-/nowhere}"/*/bin/clippy-driver | "$BUILDPERM_RUSTC") ;;
    *) return 1 ;;
    esac
}
case " $* " in
*" --out-dir "* | *" --out-dir="* | *" -o "* | *" --test "* | *" @"*) ;;
*)
    [ "$BUILDPERM_PART" = buildperm-rustdoc ] || is_compiler "$1" || prepare --asked
    [ -z "${BUILDPERM_DIFFERS:-}" ] || prepare --asked # A project has rustc load something.
    our_before=
    for our_word; do # It may load a code generator, or write a file: `cargo.asked_flags`.
        case $our_before$our_word in
        *codegen[-_]backend=*.* | *.json | --sysroot | --sysroot=* | --print*=*=* | --print\ *=* | \
            *self[-_]profile | *self[-_]profile=*)
            prepare --asked "$@"
            break
            ;;
        esac
        our_before=
        [ "$our_word" != --print ] || our_before="--print "
    done
    pass "$@"
    ;;
esac
unset BUILDPERM_SESSION BUILDPERM_SERVER

# proc_pid_stat(5), (4) ppid and (22) starttime
started() { our_parent=$2 && shift 19 && our_run=$BUILDPERM_ON/run/$our_process-$1; }
look() {
    IFS= read -r our_line <"/proc/$our_process/stat" || return
    set -f
    started ${our_line##*) }
    set +f
}
find_run() { # Another wrapper may have called, and one that: then Cargo is the parent of the first.
    our_process=$PPID
    for _ in 1 2 3; do
        look || return
        [ ! -r "$our_run/$BUILDPERM_PART" ] || return 0
        [ ! "/proc/$our_process/exe" -ef "${CARGO:-/nowhere}" ] || return
        our_process=$our_parent
    done
    return 1
}
prepare_run() {
    prepare "$@"
    find_run && return
    printf '%s\n' "buildperm: cannot hold this build: another wrapper hides which Cargo calls" >&2
    exit 23
}
our_run=
find_run || prepare_run "$@"
our_target=
[ ! -r "$our_run/target" ] || IFS= read -r our_target <"$our_run/target"
case " $* " in
*" --out-dir "*)
    case " $* " in
    *" --out-dir $our_target/"*) ;;
    # One Cargo may build in several target directories: `cargo install` of several crates.
    *) [ -z "$our_target" ] || prepare_run "$@" ;;
    esac
    ;;
esac
if [ -r "$our_run.server" ]; then IFS= read -r BUILDPERM_SERVER <"$our_run.server" && export BUILDPERM_SERVER; fi
give_back
. "$our_run/$BUILDPERM_PART"
