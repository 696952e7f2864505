"""A profile for macOS allows what Landlock allows, and nothing else, by an evaluator of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.sandbox import seatbelt_profile
from buildperm.supervisor import landlock, landlock_rules
from tests.cli.learnt_workspace import LearntWorkspace, learnt
from tests.sandbox.seatbelt_evaluator import allows

__all__ = ["learnt"]

_READ, _EXEC, _WRITE = landlock_rules.READ, landlock_rules.EXEC, landlock_rules.WRITE
_FOLDERS = (b"/usr", b"/usr/lib", b"/w/out", b"/w")
_FILES = (b"/w/file", b'/w/"quoted"', b"/w/back\\slash", b"/usr/bin")
_ASKED = (
    *("/usr", "/usr/lib/x", "/usr/library", "/usr/bin", "/usr/binary", "/w/out/a/b", "/w/output"),
    *("/w/file", "/w/file2", '/w/"quoted"', "/w/back\\slash", "/w", "/", "/etc/shadow"),
)
_OPERATIONS = {
    "file-read-data": landlock.READ_FILE,
    "file-write-data": landlock.WRITE_FILE,
    "process-exec-interpreter": landlock.EXECUTE,
}


def _is_folder(path: bytes) -> bool:
    return path in _FOLDERS


def _holds_for(name: bytes, path: bytes) -> bool:
    return path == name or (_is_folder(name) and path.startswith(name + b"/"))


@given(
    st.dictionaries(
        st.sampled_from(_FOLDERS + _FILES), st.sampled_from([_READ, _EXEC, _WRITE, _READ | _WRITE])
    )
)
def test_it_decides_as_landlock_does(rights: dict[bytes, int]) -> None:
    text = seatbelt_profile.profile(rights, _is_folder)

    for path in _ASKED:
        for operation, right in _OPERATIONS.items():
            wanted = any(
                mask & right and _holds_for(name, path.encode()) for name, mask in rights.items()
            )
            assert allows(text, operation, path) == wanted, (path, operation, text)


def test_a_folder_whose_names_may_be_seen_opens_no_file() -> None:
    text = seatbelt_profile.profile({b"/opt": landlock.READ_DIR}, lambda _: True)

    assert allows(text, "file-read-data", "/opt/tool", is_folder=True)
    assert not allows(text, "file-read-data", "/opt/tool")


@pytest.mark.parametrize(
    "path",
    [
        b'/w/a")) (allow default) (deny default (literal "x',
        b"/w/line\n(allow default)",
        b'/w/.*[^x]+(a|b)$")',
        b"/w/\xff",
        b"/w/x ",
    ],
)
def test_a_hostile_name_opens_nothing_else(path: bytes) -> None:
    text = seatbelt_profile.profile({path: _READ | _WRITE | _EXEC}, lambda _: True)

    assert not allows(text, "file-read-data", "/etc/shadow")
    assert not allows(text, "network-outbound", "/etc/shadow")
    assert "(allow default)" not in [line.strip() for line in text.splitlines()]


@pytest.mark.slow
def test_a_crate_can_be_shown_as_one(learnt: LearntWorkspace) -> None:
    with learnt.granting(app='read = ["$WORKSPACE/schema/**"]'):
        told = learnt.run("show", "app", "--seatbelt")

    assert told.returncode == 0, told.stderr
    schema = str(learnt.folder / "schema/deep/b.txt")
    parameters = {"OUT_DIR": "/o", "TMP": "/t"}
    assert allows(told.stdout, "file-read-data", schema, parameters=parameters)
    assert not allows(told.stdout, "file-write-data", schema, parameters=parameters)
    assert allows(told.stdout, "file-write-data", "/o/made", parameters=parameters)
    other = str(learnt.folder / "other.txt")
    assert not allows(told.stdout, "file-read-data", other, parameters=parameters)
    assert "Nobody has proven on a Mac that it holds." in told.stdout


@pytest.mark.slow
def test_it_is_for_one_crate(learnt: LearntWorkspace) -> None:
    told = learnt.run("show", "--seatbelt")

    assert told.returncode == 2
    assert "one build script" in told.stderr
