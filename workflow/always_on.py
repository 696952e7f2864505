"""What `enable` and `disable` do: plain Cargo is held to the grants, or is not any more."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm import __version__
from buildperm.cargo import (
    accepted_settings,
    adopted_scripts,
    compile_mode,
    configuration,
    home_configuration,
    nearer_settings,
    standing_programs,
    standing_state,
    toolchain,
    units,
    workspace_query,
)
from buildperm.cargo.standing_state import ChangedConfiguration, StandingState
from buildperm.cargo.target_directory import TargetDirectory
from buildperm.errors import BuildpermError
from buildperm.presentation import console
from buildperm.workflow import editor_settings
from buildperm.workflow.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Collection

    from buildperm.cargo.toolchain import Toolchain
    from buildperm.workflow.workspace import Workspace


def enable(*, is_user: bool, others: str, editors: Collection[str] = ()) -> None:
    """Hold plain Cargo from now on.

    Args:
        is_user: Everywhere, and not only in the workspace of the current folder.
        others: With `is_user`, what holds for workspaces that are not enrolled: one of OTHERS.
        editors: Whose settings are to have rust-analyzer hold what it runs; what cannot be written
            is printed.

    Raises:
        BuildpermError: This machine cannot hold it, or a file cannot be written.
    """
    workspace = None
    if not is_user:  # Whose grants count is said for each workspace.
        workspace = open_workspace((), default=("build",))
        workspace.runtime.prepare()  # Says what is missing.
        compile_mode.choose(workspace.project, workspace.policy)  # Takes some seconds once.
    tools = _toolchain(workspace)
    cargo_home = tools.cargo_home
    place = standing_state.folder()
    with standing_state.locked(place):
        state = standing_state.read(place)
        try:
            state = _configured(place, state, tools)
        except BuildpermError:
            if not state.is_on:
                standing_state.remove(place)
            raise
        if is_user:
            state = replace(state, others=others)
        if workspace is not None:
            root = workspace.project.metadata.root
            state = replace(state, workspaces=tuple(sorted({*state.workspaces, str(root)})))
        standing_state.write(place, replace(state, version=__version__))
        standing_state.forget_contexts(place)
        if workspace is not None:
            _accept(place, workspace)
            _adopt(place, workspace)
    _tell_enabled(workspace, cargo_home, is_user=is_user, others=others)
    for editor in editors:
        _set_up(editor, place)


def disable(*, is_user: bool) -> None:
    """Leave plain Cargo alone again: here, or everywhere.

    Raises:
        BuildpermError: A file cannot be written.
    """
    place = standing_state.folder()
    if not (place / "on.json").exists():
        console.print_message("always on is off already")
        return
    with standing_state.locked(place):
        state = standing_state.read(place)
        left: tuple[str, ...] = ()
        others = "leave"
        root = None
        if not is_user:
            root = open_workspace((), default=("build",)).project.metadata.root
            left = tuple(each for each in state.workspaces if each != str(root))
            others = state.others
        state = replace(state, workspaces=left, others=others)
        if not state.is_on:
            for by_hand in editor_settings.take_back(place):
                console.print_warning(by_hand)
            for changed in state.configurations:  # First: without it nothing below counts.
                _restore(changed)
        standing_state.forget_contexts(place)
        kept = []
        known = standing_state.noted_stubs(place)
        for target in map(Path, state.targets):
            if root is None or not state.is_on or target.is_relative_to(root):
                _give_back(target, known)
            else:
                kept.append(str(target))
        if state.is_on:
            standing_state.write(place, replace(state, targets=tuple(kept)))
        else:
            standing_state.remove(place)
    named = os.environ.get("RUSTC_WRAPPER", "")
    if not state.is_on and named.startswith(f"{place}/"):
        console.print_warning(f"RUSTC_WRAPPER names `{named}`, which is gone: unset it")
    console.print_message(
        "off: plain Cargo runs build scripts and macros with your rights"
        if not state.is_on
        else "off here; `buildperm status` says what is still on"
    )


def _set_up(editor: str, place: Path) -> None:
    """Have one editor's rust-analyzer hold what it runs, or say how."""
    if editor != editor_settings.WRITTEN:
        for line in editor_settings.snippet(editor, place):
            console.print_line(line)
        return
    with standing_state.locked(place):
        for path in editor_settings.write(place):
            console.print_message(f"rust-analyzer holds what it runs, by {path}: restart it there")


def _toolchain(workspace: Workspace | None) -> Toolchain:
    if workspace is not None:
        return workspace.project.toolchain
    return toolchain.resolve(Path.cwd(), os.environ)


