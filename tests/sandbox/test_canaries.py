"""The canaries: each one fails where nothing confines it, and none where something does."""

from __future__ import annotations

import dataclasses
import errno
import os
from typing import TYPE_CHECKING

import pytest

from buildperm.errors import CannotEnforceError
from buildperm.policy.runtime_table import RUNTIMES
from buildperm.sandbox import canaries, canary_child
from buildperm.sandbox.canaries import CanaryRun, Proof
from buildperm.sandbox.canary import (
    CANARIES,
    KERNELS,
    RECORDER,
    Canary,
    CanaryGroup,
    CanaryOutcome,
    CanaryResult,
    Status,
)
from buildperm.sandbox.portable_runtime import PortableRuntime
from buildperm.sandbox.runtime import RuntimeSetup, runtime
from buildperm.supervisor import landlock
from tests.bench import processes_with

if TYPE_CHECKING:
    from pathlib import Path

ABI = landlock.abi()
# What a kernel may be built without, or an administrator may have forbidden to everybody.
OPTIONAL = {
    *("tcp-fast-open", "mptcp", "io-uring", "user-namespace", "mount", "keyring", "inotify"),
    *("terminal-open", "terminal-type", "process-trace", "process-memory", "supervisor-memory"),
}
BY_ABI = {  # What is only refused from this ABI on.
    3: {"file-truncate"},
    6: {"process-signal"},
}

needs_landlock = pytest.mark.skipif(ABI < 1, reason="this kernel has no Landlock")


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> CanaryRun:
    scratch = tmp_path_factory.mktemp("free")
    run = canaries.run_unconfined(scratch)
    assert list(scratch.iterdir()) == []
    return run


