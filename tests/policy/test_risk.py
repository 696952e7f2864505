"""Risk: four words, each with a sentence; whatever is not known is high."""

from __future__ import annotations

import pytest

from buildperm.policy import presets, risk
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.rule import Rule


@pytest.mark.parametrize(
    ("kind", "pattern", "expected"),
    [
        (Kind.READ, "$WORKSPACE/proto/a.proto", Risk.LOW),
        (Kind.READ, "$WORKSPACE/proto/**", Risk.LOW),
        (Kind.READ, "$WORKSPACE/.git/HEAD", Risk.MEDIUM),
        (Kind.READ, "$CARGO_HOME/registry/src/i/x/lib.rs", Risk.LOW),
        (Kind.READ, "$CARGO_HOME/config.toml", Risk.CRITICAL),
        (Kind.READ, "$CARGO_HOME/.crates.toml", Risk.MEDIUM),
        (Kind.READ, "$TARGET_DIR/debug/x", Risk.MEDIUM),
        (Kind.READ, "/etc/hosts", Risk.MEDIUM),
        (Kind.READ, "/opt/x/**", Risk.MEDIUM),
        (Kind.READ, "$HOME/notes.txt", Risk.HIGH),
        (Kind.READ, "/mnt/x", Risk.HIGH),
        (Kind.READ, "/var/lib/x", Risk.HIGH),
        (Kind.READ, "$HOME/.ssh/id_rsa", Risk.CRITICAL),
        (Kind.READ, "$HOME/**", Risk.CRITICAL),
        (Kind.WRITE, "$WORKSPACE/gen/a.h", Risk.HIGH),
        (Kind.WRITE, "$MANIFEST_DIR/src/gen.rs", Risk.HIGH),
        (Kind.WRITE, "$WORKSPACE/.git/hooks/x", Risk.CRITICAL),
        (Kind.WRITE, "$WORKSPACE/**", Risk.CRITICAL),
        (Kind.EXEC, "cc", Risk.MEDIUM),
        (Kind.EXEC, "uname", Risk.LOW),
        (Kind.EXEC, "df", Risk.LOW),
        (Kind.EXEC, "lscpu", Risk.LOW),
        (Kind.EXEC, "git", Risk.MEDIUM),
        (Kind.EXEC, "protoc", Risk.MEDIUM),
        (Kind.EXEC, "sh", Risk.HIGH),
        (Kind.EXEC, "/bin/sh", Risk.HIGH),
        (Kind.EXEC, "bash", Risk.HIGH),
        (Kind.EXEC, "perl", Risk.HIGH),
        (Kind.EXEC, "python3.11", Risk.HIGH),
        (Kind.EXEC, "curl", Risk.HIGH),
        (Kind.EXEC, "docker", Risk.CRITICAL),
        (Kind.EXEC, "sudo", Risk.CRITICAL),
        (Kind.EXEC, "$HOME/.ssh/id_rsa", Risk.CRITICAL),
        (Kind.EXEC, "$HOME/.ssh/*", Risk.CRITICAL),
        (Kind.EXEC, "/root/bin/x", Risk.CRITICAL),
        (Kind.EXEC, "frobnicate", Risk.HIGH),
        (Kind.EXEC, "c*", Risk.HIGH),
        (Kind.EXEC, "*", Risk.HIGH),
        (Kind.EXEC, "$OUT_DIR/probe", Risk.MEDIUM),
        (Kind.EXEC, "$MANIFEST_DIR/bin/protoc", Risk.HIGH),
        (Kind.EXEC, "$HOME/bin/cc", Risk.HIGH),
        (Kind.EXEC, "/tmp/cc", Risk.HIGH),
        (Kind.EXEC, "$WORKSPACE/**", Risk.HIGH),
        (Kind.EXEC, "/memfd:x (deleted)", Risk.HIGH),
        (Kind.NET, "github.com:443", Risk.HIGH),
        (Kind.ENV, "MY_SETTING", Risk.LOW),
        (Kind.ENV, "GITHUB_TOKEN", Risk.CRITICAL),
        (Kind.DIRECTIVE, "rustc-link-arg=-lm", Risk.HIGH),
        (Kind.DIRECTIVE, "rustc-link-arg=-pthread", Risk.MEDIUM),
        (Kind.DIRECTIVE, "rustc-link-arg-bins=-Wl,-z,relro", Risk.MEDIUM),
        (Kind.DIRECTIVE, "rustc-link-arg=-no-pie", Risk.HIGH),  # It takes a protection away.
        (Kind.DIRECTIVE, "rustc-link-arg=-pthread*", Risk.HIGH),
        (Kind.DIRECTIVE, "rustc-link-arg=-Wl,-z,relro,-rpath=/x", Risk.HIGH),
        (Kind.DIRECTIVE, "rustc-flags=-pthread", Risk.HIGH),
        (Kind.DIRECTIVE, "rustc-flags=-L /opt/x", Risk.HIGH),
        (Kind.DIRECTIVE, "rustc-link-search=native=$MANIFEST_DIR/lib", Risk.MEDIUM),
        (Kind.DIRECTIVE, "rustc-link-search=/opt/x", Risk.HIGH),
        (Kind.DIRECTIVE, "rustc-env=CARGO_PKG_VERSION", Risk.MEDIUM),
        (Kind.DIRECTIVE, "unheard-of=1", Risk.HIGH),
        (Kind.SYSTEM, "bpf", Risk.HIGH),
    ],
)
def test_a_rule_has_one_of_four_risks_and_a_sentence(
    kind: Kind, pattern: str, expected: Risk
) -> None:
    judged, reason = risk.assess_rule(Rule(kind, pattern))

    assert judged is expected
    assert reason.startswith(f"`{pattern}`: ")
    assert reason.endswith(".")


