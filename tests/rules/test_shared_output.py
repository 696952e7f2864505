from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.policy import validation
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.policy.stable_target import portable
from buildperm.rules import sensitive, shared_output

HASH = "0123456789abcdef"
OUT = f"$TARGET_DIR/debug/build/scratch-{HASH}/out"

SHARED = {
    "$TARGET_DIR/cxxbridge": "$TARGET_DIR/cxxbridge",
    "$TARGET_DIR/cxxbridge/a/src/lib.rs.h": "$TARGET_DIR/cxxbridge/a/src/lib.rs.h",
    "$TARGET_DIR/web-assets/x": "$TARGET_DIR/web-assets/x",
    "$TARGET_DIR/shared/debug/x": "$TARGET_DIR/shared/debug/x",
    f"{OUT}/cxxbridge/x.h": "$TARGET_DIR/**/build/scratch-*/out/cxxbridge/x.h",
    f"$TARGET_DIR/aarch64-apple-darwin/dist/build/scratch-{HASH}/out/x": (
        "$TARGET_DIR/**/build/scratch-*/out/x"
    ),
    f"$TARGET_DIR/debug/build/scratch/{HASH}/out/x": "$TARGET_DIR/**/build/scratch/*/out/x",
}

CLOSED = (
    *("$TARGET_DIR/debug", "$TARGET_DIR/release/x", "$TARGET_DIR/build/x", "$TARGET_DIR/deps/x"),
    *("$TARGET_DIR/doc/x.html", "$TARGET_DIR/package/x", "$TARGET_DIR/tmp/x"),
    *("$TARGET_DIR/.rustc_info.json", "$TARGET_DIR/CACHEDIR.TAG", "$TARGET_DIR/.cargo-lock"),
    *("$TARGET_DIR/.fingerprint/x", "$TARGET_DIR/.shared/x", "$TARGET_DIR/incremental/x"),
    *("$TARGET_DIR/x86_64-unknown-linux-gnu/x", "$TARGET_DIR/wasm32-wasip1/x"),
    f"$TARGET_DIR/buildperm/build/scratch-{HASH}/out/x",
    *("$TARGET_DIR/buildperm-session", "$TARGET_DIR/buildperm/x", "$TARGET_DIR/Buildperm-x"),
    *("$TARGET_DIR/debug/build/other-0123456789abcdef/out/x", OUT, f"{OUT}/.x"),
    *(
        f"$TARGET_DIR/debug/build/scratch-evil-{HASH}/out/x/y",
        f"$TARGET_DIR/debug/build/scratch-{HASH}/x",
    ),
    *("$TARGET_DIR/debug/.fingerprint/a/lib-a.json", "$TARGET_DIR/debug/incremental/a.bin"),
    *("$TARGET_DIR/debug/app", "$TARGET_DIR/debug/app.d", "$TARGET_DIR/debug/deps/liba.rlib"),
    *(f"$TARGET_DIR/debug/deps/libmacro-{HASH}.so", "$TARGET_DIR/debug/.cargo-lock"),
)


@pytest.mark.parametrize("target", SHARED)
def test_a_shared_place_is_granted_as_every_build_calls_it(target: str) -> None:
    place = shared_output.root(target)
    assert place
    assert portable(target) == SHARED[target]
    assert not sensitive.why(target, writing=True)
    for kind in (Kind.READ, Kind.WRITE):
        assert validation.to_grant(Rule(kind, f"{portable(place)}/**"), reason="") is None


@pytest.mark.parametrize("target", CLOSED)
def test_what_is_cargos_or_ours_nobody_may_write_whatever_is_granted(target: str) -> None:
    assert not shared_output.root(target)
    assert sensitive.why(target, writing=True)
    for pattern in (target, f"{target}/**"):
        assert validation.to_grant(Rule(Kind.WRITE, pattern), reason="it has to") is not None


@pytest.mark.parametrize(
    "pattern",
    [
        *("$TARGET_DIR/**", "$TARGET_DIR/*/**", "$TARGET_DIR/cxx*/**", "$TARGET_DIR/?/x/**"),
        *("$TARGET_DIR/**/cxxbridge/**", "$TARGET_DIR/**/build/**", "$TARGET_DIR/**/build/*/**"),
    ],
)
def test_a_pattern_of_most_of_the_target_directory_is_refused(pattern: str) -> None:
    found = validation.to_grant(Rule(Kind.WRITE, pattern), reason="it has to")
    assert found is not None
    assert "$TARGET_DIR/NAME/**" in found.hint


