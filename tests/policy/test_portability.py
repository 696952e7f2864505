"""Portability: what holds on this machine alone is marked, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import portability
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule


@pytest.mark.parametrize(
    "pattern",
    [
        "/srv/venv/bin/python",
        "$WORKSPACE/.venv/bin/python",
        "$WORKSPACE/tools/venv/**",
        "$HOME/.pyenv/versions/3.11.7/bin/python3",
        "$HOME/.pyenv/**",
        "/opt/x/bin/tool",
        "/usr/local/bin/tool",
        "/home/u/checkout/proto/a.proto",
        "/nix/store/0123-x/bin/x",
        "/tmp/x",
        "/usr/lib/x86_64-linux-gnu/qt6/bin/moc",
        "/usr/libexec/x86_64-linux-gnu/x",
    ],
)
def test_what_others_may_not_have_is_local(pattern: str) -> None:
    for kind in (Kind.READ, Kind.WRITE, Kind.EXEC):
        assert portability.why_local(Rule(kind, pattern))
    assert portability.SHORT in portability.marked("this", [Rule(Kind.READ, pattern)])


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Kind.EXEC, "python3"),
        Rule(Kind.EXEC, "/usr/bin/python3"),
        Rule(Kind.EXEC, "$OUT_DIR/x"),
        Rule(Kind.READ, "$WORKSPACE/proto/*.proto"),
        Rule(Kind.READ, "$WORKSPACE/venvs.txt"),
        Rule(Kind.READ, "$CARGO_HOME/registry/src/i/c-1/x.c"),
        Rule(Kind.READ, "/etc/hosts"),
        Rule(Kind.ENV, "HOME"),
        Rule(Kind.NET, "10.0.0.1:443"),
        Rule(Kind.EXEC, "/usr/lib/gcc/x86_64-linux-gnu/12/cc1"),
        Rule(Kind.EXEC, "/usr/lib/git-core/git-lfs"),
        Rule(Kind.DIRECTIVE, "rustc-link-search=native=/usr/lib"),
        Rule(Kind.DIRECTIVE, "rustc-link-search=$WORKSPACE/lib"),
        Rule(Kind.DIRECTIVE, "rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib"),
        Rule(Kind.DIRECTIVE, "rustc-link-arg=-Wl,-z,relro"),
        Rule(Kind.DIRECTIVE, "rustc-env=URL=https://h.example/x"),
        Rule(Kind.READ, "$CARGO_HOME/registry/src/index.example-zz/c-1/x.c"),
        Rule(Kind.DIRECTIVE, "rustc-link-search=native=/usr/lib/x"),
        Rule(Kind.DIRECTIVE, "rustc-link-arg=-T$MANIFEST_DIR/link.x"),
        Rule(Kind.DIRECTIVE, "rustc-env=X=a/b"),
        Rule(Kind.READ, "$TARGET_DIR/**/build/c-*/out/x"),
    ],
    ids=str,
)
def test_what_holds_elsewhere_is_not_marked(rule: Rule) -> None:
    assert not portability.why_local(rule)
    assert portability.marked("this", [rule]) == "this"


@pytest.mark.parametrize(
    "pattern",
    [
        "rustc-link-search=/opt/x",
        "rustc-link-search=native=/home/u/sdk/lib",
        "rustc-link-search=native=$HOME/sdk/lib",
        "rustc-link-arg=-L/opt/x",
        "rustc-link-arg=-Wl,-rpath,/srv/x/lib",
        "rustc-link-arg-bins=-fuse-ld=/usr/local/bin/mold",
        "rustc-cdylib-link-arg=-Wl,-T,/home/u/x.ld",
        "rustc-flags=-L /opt/x -l y",
    ],
)
def test_what_the_linker_is_told_of_this_machine_is_local(pattern: str) -> None:
    assert portability.why_local(Rule(Kind.DIRECTIVE, pattern))
    assert portability.SHORT in portability.marked("this", [Rule(Kind.DIRECTIVE, pattern)])


@pytest.mark.parametrize(
    ("pattern", "is_local"),
    [
        ("$HOME/.ssh/id_ed25519", False),
        ("$HOME/.aws/credentials", False),
        ("$HOME/.config/gh/hosts.yml", False),
        ("$HOME/.config/tool.toml", True),
        ("$HOME/work/.ssh/id_ed25519", True),
        ("/srv/x/.ssh/id_ed25519", True),
        ("/etc/shadow", False),
    ],
)
def test_a_denial_of_keys_holds_in_everybodys_home(pattern: str, is_local: bool) -> None:
    assert bool(portability.why_denied_here(Rule(Kind.READ, pattern))) == is_local


REGISTRY = "$CARGO_HOME/registry/src/index.example.org-1949cf8c6b5b557f/cxx-1.0.1"
ROOTS = st.sampled_from(
    [
        *("/opt/sdk", "/home/u/lib", "/srv/x", "$HOME/sdk", "/usr/local/lib", REGISTRY),
        *("$OUT_DIR/../../x-1/out", "$CARGO_HOME/git/checkouts/crate-0123456789abcdef/abc1234"),
        *("/nix/store/a-b", "$WORKSPACE/cache/0123456789abcdef"),
        "$TARGET_DIR/debug/x-0123456789abcdef",
    ]
)
VALUES = st.sampled_from(
    ["{}", "native={}", "-L{}", "-Wl,-rpath,{}", "-Wl,-rpath=/usr/lib:{}", "--sysroot={} -lx"]
)


@given(ROOTS, st.sampled_from(["", "/cxx.h", "/include/**", "/*.h"]), VALUES)
def test_no_path_of_one_machine_is_offered_without_its_mark(
    root: str, rest: str, value: str
) -> None:
    path = root + rest
    rules = [Rule(kind, path) for kind in (Kind.READ, Kind.WRITE, Kind.EXEC)]
    rules.append(Rule(Kind.DIRECTIVE, f"rustc-link-arg={value.format(path)}"))

    for rule in rules:
        assert portability.SHORT in portability.marked("this", [rule])
        assert portability.notes([rule])


def test_a_virtual_environment_is_known_by_its_settings() -> None:
    seen = [
        Access(Kind.READ, f"$WORKSPACE/py/{name}", Outcome.DONE, 1, 0, 0, ())
        for name in ("pyvenv.cfg", "lib/x")
    ]
    found = portability.environments(seen)

    assert found == {"$WORKSPACE/py"}
    assert portability.why_local(Rule(Kind.READ, "$WORKSPACE/py/lib/x"), found)
    assert not portability.why_local(Rule(Kind.READ, "$WORKSPACE/python/x"), found)


def test_a_person_is_told_before_accepting() -> None:
    run = Access(Kind.EXEC, "/srv/venv/bin/python", Outcome.DONE, 1, 0, 0, ())

    (proposal,) = propose("a", "1.0.0", [run])

    assert all(portability.SHORT in choice.title for choice in proposal.choices)
    assert any("may be missing on other machines" in note for note in proposal.notes)


def test_settings_that_are_not_there_make_no_virtual_environment() -> None:
    sought = Access(Kind.READ, "/usr/bin/pyvenv.cfg", Outcome.FAILED, 1, 0, 0, ())

    assert not portability.environments([sought])
