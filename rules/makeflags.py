r"""What of MAKEFLAGS and its like reaches a build script: the job server, `-j`, switches.

GNU make hands its children every definition of its command line in there: `make TOKEN=… ci`. So
everything is left out but what is known to be harmless. Words end at blanks; a backslash takes the
next character as it is: decode_env_switches in make's main.c.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

NAMES = frozenset(
    b"MAKEFLAGS MFLAGS GNUMAKEFLAGS CARGO_MAKEFLAGS MAKEOVERRIDES MAKEARGS GMAKEFLAGS".split()
)
"""The variables that make writes and reads, or that are made of what it writes."""

DEFINITIONS = "definitions of make"
"""What has been left out, for recordings."""

_SWITCHES = frozenset(b"bBdehikLmnpqrRsStvw")  # Those without an argument, in one word.
_MOST_SWITCHES = 20
_LONG = frozenset(
    b"--print-directory --no-print-directory --silent --quiet --no-silent --keep-going --stop "
    b"--no-keep-going --ignore-errors --always-make --environment-overrides --no-builtin-rules "
    b"--no-builtin-variables --check-symlink-times --trace --warn-undefined-variables --dry-run "
    b"--just-print --recon --touch --question --jobs --output-sync".split()
)
_NUMBERED = (b"--jobs=", b"--load-average=", b"--max-load=", b"-j", b"-l")
_WORDS = (b"--output-sync=", b"-O")
_SYNC = frozenset((b"none", b"line", b"target", b"recurse"))
_SERVER = (b"--jobserver-auth=", b"--jobserver-fds=")
_MUTEX = b"--sync-mutex="
_NUMBER = frozenset(b"0123456789.")
_DESCRIPTORS = frozenset(b"-0123456789,")


def left(name: bytes, value: bytes) -> bytes:
    """Return the harmless part of a value; all of it if make does not read the variable."""
    return reduced(value) if name in NAMES else value


def reduced(value: bytes) -> bytes:
    """Return what of the value of one of `NAMES` is harmless, in the same order."""
    kept: list[bytes] = []
    before = b""
    for at, word in enumerate(_words(value)):
        if word == b"--":
            break  # Only definitions follow.
        if _is_harmless(word, is_first=at == 0, before=before):
            kept.append(word)
        before = word
    return b" ".join(kept)


def _words(value: bytes) -> list[bytes]:
    """Split as make does; each word is left as it is written."""
    words: list[bytes] = []
    word = bytearray()
    is_escaped = False
    for byte in value:
        if byte in b" \t\n" and not is_escaped:
            if word:
                words.append(bytes(word))
            word.clear()
            continue
        word.append(byte)
        is_escaped = byte == 0x5C and not is_escaped
    return [*words, bytes(word)] if word else words


def _is_harmless(word: bytes, *, is_first: bool, before: bytes) -> bool:
    letters = word[1:] if word.startswith(b"-") else word if is_first else b""
    if letters and len(letters) <= _MOST_SWITCHES and _SWITCHES.issuperset(letters):
        return True
    if word in _LONG or word in (b"-j", b"-l", b"-O"):
        return True
    if before in (b"-j", b"-l", b"--jobs") and _is_number(word):
        return True
    for option in _NUMBERED:
        if word.startswith(option):
            return _is_number(word[len(option) :])
    for option in _WORDS:
        if word.startswith(option):
            return word[len(option) :] in _SYNC
    for option in _SERVER:
        if word.startswith(option):
            named = word[len(option) :]
            return _DESCRIPTORS.issuperset(named) or named.startswith(b"fifo:/")
    return word.startswith((_MUTEX + b"fnm:/", _MUTEX + b"0x"))


def _is_number(text: bytes) -> bool:
    return 0 < len(text) <= 8 and _NUMBER.issuperset(text)
