"""What `status` says: whether plain Cargo is held in this folder, proven by trying."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from buildperm.cargo import (
    adopted_scripts,
    configuration,
    nearer_settings,
    neutral_query,
    standing_programs,
    standing_state,
    toolchain,
)
from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.tracer.notation import encode
from buildperm.workflow import ask_setting, editor_settings, root_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.cargo.standing_state import StandingState
    from buildperm.policy.grants import Policy

_CANARY = PurePath(configuration.__file__).with_name("standing-canary.rs")
_MANIFEST = """\
[package]
name = "buildperm-canary"
version = "0.0.0"
edition = "2021"
build = "build.rs"

[workspace]
"""
_TIMEOUT_S = 300
_IMAGES = (
    *("Dockerfile", "Containerfile", "compose.yaml", "docker-compose.yml", "Cross.toml"),
    *(".devcontainer/Dockerfile", ".devcontainer/devcontainer.json", ".devcontainer.json"),
)
_KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nbuildperm's canary\n-----END OPENSSH PRIVATE KEY-----\n"
)


@dataclass(frozen=True, slots=True)
class AlwaysOnStatus:
    """Whether plain Cargo is held in one folder."""

    wanted: str  # `on`, `baseline`, `warn` or `off`: what was switched on for it.
    lines: tuple[str, ...]  # What there is to say, in sentences.
    problems: tuple[str, ...]  # Why it is not in force as it was wanted.

    @property
    def is_well(self) -> bool:
        """Tell whether it is as it was wanted."""
        return not self.problems


def is_on() -> bool:
    """Tell whether it was switched on for anything."""
    return standing_state.read(standing_state.folder()).is_on


def status(folder: Path, *, tries: bool = True) -> AlwaysOnStatus:
    """Find out whether plain Cargo is held in `folder`.

    Args:
        folder: Where Cargo would be called.
        tries: Let a canary loose, through the Cargo that PATH leads to.

    Raises:
        BuildpermError: There is no tool chain, or a file is broken.
    """
    place = standing_state.folder()
    state = standing_state.read(place)
    neutral_query.refuse_toolchain(folder, os.environ, shutil.which("cargo") or "")
    root = _root(folder)
    enrolled = state.granting(root) if root is not None else state.enrolled(folder)
    wanted = (
        "on" if enrolled else {"leave": "off", "grants": "baseline"}.get(state.others, state.others)
    )
    if wanted in ("off", "warn"):
        said = "plain Cargo is not held here"
        return AlwaysOnStatus(wanted, (f"{said}; `buildperm enable` holds it",), ())
    cargo_home = toolchain.resolve(folder, os.environ).cargo_home
    lines = [
        f"held to the grants in {enrolled / 'Cargo.toml'}" if enrolled else "held to the baseline"
    ]
    found, by = configuration.effective_wrapper(folder, cargo_home, os.environ)
    wrapped = configuration.wrapped_by(found)
    if not Path(found).is_relative_to(place):  # Somebody else's may look like ours.
        wrapped = None
    problems = []
    if enrolled:
        try:
            policy = _policy(enrolled)
            lines.append(_asking(policy))
            if policy.root_digest:
                lines += root_report.standing(policy)
        except BuildpermError as error:
            problems.append(f"nothing is compiled here before this is mended: {error.args[0]}")
    if wrapped is None:
        problems.append(_outranked(state, found, by, cargo_home))
    if enrolled:
        lines += _of_editors(place, enrolled)
        lines += _of_containers(enrolled)
    if wrapped is not None and "RUSTC_WRAPPER" not in os.environ:
        lines.append("a workspace's `.cargo/config.toml` may outrank it, unless your shell sets:")
        lines.append(f"  export RUSTC_WRAPPER={shlex.quote(found)}")
    if wrapped is not None and not standing_programs.are_current(place, Path(found)):
        problems.append("enabled by an earlier buildperm: run `buildperm enable` once more")
    if wrapped:
        lines.append(f"calls `{wrapped}` in its turn")
    problems += _aliases(folder, cargo_home)
    problems += nearer_settings.unheld(folder, cargo_home, os.environ)
    problems += _unheld(place, state)
    if tries and wrapped is not None:
        tried = _tried(folder, place)
        (lines if tried.startswith("proven") else problems).append(tried)
    return AlwaysOnStatus(wanted, tuple(lines), tuple(problems))


def _of_editors(place: Path, enrolled: Path) -> Iterator[str]:
    """Say whether rust-analyzer is held: it has a server for macros of its own.

    All that are older than 2026, and with Rust before 1.89 newer ones, have a wrapper, too.
    """
    found = editor_settings.files()
    for path in found:
        if editor_settings.has(path, place):
            yield f"rust-analyzer is held in the editor of {path}"
        else:
            yield f"rust-analyzer is NOT HELD in the editor of {path}:"
            yield "  run `buildperm enable --editor vscode`, then restart it"
    for name in (".vscode/settings.json", "rust-analyzer.toml", ".rust-analyzer.toml"):
        try:
            content = (enrolled / name).read_bytes()
        except OSError:
            continue
        if any(word in content for word in (b"procMacro", b"useRustcWrapper", b"overrideCommand")):
            yield f"`{name}` of the workspace has a say in that: look at it"
    yield "rust-analyzer may run scripts and macros unheld in editors whose settings do not say:"
    yield from editor_settings.snippet("", place)[1:]


def _of_containers(enrolled: Path) -> Iterator[str]:
    """Say from what images are made in which Cargo has a home of its own."""
    found = []
    for name in _IMAGES:
        try:
            content = (enrolled / name).read_bytes()
        except OSError:
            continue
        if b"buildperm enable" not in content:
            found.append(f"`{name}`")
    if found:
        yield f"not held: containers of {', '.join(found)} (docs/always-on.md, `In a container`)"


def _policy(enrolled: Path) -> Policy:
    """Read what the Cargo.toml of an enrolled workspace says.

    Raises:
        BuildpermError: Its Cargo.toml is broken: then no build of it runs.
    """
    path = enrolled / "Cargo.toml"
    try:
        return manifest.read(path.read_bytes(), path)
    except OSError as error:
        raise BuildpermError(f"cannot read `{path}`: {error.strerror}") from error


def _asking(policy: Policy) -> str:
    """Say whether plain Cargo asks in an enrolled workspace."""
    try:
        found = ask_setting.of_workspace(policy, os.environ)
    except BuildpermError as error:  # The build goes on without: see `standing_preparation`.
        return f"asks nothing while it builds: {error.args[0]}"
    if found.timeout_s:
        return (
            "asks at a terminal about what a build script is refused, "
            f"{found.timeout_s} seconds for each question ({found.said_by})"
        )
    return f"asks nothing while it builds ({found.said_by})"


def _root(folder: Path) -> Path | None:
    command = ["cargo", "locate-project", "--workspace", "--message-format=plain"]
    try:
        asked = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = os.fsdecode(asked.stdout).rstrip("\n")
    return Path(said).resolve().parent if asked.returncode == 0 and said else None


def _outranked(state: StandingState, found: str, by: str, cargo_home: Path) -> str:
    if not by and str(cargo_home) not in {each.cargo_home for each in state.configurations}:
        return f"CARGO_HOME is {cargo_home}: run `buildperm enable` once with it"
    if not by:
        return f"Cargo's configuration in {cargo_home} does not name it: run `buildperm enable`"
    what = f"calls `{encode(os.fsencode(found))}` instead" if found else "calls no wrapper"
    return f"{by} outranks it, so that Cargo {what}: remove that, then run `buildperm enable`"


def _aliases(folder: Path, cargo_home: Path) -> Iterator[str]:
    """Say which aliases turn it off: they may bring a configuration along."""
    for name, words in configuration.alias_words(folder, cargo_home, os.environ).items():
        if "rustc-wrapper" in words or "RUSTC_WRAPPER" in words:
            yield f"the alias `{name}` names another wrapper: change it"


def _unheld(place: Path, state: StandingState) -> Iterator[str]:
    """Say where build scripts lie that would run unheld."""
    known = standing_state.noted_stubs(place)
    for target in map(Path, state.targets):
        found = adopted_scripts.without_stub(target, known) if target.is_dir() else []
        if found:
            yield (
                f"{len(found)} build scripts in {target} have no stub, `{found[0].name}` first: "
                "run `buildperm enable` again"
            )


def _tried(folder: Path, place: Path) -> str:
    """Let the canary loose through plain Cargo; return what came of it, in a sentence."""
    made = Path(tempfile.mkdtemp(prefix="buildperm-canary-")).resolve()
    try:
        try:
            standing_state.replace_text(place / "canary", os.fsencode(made / "crate"), 0o600)
        except OSError as error:
            raise BuildpermError(f"cannot write into `{place}`: {error.strerror}") from error
        with socket.create_server(("127.0.0.1", 0)) as server:
            _write_canary(made, server.getsockname()[1])
            return _judged(_run(made, folder), made)
    except OSError as error:
        raise BuildpermError(f"cannot try it in `{made}`: {error.strerror}") from error
    finally:
        (place / "canary").unlink(missing_ok=True)
        shutil.rmtree(made, ignore_errors=True)


def _write_canary(made: Path, port: int) -> None:
    key = made / ".ssh" / "id_rsa"
    key.parent.mkdir(mode=0o700)
    key.write_text(_KEY)
    crate = made / "crate"
    (crate / "src").mkdir(parents=True)
    (crate / "src" / "lib.rs").write_text("")
    (crate / "Cargo.toml").write_text(_MANIFEST)
    (crate / "build.rs").write_bytes(Path(_CANARY).read_bytes())
    (crate / "key").write_text(str(key))
    (crate / "address").write_text(f"127.0.0.1:{port}")


def _run(made: Path, folder: Path) -> str:
    """Build the canary as the user would, in `folder`; return what Cargo said."""
    command = ["cargo", "check", "--offline", "--manifest-path", str(made / "crate" / "Cargo.toml")]
    try:
        ran = subprocess.run(
            [*command, "--target-dir", str(made / "target")],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ran.stderr.decode("utf-8", "replace")


def _judged(said: str, made: Path) -> str:
    found = list((made / "target").glob("**/attempts"))
    if not found:
        lines = [line.strip() for line in said.split("\n") if line.strip()]
        ours = (line for line in lines if line.startswith(("buildperm: ", "error: ")))
        why = next(ours, lines[-1] if lines else "no reason")
        return f"not proven, as the canary could not be built: {why}"
    told = found[0].read_text()
    reached = [
        what
        for key, what in (("read true", "read a key"), ("connect true", "connect"))
        if key in told
    ]
    if reached or not told.endswith("end\n"):
        return f"NOT HELD: a build script could {' and '.join(reached) or 'not be followed'}"
    return "proven: a build script under plain Cargo could neither read a key nor connect"
