"""Explanations say what is enforced: each is held against the function that decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import effective
from buildperm.policy.explainer import (
    HANDED_OVER,
    LOOKED_INTO,
    ON_PATH,
    TOOL,
    UNCONNECTED,
    UNOPENED,
    Explainer,
)
from buildperm.policy.explanation import (
    AllowedByBaseline,
    AllowedByPreset,
    AllowedByRule,
    Denied,
    Explanation,
    HabitualAttempt,
    NeverGrantable,
    NotGranted,
    NotInForce,
    Sensitive,
    is_allowed,
)
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import NAMES
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import STEERS, why_sensitive
from buildperm.policy.undecided_accesses import undecided
from buildperm.policy.validation import to_denial, to_grant
from buildperm.rules import directive
from buildperm.rules import variables as environment
from buildperm.rules.pattern import TOKENS, is_literal
from buildperm.tracer.notation import encode

VERSION = "1.0.0"
# The folders of a build that is somewhere else altogether than where explanations imagine it.
PLACES = {token: b"/srv/" + token.lower().encode() for token in TOKENS}

names = st.sampled_from(
    ["a", "b", "proto", "x.rs", "Cargo.toml", ".env", "id_ed25519", ".ssh", "build.rs", "%25"]
)
folders = st.sampled_from(
    [
        *("$WORKSPACE", "$MANIFEST_DIR", "$OUT_DIR", "$TMP", "$HOME", "$TARGET_DIR", "$CARGO_HOME"),
        *("/usr/lib", "/opt/x", "/etc", "/proc/self", "/proc/7", "/etc/ssl/private", "/tmp"),
    ]
)
targets = st.builds(
    lambda folder, below: "/".join((folder, *below)), folders, st.lists(names, max_size=3)
)
programs = st.one_of(
    st.sampled_from(["cc", "ld", "perl", "git", "sh", "make", "tool", "gcc-12", "pkg-config"]),
    targets,
)
variables = st.sampled_from(
    [
        *("CC", "CFLAGS_x", "OPENSSL_DIR", "OPENSSL_TOKEN", "GITHUB_TOKEN", "GITHUB_SHA", "MY_LIB"),
        *("HTTP_PROXY", "PWD", "CARGO_PKG_NAME", "LD_PRELOAD", "LD_AUDIT", "AWS_LC_SYS", "%FF"),
    ]
)
keys = st.sampled_from(
    [
        *("rustc-env", "rustc-link-arg", "rustc-link-lib", "rustc-link-search", "rustc-flags"),
        *("rerun-if-changed", "rerun-if-env-changed", "rustc-cfg", "unknown", "metadata"),
    ]
)
values = st.sampled_from(
    [
        *("A=1", "PATH=/x", "LD_PRELOAD=x", "GIT_HASH=12ab", "-lm", "-l m -L /srv/out_dir/x"),
        *("native=/srv/out_dir", "/srv/workspace/lib", "/usr/lib", "@file", "GITHUB_TOKEN", "CC"),
        *("-Wl,/srv/manifest_dir/x.o", "x", "", "link-arg=-lx", "-x y"),
    ]
).map(lambda text: encode(text.encode()))


def widened(target: str) -> st.SearchStrategy[str]:
    """Draw patterns that may cover `target`."""
    folder, slash, name = target.rpartition("/")
    return st.sampled_from(
        [
            target,
            f"{folder}{slash}**",
            f"{folder}{slash}*",
            f"{target}/**",
            f"{name[:2]}*",
            f"{folder}{slash}{name[:1]}*",
        ]
    )


def rules(
    kind: Kind, asked: st.SearchStrategy[str], *, denials: bool = False
) -> st.SearchStrategy[frozenset[Rule]]:
    """Draw rules that can stand in Cargo.toml."""

    def can_stand(rule: Rule) -> bool:
        found = to_denial(rule) if denials else to_grant(rule, reason="because")
        return found is None

    one = asked.flatmap(widened).map(lambda pattern: Rule(kind, pattern)).filter(can_stand)
    return st.frozensets(one, max_size=3)


def granted(kind: Kind, asked: st.SearchStrategy[str]) -> st.SearchStrategy[CrateGrants]:
    return st.builds(
        CrateGrants,
        st.just("x"),
        reviewed=st.sampled_from([frozenset[str](), frozenset({VERSION})]),
        presets=st.frozensets(st.sampled_from(NAMES), max_size=2),
        rules=rules(kind, asked),
        denials=rules(kind, asked, denials=True),
        reason=st.just("because"),
    )


def accessed(kind: Kind, target: str, told: Explanation, *, resolved: str = "") -> Access:
    """Make the access of a run that went as it was explained."""
    outcome = Outcome.DONE if is_allowed(told) else Outcome.REFUSED
    why = why_sensitive(kind, target)
    return Access(kind, target, outcome, 1, 0, 0, (), sensitive=why, resolved=resolved)


def needs_nobody(told: Explanation) -> bool:
    """Tell whether an explanation leaves nothing to decide."""
    return is_allowed(told) or isinstance(told, Denied | HabitualAttempt)


@pytest.mark.parametrize("kind", [Kind.READ, Kind.WRITE])
@given(data=st.data())
@pytest.mark.slow
def test_paths_are_explained_as_they_are_decided(kind: Kind, data: st.DataObject) -> None:
    target = data.draw(targets)
    grants = data.draw(granted(kind, st.one_of(st.just(target), targets)))
    told = Explainer(grants, VERSION).explain(kind, target)
    now = effective(grants, VERSION)

    left = undecided([accessed(kind, target, told)], now.rules, now.denials)

    assert needs_nobody(told) is (left == [])


@given(data=st.data())
def test_programs_are_explained_as_they_are_decided(data: st.DataObject) -> None:
    target = data.draw(programs)
    resolved = "" if "/" in target else data.draw(st.sampled_from(["", "/opt/x/a", "/usr/bin/a"]))
    asked = st.one_of(st.just(target), programs, st.just(resolved or target))
    grants = data.draw(granted(Kind.EXEC, asked))
    told = Explainer(grants, VERSION).explain(Kind.EXEC, target, resolved=resolved)
    now = effective(grants, VERSION)

    left = undecided([accessed(Kind.EXEC, target, told, resolved=resolved)], now.rules, now.denials)

    assert needs_nobody(told) is (left == [])


@given(name=variables, data=st.data())
def test_variables_are_explained_as_they_pass(name: str, data: st.DataObject) -> None:
    grants = data.draw(granted(Kind.ENV, st.one_of(st.just(name), variables)))
    told = Explainer(grants, VERSION).explain(Kind.ENV, name)
    lists = effective(grants, VERSION).lists()

    passes = environment.passes(
        name, learning=False, granted=lists["env"], denied=lists["deny"].get("env", ())
    )

    assert is_allowed(told) is passes


@given(key=keys, value=values, data=st.data())
def test_directives_are_explained_as_they_are_judged(
    key: str, value: str, data: st.DataObject
) -> None:
    # Names of variables are compared as they are, and none has a folder in it.
    assume(key != "rustc-env" or "/" not in value.partition("=")[0])
    whole = f"{key}={directive.portable(value, PLACES)}"
    asked = st.one_of(st.just(whole), st.just(directive.targets(key, value, PLACES)[0]))
    grants = data.draw(granted(Kind.DIRECTIVE, asked))
    more = data.draw(rules(Kind.ENV, variables))
    grants = replace(grants, rules=grants.rules | more)
    lists = effective(grants, VERSION).lists()
    told = Explainer(grants, VERSION).explain(Kind.DIRECTIVE, whole)

    verdict = directive.judge(
        key,
        value,
        granted=[
            *lists["directives"],
            *(f"rerun-if-env-changed={name}" for name in lists["env"] if is_literal(name)),
        ],
        denied=lists["deny"].get("directives", ()),
        places=PLACES,
    )

    assert is_allowed(told) is (verdict in (directive.FREE, directive.GRANTED))
    if not isinstance(told, Denied):
        assert isinstance(told, NeverGrantable) is (verdict == directive.FORBIDDEN)


PERL = Rule(Kind.EXEC, "perl")
HOST = Rule(Kind.NET, "crates.io:443")
BELOW = Rule(Kind.NET, "*.b.test:1")
SCHEMA = Rule(Kind.READ, "$WORKSPACE/schema/**")
TOKEN = Rule(Kind.ENV, "MY_TOKEN")


def of(*rules: Rule, denied: tuple[Rule, ...] = (), presets: str = "") -> CrateGrants:
    return CrateGrants(
        "x",
        frozenset({VERSION}),
        frozenset(presets.split()),
        frozenset(rules),
        frozenset(denied),
        "because",
    )


@pytest.mark.parametrize(
    ("kind", "target", "grants", "told"),
    [
        (Kind.READ, "/usr/include/zlib.h", None, AllowedByBaseline("/usr/**", "")),
        (Kind.READ, "$WORKSPACE/schema/a", of(SCHEMA), AllowedByRule(SCHEMA)),
        (Kind.READ, "$WORKSPACE/a", of(SCHEMA), NotGranted()),
        (Kind.EXEC, "cc", of(presets="cc"), AllowedByPreset("cc", Rule(Kind.EXEC, "cc"))),
        # What a crate is granted by itself says more.
        (
            Kind.EXEC,
            "cc",
            of(Rule(Kind.EXEC, "cc"), presets="cc"),
            AllowedByRule(Rule(Kind.EXEC, "cc")),
        ),
        (Kind.EXEC, "perl", of(PERL, denied=(PERL,)), Denied(PERL)),
        (Kind.NET, "crates.io:443", of(HOST), AllowedByRule(HOST)),
        (Kind.NET, "crates.io:80", of(HOST), NotGranted()),
        (Kind.NET, "crates.io:443", of(HOST, denied=(HOST,)), Denied(HOST)),
        (Kind.NET, "a.b.test:1", of(BELOW), AllowedByRule(BELOW)),
        (Kind.NET, "1.2.3.4:1", of(Rule(Kind.NET, "*.4:1")), NotGranted()),
        (
            Kind.NET,
            "%5B::1%5D:80",
            of(Rule(Kind.NET, "[::1]:80")),
            AllowedByRule(Rule(Kind.NET, "[::1]:80")),
        ),
        (Kind.NET, "/tmp/socket", None, NeverGrantable(UNCONNECTED)),
        (Kind.SYSTEM, "bpf", None, NeverGrantable(UNOPENED)),
        (Kind.SYSTEM, "unshare", None, HabitualAttempt("unshare")),
        (Kind.READ, "/dev/shm", None, HabitualAttempt("/dev/shm")),
        (Kind.DIRECTIVE, "rustc-env=LD_PRELOAD=x", None, NeverGrantable(STEERS)),
        (Kind.DIRECTIVE, "rustc-link-arg=-lm", None, NotGranted()),
        (Kind.ENV, "MY_TOKEN", of(TOKEN), AllowedByRule(TOKEN)),
    ],
)
def test_an_explanation_names_what_decides(
    kind: Kind, target: str, grants: CrateGrants | None, told: Explanation
) -> None:
    assert Explainer(grants, VERSION).explain(kind, target) == told


def test_a_wildcard_is_named_that_cannot_open_the_sensitive_tier() -> None:
    names = Rule(Kind.ENV, "MY_*")

    told = Explainer(of(names), VERSION).explain(Kind.ENV, "MY_TOKEN")

    assert isinstance(told, Sensitive)
    assert told.wildcard == names
    assert Explainer(of(names), VERSION).explain(Kind.ENV, "MY_DIR") == AllowedByRule(names)


def test_a_grant_of_high_risk_is_not_in_force_for_a_version_nobody_looked_at() -> None:
    told = Explainer(of(PERL), "2.0.0").explain(Kind.EXEC, "perl")

    assert isinstance(told, NotInForce)
    assert told.rule == PERL
    assert "2.0.0 has not been reviewed" in told.why


def test_a_grant_that_a_denial_cuts_into_is_not_in_force() -> None:
    secret = Rule(Kind.READ, "$WORKSPACE/schema/private")
    grants = of(SCHEMA, denied=(secret,))

    assert Explainer(grants, VERSION).explain(Kind.READ, "$WORKSPACE/schema/private") == Denied(
        secret
    )
    told = Explainer(grants, VERSION).explain(Kind.READ, "$WORKSPACE/schema/a")
    assert isinstance(told, NotInForce)
    assert secret.pattern in told.why


def test_what_this_run_was_given_is_told_as_such() -> None:
    folder = "$TARGET_DIR/debug/build/z-0/out"

    assert Explainer(None, VERSION).explain(Kind.EXEC, "tool", is_free=True) == AllowedByBaseline(
        "", TOOL
    )
    assert Explainer(None, VERSION).explain(
        Kind.READ, f"{folder}/z.h", handed_over=[folder]
    ) == AllowedByBaseline("", HANDED_OVER)
    assert (
        Explainer(None, VERSION).explain(Kind.READ, f"{folder}2/z.h", handed_over=[folder])
        == NotGranted()
    )


def test_a_folder_of_programs_is_told_as_such() -> None:
    told = Explainer(None, VERSION).explain(Kind.READ, "$CARGO_HOME/bin", is_free=True)

    assert told == AllowedByBaseline("", ON_PATH)


@pytest.mark.parametrize("target", ["/etc/gitconfig", "$TARGET_DIR/buildperm-gitconfig"])
def test_settings_without_a_secret_are_told_as_such(target: str) -> None:
    explainer = Explainer(None, VERSION)

    assert explainer.explain(Kind.READ, target, is_free=True) == AllowedByBaseline("", LOOKED_INTO)
    assert not isinstance(explainer.explain(Kind.WRITE, target), AllowedByBaseline)


def test_sources_of_a_dependency_are_read_and_not_searched_for_libraries() -> None:
    folder = "$CARGO_HOME/registry/src/index/z-1.0.0/include"
    explainer = Explainer(None, VERSION)

    assert explainer.explain(Kind.READ, f"{folder}/z.h", handed_over=[folder]) == AllowedByBaseline(
        "", HANDED_OVER
    )
    for kind, target in (
        (Kind.WRITE, f"{folder}/z.h"),
        (Kind.READ, f"{folder}/.ssh/id_rsa"),
        (Kind.DIRECTIVE, f"rustc-link-search=native={folder}"),
    ):
        told = explainer.explain(kind, target, handed_over=[folder])
        assert not isinstance(told, AllowedByBaseline)


def test_whoever_may_see_a_secret_may_have_cargo_watch_it() -> None:
    told = Explainer(of(TOKEN), VERSION).explain(Kind.DIRECTIVE, "rerun-if-env-changed=MY_TOKEN")

    assert told == AllowedByRule(TOKEN)
    assert (
        Explainer(None, VERSION).explain(Kind.DIRECTIVE, "rerun-if-env-changed=MY_TOKEN")
        == NotGranted()
    )


def test_half_a_byte_is_no_target() -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        Explainer(None, VERSION).explain(Kind.DIRECTIVE, "rustc-cfg=%2")
