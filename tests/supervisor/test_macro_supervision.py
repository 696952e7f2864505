"""Hosts of macros under the real supervisor: what they may do, what is recorded, how they end."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from buildperm.sandbox import machine
from buildperm.sandbox.full_runtime import FullRuntime
from buildperm.tracer.recording import reader
from tests.bench import Bench, filtered, processes_with, wait_until
from tests.programs import program_text
from tests.supervisor.macro_bench import LIBRARY, MacroBench, compiled_host, served

REFUSALS = (
    *(errno.EACCES, errno.EPERM, errno.EXDEV, errno.ENOSYS, errno.ESRCH),
    *(errno.ENOENT, errno.EROFS),  # In the runtime `full`.
)
SCHEMA = Path(reader.__file__).parent / "recording.schema.json"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled_host(tmp_path_factory.mktemp("host"))


RUNTIMES = ["portable", *(["full"] if FullRuntime().unavailable() is None else [])]


@pytest.fixture
def macros(own_bench: Bench, program: Path, request: pytest.FixtureRequest) -> Iterator[MacroBench]:
    """Make a bench of macros with a fork server, of the runtime `portable` if nothing is said."""
    if getattr(request, "param", "") == "full":
        own_bench.wrapper, own_bench.mounts = [os.fsencode(machine.bubblewrap())], True
    made = MacroBench(own_bench, program, own_bench.package)
    made.prepare()
    with served(made):
        yield made
        made.close()


@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
def test_a_run_in_which_nothing_happens_has_a_whole_recording(macros: MacroBench) -> None:
    host = macros.start()

    assert host.tell("folder").text == str(macros.bench.workspace)
    assert host.end() == 0

    assert host.printed() == ""
    read = reader.read(macros.recording)
    assert (read.header.subject, read.header.crate) == ("macro", "macros")
    assert read.header.consumer == reader.Consumer("app", "app", "0.1.0", "")
    assert read.header.places["MANIFEST_DIR"] == os.fsencode(macros.bench.package)
    assert read.header.places["OUT_DIR"] == os.fsencode(macros.bench.out_dir)
    assert (read.end.exit, read.end.unseen, read.end.voided) == (0, "", "")
    assert not macros.refused()
    assert os.listdir(macros.folder / "buildperm") == ["recording.jsonl"]
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    for line in macros.lines():
        validator.validate(line)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that a host is told to do, and whether it works."""

    verb: str
    argument: str
    works: bool
    grants: dict[str, list[str]] = field(default_factory=dict)
    is_sensitive: bool = False  # It fails the compilation to have tried.

    def __str__(self) -> str:
        granted = f" granted {self.grants}" if self.grants else ""
        return f"{self.verb} {self.argument}{granted}"


def allowed(verb: str, argument: str, **grants: list[str]) -> Attempt:
    return Attempt(verb, argument, works=True, grants=grants)


def refused(verb: str, argument: str, *, is_sensitive: bool = False) -> Attempt:
    return Attempt(verb, argument, works=False, is_sensitive=is_sensitive)


ATTEMPTS = [
    allowed("read", "{package}/Cargo.toml"),
    allowed("list", "{package}"),
    allowed("read", "{out}/made"),
    allowed("read", "{ws}/Cargo.toml"),
    allowed("read", "{ws}/Cargo.lock"),
    allowed("read", "{library}"),
    allowed("read", "/usr/lib/os-release"),
    allowed("list", "{package}/tests"),
    allowed("write", "{tmp}/file"),
    allowed("execute", "/usr/bin/true"),  # It is $CARGO here.
    refused("read", "{ws}/notes.txt"),
    refused("list", "{ws}"),
    refused("read", "{macros}/Cargo.toml"),
    refused("read", "{target}/debug/deps/libother.rmeta"),
    refused("list", "{target}/debug/deps"),
    refused("read", "{target}/buildperm-session"),
    refused("read", "{home}/.ssh/id_rsa", is_sensitive=True),
    refused("thread", "{home}/.ssh/id_rsa", is_sensitive=True),
    refused("straight", "{home}/.ssh", is_sensitive=True),
    refused("read", "{package}/.git/config"),
    refused("read", "{package}/target/debug/app"),
    refused("read", "{package}/.env", is_sensitive=True),
    refused("write", "{package}/new"),
    refused("write", "{out}/made"),
    refused("write", "{library}"),
    refused("write", "{target}/debug/deps/libother.rmeta"),
    refused("write", "{target}/debug/deps/libnew.rmeta"),
    refused("remove", "{target}/debug/deps/libother.rmeta"),
    refused("link", "{library} {tmp}/linked"),
    refused("write", "{folder}/buildperm/recording.jsonl"),
    refused("execute", "/usr/bin/id"),
    refused("connect", "{port}"),
    refused("unix", "{unix}"),
    refused("signal", "{launcher}"),
    refused("trace", "{launcher}"),
    refused("memory", "{launcher}"),
    refused("open", "/proc/{launcher}/mem", is_sensitive=True),
    refused("read", "/proc/{launcher}/environ", is_sensitive=True),
    allowed("read", "{ws}/notes.txt", read=["$WORKSPACE/notes.txt"]),
    allowed("list", "{ws}/data", read=["$WORKSPACE/data/**"]),
    allowed("write", "{ws}/data/new", write=["$WORKSPACE/data/**"]),
    allowed("execute", "/usr/bin/id", exec=["id"]),
    allowed("connect", "{port}", net=["127.0.0.1:{port}"]),
]


