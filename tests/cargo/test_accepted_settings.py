from __future__ import annotations

from pathlib import Path

from buildperm.cargo.accepted_settings import accept, unknown
from buildperm.cargo.nearer_settings import NearerSetting

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