@pytest.fixture(scope="module")
def proof(free: CanaryRun, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    if ABI < 1:
        pytest.skip("this kernel has no Landlock")
    return canaries.prove(PortableRuntime(), free, tmp_path_factory.mktemp("held"))


def test_every_canary_is_tried_and_every_attempt_is_a_canary() -> None:
    assert {each.tried for each in CANARIES if each is not RECORDER} == set(canary_child.ATTEMPTS)
    assert len({each.id for each in CANARIES}) == len(CANARIES)


def test_what_belongs_together_stands_together() -> None:
    groups = [each.group for each in CANARIES]

    assert groups == sorted(groups, key=list(CanaryGroup).index)


@pytest.mark.parametrize("canary", [each for each in CANARIES if each is not RECORDER], ids=str)
def test_each_attempt_succeeds_where_nothing_holds_it(free: CanaryRun, canary: Canary) -> None:
    if canary.tried in OPTIONAL and free.outcome(canary) is not CanaryOutcome.ALLOWED:
        pytest.skip(f"this machine has no {canary.id}: {free.error(canary)}")

    assert free.outcome(canary) is CanaryOutcome.ALLOWED, free.error(canary)


def test_nothing_is_less_than_promised_here(proof: Proof) -> None:
    assert proof.failure == ""
    assert proof.of(Status.BROKEN) == ()
    assert proof.reason == ""
    assert [each.canary for each in proof.results] == list(CANARIES)
    assert {each.status for each in proof.results} >= {Status.ENFORCED, Status.WORKS}


@pytest.mark.parametrize("name", [name for name in RUNTIMES if name != "portable"])
def test_every_other_runtime_holds_what_it_promises(free: CanaryRun, name: str) -> None:
    chosen = runtime(name)
    reason = chosen.unavailable()
    if reason:
        pytest.skip(f"this machine has no runtime {name}: {reason}")

    found = canaries.prove(chosen, free)

    assert found.failure == ""
    assert found.of(Status.BROKEN) == ()


def test_whatever_was_refused_has_been_recorded(proof: Proof) -> None:
    told = [each for each in proof.results if each.canary.seen and each.status is Status.ENFORCED]

    assert len(told) > 25
    assert [each.canary.id for each in told if not each.is_recorded] == []


@needs_landlock
@pytest.mark.parametrize("cap", [abi for abi in KERNELS if abi < ABI])
def test_an_older_landlock_leaves_open_what_it_is_said_to(free: CanaryRun, cap: int) -> None:
    found = canaries.prove(PortableRuntime(cap), free)

    missing = set[str]().union(*(names for abi, names in BY_ABI.items() if cap < abi))
    newer = set[str]().union(*BY_ABI.values()) - missing
    by_id = {each.canary.id: each.status for each in found.results}
    assert found.landlock_abi == cap
    assert found.of(Status.BROKEN) == ()
    assert {by_id[name] for name in missing} <= {Status.OPEN}
    assert {by_id[name] for name in newer} <= {Status.ENFORCED}
    assert (by_id["move-own"] is Status.LIMITED) is (cap < 2)


@pytest.mark.parametrize("canary", [each for each in CANARIES if not each.is_harmless], ids=str)
def test_each_canary_can_fail(free: CanaryRun, canary: Canary) -> None:
    """What happens without confinement is judged as if a runtime had been there."""
    if canary.tried in OPTIONAL and free.outcome(canary) is not CanaryOutcome.ALLOWED:
        pytest.skip(f"this machine has no {canary.id}: {free.error(canary)}")
    (result,) = (each for each in _judged(free, free) if each.canary is canary)

    if canary is RECORDER:  # Nothing was refused, so there was nothing to miss.
        assert result.status is Status.ENFORCED
    elif canary.expected("portable", landlock.NEWEST) is CanaryOutcome.REFUSED:
        assert result.status is Status.BROKEN
    else:
        assert result.status is Status.OPEN


def test_a_harmless_attempt_that_is_refused_is_found_out(free: CanaryRun) -> None:
    nothing = CanaryRun(dict.fromkeys(free.errors, errno.EACCES), [], free.ports)
    found = {each.canary.id: each.status for each in _judged(free, nothing)}

    assert {found[each.id] for each in CANARIES if each.is_harmless} == {Status.BROKEN}


@needs_landlock
def test_a_recorder_that_has_not_seen_a_refusal_is_found_out(free: CanaryRun) -> None:
    nothing = CanaryRun(dict.fromkeys(free.errors, errno.EACCES), [], free.ports)
    proof = Proof("portable", landlock.NEWEST, _judged(free, nothing))
    found = {each.canary.id: each for each in proof.results}

    assert found["recorder"].status is Status.BROKEN
    assert found["file-read"].is_recorded is False
    assert found["descriptor"].is_recorded is None
    assert "without being recorded" in proof.reason


def test_calls_that_a_container_refuses_first_need_not_be_recorded(free: CanaryRun) -> None:
    """Nor can they be: but files are refused by other means, and a free call was not refused."""
    refused = dict.fromkeys(("keyring", "file-read"), errno.EPERM)
    alone = dataclasses.replace(free, errors={**free.errors, **refused, "io-uring": 0})
    nothing = CanaryRun(dict.fromkeys(free.errors, errno.EPERM), [], free.ports)
    found = {each.canary.id: each for each in _judged(alone, nothing)}

    assert found["keyring"].status is Status.ENFORCED
    assert found["keyring"].is_recorded is None
    assert found["file-read"].is_recorded is False
    assert found["io-uring"].is_recorded is False


def test_what_a_machine_does_not_have_is_neither_held_nor_open(free: CanaryRun) -> None:
    lacking = {"io-uring": errno.ENOSYS, "mptcp": errno.EPROTONOSUPPORT}
    run = dataclasses.replace(free, errors={**free.errors, **lacking})
    found = {each.canary.id: each for each in _judged(run, run)}

    assert {found[name].status for name in lacking} == {Status.ABSENT}


def test_what_is_forbidden_to_everybody_is_refused_all_the_same(free: CanaryRun) -> None:
    forbidden = {"inotify": errno.EPERM}
    run = dataclasses.replace(free, errors={**free.errors, **forbidden})
    found = {each.canary.id: each for each in _judged(run, run)}

    assert found["inotify"].outcome is CanaryOutcome.REFUSED
    assert found["inotify"].without is CanaryOutcome.REFUSED


@dataclasses.dataclass(frozen=True, slots=True)
class UnfilteredRuntime:
    """A runtime whose filter lets everything pass unseen."""

    name: str = "portable"

    def unavailable(self) -> str | None:
        return None

    def left_open(self, landlock_abi: int) -> tuple[str, ...]:
        return (f"everything above {landlock_abi}",)

    def prepare(self) -> RuntimeSetup:
        return dataclasses.replace(PortableRuntime().prepare(), filter=b"\x06\0\0\0\0\0\xff\x7f")


@needs_landlock
def test_a_runtime_without_its_filter_is_found_out(free: CanaryRun) -> None:
    found = canaries.prove(UnfilteredRuntime(), free)
    broken = {each.canary.id for each in found.of(Status.BROKEN)}

    assert {"udp", "unix-path", "io-uring", "inotify", "recorder"} <= broken | _absent(free)
    assert "send by UDP" in found.reason


@needs_landlock
def test_a_runtime_that_starts_nothing_is_found_out(free: CanaryRun) -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Garbled(UnfilteredRuntime):
        def prepare(self) -> RuntimeSetup:
            return dataclasses.replace(PortableRuntime().prepare(), filter=b"\xff" * 8)

    found = canaries.prove(Garbled(), free)

    assert found.results == ()
    assert "ended early" in found.failure
    assert "seccomp" in found.reason


def test_a_runtime_that_this_machine_cannot_run_is_not_tried(free: CanaryRun) -> None:
    with pytest.raises(CannotEnforceError, match="offers no Landlock"):
        canaries.prove(PortableRuntime(cap=0), free)


def test_a_folder_in_which_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotEnforceError, match="could not be run") as caught:
        canaries.run_unconfined(tmp_path / "nowhere")
    assert "TMPDIR" in caught.value.hint


def test_no_process_stays_behind(monkeypatch: pytest.MonkeyPatch, free: CanaryRun) -> None:
    mark = os.urandom(16).hex()
    monkeypatch.setattr("buildperm.sandbox.canary_fixture.secrets.token_hex", lambda _: mark)

    canaries.run_unconfined()
    if ABI >= 1:
        canaries.prove(PortableRuntime(), free)

    assert processes_with(mark.encode()) == []


def _judged(free: CanaryRun, held: CanaryRun) -> tuple[CanaryResult, ...]:
    return canaries.judge("portable", landlock.NEWEST, free, held, held)


def _absent(free: CanaryRun) -> set[str]:
    return {each.id for each in CANARIES if free.errors.get(each.tried)}
