"""What `cargo metadata` says about a workspace, typed."""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.cargo import lock, workspace_query
from buildperm.errors import BuildpermError
from buildperm.policy import crate_request, revision
from buildperm.policy.crate_request import CrateRequest
from buildperm.policy.role import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from buildperm.cargo.toolchain import Toolchain


@dataclass(frozen=True, slots=True)
class Package:
    """One package of the dependency graph."""

    id: str  # Cargo's package ID: unique in the graph.
    name: str
    version: str
    source: str  # `registry+https://…`, `git+https://…#commit`; empty for a path.
    manifest: Path  # Its Cargo.toml, without links.
    links: str  # Native library that it claims; empty for none.
    features: tuple[str, ...]  # Those that are switched on, sorted.
    build_scripts: tuple[str, ...]  # Names of its targets of the kind custom-build; mostly one.
    script_sources: tuple[Path, ...]  # Their main files, below `folder` without links.
    macro_source: Path | None  # The main file of its procedural macros; None where it has none.
    build_dependencies: frozenset[str]  # Names that it declares, for whatever platform or feature.
    macro_dependencies: frozenset[str]  # Likewise those of its macros; none where it has none.
    dev_dependencies: frozenset[str]  # Names that it declares for its tests alone.
    neighbours: Mapping[str, Path]  # Folders that it declares as dependencies, by name.
    outside: tuple[Path, ...] = ()  # What its manifest says is its own though it lies elsewhere.
    request: CrateRequest | None = None  # What it asks for; nobody obeys that.
    comes_with_rust: bool = False  # Of the standard library, and part of the tool chain.

    @property
    def has_macros(self) -> bool:
        """Tell whether its library holds procedural macros."""
        return self.macro_source is not None

    @property
    def revision(self) -> str:
        """Return the revision that a person can have reviewed: see `policy.revision`."""
        return revision.of_package(self.version, self.source)

    @property
    def subjects(self) -> tuple[SubjectKind, ...]:
        """Return what of it is reviewed before it runs.

        What comes with the tool chain is not: who trusts the compiler trusts its standard library.
        It is held to its grants all the same.
        """
        if self.comes_with_rust:
            return ()
        scripts = (SubjectKind.SCRIPT,) if self.build_scripts else ()
        return (*scripts, SubjectKind.MACRO) if self.has_macros else scripts

    @property
    def folder(self) -> Path:
        """Return its manifest directory."""
        return self.manifest.parent


@dataclass(frozen=True, slots=True)
class Metadata:
    """A workspace with its dependency graph for the platforms that are built for."""

    root: Path  # Folder of the workspace, without links.
    target_directory: Path  # The user's; supervised builds go below it.
    packages: Mapping[str, Package]  # By ID.
    members: tuple[str, ...]  # IDs of the packages of the workspace.
    dependencies: Mapping[str, tuple[str, ...]]  # IDs by ID.
    by_folder: Mapping[bytes, Package] = field(init=False, repr=False, compare=False)
    """The packages by their manifest directories."""

    def __post_init__(self) -> None:
        """Index the packages."""
        found = {os.fsencode(each.folder): each for each in self.packages.values()}
        object.__setattr__(self, "by_folder", found)

    @property
    def manifest(self) -> Path:
        """Return the Cargo.toml of the workspace root, where grants are kept."""
        return self.root / "Cargo.toml"

    def scripted(self) -> tuple[Package, ...]:
        """Return the packages that have a build script, by name and version."""
        scripted = (package for package in self.packages.values() if package.build_scripts)
        return tuple(sorted(scripted, key=lambda package: (package.name, package.version)))

    def reviewed(self) -> tuple[Package, ...]:
        """Return the packages that have a build script or macros, by name and version."""
        found = (package for package in self.packages.values() if package.subjects)
        return tuple(sorted(found, key=lambda package: (package.name, package.version)))

    def local_names(self) -> frozenset[str]:
        """Return the names of the packages that lie in folders: members, path dependencies."""
        return frozenset(each.name for each in self.packages.values() if not each.source)

    def member_names(self) -> tuple[str, ...]:
        """Return the names of the packages of the workspace, sorted."""
        return tuple(sorted({self.packages[member].name for member in self.members}))

    def below(self, package_id: str) -> frozenset[str]:
        """Return what a package depends on, at whatever distance; never the package itself."""
        found: set[str] = set()
        pending = [package_id]
        while pending:
            new = set(self.dependencies.get(pending.pop(), ())) - found
            found |= new
            pending += new
        return frozenset(found - {package_id})  # Its tests may depend on what depends on it.

    def chain(self, package_id: str) -> tuple[Package, ...]:
        """Return a shortest way from a member to the package; empty if nothing leads there."""
        return self.chains([package_id])[package_id]

    def chains(self, package_ids: Iterable[str]) -> dict[str, tuple[Package, ...]]:
        """Return a shortest way to each of the packages, in one pass."""
        came_from: dict[str, str] = dict.fromkeys(self.members, "")
        waiting = deque(self.members)
        while waiting:
            current = waiting.popleft()
            for dependency in self.dependencies.get(current, ()):
                if dependency not in came_from:
                    came_from[dependency] = current
                    waiting.append(dependency)
        return {
            package_id: self._way(package_id, came_from) if package_id in came_from else ()
            for package_id in package_ids
        }

    def _way(self, package_id: str, came_from: Mapping[str, str]) -> tuple[Package, ...]:
        way = [package_id]
        while came_from[way[-1]]:
            way.append(came_from[way[-1]])
        return tuple(self.packages[step] for step in reversed(way))


