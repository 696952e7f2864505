"""Light observation: what compilers read does not stop, and nothing else goes unseen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from buildperm.policy.presets import PRESETS
from buildperm.sandbox import machine, seccomp, stub
from buildperm.supervisor.light_observation import with_key
from buildperm.tracer import syscall_numbers, syscall_table
from buildperm.tracer.recorder.elf import Image
from tests import observed_both_ways
from tests.programs import CHILDREN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench import Bench, Ended

BWRAP = machine.bubblewrap()
pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="other processors observe everything"
)

_TEMPORARY = re.compile(r"\b(?:cc|st)[A-Za-z0-9]{6}\b")  # mkstemp(3), by gcc and ar.

_RUN = """
import os, subprocess, sys
os.chdir(os.environ["OUT_DIR"])
def run(*words, **variables):
    env = os.environ | variables
    ended = subprocess.run(words, env=env, stderr=subprocess.PIPE, text=True)
    return ended.returncode, ended.stderr
"""


@pytest.fixture
def compiling(bench: Bench) -> Bench:
    """Return a bench whose script may run compilers, and what it has put into OUT_DIR."""
    bench.grants = {"exec": [rule.pattern for rule in PRESETS["cc"].rules] + ["$OUT_DIR/**"]}
    bench.light = True
    (bench.package / "part.h").write_text("#define PART 1\n")
    (bench.package / "part.c").write_text('#include "part.h"\n#include <stdio.h>\nint x = PART;\n')
    return bench


@pytest.fixture
def searching(compiling: Bench) -> Bench:
    """Return a bench with LD_LIBRARY_PATH as Cargo sets it, so that loaders get the key, too."""
    debug = compiling.target / "debug"  # All output folders lie in it, a level deeper.
    folders = [debug, debug / "deps", compiling.sysroot / "lib"]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    compiling.environment["LD_LIBRARY_PATH"] = ":".join(map(str, folders))
    return compiling


def reads(ended: Ended, name: str) -> list[dict[str, Any]]:
    """Return what was recorded of opening files called `name` for reading."""
    return [
        event
        for event in ended.of("opened")
        if event["mode"] == "read" and event["path"].rpartition("/")[2] == name
    ]


def library(bench: Bench, file: Path, name: str = "evil.so") -> Path:
    """Make a library in the package that reads `file` when it is loaded."""
    made = bench.package / name
    source = CHILDREN / "reads_when_loaded.c"
    flags = ["-shared", "-fPIC", f'-DFILE="{file}"']
    subprocess.run(["cc", *flags, "-o", made, source], check=True)
    return made


def seen(bench: Bench) -> Path:
    """Make a file that the script may read, and that its readers are to be seen reading."""
    file = bench.package / "seen.txt"
    file.write_text("seen")
    return file


def summary(ended: Ended) -> set[tuple[object, ...]]:
    """Return what is promised whatever the observation, without what differs from run to run."""
    programs = {event["pid"]: event["program"] for event in ended.of("process")}
    found: set[tuple[object, ...]] = set()
    for event in ended.events:
        if event["type"] in ("header", "process", "end"):
            continue
        is_read = event["type"] == "opened" and event["mode"] == "read"
        program = programs.get(event["pid"], "")
        is_tool = program.startswith("/usr/") and not program.startswith("/usr/bin/python")
        if is_read and is_tool and not event.get("refused"):
            continue
        kept = [
            (name, _TEMPORARY.sub("temporary", str(value)))
            for name, value in sorted(event.items())
            if name not in ("at", "pid", "count", "last")
        ]
        found.add((program, *kept))
    return found


def test_what_compilers_read_is_not_listed_and_all_else_is(compiling: Bench) -> None:
    body = _RUN + "assert run('cc', '-c', os.environ['CARGO_MANIFEST_DIR'] + '/part.c')[0] == 0"
    body += "\nassert run('ar', 'rc', 'libpart.a', 'part.o')[0] == 0"
    body += "\nassert run('cc', '-shared', '-o', 'part.so', 'part.o')[0] == 0"
    placed = compiling.script(body)

    light = compiling.run(placed)
    shutil.rmtree(compiling.out_dir)
    compiling.out_dir.mkdir()
    compiling.light = False
    full = compiling.run(placed)

    assert (light.status, light.stderr) == (0, b"")
    assert light.of("header")[0]["observation"] == "light"
    assert full.of("header")[0]["observation"] == "full"
    assert not reads(light, "part.h")
    assert not reads(light, "stdio.h")
    assert reads(full, "part.h")
    assert reads(full, "stdio.h")
    assert summary(light) == summary(full)
    programs = {event["program"].rpartition("/")[2] for event in light.of("process")}
    assert {"cc1", "collect2"} <= programs


def test_one_run_observed_both_ways_differs_in_what_compilers_read_alone(
    compiling: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = compiling.home / "secret.h"
    secret.write_text("#define SECRET 1\n")
    (compiling.package / "more.c").write_text(f'#include "part.h"\n#include "{secret}"\n')
    body = _RUN + "folder = os.environ['CARGO_MANIFEST_DIR']\n"
    body += "assert run('cc', '-c', folder + '/part.c')[0] == 0\n"
    body += "assert run('cc', '-c', folder + '/more.c')[0] != 0\n"
    monkeypatch.setattr(stub, "SUPERVISOR", observed_both_ways.__file__)
    monkeypatch.setattr(seccomp, "LIGHT", observed_both_ways.stopping())

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"
    unseen, seen = observed_both_ways.divided(ended.events)
    read = {path for _, path, _ in unseen}
    assert {str(compiling.package / "part.h"), "/usr/include/stdio.h"} <= read
    assert observed_both_ways.broken(unseen, seen) == []
    assert str(secret) in ended.refused("opened")


def test_what_loaders_of_tools_look_for_does_not_stop(
    searching: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = _RUN + "assert run('cc', '-c', os.environ['CARGO_MANIFEST_DIR'] + '/part.c')[0] == 0"
    body += "\nassert run('ar', 'rc', 'libpart.a', 'part.o')[0] == 0"
    body += "\nassert run('cc', '-shared', '-o', 'part.so', 'part.o')[0] == 0"
    placed = searching.script(body)

    light = searching.run(placed)

    assert (light.status, light.stderr) == (0, b"")
    programs = {event["pid"]: event["program"] for event in light.of("process")}
    looking = {
        os.path.basename(programs[event["pid"]])
        for event in light.of("opened")
        if event["path"].startswith(searching.environment["LD_LIBRARY_PATH"].split(":")[1])
    }
    # An archiver loads plugins while it runs, and what these need.
    assert not {name for name in looking if not name.startswith("python") and name[-3:] != "-ar"}
    monkeypatch.setattr(stub, "SUPERVISOR", observed_both_ways.__file__)
    monkeypatch.setattr(seccomp, "LIGHT", observed_both_ways.stopping())
    shutil.rmtree(searching.out_dir)
    searching.out_dir.mkdir()
    unseen, seen = observed_both_ways.divided(searching.run(searching.script(body)).events)
    by = {
        os.path.basename(program)
        for program, path, outcome in unseen
        if path.endswith(".so.6") and outcome == "read ENOENT"
    }
    assert len(by) >= 4, by  # The driver, compiler, assembler and linker at least.
    assert observed_both_ways.broken(unseen, seen) == []


SEARCHES = {
    "one more": "os.environ['LD_LIBRARY_PATH'] + ':' + os.getcwd()",
    "current folder": "os.environ['LD_LIBRARY_PATH'] + ':'",
    "current folder alone": "''",
    "own": "os.getcwd()",
    "by the program": "'$ORIGIN/../../../.' + os.getcwd()",
}


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.quick(2)
def test_loaders_that_search_elsewhere_are_seen(searching: Bench, search: str) -> None:
    body = _RUN + f"run('as', '-o', 'x.o', '/dev/null', LD_LIBRARY_PATH={SEARCHES[search]})"

    ended = searching.run(searching.script(body))

    assert ended.status == 0, ended.stderr
    programs = {event["pid"]: event["program"] for event in ended.of("process")}
    assert any(
        programs[event["pid"]].endswith("as") and event["path"].endswith("/libc.so.6")
        for event in ended.of("opened")
    )


@pytest.mark.parametrize("place", ["OUT_DIR", "above", "below", "relative", "empty", "origin"])
@pytest.mark.quick(2)
def test_no_loader_looks_unseen_where_the_script_may_write(searching: Bench, place: str) -> None:
    given = searching.environment["LD_LIBRARY_PATH"]
    below = searching.package / "shared"
    (below / "glibc-hwcaps").mkdir(parents=True)
    places = {
        "OUT_DIR": f"{given}:{searching.out_dir}",
        "above": f"{searching.unit}:{given}",
        "below": f"{below}:{given}",
        "relative": f"out:{given}",
        "empty": f"{given}:",
        "origin": f"$ORIGIN/lib:{given}",
    }
    searching.environment["LD_LIBRARY_PATH"] = places[place]
    searching.grants["write"] = ["$MANIFEST_DIR/shared/glibc-hwcaps/**"]
    body = _RUN + "run('as', '-o', 'x.o', '/dev/null')"

    ended = searching.run(searching.script(body))

    assert ended.status == 0, ended.stderr
    programs = {event["pid"]: event["program"] for event in ended.of("process")}
    assert any(
        programs[event["pid"]].endswith("as") and event["path"].endswith("/libc.so.6")
        for event in ended.of("opened")
    )


@pytest.mark.parametrize("place", ["output folder", "granted"])
def test_no_library_of_another_script_finds_the_key(searching: Bench, place: str) -> None:
    """Its code runs before the tool begins, while the loader has what it looks for."""
    file = seen(searching)
    folder = searching.target / "debug/build/other-1/out"
    if place == "granted":
        folder = searching.workspace / "other/libraries"
        searching.others["other"] = {"write": ["$MANIFEST_DIR/libraries/**"]}
        searching.grants["read"] = ["$WORKSPACE/other/libraries/**"]
    folder.mkdir(parents=True)
    made = folder / "libzstd.so.1"
    source = CHILDREN / "keyed_when_loaded.c"
    words = ["cc", "-shared", "-fPIC", f'-DFILE="{file}"', "-o", str(made), str(source)]
    subprocess.run(words, check=True)
    searching.environment["LD_LIBRARY_PATH"] += f":{folder}"
    searching.environment["DEP_OTHER_LIB"] = str(folder)
    body = _RUN + "run('cc', '-E', '-x', 'c', '/dev/null')\nrun('as', '-o', 'x.o', '/dev/null')"

    ended = searching.run(searching.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"
    assert reads(ended, made.name)
    assert reads(ended, file.name)


def test_cargos_own_folders_are_in_no_grant_of_another_script(searching: Bench) -> None:
    searching.others["other"] = {"write": ["$WORKSPACE/**"]}
    body = _RUN + "run('as', '-o', 'x.o', '/dev/null')"

    ended = searching.run(searching.script(body))

    assert ended.status == 0, ended.stderr
    programs = {event["pid"]: event["program"] for event in ended.of("process")}
    looked = {programs[each["pid"]] for each in reads(ended, "libc.so.6")}
    assert not {program for program in looked if program.endswith("as")}


def test_a_run_without_compilers_is_observed_in_full(compiling: Bench) -> None:
    file = seen(compiling)

    ended = compiling.run(compiling.script(f"open({str(file)!r}).close()"))

    assert ended.of("header")[0]["observation"] == "full"
    assert reads(ended, file.name)


def test_what_is_refused_to_a_compiler_is_listed(compiling: Bench) -> None:
    secret = compiling.home / "secret.h"
    secret.write_text("#define SECRET 1\n")
    (compiling.package / "part.c").write_text(f'#include "{secret}"\n')
    body = _RUN + "code, said = run('cc', '-c', os.environ['CARGO_MANIFEST_DIR'] + '/part.c')\n"
    body += "assert code and 'Permission denied' in said, said"

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"
    assert str(secret) in ended.refused("opened")


def test_every_program_that_is_no_compiler_is_seen_whatever_it_does(compiling: Bench) -> None:
    ways = ["open", "fopen", "syscall", "openat2", "sixth-zero", "sixth-guess", "thread"]
    ways += ["made-code", "vfork", "spawned"]
    for name in ways:
        (compiling.package / name).write_text(name)
    key = f"-DKEY={syscall_table.LIGHT_KEY}ull"
    source = CHILDREN / "reads_in_many_ways.c"
    helper = compiling.package / "helper"
    static = compiling.package / "static"
    for program, flags in ((helper, []), (static, ["-static"])):
        words = ["cc", "-O1", "-pthread", key, *flags, "-o", str(program), str(source)]
        subprocess.run(words, check=True)
    compiling.grants["exec"].append("$MANIFEST_DIR/**")
    body = (
        _RUN + "run('cc', '-E', '-x', 'c', '/dev/null')\n"
    )  # So that there is somebody who has the key.
    body += f"for each in ({str(helper)!r}, {str(static)!r}):\n"
    body += f"    assert run(each, {str(compiling.package)!r}) == (0, '')"

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"
    programs = {event["pid"]: event["program"] for event in ended.of("process")}
    for program in (helper, static):
        found = {
            event["path"].rpartition("/")[2]
            for event in ended.of("opened")
            if programs[event["pid"]] == str(program)
        }
        assert set(ways) <= found


BRINGING = {
    "preloaded": "run('cc', '-c', part, LD_PRELOAD=evil)",
    "audited": "run('cc', '-c', part, LD_AUDIT=evil)",
    "plugin of the compiler": "run('cc', '-fplugin=' + evil, '-c', part)",
    "plugin by a file of arguments": (
        "open('words', 'w').write('-fplugin=' + evil + ' -c ' + part); run('cc', '@words')"
    ),
    "plugin by specs": (
        "open('specs', 'w').write('*cc1:\\n+ -fplugin=' + evil + '\\n\\n');"
        "run('cc', '-specs=specs', '-c', part)"
    ),
    "plugin of the linker": (
        "run('cc', '-c', part, '-o', 'part.o'); run('ld', '-plugin', evil, '-r', 'part.o')"
    ),
    "plugin of the archiver": (
        "run('cc', '-c', part, '-o', 'part.o');run('ar', '--plugin', evil, 'rc', 'x.a', 'part.o')"
    ),
    "library by LD_LIBRARY_PATH": (
        "os.symlink(evil, 'libzstd.so.1');"
        "run('as', '-o', 'x.o', '/dev/null', LD_LIBRARY_PATH=os.getcwd());"
        "run(cc1, '-version', '/dev/null', LD_LIBRARY_PATH=os.getcwd());"
        "[os.remove(each) for each in os.listdir() if os.path.islink(each)]"
    ),
    "library that was not there before": (
        "here = {'LD_LIBRARY_PATH': os.getcwd()};"
        "[run(cc1, '-version', '/dev/null', **here) for _ in range(3)];"
        "os.symlink(evil, 'libzstd.so.1'); run(cc1, '-version', '/dev/null', **here);"
        "os.remove('libzstd.so.1'); run(cc1, '-version', '/dev/null', **here)"
    ),
}
"""Ways to get a library into a program of the system; `evil` is the library."""


@pytest.mark.parametrize("way", BRINGING)
@pytest.mark.quick(4)
def test_code_that_is_brought_along_is_seen_reading(compiling: Bench, way: str) -> None:
    file = seen(compiling)
    evil = library(compiling, file)
    cc1 = subprocess.check_output(["cc", "-print-prog-name=cc1"], text=True).strip()
    body = (
        _RUN + f"evil, cc1, part = {str(evil)!r}, {cc1!r}, {str(compiling.package)!r} + '/part.c'\n"
    )
    body += f"run('cc', '-c', part)\n{BRINGING[way]}\n"

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"
    assert reads(ended, evil.name)
    assert reads(ended, file.name)


def test_code_that_is_brought_along_again_is_seen_again(compiling: Bench) -> None:
    file = seen(compiling)
    evil = library(compiling, file)
    body = _RUN + f"evil, part = {str(evil)!r}, {str(compiling.package)!r} + '/part.c'\n"
    once = BRINGING["plugin of the linker"]
    body += f"for _ in range(3): {once}\n"

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert sum(int(str(each.get("count", 1))) for each in reads(ended, file.name)) == 3


SYSTEMS = {
    "preloaded": "run('cc', '-c', part, LD_PRELOAD='libm.so.6')",
    "audited": "run('cc', '-c', part, LD_AUDIT='libm.so.6')",
    "profiled": ("run('cc', '-c', part, LD_PROFILE='libc.so.6', LD_PROFILE_OUTPUT=os.getcwd())"),
    "plugin of the compiler": (
        # It does what it is told by a descriptor: gcc, libcc1/rpc.hh. This is its greeting.
        "open('hello', 'wb').write(b'Hi\\1' + bytes(7)); os.dup2(os.open('hello', os.O_RDONLY), 0);"
        "assert run('cc', '-fplugin=libcc1plugin', '-fplugin-arg-libcc1plugin-fd=0', '-c', part)"
        " == (0, '')"
    ),
}
"""Ways to get code of the system into a compiler that it does not load by itself."""


@pytest.mark.parametrize("way", SYSTEMS)
def test_compilers_with_other_code_of_the_system_are_seen_reading(
    compiling: Bench, way: str
) -> None:
    folder = subprocess.check_output(["cc", "-print-file-name=plugin"], text=True).strip()
    if "plugin" in SYSTEMS[way] and not os.path.exists(f"{folder}/libcc1plugin.so"):
        pytest.skip("this compiler comes without the plugin")
    body = _RUN + f"part = {str(compiling.package)!r} + '/part.c'\n"
    body += (
        f"run('cc', '-E', '-x', 'c', '/dev/null')\n{SYSTEMS[way]}\n"  # The first one has the key.
    )

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"
    assert reads(ended, "part.h")


STARTING = {
    "loader": "run(loader, '--preload', evil, real)",
    "loader with a path": (
        "os.symlink(evil, 'libzstd.so.1');run(loader, '--library-path', os.getcwd(), real);"
        "os.remove('libzstd.so.1')"
    ),
    "twice in the environment": (
        "import ctypes; libc = ctypes.CDLL(None); os.symlink(evil, 'libzstd.so.1');"
        "pid = os.fork();"
        "mine = [b'LD_LIBRARY_PATH=' + os.environb[b'LD_LIBRARY_PATH'], "
        "b'LD_LIBRARY_PATH=' + os.getcwdb(), None];"
        "pid or libc.execve(real.encode(), (ctypes.c_char_p * 3)(real.encode(), b'-v', None), "
        "(ctypes.c_char_p * 3)(*mine));"
        "os.waitpid(pid, 0); os.remove('libzstd.so.1')"
    ),
}
"""Ways to start a tool with a library that its loader does not look for by itself."""


@pytest.mark.parametrize("way", [*BRINGING, *STARTING])
@pytest.mark.quick(3)
def test_code_that_a_searching_loader_brings_along_is_seen(searching: Bench, way: str) -> None:
    file = seen(searching)
    evil = library(searching, file)
    cc1 = subprocess.check_output(["cc", "-print-prog-name=cc1"], text=True).strip()
    loader = Image(os.fsencode(cc1)).interpreter().decode()
    real = os.path.realpath(cc1)
    searching.grants["exec"].append(os.path.realpath(loader))
    part = str(searching.package / "part.c")
    body = _RUN + f"evil, cc1, part, loader, real = {(str(evil), cc1, part, loader, real)!r}\n"
    body += f"run('cc', '-c', part)\n{(BRINGING | STARTING)[way]}\n"

    ended = searching.run(searching.script(body))

    assert ended.status == 0
    assert b"Traceback" not in ended.stderr, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"
    assert reads(ended, evil.name)
    assert reads(ended, file.name)


OWN = {
    "copied": "shutil.copy(cc1, 'cc1'); run('./cc1', '-quiet', '-o', 'part.s', part)",
    "by -B": "shutil.copy(cc1, 'cc1'); run('cc', '-B' + os.getcwd() + '/', '-c', part)",
    "by GCC_EXEC_PREFIX": (
        "shutil.copy(cc1, 'cc1'); run('cc', '-c', part, GCC_EXEC_PREFIX=os.getcwd() + '/')"
    ),
    "by COMPILER_PATH": "shutil.copy(cc1, 'cc1'); run('cc', '-c', part, COMPILER_PATH=os.getcwd())",
    "named like a compiler": "shutil.copy(sys.executable, 'gcc'); run('./gcc', '-c', reads)",
    "interpreter": "run(sys.executable, '-c', reads)",
    "interpreter with ctypes": (
        "run(sys.executable, '-c', "
        "f'import ctypes; ctypes.CDLL(None).open({part[:-1]!r}.encode() + bytes([104]), 0)')"
    ),
    "by -wrapper": "run('cc', '-c', part, '-wrapper', sys.executable + ',-c,' + reads)",
}
"""Ways to have a program of the script, or an interpreter, read `part.h`."""


@pytest.mark.parametrize("way", OWN)
@pytest.mark.quick(4)
def test_programs_that_play_compilers_are_seen_reading(compiling: Bench, way: str) -> None:
    cc1 = subprocess.check_output(["cc", "-print-prog-name=cc1"], text=True).strip()
    compiling.grants["exec"].append("python3*")
    header = str(compiling.package / "part.h")
    body = _RUN + f"import shutil; cc1, part = {cc1!r}, {str(compiling.package)!r} + '/part.c'\n"
    body += f"reads = {f'open({header!r})'!r}\n{OWN[way]}\n"

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert reads(ended, "part.h")


def test_a_compiler_that_the_script_may_change_gets_no_key(own_bench: Bench) -> None:
    own_bench.light = True
    cc1 = subprocess.check_output(["cc", "-print-prog-name=cc1"], text=True).strip()
    own_bench.grants = {
        "exec": [rule.pattern for rule in PRESETS["cc"].rules],
        "write": [os.path.realpath(cc1)],
    }
    (own_bench.package / "part.h").write_text("")
    (own_bench.package / "part.c").write_text('#include "part.h"\n')
    body = _RUN + "assert run('cc', '-c', os.environ['CARGO_MANIFEST_DIR'] + '/part.c')[0] == 0"

    ended = own_bench.run(own_bench.script(body))

    assert ended.status == 0, ended.stderr
    assert reads(ended, "part.h")


def test_a_run_that_may_look_into_processes_is_observed_in_full(compiling: Bench) -> None:
    compiling.grants["read"] = ["/proc/**"]
    body = _RUN + "assert run('cc', '-c', os.environ['CARGO_MANIFEST_DIR'] + '/part.c')[0] == 0"

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "full"
    assert reads(ended, "part.h")


def test_while_learning_everything_is_observed(compiling: Bench) -> None:
    body = _RUN + "assert run('cc', '-c', os.environ['CARGO_MANIFEST_DIR'] + '/part.c')[0] == 0"

    ended = compiling.run(compiling.script(body), "learning")

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "full"
    assert reads(ended, "part.h")


def test_no_process_may_look_into_a_compiler(compiling: Bench) -> None:
    """That is where the key is; the compiler waits for its input meanwhile."""
    cc1 = subprocess.check_output(["cc", "-print-prog-name=cc1"], text=True).strip()
    body = (
        _RUN
        + f"cc1 = {cc1!r}"
        + """
