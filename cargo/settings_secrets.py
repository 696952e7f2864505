"""What text in settings says of secrets: tokens, passwords, addresses that name somebody."""

from __future__ import annotations

import re

from buildperm.rules import secret_values

ALL_KEYS = frozenset(["*"])
"""Stands for all keys of a section."""

_USER = re.compile(r"//([^/\s\"'`<>?#]*)@")
_NO_SECRETS = frozenset(("", "git"))
"""Users that addresses of repositories name. Any other may be a token: RFC 3986, 3.2.1."""

_ASSIGNED_TOKEN = re.compile(r"\b(?:token|secret-key)[\"']?\s*=|\bsshpass\b")
_LOGIN_OPTIONS = re.compile(r"(?:^|\s)(?:-u|-U|--user|--proxy-user|--basic)[\s=]*[^\s:=]+:[^\s]")
_RANDOM_PART = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}")


def words(text: str) -> frozenset[str]:
    """Return the words of a table of keys."""
    return frozenset(text.split())


def secret_in_lines(content: bytes) -> str:
    """Return which kind of secret a file holds, as a whole or in any line; "" if none is seen."""
    return next(filter(None, map(secret_values.secret, [content, *content.splitlines()])), "")


def secret_in(text: str) -> str:
    """Return which kind of secret a text holds; "" if none is seen."""
    return secret_values.secret(text.encode("utf-8", "surrogateescape"))


def names_user(content: bytes) -> bool:
    """Tell whether an address names somebody, with whatever that is: a token has no other form."""
    text = content.decode("utf-8", "surrogateescape")
    return any(user not in _NO_SECRETS for user in _USER.findall(text))


def may_log_in(text: str) -> bool:
    """Tell whether a command line or an address may hold what nothing else would tell of."""
    if _ASSIGNED_TOKEN.search(text) or _LOGIN_OPTIONS.search(text):
        return True
    _, scheme, rest = text.partition("://")
    if not scheme or " " in text:
        return False
    return "?" in rest or any(_RANDOM_PART.fullmatch(part) for part in rest.split("/")[1:])
