#!/bin/sh
# buildperm: rustc wrapper
#
# Cargo calls this in place of rustc: `$0 RUSTC ARGUMENTS`, or `$0 OTHER_WRAPPER RUSTC ARGUMENTS`.
# Everything is passed on as it is. When it was a build script that rustc linked, a stub takes its
# place before Cargo can run it; the program is kept beside it as NAME.real. If that cannot be done
# there is no program at all, and the build fails: a build script never runs without the stub.
#
# Crates and RUSTFLAGS put words of their own among the arguments, and only rustc knows what it
# makes of them. So nothing is decided by these. What is compiled is said by CARGO_CRATE_NAME and by
# the words up to the first `--emit`, which Cargo writes (its `build_base_args`), and by where it is
# put: Cargo runs build scripts from folders of their own, in which it compiles nothing else, or, in
# its new layout, no other program that lacks CARGO_BIN_NAME and CARGO_TARGET_TMPDIR. And whatever
# program rustc has left there when it is done gets a stub, by whatever option it came.
#
#   BUILDPERM_TARGET          the target directory, without links: nothing outside of it is touched
#   BUILDPERM_STUB            the stub, but for its last line
#   BUILDPERM_RUSTC_WRAPPER   the wrapper that would be in use without buildperm; may be empty
#   BUILDPERM_LAUNCHER        what holds compiler calls; empty where they are not held
#   BUILDPERM_COMPILE_SESSION to what it holds them
#   BUILDPERM_COMPILERS       a folder of held compilers, which another wrapper may call
#   BUILDPERM_USERS           LD_LIBRARY_PATH as it was before Cargo: for that other wrapper
#   BUILDPERM_PATH            PATH as it was before Cargo: for the programs that this script starts
#   BUILDPERM_PROXIES         what Cargo may call that is a proxy of rustup, with a `:` between two
#   BUILDPERM_RUST            the folder of the compilers that these stand for
#   BUILDPERM_FAILED          the file that is told which compilations have failed, where no launcher
#                             notes it; else empty
#   BUILDPERM_FOLLOWS         set: Cargo may name the target directory by links
#
# In a target directory these are written above, so that no configuration can say otherwise.
# A shell passes on what it makes of a variable that was exported: so its own are `our_…`.
# Fork nothing on the way that nearly every call takes, where calls are held.

note_failure() { # Each entry is a package's folder and a crate, with a NUL behind both.
    [ -z "${CARGO_MANIFEST_DIR:-}" ] ||
        printf '%s\0%s\0' "$CARGO_MANIFEST_DIR" "${CARGO_CRATE_NAME:-}" >>"$BUILDPERM_FAILED"
}

compile() { # [exec] COMPILER ARGUMENTS
    our_how=$1
    [ "$our_how" != exec ] || shift
    if [ -z "${BUILDPERM_LAUNCHER:-}" ]; then
        set -- ${BUILDPERM_RUSTC_WRAPPER:+"$BUILDPERM_RUSTC_WRAPPER"} "$@"
    elif [ -n "${BUILDPERM_RUSTC_WRAPPER:-}" ] && [ -x "$BUILDPERM_COMPILERS/${1##*/}" ]; then
        # The other wrapper stays outside, where its cache and its server are.
        our_compiler=$BUILDPERM_COMPILERS/${1##*/}
        shift
        # So it looks for libraries where the user says, and not where build scripts do.
        if [ -n "${LD_LIBRARY_PATH:-}" ]; then
            export BUILDPERM_SEARCHED="$LD_LIBRARY_PATH"
            unset LD_LIBRARY_PATH
            [ -z "${BUILDPERM_USERS:-}" ] || export LD_LIBRARY_PATH="$BUILDPERM_USERS"
        fi
        set -- "$BUILDPERM_RUSTC_WRAPPER" "$our_compiler" "$@"
    else
        set -- "$BUILDPERM_LAUNCHER" "$BUILDPERM_COMPILE_SESSION" "$@"
    fi
    if [ "$our_how" = exec ] && [ -z "${BUILDPERM_FAILED:-}" ]; then exec "$@"; fi
    "$@" && our_outcome=0 || our_outcome=$?
    [ "$our_outcome" -eq 0 ] || [ -z "${BUILDPERM_FAILED:-}" ] || note_failure
    [ "$our_how" != exec ] || exit "$our_outcome"
    return "$our_outcome"
}

# Whoever confines a proxy keeps it from rustup's settings. What it would start takes its place.
stands_for() {
    case ":$BUILDPERM_PROXIES:" in *":$1:"*) our_program=$BUILDPERM_RUST/${1##*/} ;; *) our_program=$1 ;; esac
}
if [ -n "${BUILDPERM_PROXIES:-}" ] && [ $# -gt 1 ]; then
    stands_for "$2" && our_second=$our_program
    stands_for "$1" && shift 2 && set -- "$our_program" "$our_second" "$@"
fi

case " $*" in
*build_script_* | *metabuild_* | *" @"*) ;;
*) compile exec "$@" ;;
esac

