"""Input that cannot be used: one clear error, the designed exit code, and nothing changed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm, is_orderly, member
from tests.programs import CHILDREN

MARKS = 'fn main() { std::fs::write(std::env::var("OUT_DIR").unwrap() + "/ran", "").unwrap(); }\n'
REFUSE_CALL = str(CHILDREN / "refuse_call.py")
BOTH = pytest.mark.parametrize("command", [LEARN, CI], ids=["learn", "ci"])


def has_run(workspace: Path) -> bool:
    """Tell whether a build script that marks its OUT_DIR has run."""
    return bool(list(workspace.glob("target/**/ran")))


def refuse(
    workspace: Path, command: tuple[str, ...], *, code: int, said: str, hint: str, **how: object
) -> None:
    """Make sure that `command` stops at once, says why and how to go on, and changes nothing."""
    manifest = workspace / "Cargo.toml"
    before = manifest.read_bytes() if manifest.exists() else None

    told = buildperm(*command, folder=workspace, **how)  # type: ignore[arg-type]  # passed on

    assert told.returncode == code, told.stderr
    assert is_orderly(told.stdout + told.stderr), told.stderr
    assert told.stdout == ""
    assert [line.startswith("buildperm: ") for line in told.stderr.splitlines()].count(True) == 1
    assert said in told.stderr, told.stderr
    assert hint in told.stderr, told.stderr
    assert not has_run(workspace)
    assert (manifest.read_bytes() if manifest.exists() else None) == before


@BOTH
@pytest.mark.quick(1)
def test_a_folder_without_a_manifest(tmp_path: Path, command: tuple[str, ...]) -> None:
    refuse(tmp_path, command, code=2, said="could not find `Cargo.toml`", hint=str(tmp_path))


@BOTH
@pytest.mark.quick(1)
def test_a_folder_that_is_gone(tmp_path: Path, command: tuple[str, ...]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    launcher = ["sh", "-c", f'rmdir "{gone}" && exec "$@"', "sh"]

    told = buildperm(*command, folder=gone, launcher=launcher)

    assert told.returncode == 2, told.stderr
    assert is_orderly(told.stderr), told.stderr
    assert "current folder" in told.stderr


@BOTH
@pytest.mark.quick(1)
def test_a_manifest_that_is_no_toml(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = member(tmp_path / "ws", MARKS)
    (folder / "Cargo.toml").write_text("[workspace\n")

    refuse(folder, command, code=2, said="Cargo cannot read the workspace", hint="Cargo.toml:1")


CRATE = "[workspace.metadata.buildperm.crates.sample]\n"


@pytest.mark.parametrize(
    ("table", "code", "said", "hint"),
    [
        ('version = "1"\n', 2, "version: must be a whole number", "Write `version = 1`"),
        ("version = 7\n", 2, "written for a newer buildperm: format 7", "Update buildperm."),
        ("crates = 3\n", 2, "`version` is missing", "Add `version = 1`"),
        ("version = 1\ncrates = 3\n", 2, "must be a table, not a number", "Write it as"),
        ("version = 1\nversoin = 1\n", 2, 'unknown key "versoin"', "Did you mean `version`?"),
        (f"version = 1\n{CRATE}raed = []\n", 2, 'unknown key "raed"', "Did you mean `read`?"),
        (f'version = 1\n{CRATE}"\\u001B]0;x\\u0007" = 1\n', 2, 'key "\\u001b]0;x', "Use one of"),
        (f'version = 1\n{CRATE}read = "x"\n', 2, "must be a list of strings", "Write `["),
        (f'version = 1\n{CRATE}read = ["$HOME/**"]\n', 2, "`$HOME/**`", "hint: "),
        (f'version = 1\n{CRATE}read = ["$HOME/.ssh/id_rsa"]\n', 2, "id_rsa", "reason"),
        (f'version = 1\n{CRATE}read = ["%zz"]\n', 2, "`%zz`", "hint: "),
        (f'version = 1\n{CRATE}presets = ["ccc"]\n', 2, 'preset "ccc"', "Did you mean `cc`?"),
        ('version = 1\nrequire = "fall"\n', 2, 'runtime "fall"', "Did you mean `full`?"),
        (
            'version = 1\nrequire = "full"\nruntime = "portable"\n',
            23,
            '`require = "full"` asks for more',
            'Use `runtime = "full"`',
        ),
        (f'version = 1\n{CRATE}net = ["crates.io"]\n', 2, "no host with a port", "`HOST:PORT`"),
    ],
)
@BOTH
@pytest.mark.quick(2)
def test_a_grant_table_that_cannot_be(
    tmp_path: Path, command: tuple[str, ...], table: str, code: int, said: str, hint: str
) -> None:
    folder = member(tmp_path / "ws", MARKS)
    with (folder / "Cargo.toml").open("a") as file:
        file.write(f"\n[workspace.metadata.buildperm]\n{table}")

    refuse(folder, command, code=code, said=said, hint=hint)


def test_a_lock_file_that_is_broken(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", MARKS)
    (folder / "Cargo.lock").write_text("version = [\n")

    refuse(folder, CI, code=2, said="Cargo cannot read the workspace", hint="Cargo.lock")


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("landlock_create_ruleset", "ENOSYS", "no Landlock"),
        ("landlock_create_ruleset", "EOPNOTSUPP", "no Landlock"),
        ("ptrace", "EPERM", "ptrace is refused"),
        ("ptrace", "ENOSYS", "ptrace is refused"),
        ("seccomp", "EINVAL", "seccomp"),
    ],
)
@BOTH
@pytest.mark.quick(1)
def test_a_kernel_that_cannot_hold_anybody(
    tmp_path: Path, command: tuple[str, ...], call: str, error: str, said: str
) -> None:
    launcher = [sys.executable, REFUSE_CALL, call, error]
    folder = member(tmp_path / "ws", MARKS)

    refuse(folder, command, code=23, said=said, hint="hint: ", launcher=launcher)


@pytest.mark.slow
def test_the_launcher_that_refuses_system_calls_lets_all_others_through(tmp_path: Path) -> None:
    launcher = [sys.executable, REFUSE_CALL, "nothing", "EPERM"]
    folder = member(tmp_path / "ws", MARKS)

    held = buildperm("ci", folder=folder, launcher=launcher)

    assert held.returncode == 0, held.stderr
    assert has_run(folder)


@pytest.mark.parametrize("missing", ["cargo", "rustc"])
@BOTH
@pytest.mark.quick(1)
def test_a_machine_without_rust(tmp_path: Path, command: tuple[str, ...], missing: str) -> None:
    folder = member(tmp_path / "ws", MARKS)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in {"cargo", "rustc"} - {missing}:
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)

    extra = {"PATH": str(programs)}

    refuse(
        folder, command, code=2, said=f"no `{missing}` on PATH", hint="Install Rust", extra=extra
    )


@BOTH
@pytest.mark.quick(1)
def test_a_tool_chain_that_is_broken(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = member(tmp_path / "ws", MARKS)
    broken = tmp_path / "bin/rustc"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nprintf 'out of \\033[31morder\\007\\n' >&2; exit 1\n")
    broken.chmod(0o755)

    extra = {"PATH": f"{broken.parent}{os.pathsep}{os.environ['PATH']}"}

    refuse(folder, command, code=2, said="failed: out of ", hint="--print sysroot", extra=extra)


def test_where_there_is_no_package_it_says_where_to_go(tmp_path: Path) -> None:
    told = buildperm("check", folder=tmp_path)

    assert told.returncode == 2
    assert "could not find `Cargo.toml` in" in told.stderr
    assert "hint: Run it in the folder of a Cargo package." in told.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("learn", "--no-tui", "--accept", "high"), "'high' is not one of"),
        (("ci", "--format", "xml"), "'xml' is not one of"),
        (("ci", "--", "build", "--target-dir", "x"), "cannot be chosen"),
        (("learn", "--no-tui", "--", "--target-dir=x"), "cannot be chosen"),
        (("ci", "--", "nonsense"), "cannot be held to grants"),
        (("ci", "--", "\x1b]0;x\x07"), "cannot be held to grants"),
        (("learn", "--no-tui", "--", "fix"), "cannot be held to grants"),
        (("ci", "--", "-C", "elsewhere"), "is not supported"),
        (("ci", "--", "--manifest-path", "none/Cargo.toml"), "Cargo cannot read the workspace"),
        (("ci", "--", "--config", "build.build-dir='x'"), "moves Cargo's build directory"),
        (("ci", "--", "--config", "build.build-dir"), "Cargo cannot read the workspace"),
        (("ci", "--", "--features", "none"), "none"),
        (("ci", "--", "+\x1b[31mnone"), "failed: "),
        (("nonsense",), "No such command"),
        (("ci", "--nonsense"), "No such option"),
    ],
)
@pytest.mark.quick(3)
def test_words_that_mean_nothing(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    folder = member(tmp_path / "ws", MARKS)
    before = (folder / "Cargo.toml").read_bytes()

    told = buildperm(*words, folder=folder)

    assert told.returncode == 2, told.stderr
    assert is_orderly(told.stdout + told.stderr), told.stderr
    assert said in told.stderr, told.stderr
    assert not has_run(folder)
    assert (folder / "Cargo.toml").read_bytes() == before


@pytest.mark.slow
def test_words_that_only_cargo_can_judge_end_with_cargos_own_code(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", MARKS)

    told = buildperm("ci", "--", "build", "--nonsense", folder=folder)

    assert told.returncode == 1, told.stderr
    assert "unexpected argument '--nonsense'" in told.stderr