def test_programs_of_presets_are_judged_no_higher_than_the_preset_but_for_interpreters() -> None:
    # A preset of these is not offered for code on the command line.
    interpreters = {
        "python",
        "python2",
        "python3",
        "pypy",
        "pypy3",
        "node",
        "nodejs",
        "java",
        "perl",
    }
    shells = {"sh", "dash", "bash", "zsh"} | interpreters
    for preset in presets.PRESETS.values():
        for rule in preset.rules:
            if rule.kind is Kind.EXEC and rule.pattern not in shells and "*" not in rule.pattern:
                assert risk.assess_rule(rule)[0] <= preset.risk, rule


def _access(kind: Kind, target: str, example: str = "", **more: object) -> Access:
    outcome = more.get("outcome", Outcome.DONE)
    assert isinstance(outcome, Outcome)
    return Access(
        kind, target, outcome, 1, 0, 0, (("build script",),), example, str(more.get("held", ""))
    )


@pytest.mark.parametrize("words", ["fetch", "clone https://x", "-C . pull", "submodule update"])
def test_git_is_high_where_it_talks_to_the_network(words: str) -> None:
    assert risk.assess_access(_access(Kind.EXEC, "git", f"git {words}"))[0] is Risk.HIGH
    assert risk.assess_access(_access(Kind.EXEC, "git", "git describe --tags"))[0] is Risk.MEDIUM


def test_everything_of_the_sensitive_tier_is_critical() -> None:
    for kind in Kind:
        judged, reason = risk.assess_access(_access(kind, "x", held="because"))
        assert judged is Risk.CRITICAL
        assert "because" in reason


def test_a_write_that_happened_all_the_same_says_so() -> None:
    done = risk.assess_access(_access(Kind.WRITE, "$MANIFEST_DIR/x"))
    refused = risk.assess_access(_access(Kind.WRITE, "$MANIFEST_DIR/x", outcome=Outcome.REFUSED))

    assert done[0] is refused[0] is Risk.HIGH
    assert "could not prevent" in done[1]
    assert "could not prevent" not in refused[1]


LOOK_UP = (
    "it looked up the name of a host by itself, or sent packets. Hosts that are granted are "
    "reached through the proxy that `HTTPS_PROXY` names, without a look-up."
)


def test_what_names_of_hosts_are_looked_up_with_is_said_to_be() -> None:
    assert risk.assess_rule(Rule(Kind.READ, "/etc/resolv.conf")) == (
        Risk.MEDIUM,
        "`/etc/resolv.conf`: names of hosts are looked up with it.",
    )
    assert "setting of this machine" in risk.assess_rule(Rule(Kind.READ, "/etc/resolv.confx"))[1]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("kill", "`kill`: it was about a process that is not its own."),
        ("pidfd_open", "`pidfd_open`: it was about a process that is not its own."),
        ("bpf", "`bpf` is a system call that no build needs."),
        ("socket(inet, raw)", "`socket(inet, raw)` is a system call that no build needs."),
        ("socket(inet6, dgram)", f"`socket(inet6, dgram)`: {LOOK_UP}"),
        ("socket(inet, dgram)", f"`socket(inet, dgram)`: {LOOK_UP}"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_of_those_that_are_common(call: str, reason: str) -> None:
    refused = _access(Kind.SYSTEM, call, outcome=Outcome.REFUSED)
    assert risk.assess_access(refused) == (Risk.HIGH, reason)
