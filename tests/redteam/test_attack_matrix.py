"""Every attack of the catalogue, by a real build script run by cargo: first where nobody stops it.

An attack that does not succeed without a sandbox proves nothing, so it fails its test. `make test`
tries the attacks as an ordinary user in `portable`; what is marked `matrix` is all the rest.
"""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterable
from functools import partial

import pytest

from buildperm.sandbox.runtime import runtimes
from tests.redteam import attack_matrix
from tests.redteam.attack_matrix import cell
from tests.redteam.attack_run import WITHOUT, Measured, measure, states, users
from tests.redteam.catalogue import ATTACKS, OPEN, Attack
from tests.redteam.worker_cache import once, wanted

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

_QUICK = ("ordinary", "portable")


class Measuring:
    """Measures each state once, and only those that some test of this run is about."""

    def __init__(self, factory: pytest.TempPathFactory, wanted: set[tuple[str, str]]) -> None:
        self._factory = factory
        self._wanted = wanted
        self._known: dict[tuple[str, str], Measured] = {}

    def __call__(self, user: str, state: str) -> Measured:
        """Return what came of a state; the test is skipped where there is no such state."""
        if (user, state) not in self._known:
            _skip_without(state)
            makers = {
                f"{user}-{state}": partial(_measure, user, state)
                for user, state in sorted(self._wanted | {(user, state)})
                if state == WITHOUT or runtimes()[state].unavailable() is None
            }
            text = once(self._factory, f"{user}-{state}", makers)
            self._known[user, state] = Measured.load(text)
        return self._known[user, state]


def _marks(user: str, state: str, attack: Attack | None = None) -> list[pytest.MarkDecorator]:
    marks = [] if (user, state) == _QUICK else [pytest.mark.matrix]
    if attack is not None and attack.id in _OF_ROOT and os.getuid() != 0:
        # In `full` a recorder may read what its own user may not: the namespace is its.
        marks.append(pytest.mark.skip(reason="no root: only it can make programs of root's"))
    return marks


def _cases(states: list[str], attacks: Iterable[Attack] = ATTACKS) -> list[object]:
    """List user, state and attack."""
    return [
        pytest.param(
            *(user, state, attack),
            id=f"{user}-{state}-{attack.id}",
            marks=_marks(user, state, attack),
        )
        for user in USERS
        for state in states
        for attack in attacks
        if attack.only in ("", user)
    ]


def _states(states: list[str]) -> list[object]:
    """List user and state."""
    return [
        pytest.param(user, state, id=f"{user}-{state}", marks=_marks(user, state))
        for user in USERS
        for state in states
    ]


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Measuring:
    """Return what measures."""
    return Measuring(tmp_path_factory, wanted(request.session.items))


def _measure(user: str, state: str) -> str:
    return measure(user, state).dump()


def _skip_without(state: str) -> None:
    reason = None if state == WITHOUT else runtimes()[state].unavailable()
    if reason:
        name = "bubblewrap" if state == "full" else "Landlock"
        pytest.skip(f"{name} is not usable here: {reason}")


@pytest.mark.parametrize(("user", "state", "attack"), _cases([WITHOUT]))
def test_the_attack_succeeds_where_nobody_stops_it(
    measured: Measuring, user: str, state: str, attack: Attack
) -> None:
    found = cell(attack, measured(user, state))
    if found != OPEN and attack.kernel:
        pytest.skip(f"this kernel has no {attack.kernel}")
    if found != OPEN and user != "root" and attack.id in _YAMA and _is_yama_strict():
        pytest.skip("Yama refuses it to everybody")
    assert found == OPEN


@pytest.mark.parametrize(("user", "state", "attack"), _cases(HELD))
def test_the_attack_fails_as_declared(
    measured: Measuring, user: str, state: str, attack: Attack
) -> None:
    came = measured(user, state)
    assert cell(attack, came) == getattr(attack, state)
    # No word of a secret anywhere, whatever was said or not.
    assert came.secret not in came.outcomes.get(attack.id, ("", ""))[1]


@pytest.mark.parametrize(
    ("user", "state", "attack"), _cases(HELD, [each for each in ATTACKS if each.reported])
)
def test_the_report_lists_the_attempt(
    measured: Measuring, user: str, state: str, attack: Attack
) -> None:
    if attack.id in _OF_X86 and platform.machine() != "x86_64":
        pytest.skip("no such calls on this processor")
    reported = attack.reported_full if state == "full" and attack.reported_full else attack.reported
    kind, _, target = reported.partition(" ")
    # Where something was to be made, its folder may be what is told.
    targets = {target, os.path.dirname(target)} if kind == "write" else {target}
    accesses = measured(user, state).accesses
    told = [access for access in accesses if access[0] == kind and access[1] in targets]
    assert told
    if getattr(attack, state) != OPEN:
        assert {"refused", "failed"} & {outcome for _, _, outcome in told}


@pytest.mark.parametrize(("user", "state"), _states(HELD))
def test_no_secret_is_left_behind_and_the_build_fails(
    measured: Measuring, user: str, state: str
) -> None:
    came = measured(user, state)
    assert came.leaks == []
    assert came.exit == 20
    assert f"({state}, Landlock ABI" in came.said
    assert "credentials.toml" in came.failures["attacker"]


@pytest.mark.parametrize(("user", "state"), _states([WITHOUT]))
def test_without_a_sandbox_secrets_are_found_where_they_are_looked_for(
    measured: Measuring, user: str, state: str
) -> None:
    assert measured(user, state).leaks


def test_whatever_is_refused_is_listed() -> None:
    errors = {word for attack in ATTACKS for word in (attack.portable, attack.full)}
    errors = {word for word in errors if hasattr(errno, word)}
    assert {"EACCES", "EPERM", "ENOSYS", "EAFNOSUPPORT"} <= errors
    refused = {attack.id for attack in ATTACKS if {attack.portable, attack.full} & errors}
    assert {attack.id for attack in ATTACKS if not attack.reported} & refused == set(_UNLISTED)


def test_each_attack_has_a_name_of_its_own() -> None:
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.matrix
def test_the_table_in_the_documentation_is_what_was_measured(measured: Measuring) -> None:
    if "root" not in USERS:
        pytest.skip("no root: some rows are only tried as root")
    assert attack_matrix.in_document(attack_matrix.SECURITY.read_text()) == attack_matrix.rows(
        attack_matrix.cells(measured)
    )


def test_a_table_is_put_between_its_markers() -> None:
    text = f"before\n{attack_matrix.BEGIN}\nold\n{attack_matrix.END}\nafter\n"
    put = attack_matrix.replaced(text, ["| a |", "| b |"])
    assert put.startswith(f"before\n{attack_matrix.BEGIN}\n")
    assert put.endswith(f"{attack_matrix.END}\nafter\n")
    assert attack_matrix.in_document(put) == ["| a |", "| b |"]
    assert "old" not in put


def _is_yama_strict() -> bool:
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            return file.read().strip() != "0"
    except OSError:
        return False
