"""Compares build scripts as WASI with the held native runs: `python -m corpus.wasi`.

Each workspace is learnt and built held. What that native run made counts. Then each script whose
recording has no other program, no socket and no /proc is compiled for WASI and run by `wasmtime`,
which shows it its package, its workspace and an OUT_DIR of its own. All of OUT_DIR, standard output
and standard error have to be the same, byte for byte. It needs the package `wasmtime`, and a tool
chain that has the standard library of the target.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from corpus import trial
from corpus.entries import HERE, load, lock_of
from corpus.records import write
from corpus.wasi_module import TARGET
from corpus.wasi_run import EQUAL, Compared, compare_workspace
from corpus.workshop import StepError

DOCUMENT = HERE.parent / "docs/wasi.md"
CANNOT_HOLD = 23
_OWN = "tests/crates"
_GROUPS = ("probes", "quick")
_BLOCK = re.compile(
    r"(<!-- measured: made by `python -m corpus\.wasi --write` -->\n).*?(<!-- end of measured -->)",
    re.DOTALL,
)


def table(compared: Sequence[Compared], tool_chain: str) -> str:
    """Return what was measured, in Markdown."""
    tried = [each for each in compared if not each.outcome.startswith("not tried")]
    equal = sorted({each.crate for each in tried if each.outcome == EQUAL})
    lines = [
        f"With {tool_chain}: {len(compared)} runs of build scripts, {len(tried)} tried, "
        f"{sum(each.outcome == EQUAL for each in tried)} equal.",
        *textwrap.wrap(f"Equal: {', '.join(equal) or 'none'}.", 118, break_on_hyphens=False),
        "",
        "| workspace | build script | outcome | runs |",
        "|---|---|---|---|",
    ]
    for each in tried:
        if each.outcome != EQUAL:
            outcome = each.outcome.replace("|", "\\|")
            lines.append(f"| {each.workspace} | {each.crate} | {outcome} | 1 |")
    reasons: dict[str, int] = {}
    for each in compared:
        if each not in tried:
            reason = re.sub(r"^it runs .*", "it runs another program", each.outcome[11:])
            reasons[reason] = reasons.get(reason, 0) + 1
    lines += [f"| all | | not tried: {why} | {many} |" for why, many in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


def with_table(text: str, made: str) -> str:
    """Return the document with another table.

    Raises:
        ValueError: It has no place for one.
    """
    if len(_BLOCK.findall(text)) != 1:
        raise ValueError("docs/wasi.md has no place for the table")
    return _BLOCK.sub(lambda block: f"{block[1]}\n{made}\n{block[2]}", text)


def what_is_missing(rustc: str) -> str:
    """Say in one sentence what cannot be done without; empty if all is there."""
    asked = [rustc, "--print", "target-libdir", "--target", TARGET]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return f"`{rustc}` cannot say where its standard library for {TARGET} is."
    if not list(Path(told.strip()).glob("libstd-*.rlib")):
        return f"`{rustc}` has no standard library for {TARGET}: `rustup target add {TARGET}`."
    if _version(rustc) != _version("rustc"):
        return f"`{rustc}` is not of the version of `rustc`, which compiles the native scripts."
    if importlib.util.find_spec("wasmtime") is None:
        return "wasmtime is not installed: `pip install -e '.[wasi]'`."
    return ""


def _version(rustc: str) -> str:
    """Return name and version; empty if there is no such program."""
    asked = [rustc, "--version"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return " ".join(told.split()[:2])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m corpus.wasi", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="groups, or tests/crates")
    parser.add_argument("--rustc", default="rustc", help=f"the one that has {TARGET}")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "target/corpus")
    parser.add_argument("--write", action="store_true", help="the table into docs/wasi.md")
    given = parser.parse_args(arguments)
    if missing := what_is_missing(given.rustc):
        print(missing, file=sys.stderr)
        return CANNOT_HOLD
    groups = load().groups()
    compared: list[Compared] = []
    failed = False
    for name in given.only or (_OWN, *_GROUPS):
        if name != _OWN and name not in groups:
            parser.error(f"there is no group `{name}`")
        folder = (given.folder / f"wasi-{name.replace('/', '-')}").absolute()
        workshop = trial.made_workshop(folder, 1800)
        try:
            if name == _OWN:
                ignored = shutil.ignore_patterns("target")
                source = HERE.parent / _OWN
                shutil.copytree(source, workshop.folder, ignore=ignored, dirs_exist_ok=True)
            else:
                workshop.write_crates(groups[name], lock_of(name))
            workshop.fetch()
            workshop.commit()
            cargo = ["check", "--workspace"]
            compared += compare_workspace(name, workshop, cargo, given.rustc)
        except StepError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    made = table(compared, _version(given.rustc))
    print(made, end="")
    if given.write and not failed:
        write(DOCUMENT, with_table(DOCUMENT.read_text(encoding="utf-8"), made))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
