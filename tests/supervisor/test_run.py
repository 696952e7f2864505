"""A run from its stub to its recording: output, environment, descriptors, ends of all kinds."""

from __future__ import annotations

import contextlib
import marshal
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm import printable
from buildperm.supervisor import launch
from buildperm.supervisor.session import dump
from tests.bench import processes_with, wait_until
from tests.programs import program_text
from tests.supervisor.refused_calls import refuse_pidfd_getfd

if TYPE_CHECKING:
    from tests.bench import Bench

MIB = 1 << 20


def test_what_it_prints_for_cargo_comes_out_when_it_has_ended(bench: Bench) -> None:
    placed = bench.script('print("hello\\ncargo:rustc-cfg=a\\ncargo::metadata=root=/x")')

    ended = bench.run(placed)

    assert (ended.status, ended.stderr) == (0, b"")
    assert ended.stdout == b"hello\ncargo:rustc-cfg=a\ncargo::metadata=root=/x\n"
    assert [event["verdict"] for event in ended.of("directive")] == ["free", "free"]


def test_its_own_exit_status_is_passed_on(bench: Bench) -> None:
    ended = bench.run(bench.script("import sys; sys.exit(7)"))

    assert ended.status == 7
    assert ended.of("end")[0]["exit"] == 7
    assert ended.of("end")[0]["status"] == 7 << 8


def test_a_death_by_signal_gives_what_a_shell_says(bench: Bench) -> None:
    ended = bench.run(bench.script("import os; os.abort()"))

    assert ended.status == 128 + signal.SIGABRT


@pytest.mark.parametrize(
    "directive",
    [
        "cargo:rustc-env=LD_PRELOAD=/x.so",
        "cargo::rustc-env=PATH=/x",
        "  cargo:rustc-link-arg=-B/x",
        "\\u00a0cargo:rustc-link-arg=-B/x",
        "\\x1b[31mcargo:rustc-env=RUSTC_WRAPPER=/x",
        "car\\x1b[mgo:rustc-env=RUSTC_WRAPPER=/x",
        "\\x00cargo:rustc-env=RUSTC_WRAPPER=/x",
    ],
)
def test_a_directive_that_was_not_granted_fails_an_enforced_run(
    own_bench: Bench, directive: str
) -> None:
    placed = own_bench.script(f'print("cargo:rustc-cfg=a"); print("{directive}")')

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert ended.stdout == b""
    assert b"directives that it was not granted" in ended.stderr
    assert b"crate 0.1.0" in ended.stderr
    assert "directives" in ended.of("end")[0]["failure"]


def test_bytes_that_are_no_text_do_not_hide_a_directive(own_bench: Bench) -> None:
    """Cargo ignores such a line; once the bytes are taken out it would obey it."""
    placed = own_bench.script(
        'import os; os.write(1, b"\\xffcargo:rustc-env=LD_PRELOAD=/x.so\\n\\xff\\xfe\\n")'
    )

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert b"LD_PRELOAD" in ended.stderr
    assert b"LD_PRELOAD" not in ended.stdout


def test_learning_withholds_directives_and_goes_on(bench: Bench) -> None:
    placed = bench.script('print("cargo:rustc-env=LD_PRELOAD=/x\\ncargo:rustc-link-arg=-s")')

    ended = bench.run(placed, "learning")

    assert (ended.status, ended.stdout) == (0, b"")
    assert b"warning: kept from Cargo: rustc-env=LD_PRELOAD=/x (forbidden)" in ended.stderr
    assert [event["verdict"] for event in ended.of("directive")] == ["forbidden", "refused"]


