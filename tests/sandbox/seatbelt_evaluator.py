"""Decides by a profile as Seatbelt does, for the forms that are written: there is no Mac here.

The last rule that matches decides. What it does not know is an error.
"""

from __future__ import annotations

import re

_TEXT = r'"((?:[^"\\]|\\.)*)"'
_RULE = re.compile(
    r"\(allow (file-read\*|file-read-data|file-write\*|process-exec\*) (?:"
    rf"\((subpath|literal) (?:{_TEXT}|\(param {_TEXT}\))\)"
    rf"|\(require-all \(subpath (?:{_TEXT}|\(param {_TEXT}\))\) \(vnode-type DIRECTORY\)\))\)"
)
_OTHERS = frozenset(
    (
        "(version 1)",
        "(deny default)",
        "(allow process-fork)",
        "(allow signal (target same-sandbox))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
    )
)


def allows(
    text: str,
    operation: str,
    path: str,
    *,
    is_folder: bool = False,
    parameters: dict[str, str] | None = None,
) -> bool:
    """Tell whether the profile `text` allows an operation on `path`, such as `file-read-data`."""
    lines = [line for line in text.splitlines() if not line.startswith(";")]
    assert lines[:2] == ["(version 1)", "(deny default)"]
    verdict = False
    for line in lines:
        if line in _OTHERS:
            continue
        rule = _RULE.fullmatch(line)
        assert rule is not None, line
        word, form, name, parameter, folder, folder_parameter = rule.groups()
        given = parameter or folder_parameter
        quoted = name if name is not None else folder
        place = (parameters or {})[given] if given else re.sub(r"\\(.)", r"\1", quoted or "")
        is_meant = operation == word or (word[-1] == "*" and operation.startswith(word[:-1]))
        if form == "literal":
            matches = path == place
        else:
            matches = path == place or path.startswith(place.rstrip("/") + "/")
            matches = matches and (form is not None or is_folder)
        verdict = verdict or (is_meant and matches)
    return verdict
