"""`buildperm demo`: the bundled workspace, built without buildperm and with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import click

from buildperm.cargo import toolchain
from buildperm.errors import ExitCode
from buildperm.tracer.notation import encode

_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted by buildperm demo, opens nothing\n"
_CREDENTIALS = "[default]\naws_secret_access_key = planted-by-buildperm-demo\n"
_TOKEN = "planted-token-that-opens-nothing"  # noqa: S105 - a fake one, for a fake thief
_MARK = "left-padding-was-here.txt"


class _Thief:
    """The other end of the connection that the misbehaving crate makes: a port of this machine."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._received: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                loot = bytearray()
                try:
                    while len(loot) < 65536 and (piece := connection.recv(4096)):
                        loot += piece
                except OSError:
                    pass  # What came until then is all there is.
                self._received.append(bytes(loot))

    def take(self) -> list[bytes]:
        """Return what has been received since the last call."""
        received, self._received = self._received, []
        return received

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


@click.command("demo")
@click.option("--no-tui", is_flag=True, help="Decide with plain text instead of the screens.")
@click.option("--keep", is_flag=True, help="Keep the demo's folder and say where it is.")
def command(*, no_tui: bool, keep: bool) -> int:
    """See it at work: a bundled workspace with one crate that misbehaves.

    Builds a copy of it in a temporary folder: first with plain cargo, then with `buildperm learn`,
    then with `buildperm ci`. Works offline with nothing but cargo and a C compiler, and changes
    nothing of yours outside that folder: the keys that get stolen are planted for the purpose.
    """
    folder = Path(tempfile.mkdtemp(prefix="buildperm-demo-"))
    thief = _Thief()
    try:
        return _play(folder, thief, tui=not no_tui and _has_terminal())
    finally:
        thief.close()
        if keep:
            click.echo(f"The demo's folder is kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _play(folder: Path, thief: _Thief, *, tui: bool) -> int:
    workspace = folder / "workspace"
    with resources.as_file(resources.files("buildperm") / "examples") as examples:
        ignored = shutil.ignore_patterns("target", "__pycache__")
        shutil.copytree(examples, workspace, ignore=ignored)
    environment = _environment(folder, workspace, thief)
    _make_repository(workspace, environment)

    _heading("1  Without buildperm", "cargo build --offline")
    click.echo("A workspace of six crates, five with a build script. Four of these do honest work;")
    click.echo("the one of left-padding steals.\n")
    plain = _run(["cargo", "build", "--offline", "--quiet"], workspace, environment)
    if plain != 0:
        click.echo("The example does not build here; its messages above say why.", err=True)
        return plain
    _tell_damage(workspace, thief)
    (workspace / _MARK).unlink(missing_ok=True)

    words = ["learn"] if tui else ["learn", "--no-tui", "--accept", "medium"]
    _heading("2  Learn what the build scripts do, and decide", f"buildperm {' '.join(words)}")
    click.echo("The same build, each script recorded in a sandbox. What stays within bounds needs")
    click.echo("no decision; the rest is put to you.")
    if not tui:
        click.echo("Here, without a person: whatever is of low or medium risk is allowed.")
    click.echo("")
    learned = _buildperm([*words, "--", "check", "--offline", "--quiet"], workspace, environment)
    if learned not in (ExitCode.OK, ExitCode.UNDECIDED):
        return learned

    _heading("3  Hold the build to it, as CI would", "buildperm ci")
    held = _buildperm(
        ["ci", "--", "build", "--offline", "--quiet", "--keep-going"], workspace, environment
    )
    _tell_damage(workspace, thief)
    click.echo(f"Exit code {held}: ", nl=False)
    if held == ExitCode.REFUSED:
        click.echo(
            "somebody tried what was not granted, so CI fails and says who. The rest builds."
        )
        click.echo("Next: `buildperm learn` in a Cargo workspace of your own.")
        return ExitCode.OK
    if held == ExitCode.OK:
        click.echo("everything that was tried is granted or denied for good.")
        return ExitCode.OK
    click.echo("the build could not be held.", err=True)
    return held


def _environment(folder: Path, workspace: Path, thief: _Thief) -> dict[str, str]:
    """Plant a home, a token and the address of the thief; keep the real tool chain."""
    home = folder / "home"
    for name, content in ((".ssh/id_ed25519", _KEY), (".aws/credentials", _CREDENTIALS)):
        secret = home / name
        secret.parent.mkdir(parents=True, mode=0o700)
        secret.write_text(content, encoding="utf-8")
        secret.chmod(0o600)
    rust = toolchain.resolve(workspace, os.environ)
    environment = rust.environment(os.environ)
    # A fresh CARGO_HOME would do as well; the real one keeps the user's own settings out of sight.
    for name in ("CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "RUSTC_WRAPPER"):
        environment.pop(name, None)
    environment |= {
        "HOME": str(home),
        "CARGO_HOME": str(folder / "cargo-home"),
        "DEMO_HOME": str(home),
        "DEMO_PORT": str(thief.port),
        "DEMO_API_TOKEN": _TOKEN,
        "RELEASE_CHANNEL": "demo",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    (folder / "cargo-home").mkdir()
    return environment


def _make_repository(workspace: Path, environment: Mapping[str, str]) -> None:
    """Make a commit for the version stamp to find; without git the stamp does without."""
    if shutil.which("git") is None:
        return
    identity = ["-c", "user.name=demo", "-c", "user.email=demo@localhost"]
    for words in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*identity, "commit", "--quiet", "--message", "The demo"],
    ):
        subprocess.run(["git", *words], cwd=workspace, env=environment, check=False)


def _tell_damage(workspace: Path, thief: _Thief) -> None:
    """Say what the misbehaving crate has got away with since the last time."""
    loot = [piece for piece in thief.take() if piece]
    for piece in loot:
        click.secho(f"STOLEN: {len(piece)} bytes arrived on 127.0.0.1:{thief.port}:", fg="red")
        for line in piece.splitlines():
            click.echo(f"    {encode(line)}")
    if (workspace / _MARK).exists():
        click.secho(f"WRITTEN: {_MARK} in the workspace, by a build script", fg="red")
    if not loot and not (workspace / _MARK).exists():
        click.secho("Nothing was stolen, nothing was written outside OUT_DIR.", fg="green")


def _heading(title: str, words: str) -> None:
    click.echo("")
    click.secho(f"{title}   $ {words}", bold=True)
    click.echo("")


def _buildperm(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    return _run([sys.executable, "-m", "buildperm", *words], folder, environment)


def _run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    sys.stdout.flush()
    return subprocess.run(words, cwd=folder, env=environment, check=False).returncode


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