@dataclass(slots=True)
class Surroundings:
    """What attempts are about: files, a server, and a process."""

    macros: MacroBench
    listener: socket.socket
    unix: socket.socket
    launcher: subprocess.Popen[bytes]

    def named(self, text: str) -> str:
        bench = self.macros.bench
        return text.format(
            ws=bench.workspace,
            package=bench.package,
            out=bench.out_dir,
            target=bench.target,
            home=bench.home,
            library=self.macros.library,
            macros=self.macros.macros,
            folder=self.macros.folder,
            tmp=self.macros.scratch / "tmp",
            port=self.listener.getsockname()[1],
            unix=bench.top / "socket",
            launcher=self.launcher.pid,
        )


@pytest.fixture
def surroundings(macros: MacroBench) -> Iterator[Surroundings]:
    bench = macros.bench
    (bench.out_dir / "made").write_text("made\n")
    for name in (".git/config", "target/debug/app", "target/CACHEDIR.TAG", ".env"):
        (bench.package / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.package / name).write_text("text\n")
    (bench.workspace / "notes.txt").write_text("notes\n")
    (bench.workspace / "data").mkdir()
    (bench.home / ".ssh").mkdir()
    (bench.home / ".ssh/id_rsa").write_text("key\n")
    (macros.library.parent / "libother.rmeta").write_text("other\n")
    (bench.target / "buildperm-session").write_text("session\n")
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as unix,
        subprocess.Popen(["sleep", "1000"]) as launcher,
    ):
        unix.bind(str(bench.top / "socket"))
        unix.listen()
        yield Surroundings(macros, listener, unix, launcher)
        launcher.kill()


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
@pytest.mark.quick(12)
def test_what_a_host_may_do(surroundings: Surroundings, attempt: Attempt) -> None:
    macros = surroundings.macros
    macros.grants = {
        kind: list(map(surroundings.named, rules)) for kind, rules in attempt.grants.items()
    }
    argument = surroundings.named(attempt.argument)
    host = macros.start()

    answer = host.tell(attempt.verb, argument)
    status = host.end()

    if attempt.works:
        assert answer.code == 0
        assert status == 0
        assert not macros.refused()
    elif macros.bench.mounts and argument.startswith("/proc/"):
        assert answer.code in REFUSALS  # It is of another process, if there is one at all.
    else:
        assert answer.code in REFUSALS
        assert macros.refused()
        assert status == int(attempt.is_sensitive)
    assert macros.lines()[0]["crate"] == "macros"


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if not each.works], ids=str)
@pytest.mark.slow
def test_what_is_refused_would_work_without(
    surroundings: Surroundings, program: Path, attempt: Attempt
) -> None:
    surroundings.macros.scratch.joinpath("tmp").mkdir(parents=True)
    surroundings.macros.folder.joinpath("buildperm").mkdir()
    ours, theirs = socket.socketpair()
    ours.settimeout(120)
    with ours, theirs:
        command = f'exec 3<&{theirs.fileno()}; exec "$0" library'
        with subprocess.Popen(
            ["bash", "-c", command, program], pass_fds=[theirs.fileno()]
        ) as process:
            told = f"{attempt.verb} {surroundings.named(attempt.argument)}\n"
            ours.sendall(told.encode())
            answer = ours.recv(1 << 13)
            process.kill()

    assert answer.startswith(b"0 ")


