"""Roots: build scripts see another system than the machine's, and a build knows which."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.cli.always_on_machine import PersonsMachine, machine
from tests.command import CI, LEARN, buildperm, environment, is_orderly, kill_group, member
from tests.made_image import BASE, layout
from tests.small_root import SmallRoot, skip_without_rooms

__all__ = ["machine"]

pytestmark = pytest.mark.slow  # Each builds.

_LOOKS = """
use std::process::Command;

fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let mut made = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    for tool in ["only-here", "env"] {
        made += &match Command::new(tool).output() {
            Ok(said) => String::from_utf8(said.stdout).unwrap(),
            Err(error) => format!("{tool}: {:?}\\n", error.kind()),
        };
    }
    std::fs::write(out + "/made", made).unwrap();
}
"""
_SEEN = 'NAME="a small root"\nfrom the root\nenv: NotFound\n'

_WAITS = """
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/began"), "").unwrap();
    while !std::path::Path::new(&format!("{out}/go")).exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
"""


@pytest.fixture
def root(tmp_path: Path) -> SmallRoot:
    skip_without_rooms()
    made = SmallRoot(tmp_path / "root")
    made.add_program("only-here", 'puts("from the root");')
    return made


@pytest.fixture
def workspace(tmp_path: Path, root: SmallRoot) -> Path:
    made = member(tmp_path / "ws", _LOOKS)
    _append(made, root.table())
    return made


def _append(workspace: Path, text: str) -> None:
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text() + text)


def _grant(workspace: Path) -> None:
    grants = '[workspace.metadata.buildperm.crates.sample]\nexec = ["only-here"]\n'
    _append(workspace, f'\n{grants}reviewed = ["0.1.0"]\n')


def _redigest(workspace: Path, root: SmallRoot) -> None:
    manifest = workspace / "Cargo.toml"
    line = f'root-digest = "{root.digest}"'
    manifest.write_text(re.sub(r"root-digest = .*", line, manifest.read_text()))


def _made(workspace: Path) -> str:
    (path,) = workspace.glob("target/buildperm/ci/**/out/made")
    return path.read_text()


def _recorded(workspace: Path) -> dict[str, object]:
    (path,) = workspace.glob("target/buildperm/ci/**/recording.jsonl")
    header: dict[str, object] = json.loads(path.read_bytes().splitlines()[0])
    return header


def test_a_script_sees_the_root_and_nothing_of_the_machine_s_system(
    workspace: Path, root: SmallRoot
) -> None:
    learnt = buildperm(*LEARN, folder=workspace)
    # It is called by its name, as PATH leads to it in the root, and nowhere here.
    assert (learnt.returncode, "run only-here" in learnt.stderr) == (3, True), learnt.stderr
    _grant(workspace)
    held = buildperm(*CI, "--report", "json=report.json", folder=workspace)
    assert held.returncode == 0, held.stderr
    assert _made(workspace) == _SEEN
    told = {"path": str(root.folder), "digest": root.digest}
    assert _recorded(workspace)["root"] == told
    assert json.loads((workspace / "report.json").read_text())["root"] == root.digest
    assert root.digest in held.stdout + held.stderr
    why = buildperm("why", "sample", "exec:/bin/only-here", folder=workspace)
    assert why.stdout.startswith("allowed"), why.stdout
    assert "only-here" in why.stdout


def test_without_a_root_the_same_script_sees_the_machine(workspace: Path) -> None:
    manifest = workspace / "Cargo.toml"
    manifest.write_text(re.sub(r"root.*\n", "", manifest.read_text()))
    buildperm(*CI, folder=workspace)
    assert "root" not in _recorded(workspace)
    assert "only-here: NotFound" in _made(workspace)
    assert "env: PermissionDenied" in _made(workspace)  # It is there.


@pytest.mark.parametrize("command", [CI, LEARN])
def test_another_root_than_the_committed_one_holds_nothing(
    workspace: Path, root: SmallRoot, command: tuple[str, ...]
) -> None:
    wanted = root.digest
    (root.folder / "etc/os-release").write_text("NAME=another\n")
    ended = buildperm(*command, folder=workspace)
    assert ended.returncode == 23
    assert wanted in ended.stderr
    assert root.digest in ended.stderr
    assert str(root.folder) in ended.stderr
    assert "hint: " in ended.stderr
    assert not list(workspace.glob("target/buildperm/**/out"))


def test_the_weaker_runtime_holds_nothing(workspace: Path) -> None:
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('require = "full"\n', ""))
    for words in ((), ("--runtime", "portable")):
        ended = buildperm(*CI, *words, folder=workspace)
        assert ended.returncode == 23
        assert "`full`" in ended.stderr
    assert buildperm(*CI, "--runtime", "full", folder=workspace).returncode == 20  # It runs.


def test_without_bubblewrap_nothing_is_held(workspace: Path, tmp_path: Path) -> None:
    folders = os.environ["PATH"].split(os.pathsep)
    shown = tmp_path / "bin"
    shown.mkdir()
    for folder in filter(os.path.isdir, folders):
        for name in os.listdir(folder):
            if name != "bwrap" and not (shown / name).is_symlink():
                (shown / name).symlink_to(f"{folder}/{name}")
    ended = buildperm(*CI, folder=workspace, extra={"PATH": str(shown)})
    assert ended.returncode == 23
    assert "bubblewrap" in ended.stderr


def test_where_the_root_lies_may_be_said_on_each_machine(
    workspace: Path, root: SmallRoot, tmp_path: Path
) -> None:
    manifest = workspace / "Cargo.toml"
    manifest.write_text(re.sub(r"\nroot = .*", "", manifest.read_text()))
    ended = buildperm(*CI, folder=workspace)
    assert ended.returncode == 23
    assert "nothing says where it is" in ended.stderr
    moved = shutil.copytree(root.folder, tmp_path / "moved", symlinks=True)
    for words, extra in (
        (["--root", "../moved"], {}),
        ([], {"BUILDPERM_ROOT": str(moved)}),
    ):
        ended = buildperm(*CI, *words, folder=workspace, extra=extra)
        assert ended.returncode == 20, ended.stderr  # Only what it runs is not granted.
        assert _recorded(workspace)["root"] == {"path": str(moved), "digest": root.digest}
    ended = buildperm(*CI, "--root", "nowhere", folder=workspace)
    assert ended.returncode == 23
    manifest.write_text(re.sub(r"root-digest.*", "", manifest.read_text()))
    ended = buildperm(*CI, "--root", "../moved", folder=workspace)
    assert ended.returncode == 23
    assert "no `root-digest`" in ended.stderr
    # The variable may stand there for other workspaces.
    ended = buildperm(*CI, folder=workspace, extra={"BUILDPERM_ROOT": str(moved)})
    assert ended.returncode == 20
    assert "root" not in _recorded(workspace)


def test_the_own_file_says_where_the_root_lies_and_no_workspace_does(
    workspace: Path, root: SmallRoot, tmp_path: Path
) -> None:
    """The team commits a digest; each machine has the folder elsewhere."""
    _grant(workspace)
    moved = shutil.copytree(root.folder, tmp_path / "moved", symlinks=True)
    own = tmp_path / "of-me/buildperm/config.toml"
    own.parent.mkdir(parents=True)
    extra = {"XDG_CONFIG_HOME": str(tmp_path / "of-me")}
    said = buildperm("root", "digest", str(moved), folder=tmp_path, extra=extra)
    own.write_text(said.stderr.partition("\n")[2])  # As it is printed.
    ended = buildperm(*CI, folder=workspace, extra=extra)
    assert ended.returncode == 0, ended.stderr
    assert _recorded(workspace)["root"] == {"path": str(moved), "digest": root.digest}
    shown = buildperm("config", folder=workspace, extra=extra)
    assert f"roots    {root.digest} = {moved}" in shown.stdout
    # Neither Cargo's settings of a workspace nor a file of its own move it.
    planted = workspace / ".config/buildperm/config.toml"
    planted.parent.mkdir(parents=True)
    planted.write_text(own.read_text().replace(str(moved), str(root.folder)))
    settings = workspace / ".cargo/config.toml"
    settings.parent.mkdir()
    settings.write_text(
        f'[env]\nXDG_CONFIG_HOME = {{ value = "{planted.parents[1]}", force = true }}\n'
    )
    assert buildperm(*CI, folder=workspace, extra=extra).returncode == 0
    assert _recorded(workspace)["root"] == {"path": str(moved), "digest": root.digest}
    shutil.rmtree(settings.parent)
    # It may be anywhere, and still has to be what Cargo.toml says.
    (moved / "etc/os-release").write_text("NAME=another\n")
    ended = buildperm(*CI, folder=workspace, extra=extra)
    assert (ended.returncode, "is not the one" in ended.stderr) == (23, True)
    own.write_text(f'[roots]\n"{root.digest}" = "$HOME/\\u001b[31mnowhere"\n')
    ended = buildperm(*CI, folder=workspace, extra=extra)
    assert (ended.returncode, f"of {own} cannot be used" in ended.stderr) == (23, True)
    assert is_orderly(ended.stderr)
    own.write_text("[roots")
    ended = buildperm(*CI, folder=workspace, extra=extra)
    assert (ended.returncode, f"{own}: broken TOML" in ended.stderr) == (23, True)
    # Who says it for this command needs no file.
    ended = buildperm(*CI, "--root", str(root.folder), folder=workspace, extra=extra)
    assert ended.returncode == 0, ended.stderr


def test_the_html_report_names_the_root_of_each_recording(workspace: Path, root: SmallRoot) -> None:
    _grant(workspace)
    assert buildperm(*CI, folder=workspace).returncode == 0
    first = root.digest
    (root.folder / "etc/os-release").write_text("NAME=another\n")
    _redigest(workspace, root)
    page = buildperm("report", "--html", "-o", "-", folder=workspace).stdout
    assert f"Build scripts were recorded in the root <code>{first}</code>" in page
    assert f"Cargo.toml names the root <code>{root.digest}</code>" in page
    assert f"1 recording on this machine, in the root <code>{first}</code>" in page
    assert buildperm(*CI, folder=workspace).returncode == 0
    page = buildperm("report", "--html", "-o", "-", folder=workspace).stdout
    assert f"Build scripts see the root <code>{root.digest}</code>" in page


def test_another_committed_root_runs_scripts_again(workspace: Path, root: SmallRoot) -> None:
    _grant(workspace)
    assert buildperm(*CI, folder=workspace).returncode == 0
    assert _made(workspace) == _SEEN
    (root.folder / "etc/os-release").write_text("NAME=another\n")
    _redigest(workspace, root)
    assert buildperm(*CI, folder=workspace).returncode == 0
    assert _made(workspace) == _SEEN.replace('"a small root"', "another")


def test_a_kept_result_is_not_restored_in_another_root(
    workspace: Path, root: SmallRoot, tmp_path: Path
) -> None:
    _grant(workspace)
    (tmp_path / "cache").mkdir()
    extra = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    outcomes, reasons = [], []
    for number in range(5):
        if number == 3:  # Of no file that the script reads.
            (root.folder / "usr/unread").write_text("")
            _redigest(workspace, root)
        shutil.rmtree(workspace / "target", ignore_errors=True)
        time.sleep(1.2)
        ended = buildperm(*CI, "--cache", folder=workspace, extra=extra)
        assert ended.returncode == 0, ended.stderr
        assert _made(workspace) == _SEEN
        (path,) = workspace.glob("target/buildperm/ci/**/result.json")
        said = json.loads(path.read_bytes())
        outcomes.append(said["outcome"])
        reasons.append(said["why"])
    assert outcomes == ["kept", "kept", "restored", "kept", "kept"], reasons


@pytest.fixture
def waiting(tmp_path: Path, root: SmallRoot) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start a build whose script waits in the root for a file in OUT_DIR."""
    workspace = member(tmp_path / "waits", _WAITS)
    _append(workspace, root.table())
    started = subprocess.Popen(
        [sys.executable, "-m", "buildperm", *CI],
        cwd=workspace,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    while not (found := list(workspace.glob("target/buildperm/ci/**/out/began"))):
        assert started.poll() is None
        time.sleep(0.05)
    yield started, found[0].parent
    kill_group(started)


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_root_that_changes_meanwhile_fails_the_build(
    waiting: tuple[subprocess.Popen[bytes], Path], root: SmallRoot, *, is_changed: bool
) -> None:
    started, out_dir = waiting
    if is_changed:
        path = root.folder / "etc/os-release"
        text = path.read_text()
        path.write_text("NAME=evil\n")
        path.write_text(text)  # As if nothing had happened.
    (out_dir / "go").write_text("")
    said, _ = started.communicate(timeout=120)
    assert started.returncode == (23 if is_changed else 0), said.decode()
    assert (b"was changed while build scripts ran" in said) == is_changed


def test_a_root_that_a_script_may_write_to_is_none(tmp_path: Path, root: SmallRoot) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    inside = SmallRoot(workspace / "root")
    for name, expected in (("root", 23), ("other", 0)):
        manifest = workspace / "Cargo.toml"
        manifest.write_text('[workspace]\nmembers = ["sample"]\nresolver = "2"\n')
        (workspace / name).mkdir(exist_ok=True)
        _append(workspace, inside.table(where="$WORKSPACE/root"))
        grants = '\n[workspace.metadata.buildperm.crates.sample]\nreviewed = ["0.1.0"]\n'
        _append(workspace, f'{grants}write = ["$WORKSPACE/{name}/**"]\nreason = "makes it"\n')
        ended = buildperm(*CI, folder=workspace)
        assert ended.returncode == expected, ended.stderr
        assert ("the root" in ended.stderr) == (expected != 0)


def test_a_root_in_the_target_directory_is_none(tmp_path: Path, root: SmallRoot) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    assert buildperm(*CI, folder=workspace).returncode == 0
    inside = SmallRoot(workspace / "target/buildperm/ci/root")
    _append(workspace, inside.table())
    ended = buildperm(*CI, folder=workspace)
    assert ended.returncode == 23
    assert "target directory" in ended.stderr


def test_a_tool_chain_of_the_system_is_named_as_the_obstacle(
    workspace: Path, root: SmallRoot
) -> None:
    extra = {"CARGO_HOME": "/usr/share"}
    ended = buildperm(*CI, folder=workspace, extra=extra)
    assert ended.returncode == 23
    assert "$CARGO_HOME" in ended.stderr


def test_the_digest_is_printed_as_cargo_toml_names_it(root: SmallRoot, tmp_path: Path) -> None:
    told = buildperm("root", "digest", str(root.folder), folder=tmp_path)
    assert (told.returncode, told.stdout) == (0, f'root-digest = "{root.digest}"\n')
    hostile = tmp_path / "\x1b[31mred"
    for folder in (str(tmp_path), str(hostile)):
        told = buildperm("root", "digest", folder, folder=tmp_path)
        assert told.returncode == 23
        assert is_orderly(told.stderr)
        assert "hint: " in told.stderr
    told = buildperm("root", "digest", str(root.folder / "etc/passwd"), folder=tmp_path)
    assert (told.returncode, "it is no folder" in told.stderr) == (23, True), told.stderr


def test_an_image_is_unpacked_and_no_other_than_cargo_toml_names(tmp_path: Path) -> None:
    one = layout(tmp_path / "one", BASE)
    other = layout(tmp_path / "other", BASE, BASE)
    made = buildperm("root", "unpack", str(one), "roots/made", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    again = buildperm("root", "digest", "roots/made", folder=tmp_path)
    image, digest = made.stdout.splitlines()
    assert again.stdout == f"{digest}\n"
    workspace = member(tmp_path / "ws", "fn main() {}")
    _append(workspace, f"\n[workspace.metadata.buildperm]\nversion = 1\n{image}\n{digest}\n")
    for words, code, told in (
        ([str(other), "../roots/other"], 23, image[14:-1]),
        ([str(one), "../roots/made"], 2, "is there already"),
        ([str(one), "../roots/ok"], 0, ""),
        ([str(one), "../roots/\x1b[31mred"], 0, ""),
        (["nowhere", "../roots/x"], 2, "nowhere"),
        ([str(one), "Cargo.toml"], 2, "is there already"),
        ([str(one), "../roots/x", "--image", "none"], 23, "hint: Name one of these"),
        ([str(one)], 2, "takes IMAGE FOLDER"),
    ):
        ended = buildperm("root", "unpack", *words, folder=workspace)
        assert (ended.returncode, told in ended.stderr) == (code, True), ended.stderr
        assert is_orderly(ended.stderr)
        assert ended.stdout in ("", made.stdout)
    manifest = workspace / "Cargo.toml"
    manifest.write_text(
        re.sub("root-digest.*", f'root-digest = "sha256:{"0" * 64}"', manifest.read_text())
    )
    ended = buildperm("root", "unpack", str(one), "../roots/y", folder=workspace)
    assert (ended.returncode, "unpacks to" in ended.stderr) == (23, True)
    assert sorted(os.listdir(tmp_path / "roots")) == ["\x1b[31mred", "made", "ok"]


def test_an_interrupted_build_in_a_root_leaves_nothing_running(
    waiting: tuple[subprocess.Popen[bytes], Path],
) -> None:
    started, _ = waiting
    os.kill(started.pid, signal.SIGINT)
    started.communicate(timeout=60)
    assert started.returncode == 130


def test_a_root_without_the_loader_is_named_as_the_reason(tmp_path: Path, root: SmallRoot) -> None:
    for name in os.listdir(root.folder):
        if name.startswith("lib"):
            (root.folder / name).unlink()
    workspace = member(tmp_path / "ws", "fn main() {}")
    _append(workspace, root.table())
    ended = buildperm(*CI, folder=workspace)
    assert ended.returncode == 20
    assert "No such file or directory" in ended.stderr
    assert "the root needs the loader" in ended.stderr


_FETCHES = """
use std::io::{Read, Write};

fn main() {
    let proxy = std::env::var("http_proxy").unwrap();
    let at = proxy.trim_start_matches("http://").trim_end_matches('/');
    let mut server = std::net::TcpStream::connect(at).unwrap();
    let head = "HTTP/1.1\\r\\nHost: localhost:PORT\\r\\nConnection: close\\r\\n\\r\\n";
    write!(server, "GET http://localhost:PORT/ {head}").unwrap();
    let mut told = String::new();
    server.read_to_string(&mut told).unwrap();
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made", told).unwrap();
}
"""


def test_granted_hosts_are_looked_up_outside_of_the_root(tmp_path: Path, root: SmallRoot) -> None:
    (root.folder / "etc/nsswitch.conf").write_text("hosts: nothing\n")
    (tmp_path / "index.html").write_text("from outside")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = str(server.server_address[1])
        workspace = member(tmp_path / "ws", _FETCHES.replace("PORT", port))
        grants = "[workspace.metadata.buildperm.crates.sample]\nreason = 'fetches'\n"
        hosts = f'net = ["localhost:{port}", "127.0.0.1:{port}"]\nreviewed = ["0.1.0"]\n'
        _append(workspace, f"{root.table()}\n{grants}{hosts}")
        ended = buildperm(*CI, folder=workspace)
        server.shutdown()
    assert ended.returncode == 0, ended.stderr
    assert _made(workspace).endswith("from outside")


def test_a_build_in_an_unpacked_image_is_learnt_and_held(
    workspace: Path, root: SmallRoot, tmp_path: Path
) -> None:
    """From the image on, with nothing but what the commands print."""
    told = io.BytesIO()
    with tarfile.open(fileobj=told, mode="w") as archive:
        archive.add(root.folder, ".")
    image = layout(tmp_path / "image", told.getvalue())
    made = buildperm("root", "unpack", str(image), "unpacked", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    named, wanted = (each.partition('"')[2][:-1] for each in made.stdout.splitlines())
    shutil.rmtree(root.folder)
    manifest = workspace / "Cargo.toml"
    lines = f'root = "{tmp_path}/unpacked"\n{made.stdout}'
    manifest.write_text(re.sub(r"root = .*\nroot-digest = .*\n", lines, manifest.read_text()))
    learnt = buildperm(*LEARN, folder=workspace)
    assert (learnt.returncode, "run only-here" in learnt.stderr) == (3, True), learnt.stderr
    _grant(workspace)
    held = buildperm(*CI, folder=workspace)
    assert held.returncode == 0, held.stderr
    assert _made(workspace) == _SEEN
    shown = buildperm("show", folder=workspace)
    page = buildperm("report", "--html", "-o", "-", folder=workspace)
    for ended in (shown, page):
        assert wanted in ended.stdout, ended.stderr
        assert named in ended.stdout
    document = json.loads(buildperm("show", "--format", "json", folder=workspace).stdout)
    assert (document["root"], document["root_image"]) == (wanted, named)


def test_doctor_says_whether_the_root_can_be_used(
    workspace: Path, root: SmallRoot, tmp_path: Path
) -> None:
    fine = buildperm("doctor", folder=workspace)
    assert fine.returncode == 0, fine.stderr
    assert f"root of scripts: {root.digest}: is here, and can be entered" in fine.stdout
    assert "root of scripts" not in buildperm("doctor", folder=tmp_path).stdout
    wanted = root.digest
    (root.folder / "etc/os-release").write_text("NAME=another\n")
    other = buildperm("doctor", folder=workspace)
    assert other.returncode == 23
    assert f"root of scripts: {wanted}: cannot be used" in other.stdout
    assert root.digest in other.stderr


def test_status_names_the_root_in_which_plain_cargo_is_held(
    machine: PersonsMachine, workspace: Path, root: SmallRoot, tmp_path: Path
) -> None:
    """It lies where the own file says, also once that has been changed."""
    _grant(workspace)
    machine.workspace = workspace
    machine.enable()
    said = machine.buildperm("status")
    assert said.returncode == 0, said.stdout
    assert f"build scripts see the root `{root.digest}`" in said.stdout
    assert f"that root is in {root.folder}" in said.stdout
    assert machine.cargo("check").returncode == 0
    wanted = root.digest
    moved = root.folder.rename(tmp_path / "moved")
    own = machine.home / ".config/buildperm/config.toml"
    own.parent.mkdir(parents=True)
    said = machine.buildperm("status")
    assert (said.returncode, "before this is mended" in said.stdout) == (23, True)
    assert wanted in said.stdout
    (workspace / "sample/build.rs").write_text(f"{_LOOKS}\n")  # So that it has to run.
    assert machine.cargo("check").returncode != 0
    own.write_text(f'[roots]\n"{wanted}" = "{moved}"\n')
    said = machine.buildperm("status")
    assert (said.returncode, f"that root is in {moved}" in said.stdout) == (0, True)
    ended = machine.cargo("check")
    assert ended.returncode == 0, ended.stderr