def _configured(place: Path, state: StandingState, tools: Toolchain) -> StandingState:
    """Name our wrapper in the configuration of one CARGO_HOME, and write it."""
    cargo_home = tools.cargo_home
    path = home_configuration.path_of(cargo_home)
    content = home_configuration.content_of(path)
    told = home_configuration.values(content, path)
    known = {each.cargo_home: each for each in state.configurations}
    earlier = known.get(str(cargo_home))
    folder = place / "homes" / standing_state.digest(str(cargo_home))
    ours = {key: str(folder / key) for key in home_configuration.KEYS}
    before = {
        key: value
        for key, value in told.items()
        if value != ours[key] and not standing_state.is_out_of_reach(value)
    }
    if earlier is not None:
        before = {"rustc-wrapper": earlier.wrapper, "rustdoc": earlier.rustdoc} | before
    wrapped = before.get("rustc-wrapper", "") or _from_environment()
    standing_programs.write(place, folder, path, tools, {**before, "rustc-wrapper": wrapped})
    after = home_configuration.with_values(content, path, dict(ours))
    if earlier is not None and told == ours:
        return state
    real = home_configuration.write(path, after)
    changed = ChangedConfiguration(
        str(cargo_home),
        str(real),
        None if content is None else content.hex(),
        after.hex(),
        before.get("rustc-wrapper", ""),
        before.get("rustdoc", ""),
    )
    known[str(cargo_home)] = changed
    return replace(state, configurations=tuple(known.values()))


def _from_environment() -> str:
    """Return a wrapper that the environment names, as Cargo would find it."""
    value = os.environ.get("RUSTC_WRAPPER") or os.environ.get("CARGO_BUILD_RUSTC_WRAPPER") or ""
    found = shutil.which(value) if value else None
    return "" if found is None or configuration.wrapped_by(found) is not None else found


def _accept(place: Path, workspace: Workspace) -> None:
    """Note what the workspace's own configuration has run, and say so: more of it is refused."""
    project = workspace.project
    folder = project.folder.resolve()
    settings = tuple(nearer_settings.found(folder, project.toolchain.cargo_home))
    try:
        accepted_settings.accept(place, project.metadata.root, folder, settings)
    except OSError as error:
        raise BuildpermError(f"cannot write into `{place}`: {error.strerror}") from error
    for each in settings:
        console.print_warning(f"{each.name} {each.outcome}: accepted as it is now")


def _adopt(place: Path, workspace: Workspace) -> None:
    """Have the build scripts held that Cargo has compiled before, where it compiles by itself."""
    project = workspace.project
    metadata = project.metadata
    built = workspace_query.users_build_directory(
        project.toolchain, project.folder, project.environment
    )
    for target in dict.fromkeys((metadata.target_directory, built or metadata.target_directory)):
        directory = TargetDirectory(target, place, place)
        if not target.is_dir():
            continue
        put_aside = directory.claim_state()
        if put_aside:
            console.print_warning(put_aside)
        stub = directory.stub_text()
        count = adopted_scripts.adopt(target, stub, standing_state.note_stub(place, stub))
        try:
            adopted_scripts.attribute_macros(directory, metadata)
        except OSError as error:
            raise BuildpermError(
                f"cannot write into `{directory.state}`: {error.strerror}",
                hint="Make it writable, or run `cargo clean`.",
            ) from error
        if count:
            standing_state.add_target(place, target)


def _give_back(target: Path, known: Collection[str]) -> None:
    try:
        adopted_scripts.give_back(target, known)
        for recording in units.recordings(target):  # Of what ran while it was on.
            shutil.rmtree(recording.parent, ignore_errors=True)
        shutil.rmtree(TargetDirectory(target).state, ignore_errors=True)
    except (OSError, BuildpermError) as error:
        console.print_warning(f"some build scripts in `{target}` keep their stubs: {error}")


def _restore(changed: ChangedConfiguration) -> None:
    """Take our two lines back; a file that nobody has changed meanwhile gets its old bytes."""
    path = Path(changed.path)
    content = home_configuration.content_of(path)
    before = None if changed.before is None else bytes.fromhex(changed.before)
    if content is None:
        return
    if content == bytes.fromhex(changed.after):
        home_configuration.write(path, before)
        return
    told = home_configuration.values(content, path)
    earlier = {"rustc-wrapper": changed.wrapper or None, "rustdoc": changed.rustdoc or None}
    mine = {
        key: earlier[key]
        for key, value in told.items()
        if configuration.wrapped_by(value) is not None
    }
    home_configuration.write(path, home_configuration.with_values(content, path, mine))


def _tell_enabled(
    workspace: Workspace | None, cargo_home: Path, *, is_user: bool, others: str
) -> None:
    if workspace is not None:
        console.print_message(
            f"on in {workspace.project.metadata.root}: plain Cargo holds build scripts, macros and "
            "compilers to the grants in Cargo.toml"
        )
    if is_user:
        said = {
            "baseline": "held to the baseline: nothing is granted to it",
            "grants": "held to the grants in its own Cargo.toml",
            "warn": "not held; each build says so",
            "leave": "left alone",
        }[others]
        console.print_message(f"on for all of {cargo_home}: what is not enrolled is {said}")
    if not cargo_home.is_relative_to(Path.home()) and cargo_home.stat().st_mode & 0o001:
        console.print_warning(
            f"other users cannot build with {cargo_home} now: what it names is for you alone; each "
            "needs a CARGO_HOME of its own, and `buildperm enable`"
        )
    found, by = configuration.effective_wrapper(Path.cwd(), cargo_home, os.environ)
    if configuration.wrapped_by(found) is None:
        console.print_warning(
            f"{by or 'something'} outranks it: plain Cargo calls `{found}`, and nothing is held "
            "until that is removed; it will be called in its turn"
        )
