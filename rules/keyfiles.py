"""Files of keys and passwords, by their usual names and by what is in them.

Names are compared without regard to letter case, and to what editors and people put around the name
of a copy: `PROD.PEM`, `.env~`, `master.key.old`, `.id_rsa.swp`.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = "a private key, or a file that usually holds one"
SETTINGS = "a file of settings that usually holds passwords"
CARGO_SETTINGS = "Cargo's settings, which may hold tokens"
_CREDENTIALS = "credentials"
_STORE = "a store of keys or passwords"
_CLOUD = "cloud credentials"
_PASSWORDS = "a file that usually holds passwords or tokens"
_DEPLOYED = "state and variables of a deployment: they hold passwords"

_STORES = (
    *(".p12", ".pfx", ".pkcs12", ".jks", ".jceks", ".bks", ".uber", ".keystore", ".kdbx", ".kdb"),
    *(".keychain", ".keychain-db", ".keytab", ".wallet", ".psafe3", ".agekey"),
)
_KEYS = (
    *(".ppk", ".pvk", ".snk", ".pk8", ".pkcs8", ".p8", ".ovpn", ".pcf", ".mobileprovision"),
    *(".provisionprofile", ".jwk", ".nkey", ".creds"),
)
_DEPLOYMENTS = (".tfstate", ".tfvars", ".tfvars.json", ".auto.tfvars", ".tfstate.json")
_ENDINGS = (
    *((ending, _STORE) for ending in _STORES),
    *((ending, KEY) for ending in _KEYS),
    *((ending, _DEPLOYED) for ending in _DEPLOYMENTS),
    *((ending, _CLOUD) for ending in (".kubeconfig", ".publishsettings")),
    *((ending, _PASSWORDS) for ending in (".htpasswd", ".dockerconfigjson", ".npmrc", ".netrc")),
)
_ALL_ENDINGS = tuple(ending for ending, _ in _ENDINGS)
_NAMES = {
    **dict.fromkeys((".envrc", "local.settings.json", "wp-config.php", "my.cnf"), SETTINGS),
    **dict.fromkeys(
        (
            *(".dockerconfigjson", ".secret", ".secrets", ".token", ".tokens", ".password"),
            *(".passwd", ".passwords", "passwords.txt", "password.txt", "passphrase.txt"),
            *("passphrase", "apikey.txt", "api_key.txt", "api-key.txt", "pgpass.conf"),
            *(".mylogin.cnf", ".sentryclirc", ".databrickscfg", "rclone.conf", "auth.json"),
            *(".vault-token", ".terraformrc", "terraform.rc"),
        ),
        _PASSWORDS,
    ),
    **dict.fromkeys(("kubeconfig", "kube.config", "kubeconfig.yml", "kubeconfig.yaml"), _CLOUD),
    **dict.fromkeys(
        ("secring.gpg", "secring.kbx", "secring.pgp", "key4.db", "logins.json"), _STORE
    ),
    **dict.fromkeys(("cwallet.sso", "ewallet.p12", "wallet.dat", "default.keyring"), _STORE),
}
_DATA = (
    *(".json", ".toml", ".yml", ".yaml", ".ini", ".xml", ".csv", ".cfg", ".conf", ".properties"),
    *(".txt", ".plist", ".tfvars", ".php", ".env"),
)
_DATA_OF_SECRETS = tuple(ending for ending in _DATA if ending != ".csv")
_SAMPLES = frozenset(("example", "sample", "template", "dist", "defaults", "schema", "tmpl", "tpl"))
_COPIES = (
    *("~", ".bak", ".backup", ".old", ".orig", ".save", ".saved", ".copy", ".swp", ".swo", ".swn"),
    *(".tmp", ".new", ".prev", ".previous", ".disabled", ".off", ".rpmsave", ".rpmnew"),
    *(".dpkg-old", ".dpkg-dist", ".dpkg-new", "-old", "-bak", "-backup"),
)
_DOTTED = ("dot_", "dot-")
_SSH = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_xmss")
_PUBLIC = (".pub", ".crt", ".cer", ".csr", ".crl", ".enc", ".gpg", ".age", ".asc", ".sops", ".md")

_AT_START = (
    *(*_DOTTED, "private_", "encrypted_", *_SSH, "ssh_host_", ".vault", "vault_pass", "vault-pass"),
    *("service-account", "service_account", "client_secret", "client-secret", "wg"),
)
"""How names begin that `plain` or `by_name` may have something to say about."""
_WITHIN = ("env", "secret", "credential", "serviceaccount", "firebase")
"""What else is in such a name."""
_AT_END: dict[str, tuple[bool, tuple[str, ...]]] = {}
_AT_END_MOST = 1024

UNSURE = (".pem", ".key", ".der", ".asc", ".gpg", ".pgp", ".age", ".crt", ".cer", ".cert", ".conf")
"""Endings of files that are keys or are not, as their content says."""
_HOLDERS = (  # Endings of files that hold a key among other things, or are one by an odd name.
    *(".json", ".txt", ".yml", ".yaml", ".properties", ".ini", ".cfg", ".identity"),
    *(".private", ".priv", ".prv", ".rsa", ".dsa", ".ecdsa", ".ed25519", ".openssh", ".pkcs1"),
)
LOOKED_INTO_MOST = 1 << 16
"""Bytes of a file that are looked at."""
_SMALL = 1 << 14  # Bytes that a key in a file of another name has at most.
_SHOWN = (
    *("CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE", "X509 CRL", "PUBLIC KEY"),
    *("RSA PUBLIC KEY", "EC PUBLIC KEY", "DSA PUBLIC KEY", "EC PARAMETERS", "DH PARAMETERS"),
    *("X9.42 DH PARAMETERS", "DSA PARAMETERS", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
    *("PKCS7", "CMS", "PKCS #7 SIGNED DATA", "ATTRIBUTE CERTIFICATE", "SSH2 PUBLIC KEY"),
    *("PGP PUBLIC KEY BLOCK", "PGP SIGNATURE", "PGP MESSAGE", "PGP SIGNED MESSAGE"),
    *("AGE ENCRYPTED FILE", "SSH SIGNATURE", "TIMESTAMP", "OCSP RESPONSE"),
)
_PUBLIC_BLOCKS = frozenset(name.encode() for name in _SHOWN)  # RFC 7468 and its like.
_MARKS = (b"PRIVATE KEY-----", b"PRIVATE KEY BLOCK-----", b"AGE-SECRET-KEY-", b"AGE-PLUGIN-")
_ACCOUNTS = (b'"private_key"', b'"client_secret"', b'"refresh_token"', b"client-key-data:")
_TUNNEL = b"PrivateKey"  # wg(8)


def by_name(name: str) -> str:
    """Say why a file of this name is taken for one of keys or passwords; empty if it is not.

    Says nothing about names that hold keys sometimes: see `by_content`.
    """
    return "" if is_ordinary(name) else _by_name(name)


def is_ordinary(name: str) -> bool:
    """Tell at a glance that neither `by_name` nor `plain` has anything to say about a name.

    Most names are so, and scripts read them by the ten thousand. False says nothing.
    """
    stem, dot, ending = name.rpartition(".")
    if not stem or name[0] in "#." or not name.isascii() or not name.islower():
        return False
    found = _AT_END.get(ending)
    if found is None:
        found = _endings_like(dot + ending)
        if len(_AT_END) < _AT_END_MOST:
            _AT_END[ending] = found
    if not found[0] or name.endswith(found[1]) or name.startswith(_AT_START) or name in _NAMES:
        return False
    return not any(map(name.__contains__, _WITHIN))


def _endings_like(ending: str) -> tuple[bool, tuple[str, ...]]:
    """Return whether an ending is one of ordinary files, and which longer ones would not be so."""
    known = (*_ALL_ENDINGS, *_COPIES)
    is_told = ending.endswith(known) or ending[-1:].isdecimal()
    return not is_told, tuple(each for each in known if each.endswith(ending))


def _by_name(name: str) -> str:
    bare = plain(name)
    if is_environment_file(bare):
        return SETTINGS
    reason = _NAMES.get(bare, "")
    if reason:
        return reason
    stem, dot, ending = bare.rpartition(".")
    if ending in _SAMPLES or (stem and _is_sample(stem)):
        return ""
    if bare.endswith(_ALL_ENDINGS):
        return next(held for known, held in _ENDINGS if bare.endswith(known))
    if bare.startswith(_SSH) and not bare.endswith(_PUBLIC):
        known = next(known for known in _SSH if bare.startswith(known))
        if bare[len(known) : len(known) + 1] in ("", "_", "-", "."):
            return "a private ssh key"
    if bare.startswith("ssh_host_") and bare.endswith("_key"):
        return "a private ssh key"
    if bare.startswith((".vault_pass", ".vault-pass", "vault_pass", "vault-pass")):
        return "a password of Ansible's vault"
    return _by_stem(bare, stem if dot else bare, f".{ending}" if dot else "")


def _by_stem(bare: str, stem: str, ending: str) -> str:
    if ".enc" in bare or "sealed" in stem or bare.endswith((".rs", ".md")):
        return ""
    if ending == ".json" and stem.startswith(("service-account", "service_account")):
        return _CLOUD
    if ending == ".json" and ("serviceaccount" in stem or "firebase-adminsdk" in stem):
        return _CLOUD
    if ending == ".json" and stem.startswith(("client_secret", "client-secret")):
        return _CLOUD
    if ending in _DATA_OF_SECRETS:
        words = stem.replace("-", ".").replace("_", ".").split(".")
        if not {"secret", "secrets"}.isdisjoint((words[0], words[-1])):
            return _PASSWORDS
    if ending == ".conf" and stem.startswith("wg") and stem[2:].isdecimal():
        return "a private key of a tunnel"
    return _CREDENTIALS if ending in _DATA and "credential" in stem else ""


def is_vague(name: str) -> bool:
    """Tell whether a name only speaks of credentials, among other words: `aws-credentials.toml`."""
    bare = name.lower()
    if by_name(name) != _CREDENTIALS or bare != plain(name):
        return False
    stem = bare.rpartition(".")[0]
    words = stem.replace("-", ".").replace("_", ".").split(".")
    return any(word.isalpha() and "credential" not in word for word in words)


def is_environment_file(name: str) -> bool:
    """Tell whether a name, in lower case, is one of a file of variables: `.env`, `prod.env`."""
    if name in (".env", ".flaskenv"):
        return True
    parts = name.replace("-", ".").replace("_", ".").split(".")
    if any(part.startswith(("example", "sample", "template", "dist")) for part in parts):
        return False
    if not _SAMPLES.isdisjoint(parts):
        return False
    if name.startswith((".env.", ".env-", ".env_")):
        return True
    return name.endswith(".env") and len(name) > len(".env")


def is_cargo_settings(components: list[str]) -> bool:
    """Tell whether a path ends in Cargo's settings: `.cargo/config.toml`, or as it was called."""
    return (
        len(components) > 1
        and components[-2].lower() == ".cargo"
        and plain(components[-1]) in ("config.toml", "config")
    )


