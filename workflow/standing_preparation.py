"""Finds out which workspace a plain Cargo builds, and to what that is held.

What takes long to import is imported where something is held: other Cargos do not wait for it.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import buildperm
from buildperm.cargo import arguments, standing_state
from buildperm.errors import BuildpermError
from buildperm.printable import log_text
from buildperm.workflow import known_context, leading
from buildperm.workflow.known_context import KnownContext

if TYPE_CHECKING:
    from buildperm.cargo.cargo_invocation import CargoInvocation
    from buildperm.cargo.project import Project
    from buildperm.cargo.toolchain import Toolchain
    from buildperm.policy.grants import Policy
    from buildperm.supervisor.session import Session

_LAST_YEAR = 9999  # The day after its last one cannot be told.
_CONFIGURATION = (".cargo/config.toml", ".cargo/config")


class StandingPreparation:
    """Finds out what a Cargo builds, and to what that is held."""

    def __init__(self, place: Path, invocation: CargoInvocation, spelt: str) -> None:
        self._place = place
        self._invocation = invocation
        self._spelt = spelt
        self._environment = invocation.environment
        self._state = standing_state.read(place)
        self._words = arguments.observed(invocation.words)
        self._folder = invocation.folder / self._words.folder
        self._inputs = {place / "on.json"}
        self._made = int(time.time())
        self._until = 1 << 62
        self._said: list[str] = []

    def context(self) -> KnownContext:
        """Return where this Cargo is to be led.

        Raises:
            BuildpermError: It cannot be held.
        """
        folder = str(self._chosen())
        return KnownContext(folder, tuple(self._said), self._identities(), self._made, self._until)

    def _identities(self) -> dict[str, list[int] | None]:
        """Return what the answer depends on, as it is now."""
        paths = {*self._inputs, Path(buildperm.__file__)}
        for folder in (self._folder, *self._folder.parents):
            paths |= {folder / each for each in (*_CONFIGURATION, "Cargo.toml")}
            paths |= {folder / each for each in ("rust-toolchain", "rust-toolchain.toml")}
        return {str(path): known_context.identity(str(path)) for path in sorted(paths)}

    def _chosen(self) -> Path:
        from buildperm.cargo import toolchain

        unheld = self._place / "unheld"
        if not self._state.is_on:
            return unheld
        tools = toolchain.resolve(self._folder, self._environment)
        root = None if self._words.is_elsewhere else self._root(tools)
        enrolled = self._enrolled(root)
        if root is not None and self._is_canary(root):
            return self._held(tools, root, None)
        if enrolled is None and not self._state.holds_others:
            if self._state.others == "warn":
                self._say(f"`{root or self._folder}` is not enrolled: nothing of it is held")
            elif root is not None and (why := self._meant(root)):
                self._say(f"nothing is held in `{root}`, {why}: `buildperm enable` there holds it")
            return unheld
        return self._held(tools, root, enrolled)

    def _say(self, text: str) -> None:
        self._said.append(log_text(f"buildperm: {text}\n"))

    def _manifest(self) -> Path | None:
        named = self._words.manifest_path
        return self._folder / named if named else None

    def _root(self, tools: Toolchain) -> Path | None:
        """Ask Cargo for the root of the workspace; None where there is none."""
        command = [str(tools.cargo), "locate-project", "--workspace", "--message-format=plain"]
        manifest = self._manifest()
        if manifest is not None:
            self._inputs.add(manifest)
            command += ["--manifest-path", str(manifest)]
        environment = tools.environment(self._environment)
        try:
            asked = subprocess.run(
                command,
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        said = os.fsdecode(asked.stdout).rstrip("\n")
        return Path(said).resolve().parent if asked.returncode == 0 and said else None

    def _enrolled(self, root: Path | None) -> Path | None:
        """Return the workspace whose grants count, if any.

        What a test makes below a workspace, or in its target directory, is that workspace's:
        trybuild.
        """
        state = self._state
        places = [root] if root is not None else [self._folder]
        if self._spelt and root is None:
            places.append(Path(os.path.realpath(self._spelt)))
        for place in places:
            found = state.enrolled(place)
            if found is not None:
                return found
        if root is None:
            return None
        self._inputs |= {each / "Cargo.toml" for each in root.parents}
        return state.granting(root)

    def _meant(self, root: Path) -> str:
        """Say why somebody may think that a workspace is enrolled which is not; empty if nobody."""
        from buildperm.cargo import other_checkouts

        main = other_checkouts.main_of(root)
        if main is not None and self._state.enrolled(main) is not None:
            self._inputs.add(root / ".git")
            return f"a worktree of `{main}`, which is enrolled by itself"
        target = Path(os.path.realpath(self._spelt or root / "target"))
        self._inputs.add(other_checkouts.trace_of(target))
        if str(target) not in self._state.targets and other_checkouts.was_held(target):
            return "which was held elsewhere, and has been moved or copied"
        return ""

    def _is_canary(self, root: Path) -> bool:
        """Tell whether `status` has made this workspace, to see whether it is held."""
        try:
            return os.fsencode(root) == (self._place / "canary").read_bytes()
        except OSError:
            return False

    def _held(self, tools: Toolchain, root: Path | None, enrolled: Path | None) -> Path:
        from buildperm.cargo import (
            accepted_settings,
            adopted_scripts,
            standing_build,
            user_configuration,
        )
        from buildperm.cargo.target_directory import TargetDirectory

        owner = enrolled or self._state.enrolled(self._folder)
        accepted_settings.refuse_unknown(self._place, self._folder, tools.cargo_home, owner)
        project = self._project(tools, root)
        target = Path(os.path.realpath(self._spelt or project.metadata.target_directory))
        policy = standing_build.baseline(target / "Cargo.toml")
        if enrolled is not None:
            policy = self._granted(enrolled)
        if enrolled is not None and root != enrolled:
            project = standing_build.below(project, enrolled)
        self._look_at_clock(policy, project, tools)
        name = standing_state.digest(*self._invocation.lasting, self._spelt)
        store = self._place / "sessions" / name
        store.mkdir(mode=0o700, exist_ok=True)
        directory = TargetDirectory(target, store, self._place)
        put_aside = directory.claim_state()
        if put_aside:  # Once.
            self._invocation.say(log_text(f"buildperm: {put_aside}\n"))
        session, programs = standing_build.prepare(
            project,
            policy,
            directory,
            spelt=self._spelt or str(target),
            ask_s=self._ask_s(policy) if root is not None and root == enrolled else 0,
        )
        self._inputs |= {*programs}
        if policy.root_digest:  # That file may say where it lies.
            self._inputs.add(user_configuration.path_of(self._environment))
        stub = directory.stub_text()
        count = adopted_scripts.adopt(target, stub, standing_state.note_stub(self._place, stub))
        if count and str(target) in self._state.targets:  # All of it had stubs.
            self._tell_adopted(target, count)
        adopted_scripts.attribute_macros(directory, project.metadata)
        # Whoever builds without us in between, or brings along what is built, changes these.
        self._inputs |= adopted_scripts.folders(target)
        standing_state.add_target(self._place, target)
        if enrolled is not None and root == enrolled:
            self._tell_changes(root, session)
            leading.link_to(standing_state.macro_server(self._place, root), directory.macro_server)
        return store

    def _ask_s(self, policy: Policy) -> int:
        """Return how long a person has for a question; 0 where nobody is to be asked."""
        from buildperm.workflow import ask_setting

        try:
            found = ask_setting.of_workspace(policy, self._environment)
        except BuildpermError as error:
            self._say(f"nothing is asked in this build: {error.args[0]}")
            return 0
        self._inputs.add(found.file)
        return found.timeout_s

    def _tell_adopted(self, target: Path, count: int) -> None:
        """Say that something has compiled build scripts while it was on, and kept us out."""
        from buildperm.presentation.wording import plural

        scripts = plural(count, "build script")
        said = f"compiled without buildperm, and maybe run unheld: {scripts} in `{target}`"
        why = "by an editor, or with another RUSTC_WRAPPER; see `buildperm status`"
        self._invocation.say(log_text(f"buildperm: {said}, {why}\n"))  # Once.

    def _look_at_clock(self, policy: Policy, project: Project, tools: Toolchain) -> None:
        """Say which packages are too young, and find out until when the answer holds."""
        from datetime import UTC, datetime, timedelta

        from buildperm.cargo.grant_keys import GrantKeys, places

        for grants in policy.crates.values():
            if grants.expires is not None and grants.expires.year < _LAST_YEAR:
                over = datetime(*grants.expires.timetuple()[:3], tzinfo=UTC) + timedelta(days=1)
                self._until = min(self._until, max(int(over.timestamp()), self._made + 1))
        if not policy.min_age:
            return
        # Cargo gives compilers what a project says in `[env]`; this state folder is the true one.
        os.environ["XDG_STATE_HOME"] = str(self._place.parent)
        keys = GrantKeys(
            project.metadata,
            project.lock,
            policy,
            places(project.metadata, tools, self._environment),
        )
        reviewed = project.metadata.reviewed()
        for line in keys.told_of_young(reviewed):
            self._say(line)
        ends = (each.until for package in reviewed if (each := keys.youth(package)))
        self._until = max(min([self._until, *ends]), self._made + 1)

    def _granted(self, enrolled: Path) -> Policy:
        from buildperm.policy import manifest

        path = enrolled / "Cargo.toml"
        self._inputs.add(path)
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise BuildpermError(f"cannot read `{path}`: {error.strerror}") from error
        policy = manifest.read(raw, path)
        self._inputs |= {enrolled / each.file for each in policy.imports}
        return policy

    def _project(self, tools: Toolchain, root: Path | None) -> Project:
        from buildperm.cargo import configuration, lock, metadata, standing_build
        from buildperm.cargo.arguments import Arguments
        from buildperm.cargo.project import Project

        words = self._words
        configured = configuration.read(
            self._folder,
            tools.cargo_home,
            self._environment,
            words.configuration,
            is_standing=True,
        )
        target = Path(os.path.realpath(self._spelt or self._folder / "target"))
        described, locked = standing_build.nothing_known(root or target, target)
        if root is not None:
            given = ("--locked", "--frozen", "--offline")  # Cargo takes none of them twice.
            flags = [each for each in words.metadata if each not in given]
            try:
                described = metadata.read(
                    tools,
                    self._folder,
                    self._environment,
                    manifest_path=self._manifest(),
                    targets=words.targets or configured.targets,
                    flags=(*flags, "--offline"),
                )
                locked = lock.read(root / "Cargo.lock")
            except BuildpermError as error:
                self._say(f"grants are not in force, all is held to the baseline: {error.args[0]}")
        self._inputs |= {each.manifest for each in described.packages.values() if not each.source}
        self._inputs |= {described.root / "Cargo.toml", described.root / "Cargo.lock", tools.rustc}
        self._inputs |= {tools.cargo_home / each for each in ("config.toml", "config")}
        self._inputs |= {*configuration.sources(self._folder, tools.cargo_home)}
        arguments = Arguments(
            words=tuple(self._invocation.words),
            toolchain="",
            command=words.command,
            manifest_path=self._manifest(),
            metadata=words.metadata,
            targets=words.targets,
            configuration=words.configuration,
            message_format="",
        )
        return Project(
            self._folder, self._environment, arguments, tools, configured, described, locked
        )

    def _tell_changes(self, root: Path, session: Session) -> None:
        """Say which build scripts and macros are new, or of another version than before."""
        from buildperm.cargo import standing_changes

        said = standing_changes.told(self._place, root, session)
        if said:  # Once.
            self._invocation.say(log_text(f"buildperm: {said}\n"))
