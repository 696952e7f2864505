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
# Fork nothing on the way that nearly every call takes, where calls are held.

note_failure() { # Each entry is a package's folder and a crate, with a NUL behind both.
    [ -z "${CARGO_MANIFEST_DIR:-}" ] ||
        printf '%s\0%s\0' "$CARGO_MANIFEST_DIR" "${CARGO_CRATE_NAME:-}" >>"$BUILDPERM_FAILED"
}

compile() { # [exec] COMPILER ARGUMENTS
    how=$1
    [ "$how" != exec ] || shift
    if [ -z "${BUILDPERM_LAUNCHER:-}" ]; then
        set -- ${BUILDPERM_RUSTC_WRAPPER:+"$BUILDPERM_RUSTC_WRAPPER"} "$@"
    elif [ -n "${BUILDPERM_RUSTC_WRAPPER:-}" ] && [ -x "$BUILDPERM_COMPILERS/${1##*/}" ]; then
        # The other wrapper stays outside, where its cache and its server are.
        compiler=$BUILDPERM_COMPILERS/${1##*/}
        shift
        # So it looks for libraries where the user says, and not where build scripts do.
        if [ -n "${LD_LIBRARY_PATH:-}" ]; then
            export BUILDPERM_SEARCHED="$LD_LIBRARY_PATH"
            unset LD_LIBRARY_PATH
            [ -z "${BUILDPERM_USERS:-}" ] || export LD_LIBRARY_PATH="$BUILDPERM_USERS"
        fi
        set -- "$BUILDPERM_RUSTC_WRAPPER" "$compiler" "$@"
    else
        set -- "$BUILDPERM_LAUNCHER" "$BUILDPERM_COMPILE_SESSION" "$@"
    fi
    if [ "$how" = exec ] && [ -z "${BUILDPERM_FAILED:-}" ]; then exec "$@"; fi
    "$@" && outcome=0 || outcome=$?
    [ "$outcome" -eq 0 ] || [ -z "${BUILDPERM_FAILED:-}" ] || note_failure
    [ "$how" != exec ] || exit "$outcome"
    return "$outcome"
}

# Whoever confines a proxy keeps it from rustup's settings. What it would start takes its place.
stands_for() { case ":$BUILDPERM_PROXIES:" in *":$1:"*) program=$BUILDPERM_RUST/${1##*/} ;; *) program=$1 ;; esac }
if [ -n "${BUILDPERM_PROXIES:-}" ] && [ $# -gt 1 ]; then
    stands_for "$2" && second=$program
    stands_for "$1" && shift 2 && set -- "$program" "$second" "$@"
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

words=0 first='' named='' folder='' folders=0 is_program='' emitted='' previous=''

note() {
    words=$((words + 1))
    case $words in
    1) first=$1 ;;
    2) [ "$first" != --crate-name ] || named=$1 ;;
    esac
    case $previous in
    --out-dir) folder=$1 ;;
    --crate-type) [ "$emitted$1" != bin ] || is_program=yes ;;
    esac
    case $1 in
    --out-dir | --out-dir=*) folders=$((folders + 1)) ;;
    --emit=*) emitted=${emitted:-$1} ;; # Behind the first one crates have a say.
    esac
    previous=$1
}

for argument in "$@"; do
    case $argument in
    @*) # A crate can have Cargo pass on such a word among others, in `check-cfg` of its `[lints]`.
        [ $# -le 3 ] || refuse "rustc would read further arguments from a file behind an \`@\`" \
            "Remove that word from \`check-cfg\` in Cargo.toml, or from RUSTFLAGS."
        # Cargo writes one argument a line into a file when they are too many for execve(2).
        while IFS= read -r line || [ -n "$line" ]; do note "$line"; done <"${argument#@}"
        ;;
    -*) note "$argument" ;;
    *) [ "$words" -eq 0 ] || note "$argument" ;; # Before any option they are programs.
    esac
done

is_script() { case $1 in build_script_* | metabuild_*) ;; *) return 1 ;; esac }

# Before Cargo 1.45 there is no such variable. Calls that are for no unit have neither.
crate=${CARGO_CRATE_NAME-$named}
is_script "$crate" || is_script "$named" || pass "$@"
[ "$crate" = "$named" ] ||
    refuse "CARGO_CRATE_NAME and \`--crate-name\` are for different crates" \
        "Remove CARGO_CRATE_NAME from \`[env]\` of Cargo's configuration, or use another Cargo."
# Cargo says it once, and rustc takes it once. Where it is there twice, one of both is a crate's.
[ "$folders" -eq 1 ] || refuse "\`--out-dir\` is there $folders times, instead of once" \
    "Remove it from RUSTFLAGS, from \`build.rustflags\`, or from \`check-cfg\` in Cargo.toml."

