"""A build in which every script runs under a supervisor, from a project to its recordings."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from buildperm.cargo import compile_mode, compile_session, result_folder, root_choice, units
from buildperm.cargo import session_maker as sessions
from buildperm.cargo.cargo_process import CargoProcess, CargoResult
from buildperm.cargo.compile_units import CompileUnits
from buildperm.cargo.message_stream import MessageStream
from buildperm.cargo.rerun import Rerun
from buildperm.cargo.survey import Survey
from buildperm.cargo.target_directory import CompileFiles, TargetDirectory, open_target
from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.sandbox import compile_filter
from buildperm.sandbox.linux_requirement import require_linux
from buildperm.tracer import syscall_numbers
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from buildperm.cargo.compile_rights import CompileRights
    from buildperm.cargo.project import Project
    from buildperm.cargo.script_progress import Progress
    from buildperm.cargo.units import Unit
    from buildperm.policy.grants import Policy
    from buildperm.supervisor.session import Session

Profile = Literal["learning", "enforcing"]
Observation = Literal["full", "light"]
_FOLDERS: dict[Profile, Literal["learn", "ci"]] = {"learning": "learn", "enforcing": "ci"}


@dataclass(frozen=True, slots=True)
class SupervisedBuildResult:
    """How such a build went."""

    finished: CargoResult
    units: tuple[Unit, ...]  # The runs that took part, fresh ones too, with their recordings.
    uncompiled: tuple[tuple[bytes, str], ...] = ()  # Package folders, and crates for rustc.


class SupervisedBuild:
    """One build; `interrupt` may be called from anywhere while `run` blocks.

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
        observation: Observation = "full",
        target: TargetDirectory | None = None,
        command: str = "",
        is_cached: bool = False,
    ) -> None:
        """Make the session.

        Args:
            project: What is built.
            policy: What scripts may do.
            profile: Whether they are held to that, or learnt from.
            on_progress: Called as scripts start and end.
            on_output: Called with what Cargo says; None: it goes where it goes.
            observation: How much is recorded.
            target: Where builds are kept that no command has started.
            command: The one of buildperm that builds, for the recordings.
            is_cached: Results of scripts are looked for, and kept.

        Raises:
            BuildpermError: This machine cannot enforce the policy, or the target directory or the
                lock file cannot be used.
        """
        self.project = project
        self.target = target or open_target(project.metadata, _FOLDERS[profile])
        self.mode = compile_mode.choose(project, policy)
        self._command = command
        self.session = self._session(policy, profile, observation)
        if is_cached:
            self.session["cache"] = result_folder.described(
                policy.cache_store.keys if policy.cache_store else ()
            )
            chosen = sorted(encode(os.fsencode(name)) for name in project.configuration.chosen)
            self.session["cache"]["chosen"] = chosen
        self._compiling = compile_session.make(
            self.session, project, policy, self.mode, self.target
        )
        self._on_progress = on_progress
        self._on_output = on_output
        self._is_interrupted = False
        arguments = project.arguments
        keeps_going = arguments.keeps_going(project.toolchain.cargo_version)
        words = arguments.reporting(keeps_going=keeps_going)
        self._build = self._prepared(
            words,
            keeps_going=keeps_going,
            reports=arguments.can_report,
            has_input=profile == "enforcing" and arguments.runs_programs,
        )

    @property
    def compile_rights(self) -> CompileRights:
        """What compiling may read and run."""
        return self._compiling.rights

    def run(self, doubtful: Collection[str] = ()) -> SupervisedBuildResult:
        """Build, and find the recordings.

        Args:
            doubtful: Names of packages that are to be compiled again, whatever Cargo thinks.

        Raises:
            CannotEnforceError: A build script was found that has no stub, or it is not known what
                one did.
            BuildpermError: Another command is at work, or a file cannot be written.
        """
        require_linux()
        with self.target.locked():
            stub = self.target.stub_text()
            self.target.write(self.session, compiling=self._files())
            compiled = CompileUnits(
                self.target.folder,
                self.target.state,
                self.session,
                self._compiling,
                self.project.metadata,
            )
            try:
                units.forget(self.target.folder, doubtful)
                units.invalidate(self.target.folder, self.session, stub)
                compiled.invalidate()
            except OSError as error:
                raise BuildpermError(
                    f"cannot remove `{error.filename}`: {error.strerror}",
                    hint="Run `cargo clean`.",
                ) from error
            before = compiled.before()
            finished = self._build.run()
            self._check(finished, stub)
            root_choice.check_unchanged(self.session)
            finished, earlier = self._surveyed(finished)
            if earlier is not None:
                self._check(finished, stub)
                root_choice.check_unchanged(self.session)
            among = finished.units if finished.is_complete else None
            found = units.recorded(self.target.folder, self.session, among=among)
            found += units.recorded(self.target.folder, self.session, among=earlier or ())
            found += self._compilations(compiled, before, finished)
            uncompiled = tuple(sorted({*compiled.failed(before), *self._failed()}))
        return SupervisedBuildResult(finished, tuple(found), uncompiled)

    def _failed(self) -> set[tuple[bytes, str]]:
        """Return what the rustc wrapper has noted: compilations that failed and were not held."""
        known = {os.fsencode(each.folder) for each in self.project.metadata.packages.values()}
        try:
            words = self.target.failed.read_bytes().split(b"\0")
        except OSError:
            return set()
        pairs = zip(words[::2], words[1::2], strict=False)  # Behind the last one there is nothing.
        return {(folder, os.fsdecode(crate)) for folder, crate in pairs if folder in known}

    def _compilations(
        self,
        compiled: CompileUnits,
        before: Mapping[Path, tuple[int, int]],
        finished: CargoResult,
    ) -> list[Unit]:
        """Return the macros and compilations that took part."""
        try:
            # Tests have no messages of Cargo's beside them: then everything counts.
            is_told = finished.is_complete and finished.artifacts
            return compiled.recorded(before, finished.artifacts if is_told else None)
        except OSError as error:
            raise BuildpermError(
                f"cannot write `{error.filename}`: {error.strerror}",
                hint="Make room in the target directory.",
            ) from error

    def _prepared(
        self,
        words: Sequence[str],
        *,
        keeps_going: bool,
        reports: bool,
        is_heard: bool = True,
        has_input: bool = False,
    ) -> CargoProcess:
        """Prepare to run Cargo.

        `is_heard` says whether anybody wants to know what it says, `has_input` whether what it
        runs reads standard input. While learning, that is for the answers.
        """
        project = self.project
        keeps = bool(project.arguments.message_format)
        unit_of = partial(units.unit_of, self.target.folder)
        return CargoProcess(
            [str(project.toolchain.cargo), *words],
            project.folder,
            self.target.environment(
                project.toolchain,
                project.environment,
                rustc_wrapper=project.configuration.rustc_wrapper,
                rustdoc=self._rustdoc() if self.mode.programs else "",
            ),
            self.target.progress,
            on_progress=self._on_progress,
            on_output=self._on_output if is_heard else lambda _: None,
            messages=MessageStream(unit_of, keeps=keeps) if reports else None,
            keeps_going=keeps_going,
            serves=True,
            has_input=has_input,
        )

    def _surveyed(self, finished: CargoResult) -> tuple[CargoResult, set[Path] | None]:
        """Run Cargo again where it could not report what took part.

        Also return copies of recordings that were replaced meanwhile; None where no second run was
        needed.
        """
        arguments = self.project.arguments
        if finished.is_complete or finished.interrupted or not arguments.is_testing:
            return finished, None
        known = {unit.folder for unit in units.recorded(self.target.folder, self.session)}
        if finished.exit_code == 0 and known <= finished.ran:
            return replace(finished, is_complete=True), None

        def start(words: Sequence[str], keeps_going: bool) -> CargoProcess:
            self.target.forget_progress()
            self._build = self._prepared(
                words, keeps_going=keeps_going, reports=True, is_heard=keeps_going
            )
            if self._is_interrupted:
                self._build.interrupt()
            return self._build

        survey = Survey(self.target.folder, start)
        ran = units.recorded(self.target.folder, self.session, among=finished.ran)
        words = arguments.surveys(
            self.project.toolchain.cargo_version, fails=any(unit.status for unit in ran)
        )
        return survey.complete(finished, words), survey.earlier

    def _check(self, finished: CargoResult, stub: bytes) -> None:
        """Make sure that every script was held, and that it is known what each run did.

        Raises:
            CannotEnforceError: It is not so.
        """
        unguarded = units.without_stub(self.target.folder, stub)
        if unguarded:
            raise CannotEnforceError(
                f"this Cargo builds scripts in a way that buildperm does not know: "
                f"`{unguarded[0]}` has no stub, and may have run without one",
                hint="Treat this machine as if the script had run with your rights.",
            )
        if finished.interrupted:
            return
        if finished.unheld:
            crate, version = finished.unheld[0]
            raise CannotEnforceError(
                f"the build script of `{crate}` {version} could not be held to its grants, and was "
                "not run",
                hint="See what it said above, and `buildperm doctor`.",
            )
        lost = units.without_recording(self.session, finished.units)
        if lost or finished.overwritten:
            why = "missing, broken, or not of this build" if lost else "overwritten by another run"
            raise CannotEnforceError(
                f"what the build script in `{[*lost, *finished.overwritten][0]}` did is not known: "
                f"its recording is {why}",
                hint="Find out what else is at work there, and run the command again.",
            )

    def kept(self) -> tuple[Unit, ...]:
        """Return the last recordings of what ran here, under whatever grants; builds nothing."""
        target = self.target
        compiled = CompileUnits(
            target.folder, target.state, self.session, self._compiling, self.project.metadata
        )
        return (*units.kept(target.folder, self.session), *compiled.kept())

    def interrupt(self) -> None:
        """End the build; see `CargoProcess.interrupt`."""
        self._is_interrupted = True
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
        scratch = self.scratch(unit)
        return Rerun(unit.folder, scratch, session, self.project.environment, changes)

    def scratch(self, unit: Unit) -> Path:
        """Return the folder in which `rerun` runs a script again, with what it records there."""
        name = "-".join(unit.folder.relative_to(self.target.folder).parts)
        return self.target.folder / "buildperm-rerun" / name

    def _files(self) -> CompileFiles | None:
        """Return what holds compiling; None where nothing does."""
        programs, toolchain = self.mode.programs, self.project.toolchain
        if programs is None:
            return None
        return CompileFiles(
            os.fsencode(programs.launcher),
            self._compiling.text,
            compile_filter.build(
                os.uname().machine, syscall_numbers.table(), self.session["landlock_abi"]
            ),
            self._rustdoc(),
            str(toolchain.macro_server),
            (str(toolchain.rustc), str(toolchain.rustc.with_name("clippy-driver"))),
            toolchain.proxies(self.project.environment),
        )

    def _rustdoc(self) -> str:
        """Return the rustdoc that Cargo would call without buildperm."""
        named = self.project.configuration.rustdoc
        return named or str(self.project.toolchain.rustc.with_name("rustdoc"))

    def _session(
        self, policy: Policy, profile: Profile, observation: Observation = "full"
    ) -> Session:
        project = self.project
        made = sessions.make(
            project.metadata,
            project.lock,
            policy,
            project.toolchain,
            self.target,
            project.environment,
            profile=profile,
            rustc_wrapper=project.configuration.rustc_wrapper,
            compiling=self.mode.told(),
            observation=observation,
            command=self._command,
        )
        made["left_open"] = [*made.get("left_open", ()), *self.mode.why]
        return made
