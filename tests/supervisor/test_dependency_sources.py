"""Headers that a published crate hands over to its dependents, and what it cannot hand over."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from buildperm.policy.fold import fold
from buildperm.sandbox.machine import bubblewrap
from buildperm.supervisor.dependency_sources import handed_over, variables_of
from buildperm.tracer.recording import reader
from buildperm.workflow.build_outcome import propose
from tests.redteam.runtimes import RUNTIMES

if TYPE_CHECKING:
    from pathlib import Path

    from buildperm.supervisor.session import SessionPackage
    from tests.bench import Bench

REGISTRY = "registry+https://example.com/index"
READS = """
import json, os
told = {}
for name, path in json.loads(os.environ["CFLAGS_OF_TEST"]).items():
    try:
        with open(path) as file:
            told[name] = file.read()
    except OSError as error:
        told[name] = type(error).__name__
with open(os.environ["OUT_DIR"] + "/told", "w") as file:
    json.dump(told, file)
"""


@pytest.fixture(params=RUNTIMES)
def either(request: pytest.FixtureRequest, own_bench: Bench) -> Bench:
    """Make a bench for each runtime; a crate of a registry, one of Git and a member are there."""
    if request.param == "full":
        own_bench.wrapper, own_bench.mounts = [os.fsencode(bubblewrap())], True
    own_bench.others = {
        "vendor/cxx-1": {"source": REGISTRY, "handing": "DEP_CXX_"},
        "vendor/z": {"source": "git+https://example.com/z", "handing": "DEP_Z_"},
        "member": {"source": "", "handing": "DEP_MEMBER_"},
    }
    for folder in own_bench.others:
        lay(own_bench.workspace / folder)
    return own_bench


def lay(folder: Path) -> None:
    (folder / "include/deep/.ssh").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("include/a.h", "include/deep/b.h", "src.h", "include/.env", ".git/config"):
        (folder / name).write_text(name)
    (folder / "include/deep/.ssh/id_rsa").write_text("key")
    (folder / "include/out").symlink_to(folder / "../../notes")


def read(bench: Bench, **wanted: str) -> dict[str, str]:
    (bench.workspace / "notes").write_text("notes")
    bench.environment["CFLAGS_OF_TEST"] = json.dumps(
        {name: f"{bench.workspace}/{path}" for name, path in wanted.items()}
    )
    bench.grants = {"env": ["CFLAGS_OF_TEST"]}
    bench.run(bench.script(READS))  # It fails where something sensitive was reached for.
    told: dict[str, str] = json.loads((bench.out_dir / "told").read_text())
    return {name: "refused" if "Error" in text else text for name, text in told.items()}


def test_headers_are_read_where_their_own_crate_named_them(either: Bench) -> None:
    top = either.workspace
    either.environment = {
        "DEP_CXX_INCLUDE": f"{top}/vendor/cxx-1/include",
        "DEP_Z_HEADER": f"{top}/vendor/z/src.h",
    }

    told = read(
        either,
        header="vendor/cxx-1/include/a.h",
        deep="vendor/cxx-1/include/deep/b.h",
        file="vendor/z/src.h",
        beside="vendor/z/include/a.h",
        above="vendor/cxx-1/src.h",
        variables="vendor/cxx-1/include/.env",
        key="vendor/cxx-1/include/deep/.ssh/id_rsa",
        link="vendor/cxx-1/include/out",
    )

    closed = ("beside", "above", "variables", "key", "link")
    assert told == {
        "header": "include/a.h",
        "deep": "include/deep/b.h",
        "file": "src.h",
        **dict.fromkeys(closed, "refused"),
    }
    package = either.session("enforcing")["packages"][bytes(either.package)]
    asked = propose(package, fold(reader.read(either.recording)))
    seen = {access.target for each in asked for access in each.evidence}
    assert not any(target.endswith(("cxx-1/include/a.h", "b.h", "z/src.h")) for target in seen)
    assert any(target.endswith("cxx-1/src.h") for target in seen)


def test_nobody_hands_over_what_is_not_its_own(either: Bench) -> None:
    top = either.workspace
    either.environment = {
        "DEP_CXX_OTHER": f"{top}/vendor/z/include",
        "DEP_CXX_GIT": f"{top}/vendor/cxx-1/.git",
        "DEP_CXX_LINK": f"{top}/vendor/cxx-1/include/out",
        "DEP_MEMBER_INCLUDE": f"{top}/member/include",
        "Z_HEADER": f"{top}/vendor/z/src.h",
    }

    told = read(
        either,
        other="vendor/z/include/a.h",
        git="vendor/cxx-1/.git/config",
        link="notes",
        member="member/include/a.h",
        variable="vendor/z/src.h",
    )

    assert set(told.values()) == {"refused"}


def test_a_denial_keeps_it_closed(either: Bench) -> None:
    either.environment = {"DEP_CXX_INCLUDE": f"{either.workspace}/vendor/cxx-1/include"}
    either.deny = {"read": ["$WORKSPACE/vendor/**"]}

    assert read(either, header="vendor/cxx-1/include/a.h") == {"header": "refused"}


def test_variables_are_called_as_cargo_calls_them() -> None:
    assert variables_of("cxxbridge-1") == "DEP_CXXBRIDGE_1_"
    assert variables_of("") == ""


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    packages: dict[bytes, SessionPackage] = {
        os.fsencode(tmp_path): {"handing": "DEP_A_", "source": REGISTRY},  # type: ignore[typeddict-item]
    }
    value = os.fsencode(f"{tmp_path}/a:{tmp_path}/b:relative")

    assert handed_over({b"DEP_A_X": value}, packages) == [os.fsencode(tmp_path / "a")]
    assert handed_over({b"DEP_A_X": value + b"\0"}, packages) == []
