"""Mode, owner, dates and attributes under the real supervisor: who may change what, errno by errno.

Every call is made by its number, on a file inside the write set and on one outside, in every way
that leads to it. What must work is beside what must not.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildperm.sandbox import machine
from buildperm.supervisor.landlock_rules import OWN
from buildperm.supervisor.metadata_guard import MetadataGuard
from buildperm.tracer import syscall_numbers, syscall_table
from buildperm.tracer.recorder import change_calls
from buildperm.tracer.recorder.brokered import Refused, Result, Substitute
from buildperm.tracer.recorder.process_tree import Process
from buildperm.tracer.syscall_table import ChangeLayout
from tests.bench import USERS, Bench, make_bench, wait_until
from tests.programs import CHILDREN, program_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildperm.tracer.recorder.observation import Decoded

BWRAP = machine.bubblewrap()
WHY_NOT = machine.probe_wrapper(BWRAP) if BWRAP else "it is not installed"
NUMBERS = syscall_numbers.table()
GUARDED = [
    name
    for name, layout in syscall_table.of(ChangeLayout).items()
    if layout.change.split("-")[0] in ("mode", "owner", "times", "attribute") and name in NUMBERS
]

PRELUDE = program_text("metadata_calls.py", NUMBERS=repr({name: NUMBERS[name] for name in GUARDED}))
EPILOGUE = program_text("metadata_results.py")

GRANTS = {"read": ["$WORKSPACE/*", "$WORKSPACE/gen/**"], "write": ["$WORKSPACE/gen/**"]}
BY_PATH = [name for name in GUARDED if not name.startswith(("fchmod", "fchown")) or "at" in name]
BY_PATH = [name for name in BY_PATH if name not in ("fsetxattr", "fremovexattr", "file_setattr")]
RELATIVE = [name for name in BY_PATH if syscall_table.of(ChangeLayout)[name].path[0] >= 0]
BY_DESCRIPTOR = ["fchmod", "fchown", "fsetxattr", "fremovexattr"]
EMPTY = [name for name in ("fchmodat2", "fchownat", "utimensat") if name in NUMBERS]
FOLLOWING = [name for name in BY_PATH if name not in ("lchown", "lsetxattr", "lremovexattr")]


@pytest.fixture(params=[f"{user}-{runtime}" for user in USERS for runtime in ("portable", "full")])
def any_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Make a bench for each user and runtime."""
    user, runtime = str(request.param).split("-")
    if runtime == "full" and WHY_NOT:
        pytest.skip(f"bubblewrap is unusable: {WHY_NOT}")
    for made in make_bench(user):
        if runtime == "full":
            made.wrapper, made.mounts = [os.fsencode(BWRAP)], True
        yield made


def run(bench: Bench, body: str, profile: Any = "enforcing") -> dict[str, Any]:  # noqa: ANN401
    """Run `body` as a build script and return what it put into `found`."""
    bench.grants = bench.grants or GRANTS
    (bench.workspace / "gen").mkdir(exist_ok=True)
    (bench.workspace / "victim").write_text("x")
    (bench.workspace / "victim").chmod(0o600)
    os.setxattr(bench.workspace / "victim", "user.x", b"old")
    os.utime(bench.workspace / "victim", (5, 5))
    ended = bench.run(bench.script(PRELUDE + body + EPILOGUE), profile)
    assert ended.status == 0, ended.stderr.decode()
    return dict(json.loads(ended.stdout))


def victim_is_untouched(bench: Bench) -> bool:
    """Tell whether the file outside is as `run` made it."""
    path = bench.workspace / "victim"
    about = path.stat()
    is_kept = stat.S_IMODE(about.st_mode) == 0o600 and about.st_mtime == 5
    is_own = about.st_uid in (bench.uid, os.getuid())
    return is_kept and is_own and os.getxattr(path, "user.x") == b"old"


def refused(bench: Bench, path: Path) -> int:
    """Count the refused changes of `path` in the recording."""
    return sum(
        event.get("count", 1)
        for event in bench.events()
        if event["type"] == "changed" and event.get("refused") and event["path"] == str(path)
    )


