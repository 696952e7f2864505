"""Where a connection may go: hosts with ports, addresses that are off limits, and grants.

A target is `example.org:443`, `192.0.2.1:80` or `[2001:db8::1]:80`; names are in lower case and
addresses in the one form that inet_ntop(3) gives them.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import _socket

from buildperm.rules.pattern import is_literal, matches
from buildperm.tracer.notation import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

METADATA = frozenset(("169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200"))
"""Where machines of clouds get their credentials: AWS, Google, Azure, Oracle, Alibaba."""

_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_NAME_MOST = 253  # RFC 1035, 2.3.4
_LABEL_MOST = 63

# IANA's registries of special-purpose addresses: RFC 6890 and its updates.
_IPV4 = (
    ("0.0.0.0", 8, "unspecified"),  # noqa: S104 - refused
    ("10.0.0.0", 8, "private"),
    ("100.64.0.0", 10, "of a carrier's own network"),
    ("127.0.0.0", 8, "this machine itself"),
    ("169.254.0.0", 16, "link-local"),
    ("172.16.0.0", 12, "private"),
    ("192.0.0.0", 24, "reserved"),
    ("192.0.2.0", 24, "reserved for documentation"),
    ("192.88.99.0", 24, "reserved"),
    ("192.168.0.0", 16, "private"),
    ("198.18.0.0", 15, "reserved for benchmarks"),
    ("198.51.100.0", 24, "reserved for documentation"),
    ("203.0.113.0", 24, "reserved for documentation"),
    ("224.0.0.0", 4, "multicast"),
    ("240.0.0.0", 4, "reserved"),
)
# Of all IPv6 addresses only 2000::/3 are anybody's, and of these not the following.
_IPV6 = (
    ("2001::", 23, "reserved"),  # Teredo and others, which stand for other addresses.
    ("2001:db8::", 32, "reserved for documentation"),
    ("2002::", 16, "a form of an IPv4 address"),
    ("3fff::", 20, "reserved for documentation"),
)
_GLOBAL = ("2000::", 3)
_NAT64 = ("64:ff9b::", 96)  # RFC 6052: what a name leads to on networks without IPv4.
_MAPPED = b"\0" * 10 + b"\xff\xff"


def split(text: str) -> tuple[str, int] | None:
    """Return host and port of `HOST:PORT` or `[ADDRESS]:PORT`; None where it is neither.

    A name is written in lower case and without a dot at its end, an address in its one form.
    """
    host, colon, digits = text.rpartition(":")
    if not colon or not digits.isascii() or not digits.isdigit() or len(digits) > 5:
        return None
    port = int(digits)
    if not 0 < port < 65536:
        return None
    if host.startswith("[") and host.endswith("]"):
        packed = packed_address(host[1:-1])
        return (written(packed), port) if packed and len(packed) == 16 else None
    packed = packed_address(host)
    if packed is not None:
        return (written(packed), port) if len(packed) == 4 else None
    name = host.lower().removesuffix(".")
    return (name, port) if is_name(name) else None


def is_name(name: str) -> bool:
    """Tell whether `name` is the name of a host, in lower case; no address in any disguise."""
    labels = name.split(".")
    if not name or len(name) > _NAME_MOST or not _NAME.issuperset(name):
        return False
    if any(not label or len(label) > _LABEL_MOST for label in labels):
        return False
    last = labels[-1]  # inet_aton(3) takes `127.1`, `0x7f000001` and `017700000001` too.
    return not (last.isdigit() or (last.startswith("0x")))


def packed_address(text: str) -> bytes | None:
    """Return the bytes of an address, those of IPv4 if it stands for one; None if it is none."""
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            return unmapped(_socket.inet_pton(family, text))
        except (OSError, ValueError):  # a NUL in it
            continue
    return None


def unmapped(packed: bytes) -> bytes:
    """Return the IPv4 address that an IPv6 one stands for, or itself."""
    return packed[12:] if len(packed) == 16 and packed.startswith(_MAPPED) else packed


def written(packed: bytes) -> str:
    """Write an address in its one form."""
    family = _socket.AF_INET if len(packed) == 4 else _socket.AF_INET6
    return _socket.inet_ntop(family, packed)


def joined(host: str, port: int) -> str:
    """Write a target."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_special(packed: bytes) -> str:
    """Say why an address is none of the public network's; empty if it is one of these."""
    packed = unmapped(packed)
    if len(packed) == 16 and _is_in(packed, *_NAT64):
        packed = packed[12:]
    if written(packed) in METADATA:
        return "where this machine gets its credentials"
    if len(packed) == 4:
        return next((why for base, size, why in _IPV4 if _is_in(packed, base, size)), "")
    if not _is_in(packed, *_GLOBAL):
        if packed == b"\0" * 15 + b"\1":
            return "this machine itself"
        return "private" if packed[0] in (0xFC, 0xFD) else "local or reserved"
    return next((why for base, size, why in _IPV6 if _is_in(packed, base, size)), "")


def of_pattern(pattern: str) -> tuple[str, int] | None:
    """Return host and port of a pattern or a target in notation; None where it is neither.

    Of `*.HOST:PORT` the host is `HOST`.
    """
    try:
        return split(decode(pattern.removeprefix("*.")).decode())
    except ValueError:
        return None


def why_sensitive(target: str) -> str:
    """Say why a target, in notation, is in the sensitive tier; empty if it is not."""
    found = of_pattern(target)
    held = "machines of clouds get their credentials there"
    return held if found and found[0] in METADATA else ""


def is_granted(target: str, granted: Iterable[str], denied: Iterable[str] = ()) -> bool:
    """Tell whether patterns allow a target: an address only by itself, a name also by `*.`."""
    text = encode(target.encode())
    if is_denied(target, denied):
        return False
    host = target.rpartition(":")[0]
    is_exact = host.startswith("[") or packed_address(host) is not None
    return any(matches(pattern, text) for pattern in granted if not is_exact or is_literal(pattern))


def is_denied(target: str, denied: Iterable[str]) -> bool:
    """Tell whether a person has refused a target."""
    text = encode(target.encode())
    return any(matches(pattern, text) for pattern in denied)


def _is_in(packed: bytes, base: str, size: int) -> bool:
    family = _socket.AF_INET if len(packed) == 4 else _socket.AF_INET6
    shift = 8 * len(packed) - size
    network = int.from_bytes(_socket.inet_pton(family, base), "big")
    return int.from_bytes(packed, "big") >> shift == network >> shift
