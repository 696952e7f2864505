"""Where no root can be entered, what forbids it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import root_probe

_APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({}, "This user has to be allowed"),
        ({_APPARMOR: "1\n"}, "AppArmor"),
        ({_APPARMOR: "0\n"}, "This user has to be allowed"),
        ({"user/max_user_namespaces": "0\n", _APPARMOR: "1\n"}, "`user.max_user_namespaces` is 0"),
        ({"kernel/unprivileged_userns_clone": "0\n"}, "`kernel.unprivileged_userns_clone` is 0"),
    ],
)
def test_what_forbids_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], hint: str
) -> None:
    for name, value in settings.items():
        path = tmp_path / "settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    monkeypatch.setattr(root_probe, "_SETTINGS", tmp_path / "settings")
    with pytest.raises(CannotEnforceError) as told:
        root_probe.check(tmp_path / "no root")
    assert hint in told.value.hint
