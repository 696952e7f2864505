"""What lies in a store that several machines share, and whether an entry may be used.

    1/shelves/SH/SHELF   the entries about one package, machine and version of buildperm: JSON
    1/blobs/DI/DIGEST    a result, or a file or a text of one: see cache.blob_form

An entry on a shelf is a digest of a result with a signature. The result names its static key, what
it depends on, and the digests of all that came of it: so the signature covers all that is used. It
is looked at first, so of what nobody has signed only the shelf is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Any

from buildperm.cache import blob_form, digest, kept_result, static_key
from buildperm.cache.input_kind import FILE, LISTING
from buildperm.cache.kept_result import CONFIRMED, KeptResult
from buildperm.workflow.entry_signature import Signer, is_signed

SHELF_MOST = 64 << 10
"""Bytes of a shelf."""

ENTRIES_MOST = 32
"""Entries on a shelf; the latest are kept."""

RESULT_MOST = 16 << 20
"""Bytes of one result; inputs are some 200 bytes each."""

OLDEST_S = 90 * 86_400
"""An entry counts for so long: a store cannot bring back what was signed long ago."""

_AHEAD_S = 86_400  # Clocks differ.
_FORMAT = "buildperm shared result 1"
_SHELF_PARTS = ("the version of buildperm", "the machine", "the package")
_UNKNOWN_TIMES = [0, 0, 0]  # Device, inode and time of its change: what is there is read once.


class NotUsedError(Exception):
    """An entry cannot be used; the text says why, as a clause without anything that it says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a shelf."""

    result: str  # Digest of the result.
    size: int  # Bytes of the result.
    signed_s: int  # When: time.time.
    signer: str  # A public key.
    signature: str  # Of `signed_message`, in base64.


def shelf(version: str, machine: str, package: str) -> str:
    """Return where entries are that could fit; each argument is a part of the static key."""
    return digest.of_parts(part.encode() for part in (_FORMAT, version, machine, package))


def shelf_of(result: KeptResult) -> str:
    """Return where the entry of a result belongs."""
    return shelf(*(result.key.get(part, "") for part in _SHELF_PARTS))


def shelf_path(named: str) -> str:
    """Return where a shelf is in the store."""
    return f"1/shelves/{named[:2]}/{named}"


def blob_path(named: str) -> str:
    """Return where a blob is in the store."""
    return f"1/blobs/{named[:2]}/{named}"


def read_shelf(content: bytes) -> list[Entry]:
    """Return the entries that have the form of one; nothing of them has been proven.

    Raises:
        NotUsedError: It is no shelf.
    """
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, list) or len(told) > ENTRIES_MOST:
        raise NotUsedError("what is there is no list of entries")
    return [_read_entry(each) for each in told]


def write_shelf(entries: Collection[Entry]) -> bytes:
    """Write the latest of `entries` for `read_shelf`."""
    latest = sorted(entries, key=lambda entry: -entry.signed_s)[:ENTRIES_MOST]
    return json.dumps([asdict(entry) for entry in latest], indent=1).encode()


def signed_entry(result: KeptResult, signed_s: int, signer: Signer) -> tuple[Entry, bytes]:
    """Return the entry of a result, and the result as others may read it."""
    content = _portable(result).dump()
    named = digest.of(content)
    message = signed_message(shelf_of(result), named, len(content), signed_s)
    return Entry(named, len(content), signed_s, signer.public, signer.sign(message)), content


def check_signature(entry: Entry, on_shelf: str, keys: Collection[str], now_s: float) -> None:
    """Make sure that one of `keys` has signed an entry for this shelf, not too long ago.

    Raises:
        NotUsedError: It is not so.
    """
    if entry.signer not in keys:
        raise NotUsedError("it is signed by a key that Cargo.toml does not list")
    message = signed_message(on_shelf, entry.result, entry.size, entry.signed_s)
    if not is_signed(message, entry.signature, entry.signer):
        raise NotUsedError("its signature is not right")
    if not now_s - OLDEST_S <= entry.signed_s <= now_s + _AHEAD_S:
        raise NotUsedError("it is too old, or from the future")
    if entry.size > RESULT_MOST:
        raise NotUsedError("it is too large")


def opened_result(raw: bytes, entry: Entry, on_shelf: str) -> KeptResult:
    """Return the result that an entry with a good signature names.

    Raises:
        NotUsedError: It is something else, or belongs elsewhere.
    """
    try:
        result = kept_result.load(blob_form.unpacked(raw, entry.result, entry.size))
    except ValueError as error:
        raise NotUsedError("its result is damaged") from error
    package = f"{result.name} {result.version} {result.source}"
    if shelf_of(result) != on_shelf or result.key.get("the package") != package:
        raise NotUsedError("it is about something else")
    if result.state != CONFIRMED:
        raise NotUsedError("it was not seen to be the same twice")
    signed = f"signed {entry.signer[:16]}…"
    result.by = f"{result.by[:200]}, {signed}"
    return _portable(result)


def key_of(result: KeptResult) -> str:
    """Return the static key that a result is for: what it says that went into one."""
    return static_key.of(result.key)


def _portable(result: KeptResult) -> KeptResult:
    """Forget what tells without reading that a file is as it was: true of one machine only."""
    result.inputs = [
        [*each[:6], *_UNKNOWN_TIMES] if each[0] in (FILE, LISTING) else each
        for each in result.inputs
    ]
    return result


def signed_message(on_shelf: str, named: str, size: int, signed_s: int) -> bytes:
    return "\n".join((_FORMAT, on_shelf, named, str(size), str(signed_s))).encode()


def _read_entry(told: Any) -> Entry:  # noqa: ANN401 - of JSON
    names = {field.name for field in fields(Entry)}
    is_one = (
        isinstance(told, dict)
        and told.keys() == names
        and all(type(told[name]) is str for name in ("result", "signer", "signature"))
        and all(type(told[name]) is int and told[name] >= 0 for name in ("size", "signed_s"))
        and digest.is_one(told["result"])
    )
    if not is_one:
        raise NotUsedError("what is there is no entry")
    return Entry(**told)
