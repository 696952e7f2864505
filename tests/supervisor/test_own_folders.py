"""`/tmp` and `/var/tmp` are a script's own, but for what of the machine is there already."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from buildperm.rules import own_temporaries
from buildperm.sandbox.machine import bubblewrap
from tests.programs import CHILDREN
from tests.redteam.runtimes import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench import Bench

TOP = "/tmp"
SHARED = Path(TOP)
SHELL = r"""
set -eu
for top in /tmp /var/tmp; do
    mine=$top/buildperm-own-$$
    mkdir "$mine" "$mine/deep"
    test -d "$mine/deep" && test -w "$mine/deep" && test ! -e "$mine/none"
    printf '#!/bin/sh\necho "$1"\n' >"$mine/run"
    chmod 755 "$mine/run"
    test -x "$mine/run"
    test "$("$mine/run" said)" = said
    ln -s run "$mine/link"
    test "$(readlink "$mine/link")" = run && test -L "$mine/link"
    cp -p "$mine/run" "$mine/copy"
    mv "$mine/copy" "$OUT_DIR/moved"
    mv "$OUT_DIR/moved" "$mine/./deep//back"
    test "$(cat "$mine/deep/back")" = "$(cat "$mine/run")"
    truncate -s 3 "$mine/copy" && touch -d 2001-01-01 "$mine/copy"
    test "$(stat -c %s "$mine/copy")" = 3
    (cd "$mine/deep" && test -f back && test -f ../run && : >here && mkdir inner && cd inner)
    (cd "$top" && : >"buildperm-here-$$" && test -f "$top/buildperm-here-$$")
    ls -d "$top/buildperm-here-$$"
    test "$(find "$mine" -type f | wc -l)" = 4
    rm -r "$mine" "$top/buildperm-here-$$"
    test ! -e "$mine"
done
made=$(TMPDIR=/tmp mktemp -d) && test -d "$made" && : >"$made/x" && rm -r "$made"
echo cargo::warning=done
"""
PYTHON = """
import os, pathlib, shutil, subprocess, sys, tempfile
for top in ("/tmp", "/var/tmp"):
    with tempfile.TemporaryDirectory(dir=top) as made:
        place = pathlib.Path(made, "a")
        place.write_text("x")
        assert place.exists() and place.stat().st_size == 1 and os.listdir(made) == ["a"]
        assert os.path.realpath(place) == str(place)
        os.utime(place, (1, 1))
        os.chmod(place, 0o600)
        assert (place.stat().st_mtime, place.stat().st_mode & 0o777) == (1, 0o600)
        os.symlink("a", made + "/b")
        os.link(place, made + "/c")
        os.rename(made + "/c", made + "/d")
        shutil.copytree(made, made + "-copy", symlinks=True)
        shutil.rmtree(made + "-copy")
        subprocess.run(["cp", made + "/d", os.environ["OUT_DIR"] + "/" + top.replace("/", "-")])
    assert not os.path.exists(made)
    with tempfile.TemporaryFile(dir=top) as file, tempfile.NamedTemporaryFile(dir=top) as named:
        file.write(b"x")
        assert os.path.exists(named.name)
    assert "left-by-another" not in os.listdir(top)
print("cargo::warning=done")
"""
HOSTILE = """
import os
def tried(name, act):
    try:
        act()
        print("cargo::warning=%s done" % name)
    except OSError as error:
        print("cargo::warning=%s %d" % (name, error.errno))
