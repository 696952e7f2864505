"""A build held to its grants, from a project and a policy to the recordings of its scripts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from buildperm.cargo import session as sessions
from buildperm.cargo import units
from buildperm.cargo.messages import Messages
from buildperm.cargo.rerun import Rerun
from buildperm.cargo.run import Build, Finished
from buildperm.cargo.target import open_target
from buildperm.errors import BuildpermError, CannotEnforceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from buildperm.cargo.project import Project
    from buildperm.cargo.run import Progress
    from buildperm.cargo.units import Unit
    from buildperm.policy.grants import Policy
    from buildperm.sandbox.session import Session

Profile = Literal["learning", "enforcing"]
_FOLDERS: dict[Profile, Literal["learn", "ci"]] = {"learning": "learn", "enforcing": "ci"}


@dataclass(frozen=True, slots=True)
class Held:
    """How a held build went."""

    finished: Finished
    units: tuple[Unit, ...]  # The runs that took part, fresh ones too, with their recordings.


class HeldBuild:
    """One held build; `interrupt` may be called from anywhere while `run` blocks.

    Making it writes nothing but an empty folder. It can be run once.
    """

    def __init__(
        self,
        project: Project,
        policy: Policy,
        profile: Profile,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> None:
        """Make the session.

        Raises:
            BuildpermError: This machine cannot enforce the policy, or the target directory or the
                lock file cannot be used.
        """
        self.project = project
        self.target = open_target(project.metadata, _FOLDERS[profile])
        self.session = self._session(policy, profile)
        keeps_going = project.arguments.keeps_going(project.toolchain.cargo_version)
        self._build = Build(
            [str(project.toolchain.cargo), *project.arguments.reporting(keeps_going=keeps_going)],
            project.folder,
            self.target.environment(
                project.toolchain,
                project.environment,
                rustc_wrapper=project.configuration.rustc_wrapper,
            ),
            self.target.progress,
            on_progress=on_progress,
            on_output=on_output,
            messages=self._messages(),
            keeps_going=keeps_going,
            serves=True,
        )

    def run(self, doubtful: Collection[str] = ()) -> Held:
        """Build, and find the recordings.

        Args:
            doubtful: Names of packages that are to be compiled again, whatever Cargo thinks.

        Raises:
            CannotEnforceError: A build script was found that has no stub.
            BuildpermError: Another command is at work, or a file cannot be written.
        """
        with self.target.locked():
            stub = self.target.stub_text()
            self.target.write(self.session)
            try:
                units.forget(self.target.folder, doubtful)
                units.invalidate(self.target.folder, self.session, stub)
            except OSError as error:
                raise BuildpermError(
                    f"cannot remove `{error.filename}`: {error.strerror}",
                    hint="Run `cargo clean`.",
                ) from error
            finished = self._build.run()
            unguarded = units.unguarded(self.target.folder, stub)
            if unguarded:
                raise CannotEnforceError(
                    f"this Cargo builds scripts in a way that buildperm does not know: "
                    f"`{unguarded[0]}` has no stub, and may have run without one",
                    hint="Treat this machine as if the script had run with your rights.",
                )
            self._check_recordings(finished)
            among = finished.units if finished.is_complete else None
            found = units.recorded(self.target.folder, self.session, among=among)
        return Held(finished, tuple(found))

    def _messages(self) -> Messages | None:
        arguments = self.project.arguments
        if not arguments.can_report:
            return None
        keeps = bool(arguments.message_format)
        return Messages(partial(units.unit_of, self.target.folder), keeps=keeps)

    def _check_recordings(self, finished: Finished) -> None:
        """Make sure that it is known what each run did which took part.

        Raises:
            CannotEnforceError: A recording is missing or broken, though its script has ended.
        """
        lost = [] if finished.interrupted else units.lacking(self.session, finished.units)
        if lost:
            raise CannotEnforceError(
                f"what the build script in `{lost[0]}` did is not known: its recording is missing, "
                "broken, or not of this build",
                hint="Find out what else writes there; run the command again to record it anew.",
            )

    def interrupt(self) -> None:
        """End the build; see `Build.interrupt`."""
        self._build.interrupt()

    def other_session(self, policy: Policy, profile: Profile, name: str) -> Path:
        """Write a session for another policy or profile; return its file, for `cargo.rerun`.

        Raises:
            BuildpermError: It cannot be enforced, or not be written.
        """
        return self.target.write(self._session(policy, profile), name=name)

    def rerun(
        self,
        unit: Unit,
        session: Path,
        changes: Mapping[str, str | None] = MappingProxyType({}),
    ) -> Rerun:
        """Prepare to run one recorded script again; see `cargo.rerun`.

        Raises:
            BuildpermError: Its context does not fit any more.
        """
        name = "-".join(unit.folder.relative_to(self.target.folder).parts)
        scratch = self.target.folder / "buildperm-rerun" / name
        return Rerun(unit.folder, scratch, session, self.project.environment, changes)

    def _session(self, policy: Policy, profile: Profile) -> Session:
        project = self.project
        return sessions.make(
            project.metadata,
            project.lock,
            policy,
            project.toolchain,
            self.target,
            project.environment,
            profile=profile,
            rustc_wrapper=project.configuration.rustc_wrapper,
        )
