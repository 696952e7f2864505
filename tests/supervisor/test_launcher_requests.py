"""What the shim asks the launcher for: processes for macros, tables, and that refusals be told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildperm.sandbox.native_programs import programs
from tests.programs import CHILDREN
from tests.supervisor.held_calls import HeldCalls
from tests.supervisor.macro_server import serving

PROGRAM = CHILDREN / "asks_launcher.py"
KEY = "debug%deps%mine-0123456789abcdef"
LIBRARY = "libmarker-fedcba9876543210.so"


@pytest.fixture
def launcher() -> Path:
    return programs().launcher


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a library that does nothing: the program speaks for it."""
    made = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", made], check=True)
    return made


@dataclass(frozen=True, slots=True)
class Asking:
    """A call whose compiler asks for macros of a library that was compiled before."""

    calls: HeldCalls
    folder: Path  # Of the server.

    @property
    def library(self) -> Path:
        return self.calls.target / "debug/deps" / LIBRARY

    @property
    def kept(self) -> Path:
        return self.calls.state / KEY

    def ask(self, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return self.calls.call(
            *(sys.executable, str(PROGRAM), "--crate-name", "mine", "--emit=link"),
            *("-C", "extra-filename=-0123456789abcdef"),
            *("--out-dir", str(self.calls.target / "debug/deps"), "--", *words),
            extra={"PYTHONDONTWRITEBYTECODE": "1", "BUILDPERM_SERVER": str(self.folder), **extra},
        )

    def marker(self) -> list[str]:
        return (self.kept / "unit").read_text().split("\0")


@pytest.fixture
def asking(launcher: Path, shim: Path, tmp_path: Path) -> Asking:
    package, folder = tmp_path / "package", tmp_path / "server"
    for each in (package, folder, tmp_path / "marker"):
        each.mkdir()
    calls = HeldCalls(
        launcher,
        package,
        tmp_path / "target",
        globals=[f"r {PROGRAM}", f"shim {shim}"],
        sections={"mine": ["compile hold", "env KNOWN_TOKEN"]},
    )
    calls.prepare({package: "mine"})
    made = Asking(calls, folder)
    made.library.parent.mkdir(parents=True)
    made.library.write_bytes(b"library")
    libraries = calls.state / "libraries"
    libraries.mkdir(parents=True)
    (libraries / f"debug%deps%{LIBRARY}").write_text(f"{tmp_path}/marker\0")
    return made


def test_a_host_is_asked_for(asking: Asking) -> None:
    asking_for = f"host,{asking.library},/elsewhere,/elsewhere/out,/,OUT_DIR=/elsewhere"
    with serving(asking.folder) as server:
        told = asking.ask(asking_for, OUT_DIR=str(asking.calls.target / "out"), MY_TOKEN="t")

    assert (told.returncode, told.stdout) == (0, "host: expanded\n"), told.stderr
    assert server.requests == [
        {
            "macro": "1",
            "session": f"{asking.calls.target}/buildperm-session",
            "library": str(asking.library),
            "manifest": f"{asking.folder.parent}/marker",
            # For a compiler it is the package that Cargo named, whatever a message says.
            "consumer": str(asking.calls.folder),
            "out-dir": f"{asking.calls.target}/out",
            "cwd": str(asking.calls.folder),
            "folder": f"{asking.kept}/{LIBRARY}",
        }
    ]
    assert server.environments[0]["OUT_DIR"] == f"{asking.calls.target}/out"
    assert server.environments[0]["MY_TOKEN"] == "t"  # The supervisor decides for itself.
    assert "LD_PRELOAD" not in server.environments[0]
    assert f"macro {LIBRARY} {asking.folder.parent}/marker" in asking.marker()


def test_each_host_has_a_folder_of_its_own(asking: Asking) -> None:
    with serving(asking.folder) as server:
        told = asking.ask(f"host,{asking.library}", f"host,{asking.library}")

    assert told.returncode == 0, told.stderr
    folders = {request["folder"] for request in server.requests}
    assert folders == {f"{asking.kept}/{LIBRARY}", f"{asking.kept}/{LIBRARY}%2"}
    assert all(map(os.path.isdir, folders))
    assert {each.split(" ")[1] for each in asking.marker() if each.startswith("macro ")} == {
        LIBRARY,
        f"{LIBRARY}%2",
    }


@pytest.mark.parametrize(("answer", "is_said"), [(b"1\n", False), (b"137\n", True), (b"", True)])
def test_a_host_that_ended_badly_fails_the_call(
    asking: Asking, answer: bytes, is_said: bool
) -> None:
    """With status 1 its supervisor has said why, which is not repeated."""
    with serving(asking.folder, answer):
        told = asking.ask(f"host,{asking.library}")

    assert told.returncode == 1
    said = f"the process that ran the macros of `{LIBRARY}` did not end well" in told.stderr
    assert said is is_said
    assert "status 1" in asking.marker()


def test_an_unknown_library_is_not_run(asking: Asking, tmp_path: Path) -> None:
    unknown = asking.library.with_name("libother-0123456789abcdef.so")
    outside = tmp_path / LIBRARY
    for path in (unknown, outside):
        shutil.copy(asking.library, path)
    with serving(asking.folder) as server:
        for path in (unknown, outside, tmp_path / "none", asking.calls.state / "libraries"):
            told = asking.ask(f"host,{path}")

            assert told.returncode == 1
            assert told.stdout == "host: gone\n"
            assert "was not compiled under buildperm" in told.stderr

    assert server.requests == []


def test_without_a_server_a_supervisor_is_started(asking: Asking, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = tmp_path / "supervisor.py"
    program.write_text(
        "import os, socket, sys\n"
        "connected = socket.socket(fileno=0)\n"
        "size, rights, *_ = connected.recvmsg(4, socket.CMSG_SPACE(8))\n"
        "bridge = socket.socket(fileno=int.from_bytes(rights[0][2][:4], 'little'))\n"
        f"open({str(log)!r}, 'w').write(f\"{{sys.argv[1:]}} {{os.environ['MY_TOKEN']}}\")\n"
        "bridge.recv(100), bridge.send(b'expanded'), bridge.recv(100)\n"
        "connected.send(b'0\\n')\n"
    )
    asking.calls.globals.extend((f"python {sys.executable}", f"supervisor {program}"))
    asking.calls.prepare({asking.calls.folder: "mine"})

    told = asking.ask(f"host,{asking.library}", "daemon", MY_TOKEN="t", BUILDPERM_SERVER="/nowhere")

    assert (told.returncode, told.stdout) == (0, "host: expanded\n"), told.stderr
    assert log.read_text() == "['--macro'] t"


def test_tables_are_kept(asking: Asking) -> None:
    question, table = f"table?,{asking.library}", f"table,{asking.library},some,bytes"

    told = asking.ask(question, table, question, f"table,{asking.library},others", question)

    kept = "table: table some bytes \n"
    assert (told.returncode, told.stdout) == (0, "table: none\n" + kept + kept), told.stderr
    assert asking.ask(question).stdout == kept  # Of an earlier call as well.
    assert f"macro {LIBRARY} {asking.folder.parent}/marker" in asking.marker()
    asking.library.write_bytes(b"another library")
    assert asking.ask(question).stdout == "table: none\n"
    assert asking.ask(f"table?,{asking.library}x").stdout == "table: none\n"


def test_refusals_are_told(asking: Asking) -> None:
    words = ("refused,read,/home/\x1b[2J/key", "asked,env,MY_TOKEN", "refused,other,/x")

    told = asking.ask(*words, words[0], "exit,1")

    assert told.returncode == 1
    marker = asking.marker()
    assert [each for each in marker if each.startswith(("refused", "asked"))] == [
        "refused read /home/\x1b[2J/key",
        "asked env MY_TOKEN",
    ]
    assert "compiling mine 1.2.3 was refused to read `/home/\\x1b[2J/key`" in told.stderr
    assert "asked for the variable `MY_TOKEN`, which is withheld" in told.stderr
    assert "\x1b" not in told.stderr


def test_nothing_is_said_where_all_went_well(asking: Asking) -> None:
    assert asking.ask("refused,read,/home/key").stderr == ""


@pytest.mark.parametrize(
    "message",
    ["00", "00" * 5000, "ff" * 50000, b"host".hex(), b"table\0".hex()],
    ids=["empty word", "empty words", "long word", "no library", "no table"],
)
def test_odd_messages_change_nothing(asking: Asking, message: str) -> None:
    told = asking.ask(f"raw,{message}", "refused,read,/home/key")

    assert (told.returncode, told.stderr) == (0, "")
    assert "refused read /home/key" in asking.marker()


def test_the_environment_is_withheld(asking: Asking) -> None:
    secrets = {"MY_TOKEN": "1", "db_password_file": "1", "HIDDEN_BY_VALUE": "1"}
    others = {"KNOWN_TOKEN": "1", "CARGO_PKG_TOKEN": "1", "TOKENIZER": "1", "LD_AUDIT": ""}

    told = asking.ask("environment", **secrets, **others, BUILDPERM_OTHER="1")

    names, shim = (line.partition(": ")[2].split() for line in told.stdout.splitlines())
    assert {*secrets, *others}.intersection(names) == {
        "KNOWN_TOKEN",
        "CARGO_PKG_TOKEN",
        "TOKENIZER",
    }
    assert [name for name in names if name.startswith("BUILDPERM")] == ["BUILDPERM_SHIM"]
    assert shim[:3] == ["1", "0", "0"]
    assert set(shim[3:]) == set(secrets)


def test_the_call_ends_as_the_compiler_did(asking: Asking) -> None:
    assert asking.ask("exit,101").returncode == 101
    assert "status 101" in asking.marker()
    assert asking.ask("kill,11").returncode == -signal.SIGSEGV
    assert "status 139" in asking.marker()


def test_a_compiler_without_the_shim_fails(asking: Asking) -> None:
    told = asking.calls.call(
        *("/bin/true", "--crate-name", "mine", "--emit=link"),
        *("--out-dir", str(asking.calls.target / "debug/deps")),
    )

    assert told.returncode == 1
    assert "did not load the library that keeps macros out of compilers" in told.stderr


def test_what_stays_behind_is_ended(asking: Asking) -> None:
    told = asking.ask("daemon")

    assert told.returncode == 0
    left = subprocess.run(
        ["pgrep", "-f", str(asking.calls.target)], capture_output=True, check=False
    )
    assert left.stdout == b""