def test_every_call_works_on_files_that_the_script_may_write(any_bench: Bench) -> None:
    body = program_text(
        "metadata_allowed.py", BY_PATH=repr(BY_PATH), BY_DESCRIPTOR=repr(BY_DESCRIPTOR)
    )
    found = run(any_bench, body)

    assert len(found) >= 3 * len(BY_PATH) + 4
    for name, (code, before, after) in found.items():
        assert code == 0, name
        change = syscall_table.of(ChangeLayout)[name.split()[0]].change
        if change == "mode-changed":
            assert (before[0], after[0]) == (0o600, 0o640), name
        elif change == "times-changed":
            assert after[3] == 2000 * 10**9 + (0 if name.startswith("utime ") else 5000), name
        elif change == "attribute-changed":
            assert after[4] == ([] if "remove" in name else ["user.x"]), name
        else:
            assert after[1:3] == before[1:3], name
    assert not [event for event in any_bench.events() if event.get("refused")]


@pytest.mark.parametrize("profile", ["enforcing", "learning"])
def test_no_call_works_on_other_files(any_bench: Bench, profile: str) -> None:
    body = program_text(
        "metadata_refused.py",
        BY_PATH=repr(BY_PATH),
        FOLLOWING=repr(FOLLOWING),
        RELATIVE=repr(RELATIVE),
        BY_DESCRIPTOR=repr(BY_DESCRIPTOR),
        EMPTY=repr(EMPTY),
    )
    found = run(any_bench, body, profile)

    assert victim_is_untouched(any_bench)
    if any_bench.mounts:  # What is there is read-only, and what is not, is not.
        assert set(found.values()) <= {errno.EACCES, errno.EROFS, errno.ENOENT}
        return
    assert found == dict.fromkeys(found, errno.EACCES)
    assert refused(any_bench, any_bench.workspace / "victim") >= 8 * len(BY_PATH)
    assert refused(any_bench, any_bench.workspace) == len(EMPTY)


def test_links_themselves_are_changed_where_they_lie(bench: Bench) -> None:
    body = program_text("metadata_links.py")
    (bench.package / "link").symlink_to("elsewhere")
    found = run(bench, body)

    assert found.pop("times") == 2000 * 10**9 + 5000
    works = {"lchown": 0, "fchownat": 0, "utimensat": 0}
    works |= {"fchmodat2": errno.EOPNOTSUPP, "lsetxattr": errno.EPERM}
    for key, code in found.items():
        name, where = key.split()
        if where == "crate":  # Nobody can give a link attributes, in a sandbox or without.
            assert code == (errno.EPERM if name == "lsetxattr" else errno.EACCES), key
        else:
            assert code == works[name], key
    assert victim_is_untouched(bench)


def test_what_leads_nowhere_is_answered_as_by_the_kernel(bench: Bench) -> None:
    """The same calls are made in a script without any sandbox."""
    body = program_text(
        "metadata_errors.py",
        BY_PATH=repr(BY_PATH),
        FOLLOWING=repr(FOLLOWING),
        RELATIVE=repr(RELATIVE),
        BY_DESCRIPTOR=repr(BY_DESCRIPTOR),
        EMPTY=repr(EMPTY),
    )
    found = run(bench, body)
    subprocess.run(["chmod", "-R", "u+rwX", str(bench.out_dir)], check=True)
    subprocess.run(["rm", "-rf", str(bench.out_dir)], check=True)
    bench.out_dir.mkdir()
    bench.owned()
    ended = subprocess.run(
        [*bench.as_user(), bench.top / "script.py"],
        env=bench.variables(),
        capture_output=True,
        check=True,
    )
    expected = json.loads(ended.stdout)

    differing = {
        key: (found[key], expected[key]) for key in expected if found[key] != expected[key]
    }
    assert differing == {}
    assert len(expected) > 250


def test_omitted_and_present_times(any_bench: Bench) -> None:
    body = program_text("metadata_times.py")
    found = run(any_bench, body)

    assert found["omit first"] == [0, 5, 77]
    assert found["omit second"] == [0, 66, 5]
    assert found["omit both"] == [0, 5, 5]
    assert found["now"][0] == 0
    assert min(found["now"][1:]) > 1_700_000_000
    assert found["mixed"][1] > 1_700_000_000
    assert found["mixed"][2] == -3


