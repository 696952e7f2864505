"""Real build scripts under the real supervisor: what is allowed and what is refused, in one table.

Each attempt is a piece of Python that either comes to its end or meets an OSError. A sandbox that
refuses everything fails here as well as one that refuses nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from buildperm.tracer import syscall_numbers
from tests.bench import USERS, make_bench
from tests.programs import program_text

if TYPE_CHECKING:
    from tests.bench import Bench, Ended

PRELUDE = program_text("forbidden_calls.py")
EPILOGUE = """\
    except OSError as error:
        print("refused", error.errno, error, flush=True)
    else:
        print("done", flush=True)
    os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that a script tries, and whether it has to work."""

    name: str
    body: str
    works: bool
    grants: dict[str, list[str]] = field(default_factory=dict)
    profile: str = "enforcing"
    fails_run: bool = False  # The run fails although the script exits 0.
    control: str = "all"  # Who can do it without a sandbox: all, root, nobody here.

    def __str__(self) -> str:
        return self.name

    @property
    def setting(self) -> str:
        """What attempts have to share so that they can be made in one run."""
        return f"{self.profile} {self.grants}"


def allowed(name: str, body: str, **grants: list[str]) -> Attempt:
    return Attempt(name, body, works=True, grants=grants)


def refused(
    name: str, body: str, *, fails_run: bool = False, control: str = "all", **grants: list[str]
) -> Attempt:
    return Attempt(name, body, works=False, grants=grants, fails_run=fails_run, control=control)


def learning(name: str, body: str, *, works: bool) -> Attempt:
    return Attempt(f"learning: {name}", body, works=works, profile="learning")


READ_KEY = 'open(home + "/.ssh/id_rsa").read()'
CONNECT = 's = socket.socket(); s.connect(("127.0.0.1", int(open(pkg + "/port").read())))'
UNIX = 's = socket.socket(socket.AF_UNIX); s.connect(top + "/socket")'
# A filter that answers TRACE to all: with its data, 0, what is refused would only be looked at.
FILTER = """\
libc.prctl(38, 1, 0, 0, 0)
rule = ctypes.create_string_buffer(b"\\x06\\0\\0\\0\\0\\0\\xff\\x7f", 8)
class Program(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("p", ctypes.c_void_p)]
call('seccomp', 1, 0, ctypes.byref(Program(1, ctypes.addressof(rule))))"""
OTHER = 'open(top + "/other/file").read()'

ATTEMPTS = [
    # Reads.
    allowed("read its own source", 'open(pkg + "/Cargo.toml").read()'),
    allowed("read the system", 'open("/etc/passwd").read(); os.listdir("/usr/lib")'),
    allowed("write its own shared memory", 'open("/dev/shm/" + planted, "w")'),
    allowed("read what it wrote", 'open(out + "/a", "w").write("x"); open(out + "/a").read()'),
    allowed("look at a name", 'os.stat(ws + "/Cargo.toml")'),
    refused("read the workspace", 'open(ws + "/Cargo.toml").read()'),
    allowed("read what is granted", 'open(ws + "/a.proto").read()', read=["$WORKSPACE/a.proto"]),
    allowed("read a granted tree", 'open(ws + "/p/q/a").read()', read=["$WORKSPACE/p/**"]),
    allowed("list a granted folder", 'os.listdir(ws + "/p")', read=["$WORKSPACE/p"]),
    refused("read below a listed folder", 'open(ws + "/p/q/a").read()', read=["$WORKSPACE/p"]),
    refused("read beside a granted file", 'open(ws + "/b").read()', read=["$WORKSPACE/a.proto"]),
    refused("read a foreign folder", OTHER),
    refused(
        "read through a link",
        'l = os.environ["TMPDIR"] + "/l"; os.symlink(ws + "/b", l); open(l).read()',
    ),
    refused("read through dots", 'open(pkg + "/../b").read()'),
    refused("read through its root link", 'open("/proc/self/root" + ws + "/b").read()'),
    refused("read a key", READ_KEY, fails_run=True),
    refused("read a key in a granted home", READ_KEY, read=["$HOME/**"], fails_run=True),
    refused("list a home that holds a key", "os.listdir(home)", read=["$HOME/**"]),
    allowed("read beside a key", 'open(home + "/notes").read()', read=["$HOME/**"]),
    allowed("read a key that was granted by hand", READ_KEY, read=["$HOME/.ssh/id_rsa"]),
    refused(
        "read a key through a link of an innocent name",
        'open(home + "/innocent").read()',
        read=["$HOME/innocent"],
        fails_run=True,
    ),
    refused(
        "read the environment of Cargo", 'open("/proc/%d/environ" % victim).read()', fails_run=True
    ),
    refused(
        "read the memory of Cargo",
        'open("/proc/%d/mem" % victim, "rb", buffering=0)',
        fails_run=True,
    ),
    refused(
        "look into the open files of Cargo", 'os.listdir("/proc/%d/fd" % victim)', fails_run=True
    ),
    allowed("read a copy of its own maps", 'assert "r-xp" in open("/proc/self/maps").read()'),
    refused("read its own environment", 'open("/proc/self/environ").read()'),
    # Writes.
    allowed("write OUT_DIR", 'os.makedirs(out + "/d/e"); open(out + "/d/e/f", "w").write("x")'),
    allowed(
        "move inside OUT_DIR",
        'os.mkdir(out + "/m"); open(out + "/n", "w"); os.rename(out + "/n", out + "/m/n")',
    ),
    allowed("write TMPDIR", 'open(os.environ["TMPDIR"] + "/t", "w").write("x")'),
    allowed("make a fifo in TMPDIR", 'os.mkfifo(os.environ["TMPDIR"] + "/fifo")'),
    allowed("write HOME", 'os.mkdir(os.environ["HOME"] + "/.cache")'),
    allowed("write nowhere", 'open("/dev/null", "w").write("x")'),
    refused("write its own source", 'open(pkg + "/build.rs", "w")'),
    refused("append to the manifest", 'open(ws + "/Cargo.toml", "a")'),
    refused("truncate the manifest", 'os.truncate(ws + "/Cargo.toml", 0)'),
    refused("open to truncate", 'os.open(ws + "/Cargo.toml", os.O_RDONLY | os.O_TRUNC)'),
    refused("plant a Cargo configuration", 'os.mkdir(ws + "/.cargo")'),
    refused("remove a file", 'os.unlink(ws + "/b")'),
    refused("write the temporary folder of all", 'open("/tmp/" + planted, "w")'),
    refused("make a folder in shared memory", 'os.mkdir("/dev/shm/" + planted)'),
    refused("write beside OUT_DIR", 'open(os.path.dirname(out) + "/output", "w")'),
    refused("write its own recording", 'open(os.path.dirname(out) + "/buildperm/context", "w")'),
    refused("move a file into OUT_DIR", 'os.rename(ws + "/b", out + "/b")'),
    refused("link a file into OUT_DIR", 'os.link(ws + "/b", out + "/b")'),
    refused("link a key into OUT_DIR", 'os.link(home + "/.ssh/id_rsa", out + "/key")'),
    refused("make a device", 'os.mknod(out + "/null", 0o020666, os.makedev(1, 3))', control="root"),
    allowed(
        "write what is granted", 'open(ws + "/gen/a", "w").write("x")', write=["$WORKSPACE/gen/**"]
    ),
    allowed(
        "make the file that is granted",
        'open(ws + "/new.rs", "w").write("x")',
        write=["$WORKSPACE/new.rs"],
    ),
    allowed(
        "fill the folder that is granted",
        'open(ws + "/fresh/a", "w").write("x")',
        write=["$WORKSPACE/fresh/**"],
    ),
    refused(
        "read where only writing is granted",
        'open(ws + "/gen/old").read()',
        write=["$WORKSPACE/gen/**"],
    ),
    refused(
        "write the manifest in a granted workspace",
        'open(ws + "/Cargo.toml", "a")',
        write=["$WORKSPACE/**"],
    ),
    allowed("write beside it", 'open(ws + "/gen/a", "w").write("x")', write=["$WORKSPACE/**"]),
    # Programs.
    refused("run a program", 'run("/usr/bin/true")'),
    allowed("run a granted program", 'run("/usr/bin/true")', exec=["true"]),
    allowed("run a program by its path", 'run("/usr/bin/true")', exec=["/usr/bin/true"]),
    refused(
        "run what it wrote",
        'open(out + "/p", "wb").write(open("/usr/bin/true", "rb").read()); '
        'os.chmod(out + "/p", 0o755); run(out + "/p")',
    ),
    allowed(
        "run what it wrote, if granted",
        'open(out + "/p", "wb").write(open("/usr/bin/true", "rb").read()); '
        'os.chmod(out + "/p", 0o755); run(out + "/p")',
        exec=["$OUT_DIR/**"],
    ),
    # Sockets.
    refused("connect over TCP", CONNECT),
    refused("connect to a unix socket", UNIX),
    refused("listen", 's = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()'),
    refused("listen without a bind", "s = socket.socket(); s.listen()"),
    refused(
        "send a datagram",
        's = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b"x", ("127.0.0.1", 9))',
    ),
    refused(
        "open TCP fast",
        'port = int(open(pkg + "/port").read()); s = socket.socket(); '
        's.sendto(b"x", 0x20000000, ("127.0.0.1", port))',
    ),
    refused("ask netlink", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    refused("send raw packets", "socket.socket(type=socket.SOCK_RAW, proto=1)", control="root"),
    refused("speak MPTCP", "socket.socket(proto=262)"),
    refused("make a pair of datagram sockets", "socket.socketpair(type=socket.SOCK_DGRAM)"),
    allowed("make a pair of stream sockets", 'a, b = socket.socketpair(); a.send(b"x"); b.recv(1)'),
    # Other processes, the kernel.
    refused("signal Cargo", "os.kill(victim, 0)"),
    allowed("signal itself", "os.kill(os.getpid(), 0)"),
    refused("change the limits of Cargo", "import resource; resource.prlimit(victim, 7)"),
    allowed("change its own limits", "import resource; resource.setrlimit(7, (64, 64))"),
    refused("slow Cargo down", "os.setpriority(os.PRIO_PROCESS, victim, os.nice(0) + 1)"),
    refused("trace Cargo", "call('ptrace', 16, victim, 0, 0)"),
    refused("make a user namespace", "call('unshare', 0x10000000)"),
    refused("watch folders", "call('inotify_init1', 0)"),
    refused("use io_uring", "call('io_uring_setup', 1, (ctypes.c_char * 120)())"),
    refused("hide from the recorder", "call('prctl', 4, 0, 0, 0)"),
    refused("install a filter of its own", FILTER),
    refused(
        "inject into a terminal", 'import fcntl; fcntl.ioctl(0, 0x5412, b"x")', control="nobody"
    ),
    refused("reach a controlling terminal", 'open("/dev/tty")', control="nobody"),
    # Learning: reads and programs outside the sensitive tier, nothing else.
    learning("read the workspace", 'open(ws + "/Cargo.toml").read()', works=True),
    learning("read anywhere", OTHER, works=True),
    learning("read notes", 'open(home + "/notes").read()', works=False),
    learning("read a tool in a closed home", 'open(home + "/.local/lib/x").read()', works=True),
    learning("read a key", READ_KEY, works=False),
    learning("read a key through a link", 'open(home + "/innocent").read()', works=False),
    learning(
        "read the environment of Cargo", 'open("/proc/%d/environ" % victim).read()', works=False
    ),
    learning("run a program", 'run("/usr/bin/true")', works=True),
    learning("write the workspace", 'open(ws + "/b", "w")', works=False),
    learning("connect", CONNECT, works=False),
    learning("connect to a unix socket", UNIX, works=False),
]


def furnish(bench: Bench) -> None:
    """Put something at every place that an attempt goes for."""
    for folder in ("p/q", "gen"):
        (bench.workspace / folder).mkdir(parents=True)
    for name in ("a.proto", "b", "p/q/a", "gen/old"):
        (bench.workspace / name).write_text("content")
    (bench.home / ".ssh").mkdir()
    (bench.home / ".ssh/id_rsa").write_text("PRIVATE")
    (bench.home / "notes").write_text("notes")
    (bench.home / ".local/lib").mkdir(parents=True)
    (bench.home / ".local/lib/x").write_text("x")
    (bench.home / "innocent").symlink_to(".ssh/id_rsa")
    (bench.top / "other").mkdir()
    (bench.unit / "buildperm/scratch/home").mkdir(parents=True)
    (bench.unit / "buildperm/scratch/tmp").mkdir()
    (bench.unit / "buildperm/context").touch()
    (bench.top / "other/file").write_text("content")


@contextlib.contextmanager
def servers(bench: Bench) -> Iterator[Callable[[], bool]]:
    """Listen on a TCP port and a unix socket; the callable says whether anybody came."""
    tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    with tcp, unix:
        unix.bind(str(bench.top / "socket"))
        unix.listen()
        (bench.package / "port").write_text(str(tcp.getsockname()[1]))

        def has_guest() -> bool:
            for server in (tcp, unix):
                server.settimeout(0)
                with contextlib.suppress(BlockingIOError):
                    server.accept()[0].close()
                    return True
            return False

        yield has_guest


@contextlib.contextmanager
def victim(bench: Bench) -> Iterator[None]:
    """Have another process of the same user, as Cargo is one."""
    with subprocess.Popen([*bench.as_user(), "sleep", "600"]) as process:
        (bench.package / "victim").write_text(str(process.pid))
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("attempt", [a for a in ATTEMPTS if a.fails_run], ids=str)
def test_an_attempt_on_the_sensitive_tier_fails_the_run_whatever_the_script_says(
    bench: Bench, attempt: Attempt
) -> None:
    ended = run_together(bench, [attempt])

    assert ended.status == 1
    assert b"it tried to read" in ended.stderr
    assert ended.stdout == b""


@pytest.mark.parametrize("attempt", [a for a in ATTEMPTS if not a.fails_run], ids=str)
@pytest.mark.parametrize("user", USERS)
def test_an_attempt_goes_as_the_table_says(
    user: str, attempt: Attempt, outcomes: dict[tuple[str, str], dict[str, str]]
) -> None:
    """Attempts with the same grants are made in one run, each in a process of its own."""
    together = [a for a in ATTEMPTS if not a.fails_run and a.setting == attempt.setting]
    if (user, attempt.setting) not in outcomes:
        with contextlib.contextmanager(make_bench)(user) as bench:
            ended = run_together(bench, together)
            assert ended.status == 0, ended.stderr.decode()
            lines = ended.stdout.decode().splitlines()
            names = [str(a) for a in together]
            outcomes[user, attempt.setting] = dict(zip(names, lines, strict=True))

    outcome = outcomes[user, attempt.setting][str(attempt)]
    assert outcome.startswith("done" if attempt.works else "refused"), outcome


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str], dict[str, str]]:
    """Keep what came of each attempt, by user and setting, for all tests to look up."""
    return {}


def run_together(bench: Bench, attempts: list[Attempt]) -> Ended:
    """Make `attempts`, which share a setting, in one run; none may reach a server."""
    furnish(bench)
    bench.grants = attempts[0].grants
    placed = bench.script(script(attempts))
    profile = "learning" if attempts[0].profile == "learning" else "enforcing"
    with victim(bench), servers(bench) as has_guest:
        ended = bench.run(placed, "learning" if profile == "learning" else "enforcing")

        assert not has_guest()
    return ended


def script(attempts: list[Attempt]) -> str:
    """Write the script that makes `attempts`, with one line of output for each."""
    text = f"numbers = {dict(syscall_numbers.table())!r}\n{PRELUDE}"
    for attempt in attempts:
        body = "".join(f"        {line}\n" for line in attempt.body.splitlines())
        text += f"if os.fork() == 0:\n    try:\n{body}{EPILOGUE}os.wait()\n"
    return text


REFUSED = [attempt for attempt in ATTEMPTS if not attempt.works and attempt.control != "nobody"]


@pytest.mark.parametrize("attempt", REFUSED, ids=str)
@pytest.mark.quick(15)
def test_what_is_refused_works_without_a_sandbox(bench: Bench, attempt: Attempt) -> None:
    """Otherwise the table above would show nothing."""
    if attempt.control == "root" and (bench.uid or os.getuid()):
        pytest.skip("only root could do this anyway")
    furnish(bench)
    bench.script(script([attempt]))
    scratch = str(bench.unit / "buildperm/scratch")
    variables = {"HOME": f"{scratch}/home", "TMPDIR": f"{scratch}/tmp"}
    with victim(bench), servers(bench):
        bench.owned()
        ended = subprocess.run(
            [*bench.as_user(), bench.top / "script.py"],
            env=bench.variables() | variables,
            capture_output=True,
            check=False,
        )

    assert ended.stdout == b"done\n", ended
    for folder in ("/tmp", "/dev/shm"):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(f"{folder}/{bench.top.name}-planted")
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(f"{folder}/{bench.top.name}-planted")
