"""Held builds from end to end: real cargo, real supervisors, real kernel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import buildperm
from buildperm.cargo.project import Projects
from buildperm.cargo.rerun import Rerun
from buildperm.cargo.script_progress import Progress, ScriptEnded, ScriptStarted
from buildperm.cargo.supervised_build import Profile, SupervisedBuild, SupervisedBuildResult
from buildperm.cargo.toolchain import Toolchain
from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.rules.key_search import KeySearch
from buildperm.tracer.notation import encode
from tests.cargo.workspaces import QUIET, Workspace, package, vendor
from tests.programs import program_text

READING = """fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::warning=read {:?}", std::fs::read_to_string("../../note.txt").ok());
}
"""
ESCAPING = """fn main() {{
    let _ = std::fs::write("{marker}", "escaped");
    println!("cargo::rustc-env=SEEN={{}}", std::env::var("RUSTC_WRAPPER").unwrap_or_default());
}}
"""
WAITING = """fn main() {{
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "sleep {seconds} & sleep {seconds}"]).status().unwrap();
}}
"""
RUNNER = program_text("held_build.py")


class HeldBuilds:
    """Runs held builds, and remembers what they reported."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.crates: dict[str, CrateGrants] = {}
        self.output = bytearray()
        self.steps: list[Progress] = []

    def grant(self, key: str, *rules: tuple[Kind, str]) -> None:
        self.crates[key] = CrateGrants(
            key, reviewed=frozenset({"0.1.0"}), rules=frozenset(Rule(*rule) for rule in rules)
        )

    def prepare(self, root: Path, profile: Profile = "enforcing", *words: str) -> SupervisedBuild:
        self.output.clear()
        self.steps.clear()
        project = Projects(root, self.environment).open(words, default=["check"])
        return SupervisedBuild(
            project,
            Policy("portable", self.crates, project.metadata.manifest),
            profile,
            on_progress=self.steps.append,
            on_output=self.output.extend,
        )

    def build(
        self, root: Path, profile: Profile = "enforcing", *words: str
    ) -> SupervisedBuildResult:
        return self.prepare(root, profile, *words).run()

    def ran(self) -> list[str]:
        return sorted(step.crate for step in self.steps if isinstance(step, ScriptEnded))

    @property
    def text(self) -> str:
        return self.output.decode()


@pytest.fixture
def desk(environment: dict[str, str]) -> HeldBuilds:
    return HeldBuilds(environment)


