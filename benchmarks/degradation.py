"""What is open on older kernels, and where something is missing: the table in SECURITY.md.

    benchmarks/degradation.py [--write]

Nothing in it is claimed: every cell comes from the canaries of `buildperm doctor`, on this machine,
with the means of an older kernel, or with something taken away. `--write` puts it where it belongs;
else it is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from buildperm.sandbox import canaries
from buildperm.sandbox.canaries import CanaryRun
from buildperm.sandbox.canary import CANARIES, KERNELS
from buildperm.sandbox.runtime import Runtime, runtimes
from buildperm.supervisor import landlock

ROOT = Path(__file__).parent.parent
SECURITY = ROOT / "SECURITY.md"
BEGIN, END = "<!-- made by `make degradation` -->", "<!-- end -->"

_REFUSE_CALL = [sys.executable, str(ROOT / "tests/children/refuse_call.py")]
_DOCTOR = [sys.executable, "-m", "buildperm", "doctor", "--format", "json"]
_NO_NAMESPACES = [
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
]
_WORDS = {
    "enforced": "refused",
    "open": "**open**",
    "works": "works",
    "limited": "**refused**",
    "absent": "absent",
    "broken": "**BROKEN**",
}
_NOT_RUN = "not run"


Told = dict[str, dict[str, str]]
"""By runtime, by canary, its status; nothing for a runtime that is not available."""


def told() -> dict[str, Told]:
    """Return by its title what becomes of the canaries on each machine that this one can play."""
    free = canaries.run_unconfined()
    found: dict[str, Told] = {}
    for abi, kernel in KERNELS.items():
        if abi <= landlock.abi():
            found[f"ABI {abi}, Linux {kernel}"] = {
                name: _within(canaries.limited_to_abi(runtime, abi), free)
                for name, runtime in runtimes().items()
            }
    found["no user namespaces"] = _without(_NO_NAMESPACES)
    found["no Landlock"] = _without([*_REFUSE_CALL, "landlock_create_ruleset", "ENOSYS"])
    found["no ptrace"] = _without([*_REFUSE_CALL, "ptrace", "EPERM"])
    return found


def _within(runtime: Runtime, free: CanaryRun) -> dict[str, str]:
    if runtime.unavailable():
        return {}
    proof = canaries.prove(runtime, free)
    if proof.failure:
        sys.exit(f"{runtime.name}: {proof.failure}")
    return {result.canary.id: str(result.status) for result in proof.results}


def _without(launcher: Sequence[str]) -> Told:
    """Ask `buildperm doctor` on a machine from which `launcher` has taken something."""
    with tempfile.TemporaryDirectory() as nowhere:  # Outside of any workspace.
        ended = subprocess.run(
            [*launcher, *_DOCTOR],
            cwd=nowhere,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    return {
        runtime["name"]: {canary["id"]: canary["status"] for canary in runtime["canaries"]}
        for runtime in json.loads(ended.stdout)["runtimes"]
    }


def tables() -> list[str]:
    """Make the table of each runtime that this machine can run, and say what is not in it."""
    found = told()
    return [
        _table(name, {title: one[name] for title, one in found.items()})
        for name in runtimes()
        if any(one[name] for one in found.values())
    ]


def _table(name: str, found: Mapping[str, Mapping[str, str]]) -> str:
    rows: list[list[str]] = []
    others: dict[str, list[str]] = {"refused": [], "works": []}
    for canary in CANARIES:
        cells = [_WORDS[one[canary.id]] if one else _NOT_RUN for one in found.values()]
        plain = next((word for word in others if set(cells) <= {word, _NOT_RUN}), "")
        if plain:
            others[plain].append(f"`{canary.id}`")
        else:
            rows.append([canary.attempt, *cells])
    every = ["refused" if one else _NOT_RUN for one in found.values()]
    rows.append([f"{len(others['refused'])} other attempts", *every])
    header = [f"`{name}`", *found]
    lines = [_row(header), "|---" * len(header) + "|", *map(_row, rows)]
    listed = f"The other attempts under `{name}`: {', '.join(others['refused'])}."
    works = f"What works everywhere: {', '.join(others['works'])}."
    return "\n".join([*lines, "", f"{listed} {works}"])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Make the tables, and print them or put them into SECURITY.md."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put it into SECURITY.md")
    arguments = parser.parse_args()
    made = "\n\n".join(tables())
    if not arguments.write:
        sys.stdout.write(made + "\n")
        return
    before, begin, rest = SECURITY.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{SECURITY}: no place for it between `{BEGIN}` and `{END}`")
    SECURITY.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
