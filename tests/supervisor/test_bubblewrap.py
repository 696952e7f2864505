"""The runtime `full`: what is not granted is not there, and what is needed works as before."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox import full_runtime, machine, selftest
from buildperm.supervisor import bubblewrap, landlock
from buildperm.tracer.recorder.look_calls import CLOSED
from tests.bench import USERS, Bench, compile_c, make_bench, processes_with, wait_until
from tests.programs import program_text

if TYPE_CHECKING:
    from collections.abc import Iterator

BWRAP = machine.bubblewrap()
WHY_NOT = machine.probe_wrapper(BWRAP) if BWRAP else "it is not installed"
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"bubblewrap is unusable: {WHY_NOT}")


@pytest.fixture(params=[*USERS, *(f"{user}, in a room" for user in USERS)])
def full(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Make a bench whose scripts run within bubblewrap, or in a room, for one user or another."""
    user, _, room = str(request.param).partition(", ")
    for bench in make_bench(user):
        bench.wrapper, bench.mounts = [os.fsencode(BWRAP)], True
        bench.has_starter = bench.has_room = bool(room)
        yield bench


TRY = program_text("warns_of_attempts.py")


def said(stdout: bytes) -> dict[str, str]:
    """Return what a script built on TRY said came of each attempt."""
    lines = [line.removeprefix("cargo:warning=") for line in stdout.decode().splitlines()]
    return dict(line.split(" ", 1) for line in lines)


def test_what_is_not_granted_is_not_there_and_is_reported_as_refused(full: Bench) -> None:
    (full.workspace / "notes.txt").write_text("x")
    (full.workspace / "tools").mkdir()
    tool = full.workspace / "tools/tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    placed = full.script(TRY + program_text("changes_files.py"))

    ended = full.run(placed)

    assert ended.status == 0, ended.stderr
    results = said(ended.stdout)
    assert results.pop("own") == results.pop("out") == "done"
    assert results["rename"] in ("Invalid cross-device link", "No such file or directory")
    del results["rename"]
    assert set(results.values()) <= {"No such file or directory", "Read-only file system"}
    top = str(full.workspace)
    assert set(ended.refused("opened")) == {f"{top}/notes.txt", f"{top}/new.txt"}
    assert set(ended.refused("executed")) == {str(tool), "/usr/bin/dash"}  # Its interpreter, too.
    changes = {(e["change"], e["path"]) for e in ended.of("changed") if e.get("refused")}
    assert changes == {
        ("directory-made", f"{top}/folder"),
        ("removed", f"{top}/notes.txt"),
        ("renamed", f"{full.out_dir}/n"),
    }


@pytest.mark.quick(1)
def test_what_is_not_there_is_the_same_to_the_inner_loop(full: Bench) -> None:
    (full.workspace / "notes.txt").write_text("x")
    (full.workspace / "tools").mkdir()
    (full.workspace / "tools/tool").touch()
    placed = full.script(program_text("opens_hidden.py", TOP=str(full.workspace)))
    found = []
    for full.has_inner_loop in (False, True):
        ended = full.run(placed)
        assert ended.status == 0, ended.stderr
        lines = [{**line, "at": 0, "pid": 0} for line in ended.of("opened")]
        found.append([line for line in lines if "/proc/" not in line["path"]])
        shutil.rmtree(full.out_dir / "d")

    assert found[1] == found[0]
    hidden = [line for line in found[0] if line.get("refused")]
    assert {line["path"] for line in hidden} > {
        f"{full.workspace}/{name}" for name in ("notes.txt", "tools/tool")
    }
    assert {line["count"] for line in hidden} >= {20}