GRANTED = {
    "read": ["$WORKSPACE/notes.txt"],
    "exec": ["id"],
    "env": ["GREETING", "APP_TOKEN"],
    "write": ["$WORKSPACE/data/**"],
}


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
@pytest.mark.quick(2)
def test_grants_hold_for_members_and_for_whom_they_name(
    surroundings: Surroundings, is_named: bool
) -> None:
    macros = surroundings.macros
    macros.grants = GRANTED
    macros.environment = {"GREETING": "hello", "APP_TOKEN": "t0ps3cret"}
    macros.consumer = macros.other
    macros.has_out_dir = False
    macros.consumers = [macros.other] if is_named else []
    host = macros.start()

    codes = [
        host.tell(verb, surroundings.named(argument)).code
        for verb, argument in (
            ("read", "{ws}/notes.txt"),
            ("execute", "/usr/bin/id"),
            ("write", "{ws}/data/new"),
            ("environment", "APP_TOKEN"),
        )
    ]
    own = host.tell("read", macros.other / "Cargo.toml")
    members = host.tell("read", macros.bench.package / "Cargo.toml")
    listed = host.tell("list", macros.bench.package)
    host.end()

    if is_named:
        assert codes == [0] * 4
    else:
        assert all(code in REFUSALS for code in codes)
    assert own.code == members.code == 0
    assert listed.code in REFUSALS
    assert macros.lines()[0]["consumer"]["name"] == "other"


def test_denials_hold_for_everybody(surroundings: Surroundings) -> None:
    macros = surroundings.macros
    macros.deny = {"read": ["$MANIFEST_DIR/Cargo.toml"], "env": ["CARGO_PKG_NAME"]}
    host = macros.start()

    assert host.tell("read", macros.bench.package / "Cargo.toml").code == errno.EACCES
    assert host.tell("environment", "CARGO_PKG_NAME").code == errno.ENOENT
    host.end()


@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
def test_while_learning_reads_are_seen_and_all_else_is_refused(surroundings: Surroundings) -> None:
    macros = surroundings.macros
    macros.profile = "learning"
    macros.environment = {"GREETING": "hello", "APP_TOKEN": "t0ps3cret"}
    host = macros.start()

    found = [
        host.tell(verb, surroundings.named(argument)).code
        for verb, argument in (
            ("read", "{ws}/notes.txt"),
            ("execute", "/usr/bin/id"),
            ("environment", "GREETING"),
            ("read", "{home}/.ssh/id_rsa"),
            ("write", "{ws}/data/new"),
            ("write", "{out}/made"),
            ("connect", "{port}"),
            ("environment", "APP_TOKEN"),
        )
    ]

    assert found[:3] == [0, 0, 0]
    assert all(found[3:])
    assert host.end() == 0
    assert surroundings.named("{ws}/notes.txt") in [line["path"] for line in macros.of("opened")]


def test_the_session_of_an_earlier_command_is_enforced(surroundings: Surroundings) -> None:
    macros = surroundings.macros
    macros.profile = "learning"
    macros.environment = {"BUILDPERM_SESSION": ""}
    host = macros.start()

    assert host.tell("read", surroundings.named("{ws}/notes.txt")).code == errno.EACCES
    host.end()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CARGO_PKG_NAME", "app"),
        ("OUT_DIR", "{out}"),
        ("CARGO_MANIFEST_DIR", "{package}"),
        ("CHOSEN_BY_SCRIPT", "chosen"),
        ("LD_LIBRARY_PATH", None),
        ("TMPDIR", "{tmp}"),
        ("USERS_OWN", None),
        ("CHOSEN_TOKEN", None),
        ("CARGO_MAKEFLAGS", None),
        ("BUILDPERM_SESSION", None),
    ],
)
@pytest.mark.quick(2)
def test_which_variables_a_macro_sees(
    own_bench: Bench,
    program: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str | None,
) -> None:
    monkeypatch.setenv("USERS_OWN", "mine")
    made = MacroBench(own_bench, program, own_bench.package)
    made.environment = {
        "USERS_OWN": "mine",
        "CHOSEN_BY_SCRIPT": "chosen",
        "CHOSEN_TOKEN": "chosen",
        "CARGO_MAKEFLAGS": "-j --jobserver-auth=3,4",
        "LD_LIBRARY_PATH": "/somewhere",
    }
    made.prepare()
    with served(made):
        host = made.start()
        answer = host.tell("environment", name)
        host.end()
        made.close()

    places = {
        "out": own_bench.out_dir,
        "package": own_bench.package,
        "tmp": made.scratch / "tmp",
    }
    assert answer.code == (errno.ENOENT if value is None else 0)
    assert answer.text == (value or "").format(**places)
    (read,) = [line for line in made.of("environment") if line["name"] == name]
    is_kept = name in ("USERS_OWN", "CHOSEN_TOKEN")
    assert bool(read.get("withheld")) == is_kept