target=${BUILDPERM_TARGET:-/nowhere}
[ -z "${BUILDPERM_FOLLOWS:-}" ] || folder=$(cd -P -- "$folder" && pwd -P) || folder=/nowhere/else
inner=${folder#"$target"/}
is_inside=
if [ "$inner" != "$folder" ] && [ "$(cd -P -- "$folder" && pwd -P)" = "$folder" ]; then
    is_inside=yes
fi
[ "$is_inside" ] || refuse "a build script would be put outside of the target directory" \
    "Build with the target directory that buildperm has set: CARGO_TARGET_DIR."

place=unknown
case ${inner%/*} in */build) place=script ;; esac         # PROFILE/build/PKG-HASH
case ${inner%/*/*/out} in */build) place=unit ;; esac     # PROFILE/build/PKG/HASH/out
case $inner in */deps | */examples) place=elsewhere ;; esac # Cargo runs no build script from there.
case $place in
script) ;;
elsewhere) pass "$@" ;;
*) # Programs, examples and tests may be called like build scripts, too, and have one of these.
    [ -z "${CARGO_BIN_NAME+set}${CARGO_TARGET_TMPDIR+set}" ] || pass "$@"
    [ "$is_program" ] || pass "$@" # A library, or its tests.
    [ "$place" = unit ] ||
        refuse "this Cargo puts build scripts into folders that buildperm does not know" \
            "Use another version of Cargo, or a newer one of buildperm."
    ;;
esac

# What these programs load must not come from the folders of build scripts, which rustc looks into.
# Nor are they those of a PATH that a project has Cargo set.
alone() { (unset LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT && PATH=${BUILDPERM_PATH:-$PATH} && exec "$@"); }

programs() { # Sets `$found` to the first program in the folder that is no stub of this call.
    found=
    for found in "$folder"/build[-_]script[-_]* "$folder"/metabuild[-_]*; do
        case ${found##*/} in
        *.*) ;; # NAME.d, NAME.real, and NAME.stub.PID of a wrapper that was killed.
        *) case "$stubs/" in *"/${found##*/}/"*) ;; *) if [ -e "$found" ] || [ -h "$found" ]; then
            return
        fi ;; esac ;;
        esac
    done
    found=
}

clear() {
    while programs && [ "$found" ]; do alone rm -f -- "$found" || return; done
}

fail() {
    say "buildperm: $1: the build script of \`${CARGO_PKG_NAME:-an unknown package}\` is removed, \
it must not run without its stub" ${2:+"  $2"}
    stubs=
    clear
    [ -z "$fresh" ] || alone rm -f -- "$fresh"
    exit 1
}

stubs='' fresh=''
trap 'stubs=; clear; [ -z "$fresh" ] || alone rm -f -- "$fresh"; exit 1' HUP INT TERM
{ [ -f "${BUILDPERM_STUB:-}" ] && [ -r "$BUILDPERM_STUB" ]; } || fail "there is no stub"
# The old stub has a second name, which Cargo runs: a linker must not write through it.
clear || fail "cannot remove an old one"

compile "$@"
status=$?
if [ "$status" -ne 0 ]; then
    clear
    exit "$status"
fi

while programs && [ "$found" ]; do
    case ${found##*/} in *[[:cntrl:]]*) fail "rustc left a program with an odd name" ;; esac
    { [ -f "$found" ] && [ ! -h "$found" ]; } || fail "rustc left no program at \`${found##*/}\`"
    fresh=$found.stub.$$
    { [ ! -e "$fresh" ] && [ ! -h "$fresh" ]; } || alone rm -f -- "$fresh" ||
        fail "cannot remove \`${fresh##*/}\`"
    alone cp -- "$BUILDPERM_STUB" "$fresh" || fail "cannot write \`${fresh##*/}\`"
    # Written last, so that the stub is newer than whatever the program was linked from.
    printf '# real: %s.real\n' "${found##*/}" >>"$fresh" || fail "cannot write \`${fresh##*/}\`"
    # Between these two there is no program at all: Cargo would link it again.
    alone mv -f -- "$found" "$found.real" || fail "cannot rename \`${found##*/}\`"
    alone mv -f -- "$fresh" "$found" || fail "cannot rename \`${fresh##*/}\`"
    stubs=$stubs/${found##*/}
done

[ "$stubs" ] || [ -z "$is_program" ] || [ "$emitted" = --emit=dep-info,metadata ] ||
    fail "rustc left no program" \
        "Look for \`-o\`, \`--emit\`, \`--print\` and \`-Z\` in RUSTFLAGS and \`build.rustflags\`."