def test_neither_other_processes_nor_the_network_nor_sockets_without_a_path_are_there(
    full: Bench,
) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.create_server(("127.0.0.1", 0)) as port:
        server.bind(f"\0buildperm-{os.getpid()}")
        server.listen()
        placed = full.script(
            TRY
            + program_text(
                "reaches_outside.py", PID=str(os.getpid()), PORT=str(port.getsockname()[1])
            )
        )
        ended = full.run(placed)

    results = said(ended.stdout)
    assert ended.status == 0, ended.stderr
    assert "done" not in results.values()
    assert results["other"] == "No such file or directory"
    assert results["kill"] == "No such process"
    assert int(results["pid"]) < 10


@pytest.mark.parametrize("profile", ["enforcing", "learning"])
@pytest.mark.quick(3)
def test_neither_a_new_namespace_nor_a_privilege_is_to_be_had(full: Bench, profile: str) -> None:
    placed = full.script(TRY + program_text("makes_namespaces.py"))
    full.grants["read"] = ["/proc/self/status"]

    ended = full.run(placed, profile)  # type: ignore[arg-type]  # one of the two

    assert set(said(ended.stdout).values()) == {"Operation not permitted"}


def test_modes_can_be_changed_only_where_something_may_be_written(full: Bench) -> None:
    placed = full.script(
        TRY
        + """
attempt("own", lambda: os.chmod("Cargo.toml", 0o777))
attempt("workspace", lambda: os.chmod(ws + "/Cargo.toml", 0o777))
open(os.environ["OUT_DIR"] + "/made", "w").close()
attempt("out", lambda: os.chmod(os.environ["OUT_DIR"] + "/made", 0o600))
"""
    )

    ended = full.run(placed)

    results = said(ended.stdout)
    assert results["out"] == "done"
    assert results["own"] in ("Read-only file system", "Permission denied")
    assert results["workspace"] in ("No such file or directory", "Permission denied")
    assert full.package.joinpath("Cargo.toml").stat().st_mode & 0o777 != 0o777


@pytest.mark.parametrize(
    ("body", "status", "wait_status"),
    [
        ("sys.exit(0)", 0, 0),
        ("sys.exit(7)", 7, 7 << 8),
        ("os.abort()", 128 + signal.SIGABRT, signal.SIGABRT),
        ("os.kill(os.getpid(), 9)", 137, 9),
        ("os.kill(os.getpid(), 15)", 143, 15),
    ],
)
@pytest.mark.quick(5)
def test_how_a_script_ends_is_what_cargo_is_told(
    full: Bench, body: str, status: int, wait_status: int
) -> None:
    ended = full.run(full.script(f"import os, sys\n{body}\n"))

    assert ended.status == status
    assert ended.events[-1]["status"] == wait_status


def test_the_recording_shows_the_script_and_nothing_of_its_sandbox_wrapper(full: Bench) -> None:
    ended = full.run(full.script("import os\nos.system('true; true')\n"), "learning")

    programs = [(line["parent"], line["argv"][0]) for line in ended.of("process")]
    assert [name for _, name in programs] == ["/usr/bin/python3", "sh"]
    assert programs[0][0] == 0
    assert "bwrap" not in json.dumps(ended.events)
    header = ended.events[0]
    assert header["runtime"] == "full"


def test_a_script_gets_no_descriptor_of_what_starts_it(full: Bench) -> None:
    # The code that started it, its filter and its environment lay in one that could be written.
    body = program_text("finds_descriptors.py")
    assert full.run(full.script(body)).stdout == b"cargo::warning=looked\n"


def test_what_is_left_running_is_ended_and_counted(full: Bench) -> None:
    ended = full.run(
        full.script(
            "import os, time\n"
            "for _ in range(3):\n"
            "    if os.fork() == 0:\n"
            "        os.setsid()\n"
            "        time.sleep(1000)\n"
        )
    )

    assert ended.events[-1]["left_running"] == 3


