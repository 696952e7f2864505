"""Which crate the user means, for commands that only look at a workspace."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from buildperm.cargo import grant_keys as keys
from buildperm.cargo import package_folder
from buildperm.cargo.macro_consumers import MacroConsumers
from buildperm.cargo.metadata import Package
from buildperm.cargo.pending_search import subjects_of
from buildperm.cargo.project import Project
from buildperm.errors import BuildpermError
from buildperm.policy.grants import CRATES_IO, CrateGrants, Policy, matching, with_imported
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.report.text import count
from buildperm.workflow.workspace import Workspace, open_contexts

_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class FoundScript:
    """A package, what of it runs, and what it is granted."""

    package: Package
    key: str  # Of its grants in Cargo.toml, or the one that new grants would go under.
    grants: CrateGrants | None  # As far as they apply to this package; None if there are none.
    checksum: str  # From Cargo.lock; empty where there is none.
    directory: str  # Of its manifest, with tokens.
    way: tuple[str, ...]  # How it got into the dependency graph, from a workspace member on.
    is_member: bool
    has_registry_twin: bool  # A crates.io package of the same name is in the graph.
    subjects: tuple[SubjectKind, ...]  # Compiling it alone, where nothing else of it runs.
    young: str = ""  # Why nothing that is granted to it is in force: `policy.cooldown`.

    @property
    def title(self) -> str:
        """Return its name and version."""
        return f"{self.package.name} {self.package.version}"

    @property
    def spec(self) -> str:
        """Return an unambiguous name of the package, much like Cargo's package ID spec."""
        source = self.package.source.partition("#")[0] or f"path+{self.directory}"
        return f"{source}#{self.package.name}@{self.package.version}"

    def under(self, policy: Policy) -> CrateGrants | None:
        """Return what another policy would grant it."""
        package = self.package
        local, *lent = (
            matching(
                each,
                package.name,
                package.version,
                package.source,
                self.is_member,
                self.has_registry_twin,
                self.directory,
            )
            for each in (policy, *(replace(policy, crates=its.crates) for its in policy.imports))
        )
        key = local.key if local else self.key
        found = with_imported(local, key, zip(policy.imports, lent, strict=True))
        return replace(found, young=self.young) if found else None

    def denying_key(self, policy: Policy, rule: Rule) -> str:
        """Return the key that denies `rule` to this package: its own, or another that applies."""
        for key in (self.key, *policy.crates):
            grants = policy.crates.get(key)
            if (
                grants
                and rule in grants.denials
                and self.under(replace(policy, crates={key: grants}, imports=()))
            ):
                return key
        return self.key


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace to look at, in all contexts together."""

    workspace: Workspace  # In the first context.
    scripts: tuple[FoundScript, ...]  # Those with a build script or macros; by name and version.
    others: tuple[FoundScript, ...]  # Of these only compiling can be asked about; likewise.
    reach: MacroConsumers  # For which packages the grants of macros hold.
    places: Mapping[str, bytes]  # Folders by token, except those that differ between scripts.

    @property
    def unscripted(self) -> frozenset[str]:
        """Return the names of the packages of which nothing runs."""
        names = {script.package.name for script in self.others}
        return frozenset(names - {script.package.name for script in self.scripts})

    @property
    def unheld(self) -> frozenset[str]:
        """Return the names of the packages whose macros run, but are not held in this workspace."""
        names = {script.package.name for script in self.others if script.package.has_macros}
        return self.unscripted & names

    @property
    def targets(self) -> tuple[Path, ...]:
        """Return the target directories for recordings, whether they exist or not."""
        above = self.workspace.project.metadata.target_directory / "buildperm"
        return above / "learn", above / "ci"


def open_view(words: Sequence[str]) -> WorkspaceView:
    """Open the workspace as Cargo would build it; Cargo.lock stays as it is.

    Without words for Cargo this covers all contexts that Cargo.toml declares.

    Raises:
        BuildpermError: There is no Cargo, no workspace, Cargo.lock is out of date, or something in
            it is broken.
    """
    workspaces = open_contexts(words, locked=True)
    scripts: dict[str, FoundScript] = {}
    for workspace in workspaces:
        for script in _scripts(workspace.project, workspace.policy):
            scripts.setdefault(script.package.id, script)
    ordered = sorted(
        scripts.values(), key=lambda script: (script.package.name, script.package.version)
    )
    compiled = (SubjectKind.COMPILE,)
    first = workspaces[0]
    metadata, lock = first.project.metadata, first.project.lock
    grant_keys = keys.GrantKeys(metadata, lock, first.policy, first.places)
    return WorkspaceView(
        workspaces[0],
        tuple(script for script in ordered if script.subjects != compiled),
        tuple(script for script in ordered if script.subjects == compiled),
        MacroConsumers(metadata, grant_keys),
        first.places,
    )


def find_script(view: WorkspaceView, word: str, *, compiling: bool = False) -> FoundScript:
    """Return the crate that `word` means: a name, a key of Cargo.toml, or `name@version`.

    With `compiling` it may be one of which nothing runs.

    Raises:
        BuildpermError: It means none, or several.
    """
    found = find_scripts(view, word, compiling=compiling)
    if len(found) > 1:
        specs = [f"`{spec}`" for spec in _unambiguous(found)[:_MOST_NAMED]]
        raise BuildpermError(
            f"`{word}` means {count(len(found), 'package')} here",
            hint=f"Say which: {', '.join(specs)}.",
        )
    return found[0]


def find_key(view: WorkspaceView, word: str) -> str:
    """Return the key that `word` means, whether Cargo.toml has it or not.

    Raises:
        BuildpermError: It means none, or several.
    """
    found = find_scripts(view, word)
    if any(script.key == word for script in found):
        return word  # It is exactly a key of Cargo.toml; an impostor of that name has another key.
    keys = list(dict.fromkeys(script.key for script in found))
    if len(keys) > 1:
        specs = [f"`{key}`" for key in keys[:_MOST_NAMED]]
        raise BuildpermError(
            f"`{word}` means {count(len(keys), 'table')} of grants here",
            hint=f"Say which: {', '.join(specs)}.",
        )
    return keys[0]


def find_scripts(view: WorkspaceView, word: str, *, compiling: bool = False) -> list[FoundScript]:
    """Return the crates that `word` means; at least one.

    Raises:
        BuildpermError: It means none.
    """
    found = match_scripts(view.scripts, word)
    if compiling and not found:
        found = match_scripts(view.others, word)
    if found:
        return found
    name = word.rpartition("#")[2].partition("@")[0]
    plain = view.unscripted
    if name in view.unheld:
        raise BuildpermError(
            f"the macros of `{name}` are not held: {_not_held(view)}",
            hint='Write `compile = "hold"`, or leave it out, to have compilers and macros held.',
        )
    if name in plain:
        raise BuildpermError(
            f"`{name}` has no build script and no macros, so there is nothing to hold it to",
            hint="Ask about a package that has one; `buildperm show` lists those with grants.",
        )
    versions = [script.package.version for script in view.scripts if script.package.name == name]
    if versions and name != word:
        raise BuildpermError(
            f"`{word}` is not here, but `{name}` in version {', '.join(versions)}",
            hint=f"Ask for `{name}@{versions[0]}`.",
        )
    raise BuildpermError(
        f"no package with a build script is called `{word}`",
        hint=suggestion(word, [script.package.name for script in view.scripts], plain),
    )


def _not_held(view: WorkspaceView) -> str:
    return f'`compile = "{view.workspace.policy.compile}"` in Cargo.toml leaves them alone'


def match_scripts(scripts: Iterable[FoundScript], word: str) -> list[FoundScript]:
    """Return the build scripts that a name, key, `name@version` or spec means; maybe none."""
    listed = list(scripts)
    name, _, version = word.partition("@")
    found = [script for script in listed if word in (script.package.name, script.key, script.spec)]
    return found or [
        script
        for script in listed
        if version
        and script.package.name == name
        and (script.package.version == version or script.package.version.startswith(f"{version}."))
    ]


def suggestion(word: str, names: Sequence[str], others: Iterable[str] = ()) -> str:
    """Return a hint with the names that look most like `word`."""
    alike = get_close_matches(word, list(dict.fromkeys(names)), 3)
    if alike:
        return f"Did you mean {' or '.join(f'`{name}`' for name in alike)}?"
    if get_close_matches(word, list(others), 1):
        alike = get_close_matches(word, list(others), 1)
        return f"`{alike[0]}` is here, but has no build script."
    if names:
        listed = sorted(set(names))
        more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
        return f"There are {', '.join(listed[:_MOST_NAMED])}{more}."
    return "No package here has a build script."


def _scripts(project: Project, policy: Policy) -> Iterator[FoundScript]:
    metadata, lock = project.metadata, project.lock
    places = keys.places(metadata, project.toolchain, project.environment)
    registered = {each.name for each in lock.packages if each.source in CRATES_IO}
    ways = metadata.chains(metadata.packages)
    grant_keys = keys.GrantKeys(metadata, lock, policy, places)
    for package in metadata.packages.values():
        is_member = package.id in metadata.members
        has_registry_twin = package.name in registered
        directory = package_folder.portable(os.fsencode(package.folder), places)
        key, grants = grant_keys.of(package)
        youth = grant_keys.youth(package)
        yield FoundScript(
            package,
            key,
            grants,
            lock.checksum(package.name, package.version, package.source),
            directory,
            tuple(step.name for step in ways[package.id]),
            is_member,
            has_registry_twin,
            subjects_of(package, policy) or (SubjectKind.COMPILE,),
            youth.clause if youth else "",
        )


def _unambiguous(scripts: Sequence[FoundScript]) -> list[str]:
    """Give each an unambiguous name."""
    short = [f"{script.package.name}@{script.package.version}" for script in scripts]
    return [
        spec if short.count(spec) == 1 else script.spec
        for spec, script in zip(short, scripts, strict=True)
    ]