def test_a_granted_directive_passes(own_bench: Bench) -> None:
    own_bench.grants = {"directives": ["rustc-link-arg=-s"]}

    ended = own_bench.run(own_bench.script('print("cargo:rustc-link-arg=-s")'))

    assert (ended.status, ended.stdout) == (0, b"cargo:rustc-link-arg=-s\n")


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        (  # From the folder of the package it leads to $OUT_DIR/d, from that of rustc elsewhere.
            'os.symlink("/proc/self/cwd/../target/debug/build/crate-1/out/d", out + "/l")',
            "$OUT_DIR/l: a link through /proc",
        ),
        ('os.mkfifo(out + "/f")', "$OUT_DIR/f: a fifo"),
        ("born_with(0o4755)", "$OUT_DIR/s: a setuid or setgid"),
        ("born_with(0o2755)", "$OUT_DIR/s: a setuid or setgid"),
        ('os.symlink("/etc/shadow", out + "/a\\nb")', "$OUT_DIR/a%0Ab to /etc/shadow"),
    ],
)
@pytest.mark.parametrize("profile", ["learning", "enforcing"])
@pytest.mark.quick(5)
def test_what_must_not_be_in_the_output_fails_the_run(
    own_bench: Bench, profile: str, body: str, finding: str
) -> None:
    placed = own_bench.script(
        # openat2(2) is the way to a setuid file that the filter cannot see: its mode is in memory.
        "import ctypes, os, struct; born_with = lambda mode: ctypes.CDLL(None).syscall("
        '437, -100, os.fsencode(out + "/s"), struct.pack("=3Q", os.O_CREAT, mode, 0), 24)\n'
        f'out = os.environ["OUT_DIR"]; os.mkdir(out + "/d"); {body}\n'.replace("\nb", "\\nb")
        + 'print("cargo:rustc-cfg=a")'
    )

    ended = own_bench.run(placed, "learning" if profile == "learning" else "enforcing")

    assert ended.status == 1
    assert ended.stdout == b""
    assert finding in ended.stderr.decode()
    assert finding in ended.of("end")[0]["failure"]


def test_links_inside_the_output_are_fine(own_bench: Bench) -> None:
    placed = own_bench.script(
        'import os; o = os.environ["OUT_DIR"]; open(o + "/a", "w"); os.symlink("a", o + "/l"); '
        'os.symlink(o + "/a", o + "/m"); os.link(o + "/a", o + "/h")'
    )

    assert own_bench.run(placed).status == 0


@pytest.mark.slow
def test_a_tree_too_deep_to_look_into_fails_the_run_and_can_be_removed(own_bench: Bench) -> None:
    deep = 'for _ in range(450): os.mkdir("d" * 9); os.chdir("d" * 9)'
    placed = own_bench.script(
        f'import os\nfor v in ("OUT_DIR", "TMPDIR"):\n  os.chdir(os.environ[v])\n  {deep}'
    )

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert b"too many folders inside each other" in ended.stderr
    assert not (own_bench.unit / "buildperm/scratch").exists()
    subprocess.run(["rm", "-rf", own_bench.out_dir], check=True)


def test_secrets_of_the_environment_are_withheld_and_asking_for_one_fails(bench: Bench) -> None:
    bench.environment = {"GITHUB_TOKEN": "ghp_secret", "MY_OWN": "1", "CFLAGS": "-O2"}
    source = bench.top / "main.rs"
    source.write_text(
        'fn main() { for n in ["GITHUB_TOKEN", "MY_OWN", "CFLAGS"] '
        '{ println!("{n}={:?}", std::env::var(n).ok()); } }'
    )
    subprocess.run(["rustc", "-o", bench.top / "main", source], check=True)
    placed = bench.install(bench.top / "main")

    learnt = bench.run(placed, "learning")
    enforced = bench.run(placed)
    bench.deny = {"env": ["GITHUB_TOKEN"]}
    denied = bench.run(placed)
    bench.deny = {}
    bench.grants = {"env": ["GITHUB_TOKEN"]}
    granted = bench.run(placed)

    assert learnt.stdout == b'GITHUB_TOKEN=None\nMY_OWN=Some("1")\nCFLAGS=Some("-O2")\n'
    reads = {event["name"]: event.get("withheld", False) for event in learnt.of("environment")}
    assert reads["GITHUB_TOKEN"] is True
    assert reads["MY_OWN"] is False
    assert (learnt.status, enforced.status) == (0, 1)
    assert b"it asked for the environment variable GITHUB_TOKEN" in enforced.stderr
    assert b"MY_OWN" not in enforced.stderr
    assert denied.stdout == b'GITHUB_TOKEN=None\nMY_OWN=None\nCFLAGS=Some("-O2")\n'
    assert granted.stdout.startswith(b'GITHUB_TOKEN=Some("ghp_secret")\nMY_OWN=None\n')
    assert b"ghp_secret" not in (bench.unit / "buildperm/context").read_bytes()


