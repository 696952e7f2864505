#!/bin/sh
# buildperm: rustc wrapper
#
# Cargo calls this in place of rustc: `$0 RUSTC ARGUMENTS`, or `$0 OTHER_WRAPPER RUSTC ARGUMENTS`.
# Everything is passed on. When it was a build script that rustc linked, a stub takes its place
# before Cargo can run it; the program is kept beside it as NAME.real. If that cannot be done there
# is no program at all, and the build fails: a build script never runs without the stub.
#
#   BUILDPERM_RUSTC_WRAPPER   the wrapper that would be in use without buildperm; may be empty
#   BUILDPERM_STUB            the stub, but for its last line
#
# Fork nothing on the way that nearly every call takes.

case " $*" in
*build_script_* | *metabuild_* | *" @"*) ;;
*) exec ${BUILDPERM_RUSTC_WRAPPER:+"$BUILDPERM_RUSTC_WRAPPER"} "$@" ;;
esac

name='' kind='' folder='' suffix='' emitted=link testing='' option=''

note() {
    case $option in
    --crate-name) name=$1 ;;
    --crate-type) kind=$1 ;;
    --out-dir) folder=$1 ;;
    --emit) emitted=$1 ;;
    -C | --codegen) case $1 in extra-filename=*) suffix=${1#*=} ;; esac ;;
    esac
    case $1 in
    --crate-name=*) name=${1#*=} ;;
    --crate-type=*) kind=${1#*=} ;;
    --out-dir=*) folder=${1#*=} ;;
    --emit=*) emitted=${1#*=} ;;
    -Cextra-filename=* | --codegen=extra-filename=*) suffix=${1#*extra-filename=} ;;
    --test) testing=yes ;;
    esac
    option=$1
}

for argument in "$@"; do
    case $argument in
    @*) # A crate can have Cargo pass on such a word among others, in `check-cfg` of its `[lints]`.
        if [ $# -gt 3 ]; then
            echo "buildperm: refused: rustc would read further arguments from \`${argument#@}\`" >&2
            exit 1
        fi
        # Cargo writes one argument a line into a file when they are too many for execve(2).
        while IFS= read -r line || [ -n "$line" ]; do note "$line"; done <"${argument#@}"
        ;;
    *) note "$argument" ;;
    esac
done

# Cargo names a program by CARGO_BIN_NAME when it compiles one, but never a build script.
script=
case $name,${kind:-bin},$testing,${CARGO_BIN_NAME:-} in
build_script_*,bin,, | metabuild_*,bin,,) case ,$emitted, in *,link,* | *,link=*) script=yes ;; esac ;;
esac
[ "$script" ] || exec ${BUILDPERM_RUSTC_WRAPPER:+"$BUILDPERM_RUSTC_WRAPPER"} "$@"

program=${folder:-.}/$name$suffix
fresh=$program.stub.$$

fail() {
    echo "buildperm: $1: the build script is removed, it must not run without its stub" >&2
    rm -f -- "$program" "$fresh"
    exit 1
}

trap 'rm -f -- "$program" "$fresh"; exit 1' HUP INT TERM
[ -f "${BUILDPERM_STUB:-}" ] || fail "no stub at \`${BUILDPERM_STUB:-}\`"
cp -- "$BUILDPERM_STUB" "$fresh" || fail "cannot write \`$fresh\`"
# The old stub has a second name, which Cargo runs: a linker must not write through it.
rm -f -- "$program" || fail "cannot remove \`$program\`"

${BUILDPERM_RUSTC_WRAPPER:+"$BUILDPERM_RUSTC_WRAPPER"} "$@"
status=$?
if [ "$status" -ne 0 ]; then
    rm -f -- "$program" "$fresh"
    exit "$status"
fi

{ [ -f "$program" ] && [ ! -h "$program" ]; } || fail "rustc left no program at \`$program\`"
# Written last, so that the stub is newer than whatever the program was linked from.
echo "# real: $name$suffix.real" >>"$fresh" || fail "cannot write \`$fresh\`"
# Between these two there is no program at all: Cargo would link it again.
mv -f -- "$program" "$program.real" || fail "cannot rename \`$program\`"
mv -f -- "$fresh" "$program" || fail "cannot rename \`$fresh\`"
