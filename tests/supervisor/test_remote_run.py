"""What may differ in what a script has printed there."""

from __future__ import annotations

import pytest

from buildperm.supervisor.remote_run import settled

_PRINTED = b"a => b\ncargo:rustc-link-search=x\nc => d\ncargo:rerun-if-changed=e\ncargo:root=f\n"


@pytest.mark.parametrize(
    "other",
    [
        b"c => d\ncargo:rustc-link-search=x\na => b\ncargo:rerun-if-changed=e\ncargo:root=f\n",
        b"cargo:rerun-if-changed=e\ncargo:rustc-link-search=x\nc => d\ncargo:root=f\na => b\n",
    ],
)
def test_an_order_that_cargo_ignores_is_none(other: bytes) -> None:
    assert settled(other) == settled(_PRINTED)


@pytest.mark.parametrize(
    "other",
    [
        b"a => b\ncargo:root=f\nc => d\ncargo:rerun-if-changed=e\ncargo:rustc-link-search=x\n",
        b"a => b\ncargo:rustc-link-search=x\ncargo:rerun-if-changed=e\ncargo:root=f\n",
        _PRINTED + b"c => d\n",
        _PRINTED.replace(b"c => d", b"c => e"),
        _PRINTED.replace(b"e\n", b"g\n"),
    ],
)
def test_all_else_is_a_difference(other: bytes) -> None:
    assert settled(other) != settled(_PRINTED)


@pytest.mark.parametrize("blank", [b" ", b"\t", b"\r", b"\xc2\xa0"])
def test_blanks_before_a_directive_do_not_hide_it(blank: bytes) -> None:
    one, other = blank + b"cargo:rustc-cfg=a\n", blank + b"cargo:rustc-cfg=b\n"

    assert settled(one + other) != settled(other + one)
