"""`buildperm doctor`: what it says on this machine, and on one that lacks something."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import sysconfig
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from buildperm.errors import ExitCode
from buildperm.report.diagnosis import Diagnosis, Requirement, RuntimeDiagnosis
from buildperm.sandbox.canaries import Proof
from buildperm.sandbox.canary import CANARIES
from buildperm.sandbox.machine import ProbeResults
from buildperm.sandbox.machine_facts import MachineFacts
from buildperm.supervisor import landlock
from tests.command import buildperm, environment, is_orderly, member
from tests.programs import CHILDREN

ROOT = Path(__file__).parents[2]
REFUSE_CALL = str(CHILDREN / "refuse_call.py")
SCHEMA = json.loads((resources.files("buildperm.report") / "doctor.schema.json").read_text())
SYSTEM_PYTHON = Path("/usr/bin/python3")
OTHER_UID = "2000"
NO_NAMESPACES = (  # Of this namespace none can be made any more: namespaces(7).
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
)

pytestmark = pytest.mark.skipif(landlock.abi() < 1, reason="this kernel has no Landlock")


def _document(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ended.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["exit"] == ended.returncode
    return document


def _canaries(document: dict[str, Any], runtime: str = "portable") -> dict[str, str]:
    (found,) = (one for one in document["runtimes"] if one["name"] == runtime)
    return {each["id"]: each["status"] for each in found["canaries"]}


def test_it_says_line_by_line_what_is_enforced(tmp_path: Path) -> None:
    ended = buildperm("doctor", folder=tmp_path)

    assert ended.returncode == ExitCode.OK, ended.stderr
    assert ended.stderr == ""
    assert is_orderly(ended.stdout)
    lines = ended.stdout.splitlines()
    for words in (
        "✓ refused: read a file outside (EACCES)",
        "○ open: see that a file outside exists, and how big",
        "✓ refused: have the compiler read a file outside",
        "✓ refused: read a file outside, in a procedural macro",
        "✓ works: use a procedural macro",
        "✓ refused: do any of this without being recorded",
        "✓ works: make, write, empty and remove files in OUT_DIR",
    ):
        assert f"    {words}" in lines
    assert "Compiling: held; macros run in processes of their own (layout 1), tested" in lines
    assert lines[0].startswith("Builds use the runtime `")
    assert lines[0].endswith("` here, and it holds what it promises.")
    has_full = any(line.startswith("Runtime full: Landlock") for line in lines)
    stronger = "`full` holds here, too, and leaves less open: "
    assert lines[1].startswith(stronger) is has_full
    (tmp_path / "Cargo.toml").write_text(
        '[workspace]\n[workspace.metadata.buildperm]\nversion = 1\nruntime = "auto"\n'
    )
    asked = buildperm("doctor", folder=tmp_path)
    assert asked.returncode == ExitCode.OK, asked.stdout + asked.stderr
    assert stronger not in asked.stdout


def test_the_document_follows_its_schema_and_names_every_canary(tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = _document(buildperm("doctor", "--format", "json", folder=tmp_path))

    assert list(_canaries(document)) == [each.id for each in CANARIES]
    assert "broken" not in _canaries(document).values()
    assert document["required"] == {
        "weakest": "portable",
        "wanted": "portable",
        "chosen": "portable",
        "declared": False,
        "met": True,
        "reason": "",
    }
    compiling = document["compiling"]
    assert (compiling["available"], compiling["macros"]) == (True, "outside")
    assert [(each["id"], each["status"], each["recorded"]) for each in compiling["canaries"]] == [
        ("compile-read", "enforced", True),
        ("macro-read", "enforced", True),
        ("macro-run", "works", None),
    ]
    assert document["machine"]["user_notification"] is True
    assert document["machine"]["c_compiler"] == "cc"
    assert document["machine"]["kernel"] == os.uname().release


@pytest.mark.slow
def test_an_older_landlock_is_named_by_what_it_lets_pass(tmp_path: Path) -> None:
    if landlock.abi() < 6:
        pytest.skip("this kernel has no Landlock ABI 6")
    useless = tmp_path / "bin/bwrap"  # The real one would hold these, too.
    useless.parent.mkdir()
    useless.write_text("#!/bin/sh\nexit 1\n")
    useless.chmod(0o755)
    ended = buildperm(
        *("doctor", "--format", "json", "--landlock-abi", "2"),
        folder=tmp_path,
        extra={"PATH": f"{useless.parent}:{os.environ['PATH']}"},
    )

    document = _document(ended)
    assert document["exit"] == 0
    lacks = {lack["what"]: lack for lack in document["lacks"]}
    assert "end your other process" in lacks["Landlock ABI 6"]["possible"]
    assert lacks["Landlock ABI 6"]["remedy"] == "Use Linux 6.12 or newer."
    assert _canaries(document)["file-truncate"] == "open"
    assert _canaries(document)["file-read"] == "enforced"


@pytest.mark.parametrize(
    ("call", "number", "lack", "said"),
    [
        ("landlock_create_ruleset", "ENOSYS", "Landlock", "offers no Landlock"),
        ("landlock_create_ruleset", "EOPNOTSUPP", "Landlock", "offers no Landlock"),
        ("ptrace", "EPERM", "ptrace", "ptrace is refused"),
        ("seccomp", "EINVAL", "seccomp filters", "seccomp filters are refused"),
    ],
)
@pytest.mark.quick(1)
def test_what_is_missing_is_told_with_what_follows_from_it(
    tmp_path: Path, call: str, number: str, lack: str, said: str
) -> None:
    launcher = (sys.executable, REFUSE_CALL, call, number)
    ended = buildperm("doctor", "--format", "json", folder=tmp_path, launcher=launcher)

    assert ended.returncode == ExitCode.CANNOT_ENFORCE
    assert said in ended.stderr
    assert "hint: " in ended.stderr
    document = _document(ended)
    assert not document["required"]["met"]
    (found,) = (one for one in document["lacks"] if one["what"] == lack)
    assert found["stops"]
    assert found["possible"]
    assert found["remedy"].endswith(".")
    assert not any(one["available"] for one in document["runtimes"])


@pytest.mark.slow
def test_what_is_missing_is_told_in_words_too(tmp_path: Path) -> None:
    launcher = (sys.executable, REFUSE_CALL, "ptrace", "EPERM")
    ended = buildperm("doctor", folder=tmp_path, launcher=launcher)

    assert ended.returncode == ExitCode.CANNOT_ENFORCE
    assert is_orderly(ended.stdout + ended.stderr)
    assert "--cap-add SYS_PTRACE" in ended.stdout
    assert "do anything without being recorded" in ended.stdout
    assert "is NOT met" in ended.stdout


def test_a_command_that_cannot_hold_anything_points_here(tmp_path: Path) -> None:
    launcher = (sys.executable, REFUSE_CALL, "ptrace", "EPERM")
    workspace = member(tmp_path / "workspace", "fn main() {}\n")

    ended = buildperm("ci", folder=workspace, launcher=launcher)
    own = buildperm("doctor", folder=workspace, launcher=launcher)

    assert ended.returncode == own.returncode == ExitCode.CANNOT_ENFORCE
    assert "`buildperm doctor` tells what this machine can hold" in ended.stderr
    assert "`buildperm doctor`" not in own.stderr


@pytest.mark.slow
def test_in_a_workspace_it_says_whether_what_is_required_is_met(tmp_path: Path) -> None:
    workspace = member(tmp_path / "workspace", "fn main() {}\n")
    manifest = workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text()
        + '\n[workspace.metadata.buildperm]\nversion = 1\nrequire = "portable"\n'
    )
    inside = workspace / "sample/src"

    met = buildperm("doctor", folder=inside)
    unmet = buildperm("doctor", "--landlock-abi", "0", folder=inside)

    assert met.returncode == ExitCode.OK
    verdict = met.stdout.partition("\n")[0]
    assert verdict.endswith("what this workspace requires (`portable`) is met.")
    assert unmet.returncode == ExitCode.CANNOT_ENFORCE
    assert "What this workspace requires (`portable`) is NOT met" in unmet.stdout
    assert "offers no Landlock" in unmet.stderr


@pytest.mark.slow
def test_a_runtime_that_is_not_there_is_not_enforced(tmp_path: Path) -> None:
    workspace = member(tmp_path / "workspace", "fn main() {}\n")
    manifest = workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text() + '\n[workspace.metadata.buildperm]\nversion = 1\nrequire = "full"\n'
    )
    ended = buildperm("doctor", "--format", "json", folder=workspace)

    document = _document(ended)
    here = [one["name"] for one in document["runtimes"] if one["available"]]
    assert document["required"]["weakest"] == "full"
    assert document["required"]["met"] is ("full" in here)
    assert bool(ended.stderr) is ("full" not in here)


@pytest.mark.slow
def test_without_user_namespaces_the_weaker_runtime_is_used(tmp_path: Path) -> None:
    if subprocess.run([*NO_NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user has no user namespaces to take away")
    workspace = member(tmp_path / "workspace", "fn main() {}\n")
    here = _document(buildperm("doctor", "--format", "json", folder=workspace))
    ended = buildperm("doctor", "--format", "json", folder=workspace, launcher=NO_NAMESPACES)

    document = _document(ended)
    assert not document["machine"]["user_namespaces"]
    assert document["required"]["chosen"] == "portable"
    assert document["exit"] == 0
    if here["required"]["chosen"] == "full":
        (lack,) = (one for one in document["lacks"] if one["what"] == "the runtime `full`")
        assert "see that a file outside exists, and how big" in lack["possible"]
        assert lack["remedy"]
        assert not lack["stops"]


@pytest.mark.slow
def test_it_says_where_granted_hosts_cannot_be_reached(tmp_path: Path) -> None:
    launcher = (sys.executable, REFUSE_CALL, "pidfd_getfd", "EPERM")

    document = _document(
        buildperm("doctor", "--format", "json", folder=tmp_path, launcher=launcher)
    )

    assert document["machine"]["hosts"] is False
    (lack,) = (
        one for one in document["lacks"] if one["what"] == "an egress proxy to granted hosts"
    )
    assert "pidfd_getfd" in lack["remedy"]
    assert document["exit"] == 0
    assert _document(buildperm("doctor", "--format", "json", folder=tmp_path))["machine"]["hosts"]


@pytest.mark.slow
def test_without_a_c_compiler_compiling_is_not_held(tmp_path: Path) -> None:
    workspace = member(tmp_path / "workspace", "fn main() {}\n")
    chain = subprocess.run(
        ["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True
    )
    alone = {"PATH": f"{chain.stdout.strip()}/bin"}
    by_default = buildperm("doctor", "--format", "json", folder=workspace, extra=alone)
    manifest = workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text() + '\n[workspace.metadata.buildperm]\nversion = 1\ncompile = "hold"\n'
    )
    asked = buildperm("doctor", "--format", "json", folder=workspace, extra=alone)

    document = _document(by_default)
    assert document["exit"] == 0
    assert document["compiling"]["reason"].startswith("there is no C compiler")
    (lack,) = (one for one in document["lacks"] if one["what"].startswith("holding compilers"))
    assert "Install a C compiler" in lack["remedy"]
    assert _document(asked)["exit"] == ExitCode.CANNOT_ENFORCE
    assert 'compile = "hold"` cannot be done: there is no C compiler' in asked.stderr


def test_grants_that_cannot_be_read_are_an_error_of_their_own(tmp_path: Path) -> None:
    workspace = member(tmp_path / "workspace", "fn main() {}\n")
    manifest = workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text() + "\n[workspace.metadata.buildperm]\nversion = 1\nrequires = 1\n"
    )
    ended = buildperm("doctor", folder=workspace)

    assert ended.returncode == ExitCode.USAGE
    assert "`require`" in ended.stderr


def test_it_works_where_there_is_no_cargo(tmp_path: Path) -> None:
    ended = buildperm("doctor", "--format", "json", folder=tmp_path, extra={"PATH": str(tmp_path)})

    document = _document(ended)
    assert document["exit"] == 0
    assert document["machine"]["cargo"] is None
    assert document["machine"]["bubblewrap"] is None
    assert document["machine"]["c_compiler"] is None
    assert document["compiling"]["available"] is False
    assert "no rustc" in document["compiling"]["reason"]


def test_a_report_tells_nothing_about_who_made_it(tmp_path: Path) -> None:
    workspace = member(tmp_path / "topsecret", "fn main() {}\n")
    planted = {
        "HOME": str(tmp_path / "zaphod"),
        "USER": "zaphod",
        "LOGNAME": "zaphod",
        "HOSTNAME": "heartofgold",
        "GITHUB_TOKEN": "ghp_abcdefghij",
        "ORDINARY": "plain-value-1",
        "KUBERNETES_SERVICE_HOST": "10.1.2.3",
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
        "CARGO_HOME": os.environ.get("CARGO_HOME", str(Path.home() / ".cargo")),
        "XDG_CACHE_HOME": str(Path.home() / ".cache"),  # The C programs are there already.
    }
    for words in ((), ("--landlock-abi", "0")):
        ended = buildperm("doctor", "--report", *words, folder=workspace, extra=planted)

        said = ended.stdout
        begin, verdict, table = said.split("\n\n")[:3]
        assert begin == "<details><summary>buildperm doctor</summary>"
        expected = "What this workspace requires" if words else "Builds use the runtime"
        assert verdict.startswith(expected), verdict
        assert table.startswith("| fact | value |")
        assert said.endswith("</details>\n")
        assert "| container |" in said
        assert "kubernetes" in said
        for secret in (
            *("zaphod", "topsecret", "heartofgold", "ghp_", "plain-value", "10.1.2.3"),
            *(str(tmp_path), str(ROOT), str(Path.home()), os.environ["PATH"]),
        ):
            assert secret not in said, secret
        name = os.uname().nodename
        assert len(name) < 3 or name not in said.split()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "nameless"  # As in a container, where nobody has written this user down.


def test_a_message_with_names_in_it_is_told_without_them() -> None:
    diagnosis = _broken(f"mkdir: /home/zaphod/x: no space; {_user()}@gold, 'a b' 6.1")

    clean = diagnosis.anonymous([_user(), "gold", "", "a b", "/home/zaphod"])

    (one,) = clean.runtimes
    for text in (one.unavailable, one.reason, clean.required.reason, one.proof.failure):  # type: ignore[union-attr]  # it has one
        assert "zaphod" not in text
        assert "gold" not in text
        assert _user() not in text
        assert "6.1" in text
    assert clean.surroundings.kernel == "6.1-[...]"


def test_a_report_has_no_other_format(tmp_path: Path) -> None:
    ended = buildperm("doctor", "--report", "--format", "json", folder=tmp_path)

    assert ended.returncode == ExitCode.USAGE
    assert "hint: " in ended.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="this user is no other one's master (root)")
def test_it_holds_for_another_user_as_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    packages = sysconfig.get_path("purelib")
    lent = environment({"PYTHONPATH": f"{ROOT}{os.pathsep}{packages}", "HOME": "/nowhere"})
    ids = ["--reuid", OTHER_UID, "--regid", OTHER_UID, "--clear-groups"]
    command = ["setpriv", *ids, str(SYSTEM_PYTHON), "-m", "buildperm", "doctor"]
    starts = subprocess.run(
        [*command, "--help"], cwd="/", env=lent, capture_output=True, check=False
    )
    if starts.returncode != 0:
        pytest.skip("this machine has no Python that another user may run")
    ended = subprocess.run(
        [*command, "--format", "json"],
        cwd="/",
        env=lent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    document = _document(ended)
    assert document["exit"] == 0, ended.stderr
    assert not document["machine"]["root"]
    assert "broken" not in _canaries(document).values()
    (found,) = (one for one in document["runtimes"] if one["name"] == "portable")
    alone = {each["id"]: each["without"] for each in found["canaries"]}
    assert alone["file-read"] == alone["process-signal"] == alone["daemon"] == "allowed"


@pytest.mark.slow
def test_what_security_says_of_older_kernels_is_what_happens() -> None:
    if landlock.abi() < landlock.NEWEST:
        pytest.skip(f"this kernel has no Landlock ABI {landlock.NEWEST}")
    made = subprocess.run(
        [sys.executable, ROOT / "benchmarks/degradation.py"],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    if "absent" in made.stdout:
        pytest.skip("this machine has no such thing as one of the canaries tries")
    written = (ROOT / "SECURITY.md").read_text()

    for part in made.stdout.strip().split("\n\n"):
        assert part in written, "run `make degradation`"


def _broken(message: str) -> Diagnosis:
    facts = ProbeResults("6.1-zaphod", "x86_64", 0, 0, 0, "", message)
    return Diagnosis(
        surroundings=MachineFacts(
            facts=facts,
            kernel=f"6.1-{_user()}",
            landlock_errata=(),
            hosts="",
            user_namespaces="",
            bubblewrap="",
            containers=(),
            is_root=False,
            python="3.11.7",
            c_compiler="",
            shell="",
        ),
        cargo="",
        rustc="",
        runtimes=(RuntimeDiagnosis("portable", message, Proof("portable", 7, (), message), ()),),
        required=Requirement("portable", "auto", "", False, message),
        exit_code=ExitCode.CANNOT_ENFORCE,
    )
