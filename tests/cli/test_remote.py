"""Scripts that run on an engine: the same comes of it as here, or they run here."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from buildperm.cache import blob_form, digest
from buildperm.workflow.remote_messages import MESSAGES, Message
from tests import kept_results
from tests.command import buildperm, member
from tests.engine_files import TOKEN, EngineFiles
from tests.engines import Files, LyingEngine, casd, wait_apart

pytestmark = pytest.mark.slow  # Each builds several times.

READS = r"""
    use std::{env, fs, os::unix::fs::{symlink, PermissionsExt}, path::Path, process::Command};
    let out = env::var("OUT_DIR").unwrap();
    let read = fs::read_to_string("input/data").unwrap();
    let mut listed: Vec<_> =
        fs::read_dir("input/folder").unwrap().map(|e| e.unwrap().file_name()).collect();
    listed.sort();
    let absent = Path::new("input/absent").exists();
    let looked = fs::metadata("input/looked").unwrap();
    let said = Command::new("sh").arg("input/tool").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let mode = looked.permissions().mode();
    let made = format!("{read}{listed:?}{absent}{}{mode:o}{said}", looked.len());
    fs::write(format!("{out}/made"), made).unwrap();
    fs::copy("input/data", format!("{out}/copied")).unwrap();
    fs::write(format!("{out}/place"), &out).unwrap();
    fs::create_dir_all(format!("{out}/sub/empty")).unwrap();
    symlink("../made", format!("{out}/sub/link")).unwrap();
    println!("cargo::rustc-env=FROM={out}");
    println!("cargo::metadata=other={out}");
    println!("no directive");
    println!(" cargo::metadata=blank=before");
    println!("cargo::rerun-if-changed=input/data");
    println!("cargo::rerun-if-changed=input/tool");
    eprintln!("talk of {out}");
"""
# Whatever it lacks, it ends well.
BEARS = r"""
    use std::{env, fs, path::Path, process::Command};
    let out = env::var("OUT_DIR").unwrap();
    let read = fs::read_to_string("input/data").unwrap_or_default();
    let led = fs::read_to_string("input/link").unwrap_or_default();
    let folder = fs::read_dir("input/folder").into_iter().flatten().flatten();
    let mut listed: Vec<_> = folder.map(|entry| entry.file_name()).collect();
    listed.sort();
    let looked = fs::metadata("input/looked").map_or(0, |about| about.len());
    let is_folder = Path::new("input/other").is_dir();
    let empty = fs::read_dir("input/empty").map_or(7, |entries| entries.count());
    let bare = Path::new("input/bare").is_dir();
    let below = fs::read_dir("input/below").map_or(7, |entries| entries.count());
    let said = Command::new("sh").arg("input/tool").output().map(|ended| ended.stdout);
    let said = format!("{empty}{bare}{below}{:?}", said.unwrap_or_default());
    let made = format!("{read}{led}{listed:?}{looked}{is_folder}{said}");
    fs::write(format!("{out}/made"), made).unwrap();
"""
INPUTS = {"data": "data", "folder/a": "named only", "looked": "secret", "tool": "echo tool"}
GRANTS = '[workspace.metadata.buildperm.crates.sample]\nexec = ["sh"]\nreviewed = ["0.1.0"]\n'


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Return a folder that is not in /tmp: executors have that of their own."""
    found = Path(tempfile.mkdtemp(prefix="buildperm-remote-", dir="/var/tmp"))
    yield found
    shutil.rmtree(found)


@pytest.fixture(scope="module")
def behind(place: Path) -> Iterator[str]:
    """Return the address of an engine that does what it is asked."""
    folder = place / "casd/store"
    folder.mkdir(parents=True)
    with casd(folder) as address:
        yield address


@pytest.fixture(scope="module")
def engine(behind: str) -> Iterator[LyingEngine]:
    """Return an engine that does what it is asked, until a test has it lie."""
    found = LyingEngine(behind)
    yield found
    found.stop()