cc = subprocess.Popen([cc1, "-quiet", "-E", "-"], stdin=subprocess.PIPE, stdout=-3, text=True)
cc.stdin.write("int x;")
for name in ("mem", "syscall", "maps", "task/%d/mem" % cc.pid):
    try:
        open(f"/proc/{cc.pid}/{name}", "rb")
        sys.exit(f"{name} can be read")
    except PermissionError:
        pass
cc.stdin.close()
cc.wait()
import ctypes
assert ctypes.CDLL(None, use_errno=True).ptrace(16, cc.pid, 0, 0) == -1
"""
    )

    ended = compiling.run(compiling.script(body))

    assert ended.status == 0, ended.stderr
    assert ended.of("header")[0]["observation"] == "light"


def test_each_key_is_put_into_a_filter_in_two_halves() -> None:
    numbers, names = syscall_numbers.table(), syscall_table.recorded()
    template = seccomp.build("x86_64", numbers, names, light=True)

    made = with_key(template, 0x0123456789ABCDEF, 4000)

    assert len(made) == len(template)
    low, high = (syscall_table.LIGHT_KEY & 0xFFFFFFFF, syscall_table.LIGHT_KEY >> 32)
    assert made == template.replace(low.to_bytes(4, "little"), bytes.fromhex("efcdab89")).replace(
        high.to_bytes(4, "little"), bytes.fromhex("67452301")
    ).replace(syscall_table.FOLDERS_KEY.to_bytes(4, "little"), bytes.fromhex("a00f0000"))
    with pytest.raises(ValueError, match="without a place"):
        with_key(seccomp.build("x86_64", numbers, names), 1, 4000)


@pytest.fixture
def within_bubblewrap(compiling: Bench) -> Bench:
    """Return a bench whose script runs within bubblewrap, and a header that is not there then."""
    if not BWRAP or machine.probe_wrapper(BWRAP):
        pytest.skip("bubblewrap is unusable here")
    compiling.wrapper, compiling.mounts = [os.fsencode(BWRAP)], True
    (compiling.home / "hidden.h").write_text("#define HIDDEN 1\n")
    (compiling.package / "part.c").write_text(f'#include "{compiling.home}/hidden.h"\n')
    return compiling


COUNTED = (
    _RUN
    + """