pass() { compile exec "$@"; }

say() { printf '%s\n' "$@" >&2; } # echo(1) may take a backslash for more than it is.

refuse() { # WHAT HINT; neither may hold a word that a crate chose
    say "buildperm: refused to compile for \`${CARGO_PKG_NAME:-an unknown package}\`: $1" "  $2"
    exit 1
}

our_words=0 our_first='' our_named='' our_folder='' our_folders=0 our_is_program='' our_emitted='' our_previous=''

note() {
    our_words=$((our_words + 1))
    case $our_words in
    1) our_first=$1 ;;
    2) [ "$our_first" != --crate-name ] || our_named=$1 ;;
    esac
    case $our_previous in
    --out-dir) our_folder=$1 ;;
    --crate-type) [ "$our_emitted$1" != bin ] || our_is_program=yes ;;
    esac
    case $1 in
    --out-dir | --out-dir=*) our_folders=$((our_folders + 1)) ;;
    --emit=*) our_emitted=${our_emitted:-$1} ;; # Behind the first one crates have a say.
    esac
    our_previous=$1
}

for our_argument in "$@"; do
    case $our_argument in
    @*) # A crate can have Cargo pass on such a word among others, in `check-cfg` of its `[lints]`.
        [ $# -le 3 ] || refuse "rustc would read further arguments from a file behind an \`@\`" \
            "Remove that word from \`check-cfg\` in Cargo.toml, or from RUSTFLAGS."
        # Cargo writes one argument a line into a file when they are too many for execve(2).
        while IFS= read -r our_line || [ -n "$our_line" ]; do note "$our_line"; done <"${our_argument#@}"
        ;;
    -*) note "$our_argument" ;;
    *) [ "$our_words" -eq 0 ] || note "$our_argument" ;; # Before any option they are programs.
    esac
done

is_script() { case $1 in build_script_* | metabuild_*) ;; *) return 1 ;; esac }

# Before Cargo 1.45 there is no such variable. Calls that are for no unit have neither.
our_crate=${CARGO_CRATE_NAME-$our_named}
is_script "$our_crate" || is_script "$our_named" || pass "$@"
[ "$our_crate" = "$our_named" ] ||
    refuse "CARGO_CRATE_NAME and \`--crate-name\` are for different crates" \
        "Remove CARGO_CRATE_NAME from \`[env]\` of Cargo's configuration, or use another Cargo."
# Cargo says it once, and rustc takes it once. Where it is there twice, one of both is a crate's.
[ "$our_folders" -eq 1 ] || refuse "\`--out-dir\` is there $our_folders times, instead of once" \
    "Remove it from RUSTFLAGS, from \`build.rustflags\`, or from \`check-cfg\` in Cargo.toml."

