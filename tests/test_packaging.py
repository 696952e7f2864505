"""What is shipped: the content of the wheel, and that it works where nothing else is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

pytestmark = pytest.mark.slow  # Two distributions are built, and one is installed.

ROOT = Path(__file__).parent.parent
FOLDERS = (  # Linked into buildperm/.
    *(
        "cache",
        "cargo",
        "policy",
        "presentation",
        "report",
        "rules",
        "sandbox",
        "supervisor",
        "tracer",
    ),
    *("tui", "workflow"),
)
EXAMPLES = "buildperm/examples"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, the wheel from it, and return their folder.

    Both are made of a copy of the tree without what earlier builds left in it: setuptools puts
    everything that lies in build/ into the wheel. What Cargo leaves there is planted instead.
    """
    source = tmp_path_factory.mktemp("source") / "buildperm"
    leftovers = shutil.ignore_patterns(
        ".git", ".venv", "build", "dist", "target", "*.egg-info", "__pycache__", ".*_cache"
    )
    shutil.copytree(ROOT, source, symlinks=True, ignore=leftovers)
    built = source / "examples/target"
    (built / "src").mkdir(parents=True)
    for name in ("Cargo.toml", "build.rs", "src/generated.rs"):
        (built / name).write_text("", encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", source / "dist", source],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def members(wheel: Path) -> frozenset[str]:
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a virtual environment with only the wheel in it; the dependencies are lent.

    The folder that a `.pth` file names is searched last, so this environment's own buildperm, if it
    has one, is not the one that is found; and `.pth` files in that folder are not obeyed in turn.
    """
    environment = tmp_path_factory.mktemp("environment")
    python = environment / "bin/python"
    install: list[str | Path] = ["-m", "pip", "--python", python, "install"]
    install += ["--no-deps", "--no-index", wheel]
    for arguments in (["-m", "venv", "--without-pip", environment], install):
        subprocess.run(
            [sys.executable, *arguments],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return environment


def test_the_wheel_installs_one_package_and_nothing_beside_it(members: frozenset[str]) -> None:
    top = {PurePosixPath(name).parts[0] for name in members}

    assert {name.removesuffix("-0.1.0.dist-info") for name in top} == {"buildperm"}
    assert len(top) == 2


def test_every_module_of_every_layer_is_in_the_wheel(
    distributions: Path, members: frozenset[str]
) -> None:
    source = distributions.parent
    modules = {
        f"buildperm/{path.relative_to(source)}"
        for folder in FOLDERS
        for path in (source / folder).rglob("*.py")
    } | {f"{path.relative_to(source)}" for path in (source / "buildperm/cli").rglob("*.py")}
    shipped = {name for name in members if name.endswith(".py")}

    assert shipped - modules == {
        f"buildperm/{name}.py"
        for name in ("__init__", "__main__", "errors", "printable", "short_status")
    }
    assert modules <= shipped


def test_every_file_that_is_no_module_is_known(
    distributions: Path, members: frozenset[str]
) -> None:
    """Adding one means to add it here: nothing gets in by accident, nothing is forgotten."""
    programs = {
        f"buildperm/{folder}/{path.name}"
        for folder in ("supervisor/compiling", "supervisor/starting", "tracer/recorder/stops")
        for path in (distributions.parent / folder).glob("*.[ch]")
    }
    plain = {
        name
        for name in members
        if not name.endswith(".py") and ".dist-info/" not in name and EXAMPLES not in name
    }

    assert plain == programs | {
        "buildperm/cargo/held-compiler.sh",
        "buildperm/cargo/held-macro-server.sh",
        "buildperm/cargo/rustc-wrapper.sh",
        "buildperm/cargo/standing-canary.rs",
        "buildperm/cargo/standing-macro-server.sh",
        "buildperm/cargo/standing-wrapper.sh",
        "buildperm/policy/export.schema.json",
        "buildperm/policy/grants.schema.json",
        "buildperm/policy/index-entry.schema.json",
        "buildperm/policy/index-list.schema.json",
        "buildperm/policy/lock.schema.json",
        "buildperm/policy/layouts.toml",
        "buildperm/policy/presets.toml",
        "buildperm/policy/risk.toml",
        "buildperm/policy/system_packages.toml",
        "buildperm/py.typed",
        "buildperm/presentation/config.schema.json",
        "buildperm/presentation/trace.schema.json",
        "buildperm/report/cache.schema.json",
        "buildperm/report/ci.schema.json",
        "buildperm/report/decide.schema.json",
        "buildperm/report/doctor.schema.json",
        "buildperm/report/info.schema.json",
        "buildperm/report/pending.schema.json",
        "buildperm/report/html_page.css",
        "buildperm/report/html_page.jinja",
        "buildperm/report/html_page.js",
        "buildperm/sandbox/interface_probe/consumer.rs",
        "buildperm/sandbox/interface_probe/macros.rs",
        "buildperm/sandbox/interface_probe/panicking.rs",
        "buildperm/tracer/recording/recording.schema.json",
        "buildperm/tui/app.tcss",
    }


def test_the_example_workspace_is_whole_and_brings_nothing_that_was_built(
    members: frozenset[str],
) -> None:
    crates = {
        "checksum": ("build.rs", "src/lib.rs", "native/checksum.c", "native/checksum.h"),
        "compat": ("build.rs", "src/lib.rs", "probe/repeat_n.rs"),
        "left-padding": ("build.rs", "src/lib.rs"),
        "messages": ("build.rs", "src/lib.rs"),
        "postcard": ("src/main.rs",),
        "stamp": ("build.rs", "src/lib.rs"),
    }
    expected = {"Cargo.toml", "Cargo.lock", "README.md", "schema/messages.txt"}
    for crate, sources in crates.items():
        expected |= {f"{crate}/{source}" for source in (*sources, "Cargo.toml")}

    assert {name for name in members if EXAMPLES in name} == {
        f"{EXAMPLES}/{name}" for name in expected
    }


def test_no_test_and_no_cache_is_shipped(members: frozenset[str]) -> None:
    parts = {part for name in members for part in PurePosixPath(name).parts}

    assert parts.isdisjoint({"tests", "benchmarks", "screenshots", "__pycache__", "target"})


def test_the_rustc_wrapper_stays_executable(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        mode = archive.getinfo("buildperm/cargo/rustc-wrapper.sh").external_attr >> 16

    assert mode & 0o111 == 0o111


def test_the_source_distribution_holds_the_documents_and_no_links(distributions: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        entries = archive.getmembers()
    names = {entry.name.removeprefix("buildperm-0.1.0/") for entry in entries}

    assert not [entry.name for entry in entries if entry.issym()]
    assert {
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "HOW_IT_WORKS.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "docs/commands.md",
        "pyproject.toml",
        "buildperm/tracer/notation.py",
    } <= names


@pytest.mark.parametrize(("argument", "answer"), [("--version", "0.1.0"), ("--help", "learn")])
def test_the_command_works_from_a_fresh_environment(
    installed: Path, argument: str, answer: str
) -> None:
    ended = _run(installed, "buildperm", argument)

    assert ended.returncode == 0, ended.stderr
    assert answer in ended.stdout


def test_the_installed_package_is_the_one_that_runs(installed: Path) -> None:
    code = "import buildperm.tracer.notation as module; print(module.__file__)"
    ended = _run(installed, "python", "-c", code)

    assert Path(ended.stdout.strip()).is_relative_to(installed)


def _run(installed: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `program` of the environment, away from the tree and from this process's variables."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [installed / "bin" / program, *arguments],
        env=kept,
        cwd=installed,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
