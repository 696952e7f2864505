"""The packages of Rust's standard library, where Cargo builds it anew: `-Zbuild-std`.

`cargo metadata` tells nothing of them, as they are a workspace of their own in the tool chain. What
Cargo would build of it is told by `--unit-graph`: Cargo book, "Unstable Features", `unit-graph`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.cargo import lock as locks
from buildperm.cargo import workspace_query
from buildperm.cargo.lock import CargoLock, PackageIdentity
from buildperm.cargo.metadata import Package
from buildperm.errors import BuildpermError
from buildperm.policy import manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from buildperm.cargo.arguments import Arguments
    from buildperm.cargo.configuration import Configuration
    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.toolchain import Toolchain

_OPTION = "build-std"
_SOURCES = "lib/rustlib/src/rust"  # Of the component `rust-src`.
_LOCKS = ("library/Cargo.lock", "Cargo.lock")  # Since Rust 1.82, and before.
_UNSTABLE = ("-nightly", "-dev")


@dataclass(slots=True)
class _StdPackage:
    """What the units of one package tell of it."""

    id: str
    source_file: str = ""  # Of whichever target.
    features: set[str] = field(default_factory=set)
    scripts: dict[str, Path] = field(default_factory=dict)  # Main files by name of the target.
    dependencies: set[str] = field(default_factory=set)  # IDs.


def is_built(
    arguments: Arguments,
    configuration: Configuration,
    toolchain: Toolchain,
    environment: Mapping[str, str],
) -> bool:
    """Tell whether Cargo may build the standard library: by an option, or by its configuration.

    What the configuration says of it counts only in a Cargo that takes what is unstable.
    """
    options = arguments.metadata
    asked = (value for word, value in pairwise(options) if word == "-Z")
    if any(value.partition("=")[0] == _OPTION for value in asked):
        return True
    is_unstable = environment.get("RUSTC_BOOTSTRAP") == "1" or any(
        mark in toolchain.cargo_version for mark in _UNSTABLE
    )
    return is_unstable and configuration.builds_std


def add(
    metadata: Metadata,
    lock: CargoLock,
    toolchain: Toolchain,
    folder: Path,
    environment: Mapping[str, str],
    *,
    manifest_path: Path | None,
    targets: Sequence[str],
    flags: Sequence[str],
) -> tuple[Metadata, CargoLock]:
    """Return the workspace and its lock file with the packages of the standard library added.

    The arguments are those of `metadata.read`; `metadata` is what it returned. Each member depends
    on the standard library. Its packages have a source that is the same on every machine, and come
    with Rust, unless they are vendored in the workspace.

    Raises:
        BuildpermError: Cargo cannot build it, or takes it from elsewhere.
    """
    # Whatever is built, the standard library's own packages are no more than with all of it.
    words = ["build", "--workspace", "--all-targets", "--unit-graph", "-Zunstable-options"]
    for triple in targets:
        words += ["--target", triple]
    if manifest_path is not None:
        words += ["--manifest-path", str(manifest_path)]
    answered = workspace_query.ask(toolchain, folder, environment, [*words, *flags])
    try:
        found, roots = _packages(json.loads(answered))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BuildpermError(
            f"`cargo build --unit-graph` answered what is unknown: {error}"
        ) from error
    if not found:
        return metadata, lock
    root = toolchain.sysroot / _SOURCES
    packages = [_package(each, root, metadata, toolchain.cargo_home) for each in found]
    same = {(each.name, each.version, each.source): each for each in metadata.packages.values()}
    names: dict[str, str] = {}  # What `cargo metadata` calls a package, by the ID of its units.
    described: dict[str, Package] = {}
    for each, package in zip(found, packages, strict=True):
        known = same.get((package.name, package.version, package.source))
        names[each.id] = known.id if known else package.id
        if known:
            features = sorted({*known.features, *package.features})
            package = replace(known, features=tuple(features))
        described[package.id] = package
    dependencies = {**metadata.dependencies}
    needed = {each.id: each.dependencies for each in found} | dict.fromkeys(metadata.members, roots)
    for identifier, more in needed.items():
        name = names.get(identifier, identifier)
        all_of_it = (*dependencies.get(name, ()), *sorted(names[each] for each in more))
        dependencies[name] = tuple(dict.fromkeys(all_of_it))
    added = replace(
        metadata, packages={**metadata.packages, **described}, dependencies=dependencies
    )
    return added, _locked(lock, root, packages)


def _packages(graph: Any) -> tuple[list[_StdPackage], set[str]]:  # noqa: ANN401 - JSON
    """Return the packages of the standard library, and the IDs of those that others depend on."""
    units = graph["units"]
    found: dict[str, _StdPackage] = {}
    roots: set[str] = set()
    for unit in units:
        needed = {
            units[each["index"]]["pkg_id"]: units[each["index"]] for each in unit["dependencies"]
        }
        if not unit.get("is_std"):
            roots |= {name for name, other in needed.items() if other.get("is_std")}
            continue
        target = unit["target"]
        package = found.setdefault(unit["pkg_id"], _StdPackage(unit["pkg_id"]))
        package.source_file = target["src_path"]
        package.features.update(unit["features"])
        package.dependencies |= needed.keys() - {package.id}
        if "custom-build" in target["kind"]:
            package.scripts[target["name"]] = Path(target["src_path"])
    return list(found.values()), roots


def _package(found: _StdPackage, root: Path, metadata: Metadata, cargo_home: Path) -> Package:
    """Describe one package of the standard library.

    Raises:
        BuildpermError: It is not part of the tool chain, and Cargo has not fetched it either.
    """
    named = next(
        (each for each in Path(found.source_file).parents if (each / "Cargo.toml").is_file()), None
    )
    if named is None:
        raise BuildpermError(f"`{found.source_file}` of the standard library is in no package")
    path = named.resolve() / "Cargo.toml"
    _, document = manifest.parse(path.read_bytes(), path)
    about = document.get("package")
    about = about if isinstance(about, dict) else {}
    name = str(about.get("name", ""))
    version, source = _told(found.id)
    spelled = f"{source}#{version}" if source.endswith(f"/{name}") else f"{source}#{name}@{version}"
    if source.startswith("path+"):
        source = _portable(path.parent, root)
    is_fetched = not path.is_relative_to(metadata.root) or path.is_relative_to(cargo_home)
    return Package(
        id=spelled if any("#" in each for each in metadata.packages) else found.id,
        name=name,
        version=version,
        source=source,
        manifest=path,
        links=str(about.get("links", "")),
        features=tuple(sorted(found.features)),
        build_scripts=tuple(found.scripts),
        script_sources=tuple(
            path.parent / os.path.relpath(script, named) for script in found.scripts.values()
        ),
        macro_source=None,
        build_dependencies=frozenset(_declared(document)),
        macro_dependencies=frozenset(),
        dev_dependencies=frozenset(),
        neighbours={},
        comes_with_rust=is_fetched,
    )


def _told(identifier: str) -> tuple[str, str]:
    """Return version and source of a package by its ID: Cargo book, "Package ID Specifications".

    Units told it as `NAME VERSION (SOURCE)` for longer than `cargo metadata` did.
    """
    if identifier.endswith(")"):
        _, version, source = identifier.split(" ", 2)
        return version, source[1:-1]
    source, _, rest = identifier.rpartition("#")
    return rest.rpartition("@")[2], source


def _portable(folder: Path, root: Path) -> str:
    """Write the folder of a package as a source: the same wherever the tool chain is.

    Debian's is a link to a folder that is called after the version.
    """
    real = root.resolve()
    if not folder.is_relative_to(real):
        raise BuildpermError(
            f"Cargo takes the standard library from `{folder}`, which is not in `{root}`",
            hint="Unset what says so, and install the sources: `rustup component add rust-src`.",
        )
    return f"path+$SYSROOT/{_SOURCES}/{folder.relative_to(real)}"


def _declared(document: Mapping[str, Any]) -> Iterable[str]:
    """Yield the names of build dependencies, on whatever platform."""
    targets = document.get("target")
    tables = [document, *(targets.values() if isinstance(targets, dict) else ())]
    for table in tables:
        listed = table.get("build-dependencies") if isinstance(table, dict) else None
        for name, about in listed.items() if isinstance(listed, dict) else ():
            renamed = about.get("package") if isinstance(about, dict) else None
            yield str(renamed or name)


def _locked(lock: CargoLock, root: Path, packages: Iterable[Package]) -> CargoLock:
    """Add what is used of the lock file of the standard library."""
    file = next((root / each for each in _LOCKS if (root / each).is_file()), root / _LOCKS[0])
    theirs = locks.read(file)
    used = []
    for package in packages:
        known = theirs.find(package.name, package.version, package.source)
        used.append(known or PackageIdentity(package.name, package.version, package.source, ""))
    more = sorted(set(used).difference(lock.packages))
    return CargoLock((*lock.packages, *more), lock.requirements)
