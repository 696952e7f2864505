"""Proves on a harmless child that what it does is seen and that what it may not do is refused.

Done before the first build script of a run starts, with the same supervisor, the same filter and
the same rules, so that a machine where one of them silently does nothing is found out.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm import __version__
from buildperm.errors import CannotEnforceError
from buildperm.sandbox import stub
from buildperm.sandbox.machine import ProbeResults, probe
from buildperm.sandbox.portable_runtime import portable
from buildperm.sandbox.runtime import Runtime, RuntimeSetup
from buildperm.supervisor import session
from buildperm.tracer.notation import encode

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from buildperm.supervisor.session import Session

_TIMEOUT_S = 60
_TRIES, _PAUSE_S = 1_000, 0.01
_PYTHON = os.path.realpath(sys.executable)  # Not a virtual environment's link to it.
_BOTH_REFUSED, _READ, _CONNECTED, _SEEN = 0, 3, 4, 5

_CHILD = f"""\
import os, socket, sys
try:
    os.close(os.open(os.environ["DEP_CANARY"], os.O_RDONLY))
    sys.exit({_READ})
except (PermissionError, FileNotFoundError):
    pass
if "DEP_HIDES" in os.environ and os.path.lexists(os.environ["DEP_CANARY"]):
    sys.exit({_SEEN})
client = socket.socket()
try:
    client.connect(("127.0.0.1", int(os.environ["DEP_PORT"])))
    sys.exit({_CONNECTED})
except OSError:
    pass
