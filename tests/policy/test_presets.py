"""Presets: what they hold, and that they hold nothing that a batch must not allow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.policy import presets, validation
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Risk
from buildperm.rules import baseline, sensitive, variables
from buildperm.rules.pattern import matches, resolve_exec


def test_the_first_presets_are_there() -> None:
    first = ("cc", "pkg-config", "cmake", "bindgen", "rustc-probe", "git")

    assert set(first) <= set(presets.NAMES)


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_preset_says_what_it_is(name: str) -> None:
    preset = PRESETS[name]

    assert preset.name == name
    assert preset.version >= 1
    assert preset.rules == tuple(sorted(set(preset.rules)))
    assert preset.anchors or preset.causes or preset.shells
    for text in (preset.title, preset.why, preset.covers, preset.leaves_out):
        assert text == text.strip().rstrip(".")
        assert text


@pytest.mark.parametrize("name", presets.NAMES)
def test_no_preset_opens_the_sensitive_tier(name: str) -> None:
    preset = PRESETS[name]

    assert preset.risk <= Risk.MEDIUM
    for rule in preset.rules:
        writing = rule.kind is Kind.WRITE
        assert not sensitive.why(rule.pattern, writing=writing), rule
        if "/" in rule.pattern:
            assert not sensitive.opened_by(rule.pattern, writing=writing), rule
        assert rule.kind is not Kind.ENV or not variables.looks_secret(rule.pattern)
        assert rule.kind in (Kind.READ, Kind.EXEC, Kind.WRITE, Kind.ENV)
        assert rule.kind is not Kind.WRITE or rule.pattern.startswith(("$OUT_DIR/", "$TMP/"))


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_person_could_have_granted_each_rule(name: str) -> None:
    for rule in PRESETS[name].rules:
        assert validation.to_grant(rule, reason="") is None, rule


@pytest.mark.parametrize("name", presets.NAMES)
def test_an_anchor_is_a_program_that_the_preset_allows(name: str) -> None:
    allowed = [rule.pattern for rule in PRESETS[name].rules if rule.kind is Kind.EXEC]
    for anchor in PRESETS[name].anchors:
        assert any(
            matches(pattern, anchor.replace("*", "x86_64-linux-gnu-x")) for pattern in allowed
        ), anchor


@pytest.mark.parametrize(
    ("preset", "programs"),
    [
        (
            "cc",
            "cc gcc gcc-13 g++ clang clang-18 x86_64-linux-gnu-gcc-12 aarch64-linux-gnu-ar as "
            "ld ld.lld arm-none-eabi-gcc x86_64-w64-mingw32-gcc ranlib gcc-ar-13 llvm-ar-18 nasm "
            "/usr/lib/gcc/x86_64-linux-gnu/12/cc1 /usr/libexec/gcc/x86_64-linux-gnu/13/collect2",
        ),
        ("pkg-config", "pkg-config pkgconf aarch64-linux-gnu-pkg-config"),
        ("cmake", "cmake make gmake ninja sh uname $OUT_DIR/build/CMakeFiles/cmTC_1"),
        ("bindgen", "clang llvm-config llvm-config-14 rustfmt /usr/lib/llvm-14/bin/clang"),
        ("rustc-probe", "rustc cargo $OUT_DIR/probe"),
        ("cargo-metadata", "cargo rustc $CARGO_HOME/bin/cargo"),
        ("cargo-build", "cargo rustdoc $OUT_DIR/target/debug/build/a-1/build-script-build"),
        ("git", "git /usr/lib/git-core/git-remote"),
    ],
)
def test_a_preset_covers_its_tool_chain(preset: str, programs: str) -> None:
    allowed = [rule.pattern for rule in PRESETS[preset].rules if rule.kind is Kind.EXEC]
    for program in programs.split():
        assert any(matches(pattern, program) for pattern in allowed), program


@pytest.mark.parametrize(
    "program",
    str.split(
        "curl wget ssh pip pip3 npm npx ruby sudo docker busybox /tmp/x $WORKSPACE/x /usr/bin/env"
    ),
)
def test_no_preset_covers_what_leaves_the_sandbox(program: str) -> None:
    for rule in presets.expand(presets.NAMES):
        assert rule.kind is not Kind.EXEC or not matches(rule.pattern, program), rule


def test_expanding_gives_the_rules_of_all() -> None:
    both = presets.expand(("cc", "git"))

    assert both == frozenset(PRESETS["cc"].rules) | frozenset(PRESETS["git"].rules)
    assert presets.expand(()) == frozenset()
    with pytest.raises(KeyError):
        presets.expand(("no-such-preset",))


def test_the_c_compiler_is_found_with_all_that_it_starts() -> None:
    rules = [rule.pattern for rule in PRESETS["cc"].rules if rule.kind is Kind.EXEC]
    path = os.environb.get(b"PATH", b"/usr/bin")
    found = [item for pattern in rules for item in resolve_exec(pattern, path, {})]
    compiler = os.path.realpath(b"/usr/bin/cc")
    if not Path("/usr/bin/cc").exists():
        pytest.skip("there is no C compiler")

    assert (compiler, False) in found
    assert (b"/usr", True) not in found


def test_what_a_preset_reads_is_beyond_the_baseline() -> None:
    for rule in presets.expand(presets.NAMES):
        if rule.kind is Kind.READ:
            sample = rule.pattern.replace("/**", "/x").replace("*", "x")
            known = [pattern for pattern in baseline.READ if not pattern.startswith("$MANIFEST")]
            assert not any(matches(pattern, sample) for pattern in known), rule