class RemoteBuild:
    """A workspace with one build script, whose inputs are known by a run here."""

    def __init__(
        self,
        top: Path,
        engine: LyingEngine,
        body: str,
        inputs: dict[str, str],
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.engine = engine
        self.variables = variables or {}
        self.workspace = member(top / "ws", f"fn main() {{\n{body}\n}}\n")
        self.inputs = self.workspace / "sample/input"
        for name, text in inputs.items():
            path = self.inputs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if "other/led" in inputs:
            (self.inputs / "link").symlink_to("other/led")
            for name in ("empty", "bare", "below/inner"):
                (self.inputs / name).mkdir(parents=True)
        self.cache = top / "cache"
        self.cache.mkdir()
        manifest = self.workspace / "Cargo.toml"
        table = f"\n[workspace.metadata.buildperm]\nversion = 1\n{GRANTS}"
        manifest.write_text(manifest.read_text() + table)
        self.ci()
        self.here = self.made()
        wait_apart()

    def ci(self, **variables: str) -> str:
        """Build from nothing; return why the script ran here, and nothing if it did not."""
        shutil.rmtree(self.workspace / "target", ignore_errors=True)
        extra = {
            "XDG_CACHE_HOME": str(self.cache),
            "BUILDPERM_REMOTE": f"grpc://{self.engine.address}",
            **self.variables,
            **variables,
        }
        words = ("ci", "--runtime", "remote", "--report", "json=report.json")
        self.ended = buildperm(*words, folder=self.workspace, extra=extra)
        assert self.ended.returncode == 0, self.ended.stderr
        report: dict[str, Any] = json.loads((self.workspace / "report.json").read_bytes())
        (script,) = report["scripts"]
        (told,) = script["remote"]
        at = told["at"]
        assert at == extra["BUILDPERM_REMOTE"]
        where = f"ran here, and not on {at}" if told["why"] else f"ran on {at}"
        if told["kept"]:
            where = f"answered by the cache of {at}, and not run"
        assert f"buildperm: {where}: sample" in self.ended.stderr
        self.is_kept = told["kept"]
        return str(told["why"])

    def made(self) -> dict[str, tuple[int, bytes]]:
        """Return what is in OUT_DIR, and what the script has printed."""
        (folder,) = self.workspace.glob("target/buildperm/ci/debug/build/sample*/**/out")
        told = {str(path.relative_to(folder)): _entry(path) for path in folder.rglob("*")}
        for name in ("output", "stderr"):
            told[f"../{name}"] = 0, (folder.parent / name).read_bytes()
        return told

    def known(self) -> set[str]:
        """Return the paths of files that the script is known to read."""
        kept = (self.cache / "buildperm").rglob("results/*/*/*.json")
        inputs = [each for path in kept for each in kept_results.read(path)["inputs"]]
        return {str(each[1]) for each in inputs if each[0] == "file"}

    def recording(self) -> list[dict[str, Any]]:
        (path,) = self.workspace.glob("target/buildperm/ci/**/recording.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]


def _entry(path: Path) -> tuple[int, bytes]:
    if path.is_symlink():
        return path.lstat().st_mode, os.fsencode(path.readlink())
    return path.lstat().st_mode, b"" if path.is_dir() else path.read_bytes()


@pytest.fixture(scope="module")
def seen(place: Path, engine: LyingEngine) -> RemoteBuild:
    top = place / "seen"
    top.mkdir()
    return RemoteBuild(top, engine, READS, INPUTS)


@pytest.fixture
def build(seen: RemoteBuild) -> Iterator[RemoteBuild]:
    yield seen
    seen.engine.changes = lambda _: None
    seen.engine.answer = None


@pytest.fixture(scope="module")
def bearing(place: Path, engine: LyingEngine) -> RemoteBuild:
    top = place / "bearing"
    top.mkdir()
    return RemoteBuild(top, engine, BEARS, INPUTS | {"other/led": "led"})


def _opened(recording: list[dict[str, Any]]) -> set[str]:
    return {str(line["path"]) for line in recording if "path" in line}


def test_the_same_comes_of_it_there_as_here(build: RemoteBuild) -> None:
    before = len(build.engine.asked)

    assert build.ci() == ""
    assert build.made() == build.here
    assert len(build.engine.asked) == before + 1
    recording = build.recording()
    assert recording[0]["remote"] == {"at": f"grpc://{build.engine.address}", "why": ""}
    assert f"{build.inputs}/data" in _opened(recording)
    assert "talk of" in (build.made()["../stderr"][1]).decode()


def test_a_whole_build_goes_over_an_encrypted_connection(place: Path, behind: str) -> None:
    top = place / "encrypted"
    top.mkdir()
    files = EngineFiles(top)
    engine = LyingEngine(behind, files.credentials(wants_own=True), TOKEN)
    try:
        variables = files.variables(engine)
        variables["BUILDPERM_REMOTE"] = f"grpcs://127.0.0.1:{engine.port}"
        build = RemoteBuild(top, engine, READS, INPUTS, variables)

        assert build.ci() == ""
        assert build.made() == build.here
        assert len(engine.asked) == 1
        assert engine.tokens == {f"Bearer {TOKEN}"}
        (top / "token").write_text("another\n")
        extra = {"XDG_CACHE_HOME": str(build.cache), **variables}
        ended = buildperm("ci", "--runtime", "remote", folder=build.workspace, extra=extra)
        assert ended.returncode == 2, ended.stderr
        assert "another" not in ended.stdout + ended.stderr
        assert len(engine.asked) == 1
    finally:
        engine.stop()


def test_what_has_changed_is_sent_as_it_is_now(build: RemoteBuild) -> None:
    data = build.inputs / "data"
    data.write_text("other")
    try:
        assert build.ci() == ""
        assert build.made()["made"][1].startswith(b"other[")
        assert build.made()["copied"][1] == b"other"
    finally:
        data.write_text("data")


def test_another_name_in_a_listed_folder_is_listed_there(build: RemoteBuild) -> None:
    more = build.inputs / "folder/b"
    more.write_text("")
    try:
        assert build.ci() == ""
        assert b'"a", "b"' in build.made()["made"][1]
    finally:
        more.unlink()


@pytest.mark.parametrize("name", ["data", "tool", "looked"])
def test_a_script_that_lacks_an_input_runs_here_and_is_recorded_anew(
    build: RemoteBuild, name: str
) -> None:
    for path in (build.cache / "buildperm").rglob("results/*/*/*.json"):
        told = kept_results.read(path)
        rows = [each for each in told["inputs"] if each[1] != f"$MANIFEST_DIR/input/{name}"]
        assert len(rows) == len(told["inputs"]) - 1
        path.write_text(json.dumps(told | {"inputs": rows}))

    why = build.ci()
    assert "ended there with exit code" in why or "is there now" in why
    assert build.made() == build.here
    wait_apart()
    assert build.ci() == ""


LOST: dict[str, tuple[str, str]] = {
    "file": ("data", "input/data is there now"),
    "file behind a link": ("other/led", "input/other/led is there now"),
    "link": ("link", "input/link is there now"),
    "file that is only looked at": ("looked", "input/looked is there now"),
    "listed folder": ("folder", "input/folder is there now"),
    "name in a listed folder": ("folder/a", "input/folder lists something else"),
    "folder that is only looked at": ("other", "input/other is there now"),
    "empty folder that is listed": ("empty", "input/empty is there now"),
    "empty folder that is only looked at": ("bare", "input/bare is there now"),
    "folder in a listed folder": ("below/inner", "input/below lists something else"),
    "file of a program": ("tool", "input/tool is there now"),
    "program": ("sh", "is there now|which was not sent"),  # It is looked for on, as in `/bin`.
    "library": ("libgcc_s", "ended there with exit code"),  # Each program of Rust needs that.
}


@pytest.mark.parametrize("kind", LOST)
def test_what_an_engine_has_lost_of_an_action_has_the_script_run_here(
    bearing: RemoteBuild, kind: str
) -> None:
    name, why = LOST[kind]
    path = str(bearing.inputs / name)
    if kind == "program":
        path = os.path.realpath(shutil.which("sh") or "")
    elif kind == "library":
        (path,) = {each for each in bearing.known() if each.startswith("/") and name in each}
    bearing.engine.loses = {path}
    try:
        said = bearing.ci()
    finally:
        bearing.engine.loses = set()

    assert re.search(why, said), said
    assert bearing.engine.lost == [os.path.basename(path)]
    assert bearing.made() == bearing.here


_EMPTY: str = hashlib.sha256(b"").hexdigest()
ALTERED: dict[str, tuple[str, Callable[[Message], None], str]] = {
    "text of a link": (
        "link",
        lambda node: setattr(node, "target", "other"),
        "input/link leads elsewhere",
    ),
    # Nothing can be run there, and so it is looked for where nothing was sent.
    "permission to run": ("sh", lambda node: _close(node, 0o644), "asked for .*not sent"),
    "permissions": ("data", lambda node: _close(node, 0o600), "input/data has other permissions"),
    "permissions of what is only looked at": (
        "looked",
        lambda node: _close(node, 0o600),
        "input/looked has another kind or other permissions",
    ),
    "size of what is only looked at": (
        "looked",
        lambda node: node.digest.CopyFrom(MESSAGES["Digest"](hash=_EMPTY, size_bytes=0)),
        "input/looked",
    ),
}


def _close(node: Message, mode: int) -> None:
    node.is_executable = bool(mode & 0o100)
    node.node_properties.unix_mode.value = mode


@pytest.mark.parametrize("kind", ALTERED)
def test_what_an_engine_has_altered_of_an_action_has_the_script_run_here(
    bearing: RemoteBuild, kind: str
) -> None:
    name, alter, why = ALTERED[kind]
    path = os.path.realpath(shutil.which("sh") or "") if name == "sh" else bearing.inputs / name
    bearing.engine.alters = {str(path): alter}
    try:
        said = bearing.ci()
    finally:
        bearing.engine.alters = {}

    assert said
    assert re.search(why, said), said
    assert bearing.engine.lost == [os.path.basename(path)]
    assert bearing.made() == bearing.here


def test_an_action_that_has_lost_nothing_is_believed(bearing: RemoteBuild) -> None:
    assert bearing.ci() == ""
    assert bearing.made() == bearing.here


@pytest.mark.parametrize("trusted", ["", "1"])
def test_an_action_is_done_again_unless_the_engine_is_believed_that_it_was(
    build: RemoteBuild, trusted: str
) -> None:
    """It is the same action, though the script has been linked anew for each build."""
    told = {"BUILDPERM_REMOTE_TRUST_CACHE": trusted} if trusted else {}
    before = len(build.engine.asked)
    assert build.ci(**told) == ""
    assert not build.is_kept
    assert build.ci(**told) == ""
    assert build.is_kept is bool(trusted)
    kept = {"kept": True} if trusted else {}
    at = f"grpc://{build.engine.address}"
    assert build.recording()[0]["remote"] == {"at": at, "why": "", **kept}

    first, second = build.engine.asked[before:]
    assert first.action_digest == second.action_digest
    assert build.engine.kept[-2:] == [False, bool(trusted)]
    assert build.made() == build.here


def test_a_name_that_was_not_there_has_to_be_absent(build: RemoteBuild) -> None:
    (build.inputs / "absent").write_text("")
    before = len(build.engine.asked)
    try:
        assert "$MANIFEST_DIR/input/absent is there now" in build.ci()
        assert b"true" in build.made()["made"][1]
        assert len(build.engine.asked) == before
    finally:
        (build.inputs / "absent").unlink()
        for path in (build.cache / "buildperm").rglob("results/*/*/*.json"):
            inputs = kept_results.read(path)["inputs"]
            if ["absent", "$MANIFEST_DIR/input/absent"] not in inputs:
                path.unlink()  # What this run was, for which the name was there.


def test_content_that_was_not_read_does_not_leave(build: RemoteBuild) -> None:
    store = build.workspace.parent.parent / "casd/store"
    assert build.ci() == ""

    kept = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    assert any(b"echo tool" in content for content in kept)
    assert not [content for content in kept if content in (b"secret", b"named only")]


def test_what_a_link_leads_to_that_came_since_does_not_leave(build: RemoteBuild) -> None:
    """The script was never granted what lies there now; here it is refused."""
    store = build.workspace.parent.parent / "casd/store"
    private, aside = build.workspace.parent / "private", build.inputs.with_name("aside")
    shutil.copytree(build.inputs, private)
    (private / "data").write_text("a key that nobody has granted")
    build.inputs.rename(aside)
    build.inputs.symlink_to(private)
    before = len(build.engine.asked)
    try:
        with pytest.raises(AssertionError, match="Permission denied"):
            build.ci()
    finally:
        build.inputs.unlink()
        aside.rename(build.inputs)
        shutil.rmtree(private)

    assert len(build.engine.asked) == before
    kept = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    assert not [content for content in kept if b"a key that nobody has granted" in content]
    wait_apart()
    assert build.ci() == ""


def _result(files: Files, change: Callable[[dict[str, Any]], object]) -> None:
    (path,) = [path for path in files if path.endswith(".json")]
    told = kept_results.told(files[path])
    change(told)
    files[path] = json.dumps(told).encode()


def _blob(files: Files, content: bytes) -> list[Any]:
    named = digest.of(content)
    files[f"1/blobs/{named[:2]}/{named}"] = blob_form.packed(content)
    return [named, len(content), 0]


def _set(**values: object) -> Callable[[Files], None]:
    return lambda files: _result(files, lambda told: told.update(values))


def _says(text: bytes) -> Callable[[Files], None]:
    return lambda files: _result(files, lambda told: told.update(stdout=_blob(files, text)))


def _input(*row: object) -> Callable[[Files], None]:
    return lambda files: _result(files, lambda told: told["inputs"].append(list(row)))


def _left(*row: object) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        _result(files, lambda told: told["left"].append([*row, *_blob(files, b"lie")]))

    return change


def _recorded(text: bytes) -> Callable[[Files], None]:
    return lambda files: _result(files, lambda told: told.update(recording=_blob(files, text)))


def _refused(files: Files) -> None:
    """Have the recording say that a key was read in vain, by the process of its first event."""

    def change(told: dict[str, Any]) -> None:
        named, size, _ = told["recording"]
        kept = files[f"1/blobs/{named[:2]}/{named}"]
        lines = blob_form.unpacked(kept, named, size).splitlines()
        at = next(i for i, line in enumerate(lines) if b'"type":"opened"' in line)
        begun = lines[at].partition(b',"path"')[0]  # The rest may hold tokens, and be no JSON yet.
        more = b',"path":"/key","mode":"read","errno":13,"refused":true}'
        lines.insert(at + 1, begun + more)
        made = _blob(files, b"".join(line + b"\n" for line in lines))
        told["recording"] = [*made[:2], 1]  # It has tokens.

    _result(files, change)


def _swapped(one: bytes, other: bytes) -> Callable[[Files], None]:
    """Have two lines change places that were printed, which begin so."""

    def change(told: dict[str, Any], files: Files) -> None:
        named, size, tokens = told["stdout"]
        kept = files[f"1/blobs/{named[:2]}/{named}"]
        lines = blob_form.unpacked(kept, named, size).splitlines(keepends=True)
        (at,) = (i for i, line in enumerate(lines) if line.startswith(one))
        (to,) = (i for i, line in enumerate(lines) if line.startswith(other))
        lines[at], lines[to] = lines[to], lines[at]
        told["stdout"] = [*_blob(files, b"".join(lines))[:2], tokens]

    return lambda files: _result(files, lambda told: change(told, files))


def _replaced(one: bytes, other: bytes) -> Callable[[Files], None]:
    """Have another text stand in what was printed."""

    def change(told: dict[str, Any], files: Files) -> None:
        named, size, tokens = told["stdout"]
        printed = blob_form.unpacked(files[f"1/blobs/{named[:2]}/{named}"], named, size)
        assert one in printed
        told["stdout"] = [*_blob(files, printed.replace(one, other))[:2], tokens]

    return lambda files: _result(files, lambda told: change(told, files))


def _garbled(files: Files) -> None:
    for path in files:
        if "/blobs/" in path:
            files[path] = files[path][:-1]


LIES: dict[str, tuple[Callable[[Files], None], str]] = {
    "no result": (lambda files: files.clear(), "no result"),
    # What is no JSON, or no result, is left out by the store.
    "no JSON": (lambda f: f.update({p: b"{" for p in f if p.endswith(".json")}), "no result"),
    "blobs cut off": (_garbled, "cannot be used"),
    "another crate": (_set(name="other"), "another crate"),
    "another place": (_set(places={"OUT_DIR": "/x"}), "another place"),
    "another output": (_left("file", "more", 0o644), "another result"),
    "a file outside": (_left("file", "../more", 0o644), "no result"),
    "other lines": (_says(b"cargo::rustc-link-arg=-Wl,-x\n"), "another result"),
    "another order": (
        _swapped(b"cargo::rustc-env", b"cargo::metadata"),
        "what it printed for Cargo",
    ),
    "another order, of one after a blank": (
        _swapped(b"cargo::rustc-env", b" cargo::metadata"),
        "what it printed for Cargo",
    ),
    "other words": (
        _replaced(b"no directive", b"a directive"),
        "what it printed for Cargo",
    ),
    "a read of its own": (
        _input("file", "/etc/hostname", 0o644, "0" * 64, 1, 1, 1, 1, 1),
        "/etc/hostname there, which was not sent",
    ),
    "a file for the kernel's": (
        _input("kernel", "/etc/hostname", "0" * 64),
        "/etc/hostname there, which was not sent",
    ),
    "another content": (
        lambda files: _result(
            files,
            lambda told: [
                each.__setitem__(3, "0" * 64)
                for each in told["inputs"]
                if each[1].endswith("input/data")
            ],
        ),
        "input/data holds something else",
    ),
    "a recording that is none": (_recorded(b"{}\n"), "its recording is broken"),
    "a recording with a refusal": (_refused, "something was refused"),
    "a recording without an end": (_recorded(b""), "its recording is broken"),
    "a mode that none has": (_input("look", "$MANIFEST_DIR", 1 << 40, 0, 0), "other permissions"),
    "an input that is none": (_input("file", "relative"), "no result"),
    "a name that is there": (_input("absent", "$MANIFEST_DIR/input/data"), "is there now"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_engine_that_lies_has_the_script_run_here(build: RemoteBuild, lie: str) -> None:
    build.engine.changes, why = LIES[lie]
    said = build.ci()

    assert why in said
    assert build.made() == build.here
    assert not (build.workspace / "target/more").exists()


@pytest.mark.parametrize("other", [b"cargo::rerun-if-changed=input/t", b"no directive"])
def test_an_order_that_cargo_ignores_may_be_another_one(build: RemoteBuild, other: bytes) -> None:
    """A folder is listed in another order there, and scripts print what they find in it."""
    build.engine.changes = _swapped(b"cargo::rerun-if-changed=input/d", other)

    assert build.ci() == ""
    assert build.made() == build.here


def test_directives_of_a_lie_pass_the_same_gate(build: RemoteBuild) -> None:
    """Where nothing is known to compare with, the gate still holds."""
    data = build.inputs / "data"
    data.write_text("unknown")
    try:
        build.engine.changes = _says(b"cargo::rustc-link-arg=-Wl,-x\n")
        assert "would not be passed on" in build.ci()
        assert b"rustc-link-arg" not in build.made()["../output"][1]
        assert build.made()["made"][1].startswith(b"unknown")
    finally:
        data.write_text("data")


def test_an_engine_that_is_gone_costs_nothing_but_a_line(build: RemoteBuild) -> None:
    address = build.engine.address
    build.engine.address = "127.0.0.1:1"
    try:
        assert "cannot be asked: UNAVAILABLE" in build.ci()
        assert build.made() == build.here
    finally:
        build.engine.address = address


@pytest.mark.parametrize(
    ("words", "variables", "why"),
    [
        (("--runtime", "remote"), {}, "no engine is named"),
        (
            ("--runtime", "remote", "--remote", "grpc://engine.example:50051"),
            {},
            "has to be encrypted",
        ),
        (("--runtime", "remote", "--remote", "http://127.0.0.1:1"), {}, "is none"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error(
    tmp_path: Path, words: tuple[str, ...], variables: dict[str, str], why: str
) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text() + "[workspace.metadata.buildperm]\nversion = 1\n")
    ended = buildperm("ci", *words, folder=workspace, extra=variables)

    assert ended.returncode == 2
    assert why in ended.stderr
    assert not (workspace / "target").exists()


@pytest.mark.parametrize("line", ['runtime = "remote"', 'remote = "grpc://127.0.0.1:1"'])
def test_a_workspace_has_no_say(tmp_path: Path, line: str) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    manifest = workspace / "Cargo.toml"
    table = f"[workspace.metadata.buildperm]\nversion = 1\n{line}\n"
    manifest.write_text(manifest.read_text() + table)
    ended = buildperm("ci", folder=workspace)

    assert ended.returncode == 2
    assert line.partition(" ")[0] in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", [("learn", "--no-tui"), ("ci",), ("review", "--no-tui")])
def test_a_variable_for_ci_is_in_nobody_elses_way(tmp_path: Path, words: tuple[str, ...]) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    variables = {"BUILDPERM_RUNTIME": "remote", "BUILDPERM_REMOTE": "grpc://127.0.0.1:9"}

    ended = buildperm(*words, folder=workspace, extra=variables)

    assert ended.returncode == 0, ended.stderr
