from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from buildperm.cargo import home_configuration
from buildperm.errors import BuildpermError

PATH = Path("/home/me/.cargo/config.toml")
OURS: dict[str, str | None] = {"rustc-wrapper": "/state/w", "rustdoc": "/state/d"}
NONE: dict[str, str | None] = {"rustc-wrapper": None, "rustdoc": None}

KEYS = st.sampled_from(["jobs", "target", "build", "net", "alias", "rustflags", "x"])
DOCUMENTS = st.recursive(
    st.one_of(st.integers(0, 9), st.text("ab\"'\\ é", max_size=4), st.booleans()),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# a comment\n",
        "[build]\njobs = 1 # few\n",
        "build.jobs = 1\n",
        "build = { jobs = 1 }\n",
        '[build]\nrustc-wrapper = "sccache"\n\n[net]\nretry = 1',
        "[net]\r\nretry = 1\r\n",
    ],
)
def test_our_keys_are_set_and_nothing_else_changes(text: str) -> None:
    written = home_configuration.with_values(text.encode(), PATH, OURS)
    before, after = tomllib.loads(text), tomllib.loads(written.decode())

    assert {key: after["build"].pop(key) for key in OURS} == OURS
    build = {key: value for key, value in before.get("build", {}).items() if key not in OURS}
    assert after["build"] == build
    assert {**after, "build": build} == {**before, "build": build}
    for line in text.splitlines():
        assert "rustc-wrapper" in line or "{" in line or line.encode() in written


@given(st.dictionaries(KEYS, DOCUMENTS, max_size=4))
def test_whatever_is_there_stays_or_nothing_is_written(document: dict[str, object]) -> None:
    text = tomlkit.dumps(document)
    try:
        written = home_configuration.with_values(text.encode(), PATH, OURS)
    except BuildpermError:
        assert not isinstance(document.get("build", {}), dict)
        return
    taken_back = home_configuration.with_values(written, PATH, NONE)

    build = document.get("build")
    expected = {key: value for key, value in document.items() if key != "build" or build}
    assert tomllib.loads(taken_back.decode()) == expected


def test_a_link_stays_a_link_and_a_mode_stays(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.write_bytes(b"[net]\n")
    real.chmod(0o640)
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    home_configuration.write(link, b"[term]\n")

    assert link.is_symlink()
    assert real.read_bytes() == b"[term]\n"
    assert real.stat().st_mode & 0o777 == 0o640


def test_the_old_name_counts_where_it_is_there(tmp_path: Path) -> None:
    assert home_configuration.path_of(tmp_path).name == "config.toml"
    (tmp_path / "config").write_text("")
    assert home_configuration.path_of(tmp_path).name == "config"
