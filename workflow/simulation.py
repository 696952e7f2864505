"""What `simulate` does: judges what build scripts were seen doing under changed grants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from buildperm.errors import BuildpermError
from buildperm.policy import lock_file
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.presentation import console
from buildperm.workflow import evidence
from buildperm.workflow.grant_change import GrantChange, parse
from buildperm.workflow.replay import Replay, Replayer
from buildperm.workflow.script_lookup import FoundScript, WorkspaceView, find_key, open_view


@dataclass(frozen=True, slots=True)
class Simulation:
    """A change of one crate's grants, and what it would mean."""

    key: str  # Of the grants, in Cargo.toml.
    change: GrantChange
    replays: tuple[Replay, ...]  # One for each build script.
    warnings: tuple[str, ...]  # What may make the answer wrong.

    @property
    def refuses(self) -> bool:
        """Tell whether anything would be refused that is allowed today."""
        return any(each.refused for each in self.replays)


def simulate(
    words: Sequence[str],
    crate: str,
    *,
    remove: Sequence[str],
    replaced: Sequence[str],
    deny: Sequence[str],
) -> Simulation:
    """Find out what a change would mean; nothing is built and nothing is written.

    Args:
        words: For Cargo.
        crate: Whose grants are meant.
        remove: Grants to take away, or `all`.
        replaced: Pairs `OLD=NEW`.
        deny: Rules to deny.

    Raises:
        BuildpermError: The options are not clear, or nothing was ever recorded.
    """
    view = open_view(words)
    key = find_key(view, crate)
    policy = view.workspace.policy
    grants = policy.crates.get(key, CrateGrants(key))
    change = parse(grants, remove, replaced, deny)
    warnings: dict[str, None] = {}
    replays = _replays(view, _amended(policy, change.applied_to(grants)), key, warnings)
    return Simulation(key, change, tuple(replays), tuple(warnings))


def _amended(policy: Policy, grants: CrateGrants) -> Policy:
    crates = {**policy.crates, grants.key: grants}
    if grants.is_empty():
        del crates[grants.key]  # As the editor does: another table may apply then.
    return replace(policy, crates=crates)


def _replays(
    view: WorkspaceView, then: Policy, key: str, warnings: dict[str, None]
) -> list[Replay]:
    """Replay all that is known of the build scripts that the change is about.

    Raises:
        BuildpermError: Nothing is known, so there is no answer.
    """
    scripts = [
        script
        for script in view.scripts
        if script.key == key or script.under(then) != script.grants
    ]
    snapshots = lock_file.read(view.workspace.project.metadata.root / lock_file.NAME)
    replayer = Replayer(view, lambda line: warnings.setdefault(line))
    known = evidence.gather(
        scripts,
        view.targets,
        snapshots,
        lambda line: warnings.setdefault(line),
        view.reach.members,
    )
    unknown = [script for script in scripts if known[script.package.id].is_empty]
    replays = [
        replayer.replay(script, known[script.package.id], script.under(then))
        for script in scripts
        if script not in unknown
    ]
    if unknown and not any(replay.refused for replay in replays):
        for warning in warnings:
            console.print_warning(warning)
        raise BuildpermError(
            f"nothing was ever recorded of {_titles(unknown)}: nobody can say what is refused",
            hint="Run `buildperm learn`, which records it; where it does not run in that, with the "
            "words for Cargo under which it does: `buildperm learn -- check --all-features`.",
        )
    for script in unknown:
        warnings.setdefault(f"{script.title}: never recorded, so nothing is known of it")
    return replays


def _titles(scripts: Sequence[FoundScript]) -> str:
    return ", ".join(f"`{script.title}`" for script in scripts)