def plain(name: str) -> str:
    """Return a name in lower case, without what marks a copy of a file."""
    if is_ordinary(name):
        return name
    name = name.lower()
    while True:
        shorter = name
        if len(name) > 2 and name.startswith("#") and name.endswith("#"):
            shorter = name[1:-1]
        elif name.startswith(".#"):  # Emacs's lock, and CVS's copies.
            shorter = name[2:]
        elif name.startswith(_DOTTED):  # stow(8) --dotfiles, and chezmoi.
            shorter = f".{name[4:]}"
        elif name.startswith(("private_", "encrypted_")) and len(name) > len("encrypted_"):
            shorter = name.partition("_")[2]
        elif name.endswith((".swp", ".swo", ".swn")) and name.startswith("."):
            shorter = name[1:-4]
        elif name.endswith(_COPIES):
            shorter = name.removesuffix(next(end for end in _COPIES if name.endswith(end)))
        elif name[-1:].isdecimal() and name.rpartition(".")[2].isdecimal():
            shorter = name.rpartition(".")[0]
        if shorter == name or not shorter.strip("."):
            return name
        name = shorter


def is_unsure(name: str) -> bool:
    """Tell whether only the content of a file of this name says whether it is a key."""
    bare = plain(name)
    stem, dot, _ = bare.rpartition(".")
    if bare.endswith(UNSURE):
        return True
    if bare.endswith(_HOLDERS):
        return True
    return not dot or not stem  # `deploy_key`, `.secret-key`.


