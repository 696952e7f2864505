"""Output that a terminal or a CI service would take for orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bench import Bench

_ORDERS = ("::set-output name=a::b", "  ::stop-commands::x", "x ##[add-mask]b", "##vso[x]y")


@pytest.mark.parametrize("end", ["", "\n"])
def test_no_control_character_passes_in_the_last_words(own_bench: Bench, end: str) -> None:
    # A line without an end was passed on as it was: Cargo shows it if the script fails.
    said = f"fine\n\x1b]0;owned\x07\x1b[2Jred\u202e{end}"
    body = f"import sys\nsys.stderr.buffer.write({said.encode()!r})\nsys.exit(1)\n"

    assert own_bench.run(own_bench.script(body)).stderr == f"fine\nred{end}".encode()


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("order", _ORDERS)
def test_nothing_that_is_said_is_an_order_to_the_service_that_builds(
    own_bench: Bench, order: str, status: int
) -> None:
    lines = [order, f"cargo:warning={order}", f"cargo::error={order}"]
    lines += [f"cargo:rustc-env=X={order}"] if status else []
    body = f"""
import sys
for line in {lines!r}:
    print(line)
    print(line, file=sys.stderr)
sys.exit({status})
"""
    ended = own_bench.run(own_bench.script(body))

    assert ended.status == status
    for said in (ended.stdout, ended.stderr):
        assert len(said.splitlines()) == len(lines)
        assert not _is_obeyed(said)


def test_what_the_supervisor_says_of_a_script_is_no_order_either(own_bench: Bench) -> None:
    ended = own_bench.run(own_bench.script("print('cargo::rustc-flags=##[add-mask]b ##vso[x]y')"))

    assert ended.status == 1
    assert b"add-mask" in ended.stderr
    assert not _is_obeyed(ended.stderr)


def test_a_variable_is_passed_on_as_it_is(own_bench: Bench) -> None:
    line = "cargo:rustc-env=X=##[section]"

    assert own_bench.run(own_bench.script(f"print({line!r})")).stdout == f"{line}\n".encode()


def _is_obeyed(said: bytes) -> bool:
    return (
        b"##[" in said
        or b"##vso[" in said
        or any(line.lstrip().startswith(b"::") for line in said.splitlines())
    )
