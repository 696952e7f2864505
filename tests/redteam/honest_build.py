"""One build of the package `honest`, which uses every kind of tool as honest build scripts do."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.redteam import attack_run
from tests.redteam.attack_run import CRATES, WITHOUT

WORKLOADS = (
    *("cc", "cmake", "configure", "perl", "python", "git", "pkg-config", "make", "libclang"),
    *("rustc", "autocfg", "files"),
)
_UNLIKE = ("cmake/CMakeCache.txt", "cmake/CMakeFiles", "cmake/Makefile", "cmake/cmake_install")
"""What holds the name of the folder in which it was made."""

_GRANTS = """\
[workspace.metadata.buildperm.crates.honest]
reviewed = ["0.1.0"]
presets = ["bindgen", "cc", "cmake", "git", "pkg-config", "rustc-probe"]
exec = ["$WORKSPACE/honest/native/configure", "perl", "python3"]
"""


@dataclass(slots=True)
class Built:
    """What came of it."""

    exit: int
    said: str
    outcomes: dict[str, str] = field(default_factory=dict)  # By workload: why it failed, or "".
    files: dict[str, str] = field(default_factory=dict)  # Mode and content, by path.
    accesses: list[str] = field(default_factory=list)  # What was refused, or is not granted.

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Built:
        return cls(**json.loads(text))


def build(user: str, state: str) -> Built:
    """Build it as `user`, without a sandbox or held by a runtime."""
    uid = attack_run.users()[user]
    top = Path("/tmp", f"buildperm-honest-{secrets.token_hex(6)}")
    top.mkdir(mode=0o755)
    try:
        with attack_run.toolchain(uid) as rust:
            return _build(top, uid, rust, state)
    finally:
        if "REDTEAM_KEEP" not in os.environ:
            subprocess.run(["rm", "-rf", str(top)], check=True)


def _build(top: Path, uid: int, rust: Path, state: str) -> Built:
    workspace, home = top / "ws", top / "home"
    (home / ".cargo").mkdir(parents=True)
    shutil.copytree(CRATES / "honest", workspace / "honest")
    text = "[workspace]\nmembers = ['honest']\nresolver = '2'\n"
    text += "[workspace.metadata.buildperm]\nversion = 1\n"
    if state != WITHOUT:
        text += f'require = "{state}"\nruntime = "{state}"\n'
    (workspace / "Cargo.toml").write_text(text + _GRANTS)
    as_user: list[str] = []
    if os.getuid() == 0 and uid:
        ids = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
        as_user = ["setpriv", *ids]
    environment = {
        "PATH": f"{rust}/bin:{attack_run.PATH}",
        "HOME": str(home),
        "CARGO_HOME": str(home / ".cargo"),
        "CARGO_NET_OFFLINE": "true",
        "LANG": "C.UTF-8",
        "SOURCE_DATE_EPOCH": "1700000000",
    }
    _commit(workspace, environment)
    if as_user:
        subprocess.run(["chown", "-R", f"{uid}:{uid}", str(top)], check=True)
    if as_user or "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = attack_run.python_path()
    report = top / "report.json"
    if state == WITHOUT:
        command = ["cargo", "build"]
    else:
        command = attack_run.command_of_buildperm(is_other=bool(as_user))
        command += ["ci", "--report", f"json={report}"]
    ended = subprocess.run(
        [*as_user, *command],
        cwd=workspace,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=240,
        check=False,
    )
    built = Built(ended.returncode, ended.stdout.decode(errors="replace"))
    pattern = "debug" if state == WITHOUT else "buildperm/*/debug"
    for out in workspace.glob(f"target/{pattern}/build/honest*/out"):
        outcomes = out / "outcomes"
        if outcomes.exists():
            for line in outcomes.read_text().splitlines():
                name, _, why = line.partition("\t")
                built.outcomes[name] = why
            built.files = _files(out)
    if report.exists():
        built.accesses = _refused(json.loads(report.read_text()))
    return built


def _commit(workspace: Path, environment: dict[str, str]) -> None:
    """Make it a repository with one commit, the same each time."""
    who = {"NAME": "A", "EMAIL": "a@example.org", "DATE": "2026-01-01T00:00:00Z"}
    environment = environment | {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()
    }
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "honest"],
        ["commit", "-q", "-m", "Say the answer"],
        ["tag", "-m", "x", "v1"],
    ):
        subprocess.run(["git", *words], cwd=workspace, env=environment, check=True)


def _files(out: Path) -> dict[str, str]:
    found = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if name.startswith(_UNLIKE) or name == "outcomes":
            continue
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(about.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        found[name] = f"{stat.filemode(about.st_mode)} {content}"
    return found


def _refused(report: dict[str, Any]) -> list[str]:
    return [
        f"{access['kind']} {access['target']}: {access['outcome']}"
        for script in report["scripts"]
        for finding in script["findings"]
        for access in finding["accesses"]
    ]
