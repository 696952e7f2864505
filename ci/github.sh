#!/usr/bin/env bash
# The steps of action.yml: `github.sh install`, `pull`, `hold` and `push`; without `cache` only two of them.
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

# against: prints the commit that grants are compared with; nothing where they are not.
against() {
    local branch depth=()
    case $INPUT_AGAINST in
        auto) ;;
        off) return 0 ;;
        '' | *[[:cntrl:]]* | -*) fail 'the input against must be `auto`, `off` or the name of a commit' ;;
        *)
            printf '%s' "$INPUT_AGAINST"
            return 0
            ;;
    esac
    # Only a pull request has a base. The tip of its branch as it is now; where it left it, if the
    # history is here, is for buildperm to find.
    if [[ -z ${GITHUB_BASE_REF:-} ]]; then
        [[ ${GITHUB_EVENT_NAME:-} != pull_request* ]] || fail 'GitHub names no base branch'
        return 0
    fi
    branch=refs/remotes/origin/$GITHUB_BASE_REF
    if [[ $(trusted git rev-parse --is-shallow-repository) != false ]]; then
        depth=(--depth=1)
    fi
    if ! trusted git -c core.hooksPath=/dev/null fetch --quiet --no-tags --no-recurse-submodules \
        "${depth[@]}" origin "+refs/heads/$GITHUB_BASE_REF:$branch" >&2; then
        # With all of its history, as by `fetch-depth: 0`, it has just been fetched.
        if [[ ${#depth[@]} -gt 0 ]] ||
            ! trusted git rev-parse --quiet --verify "$branch^{commit}" >&2; then
            fail "cannot fetch the base branch to compare the grants with: check out with \
\`fetch-depth: 0\`, or set the input against to \`off\`"
        fi
    fi
    printf '%s' "$branch"
}

# trusted COMMAND…: runs it with git taking the checkout for ours, whoever owns it: in a container
# that is often another user. Nothing that the checkout says is run for it.
trusted() {
    local number=${GIT_CONFIG_COUNT:-0}
    env "GIT_CONFIG_COUNT=$((number + 1))" "GIT_CONFIG_KEY_$number=safe.directory" \
        "GIT_CONFIG_VALUE_$number=$GITHUB_WORKSPACE" "$@"
}

install() {
    local python folder wanted
    [[ $(uname -s) == Linux ]] || fail 'buildperm holds build scripts on Linux only'
    # -P: no module is taken from the folder that this runs in, which is the checkout.
    for python in python3 python3.{14,13,12,11} ''; do
        [[ -z $python ]] && fail 'no Python 3.11 or newer with venv: run actions/setup-python first'
        "$python" -P -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null && break
    done
    folder=$(mktemp -d "$RUNNER_TEMP/buildperm.XXXXXX")
    "$python" -P -m venv "$folder"
    wanted=$GITHUB_ACTION_PATH
    if [[ ${INPUT_CACHE:-off} != off ]]; then wanted+='[shared-cache]'; fi
    "$folder/bin/python" -P -m pip install --quiet --disable-pip-version-check "$wanted"
    "$folder/bin/buildperm" --version
    output command "$folder/bin/buildperm"
}

# cached: prints `off`, `pull` or `push`. Only a protected branch pushes: of another one, and of a
# pull request, the author alone chooses what is built.
cached() {
    case ${INPUT_CACHE:-off} in
        off | pull) printf '%s' "${INPUT_CACHE:-off}" ;;
        push)
            case ${GITHUB_EVENT_NAME:-}:${GITHUB_REF_PROTECTED:-} in
                push:true | schedule:true | workflow_dispatch:true) printf push ;;
                *) printf pull ;;
            esac
            ;;
        *) fail 'the input cache must be `off`, `pull` or `push`' ;;
    esac
}

# split FILE: writes the words of INPUT_ARGS to it, quotes as in a shell, but nothing is expanded.
split() {
    "${BUILDPERM%/*}/python" -P -c '
import os, shlex, sys
sys.stdout.write("".join(f"{word}\0" for word in shlex.split(os.environ["INPUT_ARGS"])))
' >"$1" 2>/dev/null || fail 'the input args has a quote that is not closed'
}

# share pull|push: takes or gives results; without a store, or where it does not answer, the build goes on.
share() {
    local folder mode words=() status=0
    mode=$(cached)
    [[ $mode != off && ($1 == pull || $mode == push) ]] || return 0
    folder=$(mktemp -d "$RUNNER_TEMP/buildperm.XXXXXX")
    split "$folder/words"
    mapfile -d '' -t words <"$folder/words"
    unheeded "$BUILDPERM" cache "$1" -- "${words[@]}" || status=$?
    [[ $status == 0 ]] || printf '::warning title=buildperm::%s\n' "cache $1 ended with $status"
}

pull() { share pull; }

push() { share push; }

hold() {
    local folder sarif json junit reference mode status=0 options=() compared=() git=() reports words=() called=''
    folder=$(mktemp -d "$RUNNER_TEMP/buildperm.XXXXXX")
    sarif=$(place "${INPUT_SARIF:-$folder/buildperm.sarif}")
    json=$(place "${INPUT_JSON:-$folder/buildperm.json}")
    reports=(--report "github=$folder/annotations" --report "sarif=$sarif" --report "json=$json")
    if [[ -n $INPUT_JUNIT ]]; then
        junit=$(place "$INPUT_JUNIT")
        reports+=(--report "junit=$junit")
    fi
    split "$folder/words"
    mapfile -d '' -t words <"$folder/words"
    if is_on DENY_UNUSED; then options+=(--deny-unused); fi
    if is_on WARN; then options+=(--warn); fi
    mode=$(cached)
    if [[ $mode != off ]]; then options+=(--cache); fi
    reference=$(against)
    if [[ -n $reference ]]; then
        git=(trusted)
        compared+=(--against "$reference")
        if is_on ALLOW_WIDER; then compared+=(--allow-wider); fi
        options+=("${compared[@]}")
    fi
    if is_on REQUIRE_REVIEWED; then
        options+=(--require-reviewed)
        # Not this build alone, but everything that Cargo.toml declares.
        if ! is_on WARN; then
            unheeded "${git[@]}" env "GITHUB_STEP_SUMMARY=$folder/summary" \
                "$BUILDPERM" check "${compared[@]}" "${reports[@]}" || status=$?
            if [[ $status == "$NOT_REVIEWED" ]]; then
                cat "$folder/summary" >>"$GITHUB_STEP_SUMMARY"
            fi
        fi
    fi
    if [[ $status == 0 ]]; then
        unheeded "${git[@]}" "$BUILDPERM" ci "${options[@]}" "${reports[@]}" -- "${words[@]}" || status=$?
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
    case $status in
        "$REFUSED")
            # The packages that there are depend on what Cargo was called with.
            if [[ ${#words[@]} -gt 0 ]]; then printf -v called ' %q' "${words[@]}"; fi
            echo "To decide: get $json, then run \`buildperm review --from FILE${called:+ --$called}\`" \
                'on your own machine.'
            ;;
        "$NOT_REVIEWED") echo 'To decide: run `buildperm review` on your own machine.' ;;
    esac
    return "$status"
}

"$1"
