"""Prepares what one plain Cargo is held to: `standing_hold.py STATE PID [COMPILER CALL ...]`.

The first compiler call of a Cargo starts it, or the first build script that runs again, while
buildperm is always on. It finds out which workspace that Cargo builds, and leads it to a session:
see `cargo.standing_state`. What was found out before, and still is so, is found again quickly:
until then nothing is imported that takes long.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # Installed, this is buildperm/workflow/standing_hold.py; in a checkout buildperm/workflow is a
    # link. Where it was imported from counts, whatever else is installed.
    _own = Path(os.path.abspath(__file__)).parents[1]
    sys.path.insert(0, str(_own.parent if (_own / "__init__.py").exists() else _own))

from buildperm.cargo import cargo_invocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from buildperm.cargo.cargo_invocation import CargoInvocation
    from buildperm.cargo.project import Project
    from buildperm.cargo.toolchain import Toolchain
    from buildperm.policy.grants import Policy
    from buildperm.supervisor.session import Session

_CANNOT = 23
_SERVES = "serves"  # As `cargo.standing_build.SERVES`, which takes long to import.
_MOST_SESSIONS = 64
_MOST_LINKS = 64
_LAST_YEAR = 9999  # The day after its last one cannot be told.
_CONFIGURATION = (".cargo/config.toml", ".cargo/config")


def main(words: Sequence[str]) -> int:
    """Prepare, and say what is wrong; return what to exit with."""
    state, process, *call = words
    place = Path(state)
    invocation = cargo_invocation.look(int(process), place)
    if invocation is None:
        sys.stderr.write("buildperm: the Cargo that was to be held has ended\n")
        return _CANNOT
    spelt = _spelt_target(call, os.environ)
    # A project sets what it likes for compilers and scripts (`[env]`): where a cache is, and PATH.
    os.environ.clear()
    os.environ.update(invocation.environment)
    kept = place / "contexts" / f"{_digest((*invocation.lasting, spelt))}.json"
    found = _still_true(kept)
    if found is not None and Path(found.folder, "buildperm-rustc-wrapper").exists():
        found.tell(invocation)
        return 0
    from buildperm.errors import BuildpermError
    from buildperm.printable import log_text

    try:
        _prepare(place, invocation, spelt, kept)
    except BuildpermError as error:
        text = f"buildperm: this build cannot be held: {error}\n"
        text += "  `buildperm disable` switches it off; `buildperm status` says what is on.\n"
        sys.stderr.write(log_text(text))
        return _CANNOT
    return 0


def lead(invocation: CargoInvocation, folder: Path) -> None:
    """Have a running Cargo find `folder`, and a fork server for its macros, if it has any."""
    link = invocation.link
    server = link.with_name(f"{link.name}.server")
    if os.path.realpath(link) != str(folder):
        server.unlink(missing_ok=True)
        if (folder / _SERVES).exists():
            _start_server(invocation, folder, server)
    _link(link, folder)


def _link(link: Path, to: Path) -> None:
    new = link.with_name(f"{link.name}.{os.getpid()}")
    new.symlink_to(to)
    new.replace(link)


def _start_server(invocation: CargoInvocation, folder: Path, told: Path) -> None:
    """Start a fork server that ends with Cargo. Where there can be none, launchers do without."""
    import subprocess
    import tempfile

    from buildperm.cargo.fork_server_client import MEMORY
    from buildperm.sandbox.stub import SUPERVISOR

    try:
        its = tempfile.mkdtemp(prefix="buildperm-", dir=MEMORY)
        session = str(folder / "buildperm-session")
        subprocess.Popen(
            [sys.executable, "-IS", SUPERVISOR, "--serve", its, session, "alone"],
            env=dict(invocation.environment),
            stdin=os.pidfd_open(invocation.process),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        told.touch(mode=0o600)
        told.write_text(f"{its}\n")
    except OSError:
        told.unlink(missing_ok=True)


def _digest(parts: Iterable[str]) -> str:
    import hashlib

    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]


class _KnownContext:
    """What was found out about a Cargo, for the next one with the same words."""

    def __init__(self, folder: str, said: Sequence[str]) -> None:
        self.folder = folder
        self.said = said

    def tell(self, invocation: CargoInvocation) -> None:
        """Lead a Cargo there, and say what there is to say about that."""
        for line in () if os.path.lexists(invocation.link) else self.said:
            invocation.say(line)
        lead(invocation, Path(self.folder))


def _still_true(kept: Path) -> _KnownContext | None:
    """Return what was found out for the same words, if nothing has changed since."""
    try:
        document = json.loads(kept.read_bytes())
        inputs: dict[str, list[int] | None] = document["inputs"]
        found = _KnownContext(str(document["folder"]), [str(each) for each in document["said"]])
        made, until = int(document["made"]), int(document["until"])
        is_true = all(_identity(path) == told for path, told in inputs.items())
        is_true = is_true and made <= time.time() < until
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return found if is_true else None


def _identity(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]


def _spelt_target(call: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the target directory as Cargo spells it, from where an output goes; empty if unknown.

    OUT/[TRIPLE/]PROFILE/{deps,examples,build/…}, and OUT/[TRIPLE/]doc: see `cargo.units`.
    """
    if not call:  # For a build script.
        out, triple = environment.get("OUT_DIR", ""), environment.get("TARGET", "")
    else:
        out, triple = _option(call, "--out-dir"), _option(call, "--target")
    if not out.startswith("/"):
        return ""
    parts = out.rstrip("/").split("/")
    if parts[-1] in ("deps", "examples"):
        parts = parts[:-2]
    elif parts[-1] == "doc":
        parts = parts[:-1]
    elif "build" in parts[-4:]:
        at = max(n for n, part in enumerate(parts[:-1]) if part == "build")
        is_unit = parts[-1] == "out" and len(parts) >= 4 and parts[-4] == "build"  # From 1.100 on.
        parts = parts[: len(parts) - 4 if is_unit else at][:-1]
    else:
        return ""
    names = {triple, os.path.basename(triple).removesuffix(".json")} - {""}
    return "/".join(parts[:-1] if parts[-1] in names else parts)


