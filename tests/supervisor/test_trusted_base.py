"""The trusted base: what a supervisor may load is in four folders, and there is nothing else."""

from __future__ import annotations

import ast
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench import Bench

ROOT = Path(__file__).parents[2]
FOLDERS = ("supervisor", "cache", "rules", "tracer/recorder")
ENTRY = "supervisor/main.py"
SHARED = {
    *("buildperm/printable.py", "tracer/fields.py", "tracer/notation.py"),
    *("tracer/recording_format.py", "tracer/syscall_table.py", "tracer/system_values.py"),
}
"""What the commands load as well."""


def modules(*folders: str) -> set[str]:
    """List the modules right in these folders, by path."""
    found = (path for folder in folders for path in (ROOT / folder).glob("*.py"))
    return {str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py"}


def imported(path: str) -> Iterator[str]:
    """Yield what a module imports at any time, but not what only a type checker sees."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            pending += ast.iter_child_nodes(node)


def reached() -> tuple[set[str], set[str]]:
    """Return the modules of buildperm that a supervisor may load, and all others by name."""
    files, others = set[str](), set[str]()
    pending = [ENTRY]
    while pending:
        path = pending.pop()
        if path in files:
            continue
        files.add(path)
        for name in imported(path):
            if name != "buildperm" and not name.startswith("buildperm."):
                others.add(name)
                continue
            below = name.partition(".")[2].replace(".", "/") + ".py"
            found = below if "/" in below else f"buildperm/{below}"
            if (ROOT / found).is_file():
                pending.append(found)
    return files, others


def test_every_module_of_the_trusted_base_may_be_loaded_by_a_supervisor() -> None:
    assert modules(*FOLDERS) - reached()[0] == set()


def test_a_supervisor_loads_nothing_of_another_folder() -> None:
    assert reached()[0] - modules(*FOLDERS) == SHARED


def test_a_supervisor_needs_the_standard_library_only() -> None:
    tops = {name.partition(".")[0] for name in reached()[1]}

    assert tops - sys.stdlib_module_names == set()


@pytest.mark.parametrize("granted", [{}, {"net": ["localhost:9"]}])
def test_what_a_real_one_loads_is_what_may_be_loaded(
    own_bench: Bench, granted: dict[str, list[str]]
) -> None:
    """The other way round the first test would hold even if nothing were looked at."""
    own_bench.grants = granted
    placed = own_bench.script(
        "import socket\ntry: socket.create_connection(('127.0.0.1', 9))\nexcept OSError: pass"
    )
    (own_bench.top / "probe.py").write_text(
        "import os, sys\n"
        "def leave(status):\n"
        "    print(*(m for m in sys.modules if m.startswith('buildperm')), flush=True)\n"
        "    leave_now(status)\n"
        "leave_now, os._exit = os._exit, leave\n"
        f"sys.argv = ['supervisor', {str(placed)!r}]\n"
        f"__file__ = {str(ROOT / ENTRY)!r}\n"
        "exec(compile(open(__file__).read(), __file__, 'exec'))\n"
    )
    with own_bench.start(placed) as process:
        process.communicate()
    ended = subprocess.run(
        [own_bench.python, "-IS", own_bench.top / "probe.py"],
        env=own_bench.variables(),
        capture_output=True,
        check=True,
        text=True,
    )

    loaded = {name.partition(".")[2].replace(".", "/") + ".py" for name in ended.stdout.split()}
    loaded = {path for path in loaded if (ROOT / path).is_file()}
    assert loaded - reached()[0] == set()
    assert {"supervisor/supervision.py", "rules/pattern.py", "tracer/recorder/loop.py"} <= loaded
    assert ("supervisor/egress_proxy.py" in loaded) is bool(granted)
    with contextlib.suppress(FileNotFoundError):
        own_bench.progress.unlink()
