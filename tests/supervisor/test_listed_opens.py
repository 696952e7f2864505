"""What tools of the system list: as much as is seen where each of their calls stops."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from buildperm.policy.presets import PRESETS
from buildperm.tracer.recorder import listed_opens, path_list
from buildperm.tracer.recorder.asked_paths import AskedPaths
from buildperm.tracer.recorder.light_opens import Patched
from buildperm.tracer.recorder.listed_opens import ListedOpens
from buildperm.tracer.recorder.open_patch import Patch
from buildperm.tracer.recorder.process_tree import Process
from tests import kept_results
from tests.bench import Bench, make_bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="on other processors all calls of tools stop"
)

_BEGIN = """
import os, shutil, signal, subprocess
out, package = os.environ["OUT_DIR"], os.environ["CARGO_MANIFEST_DIR"]
os.chdir(out)
def run(*words, **options):
    return subprocess.run(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, **options)
def compiled(*words, **options):
    ended = run("cc", "-c", *words, **options)
    assert ended.returncode == 0, ended.stderr
    ended = None
"""


@pytest.fixture(params=["alone", "searched"])
def filling(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Return a bench whose runs are kept; with LD_LIBRARY_PATH as of Cargo, loaders list, too."""
    for bench in make_bench("own"):
        rules = [rule.pattern for rule in PRESETS["cc"].rules]
        bench.grants = {
            "exec": [
                *rules,
                "$OUT_DIR/**",
                "/usr/bin/*make",
                "/bin/sh",
                "/usr/bin/*sh",
                "/usr/bin/mv",
            ]
        }
        bench.light = True
        bench.kept = bench.top / "results"
        include = bench.package / "include"
        include.mkdir()
        (include / "part.h").write_text("#define PART 1\n")
        (bench.package / "part.c").write_text(
            '#include <part.h>\n#include <stdio.h>\n#if __has_include("none.h")\n#endif\n'
            "int x = PART;\n"
        )
        if request.param == "searched":
            debug = bench.target / "debug"
            for folder in (debug, debug / "deps"):
                folder.mkdir(parents=True, exist_ok=True)
            bench.environment["LD_LIBRARY_PATH"] = f"{debug}:{debug / 'deps'}"
        yield bench


def inputs(bench: Bench, body: str, *, lists: bool) -> tuple[str, set[tuple[str, ...]], int]:
    """Run a script; return why it is not kept, its inputs, and how many opens of cc1 were seen."""
    bench.lists = lists
    assert bench.kept is not None
    shutil.rmtree(bench.kept, ignore_errors=True)
    ended, said = kept_results.run(bench, bench.script(_BEGIN + body))
    programs = {event["pid"]: event["program"] for event in ended.of("process")}
    seen = sum(
        event.get("count", 1)
        for event in ended.of("opened")
        if programs.get(event["pid"], "").endswith("/cc1") and event["mode"] == "read"
    )
    if said["outcome"] != "kept":
        return str(said["why"]), set(), seen
    (result,) = bench.kept.rglob("*.json")
    found = {
        # Times of folders are those of this run.
        tuple(map(str, each[:3] if each[0] in ("look", "listing") else each))
        for each in kept_results.read(result)["inputs"]
    }
    return "", found, seen


ALIKE = {
    "a compiler": "compiled(package + '/part.c', '-I' + package + '/include')",
    "relative": "compiled('part.c', '-Iinclude', '-o', out + '/x.o', cwd=package)",
    "gone folder": """
os.mkdir("made")
up = os.path.relpath(package, out + "/made")
compiled(up + "/part.c", "-I" + up + "/include", "-o", "../x.o", cwd="made")
shutil.rmtree("made")
""",
    "gone link": """
os.symlink(package + "/include", "led")
compiled(package + "/part.c", "-I" + out + "/led")
os.remove("led")
""",
    "moved folder": """
os.mkdir("at")
os.makedirs("a/b/c")
words = ["cc", "-v", "-E", "-"]
pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
with subprocess.Popen(words, cwd="at", **pipes) as cc:
    while b"End of search list" not in cc.stderr.readline():
        pass
    os.rename("at", "a/b/c/at")
    up = os.path.relpath(package, out + "/a/b/c/at")
    cc.stdin.write(b'#include "%s/include/part.h"\\nint x = PART;\\n' % up.encode())
    assert b"int x = 1;" in cc.communicate()[0]
shutil.rmtree("a")
""",
    "moved file": """
open("a.c", "w").close()
os.rename("a.c", "c.c")
assert run("mv", "c.c", "b.c").returncode == 0
compiled(package + "/part.c", "b.c", "-I" + package + "/include")
""",
    "moved in vain": """
for _ in range(2):
    try:
        os.rename("none.c", "b.c")
    except FileNotFoundError:
        open("none.c", "w").close()
compiled(package + "/part.c", "-I" + package + "/include")
""",
    "archive and link": """
compiled(package + "/part.c", "-I" + package + "/include")
assert run("ar", "rcs", "libpart.a", "part.o").returncode == 0
assert run("cc", "-shared", "-o", "part.so", "part.o", "-L.", "-L" + package).returncode == 0
""",
    "make in another folder": """
os.mkdir("below")
with open("below/Makefile", "w") as file:
    file.write("all:\\n\\tcc -c -I%s/include %s/part.c\\n" % (package, package))
    file.write("-include ../none.mk\\n")
ended = run("make", "-C", "below")
assert ended.returncode == 0, ended.stderr
""",
    "a compiler that fails": """
assert run("cc", "-c", package + "/part.c").returncode != 0
assert run("cc", "-c", package + "/none/" + "x" * 300 + ".c").returncode != 0
assert run("cc", "-c", package + "/" + "/".join(["y" * 200] * 21)).returncode != 0
""",
}


