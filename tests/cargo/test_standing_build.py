"""What plain Cargo is held to while buildperm is always on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest

from buildperm.cargo import session_maker, standing_build
from buildperm.cargo.compile_mode import CompileMode
from buildperm.sandbox.native_programs import NativePrograms


@pytest.mark.parametrize(("macros", "is_asked"), [("outside", True), ("inside", False)])
def test_nobody_is_asked_where_macros_could_draw_a_question(
    monkeypatch: pytest.MonkeyPatch, macros: Literal["outside", "inside"], *, is_asked: bool
) -> None:
    monkeypatch.setattr(session_maker, "make", lambda *_, **__: {})
    programs = NativePrograms(Path("launcher"), Path("shim"), Path("host"), "")
    anything = cast("Any", SimpleNamespace)
    project = anything(
        metadata=None,
        lock=None,
        toolchain=None,
        environment={},
        configuration=anything(rustc_wrapper=""),
        arguments=anything(command="build"),
    )
    session = standing_build.session_of(
        project,
        cast("Any", None),
        anything(on=Path("/on")),
        CompileMode("hold", programs, macros),
        ask_s=60,
    )
    assert ("ask" in session) == is_asked