@pytest.mark.parametrize("cache", [b"sccache", b"/usr/local/bin/sccache", b"ccache"])
def test_a_compiler_cache_is_not_for_scripts(bench: Bench, cache: bytes) -> None:
    bench.rustc_wrapper = cache
    placed = bench.script("import os; print(os.environ.get('RUSTC_WRAPPER'))")

    assert bench.run(placed, "learning").stdout == b"None\n"


def test_its_environment_is_private_and_says_nothing_of_us(bench: Bench) -> None:
    bench.environment = {
        "RUSTC_WRAPPER": "/our/wrapper",
        "BUILDPERM_STUB": "x",
        "XDG_RUNTIME_DIR": "/run/user/0",
    }
    bench.rustc_wrapper = b"/opt/wrapper"
    placed = bench.script("import os; [print(k, v) for k, v in sorted(os.environ.items())]")

    ended = bench.run(placed, "learning")

    told = dict(line.split(" ", 1) for line in ended.stdout.decode().splitlines())
    scratch = str(bench.unit / "buildperm/scratch")
    assert told["HOME"] == f"{scratch}/home"
    assert told["TMPDIR"] == f"{scratch}/tmp"
    assert told["RUSTC_WRAPPER"] == "/opt/wrapper"
    assert told["CARGO_HOME"] == str(bench.cargo_home)
    assert told["PATH"] == "/usr/bin:/bin"
    assert told["TERM"] == "dumb"
    assert "XDG_RUNTIME_DIR" not in told
    assert not any(name.startswith("BUILDPERM") for name in told)
    assert not (bench.unit / "buildperm/scratch").exists()


