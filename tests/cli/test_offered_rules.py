"""The rule that is offered first holds: in the verifying run, in `ci`, and in a clean checkout."""

from __future__ import annotations

import os
import pty
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.command import CI, buildperm, environment, is_orderly

SCRIPTS = {
    # Programs that are made, where they will be, copied and moved.
    "made": """
        let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
        let made = out.join("bin/x");
        std::fs::create_dir_all(&made).unwrap();
        std::fs::copy("/bin/true", made.join("gen")).unwrap();
        std::fs::rename(made.join("gen"), out.join("moved")).unwrap();
        std::fs::copy(out.join("moved"), made.join("gen")).unwrap();
        for program in [made.join("gen"), out.join("moved")] {
            assert!(std::process::Command::new(program).status().unwrap().success());
        }
    """,
    "scripted": """
        use std::os::unix::fs::PermissionsExt;
        let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap()).join("run.sh");
        std::fs::write(&out, "#!/bin/sh\\nexit 0\\n").unwrap();
        std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(std::process::Command::new(&out).status().unwrap().success());
    """,
    # A folder that an earlier build has left where it is learned.
    "kept": """
        std::fs::create_dir_all("src/gen/deep").unwrap();
        std::fs::write("src/gen/deep/a.rs", "// made").unwrap();
    """,
    "moving": """
        std::fs::write("src/a.rs.tmp", "// made").unwrap();
        std::fs::rename("src/a.rs.tmp", "src/a.rs").unwrap();
    """,
}
GRANTS = """\
[workspace.metadata.buildperm.crates.kept]
reviewed = ["0.1.0"]
write = ["$MANIFEST_DIR/src/gen/deep/a.rs"]

[workspace.metadata.buildperm.crates.made]
reviewed = ["0.1.0"]
exec = ["$OUT_DIR/**"]

[workspace.metadata.buildperm.crates.moving]
reviewed = ["0.1.0"]
write = ["$MANIFEST_DIR/src/**"]

[workspace.metadata.buildperm.crates.scripted]
reviewed = ["0.1.0"]
exec = ["$OUT_DIR/**", "sh"]
"""


def _workspace(folder: Path) -> Path:
    for name, body in SCRIPTS.items():
        (folder / name / "src").mkdir(parents=True)
        (folder / name / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
        )
        (folder / name / "src/lib.rs").write_text("")
        (folder / name / "build.rs").write_text(f"fn main() {{{body}}}\n")
    members = ", ".join(f'"{name}"' for name in SCRIPTS)
    (folder / "Cargo.toml").write_text(f'[workspace]\nmembers = [{members}]\nresolver = "2"\n')
    return folder


def _allowing_all(folder: Path) -> tuple[int, str]:
    """Learn on a terminal: allow whatever is offered, as it is offered."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        command = [sys.executable, "-m", "buildperm", "learn", "--no-tui"]
        os.execve(command[0], command, environment({"TERM": "xterm", "NO_COLOR": "1"}))
    said, answered = "", 0
    try:
        while piece := os.read(terminal, 4096):
            said += piece.decode(errors="replace")
            for keys in re.findall(r"Answer \(([^)]*)\): ", said[answered:]):
                answered = len(said)
                wanted = [key for key in "awy" if key in keys.split()]
                # What only informs goes on with an empty answer, which keeps as well.
                os.write(terminal, "".join(wanted[:1]).encode() + b"\n")
    except OSError:
        pass  # The other end is closed: it has ended.
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said


@pytest.mark.slow
def test_what_is_offered_first_holds_in_a_clean_checkout(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path / "ws")
    (workspace / "kept/src/gen/deep").mkdir(parents=True)

    code, said = _allowing_all(workspace)

    assert code == 0, said
    assert (workspace / "Cargo.toml").read_text().endswith(GRANTS), said
    clean = _workspace(tmp_path / "clean")
    for name in ("Cargo.toml", "Cargo.lock", "buildperm.lock"):
        shutil.copy(workspace / name, clean / name)
    for _ in range(2):
        told = buildperm(*CI, folder=clean)
        assert told.returncode == 0, told.stderr
        assert is_orderly(told.stderr)
        shutil.rmtree(clean / "target")  # What was made beside the sources is kept.
    assert (clean / "kept/src/gen/deep/a.rs").read_text() == "// made"
