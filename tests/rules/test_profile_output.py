"""What may lie beside programs, and what there is Cargo's, whatever a rule says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildperm.policy import validation
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.policy.stable_target import portable
from buildperm.rules import profile_output, sensitive, shared_output

if TYPE_CHECKING:
    from pathlib import Path

TOP = "$TARGET_DIR/$PROFILE"
OPEN = {
    f"{TOP}/libx.so": Risk.HIGH,
    f"{TOP}/*.so": Risk.HIGH,
    f"{TOP}/libx.so.*": Risk.HIGH,
    f"{TOP}/deps/x.dll": Risk.HIGH,
    f"{TOP}/examples/*.dylib": Risk.HIGH,
    f"{TOP}/icudtl.dat": Risk.MEDIUM,
    f"{TOP}/*.pak": Risk.MEDIUM,
    f"{TOP}/resources/**": Risk.MEDIUM,
    f"{TOP}/deps/locales/**": Risk.MEDIUM,
    f"{TOP}/resources/bin/tool": Risk.MEDIUM,
}
CLOSED = (
    *(f"{TOP}/app", f"{TOP}/*", f"{TOP}/**", f"{TOP}/*.*", f"{TOP}/app.d", f"{TOP}/app.exe"),
    *(f"{TOP}/*.rlib", f"{TOP}/deps/**", f"{TOP}/deps/*", f"{TOP}/deps/lib.rmeta", f"{TOP}/x.wasm"),
    *(f"{TOP}/build/**", f"{TOP}/build/x/out/y.so", f"{TOP}/.fingerprint/**", f"{TOP}/.x.so"),
    *(f"{TOP}/incremental/**", f"{TOP}/examples/app", f"{TOP}/buildperm/**", f"{TOP}/x.dSYM/**"),
    *(f"{TOP}/deps/libm-0123456789abcdef.so", f"{TOP}/*/x.so", f"{TOP}/**/x.so", f"{TOP}/a/.b/c"),
    *(f"{TOP}/deps/build/**", f"{TOP}/Build/**", f"{TOP}/examples/deps/**", f"{TOP}/res*/**"),
)


@pytest.mark.parametrize("pattern", OPEN)
def test_libraries_and_resources_may_be_granted(pattern: str) -> None:
    rule = Rule(Kind.WRITE, pattern)
    assert validation.to_grant(rule, reason="") is None
    assert not sensitive.why(pattern, writing=True)
    assert assess_rule(rule)[0] is OPEN[pattern]
    assert portable(pattern) == pattern
    assert not shared_output.root(pattern)


@pytest.mark.parametrize("pattern", CLOSED)
def test_what_cargo_makes_is_granted_to_nobody(pattern: str) -> None:
    assert profile_output.why_closed(pattern)
    found = validation.to_grant(Rule(Kind.WRITE, pattern), reason="it has to")
    assert found is not None
    assert "$TARGET_DIR/$PROFILE/" in found.hint


def test_the_token_of_the_profile_stands_nowhere_else() -> None:
    for kind, pattern in (
        (Kind.READ, f"{TOP}/x.so"),
        (Kind.WRITE, "$PROFILE/x.so"),
        (Kind.WRITE, "$WORKSPACE/$PROFILE/x.so"),
        (Kind.WRITE, f"{TOP}/$PROFILE/x.so"),
    ):
        assert validation.to_grant(Rule(kind, pattern), reason="it has to") is not None


@pytest.mark.parametrize(
    ("out_dir", "profile"),
    [
        (b"/t/debug/build/x-1/out", b"/t/debug"),
        (b"/t/arm/release/build/x-1/out", b"/t/arm/release"),
        (b"/t/debug/build/x/1/out", b"/t/debug"),
        (b"/build/t/debug/x/out", b""),
    ],
)
def test_the_profile_is_where_cargo_builds(out_dir: bytes, profile: bytes) -> None:
    assert profile_output.folder(out_dir) == profile
    wanted = f"{TOP}/libx.so" if profile else ""
    assert profile_output.known_as(profile + b"/libx.so", profile) == wanted
    assert not profile_output.known_as(profile + b"/build/x-1/out/libx.so", profile)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        *(("libx.so", "*.so"), ("libx.so.1.2", "libx.so.*"), ("deps/x.dll", "deps/*.dll")),
        *(("resources/a/b", "resources/**"), ("examples/l/x.pak", "examples/l/**")),
    ],
)
def test_what_is_alike_is_one_pattern(name: str, pattern: str) -> None:
    folded = profile_output.folded(f"{TOP}/{name}")
    assert folded == f"{TOP}/{pattern}"
    assert validation.to_grant(Rule(Kind.WRITE, folded), reason="") is None


def test_what_cargo_has_put_there_is_known_by_its_second_name_or_by_what_it_is_of(
    tmp_path: Path,
) -> None:
    for name in ("ours.so", "linked.so", "copied.so", "copied.d"):
        (tmp_path / name).touch()
    (tmp_path / "deps-linked.so").hardlink_to(tmp_path / "linked.so")
    found = {n: profile_output.is_cargos(bytes(tmp_path / n)) for n in ("ours.so", "none.so")}
    assert found == {"ours.so": False, "none.so": False}
    assert profile_output.is_cargos(bytes(tmp_path / "linked.so"))
    assert profile_output.is_cargos(bytes(tmp_path / "copied.so"))
