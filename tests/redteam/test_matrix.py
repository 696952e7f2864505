"""Every attack of the catalogue, by a real build script run by cargo: first where nobody stops it.

An attack that does not succeed without a sandbox proves nothing, so it fails its test.
"""

from __future__ import annotations

import errno
import os
import platform
from functools import partial

import pytest

from buildperm.sandbox.runtime import RUNTIMES
from tests.redteam import matrix
from tests.redteam.arena import WITHOUT, Measured, measure, states, users
from tests.redteam.catalogue import ATTACKS, OPEN, Attack
from tests.redteam.matrix import cell
from tests.redteam.once import once

USERS = list(users())
HELD = [state for state in states() if state != WITHOUT]
_OF_ROOT = ("setuid", "exec-only")
_OF_X86 = ("int-80", "x32")
_UNLISTED = {
    # Refused attempts that no report lists, and why.
    "proc-fd-names": "readlink is not recorded: it would stop at every step of every path",
    "inherited-fd": "nothing is refused: it is not there",
    "stat": "nothing is refused: of what is not granted, `full` shows nothing",
}
_YAMA = ("proc-mem-read", "recorder-memory", "proc-environ", "proc-mem-write", "pidfd-getfd")

Measuring = dict[tuple[str, str], Measured]


def _cases() -> list[object]:
    return [
        pytest.param(
            user,
            attack,
            id=f"{user}-{attack.id}",
            # In `full` a recorder may read what its own user may not: the namespace is its.
            marks=pytest.mark.skipif(
                attack.id in _OF_ROOT and os.getuid() != 0,
                reason="no root: only it can make programs of root's",
            ),
        )
        for user in USERS
        for attack in ATTACKS
        if attack.only in ("", user)
    ]


@pytest.fixture(scope="session")
def known() -> Measuring:
    """Keep what this process has read already."""
    return {}


def _measured(factory: pytest.TempPathFactory, known: Measuring, user: str, state: str) -> Measured:
    if (user, state) not in known:
        _skip_without(state)
        makers = {
            f"{user}-{state}": partial(_measure, user, state)
            for state in states()
            for user in users()
            if state == WITHOUT or RUNTIMES[state].unavailable() is None
        }
        known[user, state] = Measured.load(once(factory, f"{user}-{state}", makers))
    return known[user, state]


def _measure(user: str, state: str) -> str:
    return measure(user, state).dump()


def _skip_without(state: str) -> None:
    reason = None if state == WITHOUT else RUNTIMES[state].unavailable()
    if reason:
        name = "bubblewrap" if state == "full" else "Landlock"
        pytest.skip(f"{name} is not usable here: {reason}")


@pytest.mark.parametrize(("user", "attack"), _cases())
def test_the_attack_succeeds_where_nobody_stops_it(
    tmp_path_factory: pytest.TempPathFactory, known: Measuring, user: str, attack: Attack
) -> None:
    found = cell(attack, _measured(tmp_path_factory, known, user, WITHOUT))
    if found != OPEN and attack.kernel:
        pytest.skip(f"this kernel has no {attack.kernel}")
    if found != OPEN and user != "root" and attack.id in _YAMA and _is_yama_strict():
        pytest.skip("Yama refuses it to everybody")
    assert found == OPEN


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize(("user", "attack"), _cases())
def test_the_attack_fails_as_declared(
    tmp_path_factory: pytest.TempPathFactory,
    known: Measuring,
    user: str,
    attack: Attack,
    state: str,
) -> None:
    measured = _measured(tmp_path_factory, known, user, state)
    assert cell(attack, measured) == getattr(attack, state)
    # No word of a secret anywhere, whatever was said or not.
    assert measured.secret not in measured.outcomes.get(attack.id, ("", ""))[1]


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize(
    ("user", "attack"),
    [case for case in _cases() if case.values[1].reported],  # type: ignore[attr-defined]
)
def test_the_report_lists_the_attempt(
    tmp_path_factory: pytest.TempPathFactory,
    known: Measuring,
    user: str,
    attack: Attack,
    state: str,
) -> None:
    if attack.id in _OF_X86 and platform.machine() != "x86_64":
        pytest.skip("no such calls on this processor")
    measured = _measured(tmp_path_factory, known, user, state)
    reported = attack.reported_full if state == "full" and attack.reported_full else attack.reported
    kind, _, target = reported.partition(" ")
    # Where something was to be made, its folder may be what is told.
    targets = {target, os.path.dirname(target)} if kind == "write" else {target}
    told = [access for access in measured.accesses if access[0] == kind and access[1] in targets]
    assert told
    if getattr(attack, state) != OPEN:
        assert {"refused", "failed"} & {outcome for _, _, outcome in told}


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize("user", USERS)
def test_no_secret_is_left_behind_and_the_build_fails(
    tmp_path_factory: pytest.TempPathFactory, known: Measuring, user: str, state: str
) -> None:
    measured = _measured(tmp_path_factory, known, user, state)
    assert measured.leaks == []
    assert measured.exit == 20
    assert f"({state}, Landlock ABI" in measured.said
    assert "credentials.toml" in measured.failures["attacker"]


@pytest.mark.parametrize("user", USERS)
def test_without_a_sandbox_secrets_are_found_where_they_are_looked_for(
    tmp_path_factory: pytest.TempPathFactory, known: Measuring, user: str
) -> None:
    assert _measured(tmp_path_factory, known, user, WITHOUT).leaks


def test_whatever_is_refused_is_listed() -> None:
    errors = {word for attack in ATTACKS for word in (attack.portable, attack.full)}
    errors = {word for word in errors if hasattr(errno, word)}
    assert {"EACCES", "EPERM", "ENOSYS", "EAFNOSUPPORT"} <= errors
    refused = {attack.id for attack in ATTACKS if {attack.portable, attack.full} & errors}
    assert {attack.id for attack in ATTACKS if not attack.reported} & refused == set(_UNLISTED)


def test_each_attack_has_a_name_of_its_own() -> None:
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)


def test_the_table_in_the_documentation_is_what_was_measured(
    tmp_path_factory: pytest.TempPathFactory, known: Measuring
) -> None:
    if "root" not in USERS:
        pytest.skip("no root: some rows are only tried as root")
    cells = matrix.cells(lambda user, state: _measured(tmp_path_factory, known, user, state))
    assert matrix.in_document(matrix.SECURITY.read_text()) == matrix.rows(cells)


def test_a_table_is_put_between_its_markers() -> None:
    text = f"before\n{matrix.BEGIN}\nold\n{matrix.END}\nafter\n"
    put = matrix.replaced(text, ["| a |", "| b |"])
    assert put.startswith(f"before\n{matrix.BEGIN}\n")
    assert put.endswith(f"{matrix.END}\nafter\n")
    assert matrix.in_document(put) == ["| a |", "| b |"]
    assert "old" not in put


def _is_yama_strict() -> bool:
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            return file.read().strip() != "0"
    except OSError:
        return False