@pytest.mark.parametrize("body", ALIKE)
@pytest.mark.slow
def test_what_is_listed_is_what_would_be_seen(filling: Bench, body: str) -> None:
    why_seen, seen, opens_seen = inputs(filling, ALIKE[body], lists=False)
    why_listed, listed, opens_left = inputs(filling, ALIKE[body], lists=True)

    assert (why_seen, why_listed) == ("", "")
    assert len(seen) > 20
    assert listed == seen
    if body in ("a compiler", "relative", "gone folder", "moved file", "moved in vain"):
        assert opens_left < opens_seen / 4  # The others make links, or run something else.


def test_a_tool_that_is_killed_has_told_nothing(filling: Bench) -> None:
    # The compiler itself: where its driver is killed it goes on, and may outlive the script.
    body = """
cc1 = run("cc", "-print-prog-name=cc1").stdout.decode().strip()
words = [cc1, "-v", "-E", "-"]
pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
with subprocess.Popen(words, **pipes) as tool:
    while b"End of search list" not in tool.stderr.readline():
        pass
    tool.KILLED()
    tool.stdin.close()
    tool.stdout.read()
"""
    killed, _, _ = inputs(filling, body.replace("KILLED", "kill"), lists=True)
    ended, _, _ = inputs(filling, body.replace("KILLED", "poll"), lists=True)

    assert "one of its tools was killed" in killed
    assert ended == ""


def test_a_tool_that_is_left_running_ends_with_the_script(filling: Bench) -> None:
    body = """
import time
read, write = os.pipe()
subprocess.Popen(["cc", "-v", "-E", "-"], stdin=read, stdout=write, stderr=write)
time.sleep(0.3)
"""
    why, _, _ = inputs(filling, body, lists=True)  # It comes back at all.

    assert "left something running" in why


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_that_appears_while_it_is_moved_is_not_kept(
    tmp_path: Path, *, is_there: bool
) -> None:
    memory = ctypes.create_string_buffer(path_list.page(1, b"/p"), path_list.SIZE)
    asked = AskedPaths()
    opens = ListedOpens(1, lambda _: True, lambda _: False, b"", asked)
    process = Process(os.getpid(), os.getpid(), 0, None)
    process.light = listed_opens._Listing(
        Patched(Patch([(0, b"")], [], []), 0), ctypes.addressof(memory)
    )
    opens.processes = lambda: {process.pid: process}
    known = lambda *_: (None, (b"", b"")), lambda *_: None
    begin, end = opens.handlers({82: "rename"}, {82: known})[82]
    path = ctypes.create_string_buffer(os.fsencode(tmp_path / "at"))

    decoded = begin(process.pid, process, (82, ctypes.addressof(path), 0, 0, 0, 0, 0))
    assert decoded is not None
    assert memory.raw[:8] != path_list.WITHOUT_KEY
    end(process.pid, process, decoded, 0 if is_there else -errno.ENOENT, False)

    assert (memory.raw[:8] == path_list.WITHOUT_KEY) == is_there
    assert bool(asked.reason) == is_there


@pytest.mark.parametrize("threads", [1, 2])
def test_a_thread_may_be_asking_when_another_loads_a_plugin(threads: int) -> None:
    memory = ctypes.create_string_buffer(path_list.page(1, b"/p"), path_list.SIZE)
    asked = AskedPaths()
    opens = ListedOpens(1, lambda _: True, lambda _: False, b"", asked)
    process = Process(os.getpid(), os.getpid(), 0, None)
    process.threads |= set(range(1, threads))
    patched = Patched(Patch([(0, b"")], [], []), 0)
    process.light = listed_opens._Listing(patched, ctypes.addressof(memory))

    opens.at_open(process, b"/p/plugin.so", os.O_RDONLY)

    assert memory.raw[:8] == path_list.WITHOUT_KEY
    assert bool(asked.reason) == (threads > 1)
