"""Results restored instead of run: the same comes of it, and nothing that has changed is missed."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buildperm.cache.result_store import FolderStore
from tests.command import buildperm, member
from tests.kept_results import checked

pytestmark = pytest.mark.slow  # Each builds several times.

_APART_S = 1.2  # So long after a run another one can tell whether the clock matters.


class Build:
    """A workspace with one build script, and a cache of its own."""

    def __init__(self, top: Path, body: str, grants: str = "") -> None:
        self.workspace = member(top / "ws", f"fn main() {{\n{body}\n}}\n")
        self.cache = top / "cache"
        self.cache.mkdir()
        manifest = self.workspace / "Cargo.toml"
        table = f"\n[workspace.metadata.buildperm]\nversion = 1\ncache = true\n{grants}"
        manifest.write_text(manifest.read_text() + table)
        (self.workspace / "sample/src/lib.rs").write_text(
            'pub const MADE: &str = include_str!(concat!(env!("OUT_DIR"), "/made"));\n'
        )

    def ci(self, *words: str, **variables: str) -> str:
        """Build from nothing, and return what came of looking for a result."""
        shutil.rmtree(self.workspace / "target", ignore_errors=True)
        extra = {"XDG_CACHE_HOME": str(self.cache), **variables}
        self.ended = buildperm("ci", *words, folder=self.workspace, extra=extra)
        assert self.ended.returncode == 0, self.ended.stderr
        return self.outcome()

    def outcome(self) -> str:
        (path,) = self.found("result.json")
        said: dict[str, object] = json.loads(path.read_bytes())
        self.why = str(said["why"])
        return str(said["outcome"])

    def twice(self, *words: str, **variables: str) -> None:
        """Let the script be seen to do the same twice."""
        assert self.ci(*words, **variables) == "kept", self.why
        self.wait()
        assert self.ci(*words, **variables) == "kept", self.why

    def wait(self) -> None:
        """Wait until the clock says something else."""
        began = time.monotonic()
        while time.monotonic() - began < _APART_S:
            time.sleep(0.1)

    def found(self, name: str) -> list[Path]:
        return sorted(self.workspace.glob(f"target/buildperm/ci/**/{name}"))

    def made(self) -> dict[str, tuple[int, bytes]]:
        """Return what is in OUT_DIR, and what the script has printed."""
        (folder,) = {path.parent.parent / "out" for path in self.found("result.json")}
        told = {str(path.relative_to(folder)): _entry(path) for path in folder.rglob("*")}
        for name in ("output", "stderr"):
            told[f"../{name}"] = 0, (folder.parent / name).read_bytes()
        return told

    def cached(self, *words: str) -> str:
        extra = {"XDG_CACHE_HOME": str(self.cache)}
        self.ended = buildperm("cache", *words, folder=self.workspace, extra=extra)
        return self.ended.stdout + self.ended.stderr

    def document(self, *words: str) -> dict[str, Any]:
        """Return what is written for programs, which follows its schema."""
        self.cached(*words, "--format", "json")
        return checked(self.ended.stdout)


def _entry(path: Path) -> tuple[int, bytes]:
    if path.is_symlink():
        return path.lstat().st_mode, os.fsencode(path.readlink())
    return path.lstat().st_mode, b"" if path.is_dir() else path.read_bytes()


READS = r"""
    use std::{env, fs, os::unix::fs::{symlink, PermissionsExt}, path::Path, process::Command};
    let out = env::var("OUT_DIR").unwrap();
    let read = fs::read_to_string("input/data").unwrap();
    let mut listed: Vec<_> =
        fs::read_dir("input/folder").unwrap().map(|e| e.unwrap().file_name()).collect();
    listed.sort();
    let absent = Path::new("input/absent").exists();
    let optional = fs::read_to_string("input/optional").is_ok();
    let linked = fs::read_to_string("input/current/data").unwrap();
    let looked = fs::metadata("input/looked").unwrap().len();
    let said = Command::new("sh").arg("input/tool").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let sample = env::var("CFLAGS").unwrap_or_default();
    let made = format!("{read}{listed:?}{absent}{optional}{linked}{looked}{said}{sample}");
    fs::write(format!("{out}/made"), made).unwrap();
    fs::write(format!("{out}/place"), format!("{out} {}", env::current_dir().unwrap().display()))
        .unwrap();
    fs::create_dir_all(format!("{out}/sub/empty")).unwrap();
    fs::set_permissions(format!("{out}/place"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("../made", format!("{out}/sub/link")).unwrap();
    println!("cargo::rustc-env=FROM={out}");
    println!("cargo::warning=from {out}");
    println!("no directive");
    eprintln!("talk of {out}");
"""
INPUTS = {
    "data": "data",
    "folder/a": "",
    "looked": "1",
    "tool": "echo tool",
    "one/data": "linked",
    "two/data": "LINKED",
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a build whose script has been seen to do the same twice."""
    grants = '[workspace.metadata.buildperm.crates.sample]\nexec = ["sh"]\nreviewed = ["0.1.0"]\n'
    build = Build(tmp_path_factory.mktemp("seen"), READS, grants)
    for name, text in INPUTS.items():
        path = build.workspace / "sample/input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (build.workspace / "sample/input/current").symlink_to("one")
    build.twice()
    return build


@pytest.fixture
def changed(seen: Build, tmp_path: Path) -> Iterator[Build]:
    """Let a test change what the script of `seen` reads, and put it back."""
    saved = tmp_path / "saved"
    inputs = seen.workspace / "sample/input"
    shutil.copytree(inputs, saved, symlinks=True)
    yield seen
    shutil.rmtree(inputs)
    shutil.copytree(saved, inputs, symlinks=True)


def test_what_is_restored_equals_what_has_run(seen: Build) -> None:
    ran = _ran(seen)

    assert seen.ci() == "restored"

    assert seen.made() == ran
    assert "restored; recorded" in seen.ended.stdout + seen.ended.stderr
    (recording,) = seen.found("recording.jsonl")
    first = json.loads(recording.read_text().splitlines()[0])
    assert set(first["restored"]) == {"at", "by"}
    assert f"from {Path(first['places']['OUT_DIR'])}" in seen.ended.stderr


def _ran(build: Build) -> dict[str, tuple[int, bytes]]:
    """Build without the cache, and return what was made."""
    shutil.rmtree(build.workspace / "target", ignore_errors=True)
    ended = buildperm("ci", "--no-cache", folder=build.workspace)
    assert ended.returncode == 0
    assert build.found("result.json") == []
    (recording,) = build.found("recording.jsonl")
    recording.with_name("result.json").write_text("{}")
    return build.made()


def _relink(at: Path) -> None:
    (at / "current").unlink()
    (at / "current").symlink_to("two")


def _replace(at: Path) -> None:
    """Change a file so that neither its size nor the time of its change differ."""
    about = (at / "data").stat()
    (at / "data").write_text("DATA")
    os.utime(at / "data", ns=(about.st_atime_ns, about.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda at: (at / "data").write_text("other"),
    "content of the same size and time": _replace,
    "listing": lambda at: (at / "folder/b").write_text(""),
    "absence of what was looked for": lambda at: (at / "absent").mkdir(),
    "absence of what was to be read": lambda at: (at / "optional").write_text(""),
    "link": _relink,
    "size of what was looked at": lambda at: (at / "looked").write_text("22"),
    "tool": lambda at: (at / "tool").write_text("echo other"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_that_has_changed_is_missed(
    changed: Build, change: Callable[[Path], object]
) -> None:
    before = changed.made()
    change(changed.workspace / "sample/input")

    assert changed.ci() != "restored"

    assert changed.made()["made"] != before["made"]


def test_a_variable_that_has_changed_is_not_missed(seen: Build) -> None:
    assert seen.ci(CFLAGS="-O7") != "restored"
    assert b"-O7" in seen.made()["made"][1]
    said = seen.cached("explain", "sample")
    assert "the variable CFLAGS is another one" in said


OF_CALLER = {
    "another folder": {"PWD": "/usr", "OLDPWD": "/tmp"},
    "make": {"MAKELEVEL": "1", "MAKEFLAGS": "w", "MFLAGS": "-w", "MAKE_TERMOUT": "/dev/pts/3"},
    "another shell": {"SHLVL": "4", "_": "/usr/bin/env", "RUST_RECURSION_COUNT": "2"},
    "a terminal": {"TERM": "screen", "COLUMNS": "93", "LINES": "12", "WINDOWID": "7"},
    "a session": {"SSH_TTY": "/dev/pts/3", "XDG_SESSION_ID": "7", "DBUS_SESSION_BUS_ADDRESS": "x"},
    "a service": {"CI": "true", "GITHUB_RUN_ID": "7", "GITHUB_TOKEN": "ghs_0123456789abcdef"},
}


@pytest.mark.parametrize("variables", OF_CALLER.values(), ids=OF_CALLER)
def test_who_calls_and_from_where_changes_nothing(seen: Build, variables: dict[str, str]) -> None:
    assert seen.ci(**variables) == "restored", seen.why


def test_a_script_sees_no_caller_where_results_are_kept(tmp_path: Path) -> None:
    names = ("PWD", "OLDPWD", "_", "SHLVL", "MAKELEVEL", "MAKEFLAGS", "COLUMNS")
    asked = " ".join(f'made += &format!("{{:?}} ", std::env::var_os("{each}"));' for each in names)
    build = Build(tmp_path, f"let mut made = String::new(); {asked}" + WRITE)
    told = {"OLDPWD": "/usr", "SHLVL": "3", "MAKELEVEL": "1", "MAKEFLAGS": "k", "COLUMNS": "7"}

    assert build.ci(**told) == "kept", build.why

    said = (build.workspace / "sample").resolve()
    shown = build.made()["made"][1].decode()
    assert shown == f'Some("{said}") None None None None Some("k") None '


def test_a_script_sees_what_was_set_or_granted_by_name(tmp_path: Path) -> None:
    read = "let of = |name| std::env::var(name).unwrap_or_default();"
    body = f'{read} let made = format!("{{}} {{}} {{}}", of("COLUMNS"), of("LINES"), of("SHLVL"));'
    grants = '[workspace.metadata.buildperm.crates.sample]\nenv = ["COLUMNS"]\n'
    build = Build(tmp_path, body + WRITE, grants)
    (build.workspace / ".cargo").mkdir()
    (build.workspace / ".cargo/config.toml").write_text(
        '[env]\nLINES = { value = "77", force = true }\n'
    )
    build.twice(COLUMNS="50", SHLVL="3")

    assert build.ci(COLUMNS="50", SHLVL="4") == "restored", build.why
    assert build.made()["made"][1] == b"50 77 "
    assert build.ci(COLUMNS="51", SHLVL="4") == "kept", build.why
    assert build.made()["made"][1] == b"51 77 "


def test_a_variable_that_is_withheld_by_now_is_asked_for_in_vain(tmp_path: Path) -> None:
    body = 'let made = if std::env::var("SOME_TOKEN").is_ok() { "1" } else { "0" };'
    build = Build(tmp_path, body + WRITE)
    build.twice()

    assert build.ci(OTHER_TOKEN="x") == "restored", build.why
    shutil.rmtree(build.workspace / "target")
    extra = {"XDG_CACHE_HOME": str(build.cache), "SOME_TOKEN": "x"}
    ended = buildperm("ci", folder=build.workspace, extra=extra)
    assert build.outcome() == "not kept"
    assert "SOME_TOKEN" in ended.stdout + ended.stderr
    assert build.ci() == "restored", build.why


def test_a_variable_that_differs_is_named_where_the_run_is_not_kept(tmp_path: Path) -> None:
    left = 'std::process::Command::new("sleep").arg("60").spawn().unwrap();'
    body = f'let made = ""; if std::env::var_os("CFLAGS").is_some() {{ {left} }}'
    grants = '[workspace.metadata.buildperm.crates.sample]\nexec = ["sleep"]\n'
    build = Build(tmp_path, body + WRITE, grants)
    build.twice()
    shutil.rmtree(build.workspace / "target")

    extra = {"XDG_CACHE_HOME": str(build.cache), "CFLAGS": "-O7"}
    buildperm("ci", folder=build.workspace, extra=extra)

    assert build.outcome() == "not kept", build.why
    assert "the variable CFLAGS is another one" in build.cached("explain", "sample")


def test_a_grant_that_has_changed_is_not_missed(seen: Build) -> None:
    manifest = seen.workspace / "Cargo.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace('exec = ["sh"]', 'exec = ["sh", "true"]'))
    try:
        assert seen.ci() != "restored"
    finally:
        manifest.write_text(text)


def test_what_lies_beside_a_workspace_is_not_missed_in_a_third_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    body = 'let made = std::path::Path::new("../../.marker").exists().to_string();'
    build = Build(tmp_path / "a", body + WRITE)
    build.twice()
    outcomes, made = [], []
    for name in ("b", "c", "d"):
        other = object.__new__(Build)
        other.workspace, other.cache = tmp_path / name / "ws", build.cache
        ignored = shutil.ignore_patterns("target")
        shutil.copytree(build.workspace, other.workspace, ignore=ignored)
        if name == "d":
            (tmp_path / "d/.marker").write_text("")
        outcomes.append(other.ci())
        made.append(other.made()["made"][1])

    assert outcomes == ["kept", "restored", "kept"]
    assert made == [b"false", b"false", b"true"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "outcomes"),
    [
        ("std::fs::canonicalize(&out).unwrap(); let made = 1;", ["kept", "restored", "restored"]),
        (
            "use std::os::unix::fs::PermissionsExt; "
            'let made = std::fs::metadata("../..").unwrap().permissions().mode();',
            ["kept", "restored", "kept"],
        ),
    ],
    ids=["only led through", "asked for its permissions"],
)
def test_folders_above_a_deeper_copy_matter_to_who_asks_for_them(
    tmp_path: Path, body: str, outcomes: list[str]
) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    written = 'std::fs::write(format!("{out}/made"), made.to_string()).unwrap();'
    build = Build(tmp_path / "a", f'let out = std::env::var("OUT_DIR").unwrap(); {body}{written}')
    build.twice()
    found = []
    for name in ("b", "c", "d/deeper/still"):
        (tmp_path / name).mkdir(mode=0o755, parents=True)
        other = object.__new__(Build)
        other.workspace, other.cache = tmp_path / name / "ws", build.cache
        shutil.copytree(build.workspace, other.workspace, ignore=shutil.ignore_patterns("target"))
        if name.startswith("d"):
            (tmp_path / name).chmod(0o1777)
        found.append(other.ci())

    assert found == outcomes


def test_another_number_of_jobs_changes_nothing(seen: Build) -> None:
    assert seen.ci("--", "build", "-j", "1") == "restored"


def test_a_copy_elsewhere_is_restored_once_one_has_come_to_the_same(
    seen: Build, tmp_path: Path
) -> None:
    elsewhere = []
    for name in ("one", "two"):
        other = object.__new__(Build)
        other.workspace, other.cache = tmp_path / name / "ws", seen.cache
        ignored = shutil.ignore_patterns("target")
        shutil.copytree(seen.workspace, other.workspace, symlinks=True, ignore=ignored)
        elsewhere.append(other)

    assert elsewhere[0].ci() == "kept"
    assert "elsewhere" in elsewhere[0].why
    ran = _ran(elsewhere[1])
    assert elsewhere[1].ci() == "restored", elsewhere[1].why
    assert elsewhere[1].made() == ran
    assert os.fsencode(elsewhere[1].workspace) in elsewhere[1].made()["place"][1]


WRITE = 'std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made", made).unwrap();'
DIFFERENT = {
    "clock": 'let made = format!("{:?}", std::time::SystemTime::now());',
    "chance": "use std::hash::{BuildHasher, RandomState};"
    'let made = format!("{}", RandomState::new().hash_one(1));',
    "jobs": 'let made = std::env::var("NUM_JOBS").unwrap();',
    "processors": 'let made = format!("{:?}", std::thread::available_parallelism());',
    "its own number": 'let made = format!("{}", std::process::id());',
}


@pytest.mark.parametrize("said", DIFFERENT.values(), ids=DIFFERENT)
def test_what_is_not_the_same_twice_is_never_restored(tmp_path: Path, said: str) -> None:
    if "parallelism" in said and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("no second processor")
    build = Build(tmp_path, said + WRITE)
    assert build.ci() == "kept", build.why
    build.wait()

    assert build.ci() == "not kept"
    assert "two runs differed in $OUT_DIR/made" in build.why

    assert build.ci() == "run"
    assert "not cacheable" in build.cached("explain", "sample")


@pytest.mark.parametrize("depends", [False, True], ids=["not on the date", "on the date"])
def test_what_was_seen_on_one_day_has_to_be_seen_on_another(tmp_path: Path, depends: bool) -> None:
    said = 'std::fs::read_to_string("day").unwrap()' if depends else '"always"'
    build = Build(tmp_path, f"let made = {said};" + WRITE)
    day = build.workspace / "sample/day"
    day.write_text("1")
    os.utime(day, (0, 0))
    build.twice()
    store = FolderStore(os.fsencode(build.cache / "buildperm/results"))
    for key, name, result in store.every():
        result.seen_s = [each - 86_400 for each in result.seen_s]
        # Nobody sees that it depends on a day: neither does the result.
        result.inputs = [each for each in result.inputs if "/day" not in str(each[1])]
        store.put(key, name, result)
    day.write_text("2")

    assert build.ci() == ("not kept" if depends else "kept")
    assert "on one day only" in build.why
    assert build.ci() == ("run" if depends else "restored"), build.why


UNKEPT = {
    "refused": (
        'let made = ""; let _ = std::fs::read("/root/x/y"); '
        'let _ = std::net::TcpStream::connect("127.0.0.1:9");',
        "refused",
    ),
    "refused beside a habit": (
        'let made = ""; let _ = std::fs::File::open("/dev/tty"); '
        'let _ = std::fs::OpenOptions::new().append(true).open("/usr/lib/os-release");',
        "refused",
    ),
    "refused to make a terminal": (
        'let made = ""; let _ = std::fs::File::create("/dev/tty");',
        "refused",
    ),
    "left running": (
        'let made = ""; std::process::Command::new("sleep").arg("60").spawn().unwrap();',
        "left something running",
    ),
}


@pytest.mark.parametrize(("body", "why"), UNKEPT.values(), ids=UNKEPT)
def test_a_run_that_cannot_be_kept_says_why(tmp_path: Path, body: str, why: str) -> None:
    grants = '[workspace.metadata.buildperm.crates.sample]\nexec = ["sleep"]\n'
    build = Build(tmp_path, body + WRITE, grants)

    shutil.rmtree(build.workspace / "target", ignore_errors=True)
    buildperm("ci", folder=build.workspace, extra={"XDG_CACHE_HOME": str(build.cache)})

    assert build.outcome() == "not kept"
    assert re.search(why, build.why)


HABITS = {
    "terminal": 'let _ = fs::File::open("/dev/tty");',
    "terminal, to write": 'let _ = fs::OpenOptions::new().write(true).open("/dev/tty");',
    "folder that nobody lists": 'let _ = fs::read_dir("/dev");',
    "calls": """
        unsafe extern "C" { fn unshare(flags: i32) -> i32; fn inotify_init1(flags: i32) -> i32; }
        unsafe { unshare(0); inotify_init1(0) };
    """,
}


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_a_habit_that_is_refused_each_time_is_no_obstacle(tmp_path: Path, habit: str) -> None:
    build = Build(tmp_path, f'use std::fs; let made = ""; {habit}' + WRITE)
    build.twice()
    (recording,) = build.found("recording.jsonl")
    refused = [line for line in recording.read_text().splitlines() if '"refused":true' in line]
    calls = re.findall('"call":"[a-z0-9_]+"', recording.read_text())
    assert refused or len(calls) == 2

    assert build.ci() == "restored", build.why


def test_a_damaged_store_is_no_result(seen: Build, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(seen.cache, kept)
    try:
        for blob in seen.cache.glob("buildperm/results/1/blobs/*/*"):
            blob.write_bytes(b"=something else")

        assert seen.ci() == "kept", seen.why
        assert "damaged" in seen.why
        assert b"something else" not in seen.made()["made"][1]

        for blob in seen.cache.glob("buildperm/results/1/blobs/*/*"):
            blob.write_bytes(b"=something else")
        assert "damaged" in seen.cached("verify")
        assert seen.ended.returncode == 2
        assert "0 damaged" in seen.cached("verify")
    finally:
        shutil.rmtree(seen.cache)
        shutil.copytree(kept, seen.cache)


def test_what_is_kept_is_listed_and_cleared(tmp_path: Path) -> None:
    build = Build(tmp_path, 'let made = "";' + WRITE)
    build.twice()

    assert "sample 0.1.0  can be restored" in build.cached("show")
    assert "restored" not in build.cached("explain", "sample")
    (listed,) = build.document("show")["results"]
    assert listed["package"] == {"name": "sample", "version": "0.1.0", "source": None}
    assert (listed["kind"], listed["state"]) == ("run", "confirmed")
    (explained,) = build.document("explain", "sample")["runs"]
    assert explained["outcome"] == "kept"
    assert f"  {explained['why'][0]}" in build.cached("explain", "sample")
    assert build.ci() == "restored"
    assert "restored, and not run" in build.cached("explain", "sample")
    assert build.document("explain", "sample")["runs"] == [{"outcome": "restored", "why": []}]
    assert "1 result removed" in build.cached("clear", "sample")
    assert "0 results" in build.cached("show")
    assert build.ci() == "kept"


def test_nothing_is_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    build = Build(tmp_path, 'let made = "";' + WRITE)

    ended = buildperm(
        "ci", "--no-cache", folder=build.workspace, extra={"XDG_CACHE_HOME": str(build.cache)}
    )

    assert ended.returncode == 0
    assert build.found("result.json") == []
    assert not list(build.cache.glob("buildperm/results/**/*.json"))


def _open_to_all(at: Path) -> None:
    at.mkdir()
    at.chmod(0o777)


SPOILT: dict[str, Callable[[Path], object]] = {
    "others may write there": _open_to_all,
    "a link": lambda at: at.symlink_to("/tmp"),
    "a file": lambda at: at.write_text(""),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_without_a_store_the_build_goes_on_and_says_so(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    build = Build(tmp_path, 'let made = "";' + WRITE)
    (build.cache / "buildperm").mkdir(mode=0o700)
    spoil(build.cache / "buildperm/results")

    extra = {"XDG_CACHE_HOME": str(build.cache)}
    ended = buildperm("ci", folder=build.workspace, extra=extra)

    assert ended.returncode == 0, ended.stderr
    assert "nothing is restored or kept" in ended.stderr
    assert build.found("result.json") == []


def test_a_sample_that_runs_again_as_restored_is_fine(seen: Build) -> None:
    assert seen.ci() == "restored", seen.why
    ran = seen.made()

    said = seen.cached("verify", "--sample", "3", "--seed", "1")

    assert seen.ended.returncode == 0, said
    assert "1 script run again: 1 as restored, 0 different, 0 not compared" in said
    assert seen.outcome() == "same"
    assert seen.made() == ran
    assert seen.ci() == "restored", seen.why


def test_a_sample_that_differs_is_removed_and_named(tmp_path: Path) -> None:
    build = Build(tmp_path, 'let made = std::fs::read_to_string("hidden").unwrap();' + WRITE)
    hidden = build.workspace / "sample/hidden"
    hidden.write_text("1")
    os.utime(hidden, (0, 0))
    build.twice()
    store = FolderStore(os.fsencode(build.cache / "buildperm/results"))
    for key, name, result in store.every():
        # As if nobody had seen that it was read.
        result.inputs = [each for each in result.inputs if "/hidden" not in str(each[1])]
        store.put(key, name, result)
    hidden.write_text("2")
    assert build.ci() == "restored", build.why

    said = build.cached("verify", "--sample", "1")

    assert build.ended.returncode == 2
    assert re.search(r"sample-[0-9a-f]+: run again, it differs in \$OUT_DIR/made; ", said)
    assert build.made()["made"][1] == b"2"
    assert "0 results" in build.cached("show")


def test_a_sample_of_nothing_says_so(tmp_path: Path) -> None:
    build = Build(tmp_path, 'let made = "";' + WRITE)
    assert build.ci() == "kept"

    said = build.cached("verify", "--sample", "1")

    assert build.ended.returncode == 2
    assert "restored nothing" in said


@pytest.mark.parametrize("runtime", ["portable", "full"])
def test_each_runtime_restores_what_ran_in_it(tmp_path: Path, runtime: str) -> None:
    grants = '[workspace.metadata.buildperm.crates.sample]\nexec = ["sh"]\nreviewed = ["0.1.0"]\n'
    build = Build(tmp_path, READS, grants)
    for name, text in INPUTS.items():
        path = build.workspace / "sample/input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (build.workspace / "sample/input/current").symlink_to("one")
    said = {"BUILDPERM_RUNTIME": runtime}
    build.twice(**said)
    ran = build.made()

    assert build.ci(**said) == "restored", build.why
    assert build.made() == ran

    other = {"BUILDPERM_RUNTIME": {"portable": "full", "full": "portable"}[runtime]}
    assert build.ci(**other) != "restored"  # It was held by something else.
    (build.workspace / "sample/input/optional").write_text("")
    assert build.ci(**said) != "restored"
    assert build.made()["made"] != ran["made"]


HIDES = r"""
    use std::{env, ffi::CString, fs, os::raw::{c_char, c_int, c_void}};
    extern "C" {
        fn mmap(at: *mut c_void, size: usize, how: c_int, of: c_int, file: c_int, from: i64)
            -> *mut c_void;
        fn mprotect(at: *mut c_void, size: usize, how: c_int) -> c_int;
        fn access(path: *const c_char, mode: c_int) -> c_int;
    }
    let mut made = String::new();
    for how in [1, 2, 4] { // PROT_READ, PROT_WRITE, PROT_EXEC
        let path = format!("{}/looked-{how}", env::current_dir().unwrap().display());
        let path = CString::new(path).unwrap();
        let bytes = path.as_bytes_with_nul();
        unsafe {
            let page = mmap(std::ptr::null_mut(), 4096, 3, 0x22, -1, 0);
            std::ptr::copy(bytes.as_ptr(), page as *mut u8, bytes.len());
            mprotect(page, 4096, how);
            made += &access(page as *const c_char, 0).to_string();
        }
    }
    fs::write(format!("{}/made", env::var("OUT_DIR").unwrap()), made).unwrap();
"""


def test_a_path_in_a_page_that_is_not_for_reading_is_seen(tmp_path: Path) -> None:
    build = Build(tmp_path, HIDES)
    build.twice()
    assert build.ci() == "restored"

    for protection in (1, 2, 4):
        looked = build.workspace / f"sample/looked-{protection}"
        looked.write_text("")
        assert build.ci() != "restored"
        assert f"looked-{protection} is there now" in build.why
        looked.unlink()
    assert build.ci() == "restored"
