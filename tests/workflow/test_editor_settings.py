"""The settings of an editor, which are somebody else's but for two lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.workflow import editor_settings
from buildperm.workflow.editor_settings import SERVER, WRAPPER, with_settings

_WANTED = editor_settings.wanted(Path("/it's a state"))
_FILE = Path("settings.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "{}",
        "{ }\n",
        "{\n}\n",
        '{\n  "a": 1\n}\n',
        '{"a": 1}',
        '\ufeff// {"b": 2}\n/* { */ {\r\n  "a": "}\\"{ // no", // "x": 1\r\n "c": [{}],\r\n}',
        f'{{"a": {{"{SERVER}": "another one\'s"}}}}',
    ],
)
def test_two_lines_are_added_and_every_byte_besides_is_kept(text: str) -> None:
    new, inserted = with_settings(text, _WANTED, _FILE)

    assert new.count(inserted) == 1
    assert new.replace(inserted, "") == text
    assert with_settings(new, _WANTED, _FILE) == (new, "")
    if "//" not in text and text.strip():
        assert json.loads(new) == json.loads(text) | dict(_WANTED)
    else:
        assert new.index(WRAPPER) < new.index(SERVER)


@pytest.mark.parametrize(
    "text",
    ['{"a": 1', "[]", '{"a', "{ /* ", '"x"', f'{{"{SERVER}": null}}', f'{{"{WRAPPER}": true}}'],
)
def test_what_is_not_understood_or_says_otherwise_is_left_alone(text: str) -> None:
    with pytest.raises(BuildpermError):
        with_settings(text, _WANTED, _FILE)


@pytest.mark.parametrize("change", ["none", "another line", "ours"])
def test_they_are_taken_back_whatever_was_changed_besides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    place = tmp_path / "state"
    place.mkdir()
    path = tmp_path / "VSCodium/User/settings.json"
    path.parent.mkdir(parents=True)
    before = b'{\r\n\t"mine": true // yes\r\n}'
    path.write_bytes(before)
    assert not editor_settings.has(path, place)

    assert list(editor_settings.write(place)) == [path]
    assert list(editor_settings.write(place)) == [path]  # Nothing is there twice.
    assert editor_settings.has(path, place)
    written = path.read_bytes()
    if change == "another line":
        path.write_bytes(written.replace(b"// yes", b"// no"))
    if change == "ours":
        path.write_bytes(written.replace(b": false", b": true"))
    left = list(editor_settings.take_back(place))

    if change == "ours":
        assert SERVER in left[0]
        assert SERVER.encode() in path.read_bytes()
    else:
        assert left == []
        assert path.read_bytes() == before.replace(
            *((b"yes", b"no") if change != "none" else (b"", b""))
        )


def test_without_such_an_editor_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BuildpermError, match="no settings"):
        list(editor_settings.write(tmp_path))
    assert list(tmp_path.iterdir()) == []
