"""Stable targets: the same for every commit, checkout and run, and otherwise as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.kinds import Kind
from buildperm.policy.stable_target import grantable, lasting
from buildperm.rules.pattern import is_literal, matches

READ, WRITE = Kind.READ, Kind.WRITE


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("$WORKSPACE/.git/objects/91/ab", "$WORKSPACE/.git/objects/**"),
        ("$WORKSPACE/.git/objects", "$WORKSPACE/.git/objects/**"),
        ("$WORKSPACE/.git/refs/heads/main", "$WORKSPACE/.git/refs/**"),
        ("$WORKSPACE/.git/packed-refs", "$WORKSPACE/.git/refs/**"),
        ("$WORKSPACE/.git/logs/HEAD", "$WORKSPACE/.git/logs/**"),
        ("$WORKSPACE/.git/modules/x/objects/a", "$WORKSPACE/.git/modules/x/objects/**"),
        ("$WORKSPACE/.git/HEAD", "$WORKSPACE/.git/HEAD"),
        ("$WORKSPACE/.git/config", "$WORKSPACE/.git/config"),
        ("$WORKSPACE/.git/hooks/post-checkout", "$WORKSPACE/.git/hooks/post-checkout"),
        ("$WORKSPACE/objects/91/ab", "$WORKSPACE/objects/91/ab"),
        ("$TARGET_DIR/debug/build/z-0123456789abcdef/out/z.h", "$TARGET_DIR/**/build/z-*/out/z.h"),
        ("/tmp/tmpk3x9_ab1/x", "/tmp/tmp*/x"),
        ("/tmp/tmpqwertyui", "/tmp/tmp*"),
        ("/tmp/tmp.MAp6GnQk9S/a.c", "/tmp/tmp.*/a.c"),
        ("/tmp/ccA1b2C3.o", "/tmp/cc*.o"),
        ("/tmp/buildmfQ7zD", "/tmp/*"),
        ("/tmp/app-build-22980/x", "/tmp/app-build-*/x"),
        ("/tmp/app_build_22980", "/tmp/app_build_*"),
        ("/var/tmp/app.22980.lock", "/var/tmp/app.*.lock"),
        ("/tmp/app-7", "/tmp/app-*"),
        ("/tmp/hsperfdata_root/23071", "/tmp/hsperfdata_root/*"),
        ("/tmp/pymp-qwertyui/listener-abcdefgh", "/tmp/pymp-*/listener-*"),
        ("/tmp/rustcaBcDeF", "/tmp/rustc*"),
        ("/dev/shm/sem.vwg9Sz", "/dev/shm/sem.*"),
        ("/dev/shm/sem.mp-abcdefgh", "/dev/shm/sem.*"),
        ("/dev/shm/psm_deadbeef", "/dev/shm/psm_*"),
        ("/tmp/tool-1.25.300", "/tmp/tool-1.25.300"),
        ("/tmp/node-compile-cache/x", "/tmp/node-compile-cache/x"),
        ("/tmp/tmpfiles", "/tmp/tmpfiles"),
        ("/tmp/cache/v2", "/tmp/cache/v2"),
        ("/tmp/build-log", "/tmp/build-log"),
        ("$WORKSPACE/gen/a.h.12345", "$WORKSPACE/gen/a.h.*"),
        ("$WORKSPACE/gen/.tmpAbC123", "$WORKSPACE/gen/.tmp*"),
        ("$WORKSPACE/gen/x-0123456789abcdef0123.h", "$WORKSPACE/gen/x-*.h"),
        ("$WORKSPACE/gen/deadbeef.h", "$WORKSPACE/gen/deadbeef.h"),
        (
            "$CARGO_HOME/registry/src/registry.example.org-0123456789abcdef/a-1/x.c",
            "$CARGO_HOME/registry/src/registry.example.org-0123456789abcdef/a-1/x.c",
        ),
    ],
)
def test_what_varies_is_left_open_and_nothing_else(target: str, told: str) -> None:
    assert lasting(WRITE, target) == told


def test_names_are_no_paths() -> None:
    assert lasting(Kind.EXEC, "tmpk3x9_ab1") == "tmpk3x9_ab1"
    assert lasting(Kind.ENV, "A_0123456789abcdef") == "A_0123456789abcdef"


paths = st.lists(
    st.text("abz019._-", min_size=1, max_size=24)
    | st.sampled_from([".git", "objects", "refs", "heads", "build", "out"]),
    min_size=1,
    max_size=6,
).map("/".join)
roots = st.sampled_from(["$WORKSPACE", "$TARGET_DIR/debug", "/tmp", "$HOME", "/opt"])


@given(roots, paths)
def test_it_stands_for_what_it_was_made_from_and_is_made_once(root: str, path: str) -> None:
    target = f"{root}/{path}"
    told = lasting(READ, target)

    assert lasting(READ, told) == told
    if not target.endswith(("/packed-refs", "_HEAD", "/shallow")):
        assert matches(told, target)
    if is_literal(told):
        assert told == target


REGISTRY = "$CARGO_HOME/registry/src/registry.example.org-0123456789abcdef"


@pytest.mark.parametrize(
    ("target", "written"),
    [
        (
            f"{REGISTRY}/lua-src-548.1.2/lua/a.c",
            "$CARGO_HOME/registry/src/*/lua-src-548.1.2/lua/a.c",
        ),
        (f"{REGISTRY}/a-1.0.0-rc.1+b/x", "$CARGO_HOME/registry/src/*/a-1.0.0-rc.1+b/x"),
        (f"{REGISTRY}/a-1.0.0", "$CARGO_HOME/registry/src/*/a-1.0.0"),
        # No crate, no registry, no name of a version: nothing else is meant by these.
        (REGISTRY, REGISTRY),
        (f"{REGISTRY}/.cargo-ok", f"{REGISTRY}/.cargo-ok"),
        (f"{REGISTRY}/bin/protoc", f"{REGISTRY}/bin/protoc"),
        ("$CARGO_HOME/registry/src/x/a-1.0.0/a.c", "$CARGO_HOME/registry/src/x/a-1.0.0/a.c"),
        ("$HOME/registry/src/x-0123456789abcdef/a-1.0.0/a.c",) * 2,
        ("$CARGO_HOME/git/checkouts/a-0123456789abcdef/abcdef0/a.c",) * 2,
    ],
)
def test_a_grant_calls_the_sources_of_a_crate_the_same_for_every_registry(
    target: str, written: str
) -> None:
    assert grantable(target) == written
    assert matches(written, target)
