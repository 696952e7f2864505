from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildperm.cargo.accepted_settings import accept, refuse_unknown, unknown
from buildperm.cargo.nearer_settings import NearerSetting, found
from buildperm.errors import BuildpermError

ROOT = Path("/home/me/space")


def setting(root: Path = ROOT, value: str = "'sccache'") -> NearerSetting:
    return NearerSetting("build.rustc-wrapper", value, root, "outranks it")


def test_what_was_accepted_is_known_there_and_nowhere_else(tmp_path: Path) -> None:
    accept(tmp_path, ROOT, ROOT, [setting()])
    assert unknown(tmp_path, ROOT, [setting()]) == ()
    changed = setting(value="'./evil'")
    assert unknown(tmp_path, ROOT, [setting(), changed]) == (changed,)
    assert unknown(tmp_path, Path("/home/me/other"), [setting()]) == (setting(),)
    assert unknown(tmp_path, None, [setting()]) == (setting(),)


def test_what_is_gone_is_not_accepted_any_more_when_it_comes_back(tmp_path: Path) -> None:
    accept(tmp_path, ROOT, ROOT, [setting()])
    accept(tmp_path, ROOT, ROOT, [])
    assert unknown(tmp_path, ROOT, [setting()]) == (setting(),)


def test_each_folder_of_a_workspace_has_settings_of_its_own(tmp_path: Path) -> None:
    inner, other = setting(ROOT / "inner"), setting(ROOT / "other")
    accept(tmp_path, ROOT, ROOT / "inner", [inner, setting()])
    accept(tmp_path, ROOT, ROOT / "other", [other, setting()])
    assert unknown(tmp_path, ROOT, [inner, other, setting()]) == ()


def test_a_broken_memory_accepts_nothing(tmp_path: Path) -> None:
    accept(tmp_path, ROOT, ROOT, [setting()])
    (kept,) = (tmp_path / "accepted").iterdir()
    for text in ("[", "{}", '["a"]', "3"):
        kept.write_text(text)
        assert unknown(tmp_path, ROOT, [setting()]) == (setting(),)


def test_a_target_of_a_command_line_has_nothing_loaded(tmp_path: Path) -> None:
    home, root = tmp_path / "home", tmp_path / "space"
    (root / ".cargo").mkdir(parents=True)
    for name, backend in (("mine", "./evil.so"), ("honest", "cranelift")):
        (root / f"{name}.json").write_text(json.dumps({"default-codegen-backend": backend}))
    ask = ["rustc", "-", "--print=cfg", "--target"]
    refuse_unknown(home, root, home, root, [*ask, str(root / "honest.json")])
    refuse_unknown(home, root, home, root, [*ask, "x86_64-unknown-linux-gnu"])
    with pytest.raises(BuildpermError, match=r"mine\.json: \./evil\.so"):
        refuse_unknown(home, root, home, root, [*ask, str(root / "mine.json")])

    (root / ".cargo/config.toml").write_text('[build]\ntarget = "mine.json"\n')
    with pytest.raises(BuildpermError, match="was not there when always on was enabled"):
        refuse_unknown(home, root, home, root, [*ask, str(root / "mine.json")])
    home.mkdir()
    accept(home, root, root, found(root, home))  # After a look at it.
    refuse_unknown(home, root, home, root, [*ask, str(root / "mine.json")])