def test_a_killed_supervisor_leaves_no_process(full: Bench) -> None:
    mark = f"left-{full.top.name}"
    placed = full.script(
        "import os, sys, time\n"
        "os.fork()\n"
        f"sys.argv.append('{mark}')\n"
        f"os.execv('/bin/sh', ['sh', '-c', 'while :; do :; done', '{mark}'])\n"
    )
    full.grants["exec"] = ["/usr/bin/dash", "/bin/sh"]
    process = full.start(placed)
    try:
        assert wait_until(lambda: len(processes_with(mark.encode())) >= 2)
    finally:
        process.kill()
        process.communicate()

    assert wait_until(lambda: not processes_with(mark.encode()))
    assert not processes_with(os.fsencode(full.top))


def test_its_own_process_is_called_so_whatever_number_it_sees(full: Bench) -> None:
    placed = full.script(TRY + program_text("reads_proc.py"))

    ended = full.run(placed)

    assert ended.status == 0, ended.stderr  # Nobody's secret.
    # The child's parent is the script.
    assert set(ended.refused("opened")) == {"/proc/self/environ"}


def test_its_own_numbers_are_those_of_its_namespace(full: Bench) -> None:
    placed = full.script(
        "import os, threading\n"
        "def lines(path):\n"
        "    return [line.split() for line in open(path)]\n"
        "pid, child = os.getpid(), os.fork()\n"
        "if not child:\n"
        "    assert ['PPid:', str(pid)] in lines('/proc/self/status')\n"
        "    assert lines(f'/proc/{pid}/stat')[0][0] == str(pid)\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "found = lines('/proc/self/status')\n"
        "assert ['Pid:', str(pid)] in found, found\n"
        "assert ['NSpid:', str(pid)] in found, found\n"
        "assert ['TracerPid:', '0'] in found, found\n"
        "assert open('/proc/self/maps').read()\n"
        "def in_thread():\n"
        "    tid = threading.get_native_id()\n"
        "    assert lines('/proc/thread-self/stat')[0][0] == str(tid)\n"
        "    print('cargo:rustc-cfg=thread')\n"
        "thread = threading.Thread(target=in_thread)\n"
        "thread.start()\n"
        "thread.join()\n"
    )

    ended = full.run(placed)

    assert (ended.status, ended.stdout) == (0, b"cargo:rustc-cfg=thread\n"), ended.stderr


def test_a_workspace_is_found_by_a_link_too(full: Bench) -> None:
    link = full.top / "link"
    link.symlink_to(full.workspace)
    full.environment |= {"OUT_DIR": str(link / full.out_dir.relative_to(full.workspace))}
    full.environment |= {"CARGO_MANIFEST_DIR": str(link / "crate")}

    ended = full.run(
        full.script(
            "import os\nopen(os.environ['CARGO_MANIFEST_DIR'] + '/Cargo.toml')\n"
            "open(os.environ['OUT_DIR'] + '/made', 'w')\n"
        )
    )

    assert ended.status == 0, ended.stderr
    assert full.out_dir.joinpath("made").exists()


def test_a_sandbox_wrapper_that_cannot_be_made_runs_nothing(full: Bench) -> None:
    full.wrapper, full.has_room = [b"/bin/false"], False

    ended = full.run(full.script("open('ran', 'w')\n"))

    assert ended.status == 23
    assert b"did not come to start it" in ended.stderr
    assert ended.events == []


TOOLS: list[tuple[str, list[str], str]] = [
    (
        "cc",
        ["cc"],
        "cd $OUT_DIR && echo 'int f(void){return 0;}' >a.c && cc -c a.c && ar rcs liba.a a.o && "
        "echo 'int f(void);int main(void){return f();}' >m.c && cc m.c -L. -la -o m && ld -r a.o "
        "-o r.o",
    ),
    ("perl", ["perl"], "perl -MFile::Spec -e 'print STDERR File::Spec->tmpdir'"),
    ("pkg-config", ["pkg-config"], "pkg-config --libs zlib"),
    ("git", ["git"], "git -C $CARGO_MANIFEST_DIR rev-parse HEAD"),
    (
        "cmake",
        ["cmake", "cc", "make"],
        "cd $OUT_DIR && printf 'cmake_minimum_required(VERSION 3.0)\\nproject(x C)\\ninclude("
        "CheckSymbolExists)\\ncheck_symbol_exists(printf stdio.h P)\\nif(NOT P)\\nmessage(FATAL_"
        "ERROR no)\\nendif()' >CMakeLists.txt && cmake -B b . >&2",
    ),
]
PRESETS = {
    "cc": ["cc", "gcc*", "ar", "ld*", "as", "collect2", "cc1", "**/cc1", "**/collect2"],
}


