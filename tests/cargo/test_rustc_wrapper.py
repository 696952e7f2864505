"""The wrapper with real cargo and rustc, and a stub that only says that it was run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from buildperm.cargo import configuration
from buildperm.cargo.toolchain import Toolchain
from tests.cargo.workspaces import Workspace
from tests.programs import program_text

WRAPPER = Path(configuration.__file__).with_name("rustc-wrapper.sh")
STUB = """#!/bin/sh
echo "stub $(dirname "$0")" >>"$STUB_LOG"
real=$(sed -n 's/^# real: //p' "$0")
test -x "$(dirname "$0")/$real" || exit 1
"""
MARKING = program_text("appends_to_log.rs")


class WrapperRun:
    """A wrapper, a stub, and the variables that make cargo use them."""

    def __init__(self, folder: Path, environment: dict[str, str], toolchain: Toolchain) -> None:
        folder.mkdir()
        self.toolchain = toolchain
        self.wrapper = folder / "rustc-wrapper"
        shutil.copy(WRAPPER, self.wrapper)
        self.wrapper.chmod(0o755)
        self.stub = folder / "stub"
        self.stub.write_text(STUB)
        self.stub.chmod(0o755)
        self.stub_log = folder / "stub.log"
        self.script_log = folder / "script.log"
        self.variables = toolchain.environment(environment) | {
            "RUSTC_WRAPPER": str(self.wrapper),
            "BUILDPERM_TARGET": str(folder.parent.resolve()),
            "BUILDPERM_STUB": str(self.stub),
            "STUB_LOG": str(self.stub_log),
            "SCRIPT_LOG": str(self.script_log),
        }

    def cargo(self, root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.toolchain.cargo, *(words or ("check",))],
            cwd=root,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def stubs_run(self) -> int:
        return len(self.stub_log.read_text().splitlines()) if self.stub_log.exists() else 0


@pytest.fixture
def kit(tmp_path: Path, environment: dict[str, str], toolchain: Toolchain) -> WrapperRun:
    return WrapperRun(tmp_path / 'a kit\'s "files"', environment, toolchain)


def test_the_stub_is_run_in_place_of_each_build_script(
    kit: WrapperRun, workspace: Workspace
) -> None:
    root = workspace(MARKING, {"other": MARKING}, name='it\'s a "space" $HOME')

    ran = kit.cargo(root)

    assert ran.returncode == 0, ran.stderr
    assert kit.stubs_run() == 2
    assert not kit.script_log.exists()


def test_the_new_layout_gets_the_stub_too(
    tmp_path: Path, environment: dict[str, str], nightly: Toolchain, workspace: Workspace
) -> None:
    kit = WrapperRun(tmp_path / "kit", environment, nightly)
    root = workspace(MARKING, {"other": MARKING})

    ran = kit.cargo(root, "check", "-Zbuild-dir-new-layout")

    assert ran.returncode == 0, ran.stderr
    assert kit.stubs_run() == 2
    assert not kit.script_log.exists()
    assert len(list(root.glob("target/debug/build/*/*/out/build_script_build.real"))) == 2


@pytest.mark.slow
def test_a_fresh_stub_stays_fresh_for_cargo_without_the_wrapper(
    kit: WrapperRun, workspace: Workspace
) -> None:
    root = workspace(MARKING)
    kit.cargo(root, "build")
    (root / "build.rs").touch()
    kit.cargo(root, "build")
    held = kit.stubs_run()

    ran = kit.cargo(root, "build", "--release", RUSTC_WRAPPER="", CARGO_PROFILE_RELEASE_DEBUG="1")
    again = kit.cargo(root, "build", RUSTC_WRAPPER="")

    assert again.returncode == 0
    assert held == kit.stubs_run() == 2
    # The release build is another program, which nobody wrapped: the test can tell the difference.
    assert ran.returncode == 0
    assert kit.script_log.read_text() == "unguarded\n"


def test_the_wrapper_that_was_there_is_called_for_every_crate(
    kit: WrapperRun, workspace: Workspace, tmp_path: Path
) -> None:
    log = tmp_path / "cache.log"
    cache = tmp_path / "fake sccache"
    cache.write_text(f'#!/bin/sh\necho "$*" >>"{log}"\nexec "$@"\n')
    cache.chmod(0o755)
    workspace_log = tmp_path / "clippy.log"
    clippy = tmp_path / "fake-clippy"
    clippy.write_text(f'#!/bin/sh\necho "$*" >>"{workspace_log}"\nexec "$@"\n')
    clippy.chmod(0o755)
    root = workspace(MARKING, {"other": MARKING})

    ran = kit.cargo(root, BUILDPERM_RUSTC_WRAPPER=str(cache), RUSTC_WORKSPACE_WRAPPER=str(clippy))

    assert ran.returncode == 0, ran.stderr
    called = log.read_text()
    assert called.count("--crate-name build_script_build") == 2
    assert "--crate-name app" in called
    assert "--crate-name other" in called
    assert "--crate-name app" in workspace_log.read_text()
    assert kit.stubs_run() == 2


@pytest.mark.parametrize("layout", ["old", "new"])
@pytest.mark.quick(1)
def test_what_is_only_named_like_a_build_script_is_left_alone(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    tmp_path: Path,
    workspace: Workspace,
    layout: str,
) -> None:
    toolchain = request.getfixturevalue("toolchain" if layout == "old" else "nightly")
    kit = WrapperRun(tmp_path / "kit", environment, toolchain)
    root = workspace(MARKING)
    manifest = root / "Cargo.toml"
    names = {"bin": "tool", "example": "shown", "test": "tested", "bench": "timed"}
    tables = [
        f'[[{kind}]]\nname = "build_script_{name}"\npath = "src/main.rs"\nharness = false\n'
        for kind, name in names.items()
    ]
    library = '[lib]\nname = "build_script_library"\n'
    manifest.write_text(manifest.read_text() + library + "".join(tables))
    (root / "src" / "main.rs").write_text('fn main() { println!("mine"); }')
    new = ["-Zbuild-dir-new-layout"] if layout == "new" else []

    ran = kit.cargo(root, "test", "--all-targets", *new)
    compiled = kit.cargo(root, "run", "-q", "--bin", "build_script_tool", *new)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("mine\n") == 4
    assert compiled.stdout == "mine\n"
    assert kit.stubs_run() == 1
    assert not kit.script_log.exists()


@pytest.mark.parametrize(
    ("flags", "builds"),
    [
        (("--emit=asm",), True),
        (("--emit", "llvm-ir,obj", "--cfg", "build_script_x", "-Csave-temps"), True),
        (("-Cextra-filename=-x",), False),  # Cargo looks for another.
        (("-Cextra-filename=",), False),
        (("-o", "{root}/elsewhere"), False),
        (("@{root}/words",), False),
        (("--print=link-args", "--check-cfg", 'cfg(a, values("--out-dir=x", "-"))'), True),
    ],
)
@pytest.mark.quick(2)
def test_no_flag_makes_a_build_script_run_without_its_stub(
    kit: WrapperRun, workspace: Workspace, flags: tuple[str, ...], builds: bool
) -> None:
    root = workspace(MARKING)
    (root / "words").write_text("--emit=asm\n")
    words = [each.replace("{root}", str(root)) for each in flags]

    ran = kit.cargo(root, CARGO_ENCODED_RUSTFLAGS="\x1f".join(words))

    assert not kit.script_log.exists()
    assert (ran.returncode == 0) == builds, ran.stderr
    assert kit.stubs_run() == builds


def test_a_flag_that_leaves_no_program_is_said(kit: WrapperRun, workspace: Workspace) -> None:
    root = workspace(MARKING)

    ran = kit.cargo(root, RUSTFLAGS="-Zno-link", RUSTC_BOOTSTRAP="1")

    assert ran.returncode == 101
    assert "build script of `app` is removed" in ran.stderr
    assert "RUSTFLAGS" in ran.stderr


@pytest.mark.parametrize("name", ["x.rs", "tools/make-it_all.rs", "-odd.rs", "bäume.rs"])
@pytest.mark.quick(1)
def test_build_scripts_of_other_names_get_the_stub(
    kit: WrapperRun, workspace: Workspace, name: str
) -> None:
    root = workspace(None, {"other": MARKING})
    folder = root / "crates/other"
    script = folder / name
    script.parent.mkdir(exist_ok=True)
    (folder / "build.rs").rename(script)
    manifest = folder / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("edition", f'build = "{name}"\nedition', 1))

    ran = kit.cargo(root, "check", "--target", kit.toolchain.host)

    assert ran.returncode == 0, ran.stderr
    assert kit.stubs_run() == 1
    assert not kit.script_log.exists()


@pytest.mark.parametrize("new", [(), ("-Zbuild-dir-new-layout",)])
@pytest.mark.slow
def test_several_build_scripts_and_generated_ones_get_stubs(
    tmp_path: Path,
    environment: dict[str, str],
    nightly: Toolchain,
    workspace: Workspace,
    new: tuple[str, ...],
) -> None:
    kit = WrapperRun(tmp_path / "kit", environment, nightly)
    root = workspace(None, {"several": MARKING, "generated": None, "library": None})
    several, generated = root / "crates/several", root / "crates/generated"
    (several / "other.rs").write_text(MARKING)
    _edit(several, "multiple-build-scripts", 'build = ["build.rs", "other.rs"]')
    _edit(generated, "metabuild", 'metabuild = ["library"]')
    with (generated / "Cargo.toml").open("a") as file:
        file.write('[build-dependencies]\nlibrary = { path = "../library" }\n')
    marking = MARKING.replace("fn main", "pub fn metabuild")
    (root / "crates/library/src/lib.rs").write_text(marking)

    ran = kit.cargo(root, "check", *new)

    assert ran.returncode == 0, ran.stderr
    assert kit.stubs_run() == 3
    assert not kit.script_log.exists()


def _edit(folder: Path, feature: str, line: str) -> None:
    """Make a manifest use an unstable feature of Cargo."""
    manifest = folder / "Cargo.toml"
    text = manifest.read_text().replace("edition", f"{line}\nedition", 1)
    manifest.write_text(f'cargo-features = ["{feature}"]\n{text}')


@pytest.mark.parametrize("broken", ["missing", "unset"])
def test_without_a_stub_there_is_no_build_script_at_all(
    kit: WrapperRun, workspace: Workspace, broken: str
) -> None:
    root = workspace(MARKING)
    stub = {"missing": str(kit.stub) + "x", "unset": ""}[broken]

    ran = kit.cargo(root, BUILDPERM_STUB=stub)

    assert ran.returncode == 101
    assert "must not run without its stub" in ran.stderr
    assert not list(root.glob("target/debug/build/*/build*script*build*[!.d]"))
    assert not kit.script_log.exists()


def test_arguments_in_a_file_are_understood(kit: WrapperRun, tmp_path: Path) -> None:
    (tmp_path / "build.rs").write_text("fn main() {}")
    out = tmp_path / "out put/debug/build/a-1"
    out.mkdir(parents=True)
    words = tmp_path / "words"
    words.write_text(
        f"--crate-name\nbuild_script_build\n{tmp_path}/build.rs\n--crate-type\nbin\n"
        f"--emit=dep-info,link\n-C\nextra-filename=-abc\n--out-dir\n{out}"
    )

    ran = subprocess.run(
        [kit.wrapper, kit.toolchain.rustc, f"@{words}"], env=kit.variables, check=False
    )

    program = out / "build_script_build-abc"
    assert ran.returncode == 0
    assert program.read_text().endswith("\n# real: build_script_build-abc.real\n")
    assert os.access(program, os.X_OK)
    assert os.access(out / "build_script_build-abc.real", os.X_OK)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--out-dir", "X/debug/build/b-1"), "2 times"),
        (("--out-dir=X/debug/build/b-1",), "2 times"),
        (("--check-cfg", "--out-dir"), "2 times"),
    ],
)
def test_a_folder_that_is_there_twice_is_refused(
    kit: WrapperRun, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    ran = _compiles(kit, tmp_path, tmp_path / "debug/build/a-1", *words)

    assert ran.returncode == 1
    assert why in ran.stderr
    assert not any(path.is_file() for path in (tmp_path / "debug").rglob("*"))


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("debug/build/../../..", "outside of the target directory"),
        ("debug/build/link", "outside of the target directory"),
        ("debug/build/a-1/", "outside of the target directory"),
        ("debug/scripts/a-1", "does not know"),
        ("", "outside of the target directory"),
    ],
)
def test_no_folder_but_those_of_build_scripts_is_touched(
    kit: WrapperRun, tmp_path: Path, folder: str, why: str
) -> None:
    outside = tmp_path / "outside"
    for each in (outside, tmp_path / "debug/build/a-1", tmp_path / "debug/scripts/a-1"):
        each.mkdir(parents=True)
    (tmp_path / "debug/build/link").symlink_to(outside)
    for each in (outside, tmp_path, tmp_path.parent):
        (each / "build_script_b").write_text("kept")

    ran = _compiles(kit, tmp_path, f"{tmp_path}/{folder}" if folder else "")

    assert ran.returncode == 1
    assert why in ran.stderr
    for each in (outside, tmp_path, tmp_path.parent):
        assert (each / "build_script_b").read_text() == "kept"
    (tmp_path.parent / "build_script_b").unlink()


def test_a_crate_that_cargo_calls_otherwise_is_refused(kit: WrapperRun, tmp_path: Path) -> None:
    (tmp_path / "debug/build/a-1").mkdir(parents=True)

    ran = _compiles(kit, tmp_path, tmp_path / "debug/build/a-1", CARGO_CRATE_NAME="a")

    assert ran.returncode == 1
    assert "different crates" in ran.stderr


def _compiles(
    kit: WrapperRun, root: Path, folder: Path | str, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Call the wrapper as Cargo does, with `words` at the end."""
    (root / "build.rs").write_text("fn main() {}")
    Path(folder).mkdir(parents=True, exist_ok=True)
    said = ("--crate-name", "build_script_b", str(root / "build.rs"), "--crate-type", "bin")
    return subprocess.run(
        [kit.wrapper, kit.toolchain.rustc, *said, "--out-dir", str(folder), *words],
        env=kit.variables | {"BUILDPERM_TARGET": str(root.resolve())} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_failing_compiler_is_reported_as_it_is(kit: WrapperRun, workspace: Workspace) -> None:
    root = workspace("fn main() { not rust }")

    ran = kit.cargo(root)

    assert ran.returncode == 101
    assert "error: expected one of" in ran.stderr
    assert not list(root.glob("target/debug/build/*/*.stub.*"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.slow
def test_killed_at_any_point_it_leaves_no_program_that_cargo_runs_unguarded(
    kit: WrapperRun, workspace: Workspace, number: int
) -> None:
    root = workspace(MARKING)
    kit.cargo(root)  # Warms the caches, so that the times below mean something.
    for delay_ms in (5, 40, 80, 120, 160, 200, 240):
        shutil.rmtree(root / "target")
        started = subprocess.Popen(
            [kit.toolchain.cargo, "check", "-q"],
            cwd=root,
            env=kit.variables,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        time.sleep(delay_ms / 1000)
        os.killpg(started.pid, number)
        started.wait()

        ran = kit.cargo(root)

        assert ran.returncode == 0, ran.stderr
        assert not kit.script_log.exists()
