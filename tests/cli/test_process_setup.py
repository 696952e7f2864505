"""What the command is started with: by a service, in a container, in a person's odd shell."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import pytest

from tests.command import LEARN, buildperm, is_orderly, member

READS = 'fn main() { let _ = std::fs::read_to_string("../data.txt"); }'


def within(setting: str) -> list[str]:
    """Return a launcher that sets something in a shell and then starts the command."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    return [bash, "-c", f'{setting}\nexec "$@"', "bash"]


def _is_known() -> bool:
    try:
        return bool(pwd.getpwuid(os.getuid()))
    except KeyError:
        return False  # As in a container: nobody has written down who this is.


_HAS_NAME = _is_known()
SETTINGS = {
    "standard input is closed": "exec <&-",
    "few files may be open": "ulimit -n 64",
    "children are not waited for": "trap '' CHLD HUP",
    "descriptors are inherited": 'for n in {3..20}; do eval "exec $n</dev/null"; done',
    "nobody else may read": "umask 077",
    "everybody may write": "umask 000",
    "no locale": "export LC_ALL=C PYTHONUTF8=0",
    "no home": f"unset {'HOME ' if _HAS_NAME else ''}TERM",
    "a late turn": "renice -n 19 $BASHPID > /dev/null",
    "temporary files lie far away": 'export TMPDIR="$FAR"',
}


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param("\n".join(SETTINGS.values()), id="all at once"),
        *(pytest.param(each, id=name, marks=pytest.mark.slow) for name, each in SETTINGS.items()),
    ],
)
@pytest.mark.slow
def test_what_it_was_started_with_changes_nothing(tmp_path: Path, setting: str) -> None:
    folder = member(tmp_path / "ws", READS)
    (folder / "data.txt").write_text("data")
    far = tmp_path / f"fär away/{'x' * 120}"
    far.mkdir(parents=True)
    launcher = within(setting)

    told = [
        buildperm(*words, folder=folder, launcher=launcher, extra={"FAR": os.fspath(far)})
        for words in (LEARN, ("ci",), ("check",))
    ]

    assert [each.returncode for each in told] == [0, 0, 0], told
    assert all(is_orderly(each.stdout + each.stderr) for each in told)
    assert 'read = ["$WORKSPACE/data.txt"]' in (folder / "Cargo.toml").read_text()
    assert list(far.iterdir()) == []


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.quick(1)
def test_a_stream_that_is_closed_is_no_reason_to_fail(tmp_path: Path, closed: str) -> None:
    folder = member(tmp_path / "ws", "fn main() {}")
    (folder / "Cargo.lock").write_text(
        'version = 4\n\n[[package]]\nname = "sample"\nversion = "0.1.0"\n'
    )

    told = buildperm("check", folder=folder, launcher=within(f"exec {closed}"))

    assert told.returncode == 21, told
    assert is_orderly(told.stdout + told.stderr)
