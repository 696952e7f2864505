"""Assembles the seccomp filter, which stops, refuses or allows each system call: `seccomp_rules`.

Calls newer than this module do not exist for a script, since nobody has judged them: setxattrat and
file_setattr would have gone past the metadata guard before they had rules.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Collection, Iterator, Mapping
from itertools import accumulate

from buildperm.errors import CannotEnforceError
from buildperm.sandbox.seccomp_rules import (
    ALLOW,
    BY_ARGUMENTS,
    EVERY_LOOK,
    LIGHT,
    LISTED,
    LISTED_AFTERWARDS,
    LOOKS,
    RECORD,
    REFUSED_ALWAYS,
    RET_TRACE,
    ArgumentTest,
    FilterCase,
    guarded,
    refused,
)
from buildperm.tracer.syscall_table import FOREIGN

# include/uapi/linux/audit.h and asm/unistd.h.
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # __X32_SYSCALL_BIT: x32 calls have the x86-64 architecture value.

NEWEST = 469
"""The number of the newest call that is known here, on every architecture: file_setattr."""

# bpf_common.h: class, size, mode, operation. `struct seccomp_data` is read as 32-bit words.
_LOAD, _RETURN, _AND, _JUMP = 0x20, 0x06, 0x54, 0x05
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_FURTHEST = 255  # A conditional jump has 8 bits for its distance.
_FEW = 3  # So many numbers are compared one after the other.


def build(
    arch: str,
    numbers: Mapping[str, int],
    recorded: Collection[str],
    *,
    light: bool = False,
    looks: bool = False,
    every_look: bool = False,
    listed: bool = False,
) -> bytes:
    """Assemble the filter: `struct sock_filter` after `struct sock_filter`.

    Args:
        arch: As uname(2) calls it.
        numbers: System call numbers of `arch` by name; a name that it lacks needs no rule.
        recorded: Names of the calls that the recorder wants to see.
        light: It lets opens with a key pass, and some of what is in folders: see
            `seccomp_rules.LIGHT`. `LIGHT_KEY` has to be replaced before it is used, by a key that
            nobody knows, and `FOLDERS_KEY` by a descriptor.
        looks: It stops what only looks at a path: see `seccomp_rules.LOOKS`.
        every_look: It stops all of that: see `seccomp_rules.EVERY_LOOK`.
        listed: It lets what tools list pass, with a key in the place of `LIGHT_KEY`: see
            `seccomp_rules.LISTED`.

    Raises:
        CannotEnforceError: There is no filter for `arch`.
    """
    # Calls of another architecture have other numbers: x86 programs on x86-64 by `int 0x80`. On
    # aarch64 their registers have another layout, which the recorder does not know.
    answer = refused(errno.ENOSYS) | FOREIGN if arch == "x86_64" else guarded(errno.ENOSYS)
    cases = _cases(recorded, light=light, looks=looks, every_look=every_look, listed=listed)
    return assemble(arch, numbers, cases, foreign=answer)


def assemble(
    arch: str,
    numbers: Mapping[str, int],
    rules: Mapping[str, tuple[FilterCase, ...]],
    *,
    foreign: int,
) -> bytes:
    """Assemble a filter out of `rules`, cases by the name of a call, the last without a test.

    What has no rule is allowed. `foreign` is the answer to calls of another architecture.

    Raises:
        CannotEnforceError: There is no filter for `arch`.
    """
    if arch not in AUDIT_ARCH:
        raise CannotEnforceError(
            f"no system call filter for processors of type `{arch}`",
            hint="Build on x86-64 or aarch64.",
        )
    elsewhere = _instruction(_RETURN, foreign)
    program = [
        _instruction(_LOAD, _ARCH_AT),
        _instruction(_EQUAL, AUDIT_ARCH[arch], 1, 0),
        elsewhere,
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if arch == "x86_64":
        program += [_instruction(_AT_LEAST, _X32, 0, 1), elsewhere]
    unknown = _instruction(_RETURN, guarded(errno.ENOSYS))
    program += [_instruction(_AT_LEAST, NEWEST + 1, 0, 1), unknown]
    bodies: dict[bytes, int] = {}  # To its place among them.
    asked = sorted(
        (numbers[name], bodies.setdefault(b"".join(_body(cases)), len(bodies)))
        for name, cases in rules.items()
        if name in numbers
    )
    return b"".join([*program, *_joined(_search(asked), list(bodies))])


def stopping(
    numbers: Mapping[str, int],
    recorded: Collection[str],
    *,
    light: bool = False,
    looks: bool = False,
    every_look: bool = False,
    listed: bool = False,
) -> dict[int, str]:
    """Name the calls that stop for the recorder at least sometimes, by their numbers."""
    return {
        numbers[name]: name
        for name, cases in _cases(
            recorded, light=light, looks=looks, every_look=every_look, listed=listed
        ).items()
        if name in numbers and any(case.answer & 0xFFFF0000 == RET_TRACE for case in cases)
    }


def _cases(
    recorded: Collection[str], *, light: bool, looks: bool, every_look: bool, listed: bool
) -> dict[str, tuple[FilterCase, ...]]:
    """List every call that has a rule; each list of cases ends with one that needs nothing."""
    cases: dict[str, tuple[FilterCase, ...]] = dict(LOOKS) if looks else {}
    if every_look:
        cases |= EVERY_LOOK
    for answer, names in REFUSED_ALWAYS.items():
        cases |= dict.fromkeys(names, (FilterCase(answer),))
    for name, some in BY_ARGUMENTS.items():
        cases[name] = (*some, FilterCase(RECORD if name in recorded else ALLOW))
    cases |= dict.fromkeys(set(recorded) - cases.keys(), (FilterCase(RECORD),))
    usual = (FilterCase(ALLOW),)
    if listed:
        cases |= {name: (*first, *cases.get(name, usual)) for name, first in LISTED.items()}
        for name, some in LISTED_AFTERWARDS.items():
            *before, last = cases.get(name, usual)
            cases[name] = (*before, *some, last)
    if light:
        cases |= {name: (*first, *cases.get(name, usual)) for name, first in LIGHT.items()}
    return cases


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Make one `struct sock_filter`."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _search(asked: list[tuple[int, int]]) -> list[bytes | int]:
    """Find the number that is loaded among those `asked` about, by halves, or allow the call.

    A number in the place of an instruction stands for a jump to that body. The kernel runs a filter
    for each call of a program, and for each possible call when it is put on.
    """
    if len(asked) <= _FEW:
        found: list[bytes | int] = []
        for number, body in asked:
            found += [_instruction(_EQUAL, number, 0, 1), body]
        return [*found, _instruction(_RETURN, ALLOW)]
    middle = len(asked) // 2
    below, above = _search(asked[:middle]), _search(asked[middle:])
    first = asked[middle][0]
    if len(below) <= _FURTHEST:
        return [_instruction(_AT_LEAST, first, len(below), 0), *below, *above]
    over = [_instruction(_AT_LEAST, first, 0, 1), _instruction(_JUMP, len(below))]
    return [*over, *below, *above]


def _joined(search: list[bytes | int], bodies: list[bytes]) -> Iterator[bytes]:
    """Yield the search, then the bodies that it jumps to."""
    starts = list(accumulate((len(body) // 8 for body in bodies), initial=len(search)))
    for at, each in enumerate(search):
        yield each if isinstance(each, bytes) else _instruction(_JUMP, starts[each] - at - 1)
    yield from bodies


def _body(cases: tuple[FilterCase, ...]) -> list[bytes]:
    """Assemble one call: case after case, the last of which always returns."""
    program: list[bytes] = []
    for case in cases:
        piece = [_instruction(_RETURN, case.answer)]
        for test in reversed(case.tests):
            piece = _test(test, len(piece)) + piece
        program += piece
        if not case.tests:
            break
    return program


def _test(test: ArgumentTest, length: int) -> list[bytes]:
    """Fall through to the next `length` instructions if the test is passed, else jump over them."""
    if length + 1 > _FURTHEST:
        raise ValueError("a case with too many tests")
    low = _ARGUMENTS_AT + 8 * test.argument  # Both architectures are little-endian.
    program = [_instruction(_LOAD, low + 4 if test.high else low)]
    if not test.values:
        if test.whole:
            program += [
                _instruction(_ANY_BIT, 0xFFFFFFFF, 2, 0),
                _instruction(_LOAD, low + 4),
            ]
        return [*program, _instruction(_ANY_BIT, test.mask, 0, length)]
    if test.mask != 0xFFFFFFFF:
        program.append(_instruction(_AND, test.mask))
    for index, value in enumerate(test.values):
        left = len(test.values) - index - 1
        program.append(_instruction(_EQUAL, value, left, length if left == 0 else 0))
    return program
