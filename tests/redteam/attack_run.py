"""A workspace full of hostile crates in a made-up home, built by real cargo: three times.

Each state has a workspace of its own, as attacks that succeed leave little as it was.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from buildperm.sandbox.runtime import runtimes
from tests.bench import OTHER_UID, SYSTEM_PYTHON, wait_until
from tests.redteam.attack_targets import SENT, Processes, Servers, Terminal

CRATES = Path(__file__).with_name("crates")
REPOSITORY = Path(__file__).parents[2]
PREFIX = "REDTEAM-SECRET-"
PLANTED = b"REDTEAM-PLANTED"
WITHOUT = "without"

_TIMEOUT_S = 240
_REFUSED = 20  # What `buildperm ci` exits with.
PATH = "/usr/local/bin:/usr/bin:/bin"
_BOMB, _MOST_PROCESSES = 120, 60
_ALONE = (  # Build scripts of their own, with what their Cargo.toml says beyond its name.
    ("setuid-bit", ""),
    ("exec-only", ""),
    ("deep-folder", ""),
    ("fork-bomb", ""),
    ("escapes", ""),
    ("env-preload", ""),
    ("env-path", ""),
    ("link-arg", ""),
    ("link-search", ""),
    ("out-dir-link", ""),
    ("once", ""),
    ("creeping", ""),
    ("lure", 'links = "lure"\n'),
    ("lured", "[dependencies]\nlure = { path = '../lure' }\n"),
    ("swapper", 'links = "swap"\n'),
    ("swapped", "[dependencies]\nswapper = { path = '../swapper' }\n"),
    ("neighbour", 'links = "neighbour"\n'),
    ("attacker", "[dependencies]\nneighbour = { path = '../neighbour' }\n"),
)
_LINKING = ("env-path", "link-arg", "link-search")
"""Packages with a program of their own, so that something is linked."""

_SECRETS = (  # Below the home folder.
    ".cargo/credentials.toml",
    ".ssh/id_ed25519",
    ".aws/credentials",
    ".netrc",
    ".gnupg/private-keys-v1.d/key",
    ".mozilla/firefox/x.default/logins.json",
    "Documents/letter.txt",
    "movable/hard",
    "movable/file",
    "movable/folder/inside",
)
_FILES = (  # Of the user's, below the home folder.
    ".bashrc",
    ".cargo/.package-cache",
    ".cargo/registry/src/index/other-1.0.0/src/lib.rs",
    ".cargo/bin/rustc",
    ".local/bin/tool",
    ".local/lib/buildperm/supervisor.py",
    ".cache/ccache/0/entry",
    ".config/systemd/user/other.service",
    ".config/autostart/other.desktop",
    "meta/mode",
    "meta/owner",
    "meta/attribute",
)
_WORKSPACE_FILES = (
    ".git/hooks/pre-commit.sample",
    ".vscode/settings.json",
    "Makefile",
    "creep/other",
    "gen/table.txt",
    "notes/opened",
    "notes/truncated",
    "notes/removed",
    "notes/dated",
    "notes/flooded",
    "notes/kept (deleted)",
    'x"]\n[workspace.evil]\nx = 1\n#',
    "\x1b]0;owned\x07\u202ex",
    os.fsdecode(b"bytes-\xff\xfe"),
)


@dataclass(slots=True)
class Measured:
    """What came of one state: what the attackers say, and what is seen from outside."""

    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)  # By attack: word, detail.
    effects: dict[str, bool] = field(default_factory=dict)  # By attack; not each of them has any.
    accesses: list[tuple[str, str, str]] = field(default_factory=list)  # Kind, target, outcome.
    failures: dict[str, str] = field(default_factory=dict)  # By crate, as buildperm reports them.
    leaks: list[str] = field(default_factory=list)  # Where secrets were found.
    secret: str = ""
    exit: int = 0
    said: str = ""
    patch: str = ""
    counts: dict[str, int] = field(default_factory=dict)  # By `kind target`.

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Measured:
        raw = json.loads(text)
        raw["outcomes"] = {each: (word, said) for each, (word, said) in raw["outcomes"].items()}
        raw["accesses"] = [(kind, target, word) for kind, target, word in raw["accesses"]]
        return cls(**raw)


class AttackRun:
    """One workspace and one home, with everything that attacks aim at around them."""

    def __init__(self, top: Path, uid: int, toolchain: Path, state: str) -> None:
        """Plant everything.

        Args:
            top: An empty folder.
            uid: Who builds.
            toolchain: Of Rust, readable for that user.
            state: `without`, or the runtime that is required.
        """
        self.top, self.uid, self.toolchain, self.state = top, uid, toolchain, state
        self.mark = secrets.token_hex(8)
        self.secret = PREFIX + secrets.token_hex(12)
        self.home, self.above = top / "home/u", top / "projects"
        self.workspace, self.effects = self.above / "ws", top / "effects"
        for folder in (self.home, self.workspace, self.effects):
            folder.mkdir(parents=True)
        for name in _SECRETS:
            _write(self.home / name, self.secret)
        for name in _FILES:
            _write(self.home / name, "# as it was\n")
        for name in _WORKSPACE_FILES:
            _write(self.workspace / name, "# as it was\n")
        self.victim = 0
        self._plant_tools()
        self._write_workspace()

    def measure(self) -> Measured:
        """Build, and see what came of it."""
        (self.home / ".docker/run").mkdir(parents=True)
        if os.getuid() == 0 and self.uid:
            subprocess.run(["chown", "-R", f"{self.uid}:{self.uid}", str(self.top)], check=True)
        self._plant_programs()
        sockets = self.top / "run"
        sockets.mkdir()
        sockets.chmod(0o755)
        servers = Servers(sockets, self.home / ".ssh/id_ed25519", self.mark)
        # The name by which the sensitive tier knows it; a path that long may not fit an address.
        os.rename(sockets / "docker.sock", self.home / ".docker/run/docker.sock")
        processes = Processes(
            self.as_user(), str(SYSTEM_PYTHON), self.effects, self.secret, self.mark
        )
        self.victim = processes.victim
        terminal = Terminal(self.uid)
        found = Measured(secret=self.secret)
        inherited = os.open(self.home / ".ssh/id_ed25519", os.O_RDONLY)
        try:
            self._write_plans(servers, processes, terminal, inherited)
            self._build(found, terminal, inherited)
            self._read_outcomes(found)
            self._look(found, processes, terminal)
        finally:
            os.close(inherited)
            terminal.close()
            written = processes.close()
            servers.close()
            for folder in ("/tmp", "/dev/shm"):
                Path(folder, f"redteam-{self.mark}").unlink(missing_ok=True)
        found.effects["proc-mem-write"], found.effects["process-vm-writev"] = written
        for name in (
            *("tcp", "udp", "dns", "tcp-fast-open", "mptcp", "docker-socket", "ssh-agent"),
            *("session-bus", "name-service", "abstract-socket", "unix-datagram"),
        ):
            found.effects[name] = SENT + name.encode() in servers.got
        self._find_leaks(found)
        return found

    def as_user(self) -> list[str]:
        """Return the words that make a command run as the user of this run."""
        if os.getuid() != 0 or not self.uid:
            return []
        ids = ["--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups"]
        return ["setpriv", *ids]

    def _plant_tools(self) -> None:
        """Make the library and the compiler that directives bring into the build."""
        evil = self.home / "evil"
        evil.mkdir()
        source = evil / "preload.c"
        source.write_text(
            "#include <fcntl.h>\n__attribute__((constructor)) static void f(void)\n"
            f'{{ creat("{self.effects}/env-preload", 0600); }}\n'
        )
        subprocess.run(["cc", "-shared", "-o", evil / "preload.so", source], check=True)
        for name, tools in (("env-path", ["cc"]), ("link-arg", ["collect2", "ld", "ld.lld"])):
            for tool in tools:
                program = evil / name / tool
                # What it stands in for fails: that it was run at all is enough.
                _write(program, f"#!/bin/sh\n: > '{self.effects}/{name}'\nexit 1\n")
                program.chmod(0o755)
        (evil / "lib").mkdir()
        library = evil / "lib/libredteam.so"
        (evil / "empty.c").write_text("int redteam;\n")
        subprocess.run(["cc", "-shared", "-o", library, evil / "empty.c"], check=True)

    def _plant_programs(self) -> None:
        """Make programs with special modes, which changing the owner would take away."""
        for name, mode in (("setuid", 0o4755), ("exec-only", 0o111)):
            shutil.copy("/usr/bin/id", self.top / name)
            (self.top / name).chmod(mode)

    def _write_workspace(self) -> None:
        shutil.copytree(CRATES / "arms", self.workspace / "arms")
        for name, more in _ALONE:
            folder = self.workspace / name
            _write(
                folder / "Cargo.toml",
                f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{more}'
                "[build-dependencies]\narms = { path = '../arms' }\n",
            )
            _write(folder / "build.rs", "fn main() {\n    arms::main();\n}\n")
            source = ""
            if name == "out-dir-link":
                source = (
                    "pub static TEXT: &str = "
                    'include_str!(concat!(env!("OUT_DIR"), "/generated.txt"));\n'
                )
            _write(folder / "src/lib.rs", source)
            if name in _LINKING:
                _write(folder / "src/main.rs", "fn main() {}\n")
        members = ", ".join(f'"{name}"' for name in ("arms", *(name for name, _ in _ALONE)))
        text = (
            f"[workspace]\nmembers = [{members}]\nresolver = '2'\n"
            "[profile.dev]\ndebug = false\nincremental = false\n"
            "[workspace.metadata.buildperm]\nversion = 1\n"
        )
        if self.state != WITHOUT:
            text += f'require = "{self.state}"\nruntime = "{self.state}"\n'
        granted: dict[str, dict[str, object]] = {
            "attacker": {"reviewed": ["0.1.0"], "exec": [f"{self.top}/setuid"]},
            "exec-only": {"reviewed": ["0.1.0"], "exec": [f"{self.top}/exec-only"]},
            "swapper": {"reviewed": ["0.1.0"], "write": ["$WORKSPACE/gen/**"]},
            "swapped": {"reviewed": ["0.1.0"], "read": ["$WORKSPACE/gen/table.txt"]},
            "creeping": {"reviewed": ["0.0.9"], "write": ["$WORKSPACE/creep/**"]},
        }
        for crate, grants in granted.items():
            text += f"[workspace.metadata.buildperm.crates.{crate}]\n"
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in grants.items())
        text += "[workspace.metadata.buildperm.limits.crates.fork-bomb]\n"
        text += f"processes = {_MOST_PROCESSES}\n"
        _write(self.workspace / "Cargo.toml", text)

    def _write_plans(
        self, servers: Servers, processes: Processes, terminal: Terminal, inherited: int
    ) -> None:
        loader = "/lib64/ld-linux-x86-64.so.2"
        if platform.machine() == "aarch64":
            loader = "/lib/ld-linux-aarch64.so.1"
        run = self.top / "run"
        plan: dict[str, object] = {
            "home": self.home,
            "workspace": self.workspace,
            "above": self.above,
            "user": self.uid,
            "common": f"redteam-{self.mark}",
            "key": self.mark,
            "descriptor": inherited,
            "victim": processes.victim,
            "expendable": processes.expendable,
            "stoppable": processes.stoppable,
            "limited": processes.limited,
            "address": processes.address,
            "writable": processes.writable,
            "victim-descriptor": processes.descriptor,
            "tcp": servers.tcp,
            "udp": servers.udp,
            "abstract": servers.abstract,
            "agent": run / "agent",
            "bus": run / "bus",
            "nscd": run / "nscd",
            "datagram": run / "datagram",
            "giver": run / "giver",
            "pts": terminal.name,
            "loader": loader,
            "other-program": "/usr/bin/id",
            "setuid": self.top / "setuid",
            "exec-only": self.top / "exec-only",
            "processes": _BOMB,
            "fails": 0,
            "preload": self.home / "evil/preload.so",
            "libraries": self.home / "evil/lib",
        }
        for name, _ in _ALONE:
            own = plan | {"tools": self.home / "evil" / name}
            text = "".join(f"{key}={value}\n" for key, value in own.items())
            _write(self.workspace / name / "plan", text)

    def environment(self) -> dict[str, str]:
        """Return all of the environment that the build gets."""
        variables = {
            "PATH": f"{self.toolchain}/bin:{PATH}",
            "HOME": str(self.home),
            "CARGO_HOME": str(self.home / ".cargo"),
            "CARGO_NET_OFFLINE": "true",
            "REDTEAM_API_TOKEN": self.secret,
            "LANG": "C.UTF-8",
        }
        if self.as_user() or "PYTHONPATH" in os.environ:
            variables["PYTHONPATH"] = python_path()
        return variables

    def _build(self, found: Measured, terminal: Terminal, inherited: int) -> None:
        report, patch = self.top / "report.json", self.top / "patch"
        if self.state == WITHOUT:
            command = ["cargo", "build", "--keep-going"]
        else:
            command = command_of_buildperm(is_other=bool(self.as_user()))
            command += ["ci", "--report", f"json={report}", f"--emit-patch={patch}"]
            command += ["--", "build", "--keep-going"]
        # The terminal becomes the controlling one of a session of its own.
        launcher = (
            "import fcntl, os, sys, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
            "os.execvp(sys.argv[1], sys.argv[1:])\n"
        )
        output = self.top / "said"
        with output.open("wb") as file:
            ended = subprocess.run(
                [*self.as_user(), str(SYSTEM_PYTHON), "-IS", "-c", launcher, *command],
                cwd=self.workspace,
                env=self.environment(),
                stdin=terminal.slave,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=(inherited,),
                start_new_session=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        found.exit = ended.returncode
        found.said = output.read_text(errors="surrogateescape").replace(self.secret, "SECRET")
        if self.secret.encode() in output.read_bytes():
            found.leaks.append("what was said")
        if report.exists():
            _read_report(found, json.loads(report.read_text()), self._plain)
            found.patch = patch.read_text(errors="surrogateescape") if patch.exists() else ""
            found.effects["once"] = not self._is_told_again()

    def _is_told_again(self) -> bool:
        """Build the package `once` again, which is fresh for Cargo; tell whether it is reported."""
        report = self.top / "again.json"
        command = command_of_buildperm(is_other=bool(self.as_user()))
        words = ["ci", "--report", f"json={report}", "--", "build", "-p", "once"]
        ended = subprocess.run(
            [*self.as_user(), *command, *words],
            cwd=self.workspace,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        again = Measured()
        _read_report(again, json.loads(report.read_text()), self._plain)
        told = ("read", "$HOME/Documents/letter.txt", "refused") in again.accesses
        return told and ended.returncode == _REFUSED

    def _read_outcomes(self, found: Measured) -> None:
        built = self._profile_folder()
        # No pathname reaches its bottom, and neither does pathlib.
        deep = list(built.glob(f"build/deep-folder*/out/{'d' * 200}"))
        subprocess.run(["rm", "-rf", *deep], check=True)
        for path in built.glob("build/*/out/outcomes"):
            for line in path.read_text(errors="replace").splitlines():
                attack, word, detail = (*line.split("\t", 2), "", "")[:3]
                if word.isdigit():
                    word = errno.errorcode[int(word)]
                elif word == "died":
                    word = signal.Signals(int(detail)).name
                found.outcomes[attack] = (word, detail)

    def _look(self, found: Measured, processes: Processes, terminal: Terminal) -> None:
        home, workspace, effects = self.home, self.workspace, found.effects
        built = self._profile_folder()
        planted = {
            "manifest-append": workspace / "Cargo.toml",
            "grants-lock": workspace / "buildperm.lock",
            "cargo-config": workspace / ".cargo/config.toml",
            "cargo-config-above": self.above / ".cargo/config.toml",
            "cargo-config-home": home / ".cargo/config.toml",
            "registry-source": home / ".cargo/registry/src/index/other-1.0.0/src/lib.rs",
            "member-source": workspace / "neighbour/src/lib.rs",
            "fingerprints": built / ".fingerprint/planted",
            "git-hook": workspace / ".git/hooks/post-checkout",
            "envrc": workspace / ".envrc",
            "makefile": workspace / "Makefile",
            "ide-task": workspace / ".vscode/tasks.json",
            "bashrc": home / ".bashrc",
            "systemd-unit": home / ".config/systemd/user/x.service",
            "autostart": home / ".config/autostart/x.desktop",
            "rustc-shim": home / ".cargo/bin/rustc",
            "install": home / ".local/lib/buildperm/supervisor.py",
            "tmp": Path("/tmp", f"redteam-{self.mark}"),
            "dev-shm": Path("/dev/shm", f"redteam-{self.mark}"),
            "path-folder": home / ".local/bin/git",
            "compiler-cache": home / ".cache/ccache/0/entry",
            "creeping": workspace / "creep/made",
        }
        for attack, path in planted.items():
            effects[attack] = path.is_file() and PLANTED in path.read_bytes()
        for attack, pattern in (
            ("other-out-dir", "build/neighbour*/out/generated.rs"),
            ("other-directives", "build/neighbour*/output"),
            ("other-outputs", "deps/*.d"),
            ("recording", "build/attacker*/buildperm/recording.jsonl"),
        ):
            effects[attack] = any(PLANTED in path.read_bytes() for path in built.glob(pattern))
        text = (workspace / "Cargo.toml").read_bytes()
        effects["manifest-replace"] = b"REDTEAM-REPLACED" in text
        for attack, name in (("open-truncate", "opened"), ("truncate", "truncated")):
            effects[attack] = (workspace / "notes" / name).stat().st_size == 0
        effects["unlink"] = not (workspace / "notes/removed").exists()
        for attack, number in (("signal", 10), ("pidfd-signal", 12), ("signal-by-owner", 23)):
            path = self.effects / f"signal-{number}"
            effects[attack] = wait_until(path.exists, 60 if self.state == WITHOUT else 0.2)
        effects["kill"] = processes.state(processes.expendable) == "Z"
        effects["stop"] = processes.state(processes.stoppable) == "T"
        effects["prlimit"] = processes.is_limited()
        if processes.priority < 19:  # Where the tests have the lowest there is none below it.
            effects["setpriority"] = processes.nice(processes.victim) == 19
        effects["tiocsti"] = terminal.typed() > 0
        shown = terminal.shown()
        for attack in ("tty-write", "pts-write"):
            effects[attack] = SENT + attack.encode() in shown
        effects["chmod"] = (home / "meta/mode").stat().st_mode & 0o777 == 0o666
        effects["utime"] = (workspace / "notes/dated").stat().st_mtime < 2
        effects["xattr"] = "user.redteam" in os.listxattr(home / "meta/attribute")
        if not self.uid:
            effects["chown"] = (home / "meta/owner").stat().st_uid == 1
        for attack in ("daemon", "double-fork"):
            effects[attack] = any(
                _is_locked(path, 0.2 if self.state == WITHOUT else 20)
                for path in built.glob(f"build/attacker*/out/{attack}.lock")
            )
        for path in built.glob("build/attacker*/out"):
            (path / "stop").touch()
        # What became of the packages that had something to say to Cargo, rustc or the linker.
        for attack in ("env-preload", "env-path", "link-arg"):
            effects[attack] = (self.effects / attack).exists()
        effects["link-search"] = (built / "link-search").exists()
        effects["out-dir-link"] = any(
            self.secret.encode() in path.read_bytes() for path in built.glob("deps/*out_dir_link*")
        )
        effects["setuid-bit"] = any(
            path.stat().st_mode & 0o6000 for path in built.glob("build/setuid-bit*/out/program")
        )
        effects["deep-folder"] = bool(list(built.glob("deps/libdeep_folder-*.rlib")))
        effects["escapes"] = "\x1b]0;REDTEAM" in found.said or "\u2066" in found.said
        if self.state != WITHOUT:  # These are aimed at what buildperm writes.
            said = found.said + found.patch
            effects["newline-in-path"] = "\n[workspace.evil]" in said
            effects["escapes-in-path"] = "\x1b]0;owned" in said or "\u202e" in said
            key = "read $WORKSPACE/notes/flooded"
            effects["flood"] = found.counts.get(key) != 5_000

    def _plain(self, target: str) -> str:
        """Replace what is different each time in the target of an access."""
        for value, word in ((str(self.top), "TOP"), (self.mark, "MARK")):
            target = target.replace(value, word)
        target = re.sub(r"^127\.0\.0\.1:[1-9]\d*$", "127.0.0.1:TCP", target)
        target = re.sub(r"\(127\.0\.0\.1:[1-9]\d*\)$", "(127.0.0.1:TCP)", target)
        target = target.replace(f"/proc/{self.victim}/", "/proc/VICTIM/")
        target = re.sub(r"^/proc/\d+/", "/proc/PID/", target)
        target = re.sub(r"^/dev/pts/\d+$", "/dev/pts/N", target)
        return re.sub(r"-[0-9a-f]{16}/", "-HASH/", target)

    def _profile_folder(self) -> Path:
        if self.state == WITHOUT:
            return self.workspace / "target/debug"
        return next(self.workspace.glob("target/buildperm/*/debug"), self.workspace / "none")

    def _find_leaks(self, found: Measured) -> None:
        """Look for secrets where none was planted."""
        secret = self.secret.encode()
        for folder in (self.workspace, self.above / ".cargo"):
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink() and secret in path.read_bytes():
                    found.leaks.append(str(path.relative_to(self.top)))
        for path in (self.top / "report.json", self.top / "patch"):
            if path.exists() and secret in path.read_bytes():
                found.leaks.append(path.name)


def command_of_buildperm(*, is_other: bool) -> list[str]:
    """Return the command; another user cannot read the Python that runs the tests."""
    return [str(SYSTEM_PYTHON) if is_other else sys.executable, "-m", "buildperm"]


def python_path() -> str:
    """Return what another Python has to look through to find buildperm and what it needs."""
    installed = [path for path in sys.path if path.endswith("site-packages")]
    return os.pathsep.join([str(REPOSITORY), *installed])


@contextmanager
def toolchain(uid: int) -> Iterator[Path]:
    """Return a Rust tool chain that the user `uid` can read; root's own is closed to others.

    Its files are the same ones under other names, which cost nothing and may not be written.
    """
    said = subprocess.run(
        ["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True
    )
    sysroot = Path(os.path.realpath(said.stdout.strip()))
    if os.getuid() != 0 or not uid or _is_open(sysroot):
        yield sysroot
        return
    for holder in ("/tmp", "/var/tmp"):
        top = Path(holder, f"buildperm-toolchain-{secrets.token_hex(6)}")
        top.mkdir(mode=0o755)
        try:
            _copy(sysroot, top, link=True)
        except OSError:  # Another file system.
            shutil.rmtree(top)
            continue
        break
    else:
        top = Path("/tmp", f"buildperm-toolchain-{secrets.token_hex(6)}")
        _copy(sysroot, top, link=False)
    try:
        yield top
    finally:
        shutil.rmtree(top)


def _copy(sysroot: Path, top: Path, *, link: bool) -> None:
    copy: Callable[..., Any] = os.link if link else shutil.copy2
    for name in ("bin", "lib"):
        shutil.copytree(
            sysroot / name,
            top / name,
            symlinks=True,
            copy_function=copy,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("src", "share", "doc"),
        )


def _is_open(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _is_locked(path: Path, most_s: float) -> bool:
    """Tell whether somebody holds a lock; one who is ended loses it a moment later."""
    with path.open() as file:
        deadline = time.monotonic() + most_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return True
                time.sleep(0.02)
            else:
                return False


def _read_report(found: Measured, raw: dict[str, Any], plain: Callable[[str], str]) -> None:
    accesses = set()
    for script in raw["scripts"]:
        if script["failure"]:
            found.failures[script["crate"]] = script["failure"]
        for finding in script["findings"]:
            for access in finding["accesses"]:
                target = plain(access["target"])
                accesses.add((access["kind"], target, access["outcome"]))
                key = f"{access['kind']} {target}"
                found.counts[key] = found.counts.get(key, 0) + access["count"]
        for access in script["evidence"]:
            accesses.add((access["kind"], plain(access["target"]), access["outcome"]))
    found.accesses = sorted(accesses)


def users() -> dict[str, int]:
    """Return who builds, by name: as root there is an ordinary user as well."""
    if os.getuid() != 0:
        return {"ordinary": os.getuid()}
    return {"ordinary": OTHER_UID, "root": 0}


def states() -> list[str]:
    """List the states of the matrix, the runtimes of this version among them."""
    return [WITHOUT, *runtimes()]


def measure(user: str, state: str) -> Measured:
    """Make the workspace, measure what becomes of it, and remove it."""
    uid = users()[user]
    top = Path("/tmp", f"buildperm-arena-{secrets.token_hex(6)}")
    top.mkdir(mode=0o755)
    try:
        with toolchain(uid) as rust:
            return AttackRun(top, uid, rust, state).measure()
    finally:
        if "REDTEAM_KEEP" not in os.environ:
            subprocess.run(["rm", "-rf", str(top)], check=True)