def test_a_build_that_stays_within_the_baseline_is_recorded_and_passes(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(QUIET, {"other": QUIET}, name='it\'s "one" $space ü')

    held = desk.build(root)

    assert held.finished.exit_code == 0, desk.text
    assert held.finished.is_complete
    assert [unit.package for unit in held.units] == sorted(
        [os.fsencode(root), os.fsencode(root / "crates" / "other")]
    )
    assert all(unit.recording.is_file() for unit in held.units)
    assert sum(isinstance(step, ScriptStarted) for step in desk.steps) == 2
    assert desk.ran() == ["app", "other"]


@pytest.mark.parametrize("profile", ["learning", "enforcing"])
@pytest.mark.quick(1)
def test_what_is_fresh_is_not_run_again_and_keeps_its_recording(
    desk: HeldBuilds, workspace: Workspace, profile: Profile
) -> None:
    root = workspace(QUIET)
    first = desk.build(root, profile)

    again = desk.build(root, profile)

    assert desk.ran() == []
    assert again.units == first.units
    assert "Compiling" not in desk.text


def test_changed_grants_run_the_scripts_of_that_crate_again(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(QUIET, {"reader": READING})
    (root / "note.txt").write_text("hello")
    desk.build(root)
    assert "read None" in desk.text

    desk.grant("reader", (Kind.READ, "$WORKSPACE/note.txt"))
    desk.build(root)

    assert desk.ran() == ["reader"]
    assert 'read Some("hello")' in desk.text


@pytest.mark.slow
@pytest.mark.usefixtures("nightly")
def test_the_new_layout_is_held_fresh_and_run_again_too(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(QUIET, {"reader": READING})
    (root / "note.txt").write_text("hello")
    words = ("+nightly", "check", "-Zbuild-dir-new-layout")

    first = desk.build(root, "enforcing", *words)
    assert len(first.units) == 2, desk.text
    again = desk.build(root, "enforcing", *words)
    assert (desk.ran(), again.units) == ([], first.units)
    desk.grant("reader", (Kind.READ, "$WORKSPACE/note.txt"))
    desk.build(root, "enforcing", *words)

    assert desk.ran() == ["reader"]
    assert 'read Some("hello")' in desk.text
    assert list((root / "target/buildperm/ci").glob("debug/build/*/*/out/build_script_build.real"))


@pytest.mark.parametrize("damage", ["truncated", "removed", "foreign"])
@pytest.mark.quick(1)
def test_a_damaged_recording_is_made_again(
    desk: HeldBuilds, workspace: Workspace, damage: str
) -> None:
    root = workspace(QUIET)
    (unit,) = desk.build(root).units
    text = unit.recording.read_bytes()
    match damage:
        case "truncated":
            unit.recording.write_bytes(text[: text.rindex(b'{"type":"end"')])
        case "removed":
            unit.recording.unlink()
        case _:
            unit.recording.write_bytes(text.replace(b'"name":"app"', b'"name":"ape"'))

    held = desk.build(root)

    assert desk.ran() == ["app"]
    assert len(held.units) == 1


@pytest.mark.slow
def test_a_path_crate_does_not_get_what_the_registrys_crate_of_that_name_was_granted(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(None, {"middle": None})
    (root / "note.txt").write_text("hello")
    vendor(root, "known", "0.1.0", READING.replace("../../", f"{root}/"))
    middle = root / "crates" / "middle" / "Cargo.toml"
    middle.write_text(middle.read_text() + 'known = "0.1"\n')
    desk.grant("known", (Kind.READ, "$WORKSPACE/note.txt"))
    desk.build(root, "enforcing", "check", "-vv")
    assert 'read Some("hello")' in desk.text

    # A path crate that takes its name, as a patch and as a member beside it.
    package(root / "crates" / "impostor", "known", READING)
    manifest = root / "Cargo.toml"
    manifest.write_text(
        manifest.read_text().replace(
            "[dependencies]",
            '[dependencies]\nmine = { package = "known", path = "crates/impostor" }',
        )
    )
    held = desk.build(root, "enforcing", "check", "-vv")

    assert len(held.units) == 2, desk.text
    assert desk.ran() == ["path+$WORKSPACE/crates/impostor#known"]
    assert "read None" in desk.text


def test_no_script_ever_runs_unguarded(
    desk: HeldBuilds, workspace: Workspace, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    root = workspace(ESCAPING.format(marker=marker))
    target = root / "target" / "buildperm" / "ci"

    desk.build(root)
    assert not marker.exists()
    # Plain cargo, later, in the same directory: the stub is still there, and enforces.
    project = desk.prepare(root).project
    plain = subprocess.run(
        [project.toolchain.cargo, "check", "--target-dir", target],
        cwd=root,
        env=project.toolchain.environment(desk.environment),
        capture_output=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stderr
    (root / "note").touch()  # Without rerun-if-changed this runs the script again.
    subprocess.run(
        [project.toolchain.cargo, "check", "--target-dir", target],
        cwd=root,
        env=project.toolchain.environment(desk.environment),
        capture_output=True,
        check=True,
    )

    assert not marker.exists()
    assert list(target.glob("debug/build/*/build_script_build-*.real"))


@pytest.mark.slow
def test_a_program_that_plain_cargo_has_left_is_linked_again_behind_a_stub(
    desk: HeldBuilds, workspace: Workspace, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    root = workspace(ESCAPING.format(marker=marker))
    project = desk.prepare(root).project
    subprocess.run(
        [project.toolchain.cargo, "check", "--target-dir", root / "target/buildperm/ci"],
        cwd=root,
        env=project.toolchain.environment(desk.environment),
        capture_output=True,
        check=True,
    )
    assert marker.exists()  # Nobody held it: the test can tell.
    marker.unlink()

    held = desk.build(root)

    assert held.finished.exit_code == 0, desk.text
    assert len(held.units) == 1
    assert not marker.exists()


@pytest.mark.slow
def test_the_wrapper_of_the_configuration_is_called_and_seen_instead_of_ours(
    desk: HeldBuilds, workspace: Workspace, tmp_path: Path
) -> None:
    log = tmp_path / "cache.log"
    root = workspace(ESCAPING.format(marker=tmp_path / "marker"))
    (root / "src" / "lib.rs").write_text('const _: &str = env!("SEEN"); pub const X: u8 = "";')
    (root / "tools").mkdir()
    cache = root / "tools" / "cache"
    cache.write_text(f'#!/bin/sh\necho "$*" >>"{log}"\nexec "$@"\n')
    cache.chmod(0o755)
    (root / ".cargo").mkdir()
    (root / ".cargo" / "config.toml").write_text('[build]\nrustc-wrapper = "tools/cache"\n')

    held = desk.build(root)

    assert held.finished.exit_code == 101  # The library does not compile: cargo's own code.
    assert f"SEEN={cache}" in next(
        path.read_text() for path in root.glob("target/buildperm/ci/debug/build/*/output")
    )
    assert "--crate-name build_script_build" in log.read_text()


@pytest.mark.slow
def test_what_a_project_puts_into_path_is_not_run_beside_the_sandbox(
    desk: HeldBuilds, workspace: Workspace, tmp_path: Path
) -> None:
    root = workspace(QUIET)
    marker = tmp_path / "marker"
    (root / "tools").mkdir()
    for name in ("cp", "mv", "rm"):
        tool = root / "tools" / name
        tool.write_text(f'#!/bin/sh\necho {name} >>"{marker}"\nexec /bin/{name} "$@"\n')
        tool.chmod(0o755)
    path = f"{root}/tools:{os.environ['PATH']}"
    (root / ".cargo").mkdir()
    (root / ".cargo/config.toml").write_text(
        f'[env]\nPATH = {{ value = "{path}", force = true }}\n'
    )

    held = desk.build(root)

    assert held.finished.exit_code == 0, desk.text
    assert len(held.units) == 1
    assert not marker.exists()


@pytest.mark.slow
def test_cargos_options_reach_cargo_and_find_their_packages(
    desk: HeldBuilds, workspace: Workspace, toolchain: Toolchain, tmp_path: Path
) -> None:
    root = workspace(QUIET, {"one": QUIET, "two": QUIET})
    words = ["build", "-p", "one", "--release", "--offline", "--target", toolchain.host]

    held = desk.build(tmp_path, "enforcing", *words, "--manifest-path", f"{root.name}/Cargo.toml")

    assert held.finished.exit_code == 0, desk.text
    assert [unit.package for unit in held.units] == [os.fsencode(root / "crates" / "one")]
    assert held.units[0].profile == "release"
    assert f"ci/{toolchain.host}/release/build" in str(held.units[0].folder)


@pytest.mark.slow
def test_runs_that_nothing_tells_apart_all_count(desk: HeldBuilds, workspace: Workspace) -> None:
    root = workspace(None, {"both": QUIET})
    manifest = root / "Cargo.toml"
    both = '[build-dependencies]\nboth = { path = "crates/both" }\n'
    profile = "[profile.dev.build-override]\nopt-level = 1\n"
    manifest.write_text(manifest.read_text().replace("[workspace]", f"{both}{profile}[workspace]"))
    (root / "build.rs").write_text(QUIET)

    held = desk.build(root)

    folder = os.fsencode(root / "crates/both")
    one, other = [unit for unit in held.units if unit.package == folder]
    assert (one.target, one.profile, one.features) == (other.target, other.profile, other.features)
    assert desk.build(root).units == held.units


@pytest.mark.slow
def test_tests_are_looked_at_again_and_no_run_takes_the_place_of_another(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    changing = program_text("reads_once.rs")
    root = workspace(QUIET, {"changing": changing})
    (root / "note.txt").write_text("hello")
    desk.build(root, "enforcing", "check")

    held = desk.build(root, "enforcing", "test", "--release")

    assert held.finished.is_complete
    assert held.finished.exit_code == 0
    assert {unit.profile for unit in held.units} == {"release"}
    read = [b"note.txt" in unit.recording.read_bytes() for unit in held.units]
    assert sorted(read) == [False, False, True]  # Once more, and then it behaved.


@pytest.mark.parametrize("name", ["recording.jsonl", "."])
@pytest.mark.quick(1)
def test_a_recording_that_is_lost_while_cargo_builds_is_an_error(
    desk: HeldBuilds, workspace: Workspace, name: str
) -> None:
    root = workspace(QUIET)

    def lose(step: Progress) -> None:
        if isinstance(step, ScriptEnded) and step.recording is not None:
            lost = step.recording.parent / name
            shutil.rmtree(lost) if lost.is_dir() else lost.unlink()

    build = desk.prepare(root)
    build._build._on_progress = lose  # Whoever else it may be.

    with pytest.raises(CannotEnforceError, match="is not known: its recording is missing"):
        build.run()


@pytest.mark.slow
def test_a_run_whose_recording_another_one_has_replaced_is_an_error(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(QUIET)
    (unit,) = desk.build(root).units
    (root / "build.rs").write_text(f"{QUIET}\n")
    build = desk.prepare(root)

    def repeat(step: Progress) -> None:
        if isinstance(step, ScriptEnded) and step.pid:
            said = '{"event":"ended","crate":"app","version":"0.1.0","pid":0,"exit":0,"recording":'
            with build.target.progress.open("a") as file:
                file.write(f'{said}"{encode(os.fsencode(unit.recording))}","duration_ns":1}}\n')

    build._build._on_progress = repeat

    with pytest.raises(CannotEnforceError, match="overwritten by another run"):
        build.run()


def test_a_script_that_cannot_be_held_when_it_is_to_start_is_an_error_of_its_own(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    build = desk.prepare(workspace(QUIET))
    build.session["landlock_abi"] = 99  # As if the kernel had been another one when it began.

    with pytest.raises(CannotEnforceError, match=r"`app` 0\.1\.0 could not be held"):
        build.run()
    assert "Landlock ABI 99 was there when the build began" in desk.text


@pytest.mark.slow
def test_units_of_another_set_of_features_are_not_part_of_a_build(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(QUIET)
    manifest = root / "Cargo.toml"
    manifest.write_text(manifest.read_text() + "[features]\nmore = []\n")
    desk.build(root)

    held = desk.build(root, "enforcing", "check", "--features", "more")

    assert [unit.features for unit in held.units] == [("more",)]


def test_a_target_directory_that_was_not_there_is_marked_as_cargo_does(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(QUIET)

    desk.build(root)

    assert (
        (root / "target/CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f")
    )
    (root / "target/id_rsa").touch()
    (root / "id_rsa").touch()
    found = [path for path, _ in KeySearch(1_000).keys(os.fsencode(root))]
    assert found == [os.fsencode(root / "id_rsa")]  # What was built is not searched for keys.


def test_a_target_directory_of_the_users_is_respected(
    desk: HeldBuilds, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    desk.environment["CARGO_TARGET_DIR"] = str(tmp_path / "link")
    root = workspace(
        'fn main() { println!("cargo::warning=target {:?}", std::env::var("CARGO_TARGET_DIR")); }'
    )

    held = desk.build(root, "learning")

    assert (tmp_path / "real/buildperm/learn/debug").is_dir()
    assert (tmp_path / "real/buildperm/CACHEDIR.TAG").is_file()
    assert not (tmp_path / "real/CACHEDIR.TAG").exists()  # Who made it may have put anything there.
    assert len(held.units) == 1
    assert not (root / "target").exists()
    assert "target Err(NotPresent)" in desk.text


def test_a_stronger_runtime_than_there_is_stops_everything(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    project = Projects(workspace(), desk.environment | {"BUILDPERM_RUNTIME": "portable"}).open([])

    with pytest.raises(CannotEnforceError, match='`require = "full"`'):
        SupervisedBuild(project, Policy("full", {}, project.metadata.manifest), "enforcing")


def test_a_digest_changes_with_what_a_supervisor_is_told_and_with_nothing_else(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(QUIET)
    proto, link = Rule(Kind.READ, "$WORKSPACE/proto"), Rule(Kind.DIRECTIVE, "rustc-link-arg=-lm")
    base = CrateGrants("app", frozenset({"0.1.0"}), rules=frozenset({proto}))

    def digest(grants: CrateGrants) -> str:
        desk.crates = {"app": grants}
        return desk.prepare(root).session["packages"][os.fsencode(root)]["digest"]

    assert len(bytes.fromhex(digest(base))) == 32
    assert digest(replace(base, reviewed=frozenset({"0.1.0", "0.1.1"}))) == digest(base)
    for other in (
        replace(base, rules=frozenset({proto, link})),
        replace(base, rules=frozenset({Rule(Kind.WRITE, proto.pattern)})),
        replace(base, denials=frozenset({Rule(Kind.ENV, "GITHUB_TOKEN")})),
    ):
        assert digest(other) != digest(base)


@pytest.mark.parametrize("compiler", [True, False])
def test_the_session_carries_the_inner_loop_where_it_can_be_compiled(
    desk: HeldBuilds,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    compiler: bool,
) -> None:
    root = workspace()
    if not compiler:
        monkeypatch.setenv("PATH", str(tmp_path))
    library = desk.prepare(root).session.get("inner_loop")

    assert library is not None
    assert library[:4] == (b"\x7fELF" if compiler else b"")


def test_two_commands_at_once_do_not_mix(desk: HeldBuilds, workspace: Workspace) -> None:
    held = desk.prepare(workspace())

    with held.target.locked(), pytest.raises(BuildpermError, match="another buildperm"):
        held.run()


def test_a_target_directory_that_cannot_be_written_is_one_clear_error(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace()
    (root / "target").write_text("in the way")

    with pytest.raises(BuildpermError, match="cannot use the target directory"):
        desk.prepare(root)


def test_the_session_is_for_its_owner_only(desk: HeldBuilds, workspace: Workspace) -> None:
    held = desk.prepare(workspace())
    held.run()

    assert held.target.session.stat().st_mode & 0o777 == 0o600


def test_from_a_worker_thread_it_runs_and_can_be_interrupted(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    seconds = f"31.41592{os.getpid()}"
    build = desk.prepare(workspace(WAITING.format(seconds=seconds)), "learning")
    ended: list[SupervisedBuildResult] = []
    worker = threading.Thread(target=lambda: ended.append(build.run()))
    worker.start()
    wait_until(lambda: bool(running(f"sleep {seconds}")))

    build.interrupt()
    worker.join(timeout=60)

    assert ended[0].finished.interrupted
    assert ended[0].finished.exit_code == 130
    wait_until(lambda: not running(f"sleep {seconds}"))


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
@pytest.mark.quick(1)
def test_ending_the_command_ends_everything(
    desk: HeldBuilds, workspace: Workspace, number: int, exit_code: int
) -> None:
    seconds = f"27.1828{number}{os.getpid()}"
    root = workspace(WAITING.format(seconds=seconds))
    with command(root, desk.environment) as started:
        wait_until(lambda: len(running(f"sleep {seconds}")) >= 2)
        server = server_of(started.pid)

        started.send_signal(number)

        assert started.wait(timeout=60) == exit_code
    wait_until(lambda: not running(f"sleep {seconds}") and not running(str(root)))
    wait_until(lambda: not server.folder.exists())


@pytest.mark.parametrize("victim", ["cargo", "supervisor", "fork server"])
@pytest.mark.quick(1)
def test_killing_any_of_the_processes_leaves_nothing_behind(
    desk: HeldBuilds, workspace: Workspace, victim: str
) -> None:
    seconds = f"16.1803{len(victim)}{os.getpid()}"  # Whoever else runs the tests has another.
    root = workspace(WAITING.format(seconds=seconds))
    with command(root, desk.environment) as started:
        wait_until(lambda: len(running(f"sleep {seconds}")) >= 2)
        server = server_of(started.pid)
        (cargo,) = set(below(started.pid)) - {server.pid}
        (supervisor,) = filter(below, below(server.pid))  # Another one waits for work.
        assert group_of(supervisor) == cargo  # What is sent to it and all its children, it gets.

        os.kill({"cargo": cargo, "supervisor": supervisor}.get(victim, server.pid), signal.SIGKILL)

        assert started.wait(timeout=60) in ((1,) if victim == "fork server" else (101, 137))
    wait_until(lambda: not running(f"sleep {seconds}") and not running(str(root)))
    assert not list(root.glob("target/buildperm/learn/debug/build/*/buildperm/recording.jsonl"))
    wait_until(lambda: not server.folder.exists())


def test_a_script_is_run_again_alone_under_other_grants(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(None, {"reader": READING})
    (root / "note.txt").write_text("hello")
    build = desk.prepare(root, "learning")
    (unit,) = build.run().units
    before = {path: path.stat().st_mtime_ns for path in unit.folder.rglob("*")}
    policy = Policy("portable", {}, root / "Cargo.toml")

    strict = build.other_session(policy, "enforcing", "verify")
    refused = build.rerun(unit, strict).run()
    desk.grant("reader", (Kind.READ, "$WORKSPACE/note.txt"))
    policy = Policy("portable", desk.crates, root / "Cargo.toml")
    granting = build.other_session(policy, "enforcing", "verify")
    granted = build.rerun(unit, granting).run()

    assert "read None" in refused.output
    assert 'read Some("hello")' in granted.output
    assert granted.exit_code == 0
    assert granted.recording is not None
    assert granted.recording.is_relative_to(build.target.folder / "buildperm-rerun")
    assert {path: path.stat().st_mtime_ns for path in unit.folder.rglob("*")} == before


LINKING = """
use std::{env, fs, os::unix::fs::symlink, path::Path};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let link = Path::new(&out).join("beside");
    let _ = fs::remove_file(&link);
    symlink(Path::new(&out).ancestors().nth(3).unwrap().join("deps"), link).unwrap();
}
"""


def test_a_link_beside_programs_is_judged_in_a_rerun_as_where_it_was_recorded(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    root = workspace(None, {"reader": LINKING})
    build = desk.prepare(root, "learning")
    (unit,) = build.run().units

    codes = []
    for pattern in ("$TARGET_DIR/debug/examples/**", "$TARGET_DIR/debug/deps/**"):
        desk.crates.clear()
        desk.grant("reader", (Kind.READ, pattern))
        policy = Policy("portable", desk.crates, root / "Cargo.toml")
        session = build.other_session(policy, "enforcing", "verify")
        codes.append(build.rerun(unit, session).run().exit_code)

    assert codes == [1, 0]


def test_a_secret_is_not_stored_but_decided_about_when_run_again(
    desk: HeldBuilds, workspace: Workspace
) -> None:
    desk.environment["DEPLOY_TOKEN"] = "s3cr3t-value"
    root = workspace(
        'fn main() { println!("cargo::warning={:?}", std::env::var("DEPLOY_TOKEN")); }'
    )
    build = desk.prepare(root, "learning")
    (unit,) = build.run().units
    desk.crates["app"] = CrateGrants(
        "app", frozenset({"0.1.0"}), rules=frozenset({Rule(Kind.ENV, "DEPLOY_TOKEN")})
    )
    policy = Policy("portable", desk.crates, root / "Cargo.toml")
    session = build.other_session(policy, "enforcing", "verify")

    again = build.rerun(unit, session).run()

    assert "NotPresent" in desk.text
    assert 'Ok("s3cr3t-value")' in again.output
    kept = [path for path in (unit.folder / "buildperm").rglob("*") if path.is_file()]
    assert len(kept) >= 2
    for path in kept:
        assert b"s3cr3t-value" not in path.read_bytes()


def test_what_was_not_recorded_cannot_be_run_again(desk: HeldBuilds, tmp_path: Path) -> None:
    with pytest.raises(BuildpermError, match="nothing is kept"):
        Rerun(tmp_path, tmp_path / "scratch", tmp_path / "session", desk.environment)


def command(root: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command that learns, as a program of its own."""
    checkout = Path(buildperm.__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, root],
        env={**environment, "PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def running(text: str) -> list[int]:
    """Return the processes that have `text` in their command line, and are no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if text in words.replace(b"\0", b" ").decode(errors="replace"):
            found.append(int(entry.name))
    return found


@dataclass(frozen=True, slots=True)
class ForkServerProcess:
    """The fork server of a command."""

    pid: int
    folder: Path


def server_of(command: int) -> ForkServerProcess:
    """Find the fork server of a command."""
    (pid,) = set(running("supervisor/main.py --serve")) & set(below(command))
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return ForkServerProcess(pid, Path(os.fsdecode(words[words.index(b"--serve") + 1])))


def below(pid: int) -> list[int]:
    """Return the children of a process."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def wait_until(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