@pytest.mark.parametrize(
    "pattern", ["$TARGET_DIR/**", "$TARGET_DIR/*/**", "$TARGET_DIR/**/build/**"]
)
def test_nor_is_most_of_it_read(pattern: str) -> None:
    assert validation.to_grant(Rule(Kind.READ, pattern), reason="it has to") is not None


def test_the_output_of_one_crate_can_be_read_and_a_file_beside_programs_named() -> None:
    one = Rule(Kind.READ, "$TARGET_DIR/**/build/z-sys-*/out/**")
    assert validation.to_grant(one, reason="") is None
    library = Rule(Kind.WRITE, "$TARGET_DIR/debug/examples/libx.so.1")
    assert validation.to_grant(library, reason="") is not None
    assert validation.to_grant(library, reason="it is loaded from there") is None


def test_what_cargo_builds_in_is_no_shared_place_whatever_it_is_called(tmp_path: Path) -> None:
    places = {"TARGET_DIR": bytes(tmp_path), "OUT_DIR": bytes(tmp_path / "now/build/a-1/out")}
    for folder in ("dist/.fingerprint", "board/debug/.fingerprint", "shared/dist", "now/build"):
        (tmp_path / folder).mkdir(parents=True)
    opened = {
        name: shared_output.is_open(bytes(tmp_path / name / "x"), places)
        for name in ("dist", "board", "shared", "now", "new")
    }
    assert opened == {"dist": False, "board": False, "shared": True, "now": False, "new": True}


@pytest.mark.parametrize(
    "mark",
    [
        *(".fingerprint", "debug/.fingerprint", "arm/debug/.cargo-lock", ".rustc_info.json"),
        *("suite/.rustc_info.json", "suite/debug/.fingerprint", "suite/arm/.fingerprint"),
    ],
)
@pytest.mark.parametrize("beside", [0, 100])
def test_a_target_directory_in_a_folder_is_none_of_a_script(
    tmp_path: Path, mark: str, beside: int
) -> None:
    """As many other folders lie there as somebody likes."""
    places = {"TARGET_DIR": bytes(tmp_path)}
    for number in range(beside):
        (tmp_path / f"tests/a{number}/src").mkdir(parents=True)
    (tmp_path / "tests").mkdir(exist_ok=True)
    assert shared_output.is_open(bytes(tmp_path / "tests/x"), places)
    (tmp_path / "tests" / mark).mkdir(parents=True)
    assert not shared_output.is_open(bytes(tmp_path / "tests/x"), places)


def test_a_folder_with_more_in_it_than_is_looked_at_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"TARGET_DIR": bytes(tmp_path)}
    for name in "abc":
        (tmp_path / "many" / name / "src").mkdir(parents=True)
    monkeypatch.setattr(shared_output, "_DEEPER_MOST", 2)
    assert shared_output.is_open(bytes(tmp_path / "many/x"), places)  # Much in it is ordinary.
    monkeypatch.setattr(shared_output, "_LOOKED_AT_MOST", 2)
    assert not shared_output.is_open(bytes(tmp_path / "many/x"), places)


def test_a_file_that_cargo_has_linked_is_not_open(tmp_path: Path) -> None:
    (tmp_path / "debug/deps").mkdir(parents=True)
    ours, cargos = tmp_path / "debug/libx.so", tmp_path / "debug/liby.so"
    ours.touch()
    cargos.touch()
    (tmp_path / "debug/deps/liby.so").hardlink_to(cargos)
    places = {"TARGET_DIR": bytes(tmp_path)}
    assert shared_output.is_open(bytes(ours), places)
    assert not shared_output.is_open(bytes(cargos), places)


def test_only_the_output_of_scratch_is_found(tmp_path: Path) -> None:
    for folder in (
        *(f"debug/build/scratch-{HASH}/out", f"board/dist/build/scratch-{HASH}/out"),
        *("debug/.fingerprint", "board/dist/.fingerprint"),
        *("debug/build/scratch-x/out", f"debug/build/scratch-evil-{HASH}/out"),
        f"shared/build/scratch-{HASH}/out",  # Made by whoever may write there.
    ):
        (tmp_path / folder).mkdir(parents=True)
    places = {"TARGET_DIR": bytes(tmp_path)}
    found = shared_output.concrete("$TARGET_DIR/**/build/scratch-*/out/x/**", places)
    assert sorted(found) == [
        f"$TARGET_DIR/board/dist/build/scratch-{HASH}/out/x/**",
        f"$TARGET_DIR/debug/build/scratch-{HASH}/out/x/**",
    ]
