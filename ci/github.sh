#!/usr/bin/env bash
# The steps of action.yml: `github.sh install`, then `github.sh hold`.
set -euo pipefail
# One stream for all: the runner reads two without an order, and `unheeded` needs one.
exec 2>&1
readonly REFUSED=20 NOT_REVIEWED=21

# fail MESSAGE: ends the step with an annotation. May be called in a subshell.
fail() {
    local message=${1//'%'/%25}
    message=${message//$'\r'/%0D}
    printf '::error title=buildperm::%s\n' "${message//$'\n'/%0A}" >&2
    exit 2
}

# output NAME VALUE: what the next steps find as an output of this one.
output() {
    printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

# is_on INPUT: whether that input says yes.
is_on() {
    local variable=INPUT_$1
    case ${!variable} in
        true) return 0 ;;
        false) return 1 ;;
        *) fail "the input ${1,,} must be \`true\` or \`false\`, not \`${!variable}\`" ;;
    esac
}

# place PATH: prints it as an absolute path.
place() {
    case $1 in
        *[[:cntrl:]]*) fail 'the path of a report must be one printable line' ;;
        /*) printf '%s' "$1" ;;
        *) printf '%s' "$PWD/$1" ;;
    esac
}

# unheeded COMMAND…: runs it while the runner obeys no workflow command. A build script, a compiler
# or Cargo may print `::set-output …` or, anywhere in a line, `##[add-mask]…`.
unheeded() {
    local token status=0
    token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '::stop-commands::%s\n' "$token"
    "$@" || status=$?
    printf '\n::%s::\n' "$token"
    return "$status"
}

install() {
    local python folder
    [[ $(uname -s) == Linux ]] || fail 'buildperm holds build scripts on Linux only'
    for python in python3 python3.{14,13,12,11} ''; do
        [[ -z $python ]] && fail 'no Python 3.11 or newer with venv: run actions/setup-python first'
        "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null && break
    done
    folder=$(mktemp -d "$RUNNER_TEMP/buildperm.XXXXXX")
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH"
    "$folder/bin/buildperm" --version
    output command "$folder/bin/buildperm"
}

hold() {
    local folder sarif json junit status=0 options=() reports words=()
    folder=$(mktemp -d "$RUNNER_TEMP/buildperm.XXXXXX")
    sarif=$(place "${INPUT_SARIF:-$folder/buildperm.sarif}")
    json=$(place "${INPUT_JSON:-$folder/buildperm.json}")
    reports=(--report "github=$folder/annotations" --report "sarif=$sarif" --report "json=$json")
    if [[ -n $INPUT_JUNIT ]]; then
        junit=$(place "$INPUT_JUNIT")
        reports+=(--report "junit=$junit")
    fi
    # Quotes as in a shell, but nothing is expanded.
    "${BUILDPERM%/*}/python" -c '
import os, shlex, sys
sys.stdout.write("".join(f"{word}\0" for word in shlex.split(os.environ["INPUT_ARGS"])))
' >"$folder/words" 2>/dev/null || fail 'the input args has a quote that is not closed'
    mapfile -d '' -t words <"$folder/words"
    if is_on DENY_UNUSED; then options+=(--deny-unused); fi
    if is_on WARN; then options+=(--warn); fi
    if is_on REQUIRE_REVIEWED; then
        options+=(--require-reviewed)
        # Not this build alone, but everything that Cargo.toml declares.
        if ! is_on WARN; then
            unheeded env "GITHUB_STEP_SUMMARY=$folder/summary" "$BUILDPERM" check "${reports[@]}" ||
                status=$?
            if [[ $status == "$NOT_REVIEWED" ]]; then
                cat "$folder/summary" >>"$GITHUB_STEP_SUMMARY"
            fi
        fi
    fi
    if [[ $status == 0 ]]; then
        unheeded "$BUILDPERM" ci "${options[@]}" "${reports[@]}" -- "${words[@]}" || status=$?
    fi
    if [[ -s $folder/annotations ]]; then
        cat "$folder/annotations"
    fi
    case $status in
        2 | 23 | 130) ;; # These write no report.
        *)
            output sarif "$sarif"
            output json "$json"
            ;;
    esac
    if [[ $status == "$REFUSED" || $status == "$NOT_REVIEWED" ]]; then
        echo "To decide: get $json, then run \`buildperm review --from FILE\` on your own machine."
    fi
    return "$status"
}

"$1"