def test_a_secret_that_is_asked_for_fails_the_compilation(macros: MacroBench) -> None:
    macros.environment = {"APP_TOKEN": "t0ps3cret"}
    host = macros.start()
    host.tell("environment", "APP_TOKEN")

    assert host.end() == 1

    printed = host.printed()
    assert "procedural macros of macros 1.0.0, for app 0.1.0" in printed
    assert "APP_TOKEN" in printed
    assert "t0ps3cret" not in printed


def test_a_package_without_a_build_script_has_no_output_folder(macros: MacroBench) -> None:
    macros.has_out_dir = False
    (macros.bench.out_dir / "made").write_text("made\n")
    host = macros.start()

    assert host.tell("read", macros.bench.package / "Cargo.toml").code == 0
    assert host.tell("read", macros.bench.out_dir / "made").code == errno.EACCES
    assert host.end() == 0
    assert "OUT_DIR" not in reader.read(macros.recording).header.places


@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
def test_a_host_gets_the_bridge_and_nothing_else(macros: MacroBench) -> None:
    host = macros.start()

    assert host.tell("descriptors").text == "0 1 2 3 "
    host.end()


def test_what_macros_print_is_no_message_of_a_compiler(macros: MacroBench) -> None:
    host = macros.start()
    for verb, text in (
        ("print", '{"reason":"build-finished","success":true}'),
        ("warn", '  {"$message_type":"artifact","artifact":"/x","emit":"link"}'),
        ("print", "cargo::rustc-env=A=B"),
        ("warn", "::error::no"),
        ("print", "plain \x1b[31mred\x1b[0m"),
        ("print", "x" * 5000),
        ("print-unended", '{"reason":"unended"}'),
    ):
        host.tell(verb, text)
    assert host.end() == 0

    lines = host.printed().split("\n")
    assert lines[:5] == [
        '%7B"reason":"build-finished","success":true}',
        '  %7B"$message_type":"artifact","artifact":"/x","emit":"link"}',
        "cargo%3A:rustc-env=A=B",
        "%3A%3Aerror::no",
        "plain red",
    ]
    assert "".join(lines[5:-2]) == "x" * 5000
    assert lines[-2:] == ['%7B"reason":"unended"}', ""]


def test_a_pipe_full_of_braces_holds_no_line_that_begins_with_one(macros: MacroBench) -> None:
    host = macros.start()
    host.tell("print", "{" * 8000)
    assert host.end() == 0

    assert not [line for line in host.printed().splitlines() if line.startswith("{")]


def test_what_macros_print_has_an_end(macros: MacroBench) -> None:
    macros.limits = {"stderr_bytes": 1000}
    host = macros.start()
    for _ in range(100):
        host.tell("print", "x" * 100)
    assert host.end() == 0

    printed = host.printed()
    assert len(printed) < 1200
    assert "is left out" in printed


@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
def test_what_is_left_running_is_ended(macros: MacroBench) -> None:
    host = macros.start()
    host.tell("daemon")
    assert len(processes_with(os.fsencode(macros.library))) >= 2

    assert host.end() == 0

    assert not processes_with(os.fsencode(macros.library))
    assert "ended 1 process that it left running" in host.printed()
    assert reader.read(macros.recording).end.left_running == 1


@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
@pytest.mark.parametrize(
    ("limits", "verb", "argument", "said"),
    [
        ({"seconds": 2}, "spin", "", "it ran for too long"),
        ({"seconds": 2}, "sleep", "1000", "it ran for too long"),
        ({"memory_bytes": 100 << 20}, "grow", "300", "too much memory"),
        ({"processes": 5}, "fork", "10", "too many processes"),
    ],
)
@pytest.mark.quick(2)
def test_limits_end_a_host(
    macros: MacroBench, limits: dict[str, int], verb: str, argument: str, said: str
) -> None:
    macros.limits = limits
    host = macros.start()
    host.bridge.sendall(f"{verb} {argument}\nsleep 1000\n".encode())

    while host.bridge.recv(100):  # Its compiler is told by the end of the bridge.
        pass
    assert host.wait() == 1
    assert said in host.printed()
    assert reader.read(macros.recording).end.failure


@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
@pytest.mark.quick(1)
def test_a_host_that_waits_for_its_compiler_spends_no_time(macros: MacroBench) -> None:
    macros.limits = {"seconds": 2}
    host = macros.start()
    host.tell("folder")

    time.sleep(5)  # Longer than the limit, if it counted.

    assert host.tell("folder").code == 0
    assert host.end() == 0


