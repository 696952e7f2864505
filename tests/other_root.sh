#!/bin/sh
# Runs buildperm in the root of another distribution, on a copy of a workspace: other paths, another tool chain,
# another home. `sh tests/other_root.sh ROOT WORKSPACE [WORDS OF BUILDPERM]`; without words `ci --require-reviewed`.
#
# A root is made by `mmdebstrap --include=gcc,pkg-config,cmake,make,python3,cargo,bubblewrap SUITE ROOT`, or is any
# unpacked image of a container with Python 3.11 and Cargo. Crates come from this machine's CARGO_HOME: run `cargo
# fetch` before. RUST=FOLDER takes that tool chain, say `$(rustc --print sysroot)`, instead of the root's own.
# Empty folders are made in the root. OUT=FOLDER keeps the copy there, with what `learn` wrote into it.
set -eu

root=$(realpath "$1") workspace=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- ci --require-reviewed

product=$(realpath "$(dirname "$0")/..")
packages=$("$product/.venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
cargo=${CARGO_HOME:-$HOME/.cargo}
copy=${OUT:-$(mktemp -d)}
[ -n "${OUT:-}" ] || trap 'rm -rf "$copy"' EXIT
(cd "$workspace" && tar -c --exclude=./target .) | tar -x -C "$copy"

path=/usr/local/bin:/usr/bin:/bin
rust=
if [ -n "${RUST:-}" ]; then
    rust="--ro-bind $RUST /opt/rust" path=/opt/rust/bin:$path
fi
# shellcheck disable=SC2086 # Words, or none.
bwrap --die-with-parent --bind "$root" / --dev /dev --proc /proc --tmpfs /tmp \
    --bind "$copy" /srv/checkout --bind "$cargo" /srv/cargo \
    --ro-bind "$product" /opt/buildperm --ro-bind "$packages" /opt/packages $rust \
    --chdir /srv/checkout --clearenv --setenv PATH "$path" --setenv HOME /root --setenv LANG C.UTF-8 \
    --setenv CARGO_HOME /srv/cargo --setenv CARGO_NET_OFFLINE true --setenv CARGO_TARGET_DIR /tmp/built \
    --setenv PYTHONPATH /opt/buildperm:/opt/packages --setenv PYTHONDONTWRITEBYTECODE 1 \
    python3 -m buildperm "$@"