def test_names_that_are_gone_count_by_where_they_were(bench: Bench) -> None:
    body = program_text("metadata_deleted.py")
    bench.grants = GRANTS
    (bench.workspace / "gen").mkdir()
    (bench.workspace / "passing").write_text("x")
    placed = bench.script(PRELUDE + body + EPILOGUE)
    with bench.start(placed) as process:
        wait_until(lambda: (bench.out_dir / "ready").exists() or process.poll() is not None, 120)
        (bench.workspace / "passing").unlink()
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    found = json.loads(stdout)

    assert found.pop("deleted") == [0, 0o640]
    assert {key for key, code in found.items() if code == 0} == {
        *("by /proc", "really so called", "in a deleted folder", "a deleted folder"),
        *("working folder", "temporary", "memory"),
    }
    # As another user nobody may change what belongs to root, in a sandbox or without.
    assert found["null"] == (errno.EPERM if bench.uid or os.getuid() else errno.EACCES)
    assert found["pipe"] == found["deleted outside"] == found["times outside"] == errno.EACCES


def test_a_hard_link_counts_by_the_name_that_is_used(bench: Bench) -> None:
    (bench.workspace / "gen").mkdir()
    (bench.workspace / "twin").write_text("x")
    os.link(bench.workspace / "twin", bench.workspace / "gen/twin")
    body = program_text("metadata_hard_links.py")
    found = run(bench, body)

    # Whoever may write the content by a name may write this, too; Landlock sees it so.
    assert found["inside"] == found["own"] == 0
    assert found["outside"] == errno.EACCES
    assert found["stolen"] in (errno.EXDEV, errno.EACCES)
    assert victim_is_untouched(bench)


def test_a_file_that_is_granted_is_that_file_alone(bench: Bench) -> None:
    bench.grants = {"read": [], "write": ["$WORKSPACE/one.rs"]}
    for name in ("one.rs", "one.rs.bak", "two.rs"):
        (bench.workspace / name).write_text("x")
    body = """
for name in ("one.rs", "one.rs.bak", "two.rs", "."):
    found[name] = make("fchmodat", CWD, ws + "/" + name)
"""
    found = run(bench, body)

    assert found == {"one.rs": 0, "one.rs.bak": 13, "two.rs": 13, ".": 13}


def test_what_is_sensitive_in_a_granted_folder_stays_as_it_is(bench: Bench) -> None:
    bench.grants = {"read": [], "write": ["$WORKSPACE/**"]}
    (bench.workspace / ".git/hooks").mkdir(parents=True)
    (bench.workspace / ".git/hooks/pre-commit").write_text("x")
    (bench.workspace / "a").write_text("x")
    body = """
for name in ("a", ".git/hooks/pre-commit", ".git/hooks", "Cargo.toml"):
    found[name] = make("fchmodat", CWD, ws + "/" + name)
"""
    found = run(bench, body)

    assert found == {"a": 0, ".git/hooks/pre-commit": 13, ".git/hooks": 13, "Cargo.toml": 13}


def test_nothing_becomes_setuid(any_bench: Bench) -> None:
    body = program_text("metadata_modes.py")
    numbers = f"OPENAT, MKNODAT = {NUMBERS['openat']}, {NUMBERS['mknodat']}\n"
    (any_bench.workspace / "gen/setgid").mkdir(parents=True)
    if os.getuid() == 0 and any_bench.uid:
        os.chown(any_bench.workspace / "gen/setgid", any_bench.uid, any_bench.uid)
    (any_bench.workspace / "gen/setgid").chmod(0o2755)
    found = run(any_bench, numbers + body)

    for what in ("file", "folder", "descriptor"):
        assert found[f"{what} 4755"] == found[f"{what} 2755"] == found[f"{what} 6755"] == [0, 0o755]
        assert found[f"{what} 1644"] == [0, 0o1644]
    assert found["openat"] == found["mknodat"] == [errno.EPERM, False]
    assert found["temporary"] == [errno.EPERM, False]
    assert found["openat 0755"] == found["mknodat 0755"] == [0, True]
    assert found["no creation"][0] == 0
    assert found["setgid folder"] == [0, 0o2750]
    assert found["no longer"][0] == 0