@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
def test_a_host_that_crashes_is_its_compilers_to_notice(macros: MacroBench) -> None:
    host = macros.start()
    host.say("crash")

    assert host.bridge.recv(1) == b""
    assert host.wait() == 0
    assert os.WTERMSIG(reader.read(macros.recording).end.status) == signal.SIGABRT


@pytest.mark.parametrize("macros", RUNTIMES, indirect=True)
def test_the_end_of_the_launcher_is_the_end_of_the_host(macros: MacroBench) -> None:
    host = macros.start()
    host.tell("folder")
    assert processes_with(os.fsencode(macros.library))

    host.connection.close()

    assert host.bridge.recv(1) == b""
    assert wait_until(lambda: not processes_with(os.fsencode(macros.library)))
    assert wait_until(lambda: not any((macros.scratch / "tmp").iterdir()))


def test_the_end_of_the_server_is_the_end_of_all_hosts(own_bench: Bench, program: Path) -> None:
    made = MacroBench(own_bench, program, own_bench.package)
    made.prepare()
    with served(made):
        host = made.start()
        host.tell("folder")

    assert host.bridge.recv(1) == b""
    assert not processes_with(os.fsencode(made.library))
    made.close()


def test_without_a_server_an_interpreter_does_the_same(own_bench: Bench, program: Path) -> None:
    made = MacroBench(own_bench, program, own_bench.package)
    made.prepare()
    host = made.start()

    assert host.tell("read", own_bench.package / "Cargo.toml").code == 0
    assert host.tell("list", own_bench.workspace).code == errno.EACCES
    assert host.tell("descriptors").text == "0 1 2 3 "
    assert host.end() == 0
    assert made.lines()[0]["subject"] == "macro"
    made.close()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"macro": "2"}, "of another version"),
        ({"session": "/nowhere"}, "of another build"),
        ({"library": "relative"}, "no absolute path"),
        ({"consumer": "/nowhere"}, "is not one that buildperm knows of"),
        ({"manifest": "/nowhere"}, "is not one that buildperm knows of"),
        ({"folder": "/tmp/a/b"}, "no folder for a run of macros"),
        ({"folder": "{target}/buildperm-compile/../deps"}, "no folder for a run of macros"),
        ({"folder": "{target}/buildperm-compile/a"}, "no folder for a run of macros"),
        ({"out_dir": "{ws}"}, "no output folder of a build script"),
        ({"cwd": "/nowhere at all"}, "No such file"),
    ],
)
@pytest.mark.quick(2)
def test_a_request_that_does_not_fit_is_refused(
    macros: MacroBench, changed: dict[str, str], said: str
) -> None:
    bench = macros.bench
    named = {
        name: value.format(target=bench.target, ws=bench.workspace)
        for name, value in changed.items()
    }
    host = macros.start(macros.request(**named))

    assert host.wait() == 1

    assert host.bridge.recv(1) == b""
    assert said in host.printed()
    assert not macros.recording.exists()


@pytest.mark.parametrize(
    "request_",
    [b"\xff\xff\xff\xff", b"\4\0\0\0abcd", b"\0\0\0\0", b"\6\0\0\0a b\0c\0"],
)
@pytest.mark.quick(2)
def test_what_is_no_request_is_refused(macros: MacroBench, request_: bytes) -> None:
    host = macros.start(request_)

    assert host.wait() == 1
    assert host.bridge.recv(1) == b""


@pytest.mark.parametrize(
    ("prepared", "told"), [(None, b"1\n"), (filtered, b"")], ids=["free", "filtered"]
)
def test_who_is_filtered_is_not_served(
    macros: MacroBench, prepared: Callable[[], None] | None, told: bytes
) -> None:
    asking = program_text("connects_to_server.py", SERVER=macros.server)

    ran = subprocess.run(
        [sys.executable, "-c", asking],
        preexec_fn=prepared,
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert ran.stdout == told


@pytest.mark.slow
def test_many_ask_at_once(macros: MacroBench) -> None:
    hosts = []
    for number in range(20):
        folder = macros.bench.target / f"buildperm-compile/unit-{number}" / LIBRARY
        folder.mkdir(parents=True)
        hosts.append(macros.start(macros.request(folder=str(folder))))

    answers = [host.tell("folder").code for host in hosts]
    statuses = [host.end() for host in hosts]

    assert answers == statuses == [0] * 20
    assert len(list(macros.bench.target.glob("buildperm-compile/*/*/buildperm/*.jsonl"))) == 20
