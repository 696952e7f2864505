"""Which values of environment variables hold a secret, whatever the variable is called.

A list of names is never complete, and names that are harmless carry addresses with a password in
them, flags with a token, a key. What is looked for here has the form of a secret; what might be one
by its looks alone (32 or 40 hexadecimal digits) is mostly a digest, and passes.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

from buildperm.rules import credential_formats
from buildperm.rules.memoization import memoized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDS = "its value holds "
"""How the reason begins for which a variable is kept from a script by its value."""

KEY = "a private key"
LOGIN = "an address with a password"
TOKEN = "a token"  # noqa: S105
PASSWORD = "a password"  # noqa: S105
WEBHOOK = "the address of a webhook"
KINDS = (KEY, LOGIN, TOKEN, PASSWORD, WEBHOOK)

_SHORTEST = 8  # Bytes; `a://b:c@` is the shortest that is found.

_DIGITS = frozenset(b"0123456789")
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_WORD = _LETTERS | _DIGITS
_URL_SAFE = _WORD | frozenset(b"-_")  # Of base64url, without the padding.
_BASE64 = _WORD | frozenset(b"+/=\r\n\\-_")  # With line breaks, which may be written as `\n`.
_NAME = _URL_SAFE | frozenset(b".")
_CREDENTIAL = _URL_SAFE | frozenset(b"+/=.~")  # RFC 6750, 2.1.
_HOST = _WORD | frozenset(b".-")
_WHITE = b" \t\r\n\v\f\x1f\0"  # 1f parts the flags in CARGO_ENCODED_RUSTFLAGS.
_SPACE = frozenset(_WHITE)
_QUOTES = frozenset(b"\"'`")
_AUTHORITY_ENDS = _SPACE | _QUOTES | frozenset(b"/?#<>|\\")
_VALUE_ENDS = _SPACE | _QUOTES | frozenset(b";&,|)}]<>")
_TO_ADDRESSES = bytes(0x20 if byte in _SPACE | _QUOTES else byte for byte in range(256))
_TO_WORDS = bytes.maketrans(_WHITE + b"\"'`,;|<>", b" " * (len(_WHITE) + 8))

_KEYS = (b"AGE-SECRET-KEY-1", b"PuTTY-User-Key-File-")
_WEBHOOKS = (b"hooks.slack.com/services/t", b"/api/webhooks/", b".webhook.office.com/webhookb2/")
_PEM, _PEM_MOST = b"-----BEGIN", 64
_PEM_BASE64 = b"LS0tLS1CRUdJTi"

# Words before `=` or `:` that say what comes behind. Only passwords are short.
_PASSWORD_WORDS = (b"password", b"passwd", b"passphrase", b"passcode", b"pwd", b"pass")
_TOKEN_WORDS = (
    *(b"token", b"secret", b"bearer", b"authorization", b"credential", b"credentials"),
    *(b"apikey", b"api_key", b"api-key", b"accesskey", b"access_key", b"access-key"),
    *(b"accountkey", b"account_key", b"secretkey", b"secret_key", b"secret-key"),
    *(b"private_key", b"privatekey", b"private-key", b"signing_key", b"sig"),
    b"amz-signature",
    *(b"sas", b"pat", b"authkey", b"auth_key", b"_auth", b'"auth', b"jwt", b"encryption_key"),
)
# Each of the above holds one of these, which is quicker to find out.
_HINTS_TEXT = b"pass pwd token secret key auth bearer cred sig sas pat jwt"
_HINTS = tuple(_HINTS_TEXT.split())
_NO_VALUES = frozenset(
    b"on off yes no true false none null nil 0 1 ask prompt empty required optional default "
    b"disabled enabled plain string str int bool char".split()
)
_LONGEST_NAME = 64  # Bytes before the word that are looked at.
_LOOKED_AT_MOST = 256  # Bytes behind it, which no component of a path has.
_HIDDEN = frozenset(b"*xX.")  # What somebody has put in the place of a password.
_SHORTEST_PASSWORD = 3
_SHORTEST_TOKEN = 6  # With digits; without there are words of that length.
_SHORTEST_WORDY = 16
_SHORTEST_DEFINED = 16  # `-DTOKEN=token_3` is a definition in C like any other.


def secret(value: bytes) -> str:
    """Say what kind of secret a value holds, as one of `KINDS`; empty if none is seen."""
    return _secret(value) if len(value) >= _SHORTEST else ""


@memoized(2_000)
def _secret(value: bytes) -> str:
    if _holds_key(value):
        return KEY
    plain = value.replace(b"\\/", b"/")  # As JSON may write it.
    lower = plain.lower()
    if b"%40" in plain:  # An address within another one: RFC 3986, 2.1.
        plain += b" " + _unquoted(plain)
        lower = plain.lower()
    if b"@" in plain and (_holds_login(plain) or _holds_bare_login(plain)):
        return LOGIN
    if credential_formats.found(plain):
        return TOKEN
    if b"hook" in lower and any(each in lower for each in _WEBHOOKS):
        return WEBHOOK
    return _labelled(plain, lower)


def _holds_key(value: bytes) -> bool:
    for at in _places(value, _PEM):
        if b"PRIVATE" in value[at : at + _PEM_MOST]:
            return True
    if b"-K" in value and any(each in value for each in _KEYS):
        return True
    end = 0
    for at in _places(value, _PEM_BASE64):
        is_within = at < end  # The whole of it has been looked at; only how it begins may differ.
        end = max(end, _end(value, at, _BASE64)) if not is_within else end
        if _is_encoded_key(value[at : at + _PEM_MOST * 2 if is_within else end]):
            return True
    return False


def _is_encoded_key(text: bytes) -> bool:
    """Tell whether base64 is a key; what cannot be read is taken for one."""
    import binascii

    text = text.replace(b"\\n", b"").replace(b"\\r", b"").translate(None, b"\r\n\\=")
    text = text.replace(b"-", b"+").replace(b"_", b"/")
    try:
        raw = binascii.a2b_base64(text[: len(text) // 4 * 4])
    except binascii.Error:
        return True
    return b"PRIVATE" in raw or not (b"CERTIFICATE" in raw or b"PUBLIC" in raw)


def _holds_login(value: bytes) -> bool:
    """Tell whether there is a URL with a password, or with a token for a name: RFC 3986, 3.2.1."""
    return any(
        _is_login(word, at + 2, word.rfind(b"@"))
        for word in value.translate(_TO_ADDRESSES).split(b" ")
        if b"//" in word and b"@" in word
        for at in _places(word, b"//")
        if at == 0
        or word[at - 1] in b":=,;(["  # `//user:pass@host` takes the scheme from elsewhere.
    )


def _is_login(word: bytes, start: int, last: int) -> bool:
    """Judge an address: its authority begins at `start`, the last `@` of its word is at `last`."""
    end = _until(word, start, _AUTHORITY_ENDS)
    authority = word[start:end]
    user, mark, _ = authority.rpartition(b"@")
    if mark:
        name, _, password = user.partition(b":")
        return _is_given(password) or credential_formats.begins(name) or _looks_random(name)
    # A password that holds one of the characters at which this ended.
    _, colon, port = authority.partition(b":")
    return last > end and bool(colon and port) and not _DIGITS.issuperset(port)


def _unquoted(value: bytes) -> bytes:
    first, *rest = value.split(b"%")
    return first + b"".join(
        bytes.fromhex(piece[:2].decode()) + piece[2:]
        if len(piece) > 1 and _HEXADECIMAL.issuperset(piece[:2])
        else b"%" + piece
        for piece in rest
    )


def _holds_bare_login(value: bytes) -> bool:
    """Tell whether there is `name:password@host.tld`, as tools take it for a proxy."""
    for word in value.translate(_TO_WORDS).split():
        user, mark, rest = word.rpartition(b"@")
        name, colon, password = user.partition(b":")
        if not (mark and colon and name) or b"/" in name or b"@" in name or b"=" in name:
            continue
        host, _, port = rest.partition(b"/")[0].partition(b":")
        if not password or b"/" in password or (port and not _DIGITS.issuperset(port)):
            continue
        if _is_host(host) and _is_given(password):
            return True
    return False


def _is_host(host: bytes) -> bool:
    if host == b"localhost":
        return True
    if not _HOST.issuperset(host) or b"." not in host:
        return False
    labels = host.split(b".")
    if len(labels) == 4 and all(map(bytes.isdigit, labels)):
        return True
    return len(labels[-1]) >= 2 and _LETTERS.issuperset(labels[-1])


def _looks_random(text: bytes) -> bool:
    return len(text) >= 20 and not _DIGITS.isdisjoint(text) and not _LETTERS.isdisjoint(text)


def _labelled(value: bytes, lower: bytes) -> str:
    """Look for what is said to be a secret: `password=…`, `"token": "…"`, `--token …`, a netrc."""
    if b"=" not in lower and b" " not in lower and b":" not in lower and b"\n" not in lower:
        return ""
    if not any(hint in lower for hint in _HINTS):
        return ""
    words = lower.translate(_TO_WORDS).split()
    if b"password" in words and b"login" in words:  # netrc(5)
        return PASSWORD
    for kinds, kind in ((_PASSWORD_WORDS, PASSWORD), (_TOKEN_WORDS, TOKEN)):
        for word in kinds:
            for at in _places(lower, word):
                if _is_labelled_at(value, lower, at, at + len(word), kind):
                    return kind
    return TOKEN if _holds_bearer(value, lower) else ""


def _holds_bearer(value: bytes, lower: bytes) -> bool:
    """Tell whether there is what follows `Authorization:`: RFC 6750, RFC 7617."""
    field = lower.find(b"authorization")
    for scheme in (b"bearer ", b"basic ", b"token "):
        for at in _places(lower, scheme):
            if scheme != b"bearer " and not 0 <= field < at:
                continue
            start = at + len(scheme)
            end = _end(value, start, _CREDENTIAL)
            if end - start >= _SHORTEST and not _is_within_word(value, at):
                return True
    return False


def _is_labelled_at(value: bytes, lower: bytes, start: int, end: int, kind: str) -> bool:
    """Tell whether a secret stands behind the word from `start` to `end`."""
    first = start
    while first and lower[first - 1] in _NAME and start - first < _LONGEST_NAME:
        first -= 1
    name = value[first:start]
    camel = value[start : start + 1].isupper() and not value[start:end].isupper()
    if name and name[-1] in _WORD and not camel and not name.startswith(b"-D"):
        return False  # `mytoken`; but `authToken`.
    text = _behind(value, first, end)
    if not _is_given(text):
        return False
    has_both = not _DIGITS.isdisjoint(text) and not _LETTERS.isdisjoint(text)
    if name.startswith(b"-D") or (first and value[first - 2 : first] == b"-D"):
        least = _SHORTEST_TOKEN if kind == PASSWORD else _SHORTEST_DEFINED
        return has_both and len(text) >= least
    if kind == PASSWORD:
        # `-Rpass=inline`, `-mllvm -debug-pass=Structure`: compilers have passes, too.
        of_compiler = lower[start:end] == b"pass" and name[:1] == b"-" and name[1:2].isalpha()
        return len(text) >= _SHORTEST_PASSWORD and (has_both or not of_compiler)
    return len(text) >= (_SHORTEST_TOKEN if has_both else _SHORTEST_WORDY)


def _behind(value: bytes, first: int, end: int) -> bytes:
    """Return what is given for the name from `first` to `end`; empty if it is none."""
    at = end
    is_quoted = (at < len(value) and value[at] in _QUOTES) or value[at : at + 2] in (b'\\"', b"\\'")
    while at < len(value) and (value[at] in _QUOTES or value[at] == 0x5C):
        at += 1
    spaced = at
    while at < len(value) and value[at] in b" \t":
        at += 1
    typed = (
        at + 1 + _end(value[at + 1 : at + _LONGEST_NAME], 0, _LETTERS)
    )  # CMake's `-DTOKEN:STRING=…`
    if value[at : at + 1] == b"=":
        at += 1
    elif value[at : at + 1] == b":" and at + 1 < typed and value[typed : typed + 1] == b"=":
        at = typed + 1
    elif value[at : at + 1] == b":" and value[at + 1 : at + 2] not in (b":", b"/"):
        at += 1
        if not is_quoted and value[at : at + 1] not in (b" ", b"\t"):
            return b""  # Folders in a list, a port, a tag.
    elif at > spaced and value[first : first + 2] == b"--":
        return _given(value, at)  # `--token …`
    else:
        return b""
    while at < len(value) and (value[at] in b" \t" or value[at] in _QUOTES or value[at] == 0x5C):
        at += 1
    return _given(value, at)


def _given(value: bytes, at: int) -> bytes:
    text = value[at : at + _LOOKED_AT_MOST]
    return text[: _until(text, 0, _VALUE_ENDS)]


def _is_given(text: bytes) -> bool:
    """Tell whether this may be a secret, and not the name of a variable or a file, or a switch."""
    if not text or text.lower() in _NO_VALUES or _HIDDEN.issuperset(text):
        return False
    if text.startswith((b"${", b"$(", b"%(", b"{{")):
        return False
    return not (text[0] in b"/~." and b"/" in text[1:])


def _is_within_word(value: bytes, at: int) -> bool:
    return at > 0 and value[at - 1] in _WORD


def _places(value: bytes, piece: bytes) -> Iterator[int]:
    at = value.find(piece)
    while at >= 0:
        yield at
        at = value.find(piece, at + 1)


def _end(value: bytes, at: int, alphabet: frozenset[int]) -> int:
    while at < len(value) and value[at] in alphabet:
        at += 1
    return at


def _until(value: bytes, at: int, ends: frozenset[int]) -> int:
    while at < len(value) and value[at] not in ends:
        at += 1
    return at