def test_of_the_attributes_only_harmless_ones_are_there(bench: Bench) -> None:
    capability = b"\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"  # cap_chown=ep
    access = b"\2\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + (who).to_bytes(4, "little")
        for tag, rights, who in [
            (1, 6, 0xFFFFFFFF),
            (2, 4, 3),
            (4, 4, 0xFFFFFFFF),
            (16, 4, 0xFFFFFFFF),
            (32, 0, 0xFFFFFFFF),
        ]
    )
    body = program_text("metadata_attributes.py", CAPABILITY=repr(capability), ACCESS=repr(access))
    found = run(bench, body)

    for name in ("security.capability", "security.selinux", "trusted.x", "system.other"):
        assert found[name] == errno.EOPNOTSUPP, name
        is_root = not (bench.uid or os.getuid())
        assert found[f"outside {name}"] == (errno.EACCES if is_root else errno.EPERM), name
    assert found["system.posix_acl_access"] == found["user.y"] == 0
    assert found["outside system.posix_acl_access"] == found["outside user.y"] == errno.EACCES
    assert found["left"] == ["user.x"]
    assert victim_is_untouched(bench)


def test_what_the_user_could_not_do_anyway_is_no_question(bench: Bench) -> None:
    if not bench.uid and os.getuid() == 0:
        pytest.skip("root may do everything")
    body = program_text("metadata_system.py")
    found = run(bench, body)

    expected = {"mode": errno.EPERM, "times": errno.EPERM, "now": errno.EACCES}
    expected |= {"attribute": errno.EACCES, "owner": errno.EPERM, "given away": errno.EPERM}
    assert found == expected | {"nobody": errno.EACCES, "kept": errno.EACCES}
    assert [e["path"] for e in bench.events() if e.get("refused")] == [
        "/etc/passwd",  # `chown -1 -1`, which everybody may.
        str(bench.workspace / "victim"),
    ]


def test_a_process_that_gave_up_its_rights_gets_none_back(own_bench: Bench) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    body = program_text("metadata_arguments.py")
    top = own_bench.top
    for folder in (top, own_bench.workspace, own_bench.target, own_bench.unit):
        folder.chmod(0o755)
    found = run(own_bench, body)

    assert found == {"differs": 0, "mode": 0o600}


def test_root_may_give_away_what_it_may_write_and_nothing_else(own_bench: Bench) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    body = """
f = fresh(out + "/f")
found["inside"] = [call("fchownat", CWD, text(f), 1234, 1235, 0), os.stat(f).st_uid]
found["outside"] = call("fchownat", CWD, text(ws + "/victim"), 1234, 1235, 0)
"""
    found = run(own_bench, body)

    assert found == {"inside": [0, 1234], "outside": errno.EACCES}
    assert victim_is_untouched(own_bench)


def test_an_attribute_call_that_cannot_be_made_safely_does_not_exist(own_bench: Bench) -> None:
    body = """
if "file_setattr" in N: found["code"] = make("file_setattr", CWD, fresh(out + "/f"))
else: found["code"] = 38
"""
    assert run(own_bench, body) == {"code": errno.ENOSYS}


