"""Values: what has the form of a secret is seen, what builds really use is not."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.rules.secret_values import KEY, KINDS, LOGIN, PASSWORD, TOKEN, WEBHOOK, secret

_RANDOM = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"  # Nobody's.
_PEM = "-----BEGIN {}-----\nMIIEpAIBAAKCAQEA\n-----END {}-----\n"


def _pem(of: str) -> str:
    return _PEM.format(of, of)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


LOGINS = [
    "https://user:pass@example.com/x",
    "http://user:pass@127.0.0.1:3128",
    "https://:pass@example.com",
    "https://user:p%40ss@example.com",
    "https://user:pa/ss@example.com",
    "https://user:pa#ss?@example.com",
    "postgres://u:p@localhost/db",
    "postgresql+psycopg://app:hunter2@db:5432/x",
    "redis://:secret@cache:6379/0",
    "amqps://u:p@h",
    "sparse+https://user:pass@index.example.com/",
    "git+ssh://git:pass@example.com/x.git",
    "https://ghp_abc@github.com/o/r",
    f"https://{_RANDOM}@github.com/o/r",
    f"https://{_RANDOM}:@github.com/o/r",
    "https://x-access-token:abc@github.com",
    "https://oauth2:glpat-x@gitlab.com",
    "-I/usr/include https://one.example,https://user:pass@two.example",
    "https://a.example https://user:pass@b.example",
    "-Dx='https://user:pass@example.com'",
    '{"url":"https:\\/\\/user:pass@example.com"}',
    '--cfg\x1ffrom="https://user:pass@example.com"',
    "user:hunter2@proxy.example.com:3128",
    "user:hunter2@10.0.0.1:3128",
    "user:hunter2@localhost",
    "//user:hunter2@example.com/x",
    "https://example.com/?from=https%3A%2F%2Fuser%3Ahunter2%40example.com",
    "https%3a%2f%2fuser%3ahunter2%40example.com",
]
PRIVATE_KEYS = [
    _pem("PRIVATE KEY"),
    _pem("RSA PRIVATE KEY"),
    _pem("OPENSSH PRIVATE KEY"),
    _pem("ENCRYPTED PRIVATE KEY"),
    _pem("PGP PRIVATE KEY BLOCK"),
    _pem("EC PRIVATE KEY").replace("\n", "\\n"),
    "-DKEY=" + _pem("EC PRIVATE KEY").replace("\n", " "),
    _base64(_pem("PRIVATE KEY")),
    "x=" + _base64(_pem("OPENSSH PRIVATE KEY")) + " y",
    _base64(_pem("CERTIFICATE") + _pem("PRIVATE KEY")),
    base64.encodebytes(_pem("RSA PRIVATE KEY").encode()).decode(),
    "AGE-SECRET-KEY-1QQPQYQSZQGPQYQSZQGPQYQSZQGP",
    "PuTTY-User-Key-File-3: ssh-ed25519",
]
TOKENS = [
    f"ghp_{_RANDOM}",
    f"-DX={'gho_' + _RANDOM}",
    f"ghs_{_RANDOM}",
    f"github_pat_11ABCDEFG0{_RANDOM}_{_RANDOM}",
    "glpat-" + _RANDOM[:20],
    "xoxb-123456789012-123456789012-" + _RANDOM[:24],
    "xoxp-" + _RANDOM[:30],
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    f"sk-ant-api03-{_RANDOM}",
    f"sk-proj-{_RANDOM}",
    f"sk-{_RANDOM}",
    f"npm_{_RANDOM}",
    f"pypi-AgEIcHlwaS5vcmcC{_RANDOM}",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    f"cio{_RANDOM[:32]}",
    f"hf_{_RANDOM}",
    "dop_v1_" + "0123456789abcdef" * 4,
    f"SG.{_RANDOM[:22]}.{_RANDOM}",
    f"sk_live_{_RANDOM}",
    f"hvs.{_RANDOM}",
    f"dckr_pat_{_RANDOM}",
    f"-L/usr/lib,ghp_{_RANDOM}",
    "Authorization: Bearer abcdefgh12345678",
    "authorization: token abcdefgh12345678",
    "Authorization: Basic dXNlcjpwYXNz",
    "http.extraHeader=Authorization: Bearer abcdefgh12345678",
    "PRIVATE-TOKEN: abcd1234efgh",
    "X-Api-Key: abcd1234efgh",
    "https://example.com/x?token=abc123&y=1",
    "https://example.com/x?sv=1&sig=abc123%3D",
    "api_key=abcd1234",
    "client_secret=abcd1234",
    '{"auth": {"token": "abcd1234"}}',
    '{"auths":{"example.com":{"auth":"dXNlcjpodW50ZXIy"}}}',
    "-DTHE_TOKEN:STRING=abcd1234abcd1234",
    "-e AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "{authToken: abcd1234}",
    "--token abcd1234",
    "--api-key=abcd1234",
    "Endpoint=sb://x.example/;SharedAccessKeyName=Root;SharedAccessKey=abcd1234abcd1234=",
    "https://x.example/a?X-Amz-Expires=9&X-Amz-Signature=aaaa1111bbbb2222",
    "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=abcd1234==;EndpointSuffix=y",
    "//registry.example.com/:_authToken=abcd1234efgh",
]
PASSWORDS = [
    "password=hunter2",
    "Server=db;User Id=app;Password=abc;",
    "host=db user=app password=sesame dbname=x",
    "passwd: sesame",
    '{"password":"sesame"}',
    '{\\"password\\":\\"sesame\\"}',
    "-Dx -DDB_PASSWORD=hunter22",
    "--password sesame",
    "--with-passphrase=sesame",
    "machine example.com login me password sesame",
    "default login me password sesame",
    "--pass=sesame",
    "machine example.com\nlogin me\npassword sesame\n",
    "jdbc:mysql://h/db?user=u&password=sesame",
]
HONEST = [
    "",
    "1",
    "-O2 -g -fPIC -DTOKEN=3 -DNDEBUG",
    "-DTOKEN=token_3 -DYY_TOKEN=yytoken_kind_t -DMAX_TOKENS=1024 -DSECRET_SIZE=32",
    "-DPASSWORD_HASH=sha256 -DPASSWORD=1 -DWITH_PASSWORD=ON -DHAVE_GETPASS -DUSE_AUTH=yes",
    "-I/usr/include/sasl -L/usr/lib/pat:/usr/share/token:/usr/lib -lkeyutils -lsecret-1",
    "-Wl,-rpath,/opt/pass:word/lib -Wl,-z,now -Wl,--build-id=sha1",
    "/usr/local/bin:/usr/bin:/bin",
    "/home/me/token/secret/password/key:/home/me/auth",
    "C:\\Program Files\\x",
    '--remap-path-prefix=/home/me/secret=/src --cfg=feature="token" -Ctarget-cpu=native',
    '--cfg\x1ftoken="x"\x1f-Clink-arg=-Wl,--as-needed\x1f-Cmetadata=abc',
    "git@github.com:rust-lang/cargo.git",
    "ssh://git@github.com/rust-lang/cargo",
    "git+ssh://git@github.com:rust-lang/cargo.git",
    "https://me@example.com/x",
    "https://github.com/rust-lang/cargo",
    "sparse+https://index.crates.io/",
    "registry+https://github.com/rust-lang/crates.io-index",
    "https://example.com:8080/@scope/package@1.2.3",
    "https://${USER}:${TOKEN}@example.com",
    "https://user:****@example.com",
    "http://[::1]:3128",
    "http://127.0.0.1:3128",
    "https://registry.npmjs.org/@types/node/-/node-1.0.0.tgz",
    "0123456789abcdef0123456789abcdef01234567",
    "sha256:" + "0123456789abcdef" * 4,
    "alpine:3.19@sha256:" + "0123456789abcdef" * 4,
    "crate:1.2@host",
    "A. Person <a.person@example.com>:B. Person <b@example.com>",
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-gnu:aarch64-unknown-linux-gnu@1.2.3",
    "v1.2.3-rc.1+build.5",
    "1970-01-01T00:00:00Z",
    "sk-SK.UTF-8",
    "task-1234567890123456789012",
    "npm_config_registry npm_lifecycle_event",
    "pypi-attestations",
    "hf_transfer_enabled_everywhere",
    "cioppino",
    "eyJust.a.file",
    "SG.so.1",
    "AKIA",
    "-j --jobserver-fds=3,4 --jobserver-auth=3,4",
    "-j2 --jobserver-auth=fifo:/tmp/GMfifo4711",
    "/run/user/1000/keyring/ssh",
    "password=/run/secrets/db",
    "password=${DB_PASSWORD}",
    "token=$(cat /run/token)",
    "password",
    "password: none",
    "KEY=value;PATH=/x",
    "author=me license=MIT compat=1 signature: std::string_view",
    "std::token::Kind token::first",
    "auth: oauth2",
    "-mllvm -debug-pass=Structure -fplugin-arg-x-pass=all",
    "-Rpass=inline -Rpass-missed=loop -fpass-plugin=/usr/lib/x.so",
    "/usr//lib/x@1:/opt//y:z@w.example",
    "https://example.com/%40scope/x:y 100%",
    "-DWITH_TOKEN:BOOL=ON -DCMAKE_PREFIX_PATH:PATH=/opt/token",
    "secret:8080",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    _base64(_pem("CERTIFICATE")),
    _base64(_pem("PUBLIC KEY")),
    "-flto=auto -fuse-ld=lld -march=native -mtune=generic",
    "cc -pthread -std=c11 -D_FORTIFY_SOURCE=2 --sysroot=/opt/sdk",
    "en_US.UTF-8",
    "/nix/store/9krlzvny65gdc8s7kpb6lkx8cd02c25b-openssl-3.0.13/lib/pkgconfig",
]


@pytest.mark.parametrize("value", LOGINS)
def test_an_address_with_a_password_is_seen(value: str) -> None:
    assert secret(value.encode()) == LOGIN
    assert secret(f"-O2 {value} -g".encode()) in (LOGIN, TOKEN)


@pytest.mark.parametrize("value", PRIVATE_KEYS)
def test_a_private_key_is_seen(value: str) -> None:
    assert secret(value.encode()) == KEY


@pytest.mark.parametrize("value", TOKENS)
def test_a_token_is_seen(value: str) -> None:
    assert secret(value.encode()) == TOKEN
    assert secret(f"-O2 {value} -g".encode()) == TOKEN
    assert secret(f"-DX={value}".encode()) in KINDS


@pytest.mark.parametrize("value", PASSWORDS)
def test_a_password_is_seen(value: str) -> None:
    assert secret(value.encode()) == PASSWORD


def test_the_address_of_a_webhook_is_seen() -> None:
    assert secret(b"https://hooks.slack.com/services/T000/B000/XXXX") == WEBHOOK


@pytest.mark.parametrize("value", HONEST)
def test_what_builds_use_is_none(value: str) -> None:
    assert secret(value.encode()) == ""
    assert secret(f"-O2 {value}".encode()) == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(value: bytes) -> None:
    assert secret(value) in ("", *KINDS)


@given(st.text(alphabet="ab1/:@. ", max_size=40), st.text(alphabet="ab1/:. ,;\"'", max_size=40))
def test_no_surroundings_hide_an_address(before: str, after: str) -> None:
    assert secret(f"{before} https://user:sesame1@example.com {after}".encode()) == LOGIN


@pytest.mark.parametrize(
    "piece",
    [
        b"pass=${",
        b"pass=/a/",
        b"Pass",
        b"token={{",
        b"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        b"bearer ",
        b"@:///",
        b"eyJ.a.",
    ],
)
def test_to_judge_a_long_value_takes_no_longer_than_its_length_does(piece: bytes) -> None:
    """Crates choose values, of DEP_* say; Linux takes 128 KiB of each: execve(2), "Limits"."""
    began = time.process_time()
    for _ in range(4):
        secret(piece * (16_000 // len(piece)) + b"." * _)
    short = time.process_time() - began
    began = time.process_time()
    secret(piece * (128_000 // len(piece)))
    long = time.process_time() - began

    assert long < 40 * max(short / 4, 0.001)