def test_only_the_jobserver_is_inherited(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    reading, writing = os.pipe()
    secret = os.open("/etc/passwd", os.O_RDONLY)
    os.write(writing, b"+")
    bench.environment = {"CARGO_MAKEFLAGS": f"-j --jobserver-auth={reading},{writing}"}
    placed = bench.script(program_text("inherited_descriptors.py", READING=str(reading)))
    try:
        ended = bench.run(placed, pass_fds=(reading, writing, secret))
    finally:
        for descriptor in (reading, writing, secret):
            os.close(descriptor)

    lines = ended.stdout.decode().splitlines()
    # The interpreter holds its script open on the lowest free descriptor.
    pipes = [line for line in lines if line.endswith(f" {stat.S_IFIFO}")]
    assert pipes == [f"{reading} {stat.S_IFIFO}", f"{writing} {stat.S_IFIFO}"]
    assert f"{secret} {stat.S_IFREG}" not in lines or secret == 3
    assert "token b'+'" in lines
    assert lines[-1] == f"{os.makedev(1, 3)} True"


def test_a_jobserver_that_is_a_fifo_can_be_used(bench: Bench) -> None:
    fifo = bench.top / "jobserver"
    os.mkfifo(fifo)
    bench.environment = {"CARGO_MAKEFLAGS": f"-j2 --jobserver-auth=fifo:{fifo}"}
    placed = bench.script(
        f"import os; fd = os.open('{fifo}', os.O_RDWR); os.write(fd, b'+'); print(os.read(fd, 1))"
    )

    ended = bench.run(placed)

    assert (ended.status, ended.stdout) == (0, b"b'+'\n")


def test_limits_and_signals_are_those_of_a_fresh_process(own_bench: Bench) -> None:
    own_bench.limits = {"file_bytes": 1 << 20, "open_files": 100}
    placed = own_bench.script(program_text("prints_limits.py"))

    ended = own_bench.run(placed)
    own_bench.environment = {"DEP_BIG": "1"}
    stopped = own_bench.run(placed)

    assert ended.stdout.splitlines()[:2] == [b"(0, 0) 1048576 100", b"1"]
    assert ended.status == 0
    assert stopped.status == 1  # Python ignores SIGXFSZ and sees EFBIG.
    assert stopped.stdout == b""
    assert b"File too large" in stopped.stderr
    assert b"file_bytes" in stopped.stderr


def test_a_daemon_is_ended_with_the_run_and_reported(bench: Bench) -> None:
    mark = f"daemon-{os.getpid()}-{bench.uid}"
    bench.environment = {"CARGO_PKG_NAME": mark}
    placed = bench.script(program_text("leaves_quiet_daemon.py"))

    ended = bench.run(placed)

    assert (ended.status, ended.stdout) == (0, b"cargo:rustc-cfg=a\n")
    assert b"warning: ended 1 process that it left running" in ended.stderr
    assert ended.of("end")[0]["left_running"] == 1
    assert processes_with(mark.encode()) == []


def test_more_output_than_a_run_may_print_fails_in_an_orderly_way(bench: Bench) -> None:
    bench.limits = {"stdout_bytes": MIB}
    placed = bench.script("import sys\nwhile True: sys.stdout.write('x' * 9999 + '\\n')")

    ended = bench.run(placed)

    assert ended.status == 128 + signal.SIGKILL
    assert ended.stdout == b""
    assert b"printed more to standard output than a run may" in ended.stderr
    assert ended.of("end")[0]["failure"]
    assert not (bench.unit / "buildperm/scratch").exists()


@pytest.mark.slow
def test_two_hundred_megabytes_of_output_pass_the_limit_and_are_thrown_away(
    own_bench: Bench,
) -> None:
    placed = own_bench.script(
        "import os\nblock = (b'y' * 1023 + b'\\n') * 1024\nfor _ in range(200): os.write(1, block)"
    )

    ended = own_bench.run(placed)

    assert ended.status == 128 + signal.SIGKILL
    assert ended.stdout == b""
    assert b"printed more" in ended.stderr


def test_a_flood_of_talk_is_cut_and_the_run_goes_on(own_bench: Bench) -> None:
    own_bench.limits = {"stderr_bytes": 10_000}
    placed = own_bench.script(
        "import sys\nfor _ in range(100000): sys.stderr.write('talk\\n')\n"
        "print('cargo:rustc-cfg=a')"
    )

    ended = own_bench.run(placed)

    assert (ended.status, ended.stdout) == (0, b"cargo:rustc-cfg=a\n")
    assert len(ended.stderr) < 11_000
    assert ended.stderr.endswith(b"what the build script says is left out\n")


def test_hostile_bytes_in_its_talk_reach_no_terminal(own_bench: Bench) -> None:
    placed = own_bench.script(
        "import os\n"
        "os.write(2, b'a\\x1b[31mred\\x1b[0m\\x1b]0;title\\x07b\\rc\\x00\\x07\\xff\\xc2\\x9b'"
        " + '\\u202eevil \\u00e9\\ttab'.encode() + b'\\nnext')"
    )

    ended = own_bench.run(placed)

    assert ended.status == 0
    assert ended.stderr.decode() == "aredbcevil \u00e9\ttab\nnext"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything_and_leaves_nothing_half_written(
    bench: Bench, sent: signal.Signals
) -> None:
    mark = f"endless-{os.getpid()}-{bench.uid}-{sent}"
    bench.environment = {"CARGO_PKG_NAME": mark}
    placed = bench.script(
        "import os, time\nos.fork(); os.fork()\n"
        "open(os.environ['OUT_DIR'] + '/started', 'w')\nwhile True: time.sleep(600)"
    )
    with bench.start(placed) as process:
        assert wait_until((bench.out_dir / "started").exists)
        process.send_signal(sent)
        process.communicate(timeout=120)

    assert process.returncode == 130
    assert processes_with(mark.encode()) == []
    assert sorted(path.name for path in (bench.unit / "buildperm").iterdir()) == ["context"]
    assert bench.progress_lines()[-1]["exit"] == 130


def test_stopped_children_do_not_keep_a_run_from_ending(bench: Bench) -> None:
    mark = f"stopped-{os.getpid()}-{bench.uid}"
    bench.environment = {"CARGO_PKG_NAME": mark}
    placed = bench.script(
        "import os, signal, time\n"
        "pid = os.fork()\n"
        "if pid == 0: os.kill(os.getpid(), signal.SIGSTOP); time.sleep(600)\n"
        "os.waitpid(pid, os.WUNTRACED); print('cargo:rustc-cfg=a')"
    )

    ended = bench.run(placed)

    assert (ended.status, ended.stdout) == (0, b"cargo:rustc-cfg=a\n")
    assert processes_with(mark.encode()) == []


def test_an_interrupt_reaches_a_tree_that_has_stopped_itself(own_bench: Bench) -> None:
    mark = f"frozen-{os.getpid()}"
    own_bench.environment = {"CARGO_PKG_NAME": mark}
    placed = own_bench.script(
        "import os, signal\nopen(os.environ['OUT_DIR'] + '/started', 'w')\n"
        "os.kill(os.getpid(), signal.SIGSTOP)"
    )
    with own_bench.start(placed) as process:
        assert wait_until((own_bench.out_dir / "started").exists)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)

    assert process.returncode == 130
    assert processes_with(mark.encode()) == []