def _option(call: Sequence[str], name: str) -> str:
    for at, word in enumerate(call):
        if word == name:
            return call[at + 1] if at + 1 < len(call) else ""
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word.startswith("@") and at <= 3:  # Cargo writes one argument a line.
            try:
                lines = Path(word[1:]).read_text("utf-8", "surrogateescape").split("\n")
            except OSError:
                continue
            return _option(lines, name)
    return ""


def _prepare(place: Path, invocation: CargoInvocation, spelt: str, kept: Path) -> None:
    from buildperm.cargo import standing_state

    with standing_state.locked(place):
        found = _still_true(kept)  # Another call of the same Cargo was quicker.
        if found is None:
            preparation = _Preparation(place, invocation, spelt)
            found = _KnownContext(str(preparation.folder()), preparation.said)
            document = {
                "folder": found.folder,
                "said": found.said,
                "inputs": preparation.inputs(),
                "made": preparation.made,
                "until": preparation.until,
            }
            standing_state.replace_text(kept, json.dumps(document).encode(), 0o600)
            _tidy(place)
        found.tell(invocation)


class _Preparation:
    """Finds out what a Cargo builds, and to what that is held."""

    def __init__(self, place: Path, invocation: CargoInvocation, spelt: str) -> None:
        from buildperm.cargo import arguments, standing_state

        self._place = place
        self._invocation = invocation
        self._spelt = spelt
        self._environment = invocation.environment
        self._state = standing_state.read(place)
        self._words = arguments.observed(invocation.words)
        self._folder = invocation.folder / self._words.folder
        self._inputs = {place / "on.json"}
        self.made = int(time.time())
        self.until = 1 << 62  # When somebody's grants end, or begin.
        self.said: list[str] = []  # What each Cargo with the same words is to say.

    def inputs(self) -> dict[str, list[int] | None]:
        """Return what the answer depends on, as it is now."""
        import buildperm

        paths = {*self._inputs, Path(buildperm.__file__)}
        for folder in (self._folder, *self._folder.parents):
            paths |= {folder / each for each in (*_CONFIGURATION, "Cargo.toml")}
            paths |= {folder / each for each in ("rust-toolchain", "rust-toolchain.toml")}
        return {str(path): _identity(str(path)) for path in sorted(paths)}

    def folder(self) -> Path:
        """Return where this Cargo is to be led.

        Raises:
            BuildpermError: It cannot be held.
        """
        from buildperm.cargo import toolchain

        unheld = self._place / "unheld"
        if not self._state.is_on:
            return unheld
        tools = toolchain.resolve(self._folder, self._environment)
        root = None if self._words.is_elsewhere else self._root(tools)
        enrolled = self._enrolled(root)
        if root is not None and self._is_canary(root):
            return self._held(tools, root, None)
        if enrolled is None and self._state.others != "baseline":
            if self._state.others == "warn":
                self._say(f"`{root or self._folder}` is not enrolled: nothing of it is held")
            return unheld
        return self._held(tools, root, enrolled)

    def _say(self, text: str) -> None:
        from buildperm.printable import log_text

        self.said.append(log_text(f"buildperm: {text}\n"))

    def _manifest(self) -> Path | None:
        named = self._words.manifest_path
        return self._folder / named if named else None

    def _root(self, tools: Toolchain) -> Path | None:
        """Ask Cargo for the root of the workspace; None where there is none."""
        import subprocess

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
        return None

    def _is_canary(self, root: Path) -> bool:
        """Tell whether `status` has made this workspace, to see whether it is held."""
        try:
            return os.fsencode(root) == (self._place / "canary").read_bytes()
        except OSError:
            return False

    def _held(self, tools: Toolchain, root: Path | None, enrolled: Path | None) -> Path:
        from buildperm.cargo import adopted_scripts, standing_build, standing_state
        from buildperm.cargo.target_directory import TargetDirectory
        from buildperm.printable import log_text

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
            project, policy, directory, spelt=self._spelt or str(target)
        )
        self._inputs |= {*programs}
        stub = directory.stub_text()
        adopted_scripts.adopt(target, stub, standing_state.note_stub(self._place, stub))
        adopted_scripts.attribute_macros(directory, project.metadata)
        # Whoever builds without us in between, or brings along what is built, changes these.
        self._inputs |= adopted_scripts.folders(target)
        standing_state.add_target(self._place, target)
        if enrolled is not None and root == enrolled:
            self._tell_changes(root, session)
            _link(standing_state.macro_server(self._place, root), directory.macro_server)
        return store

    def _look_at_clock(self, policy: Policy, project: Project, tools: Toolchain) -> None:
        """Say which packages are too young, and find out until when the answer holds."""
        from datetime import UTC, datetime, timedelta

        from buildperm.cargo.grant_keys import GrantKeys, places

        for grants in policy.crates.values():
            if grants.expires is not None and grants.expires.year < _LAST_YEAR:
                over = datetime(*grants.expires.timetuple()[:3], tzinfo=UTC) + timedelta(days=1)
                self.until = min(self.until, max(int(over.timestamp()), self.made + 1))
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
        self.until = max(min([self.until, *ends]), self.made + 1)

    def _granted(self, enrolled: Path) -> Policy:
        from buildperm.errors import BuildpermError
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
        from buildperm.errors import BuildpermError

        words = self._words
        configured = configuration.read(
            self._folder, tools.cargo_home, self._environment, words.configuration
        )
        target = Path(os.path.realpath(self._spelt or self._folder / "target"))
        described, locked = standing_build.nothing_known(root or target, target)
        if root is not None:
            flags = [each for each in words.metadata if each not in ("--locked", "--frozen")]
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
        from buildperm.printable import log_text

        said = standing_changes.told(self._place, root, session)
        if said:  # Once.
            self._invocation.say(log_text(f"buildperm: {said}\n"))


def _tidy(place: Path) -> None:
    """Remove what belongs to no Cargo that runs, and sessions that were not used for long."""
    import shutil

    links = list((place / "run").iterdir())
    if len(links) > _MOST_LINKS:
        for link in links:
            if not Path("/proc", link.name.partition("-")[0]).exists():
                if link.name.endswith(".server"):  # It has removed that itself, unless killed.
                    shutil.rmtree(link.read_text().strip() or "/nowhere", ignore_errors=True)
                link.unlink(missing_ok=True)
    stores = sorted((place / "sessions").iterdir(), key=lambda each: each.stat().st_mtime_ns)
    used = {os.path.realpath(link) for link in (place / "run").iterdir() if link.is_symlink()}
    for store in stores[:-_MOST_SESSIONS]:
        if str(store) not in used:
            shutil.rmtree(store, ignore_errors=True)
            (place / "contexts" / f"{store.name}.json").unlink(missing_ok=True)


if __name__ == "__main__":
    _status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(_status)