runs = os.path.exists("first") + 1
open("first", "a").write("run")
print(f"cargo::metadata=run={runs}")
print(f"run {runs} says this", file=sys.stderr)
failed = run("cc", "-c", os.environ["CARGO_MANIFEST_DIR"] + "/part.c")[0]
"""
)


def test_a_script_that_fails_for_what_went_unseen_runs_once_more(within_bubblewrap: Bench) -> None:
    ended = within_bubblewrap.run(within_bubblewrap.script(COUNTED + "sys.exit(failed)"))

    assert ended.status == 1
    assert str(within_bubblewrap.home / "hidden.h") in ended.refused("opened")
    said = ended.stderr.decode().splitlines()
    (again,) = (number for number, line in enumerate(said) if "it runs once more" in line)
    assert said.index("run 1 says this") < again < said.index("run 2 says this")
    assert ended.stdout == b"cargo::metadata=run=2\n"
    roots = [event for event in ended.of("process") if not event["parent"]]
    assert len(roots) == 2  # What both have done is recorded.
    assert (within_bubblewrap.out_dir / "first").read_text() == "runrun"


def test_what_only_the_first_of_two_runs_tries_is_listed(within_bubblewrap: Bench) -> None:
    secret = within_bubblewrap.workspace / "notes.txt"
    secret.write_text("x")
    body = COUNTED + f"if runs == 1:\n    try: open({str(secret)!r})\n    except OSError: pass\n"

    ended = within_bubblewrap.run(within_bubblewrap.script(body + "sys.exit(failed and runs == 1)"))

    assert ended.status == 0, ended.stderr
    assert ended.stdout == b"cargo::metadata=run=2\n"
    assert str(secret) in ended.refused("opened")


@pytest.mark.parametrize("is_full", [True, False], ids=["observed in full", "no wrapper"])
def test_a_script_whose_failure_was_seen_runs_once(within_bubblewrap: Bench, is_full: bool) -> None:
    within_bubblewrap.light = not is_full
    if not is_full:
        within_bubblewrap.wrapper, within_bubblewrap.mounts = [], False

    ended = within_bubblewrap.run(within_bubblewrap.script(COUNTED + "sys.exit(failed)"))

    assert ended.status == 1
    assert str(within_bubblewrap.home / "hidden.h") in ended.refused("opened")
    assert b"run 2" not in ended.stderr


def test_a_script_that_was_stopped_runs_once(within_bubblewrap: Bench) -> None:
    within_bubblewrap.limits = {"seconds": 3}

    ended = within_bubblewrap.run(within_bubblewrap.script(COUNTED + "import time; time.sleep(60)"))

    assert ended.status != 0
    assert b"it ran for too long" in ended.stderr
    assert b"run 2" not in ended.stderr