@pytest.mark.parametrize(("tool", "command"), [(tool, command) for tool, _, command in TOOLS])
@pytest.mark.parametrize("profile", ["learning"])
@pytest.mark.quick(5)
def test_tools_work(full: Bench, tool: str, command: str, profile: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    if tool == "git":
        for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
            identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
            subprocess.run(["git", *identity, *words], cwd=full.package, check=True)
    script = full.top / "script.sh"
    script.write_text(f"#!/bin/sh -e\n{command}\n")
    script.chmod(0o755)

    ended = full.run(full.install(script), profile)  # type: ignore[arg-type]  # one of the two

    assert ended.status == 0, ended.stderr


def test_make_takes_part_in_cargos_jobserver(full: Bench) -> None:
    if shutil.which("make") is None:
        pytest.skip("no make")
    (full.package / "Makefile").write_text(
        'all: a b c\na b c:\n\t@test "$(findstring jobserver,$(MAKEFLAGS))"; echo $@ >&2\n'
    )
    reading, writing = os.pipe()
    os.write(writing, b"++")
    full.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={reading},{writing}"
    script = full.top / "script.sh"
    script.write_text('#!/bin/sh -e\nMAKEFLAGS="$CARGO_MAKEFLAGS" make all\n')
    script.chmod(0o755)

    ended = full.run(full.install(script), "learning", pass_fds=(reading, writing))

    assert ended.status == 0, ended.stderr
    assert b"jobserver unavailable" not in ended.stderr
    assert len(os.read(reading, 10)) == 2
    os.close(reading)
    os.close(writing)


def test_what_is_kept_of_the_jobserver_is_put_back(full: Bench) -> None:
    reading, writing = os.pipe()
    os.fchown(reading, full.uid or os.getuid(), -1)
    os.write(writing, b"abc")
    full.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={reading},{writing}"
    placed = full.script(f"import os\nos.read({reading}, 1); os.read({reading}, 1)\n")

    ended = full.run(placed, pass_fds=(reading, writing))

    assert ended.events[-1]["tokens"] == 2
    assert sorted(os.read(reading, 10)) == list(b"abc")


def test_the_self_test_holds_and_sees_that_what_is_not_granted_is_not_there(tmp_path: Path) -> None:
    selftest.check(full_runtime.full, tmp_path)


def test_mounts_are_what_landlock_allows(tmp_path: Path) -> None:
    top = os.fsencode(os.path.realpath(tmp_path))
    for name in ("package/src", "out/deep", "other"):
        (tmp_path / name).mkdir(parents=True)
    rights = {
        top + b"/package": landlock.READ_FILE,
        top + b"/package/src": landlock.READ_FILE,
        top + b"/package/gone": landlock.READ_FILE,
        top + b"/out": landlock.READ_FILE | landlock.WRITE_FILE,
        top + b"/out/deep": landlock.READ_FILE | landlock.MAKE_REG,
        b"/proc/cpuinfo": landlock.READ_FILE,
        b"/dev/null": landlock.READ_FILE | landlock.WRITE_FILE,
    }

    mounts = bubblewrap.Mounts(rights, (), (), coarse=False)

    words = mounts.words()
    assert len(mounts) == 3
    at = words.index(top + b"/out")
    assert words[at - 1 : at + 2] == [b"--bind-try", top + b"/out", top + b"/out"]
    assert words[words.index(top + b"/package") - 1] == b"--ro-bind-try"
    assert words[words.index(b"/dev/null") - 1] == b"--dev-bind-try"
    assert words[-2:] == [b"--remount-ro", b"/"]
    assert mounts.hides(top + b"/other")
    assert not mounts.hides(top + b"/package/src/lib.rs")
    assert not mounts.hides(top)
    assert not mounts.hides(b"/proc/1/environ")


@pytest.mark.parametrize("coarse", [False, True])
def test_what_is_granted_as_a_whole_is_not_looked_through(tmp_path: Path, *, coarse: bool) -> None:
    top = os.fsencode(os.path.realpath(tmp_path))
    for name in ("whole/deep/out", "whole/deep/other", "secret"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "whole/deep/link").symlink_to("other")
    for number in range(3):
        (tmp_path / f"other{number}").mkdir()
    others = [top + b"/other%d" % number for number in range(3)]
    rights = {
        **dict.fromkeys(others, landlock.READ_FILE),
        top + b"/whole": landlock.READ_FILE,
        top + b"/whole/deep/out": landlock.READ_FILE | landlock.WRITE_FILE,
    }

    mounts = bubblewrap.Mounts(rights, (), {top}, coarse=coarse)

    assert len(mounts) == (3 if coarse else 5)
    assert b"--symlink" not in mounts.words()[: mounts.words().index(b"/proc/self/fd") - 1]
    assert not mounts.hides(top + b"/whole/deep/other")
    assert mounts.hides(top + b"/secret/key")


def test_a_folder_with_few_secrets_is_mounted_whole_and_they_are_covered(tmp_path: Path) -> None:
    top = os.fsencode(os.path.realpath(tmp_path))
    for name in ("a", "b", "c", "d/e", "secret"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "d/key").touch()
    (tmp_path / "link").symlink_to("a")
    granted = [top + b"/" + name for name in (b"a", b"b", b"c", b"d/e")]
    rights = dict.fromkeys(granted, landlock.READ_FILE)
    rights[top + b"/a"] |= landlock.WRITE_FILE

    mounts = bubblewrap.Mounts(rights, (), {top}, coarse=True)

    words = mounts.words()
    assert words[words.index(top) - 1 : words.index(top) + 2] == [b"--ro-bind-try", top, top]
    assert words[words.index(top + b"/a") - 1] == b"--bind-try"
    assert words[words.index(top + b"/secret") - 1] == b"--tmpfs"
    assert mounts.hides(top + b"/secret/key")
    assert not mounts.hides(top + b"/b/file")
    assert mounts.hides(top + b"/d/key")
    fine = bubblewrap.Mounts(rights, (), {top}, coarse=False)
    assert fine.hides(top + b"/secret")
    assert fine.words()[fine.words().index(top + b"/link") - 2] == b"--symlink"
    assert not fine.hides(top + b"/link")


def test_what_is_seen_to_exist_and_what_is_shown_in_part(tmp_path: Path) -> None:
    top = os.fsencode(os.path.realpath(tmp_path))
    for name in ("own/part/within", "own/closed", "other", "split/within", "split/other"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("seen", "shown"):
        (tmp_path / name).mkdir()
    (tmp_path / "own/key").touch()
    (tmp_path / "link").symlink_to("shown")
    (tmp_path / "known").symlink_to("shown")
    rights = {
        top + b"/own": landlock.READ_DIR,
        top + b"/own/part/within": landlock.READ_FILE,
        top + b"/split/within": landlock.READ_FILE,
        top + b"/shown": landlock.READ_FILE,
    }
    listed: dict[bytes, bool | None] = {top + b"/own": False}
    mounts = bubblewrap.Mounts(rights, (), {top + b"/own"}, listed, coarse=False)
    mounts.add_links([top + b"/known/x"])
    mounts.show_folders([top + b"/seen", top + b"/none", top + b"/link", top + b"/shown"])

    assert not mounts.hides(top + b"/seen")
    assert mounts.hides(top + b"/seen/x")
    assert mounts.hides(top + b"/other")
    words = mounts.words()
    assert [words[at + 1] for at, word in enumerate(words) if word == b"--dir"] == [top + b"/seen"]
    # As it was asked for: behind a link that is shown, and behind one that is not.
    assert not mounts.hides(top + b"/known/x")
    assert mounts.hides(top + b"/link/x")
    assert mounts.covers(top + b"/own/key")
    assert not mounts.covers(top + b"/own/closed")
    assert not mounts.covers(top + b"/shown")
    assert mounts.lacks(top + b"/split")
    assert not mounts.lacks(top + b"/own/part")  # It is not granted, but all in it is shown.
    assert not mounts.lacks(top + b"/own")
    assert not mounts.lacks(top + b"/shown")
    for path, how in mounts.shown().items():
        assert how == CLOSED or not mounts.hides(path)


def test_files_move_between_the_temporary_folder_and_the_output(full: Bench) -> None:
    """Two mounts, so what would be one step takes a copy; nobody is asked about that."""
    placed = full.script(
        TRY
        + """
import shutil
there = os.environ["TMPDIR"] + "/x"
open(there, "w").close()
attempt("rename", lambda: os.rename(there, os.environ["OUT_DIR"] + "/x"))
attempt("move", lambda: shutil.move(there, os.environ["OUT_DIR"] + "/x"))
"""
    )

    ended = full.run(placed)

    assert said(ended.stdout)["move"] == "done"
    assert ended.refused("changed") == []


def test_what_the_sandbox_wrapper_says_is_explained() -> None:
    explained = full_runtime._explained
    assert explained("") is None
    for talk, way in [
        ("bwrap: setting up uid map: Permission denied", "userns, }"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "apparmor_parser"),
        ("bwrap: Unknown option --disable-userns", "version 0.8"),
        ("bwrap: No permissions to create new namespace, likely because", "max_user_namespaces"),
        ("bwrap: No permissions to create a new namespace, likely because", "max_user_namespaces"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "systempaths"),
    ]:
        assert way in str(explained(talk)), talk


def test_what_starts_the_script_is_nothing_that_its_environment_chose(full: Bench) -> None:
    library = compile_c(
        '#include <stdio.h>\n__attribute__((constructor)) void f(void){puts("cargo:warning=x");}',
        full.top / "evil.so",
        *("-shared", "-fPIC"),
    )
    shutil.move(library, full.package / "evil.so")
    full.grants["env"] = ["LD_PRELOAD"]
    environment = full.variables() | {"LD_LIBRARY_PATH": str(full.package)}

    ended = full.run(full.script("print('cargo:warning=ran')\n"), env=environment)

    assert ended.stdout.splitlines() == [b"cargo:warning=ran"]


def test_a_jobserver_with_a_name_is_there_under_its_name(full: Bench) -> None:
    fifo = full.top / "jobs"
    os.mkfifo(fifo)
    full.environment["CARGO_MAKEFLAGS"] = f"-j2 --jobserver-auth=fifo:{fifo}"

    ended = full.run(
        full.script(
            f"import os; fd = os.open('{fifo}', os.O_RDWR)\n"
            "os.write(fd, b'+'); print(os.read(fd, 1))"
        )
    )

    assert (ended.status, ended.stdout) == (0, b"b'+'\n"), ended.stderr


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp", "/home", "/root", "/dev/shm"])
@pytest.mark.quick(5)
def test_nothing_can_be_left_in_folders_of_everybody(full: Bench, folder: str) -> None:
    name = f"{folder}/left-{full.top.name}"

    ended = full.run(full.script(TRY + f"attempt('write', lambda: open('{name}', 'w'))\n"))

    # Shared memory is the script's own.
    assert (said(ended.stdout)["write"] == "done") == (folder == "/dev/shm")
    assert not os.path.lexists(name)  # A user may not even be able to look.