@pytest.mark.slow
def test_nothing_forbidden_happens_however_often_the_path_is_turned(bench: Bench) -> None:
    """The text changes millions of times, a link a thousand times: links stop for the recorder."""
    child = bench.top / "flipping"
    subprocess.run(["cc", "-O1", "-pthread", "-o", child, CHILDREN / "flipping.c"], check=True)
    bench.grants = {"exec": ["$WORKSPACE/flipping"], "write": ["$WORKSPACE/gen/**"]}
    (bench.workspace / "gen").mkdir()
    forbidden = bench.workspace / "forbidden"
    forbidden.write_text("x")
    forbidden.chmod(0o600)
    os.utime(forbidden, (5, 5))
    gen = bench.workspace / "gen"
    (gen / "a").write_text("x")
    (gen / "b").symlink_to("../forbidden")
    (gen / "link").symlink_to("a")
    (gen / "other").symlink_to("../forbidden")
    (bench.workspace / "flipping").write_bytes(child.read_bytes())
    (bench.workspace / "flipping").chmod(0o755)
    body = """
import os
ws = os.path.dirname(os.environ["CARGO_MANIFEST_DIR"])
os.execv(ws + "/flipping", ["flipping", ws + "/gen", "100000", "1000"])
"""
    ended = bench.run(bench.script(body), timeout_s=120)

    assert ended.status == 0, ended.stderr
    texts, links, done, refusals = map(int, ended.stdout.split())
    assert texts >= 100_000
    assert links >= 1000
    assert done > 100
    assert refusals > 100
    about = forbidden.stat()
    assert (stat.S_IMODE(about.st_mode), about.st_mtime) == (0o600, 5)
    assert stat.S_IMODE((gen / "a").stat().st_mode) == 0o777


@dataclass(frozen=True, slots=True)
class BuildWork:
    """Work that builds do; `$D` is an empty folder, `$S` holds a source tree."""

    name: str
    commands: str
    dates: tuple[str, ...] = ()  # Files below `$D` whose dates are carried over.

    def __str__(self) -> str:
        return self.name


WORK = [
    BuildWork("cc", "cc -o $D/prog $S/main.c && $D/prog"),
    BuildWork("ar", "cc -c -o $D/a.o $S/main.c && ar cr $D/liba.a $D/a.o && ranlib $D/liba.a"),
    BuildWork("install", "install -m 640 $S/main.c $D/a; install -D -m 755 $S/run $D/x/y/run"),
    BuildWork("install -p", "install -p -m 604 $S/main.c $D/a", ("a",)),
    BuildWork("install -d", "install -d -m 1777 $D/sticky $D/a/b; install -d -m 700 $D/closed"),
    BuildWork("cp -p", "cp -p $S/main.c $S/run $D", ("main.c", "run")),
    BuildWork("cp -a", "cp -a $S/. $D", ("main.c", "run", "sub/b", "link", "sub")),
    BuildWork(
        "cp -a onto itself", "cp -a $S/. $D; cp -a $D/. $D/../copy; mv $D/../copy $D/c", ("run",)
    ),
    BuildWork(
        "tar", "tar -C $S -cf $D/x.tar . && tar -C $D -xpf $D/x.tar && rm $D/x.tar", ("sub/b",)
    ),
    BuildWork("tar --xattrs", "tar -C $S --xattrs -cf - . | tar -C $D --xattrs -xpf -", ("link",)),
    BuildWork("touch", "touch -d @77 $D/a; touch -r $S/run $D/b; touch -m -d @88 $D/a", ("a", "b")),
    BuildWork("touch a link", "ln -s nowhere $D/l; touch -h -d @99 $D/l", ("l",)),
    BuildWork(
        "chmod", "cp -R $S/sub $D; chmod -R a-w $D/sub; chmod u+w,g+x $D/sub/b; chmod a+X $D/sub"
    ),
    BuildWork("mv", "cp -p $S/run $D/r; mv $D/r $D/../r2; mv $D/../r2 $D/r", ("r",)),
    BuildWork("sed -i", "cp -p $S/run $D/r; sed -i s/a/b/ $D/r"),
    BuildWork("sh", "umask 027; echo x > $D/a; mkdir $D/m; mktemp $D/t.XXXXXX > /dev/null"),
    BuildWork(
        "make",
        "printf 'all: o\\no: i\\n\\tcp $< $@; chmod 755 $@; touch -d @9 i\\n' > $D/Makefile;"
        "touch $D/i; make -s -C $D; make -q -C $D",
        ("i",),
    ),
    BuildWork(
        "perl",
        "perl -e 'open(my $f, \">\", shift); utime(5, 6, $f); chmod(0604, $f)' $D/f",
        ("f",),
    ),
    BuildWork(
        "python",
        "/usr/bin/python3 -c 'import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])'"
        " $S $D/t",
        ("t/run", "t/sub/b", "t/sub"),
    ),
    BuildWork(
        "git",
        "cd $D; git init -q .; cp $S/run a; git add a;"
        "git -c user.name=n -c user.email=e@x commit -qm m; git update-index --chmod=+x a;"
        "git gc -q; git clone -q . c; rm -rf .git/objects .git/index .git/logs c/.git/objects"
        " c/.git/index c/.git/logs",
    ),
    BuildWork(
        "cmake",
        "mkdir $D/s; cp -p $S/main.c $D/s; cd $D/s;"
        "printf 'cmake_minimum_required(VERSION 3.13)\\nproject(p C)\\nadd_executable(p main.c)\\n"
        "configure_file(main.c m.c COPYONLY)\\ninstall(TARGETS p DESTINATION bin)\\n"
        "install(FILES main.c DESTINATION share)\\n' > CMakeLists.txt;"
        "exec > /dev/null; cmake -S . -B $D/b -DCMAKE_INSTALL_PREFIX=$D/i; cmake --build $D/b;"
        "cmake --install $D/b; rm -rf $D/b/CMakeFiles",
        ("i/share/main.c",),
    ),
    BuildWork("rustc", "rustc --crate-type lib -o $D/l.rlib $S/lib.rs"),
]