theirs, mine = {theirs!r}, os.environ["OUT_DIR"]
tried("read", lambda: open(theirs).read())
tried("write", lambda: open(theirs, "a").write("attacked"))
tried("remove", lambda: os.unlink(theirs))
tried("deep", lambda: open("/tmp/x/../" + os.path.basename(theirs)).read())
tried("link", lambda: os.link(theirs, "/tmp/buildperm-linked"))
tried("out", lambda: os.rename(theirs, mine + "/stolen"))
tried("mode", lambda: os.chmod(theirs, 0o777))
os.symlink("/etc", "/tmp/buildperm-etc")
tried("through", lambda: open("/tmp/buildperm-etc/new", "w"))
tried("key", lambda: os.symlink({key!r}, "/tmp/buildperm-key") or open("/tmp/buildperm-key").read())
"""


@pytest.fixture(params=RUNTIMES)
def either(own_bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Return a bench of either runtime."""
    if request.param == "full":
        own_bench.wrapper, own_bench.mounts = [os.fsencode(bubblewrap())], True
    return own_bench


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Look for what a script has left in the folders of everybody."""
    tops = [SHARED, Path("/var/tmp")]
    yield
    assert not [each for top in tops for each in top.glob("buildperm-*") if "-own" in each.name]
    assert not [each for top in tops for each in top.glob("buildperm-here*")]


@pytest.mark.parametrize("has_inner_loop", [True, False])
@pytest.mark.usefixtures("nothing_left")
def test_a_shell_script_works_in_folders_of_its_own(either: Bench, has_inner_loop: bool) -> None:
    either.has_inner_loop = has_inner_loop
    program = either.top / "honest"
    program.write_text("#!/bin/sh\n" + SHELL)
    program.chmod(0o755)

    either.grants["write"] = [*own_temporaries.PATTERNS]
    either.grants["exec"] = ["/usr/bin/**", "/bin/**", "$TMP/**", "$OUT_DIR/**"]

    ended = either.run(either.install(program))

    assert ended.status == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == b"cargo::warning=done"
    assert not ended.refused("opened") + ended.refused("changed") + ended.refused("executed")


@pytest.mark.usefixtures("nothing_left")
def test_what_python_makes_there_can_be_seen_and_removed(either: Bench) -> None:
    either.grants["write"] = [*own_temporaries.PATTERNS]
    either.grants["exec"] = ["/usr/bin/**", "/bin/**"]

    ended = either.run(either.script(PYTHON))

    assert ended.status == 0, ended.stderr
    assert ended.stdout == b"cargo::warning=done\n"
    assert not ended.refused("opened") + ended.refused("changed") + ended.refused("executed")
    assert (either.out_dir / "-tmp").read_text() == "x"
    assert not (either.unit / "buildperm/scratch/tmp").exists()


def test_what_others_have_there_is_neither_read_nor_changed(either: Bench) -> None:
    theirs = SHARED / f"buildperm-theirs-{os.getpid()}"
    theirs.write_text("theirs")
    theirs.chmod(0o600)
    key = either.home / ".ssh/id"
    key.parent.mkdir(parents=True)
    key.write_text("a key")
    either.grants["write"] = [*own_temporaries.PATTERNS]
    either.deny["read"] = [str(theirs), "/etc/new", "$HOME/.ssh/**"]  # So that the run goes on.
    either.deny["write"] = [str(theirs), "/etc/new"]
    try:
        ended = either.run(either.script(HOSTILE.format(theirs=str(theirs), key=str(key))))
        kept, mode = theirs.read_text(), theirs.stat().st_mode & 0o777
    finally:
        theirs.unlink(missing_ok=True)

    words = (line.removeprefix(b"cargo::warning=").decode() for line in ended.stdout.splitlines())
    said = dict(word.split(" ") for word in words)
    assert (kept, mode) == ("theirs", 0o600)
    hidden = either.mounts  # What is not there is the script's own, of that name.
    assert set(said) == {"read", "write", "remove", "deep", "link", "out", "mode", "through", "key"}
    done = {name for name, answer in said.items() if answer == "done"}
    assert done == ({"write", "remove"} if hidden else set()), ended.stderr
    assert not (either.out_dir / "stolen").exists()
    assert not Path("/etc/new").exists()


def test_the_next_run_finds_nothing_of_the_last(either: Bench) -> None:
    code = (
        "import os\nprint('cargo::warning=%s' % os.path.exists('/tmp/buildperm-own-kept'))\n"
        "open('/tmp/buildperm-own-kept', 'w')\n"
    )

    either.grants["write"] = [*own_temporaries.PATTERNS]

    said = [either.run(either.script(code)).stdout for _ in range(2)]

    assert said == [b"cargo::warning=False\n"] * 2


def test_memory_below_the_stack_is_as_before_a_program_is_executed(
    own_bench: Bench, tmp_path: Path
) -> None:
    """By vfork(2), whose child has the memory of its parent."""
    program = tmp_path / "looks"
    child = CHILDREN / "executes_below_stack.c"
    subprocess.run(["cc", "-O1", "-o", program, child], check=True)

    own_bench.grants["write"] = [*own_temporaries.PATTERNS]
    own_bench.grants["exec"] = ["/usr/bin/**", "/bin/**", "$TMP/**", "$OUT_DIR/**"]

    ended = own_bench.run(own_bench.install(program))

    assert ended.status == 0, ended.stderr
    assert ended.stdout == b"cargo:warning=executed, 0 changed\n"


def test_a_workspace_in_a_shared_folder_is_the_one_that_is_there(
    either: Bench, tmp_path: Path
) -> None:
    """Each bench lies there, on most machines; here for certain."""
    place = SHARED / f"buildperm-place-{os.getpid()}"
    shutil.copytree(either.package, place)
    (place / "data").write_text("granted")
    either.grants["read"] = [f"{place}/**"]
    either.grants["write"] = [*own_temporaries.PATTERNS]
    try:
        ended = either.run(
            either.script(f"import os; os.stat('{place}/data'); print(open('{place}/data').read())")
        )
    finally:
        shutil.rmtree(place)

    assert (ended.status, ended.stdout) == (0, b"granted\n"), ended.stderr


def test_without_a_grant_nothing_can_be_made_there(either: Bench) -> None:
    either.deny["write"] = ["/tmp/buildperm-own-x", "/var/tmp/**"]  # So that the run goes on.
    either.grants["write"] = ["/var/tmp/**"]
    code = (
        "for top in ('/tmp', '/var/tmp'):\n    try:\n        open(top + '/buildperm-own-x', 'w')\n"
        "    except OSError as error:\n        print('cargo::warning=%d' % error.errno)\n"
    )

    ended = either.run(either.script(code))

    errno = b"cargo::warning=30\n" if either.mounts else b"cargo::warning=13\n"
    assert (ended.status, ended.stdout) == (0, errno * 2), ended.stderr


INSTALL = """
install -d "$OUT_DIR/one/two" && test -d "$OUT_DIR/one/two"
install -D -m 640 "$0" "$OUT_DIR/three/four/file" && test -f "$OUT_DIR/three/four/file"
cd /tmp && : >buildperm-here && test -f /tmp/buildperm-here && rm buildperm-here
echo cargo::warning=done
"""


@pytest.mark.parametrize("profile", ["learning", "enforcing"])
def test_who_enters_the_folder_first_finds_there_what_it_was_granted(
    either: Bench, profile: Literal["learning", "enforcing"]
) -> None:
    """As install(1) does, part by part. The bench lies in a folder of everybody, made for it."""
    if SHARED not in either.workspace.parents:
        pytest.skip("temporary files of this machine are elsewhere")
    either.grants["write"] = [*own_temporaries.PATTERNS]
    either.grants["exec"] = ["/usr/bin/**", "/bin/**"]
    script = either.top / "work.sh"
    script.write_text(f"#!/bin/sh -eu\n{INSTALL}")
    script.chmod(0o755)

    ended = either.run(either.install(script), profile)

    assert ended.status == 0, ended.stderr
    assert ended.stdout == b"cargo::warning=done\n"


def test_who_enters_a_crowded_folder_finds_the_build_there(either: Bench) -> None:
    """Learning, each name in /tmp is granted on its own, and there may be thousands."""
    if SHARED not in either.workspace.parents:
        pytest.skip("temporary files of this machine are elsewhere")
    crowd = [SHARED / f"!{number}-{os.getpid()}" for number in range(1_100)]
    script = either.top / "work.sh"
    script.write_text(f"#!/bin/sh -eu\n{INSTALL}(: >{crowd[-1]}) || :\nrm {crowd[100]} || :\n")
    script.chmod(0o755)
    try:
        for path in crowd:
            path.write_text("theirs")

        ended = either.run(either.install(script), "learning")

        assert ended.status == 0, ended.stderr
        assert all(path.read_text() == "theirs" for path in crowd)
    finally:
        for path in crowd:
            path.unlink(missing_ok=True)


TOOLS = """
cd "$OUT_DIR"
echo 'int x;' >/tmp/buildperm-tool.c
mkdir /tmp/buildperm-include && echo 'int y;' >/tmp/buildperm-include/own.h
echo '#include "own.h"' >a.c
echo '#if !__has_include("/tmp/buildperm-include/own.h")
#error none
#endif' >>a.c
cc -c -I/tmp/buildperm-include a.c -o /tmp/buildperm-a.o
cc -c /tmp/buildperm-tool.c -o /tmp/buildperm-tool.o
ar cr /tmp/libbuildperm-tool.a /tmp/buildperm-a.o /tmp/buildperm-tool.o
test -s /tmp/libbuildperm-tool.a
rm -r /tmp/buildperm-include /tmp/*tool* /tmp/buildperm-a.o
echo cargo::warning=done
"""


@pytest.mark.parametrize("light", [False, True], ids=["everything", "light"])
def test_tools_find_there_what_a_script_has_made_and_are_asked_about_nothing(
    either: Bench, nothing_left: None, *, light: bool
) -> None:
    """Their looks, which often need no stop, are moved as all others."""
    either.light = light
    either.grants["write"] = [*own_temporaries.PATTERNS]
    either.grants["exec"] = ["/usr/**", "/bin/**"]
    script = either.top / "work.sh"
    script.write_text("#!/bin/sh -eu\nPATH=/usr/bin:/bin\n" + TOOLS)
    script.chmod(0o755)

    ended = either.run(either.install(script))

    assert ended.status == 0, ended.stderr
    assert ended.stdout == b"cargo::warning=done\n"
    asked = [line["path"] for line in ended.of("opened") if line["mode"] == "look"]
    assert [path for path in asked if "buildperm" in path] == []


def test_looks_at_what_is_its_own_are_no_looks_at_what_is_hidden(either: Bench) -> None:
    """Beside one at what is: that is told where it is hidden."""
    hidden = either.workspace / "beside"
    hidden.write_text("x")
    either.grants["write"] = [*own_temporaries.PATTERNS]
    code = f"""
import os
os.mkdir("/tmp/buildperm-own")
open("/tmp/buildperm-own/x", "w").close()
for path in ("/tmp/buildperm-own", "/tmp/buildperm-own/x", "/var/tmp/none", {str(hidden)!r}):
    for look in (os.stat, os.lstat, os.listxattr, lambda path: os.access(path, os.R_OK)):
        try:
            print("cargo::warning=%s" % (look(path) is not False))
        except OSError as error:
            print("cargo::warning=False")
"""

    ended = either.run(either.script(code))

    assert ended.status == 0, ended.stderr
    there = [line.endswith(b"True") for line in ended.stdout.splitlines()]
    assert there == [True] * 8 + [False] * 4 + [not either.mounts] * 4
    looks = {line["path"] for line in ended.of("opened") if line["mode"] == "look"}
    assert looks == {str(hidden)}