def may_be_key(name: str) -> bool:
    """Tell whether a file is named like a key, as other files can be, too."""
    return plain(name).endswith((".pem", ".key", ".der", ".asc", ".age"))


def by_content(path: bytes) -> str:
    """Look into the file at `path` for keys; say what was found, empty if nothing was.

    What is called like a key counts as one unless it shows that it is public. Links are not
    followed, and nothing but a file is opened. A file that cannot be read is nobody's here.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or not about.st_size:
            return ""
        bare = plain(os.path.basename(path).decode("utf-8", "replace"))
        if about.st_size > _SMALL and not bare.endswith(UNSURE):
            return ""
        text = os.pread(descriptor, LOOKED_INTO_MOST, 0)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return _judged(bare, text, about.st_size)


def _judged(bare: str, text: bytes, size: int) -> str:
    if any(mark in text for mark in _MARKS):
        return "a private key"
    if bare.endswith((".json", ".yml", ".yaml")) or "." not in bare:
        if any(mark in text for mark in _ACCOUNTS):
            return "credentials"
        if "." not in bare or not bare.endswith(UNSURE):
            return ""
    if bare.endswith(".conf"):
        return "a private key of a tunnel" if _TUNNEL in text else ""
    if bare.endswith((".pem", ".key", ".der")):
        return "" if _is_public(bare, text, size) else KEY
    if bare.endswith(".age"):
        return "" if text.startswith((b"age-encryption.org/", b"-----BEGIN AGE ENC")) else KEY
    if bare.endswith((".gpg", ".pgp")):  # A packet with a secret key: RFC 4880, 4.2 and 4.3.
        return KEY if text[0] in (0x94, 0x95, 0x96, 0xC5) else ""
    if bare.endswith((".crt", ".cer", ".cert")):
        return KEY if _is_private_der(text) else ""
    return ""


def _is_public(bare: str, text: bytes, size: int) -> bool:
    labels = _labels(text)
    if labels:
        return _PUBLIC_BLOCKS.issuperset(labels)
    if _der_length(text) == size:
        return not _is_private_der(text)
    # Data of other programs is called so, too; keys are small.
    return bare.endswith(".key") and size > _SMALL


def _labels(text: bytes) -> list[bytes]:
    """List what blocks there are: `-----BEGIN CERTIFICATE-----`."""
    pieces = text.split(b"-----BEGIN ")[1:]
    return [piece.partition(b"-----")[0].strip() for piece in pieces]


def _der_length(text: bytes) -> int:
    """Return how long a DER sequence says that it is with its header (X.690, 8.1.3); 0 if none."""
    if text[:1] != b"\x30" or len(text) < 8:
        return 0
    count = text[1] & 0x7F
    if text[1] < 0x80:
        return 2 + count
    return 2 + count + int.from_bytes(text[2 : 2 + count], "big")


def _is_private_der(text: bytes) -> bool:
    """Tell a private key from a public one or a certificate: a version comes first in it.

    RFC 5958 (PKCS #8), RFC 8017 A.1.2 (RSA), RFC 5915 (EC): SEQUENCE, then INTEGER 0 or 1.
    """
    if text[:1] != b"\x30" or len(text) < 8:
        return False
    length = text[1]
    at = 2 if length < 0x80 else 2 + (length & 0x7F)
    return text[at : at + 2] == b"\x02\x01" and text[at + 2 : at + 3] in (b"\0", b"\1")


def _is_sample(stem: str) -> bool:
    parts: Iterable[str] = stem.replace("-", ".").replace("_", ".").split(".")
    return any(part in ("example", "sample", "template") for part in parts)
