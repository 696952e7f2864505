"""What an update asks of a person: real pairs of versions, learnt, updated, reviewed, built.

    benchmarks/updates.py [--only CRATE …] [--keep FOLDER]

Each pair has a workspace of its own. The crate is pinned to its old version, and so is what its
build script is made with where the old Cargo.lock of the time would have had older versions;
`buildperm learn` and `review` accept what is up to medium risk, and where more is asked they are
answered as by a person who allows everything, in plain text. Needs the registry, or a CARGO_HOME
that has been filled by an earlier call, and what tests/crates needs.
"""

from __future__ import annotations

import argparse
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measurement import describe_machine, table
from update_pairs import PAIRS, Pair, Side

from buildperm.policy.kinds import GRANTABLE

BUILDPERM = [sys.executable, "-m", "buildperm"]
OK, UNDECIDED, NOT_REVIEWED = 0, 3, 21
ACCEPTING = ["--no-tui", "--accept", "medium"]
ANSWERS = {
    b"(w k": b"w",
    b"(y k": b"y",
    b"(q, Enter": b"",
    b"(o q, Enter": b"",
}  # To all else: `a`, allow.
HEAD = [
    "update",
    "build scripts: new, gone, same",
    "its accesses beyond the baseline: new, gone, same",
    "grants kept",
    "added",
    "removed",
    "exit codes: learn, check, review, ci, check",
    "seconds of each",
    "",
]
LISTS = ("presets", *map(str, GRANTABLE))


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and what came of it."""

    code: int
    seconds: float
    told: str  # Standard output and standard error.


def run(command: list[str], folder: Path) -> Step:
    """Run `command` in `folder`."""
    began = time.perf_counter()
    ended = subprocess.run(
        command,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    took = time.perf_counter() - began
    return Step(ended.returncode, took, ended.stdout.decode("utf-8", "replace"))


def answer(command: list[str], folder: Path) -> Step:
    """Run `command` in a terminal of its own, and answer whatever it asks."""
    began = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ["TERM"] = "dumb"
        os.execv(command[0], command)
    told = bytearray()
    answered = 0
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed.
            break
        told += piece
        at = told.rfind(b"Answer ")
        if at >= answered and told.endswith(b"): "):
            question = bytes(told[at + len(b"Answer ") :])
            letter = next((to for start, to in ANSWERS.items() if question.startswith(start)), b"a")
            os.write(terminal, letter + b"\n")
            answered = len(told)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    took = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    return Step(code, took, told.decode("utf-8", "replace").replace("\r\n", "\n"))


def decide(name: str, folder: Path) -> Step:
    """Run `learn` or `review`; answer by hand where accepting what is harmless does not do."""
    step = run([*BUILDPERM, name, *ACCEPTING], folder)
    if step.code != UNDECIDED:
        return step
    second = answer([*BUILDPERM, name, "--no-tui"], folder)
    return Step(second.code, step.seconds + second.seconds, step.told + second.told)


def write(folder: Path, side: Side) -> None:
    """Write one side of the update, keeping what is granted, and fetch what it needs.

    Raises:
        SystemExit: Cargo cannot do it.
    """
    member = folder / "app"
    (member / "src").mkdir(parents=True, exist_ok=True)
    (member / "src/lib.rs").write_text("")
    (member / "Cargo.toml").write_text(
        '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n\n'
        f"[dependencies]\n{side.dependencies}\n\n"
        f"[build-dependencies]\n{side.build_dependencies}\n"
    )
    for name, content in side.files.items():
        (member / name).write_text(content)
    manifest = folder / "Cargo.toml"
    if not manifest.exists():
        manifest.write_text('[workspace]\nmembers = ["app"]\nresolver = "2"\n')
    commands = [["update"]]
    commands += [["update", name, "--precise", version] for name, version in side.precise.items()]
    for words in (*commands, ["fetch"]):
        step = run(["cargo", *words], folder)
        if step.code:
            raise SystemExit(f"cargo {' '.join(words)}: {step.told}")
    for words in (
        ["add", "--all"],
        ["-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "--message", "-"],
    ):
        run(["git", *words], folder)


def grants(folder: Path) -> set[str]:
    """Return everything that is granted, each as `CRATE LIST PATTERN`."""
    table = tomllib.loads((folder / "Cargo.toml").read_text())["workspace"]
    crates = table.get("metadata", {}).get("buildperm", {}).get("crates", {})
    return {
        f"{crate} {name} {pattern}"
        for crate, granted in crates.items()
        for name in LISTS
        for pattern in granted.get(name, ())
    }


def seen(folder: Path, crate: str) -> set[str]:
    """Return what the build script was seen doing beyond the baseline."""
    lock = folder / "buildperm.lock"
    if not lock.exists():
        return set()
    scripts: list[Any] = tomllib.loads(lock.read_text()).get("script", [])
    return {
        access
        for script in scripts
        if script["crate"] == crate
        for context in script.get("run", [])
        for access in context["seen"]
    }


def locked(folder: Path) -> list[str]:
    """Return the scripts that buildperm.lock knows."""
    lock = folder / "buildperm.lock"
    known = tomllib.loads(lock.read_text()) if lock.exists() else {}
    scripts: list[Any] = known.get("script", [])
    return sorted(f"{script['crate']} {script['version']}" for script in scripts)


def update(pair: Pair, folder: Path) -> list[str]:
    """Take one pair through the update; return its row of the table."""
    run(["git", "init", "--quiet"], folder)
    (folder / ".gitignore").write_text("target\n")
    write(folder, pair.before)
    steps = {"learn": decide("learn", folder)}
    known, granted, did = locked(folder), grants(folder), seen(folder, pair.crate)
    write(folder, pair.after)
    steps["check"] = run([*BUILDPERM, "check"], folder)
    steps["review"] = decide("review", folder)
    steps["ci"] = run([*BUILDPERM, "ci"], folder)
    steps["check after"] = run([*BUILDPERM, "check"], folder)
    for name, step in steps.items():
        (folder / f"{name}.txt").write_text(step.told)
    now, after, does = locked(folder), grants(folder), seen(folder, pair.crate)
    return [
        pair.title,
        three_ways(known, now),
        three_ways(did, does),
        str(len(granted & after)),
        str(len(after - granted)),
        str(len(granted - after)),
        " ".join(str(step.code) for step in steps.values()),
        " ".join(f"{step.seconds:.1f}" for step in steps.values()),
        verdict(steps, is_changed=bool(now)),
    ]


def three_ways(before: Collection[str], after: Collection[str]) -> str:
    """Say how many are new, gone and the same."""
    one, other = set(before), set(after)
    return f"{len(other - one)}, {len(one - other)}, {len(one & other)}"


def verdict(steps: Mapping[str, Step], *, is_changed: bool) -> str:
    """Tell whether it went as an update should, or what did not."""
    changed = NOT_REVIEWED if is_changed else OK  # No build script is left in the newer one.
    expected = {"learn": OK, "check": changed, "review": OK, "ci": OK, "check after": OK}
    wrong = [name for name, code in expected.items() if steps[name].code != code]
    if not wrong:
        return "OK"
    return ", ".join(f"`{name}` ended with {steps[name].code}" for name in wrong)


def main() -> None:
    """Take every pair through its update, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", metavar="CRATE", help="leave out the others")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to leave it all")
    given = parser.parse_args()
    describe_machine()
    top = given.keep or Path(tempfile.mkdtemp(prefix="buildperm-updates-"))
    rows = []
    try:
        for pair in PAIRS:
            crate = pair.title.split()[0]
            if given.only and crate not in given.only:
                continue
            folder = top / crate
            folder.mkdir(parents=True)
            rows.append(update(pair, folder))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    finally:
        if not given.keep:
            shutil.rmtree(top, ignore_errors=True)
    table("Updates", HEAD, rows)


if __name__ == "__main__":
    main()