our_target=${BUILDPERM_TARGET:-/nowhere}
[ -z "${BUILDPERM_FOLLOWS:-}" ] || our_folder=$(cd -P -- "$our_folder" && pwd -P) || our_folder=/nowhere/else
our_inner=${our_folder#"$our_target"/}
our_is_inside=
if [ "$our_inner" != "$our_folder" ] && [ "$(cd -P -- "$our_folder" && pwd -P)" = "$our_folder" ]; then
    our_is_inside=yes
fi
[ "$our_is_inside" ] || refuse "a build script would be put outside of the target directory" \
    "Build with the target directory that buildperm has set: CARGO_TARGET_DIR."

our_place=unknown
case ${our_inner%/*} in */build) our_place=script ;; esac         # PROFILE/build/PKG-HASH
case ${our_inner%/*/*/out} in */build) our_place=unit ;; esac     # PROFILE/build/PKG/HASH/out
case $our_inner in */deps | */examples) our_place=elsewhere ;; esac # Cargo runs no build script from there.
case $our_place in
script) ;;
elsewhere) pass "$@" ;;
*) # Programs, examples and tests may be called like build scripts, too, and have one of these.
    [ -z "${CARGO_BIN_NAME+set}${CARGO_TARGET_TMPDIR+set}" ] || pass "$@"
    [ "$our_is_program" ] || pass "$@" # A library, or its tests.
    [ "$our_place" = unit ] ||
        refuse "this Cargo puts build scripts into folders that buildperm does not know" \
            "Use another version of Cargo, or a newer one of buildperm."
    ;;
esac

# What these programs load must not come from the folders of build scripts, which rustc looks into.
# Nor are they those of a PATH that a project has Cargo set.
alone() { (unset LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT && PATH=${BUILDPERM_PATH:-$PATH} && exec "$@"); }

programs() { # Sets `$our_found` to the first program in the folder that is no stub of this call.
    our_found=
    for our_found in "$our_folder"/build[-_]script[-_]* "$our_folder"/metabuild[-_]*; do
        case ${our_found##*/} in
        *.*) ;; # NAME.d, NAME.real, and NAME.stub.PID of a wrapper that was killed.
        *) case "$our_stubs/" in *"/${our_found##*/}/"*) ;; *) if [ -e "$our_found" ] || [ -h "$our_found" ]; then
            return
        fi ;; esac ;;
        esac
    done
    our_found=
}

clear() {
    while programs && [ "$our_found" ]; do alone rm -f -- "$our_found" || return; done
}

fail() {
    say "buildperm: $1: the build script of \`${CARGO_PKG_NAME:-an unknown package}\` is removed, \
it must not run without its stub" ${2:+"  $2"}
    our_stubs=
    clear
    [ -z "$our_fresh" ] || alone rm -f -- "$our_fresh"
    exit 1
}

our_stubs='' our_fresh=''
trap 'our_stubs=; clear; [ -z "$our_fresh" ] || alone rm -f -- "$our_fresh"; exit 1' HUP INT TERM
{ [ -f "${BUILDPERM_STUB:-}" ] && [ -r "$BUILDPERM_STUB" ]; } || fail "there is no stub"
# The old stub has a second name, which Cargo runs: a linker must not write through it.
clear || fail "cannot remove an old one"

compile "$@"
our_status=$?
if [ "$our_status" -ne 0 ]; then
    clear
    exit "$our_status"
fi

while programs && [ "$our_found" ]; do
    case ${our_found##*/} in *[[:cntrl:]]*) fail "rustc left a program with an odd name" ;; esac
    { [ -f "$our_found" ] && [ ! -h "$our_found" ]; } || fail "rustc left no program at \`${our_found##*/}\`"
    our_fresh=$our_found.stub.$$
    { [ ! -e "$our_fresh" ] && [ ! -h "$our_fresh" ]; } || alone rm -f -- "$our_fresh" ||
        fail "cannot remove \`${our_fresh##*/}\`"
    alone cp -- "$BUILDPERM_STUB" "$our_fresh" || fail "cannot write \`${our_fresh##*/}\`"
    # Written last, so that the stub is newer than whatever the program was linked from.
    printf '# real: %s.real\n' "${our_found##*/}" >>"$our_fresh" || fail "cannot write \`${our_fresh##*/}\`"
    # Between these two there is no program at all: Cargo would link it again.
    alone mv -f -- "$our_found" "$our_found.real" || fail "cannot rename \`${our_found##*/}\`"
    alone mv -f -- "$our_fresh" "$our_found" || fail "cannot rename \`${our_fresh##*/}\`"
    our_stubs=$our_stubs/${our_found##*/}
done

[ "$our_stubs" ] || [ -z "$our_is_program" ] || [ "$our_emitted" = --emit=dep-info,metadata ] ||
    fail "rustc left no program" \
        "Look for \`-o\`, \`--emit\`, \`--print\` and \`-Z\` in RUSTFLAGS and \`build.rustflags\`."
