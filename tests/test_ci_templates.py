"""The templates for GitHub and GitLab: their scripts are run, as the two would run them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.command import buildperm, environment, member
from tests.git_repository import commit, git
from tests.report.documents import CI_SCHEMA, JUNIT_SCHEMA, SARIF_VALIDATOR, parse_commands

ROOT = Path(__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in ACTION["runs"]["steps"]}
GITLAB: dict[str, Any] = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text("utf-8"))[".buildperm"]

# The shell of a step with `shell: bash`, as the documentation of workflows has it.
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]

HARMLESS = 'fn main() { println!("cargo::warning=##[add-mask]harmless"); }\n'
READS = 'fn main() { let _ = std::fs::read("../data.txt"); }\n'

_EXPRESSION = re.compile(
    r"\$\{\{ (?P<context>inputs|steps\.(?P<step>\w+)\.outputs)\.(?P<name>[\w-]+) \}\}"
)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of the action has left behind."""

    code: int
    said: str
    outputs: dict[str, str]
    summary: str


@pytest.fixture
def workspace(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a workspace with one build script in a Git repository."""

    def make(build: str) -> Path:
        folder = member(tmp_path / "repository/rust", build)
        (folder / "data.txt").write_text("data")
        subprocess.run(["git", "init", "--quiet", folder.parent], check=True, timeout=120)
        return folder

    return make


def step(
    name: str,
    workspace: Path,
    temporary: Path,
    said: Mapping[str, str],
    action: Path = ROOT,
    event: Mapping[str, str] | None = None,
) -> Step:
    """Run a step of the action as GitHub's runner does, in a copy of what it lends to one.

    Args:
        name: Its id.
        workspace: Where the job is.
        temporary: Folder for everything else.
        said: What the workflow says under `with`, and `command` for the output of the first step.
        action: Where the action was checked out to.
        event: Variables of the event that started the workflow.
    """
    inputs: dict[str, str] = {key: each["default"] for key, each in ACTION["inputs"].items()}
    assert set(said) <= {*inputs, "command"}

    def value(found: re.Match[str]) -> str:
        if found["step"]:
            assert (found["step"], found["name"]) == ("install", "command")
            return said["command"]
        return {**inputs, **said}[found["name"]]

    wanted = STEPS[name]
    temporary.mkdir(exist_ok=True)
    files = {key: temporary / key for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    variables = {key: _EXPRESSION.sub(value, text) for key, text in wanted.get("env", {}).items()}
    script = temporary / "step.sh"
    script.write_text(wanted["run"])
    assert wanted["shell"] == "bash"
    ended = subprocess.run(
        [*BASH, script],
        cwd=workspace / _EXPRESSION.sub(value, wanted.get("working-directory", ".")),
        env=environment(
            {
                **{key: str(file) for key, file in files.items()},
                **variables,
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(action),
                "GITHUB_WORKSPACE": str(workspace),
                "RUNNER_TEMP": str(temporary),
                **(event or {}),
            }
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=240,
    )
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    summary = files["GITHUB_STEP_SUMMARY"].read_text()
    return Step(ended.returncode, ended.stdout.decode(), outputs, summary)


def hold(
    workspace: Path, temporary: Path, event: Mapping[str, str] | None = None, /, **said: str
) -> Step:
    """Run the second step with the command of this environment."""
    command = str(Path(sysconfig.get_path("scripts")) / "buildperm")
    inputs = {key.replace("_", "-"): value for key, value in said.items()}
    return step("hold", workspace, temporary, {"command": command, **inputs}, event=event)


def heeded(said: str) -> list[str]:
    """Return the names of the commands that the runner obeys, without those that stop it."""
    names: list[str] = []
    token = ""
    for line in said.splitlines():
        for name, _, message in parse_commands(line):
            if token:
                token = "" if name == token else token
            elif name == "stop-commands":
                token = message
            else:
                names.append(name)
    assert not token, "the runner was never told to obey again"
    return names


def test_the_action_says_what_github_wants_to_know() -> None:
    assert {"name", "description", "inputs", "outputs", "runs"} <= set(ACTION)
    assert ACTION["runs"]["using"] == "composite"
    for name, each in {**ACTION["inputs"], **ACTION["outputs"]}.items():
        assert each["description"], name
    for each in ACTION["inputs"].values():
        assert isinstance(each["default"], str)  # A bare `true` would be a boolean.


def test_what_a_workflow_says_is_never_a_part_of_a_script() -> None:
    for name, each in STEPS.items():
        assert "${{" not in each["run"], name
        assert "uses" not in each, name  # Nothing that somebody else may change.
    told = {text for each in STEPS.values() for text in each.get("env", {}).values()}
    told |= {each["working-directory"] for each in STEPS.values() if "working-directory" in each}
    told |= {each["value"] for each in ACTION["outputs"].values()}
    names = {found["name"] for text in told if (found := _EXPRESSION.fullmatch(text))}
    assert len([text for text in told if _EXPRESSION.fullmatch(text)]) == len(told)
    assert set(ACTION["inputs"]) <= names  # Each of them is used.
    assert "${{" not in (ROOT / "ci/github.sh").read_text()


def test_the_scripts_stop_at_what_fails() -> None:
    script = (ROOT / "ci/github.sh").read_text()

    assert script.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in script
    subprocess.run(["bash", "-n", ROOT / "ci/github.sh"], check=True, timeout=120)
    for part in ("before_script", "script"):
        for lines in GITLAB[part]:
            subprocess.run(["sh", "-n"], input=lines, text=True, check=True, timeout=120)


@pytest.mark.slow
def test_the_first_step_installs_the_checkout_and_the_command_works(tmp_path: Path) -> None:
    """It is the real pip that installs a real copy of this tree, but without an index.

    What it would get from there is lent by this environment: the build backend, which is why it
    does not isolate the build, and the dependencies.
    """
    checkout = tmp_path / "action"
    leftovers = (
        ".git",
        ".venv",
        "build",
        "dist",
        "target",
        "*.egg-info",
        "__pycache__",
        ".*_cache",
    )
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=shutil.ignore_patterns(*leftovers))
    lent = {
        "PIP_NO_BUILD_ISOLATION": "0",  # Read as the value of what the option switches off.
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in lent.items():
            patched.setenv(name, value)
        done = step("install", tmp_path, tmp_path / "runner temp", {}, checkout)
        assert done.code == 0, done.said
        command = Path(done.outputs["command"])
        said = subprocess.run(
            [command.parent / "python", "-c", "import buildperm; print(buildperm.__file__)"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )

    assert re.search(r"^buildperm \d+\.\d+\.\d+", done.said, re.MULTILINE)
    assert command.is_relative_to(tmp_path / "runner temp")
    assert Path(said.stdout.strip()).is_relative_to(command.parent.parent)


def test_the_first_step_says_what_is_missing_where_no_python_will_do(tmp_path: Path) -> None:
    programs = Path(without_buildperm(tmp_path / "bin", "bash", "uname", "env", "mktemp"))
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")  # One that is too old.
    (programs / "python3").chmod(0o755)

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", str(programs))
        done = step("install", tmp_path, tmp_path / "runner", {})

    assert done.code == 2
    assert heeded(done.said) == ["error"]
    assert "no Python 3.11 or newer" in done.said


def test_a_workspace_that_keeps_to_its_grants_passes(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = workspace(HARMLESS)
    learned = buildperm("learn", "--no-tui", folder=folder)
    assert learned.returncode == 0, learned.stderr

    done = hold(
        folder.parent,
        tmp_path / "runner",
        working_directory="rust",
        args="build --release --config 'profile.release.debug = 1'",
        junit="made.xml",
    )

    assert done.code == 0, done.said
    assert heeded(done.said) == []
    assert "%23%23[add-mask]harmless" in done.said  # Said by the script, and obeyed by nobody.
    assert "Finished `release` profile [optimized + debuginfo]" in done.said
    log = json.loads(Path(done.outputs["sarif"]).read_text())
    SARIF_VALIDATOR.validate(log)
    assert log["runs"][0]["results"] == []
    report = json.loads(Path(done.outputs["json"]).read_text())
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    assert (report["exit"], report["cargo_exit"]) == (0, 0)
    JUNIT_SCHEMA.validate((folder / "made.xml").read_text())
    assert done.summary.count("## buildperm: `rust`") == 1
    assert "Nothing to report." in done.summary


def test_what_is_refused_fails_the_step_with_annotations_and_reports(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = workspace(READS)

    done = hold(folder, tmp_path / "runner", require_reviewed="false", sarif="made.sarif")

    assert done.code == 20, done.said
    assert heeded(done.said) == ["error"]
    (annotation,) = (each for each in parse_commands(done.said) if each[0] == "error")
    assert annotation[1]["file"] == "rust/Cargo.toml"
    assert Path(done.outputs["sarif"]) == folder / "made.sarif"
    SARIF_VALIDATOR.validate(json.loads((folder / "made.sarif").read_text()))
    assert json.loads(Path(done.outputs["json"]).read_text())["exit"] == 20
    assert " read     $WORKSPACE/data.txt" in done.summary
    assert "buildperm review --from" in done.said


@pytest.mark.slow
def test_what_is_not_reviewed_is_not_built(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = workspace(READS)
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=folder, check=True, timeout=60)

    done = hold(folder, tmp_path / "runner")

    assert done.code == 21, done.said
    assert heeded(done.said) == ["error"]
    assert not list(folder.glob("target/**/build-script-build"))
    log = json.loads(Path(done.outputs["sarif"]).read_text())
    SARIF_VALIDATOR.validate(log)
    assert [each["ruleId"] for each in log["runs"][0]["results"]] == ["buildperm/not-reviewed"]
    assert "buildperm/not-reviewed" in done.summary


@pytest.mark.slow
def test_with_warn_only_cargo_fails_the_step(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = workspace(READS)

    done = hold(folder, tmp_path / "runner", warn="true")

    assert done.code == 0, done.said
    assert heeded(done.said) == ["warning", "warning"]  # Refused, and never reviewed.
    assert len(json.loads(Path(done.outputs["sarif"]).read_text())["runs"][0]["results"]) == 2


@pytest.mark.slow
def test_a_build_that_fails_of_its_own_keeps_cargos_code_and_its_reports(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = workspace(HARMLESS)
    (folder / "sample/src/lib.rs").write_text("this is no Rust")

    done = hold(folder, tmp_path / "runner", require_reviewed="false")

    assert done.code == 101, done.said
    assert json.loads(Path(done.outputs["json"]).read_text())["cargo_exit"] == 101


@pytest.mark.slow
def test_a_grant_that_nothing_uses_fails_the_step_where_that_is_asked_for(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = workspace(HARMLESS)
    with (folder / "Cargo.toml").open("a") as file:
        file.write(
            "[workspace.metadata.buildperm]\nversion = 1\n"
            '[workspace.metadata.buildperm.crates.sample]\nexec = ["perl"]\n'
        )

    done = hold(folder, tmp_path / "runner", require_reviewed="false", deny_unused="true")

    assert done.code == 22, done.said
    assert heeded(done.said) == ["error"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"warn": "yes"}, "the input warn must be `true` or `false`, not `yes`"),
        ({"deny_unused": "a\n::set-output name=x::y"}, "the input deny_unused must be"),
        ({"args": "build '--release"}, "a quote that is not closed"),
        ({"sarif": "x\ncommand=/bin/false"}, "one printable line"),
        ({"junit": "x\x1b[31m"}, "one printable line"),
        ({"json": "none/x.json"}, "cannot write the report"),
        ({"args": "build --target-dir elsewhere"}, "cannot be chosen"),
        ({"against": ""}, "the input against must be"),
        ({"against": "--output=x"}, "the input against must be"),
        ({"against": "nope"}, "no such commit"),
        ({"allow_wider": "y", "against": "HEAD"}, "the input allow_wider must be"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.quick(1)
def test_inputs_that_mean_nothing_stop_the_step_before_it_builds(
    workspace: Callable[[str], Path], tmp_path: Path, said: dict[str, str], message: str
) -> None:
    folder = workspace(READS)

    done = hold(folder, tmp_path / "runner", **{"require_reviewed": "false", **said})

    assert done.code == 2, done.said
    assert message in done.said
    assert set(heeded(done.said)) <= {"error"}
    assert done.outputs == {}
    assert not list(folder.glob("target/**/build-script-build"))


@pytest.mark.parametrize("word", ["$(touch planted)", "`touch planted`", "; touch planted", "*"])
@pytest.mark.quick(1)
def test_no_input_is_expanded(workspace: Callable[[str], Path], tmp_path: Path, word: str) -> None:
    folder = workspace(READS)

    done = hold(folder, tmp_path / "runner", require_reviewed="false", args=f"build {word}")

    assert done.code != 0, done.said
    assert "planted" not in os.listdir(folder)
    assert f"unexpected argument '{word.split()[0].replace(';', ';')}'" in done.said


MODULES = ("shlex", "ensurepip", "venv", "pip", "runpy", "sysconfig", "signal")


def plant(folder: Path) -> None:
    """Put modules of Python's names into a checkout, as a pull request may."""
    for name in MODULES:
        (folder / f"{name}.py").write_text("open('planted', 'w').close()\n")


@pytest.mark.slow
def test_no_module_of_the_checkout_is_run(workspace: Callable[[str], Path], tmp_path: Path) -> None:
    folder = workspace(HARMLESS)
    plant(folder)
    plant(folder.parent)
    plant(tmp_path)
    action = tmp_path / "action"  # With nothing to install: pip says so, once it is started.
    shutil.copytree(ROOT / "ci", action / "ci")

    path = without_buildperm(tmp_path / "bin", "sh", "mktemp")
    (tmp_path / "bin/python3").symlink_to(os.path.realpath(sys.executable))

    held = hold(folder, tmp_path / "runner", require_reviewed="false")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PIP_NO_INDEX", "1")
        installed = step("install", folder.parent, tmp_path / "second", {}, action)
        job = gitlab(folder, tmp_path, PATH=path, BUILDPERM_SOURCE=str(action))

    assert held.code == 0, held.said
    assert "pyproject.toml" in installed.said, installed.said
    assert "pyproject.toml" in job.stderr, job.stderr
    assert not list(tmp_path.rglob("planted"))


@pytest.fixture
def pull_request(workspace: Callable[[str], Path], tmp_path: Path) -> Path:
    """Make a pull request that grants to itself what its build script does; return a clone of it.

    It is as shallow as actions/checkout leaves it, and says to be reviewed.
    """
    origin = workspace(HARMLESS)
    (origin / ".gitignore").write_text("target\n")
    assert buildperm("learn", "--no-tui", folder=origin).returncode == 0
    git(origin, "checkout", "--quiet", "-b", "main")
    commit(origin)
    git(origin, "checkout", "--quiet", "-b", "request")
    (origin / "sample/build.rs").write_text(READS)
    learned = buildperm("review", "--no-tui", "--accept", "medium", folder=origin)
    assert learned.returncode == 0, learned.stderr
    commit(origin)
    clone = tmp_path / "clone"
    url = origin.parent.as_uri()
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=request", url, str(clone))
    return clone


REQUEST = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_BASE_REF": "main"}


@pytest.mark.slow
def test_a_pull_request_is_compared_with_its_base_without_being_asked(
    pull_request: Path, tmp_path: Path
) -> None:
    inputs = {"working_directory": "rust"}

    pushed = hold(pull_request, tmp_path / "pushed", **inputs)
    shutil.rmtree(pull_request / "rust/target")
    stopped = hold(pull_request, tmp_path / "stopped", REQUEST, **inputs)
    nothing_built = not list(pull_request.glob("rust/target/**/build-script-build"))
    allowed = hold(pull_request, tmp_path / "allowed", REQUEST, allow_wider="true", **inputs)
    off = hold(pull_request, tmp_path / "off", REQUEST, against="off", **inputs)

    assert pushed.code == 0, pushed.said
    assert stopped.code == 21, stopped.said
    assert nothing_built
    assert heeded(stopped.said) == ["error", "notice"]
    assert "wider: sample may read" in stopped.summary
    assert json.loads(Path(stopped.outputs["json"]).read_text())["exit"] == 21
    assert allowed.code == 0, allowed.said
    assert heeded(allowed.said) == ["warning", "notice"]
    assert off.code == 0, off.said
    assert "wider" not in off.said


@pytest.mark.slow
def test_a_base_that_cannot_be_fetched_stops_the_step(pull_request: Path, tmp_path: Path) -> None:
    for branch in ("gone", "-x", "$(touch planted)", ""):
        done = hold(
            pull_request,
            tmp_path / "runner",
            {**REQUEST, "GITHUB_BASE_REF": branch},
            working_directory="rust",
        )

        assert done.code == 2, done.said
        assert heeded(done.said) == ["error"]
        assert ("fetch-depth: 0" if branch else "no base branch") in done.said
    assert not list(pull_request.glob("**/planted"))


@pytest.mark.slow
def test_a_checkout_with_history_needs_no_second_fetch(pull_request: Path, tmp_path: Path) -> None:
    git(
        pull_request,
        "fetch",
        "--quiet",
        "--unshallow",
        "origin",
        "+refs/heads/*:refs/remotes/origin/*",
    )
    git(pull_request, "remote", "set-url", "origin", "file:///nonexistent")

    done = hold(pull_request, tmp_path / "runner", REQUEST, working_directory="rust")

    assert done.code == 21, done.said
    assert "wider: sample may read" in done.said
    assert "this clone is shallow" not in done.said


@pytest.mark.slow
def test_a_merge_request_is_compared_with_its_base_without_being_asked(
    pull_request: Path, tmp_path: Path
) -> None:
    origin = tmp_path / "repository"
    base = git(origin, "rev-parse", "main")
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")  # As GitLab has it.
    options = {"BUILDPERM_FOLDER": "rust", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}

    stopped = gitlab(pull_request, tmp_path, **options)
    nothing_built = not (pull_request / "rust/target").exists()
    allowed = gitlab(
        pull_request,
        tmp_path,
        **options,
        BUILDPERM_OPTIONS="--require-reviewed --allow-wider",
    )
    off = gitlab(pull_request, tmp_path, **options, BUILDPERM_AGAINST="off")
    lost = gitlab(
        pull_request, tmp_path, BUILDPERM_FOLDER="rust", CI_MERGE_REQUEST_DIFF_BASE_SHA="0" * 40
    )

    unnamed = gitlab(pull_request, tmp_path, CI_PIPELINE_SOURCE="merge_request_event")

    assert stopped.returncode == 21, stopped.stdout + stopped.stderr
    assert nothing_built
    assert "wider: sample may read" in stopped.stdout
    assert unnamed.returncode == 2
    assert GITLAB["rules"][0] == {"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}
    JUNIT_SCHEMA.validate((pull_request / "buildperm.xml").read_text())
    assert allowed.returncode == 0, allowed.stderr
    assert off.returncode == 0, off.stderr
    assert lost.returncode == 2, lost.stderr
    assert "GIT_DEPTH" in lost.stderr


def gitlab(folder: Path, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the job of GitLab's template as its runner does: all lines in one shell."""
    lines = "\n".join(["set -e", *GITLAB["before_script"], *GITLAB["script"]])
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", lines],
        cwd=tmp_path,
        env=environment(
            {**GITLAB["variables"], "CI_PROJECT_DIR": str(folder), "PATH": path, **variables}
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_the_job_of_gitlab_keeps_the_reports_that_it_writes(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    repository = workspace(READS).parent

    done = gitlab(repository, tmp_path, BUILDPERM_FOLDER="rust", BUILDPERM_OPTIONS="")

    assert done.returncode == 20, done.stderr
    kept = GITLAB["artifacts"]
    assert kept["when"] == "always"  # Those of a job that failed are the ones that matter.
    JUNIT_SCHEMA.validate((repository / kept["reports"]["junit"]).read_text())
    (path,) = kept["paths"]
    report = json.loads((repository / path).read_text())
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(report)
    assert report["exit"] == 20


@pytest.mark.slow
def test_the_job_of_gitlab_passes_where_everything_is_granted_and_reviewed(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = workspace(HARMLESS)
    learned = buildperm("learn", "--no-tui", folder=folder)
    assert learned.returncode == 0, learned.stderr

    done = gitlab(folder, tmp_path, BUILDPERM_ARGS="build  --release")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "release" in done.stderr + done.stdout
    assert json.loads((folder / "buildperm.json").read_text())["exit"] == 0


@pytest.mark.slow
def test_the_job_of_gitlab_builds_nothing_that_is_not_reviewed(
    workspace: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = workspace(READS)
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=folder, check=True, timeout=60)

    done = gitlab(folder, tmp_path)

    assert done.returncode == 21, done.stdout + done.stderr
    assert not list(folder.glob("target/**/build-script-build"))
    JUNIT_SCHEMA.validate((folder / "buildperm.xml").read_text())
    warned = gitlab(folder, tmp_path, BUILDPERM_OPTIONS="--require-reviewed --warn")
    assert warned.returncode == 0, warned.stderr


def without_buildperm(folder: Path, *names: str) -> str:
    """Make a folder of only these programs; return it as a PATH."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return str(folder)


def test_the_job_of_gitlab_asks_where_buildperm_comes_from(tmp_path: Path) -> None:
    done = gitlab(tmp_path, tmp_path, PATH=without_buildperm(tmp_path / "bin", "sh", "python3"))

    assert done.returncode == 2
    assert "BUILDPERM_SOURCE" in done.stderr


def test_the_job_of_gitlab_installs_what_it_is_told_and_nothing_else(tmp_path: Path) -> None:
    """Python and so pip are a stub here, which notes what it is asked for: pip needs an index."""
    path = without_buildperm(tmp_path / "bin", "sh", "mkdir", "mktemp", "cp")
    notes = tmp_path / "notes"
    stub = tmp_path / "bin/python3"
    stub.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$*" >>"{notes}"\n'
        'if [ "$3" = venv ]; then mkdir "$4/bin"; cp "$0" "$4/bin/python"\n'
        'elif [ "$3" = pip ]; then cp "$0" "${0%/*}/buildperm"; fi\n'
    )
    stub.chmod(0o755)
    source = "git+https://example.org/a b/buildperm@0123456; exit 9"

    done = gitlab(tmp_path, tmp_path, PATH=path, TMPDIR=str(tmp_path), BUILDPERM_SOURCE=source)

    asked = notes.read_text().splitlines()
    assert asked[0] == "-P -c import ensurepip, venv"
    assert asked[1].startswith(f"-P -m venv {tmp_path}/")
    assert asked[2] == f"-P -m pip install -q --disable-pip-version-check {source}"
    assert asked[3] == "--version"
    assert asked[4].startswith("check --report=json=")
    assert asked[5].startswith("ci --report=json=")
    assert asked[5].endswith(" --require-reviewed --")
    assert len(asked) == 6
    assert done.returncode == 0, done.stderr


_LOGS = """#!/bin/sh
echo "$1 $2 ${3:-} key=${BUILDPERM_CACHE_KEY:-none}" >>"$LOG"
exit "${FAILS:-0}"
"""


def logging(folder: Path, monkeypatch: pytest.MonkeyPatch, fails: str = "0") -> Path:
    """Make a command that only notes how it was called; return the folder that it lies in."""
    programs = folder / "logging"
    programs.mkdir()
    (programs / "buildperm").write_text(_LOGS)
    (programs / "buildperm").chmod(0o755)
    (programs / "python").symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setenv("LOG", str(folder / "log"))
    monkeypatch.setenv("FAILS", fails)
    return programs


_PUSHES = {"GITHUB_EVENT_NAME": "push", "GITHUB_REF_PROTECTED": "true"}


@pytest.mark.parametrize(
    ("event", "cache", "called"),
    [
        (_PUSHES, "push", ["cache pull", "cache push"]),
        (_PUSHES, "pull", ["cache pull"]),
        (_PUSHES | {"GITHUB_REF_PROTECTED": "false"}, "push", ["cache pull"]),
        (_PUSHES | {"GITHUB_EVENT_NAME": "pull_request"}, "push", ["cache pull"]),
        (_PUSHES | {"GITHUB_EVENT_NAME": "pull_request_target"}, "push", ["cache pull"]),
        ({}, "push", ["cache pull"]),
        (_PUSHES, "off", []),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_only_protected_branches_push_results(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    event: Mapping[str, str],
    cache: str,
    called: list[str],
) -> None:
    command = str(logging(tmp_path, monkeypatch) / "buildperm")
    said = {"command": command, "cache": cache, "cache-key": "secret"}
    nothing = {"GITHUB_EVENT_NAME": "", "GITHUB_REF_PROTECTED": ""}

    for name in ("pull", "push"):
        done = step(name, tmp_path, tmp_path / name, said, event={**nothing, **event})
        assert done.code == 0, done.said

    log = tmp_path / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    assert [line.partition(" --")[0] for line in lines] == called
    assert [line.rpartition("key=")[2] for line in lines] == ["none", "secret"][: len(called)]


def test_a_store_that_does_not_answer_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = str(logging(tmp_path, monkeypatch, fails="2") / "buildperm")

    done = step("pull", tmp_path, tmp_path / "pull", {"command": command, "cache": "pull"})

    assert done.code == 0
    assert heeded(done.said) == ["warning"]


def test_a_word_for_the_cache_that_means_nothing_stops_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = str(logging(tmp_path, monkeypatch) / "buildperm")

    for name in ("pull", "hold", "push"):
        said = {"command": command, "cache": "yes", "require-reviewed": "false"}
        done = step(name, tmp_path, tmp_path / name, said)
        assert done.code == 2, done.said
        assert "the input cache must be" in done.said

    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("variables", "pushes"),
    [
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_REF_PROTECTED": "true"}, True),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_REF_PROTECTED": "false"}, False),
        ({"CI_PIPELINE_SOURCE": "merge_request_event", "CI_COMMIT_REF_PROTECTED": "true"}, False),
    ],
    ids=["protected", "not protected", "merge request"],
)
def test_only_protected_branches_push_results_on_gitlab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], pushes: bool
) -> None:
    programs = logging(tmp_path, monkeypatch)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    done = gitlab(
        tmp_path,
        tmp_path,
        **variables,
        PATH=path,
        BUILDPERM_CACHE="push",
        BUILDPERM_CACHE_KEY="secret",
        BUILDPERM_AGAINST="off",
        BUILDPERM_OPTIONS="",
    )

    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "log").read_text().splitlines()
    called = [" ".join(line.split(" ")[:2]) for line in lines]
    assert called[1:2] == ["cache pull"]
    assert called[2].startswith("ci ")
    assert called[3:] == (["cache push"] if pushes else [])
    keys = [line.rpartition("key=")[2] for line in lines[1:]]  # The first asks for the version.
    assert keys == ["none", "none", "secret"][: len(keys)]
