"""What came of one run of Cargo with everything that runs in it held."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from buildperm.cargo.cargo_process import CargoResult
from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.cargo.units import Unit
from buildperm.errors import BuildpermError
from buildperm.policy import proposals
from buildperm.policy.access import Access
from buildperm.policy.combination import combine
from buildperm.policy.compilation import WithheldRule
from buildperm.policy.coverage import GrantCoverage
from buildperm.policy.fold import fold, role_of
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.role import SCRIPT_ALONE, united
from buildperm.policy.rule import Rule
from buildperm.policy.undecided_accesses import denied, habitual, of_folders, unopened
from buildperm.report.build_run import IN_PLACE, LOST, IneffectiveGrant, ScriptRun
from buildperm.rules.pattern import locate
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.reader import Recording
from buildperm.tracer.recording_format import LIGHT

if TYPE_CHECKING:
    from buildperm.supervisor.session import Session, SessionPackage
    from buildperm.workflow.workspace import Workspace


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """A finished run of Cargo, and what ran in it did."""

    build: SupervisedBuild
    finished: CargoResult
    units: tuple[Unit, ...]  # The recorded runs that belong to it.
    scripts: tuple[ScriptRun, ...]
    uncompiled: tuple[tuple[bytes, str], ...] = ()  # As in `SupervisedBuildResult`.


def run_held_build(build: SupervisedBuild, workspace: Workspace) -> BuildOutcome:
    """Run Cargo and appraise what ran in it did.

    Raises:
        BuildpermError: It cannot be started, or a build script cannot be held.
    """
    held = build.run()
    packages = HeldPackages(workspace.project, workspace.policy, build.session)
    lost = unfinished_packages(build.session, held.finished)
    found = script_runs(workspace, packages, held.units, lost)
    return BuildOutcome(build, held.finished, held.units, found, held.uncompiled)


def script_runs(
    workspace: Workspace,
    packages: HeldPackages,
    took_part: Iterable[Unit],
    lost: Collection[bytes] = (),
) -> tuple[ScriptRun, ...]:
    """Put together, for each package, what its recorded runs did beyond its grants.

    `lost` are the packages with a run whose end was not recorded.
    """
    runs: dict[bytes, list[Recording]] = {package: [] for package in lost}
    for unit in took_part:
        runs.setdefault(unit.package, []).append(reader.read(unit.recording))
    ways = dependency_paths(workspace, (packages.of(folder)["id"] for folder in runs))
    found = [
        appraise(
            packages.of(folder),
            recordings,
            combine(fold(each, packages.members) for each in recordings),
            ways[packages.of(folder)["id"]],
            consumers=packages.consumers(folder),
            is_lost=folder in lost,
        )
        for folder, recordings in runs.items()
    ]
    return tuple(sorted(found, key=lambda run: (run.crate, run.version)))


def unfinished_packages(session: Session, finished: CargoResult) -> list[bytes]:
    """Return the packages of which something was started that has no recorded end.

    Its supervisor was killed, or the disk is full: what it did is not recorded.
    """
    if finished.interrupted:
        return []
    known: dict[bytes, SessionPackage] = {**session["packages"], **session.get("macros", {})}
    return [
        folder
        for folder, package in known.items()
        if (package["crate"], package["version"]) in finished.unended
    ]


def dependency_paths(
    workspace: Workspace, package_ids: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Return the names on a shortest path from a member to each of the packages."""
    chains = workspace.project.metadata.chains(package_ids)
    return {each: tuple(step.name for step in chain) for each, chain in chains.items()}


def appraise(
    package: SessionPackage,
    recordings: Sequence[Recording],
    accesses: Sequence[Access],
    way: tuple[str, ...],
    *,
    consumers: Collection[str] = (),
    is_lost: bool = False,
) -> ScriptRun:
    """Say what one package's build scripts and macros did beyond its grants.

    Args:
        package: Its entry in the session that it ran under.
        recordings: Of all its runs.
        accesses: All that they did.
        way: How the package got into the graph.
        consumers: Keys of packages outside the workspace for which its grants hold, too.
        is_lost: Another run of it has no recorded end.
    """
    failures = dict.fromkeys(
        reason for each in recordings for reason in (each.end.failure, each.end.voided) if reason
    )
    if is_lost:
        failures[LOST] = None
    return ScriptRun(
        crate=package["crate"],
        version=package["version"],
        source=package["source"],
        way=way,
        events=sum(event.count for each in recordings for event in each.events),
        accesses=len(accesses),
        duration_ns=sum(each.end.duration_ns for each in recordings),
        findings=tuple(_found(package, recordings, accesses, consumers)),
        failure="; ".join(failures),
        failed=is_lost or any(each.end.exit != 0 for each in recordings),
        dropped=sum(each.end.dropped for each in recordings),
        programs=tuple(sorted({path for each in recordings for path in each.end.programs})),
        programs_unlisted=max((each.end.programs_unlisted for each in recordings), default=0),
        everything=tuple(accesses),
        withheld=_withheld(package),
        left_out=tuple(sorted({one for each in recordings for one in _left_out(each)})),
        unopened=tuple(_unopened(package, recordings, accesses, consumers)),
        denied=tuple(_denied(package, recordings, accesses)),
        habitual=tuple(habitual(accesses)) if _has_failed(recordings) else (),
        roles=united(role_of(each.header) for each in recordings) or SCRIPT_ALONE,
        restored=tuple(
            (each.header.restored.at_s, each.header.restored.by)
            for each in recordings
            if each.header.restored is not None
        ),
        remote=tuple(
            (each.header.remote.at, each.header.remote.why, each.header.remote.is_kept)
            for each in recordings
            if each.header.remote is not None
        ),
        wasi=tuple(
            (IN_PLACE, "", each.header.wasi_compared_s)
            for each in recordings
            if each.header.wasi_compared_s is not None
        ),
        is_light=any(each.header.observation == LIGHT for each in recordings),
    )