def test_killing_the_supervisor_kills_all_that_it_started(bench: Bench) -> None:
    mark = f"orphan-{os.getpid()}-{bench.uid}"
    bench.environment = {"CARGO_PKG_NAME": mark}
    placed = bench.script(
        "import os, time\nif os.fork() == 0: os.setsid()\n"
        "open(os.environ['OUT_DIR'] + '/started', 'w')\nwhile True: time.sleep(600)"
    )
    with bench.start(placed) as process:
        assert wait_until((bench.out_dir / "started").exists)
        # Other users than root cannot look at the supervisor, which makes itself undumpable.
        started = set(processes_with(mark.encode())) - {process.pid}
        process.kill()
        process.communicate(timeout=120)

    assert len(started) == 2
    assert wait_until(lambda: processes_with(mark.encode()) == [])
    assert not bench.recording.exists()


def test_killing_cargo_ends_the_supervisor_in_an_orderly_way(bench: Bench) -> None:
    mark = f"cargoless-{os.getpid()}-{bench.uid}"
    bench.environment = {"CARGO_PKG_NAME": mark}
    placed = bench.script(
        "import os, time\nopen(os.environ['OUT_DIR'] + '/started', 'w')\n"
        "while True: time.sleep(600)"
    )
    wrapper = bench.top / "cargo.sh"
    wrapper.write_text(f"#!/bin/sh\n'{placed}' & wait\n")
    wrapper.chmod(0o755)
    with bench.start(wrapper, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert wait_until((bench.out_dir / "started").exists)
        process.kill()
        process.wait(timeout=120)

    assert wait_until(lambda: processes_with(mark.encode()) == [])
    # A supervisor shows its environment to root only.
    assert wait_until(lambda: not (bench.unit / "buildperm/scratch").exists())
    assert not bench.recording.exists()


def test_the_recording_says_who_where_and_how(bench: Bench) -> None:
    ended = bench.run(bench.script("import os; os.listdir(os.environ['CARGO_MANIFEST_DIR'])"))

    header, end = ended.events[0], ended.events[-1]
    assert header["crate"] == "crate"
    assert header["mode"] == "enforcing"
    assert header["features"] == ["std"]
    assert header["session"] == "d1"
    assert header["landlock_abi"] >= 1
    assert header["places"]["OUT_DIR"] == str(bench.out_dir)
    assert header["places"]["MANIFEST_DIR"] == str(bench.package)
    assert (end["status"], end["exit"], end["failure"], end["voided"]) == (0, 0, "", "")
    assert str(bench.package) in [event["path"] for event in ended.of("opened")]
    assert stat.S_IMODE(bench.recording.stat().st_mode) == 0o600


def test_progress_tells_of_start_and_end(bench: Bench) -> None:
    bench.run(bench.script("pass"))

    started, ended = bench.progress_lines()
    assert (started["event"], started["crate"], started["version"]) == ("started", "crate", "0.1.0")
    assert (ended["event"], ended["exit"]) == ("ended", 0)
    assert ended["recording"] == str(bench.recording)
    assert ended["duration_ns"] > 0


def test_the_context_is_enough_to_run_it_again(bench: Bench) -> None:
    placed = bench.script("import sys; print(sys.argv[1:])")
    bench.run(placed)

    path = bench.unit / "buildperm/context"
    context = marshal.loads(path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert context["argv"] == [os.fsencode(placed)]
    assert context["cwd"] == os.fsencode(bench.package)
    assert context["out_dir"] == os.fsencode(bench.out_dir)
    assert context["program"].endswith(b"/build_script_build-0.real")
    assert context["env"][b"TARGET"] == b"x86_64-unknown-linux-gnu"
    assert not any(name.startswith(b"BUILDPERM") for name in context["env"])


def test_a_hard_link_of_the_stub_under_another_name_finds_the_program(own_bench: Bench) -> None:
    placed = own_bench.script('print("found")')
    other = placed.with_name("build_script_build-0")
    os.link(placed, other)

    assert own_bench.run(other).stdout == b"found\n"


def test_without_a_session_in_the_environment_the_last_one_is_enforced(own_bench: Bench) -> None:
    placed = own_bench.script("open('/etc/fstab').read()")
    assert own_bench.run(placed, "learning").status == 0
    os.replace(own_bench.top / "session", own_bench.target / "buildperm-session")
    variables = own_bench.variables()
    del variables["BUILDPERM_SESSION"]

    ended = own_bench.run(placed, "learning", env=variables)

    assert ended.status == 1
    assert ended.of("header")[0]["mode"] == "enforcing"
    assert b"Permission denied: '/etc/fstab'" in ended.stderr


def test_a_missing_supervisor_is_explained(own_bench: Bench) -> None:
    placed = own_bench.script("pass")
    placed.write_bytes(placed.read_bytes().replace(b"/main.py", b"/gone.py"))

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert b"gone.py is missing" in ended.stderr
    assert b"`cargo clean`" in ended.stderr


BROKEN = [
    ("no session", {"BUILDPERM_SESSION": "/nowhere"}, b"cannot read the session `/nowhere`", 1),
    ("unknown package", {"CARGO_MANIFEST_DIR": "/usr"}, b"the package in `/usr` is not one", 1),
    ("no package", {"CARGO_MANIFEST_DIR": ""}, b"CARGO_MANIFEST_DIR is not set", 1),
    ("no OUT_DIR", {"OUT_DIR": ""}, b"OUT_DIR is not set", 1),
    ("OUT_DIR is missing", {"OUT_DIR": "/nowhere"}, b"OUT_DIR `/nowhere` is no folder", 1),
]


@pytest.mark.parametrize(
    ("_name", "variables", "said", "status"), BROKEN, ids=lambda x: str(x)[:20]
)
def test_what_is_missing_fails_closed_and_is_said(
    own_bench: Bench, _name: str, variables: dict[str, str], said: bytes, status: int
) -> None:
    placed = own_bench.script("open(__import__('os').environ['OUT_DIR'] + '/ran', 'w')")
    own_bench.environment = variables

    ended = own_bench.run(placed)

    assert ended.status == status
    assert ended.stdout == b""
    assert said in ended.stderr
    assert b"Traceback" not in ended.stderr
    assert not (own_bench.out_dir / "ran").exists()


def test_a_session_of_another_python_fails_closed(own_bench: Bench) -> None:
    placed = own_bench.script("pass")
    session = own_bench.session("enforcing")
    session["python"] = 1
    with own_bench.start(placed) as process:
        process.communicate()
    (own_bench.top / "session").write_bytes(dump(session))

    ended = subprocess.run([placed], env=own_bench.variables(), capture_output=True, check=False)

    assert ended.returncode == 1
    assert b"written by another version of buildperm or Python" in ended.stderr


def test_a_missing_program_is_named(own_bench: Bench) -> None:
    placed = own_bench.script("pass")
    placed.with_name("build_script_build-0.real").unlink()

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert b"build_script_build-0.real` is missing" in ended.stderr


def test_a_program_that_cannot_be_executed_is_an_orderly_failure(own_bench: Bench) -> None:
    placed = own_bench.script("pass")
    placed.with_name("build_script_build-0.real").write_bytes(b"\x7fELF nonsense")

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert b"cannot start it: execute `" in ended.stderr
    assert not (own_bench.unit / "buildperm/scratch").exists()


def test_a_file_made_for_a_write_grant_is_removed_if_it_was_not_used(own_bench: Bench) -> None:
    own_bench.grants = {"write": ["$WORKSPACE/new.rs", "$WORKSPACE/gen/**"]}

    assert own_bench.run(own_bench.script("pass")).status == 0
    assert not (own_bench.workspace / "new.rs").exists()
    assert not (own_bench.workspace / "gen").exists()

    body = "import os; open(os.environ['CARGO_MANIFEST_DIR'] + '/../new.rs', 'w').write('x')"
    assert own_bench.run(own_bench.script(body)).status == 0
    assert (own_bench.workspace / "new.rs").read_text() == "x"


def test_a_link_that_the_script_planted_widens_no_grant(own_bench: Bench) -> None:
    (own_bench.workspace / "gen").mkdir()
    (own_bench.workspace / "private").write_text("private")
    own_bench.grants = {
        "write": ["$WORKSPACE/gen/**"],
        "read": ["$WORKSPACE/gen/a", "$WORKSPACE/gen/*"],
    }
    placed = own_bench.script(
        "import os; gen = os.environ['CARGO_MANIFEST_DIR'] + '/../gen'\n"
        "if os.path.lexists(gen + '/a'): print(open(gen + '/a').read())\n"
        "else: os.symlink('../private', gen + '/a')"
    )

    assert own_bench.run(placed).status == 0
    ended = own_bench.run(placed)

    assert ended.status == 1
    assert b"PermissionError" in ended.stderr


def test_an_older_landlock_holds_what_it_can(own_bench: Bench) -> None:
    own_bench.abi = 1
    (own_bench.workspace / "b").write_text("b")
    placed = own_bench.script(
        "import os; out = os.environ['OUT_DIR']; os.mkdir(out + '/d'); open(out + '/a', 'w')\n"
        "for attempt in (lambda: os.rename(out + '/a', out + '/d/a'),"
        " lambda: open(os.environ['CARGO_MANIFEST_DIR'] + '/../b')):\n"
        "  try: attempt(); print('done')\n"
        "  except OSError as error: print(error.strerror)"
    )

    ended = own_bench.run(placed)

    # Without the right REFER no file moves between folders: landlock(7), ABI 2.
    assert ended.stdout == b"Invalid cross-device link\nPermission denied\n"


def test_nothing_heavy_is_loaded_into_a_supervisor(own_bench: Bench) -> None:
    """Each of these costs every build script milliseconds."""
    probe = own_bench.top / "probe.py"
    placed = own_bench.script("pass")
    supervisor = placed.read_bytes().split(b"\nsupervisor=")[1].split(b"\n")[0].decode()
    probe.write_text(
        program_text("lists_imports.py", PLACED=str(placed), SUPERVISOR=str(supervisor))
    )
    with own_bench.start(placed) as process:
        process.communicate()

    ended = subprocess.run(
        [own_bench.python, "-IS", probe], env=own_bench.variables(), capture_output=True, check=True
    )

    loaded = set(ended.stdout.decode().split()) - {"runpy"}
    heavy = "dataclasses typing json re enum signal socket subprocess threading pathlib tempfile"
    assert loaded.isdisjoint([*heavy.split(), "shutil", "logging", "inspect", "site", "ptrace"])
    assert "buildperm.tracer.recorder.loop" in loaded
    with contextlib.suppress(FileNotFoundError):
        own_bench.progress.unlink()


@pytest.mark.parametrize(
    ("layout", "supervisor"),
    [
        ("wheel", "site/buildperm/supervisor/main.py"),
        ("checkout", "buildperm/supervisor/main.py"),
        ("checkout", "buildperm/buildperm/supervisor/main.py"),
        ("checkout", "../relative/../buildperm/supervisor/main.py"),
    ],
)
@pytest.mark.quick(1)
def test_the_supervisor_finds_its_package(tmp_path: Path, layout: str, supervisor: str) -> None:
    """A checkout may itself be called buildperm."""
    parts = ("tracer", "rules", "supervisor")
    base = tmp_path / "site/buildperm" if layout == "wheel" else tmp_path / "buildperm"
    for part in parts:
        source = Path(launch.__file__).parent.parent / part
        shutil.copytree(source, base / part, ignore=shutil.ignore_patterns("__pycache__"))
    package = base if layout == "wheel" else base / "buildperm"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    shutil.copy(printable.__file__, package)
    if layout == "checkout":
        for part in parts:
            (package / part).symlink_to(f"../{part}")
    (tmp_path / "relative").mkdir()
    folder = tmp_path / "relative" if supervisor.startswith("..") else tmp_path

    ended = subprocess.run(
        [sys.executable, "-IS", supervisor, "/nowhere/stub"],
        cwd=folder,
        capture_output=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr == (
        b"buildperm: cannot read the stub `/nowhere/stub`: No such file or directory\n"
    )


@pytest.mark.slow
def test_one_line_as_long_as_all_that_may_be_printed_is_judged_at_once(own_bench: Bench) -> None:
    placed = own_bench.script("import os\nfor _ in range(60): os.write(1, b'z' * (1 << 20))")

    ended = own_bench.run(placed)

    assert ended.status == 0
    assert len(ended.stdout) == (60 << 20) + 1


def test_a_run_that_cannot_be_held_is_told_to_the_command(own_bench: Bench) -> None:
    own_bench.grants = {"net": ["github.com:443"]}

    own_bench.run(own_bench.script("pass"), preexec_fn=refuse_pidfd_getfd)

    assert own_bench.progress_lines()[-1]["exit"] == 23


LATER = program_text("reads_later.py")


@pytest.mark.parametrize("profile", ["learning", "enforcing"])
def test_the_home_folder_is_never_opened_as_a_whole(own_bench: Bench, profile: str) -> None:
    """A rule for a folder holds for what is made in it afterwards, keys among it."""
    own_bench.grants["read"] = ["$HOME/**"]
    shutil.rmtree(own_bench.cargo_home)  # Nothing in it is sensitive yet.
    (own_bench.home / "early").mkdir()
    (own_bench.home / "early/file").write_text("granted")
    placed = own_bench.script(LATER)
    process = own_bench.start(placed, "learning" if profile == "learning" else "enforcing")
    assert wait_until((own_bench.out_dir / "ready").exists)

    (own_bench.home / "new").mkdir()
    (own_bench.home / "new/key").write_text("secret")
    (own_bench.home / "new").rename(own_bench.home / "later")

    said, _ = process.communicate(timeout=60)
    assert said == b"cargo::warning=granted\ncargo::warning=Permission denied\n"