"""
_HINT = "Do not build untrusted crates on this machine; it needs Linux 5.13, Landlock and ptrace."


def check(chosen: Runtime | None = None, scratch: Path | None = None) -> ProbeResults:
    """Prove that `chosen` holds a child on this machine, and return what the machine can do.

    Args:
        chosen: By default `portable`.
        scratch: A folder in which programs may be run; by default the one for temporary files.

    Raises:
        CannotEnforceError: It does not, or what it needs is missing.
    """
    return SelfTest(chosen, scratch).result()


class SelfTest:
    """The same, while the command goes on preparing; nothing may run before there is a result."""

    def __init__(self, chosen: Runtime | None = None, scratch: Path | None = None) -> None:
        """Begin.

        Raises:
            CannotEnforceError: What it needs is missing.
        """
        self._chosen = chosen or portable
        self._prepared = self._chosen.prepare()
        self._scratch = scratch
        self._failure: Exception | None = None
        self._has_passed = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def result(self) -> ProbeResults:
        """Wait for its end, and return what the machine can do.

        Raises:
            CannotEnforceError: The child was not held.
        """
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        if not self._has_passed:
            raise CannotEnforceError("the self-test did not come to its end", hint=_HINT)
        return probe()

    def _run(self) -> None:
        try:
            self._prove()
            self._has_passed = True
        except Exception as error:
            self._failure = error

    def _prove(self) -> None:
        chosen, prepared = self._chosen, self._prepared
        folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="buildperm-", dir=self._scratch)))
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                ended, recording = _run_child(folder, prepared, server.getsockname()[1])
                server.settimeout(0)
                try:
                    server.accept()[0].close()
                    has_guest = True
                except BlockingIOError:
                    has_guest = False
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotEnforceError(
                f"the self-test could not be run: {error}", hint=_HINT
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        canary = encode(os.fsencode(folder / "canary"))
        reason = _why_not(ended, recording, canary, has_guest=has_guest)
        if reason:
            raise CannotEnforceError(
                f"the runtime `{chosen.name}` does not hold a test program here: {reason}",
                hint=_HINT,
            )


def _why_not(
    ended: subprocess.CompletedProcess[bytes],
    recording: list[dict[str, Any]],
    canary: str,
    *,
    has_guest: bool,
) -> str:
    if ended.returncode == _READ:
        return "it read a file that it was not granted (Landlock)"
    if ended.returncode == _SEEN:
        return "it saw a file that it was not granted (bubblewrap)"
    if ended.returncode == _CONNECTED or has_guest:
        return "it connected to a port (seccomp)"
    if ended.returncode != _BOTH_REFUSED:
        talk = ended.stderr.decode(errors="replace").strip()
        return f"it ended with status {ended.returncode}: {talk or 'nothing was said'}"
    opened = [line for line in recording if line.get("path") == canary]
    if not any(line["type"] == "opened" and line.get("refused") for line in opened):
        return "the recorder did not see that it was refused a file (ptrace)"
    if not any(line["type"] == "socket" and line.get("refused") for line in recording):
        return "the recorder did not see that it was refused a connection (ptrace)"
    return ""


def _make_program(path: Path, content: bytes) -> None:
    """Write a program, and wait until it can be executed.

    What another thread of ours starts meanwhile has a copy of our descriptor until it executes
    something, and as long nobody can execute the file: execve(2), ETXTBSY. A lease for reading can
    be had once no process has the file open for writing: fcntl(2), F_SETLEASE.
    """
    path.write_bytes(content)
    path.chmod(0o700)
    with path.open("rb") as file:
        for _ in range(_TRIES):
            try:
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            except BlockingIOError:
                time.sleep(_PAUSE_S)
            except OSError:
                return  # A file system without leases.
            else:
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
                return


def _run_child(
    folder: Path, prepared: RuntimeSetup, port: int
) -> tuple[subprocess.CompletedProcess[bytes], list[dict[str, Any]]]:
    """Run the child under its stub in `folder`; how it ended, and its recording."""
    package, out_dir = folder / "package", folder / "unit/out"
    package.mkdir()
    out_dir.mkdir(parents=True)
    (folder / "canary").write_text("canary")
    _make_program(folder / "child", os.fsencode(f"#!{_PYTHON} -IS\n{_CHILD}"))
    _make_program(folder / "stub", stub.stub(os.fsencode(folder / "none")) + b"# real: child\n")
    (folder / "session").write_bytes(session.dump(bare_session(folder, package, prepared)))
    variables = {
        "PATH": os.defpath,
        "CARGO_MANIFEST_DIR": str(package),
        "OUT_DIR": str(out_dir),
        "BUILDPERM_SESSION": str(folder / "session"),
        "DEP_CANARY": str(folder / "canary"),
        "DEP_PORT": str(port),
        **({"DEP_HIDES": "1"} if prepared.mounts else {}),
    }
    ended = subprocess.run(
        [folder / "stub"],
        cwd=package,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    path = folder / "unit/buildperm/recording.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return ended, [json.loads(line) for line in lines]


def bare_session(folder: Path, package: Path, prepared: RuntimeSetup) -> Session:
    """Return a session with one package that is granted nothing."""
    # The child is a Python program: for it Python's folder takes the place of the Rust toolchain.
    python = os.fsencode(os.path.realpath(sys.base_prefix))
    only = session.ungranted()
    only["crate"] = only["id"] = only["name"] = "self-test"
    only["version"] = __version__
    return {
        "version": session.VERSION,
        "python": sys.hexversion,
        "buildperm": __version__,
        "profile": "enforcing",
        "runtime": prepared.runtime,
        "sandbox_wrapper": list(prepared.wrapper),
        "mounts": prepared.mounts,
        "left_open": list(prepared.left_open),
        "starter": prepared.starter,
        "room": prepared.room,
        "landlock_abi": prepared.landlock_abi,
        "kernel": prepared.kernel,
        "filter": prepared.filter,
        "calls": prepared.calls,
        "places": {
            "WORKSPACE": os.fsencode(package),
            "TARGET_DIR": os.fsencode(folder / "unit"),
            "CARGO_HOME": os.fsencode(folder),
            "SYSROOT": python,
            "HOME": os.fsencode(folder / "home"),
        },
        "path": os.fsencode(os.defpath),
        "found": {"$SYSROOT/lib/rustlib/**": [(python, True)]},
        "rustc_wrapper": os.fsencode(_PYTHON),
        "progress": b"",
        "packages": {os.fsencode(package): only},
        "limits": {},
    }