def _found(
    package: SessionPackage,
    recordings: Sequence[Recording],
    accesses: Sequence[Access],
    consumers: Collection[str],
) -> list[Proposal]:
    """Propose what is asked while learning; where runs were held, also what they had to do without.

    That is what is granted to a version that is too young yet.
    """
    if any(each.header.mode == "enforcing" for each in recordings):
        # Where all is there, a look tells what it tells without buildperm: nobody was refused.
        found = propose(package, accesses, consumers)
        return [each for each in found if not each.is_only_looks]
    return asked(package, accesses, consumers)


def _withheld(package: SessionPackage) -> tuple[WithheldRule, ...]:
    withheld = package.get("withheld", {})
    return tuple(WithheldRule(_rule(text), why) for text, why in withheld.items())


def _unopened(
    package: SessionPackage,
    recordings: Sequence[Recording],
    accesses: Iterable[Access],
    consumers: Collection[str],
) -> list[Access]:
    if not all(each.header.mode == "enforcing" for each in recordings):
        return []  # It may have been granted since.
    held = [each for each in accesses if not each.outside or each.outside in consumers]
    return unopened(held, rules(granted(package)), rules(package["deny"]))


def _denied(
    package: SessionPackage, recordings: Sequence[Recording], accesses: Iterable[Access]
) -> list[Access]:
    if not _has_failed(recordings):
        return []
    return denied(accesses, rules(package["deny"]))


def _has_failed(recordings: Iterable[Recording]) -> bool:
    return any(each.end.exit != 0 and each.header.mode == "enforcing" for each in recordings)


def _left_out(recorded: Recording) -> Iterator[IneffectiveGrant]:
    for text, real in recorded.header.left_out.items():
        yield IneffectiveGrant(_rule(text), locate(real, recorded.header.places))


def _rule(text: str) -> Rule:
    kind, _, pattern = text.partition(" ")
    return Rule(Kind(kind), pattern)


def propose(
    package: SessionPackage, accesses: Iterable[Access], consumers: Collection[str] = ()
) -> list[Proposal]:
    """Make the proposals for what `package` is neither granted nor denied.

    `consumers` are keys of packages outside the workspace that its macros are granted it for, too.
    """
    return proposals.propose(
        package["crate"],
        package["version"],
        accesses,
        rules=rules(granted(package)),
        denials=rules(package["deny"]),
        consumers=consumers,
    )


def asked(
    package: SessionPackage, accesses: Iterable[Access], consumers: Collection[str] = ()
) -> list[Proposal]:
    """Make the same proposals, without those that nobody has to decide about: they wait."""
    found = propose(package, accesses, consumers)
    waiting = GrantCoverage(map(_rule, package.get("waiting", ())))
    return [each for each in found if not all(map(waiting.covers, each.evidence))]


def wider(package: SessionPackage, accesses: Iterable[Access]) -> list[Proposal]:
    """Make the proposals for what `package` was refused as its grants are of files, not folders."""
    held = of_folders(accesses, rules(granted(package)), rules(package["deny"]))
    return proposals.propose(package["crate"], package["version"], held)


def how_compiling_is_held(session: Session) -> tuple[str, str, str]:
    """Return hold, watch or off, where macros run, and for want of what nothing is held.

    They are empty where it is not known, or not so.
    """
    compiling = session.get("compile")
    if compiling is None:
        return "", "", ""
    macros = compiling["macros"] if compiling["mode"] == "hold" else ""
    return compiling["mode"], macros, compiling.get("lacking", "")


def granted(package: SessionPackage) -> dict[str, list[str]]:
    """Return the patterns that `package` is granted, by kind."""
    lists = cast("Mapping[str, list[str]]", package)  # Its other values are not looked at.
    return {kind: lists[kind] for kind in map(str, GRANTABLE) if kind in lists}


def proposals_of(session: Session, packages: HeldPackages, path: Path) -> list[Proposal]:
    """Make the proposals from a fresh recording; none if it cannot be read yet."""
    try:
        found = reader.read(path)
    except BuildpermError:
        return []  # It is incomplete; the end of the build tells why.
    header = found.header
    known: dict[bytes, SessionPackage] = {**session.get("macros", {}), **session["packages"]}
    for folder, package in known.items():
        if (package["crate"], package["version"], package["source"]) == (
            header.crate,
            header.crate_version,
            header.source,
        ):
            return propose(package, fold(found, packages.members), packages.consumers(folder))
    return []


def rules(lists: Mapping[str, Sequence[str]]) -> list[Rule]:
    """Return the rules that a package's lists in a session stand for."""
    return [Rule(kind, pattern) for kind in GRANTABLE for pattern in lists.get(str(kind), ())]