@pytest.mark.parametrize("work", WORK, ids=str)
@pytest.mark.quick(10)
def test_tools_leave_what_they_leave_without_a_guard(
    any_bench: Bench, work: BuildWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modes, owners and attributes of everything, and dates where they are carried over."""
    source = any_bench.package / "src"
    (source / "sub").mkdir(parents=True)
    (source / "main.c").write_text("int main(void) { return 0; }\n")
    (source / "lib.rs").write_text("pub fn f() {}\n")
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o754)
    (source / "sub/b").write_text("b")
    (source / "sub/b").chmod(0o604)
    (source / "link").symlink_to("run")
    os.setxattr(source / "run", "user.note", b"kept")
    for path in ("main.c", "run", "sub/b", "link", "sub"):
        os.utime(source / path, ns=(10**9, 3 * 10**9 + 7), follow_symlinks=False)
    if work.name == "cmake" and not shutil.which("cmake"):
        pytest.skip("cmake is not installed")
    any_bench.environment = {"LC_ALL": "C"}
    path = "/usr/local/bin:/usr/bin:/bin"
    if work.name == "rustc":
        if any_bench.uid and os.getuid() == 0:
            pytest.skip("rustc is where only root may look")
        if not shutil.which("rustc"):
            pytest.skip("rustc is not installed")
        sysroot = subprocess.run(
            ["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True
        )
        tools = os.path.realpath(sysroot.stdout.strip())
        monkeypatch.setattr(type(any_bench), "sysroot", Path(tools))
        path = f"{tools}/bin:{path}"
    script = any_bench.top / "work.sh"
    setting = f"umask 022\nPATH={path}\nS={source} D=$OUT_DIR/d\nmkdir $D\n"
    script.write_text(f"#!/bin/sh -e\n{setting}{work.commands}\n")
    script.chmod(0o755)

    ended = any_bench.run(any_bench.install(script), "learning")
    assert ended.status == 0, ended.stderr.decode()
    assert ended.stderr == b"", ended.stderr.decode()
    guarded = survey(any_bench.out_dir / "d", work.dates)
    noise = [e for e in ended.of("changed") if e.get("refused")]
    subprocess.run(["chmod", "-R", "u+rwX", str(any_bench.out_dir)], check=True)
    subprocess.run(["rm", "-rf", str(any_bench.out_dir)], check=True)
    any_bench.out_dir.mkdir()
    any_bench.owned()
    scratch = any_bench.top / "scratch"
    scratch.mkdir(mode=0o777)
    scratch.chmod(0o777)
    subprocess.run(
        [*any_bench.as_user(), script],
        env=any_bench.variables() | {"HOME": str(scratch), "TMPDIR": str(scratch)},
        check=True,
    )

    assert guarded == survey(any_bench.out_dir / "d", work.dates)
    assert noise == []


def survey(top: Path, dates: tuple[str, ...]) -> Mapping[str, object]:
    """Look at everything below `top`."""
    found: dict[str, object] = {}
    for path in (top, *top.rglob("*")):
        about = path.lstat()
        name = str(path.relative_to(top))
        kept = [] if path.is_symlink() else os.listxattr(path)
        date = about.st_mtime_ns if name in dates else None
        name = "temporary" if name.startswith("t.") else name
        found[name] = stat.filemode(about.st_mode), about.st_uid, about.st_gid, kept, date
    assert set(dates) <= found.keys()
    return found


@pytest.mark.parametrize("way", ["chroot", "pivot_root"])
def test_a_path_is_followed_from_the_root_of_the_process(tmp_path: Path, way: str) -> None:
    """A script in a mount namespace of its own, as another runtime may have it."""
    if os.getuid() != 0:
        pytest.skip("only root can give a process another root")
    root = Path(os.path.realpath(tmp_path)) / "root"
    for folder in ("w/in", "w/out", "proc"):
        (root / folder).mkdir(parents=True)
    # What the process calls /w/out is not what this one calls so.
    for name in ("in/f", "out/f"):
        (root / "w" / name).write_text("x")
        (root / "w" / name).chmod(0o600)
    (root / "w/in/absolute").symlink_to("/w/in/f")
    (root / "w/in/away").symlink_to("/w/out/f")
    (root / "w/in/up").symlink_to("../../../../../../../../w/in/f")
    program = program_text("other_root.py", PIVOT_ROOT=str(NUMBERS["pivot_root"]))
    paths = ["/w/in/f", "/w/out/f", "f", "../in/f", "../out/f", "absolute", "away", "up"]
    paths += ["../../../../w/in/f", "/w/in/absolute", "/proc/self/fd/3", "missing"]
    guard = MetadataGuard({os.fsencode("/w/in"): OWN})
    assert guard._folders == {}  # Not there for this process: nothing may be changed.
    about = (root / "w/in").stat()
    guard._folders[b"/w/in"] = about.st_dev, about.st_ino
    broker = guard.brokers({NUMBERS["fchmodat"]: "fchmodat"})[NUMBERS["fchmodat"]]
    with subprocess.Popen(
        ["/usr/bin/python3", "-IS", "-c", program, way, root, *paths], stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout is not None
            *pointers, _, outside = map(int, child.stdout.readline().split())
            process = Process(child.pid, child.pid, 0, None)
            answers = {}
            told = {}
            for path, address in zip(paths, pointers, strict=True):
                (root / "w/in/f").chmod(0o600)
                arguments = (NUMBERS["fchmodat"], 0xFFFFFF9C, address, 0o640, 0, 0, 0, 0)
                answer, told[path] = _told(broker(child.pid, process, arguments, None))
                mode = stat.S_IMODE((root / "w/in/f").stat().st_mode)
                assert (answer == 0) == (mode == 0o640), path
                answers[path] = answer
            relative = dict(zip(paths, pointers, strict=True))["f"]
            arguments = (NUMBERS["fchmodat"], outside, relative, 0o640, 0, 0, 0, 0)
            by_folder, _ = _told(broker(child.pid, process, arguments, None))
        finally:
            child.kill()

    works = {"/w/in/f", "f", "../in/f", "absolute", "up", "../../../../w/in/f", "/w/in/absolute"}
    works |= {"/proc/self/fd/3"}
    assert {path for path, answer in answers.items() if answer == 0} == works
    # Told as the process would say it, wherever its root is.
    assert {told[path] for path in works} == {change_calls.changed(b"/w/in/f")}
    assert {told[path] for path in ("/w/out/f", "away")} == {change_calls.changed(b"/w/out/f")}
    assert answers["missing"] == -errno.ENOENT
    assert answers["/w/out/f"] is answers["../out/f"] is answers["away"] is by_folder is None
    assert stat.S_IMODE((root / "w/out/f").stat().st_mode) == 0o600


def _told(answer: Result | Refused | Substitute) -> tuple[int | None, Decoded | None]:
    """Return the result of a call, None where it was refused, and what the recording is told."""
    assert not isinstance(answer, Substitute)
    return None if isinstance(answer, Refused) else answer.value, answer.decoded