def read(
    toolchain: Toolchain,
    folder: Path,
    environment: Mapping[str, str],
    *,
    manifest_path: Path | None = None,
    targets: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> Metadata:
    """Run `cargo metadata`, as a command in `folder` would.

    `targets` are the triples that are built for besides the host. `flags` are passed on: features,
    `--locked`, `--offline`, `--frozen`, `--config`, `-Z`. Like any command of Cargo's this
    downloads what is missing and completes Cargo.lock, unless a flag forbids it.

    Raises:
        BuildpermError: There is no manifest, or Cargo cannot use it; with Cargo's own words.
    """
    command = ["metadata", "--format-version", "1"]
    for triple in dict.fromkeys((toolchain.host, *targets)):
        command += ["--filter-platform", triple]  # Else packages for Windows are downloaded too.
    if manifest_path is not None:
        command += ["--manifest-path", str(manifest_path)]
    answered = workspace_query.ask(toolchain, folder, environment, [*command, *flags])
    moved_to = workspace_query.build_directory(toolchain)
    try:
        described = json.loads(answered)
        found = _metadata(described)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BuildpermError(f"`cargo metadata` answered something unknown: {error}") from error
    if described.get("build_directory", moved_to) != moved_to:
        raise BuildpermError(
            "`--config` moves Cargo's build directory, but held builds have one of their own",
            hint="Leave `build.build-dir` out.",
        )
    return found


def _metadata(described: Any) -> Metadata:  # noqa: ANN401 - JSON
    nodes = {node["id"]: node for node in described["resolve"]["nodes"]}
    packages = {
        package["id"]: _package(package, nodes[package["id"]])
        for package in described["packages"]
        if package["id"] in nodes
    }
    return Metadata(
        root=Path(described["workspace_root"]).resolve(),
        target_directory=Path(described["target_directory"]).resolve(),
        packages=packages,
        members=tuple(described["workspace_members"]),
        dependencies={
            identifier: tuple(dependency["pkg"] for dependency in node["deps"])
            for identifier, node in nodes.items()
        },
    )


def _package(package: Any, node: Any) -> Package:  # noqa: ANN401 - JSON
    manifest = Path(package["manifest_path"])
    found = manifest.resolve()
    scripts = [target for target in package["targets"] if "custom-build" in target["kind"]]
    macros = [target for target in package["targets"] if "proc-macro" in target["kind"]]
    sources = [
        _below(found.parent, manifest.parent, target["src_path"]) for target in package["targets"]
    ]
    kinds: dict[str, set[str]] = {}
    for dependency in package["dependencies"]:
        kinds.setdefault(dependency["name"], set()).add(dependency["kind"] or "normal")
    return Package(
        id=package["id"],
        name=package["name"],
        version=package["version"],
        source=lock.comparable_source(package["source"] or ""),
        manifest=found,
        links=package["links"] or "",
        features=tuple(sorted(node["features"])),
        build_scripts=tuple(script["name"] for script in scripts),
        script_sources=tuple(
            _below(found.parent, manifest.parent, script["src_path"]) for script in scripts
        ),
        macro_source=(
            _below(found.parent, manifest.parent, macros[0]["src_path"]) if macros else None
        ),
        macro_dependencies=frozenset(
            name for name, its in kinds.items() if macros and "normal" in its
        ),
        build_dependencies=frozenset(name for name, its in kinds.items() if "build" in its),
        dev_dependencies=frozenset(name for name, its in kinds.items() if its == {"dev"}),
        neighbours={
            dependency["name"]: Path(dependency["path"]).resolve()
            for dependency in package["dependencies"]
            if dependency.get("path")
        },
        request=crate_request.read(package.get("metadata")),
        outside=_outside(found.parent, sources, (package["readme"], package["license_file"])),
    )


def _outside(
    folder: Path, sources: Iterable[Path], files: Iterable[str | None]
) -> tuple[Path, ...]:
    """List what a package in `folder` consists of besides: folders of sources, and single files."""
    named = [Path(os.path.normpath(folder / file)) for file in files if file]
    named += [source.parent for source in sources]
    return tuple(sorted({path for path in named if not path.is_relative_to(folder)}))


def _below(folder: Path, as_written: Path, path: str) -> Path:
    """Write `path` with the true name of the folder that Cargo reached it through."""
    return Path(os.path.normpath(folder / os.path.relpath(path, as_written)))
