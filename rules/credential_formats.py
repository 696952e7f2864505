"""Tokens that are known by their prefix or form: `ghp_…`, `glpat-…`, `eyJ….….…`.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGITS = frozenset(b"0123456789")
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
_UPPER = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ") | _DIGITS
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_WORD = _LETTERS | _DIGITS
_URL_SAFE = _WORD | frozenset(b"-_")  # Of base64url, without the padding.
_NAME = _URL_SAFE | frozenset(b".")
_DIGIT_BYTES = bytes(sorted(_DIGITS))
_TO_TOKENS = bytes(byte if byte in _NAME else 0x20 for byte in range(256))
_TO_PIECES = bytes(byte if byte in _WORD else 0x20 for byte in range(256))

# How tokens begin by which services tell their own, what they go on with, and for how long at
# least. The real ones are longer; GitHub's secret scanning and gitleaks list them.
_BEGINNINGS: tuple[tuple[bytes, frozenset[int], int], ...] = (
    *((each, _WORD, 16) for each in (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_")),
    (b"github_pat_", _URL_SAFE, 16),
    *(
        (each, _URL_SAFE, 16)
        for each in b"glpat- glptt- gldt- glrt- glcbt- glsoat- glft- glimt- glagent- gloas-".split()
    ),
    *((each, _URL_SAFE, 10) for each in b"xoxa- xoxb- xoxc- xoxd- xoxe- xoxp- xoxr- xoxs-".split()),
    (b"xapp-", _URL_SAFE, 16),
    (b"AKIA", _UPPER, 16),
    (b"ASIA", _UPPER, 16),
    (b"ABSK", _URL_SAFE, 40),
    (b"FwoGZXIvYXdz", _URL_SAFE, 16),
    (b"IQoJb3JpZ2luX2Vj", _URL_SAFE, 16),
    (b"sk-ant-", _URL_SAFE, 16),
    (b"sk-proj-", _URL_SAFE, 16),
    (b"sk-or-", _URL_SAFE, 16),
    (b"sk-svcacct-", _URL_SAFE, 16),
    (b"sk-", _WORD, 20),
    (b"npm_", _WORD, 20),
    (b"pypi-Ag", _URL_SAFE, 16),
    (b"AIza", _URL_SAFE, 30),
    (b"ya29.", _URL_SAFE, 20),
    (b"GOCSPX-", _URL_SAFE, 16),
    (b"cio", _WORD, 30),
    (b"hf_", _WORD, 20),
    *((each, _HEXADECIMAL, 20) for each in b"dop_v1_ doo_v1_ dor_v1_".split()),
    *((each, _WORD, 10) for each in b"sk_live_ rk_live_ sk_test_ rk_test_ whsec_".split()),
    *((each, _HEXADECIMAL, 20) for each in b"shpat_ shpca_ shppa_ shpss_".split()),
    *((each, _URL_SAFE, 20) for each in (b"hvs.", b"hvb.", b"hvr.")),
    (b"dckr_pat_", _URL_SAFE, 16),
    (b"dckr_oat_", _URL_SAFE, 16),
    (b"dapi", _HEXADECIMAL, 32),
    (b"lin_api_", _WORD, 20),
    (b"PMAK-", _URL_SAFE, 20),
    (b"NRAK-", _WORD, 20),
    (b"sq0atp-", _URL_SAFE, 16),
    (b"sq0csp-", _URL_SAFE, 16),
    (b"ATATT3", _URL_SAFE, 20),
    (b"ATCTT3", _URL_SAFE, 20),
    (b"figd_", _URL_SAFE, 16),
    (b"glsa_", _URL_SAFE, 20),
    (b"pul-", _HEXADECIMAL, 40),
    (b"ops_eyJ", _URL_SAFE, 20),
    (b"tskey-", _URL_SAFE, 16),
    (b"rubygems_", _HEXADECIMAL, 40),
    (b"nvapi-", _URL_SAFE, 20),
    (b"gsk_", _WORD, 20),
    (b"r8_", _WORD, 30),
    (b"EZAK", _WORD, 40),
    (b"phc_", _WORD, 30),
    (b"sntrys_", _URL_SAFE, 16),
    (b"sntryu_", _HEXADECIMAL, 40),
    (b"CFPAT-", _URL_SAFE, 20),
    (b"lsv2_pt_", _URL_SAFE, 20),
    (b"lsv2_sk_", _URL_SAFE, 20),
)
_MIXED = frozenset((b"sk-", b"cio", b"npm_", b"hf_", b"r8_"))  # Only with digits: else words.
_BY_FIRST: dict[int, list[tuple[bytes, frozenset[int], int]]] = {}
for _each in _BEGINNINGS:  # Once each: a supervisor does this at every start.
    _BY_FIRST.setdefault(_each[0][0], []).append(_each)
_STARTS = (*(each for each, _, _ in _BEGINNINGS), b"eyJ", b"SG.")
_MARKS = tuple(each for each in _STARTS if each[-1:] in b"_-.")  # No name begins so.
_FIRST = frozenset(each.translate(_TO_PIECES).split()[0] for each in _STARTS if not each.isalnum())
_SOLID = tuple(each for each in _STARTS if each.isalnum())
_SHORTEST_BEGINNING = 14  # Bytes of a token with its beginning.
_LONGEST_TOKEN = 4096  # Bytes of one with dots that are looked at.
_WITHIN = b".atlasv1."  # Terraform's have their mark in the middle.


def found(value: bytes) -> bool:
    """Tell whether there is a token in `value`."""
    if _WITHIN in value:
        return True
    pieces = value.translate(_TO_PIECES).split()  # Quicker than what follows, and mostly enough.
    if _FIRST.isdisjoint(pieces) and not any(piece.startswith(_SOLID) for piece in pieces):
        return False
    return any(
        _is_token_at(word, at)
        for word in value.translate(_TO_TOKENS).split(b" ")
        if len(word) >= _SHORTEST_BEGINNING and word.translate(None, _DIGIT_BYTES) != word
        for at in _starts(word)
    )


def _starts(word: bytes) -> Iterator[int]:
    """Yield where in a word a token may begin."""
    for at in range(len(word) - _SHORTEST_BEGINNING + 1):
        if (at == 0 or word[at - 1] not in _WORD) and word[at] in _WORD:
            yield at


def _is_token_at(word: bytes, at: int) -> bool:
    if not word.startswith(_STARTS, at):
        return False
    for beginning, alphabet, least in _BY_FIRST.get(word[at], ()):
        if word.startswith(beginning, at):
            start = at + len(beginning)
            end = _end(word, start, alphabet)
            if end - start >= least:
                return beginning not in _MIXED or not _DIGITS.isdisjoint(word[start:end])
    pieces = word[at : at + _LONGEST_TOKEN].split(b".", 3)
    if len(pieces) < 3:
        return False
    if word.startswith(b"eyJ", at):  # JSON Web Token, RFC 7519: `eyJ` is `{"`.
        return len(pieces[0]) >= 10 and len(pieces[1]) >= 8
    return pieces[0] == b"SG" and len(pieces[1]) >= 16 and len(pieces[2]) >= 16  # SendGrid's.


def begins(text: bytes) -> bool:
    """Tell whether a name in an address is a token: there, how long it is does not matter."""
    return text.startswith(_MARKS)


def _end(text: bytes, at: int, alphabet: frozenset[int]) -> int:
    while at < len(text) and text[at] in alphabet:
        at += 1
    return at
