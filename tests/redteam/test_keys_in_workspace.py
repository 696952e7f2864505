"""Keys and passwords in the workspace, where no known place for them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.rules import sensitive, tier
from tests.git_repository import git
from tests.redteam.sensitive_files import linked, planted, was_read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench import Bench

_PRIVATE = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----\n"
_PUBLIC = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
_NAMES = str.split("""
    certs/prod.pem id.p12 deploy/master.key .vault_pass .vault-pass.txt .cargo/config.toml
    store.jks a/b/c/d/e/f/g/store.keystore client.pfx team.kdbx vpn/office.ovpn putty.ppk
    infra/terraform.tfstate infra/terraform.tfstate.backup infra/prod.tfvars .env.production .ENV
    PROD.PEM certs/prod.pem.bak certs/prod.pem~ .env~ #.env# .prod.pem.swp deploy/master.key.old
    .hidden/deploy.key id_ed25519_sk id_rsa_work id_ed25519.old service-account-prod.json
    gcp_credentials.json config/secrets.yml config/db-secrets.yaml .htpasswd .pgpass .my.cnf
    kubeconfig local.settings.json rclone.conf AuthKey_X.p8 docker.env .envrc .netrc _netrc
    .dockercfg .docker/config.json terraform.rc .npmrc .pypirc app.mobileprovision crate/prod.pem
    dot_netrc dotfiles/private_dot_ssh/config dotfiles/dot-aws/x
""")
_CONTENTS = {
    "ci/deploy_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n",
    "key.txt": "# created: today\nAGE-SECRET-KEY-1QQ\n",
    "release.asc": "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\n",
    "project-1a2b3c.json": '{"type": "service_account", "private_key": "x"}',
    "both.crt": _PUBLIC + _PRIVATE,
    "deploy/rsa.private": _PRIVATE,
    "conf/application-prod.properties": "jwt.key=" + _PRIVATE,
    "random.key": "0123456789abcdef0123456789abcdef\n",
    "wg-office.conf": "[Interface]\nPrivateKey = abc\n",
}
_ORDINARY = {
    "certs/ca.pem": _PUBLIC,
    "certs/chain.pem": _PUBLIC * 3,
    "certs/site.crt": _PUBLIC,
    "site.csr": "-----BEGIN CERTIFICATE REQUEST-----\n",
    "id_rsa.pub": "ssh-rsa AAAA",
    "rsa.key": "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n",
    "slides.key": "PK" + "x" * 40_000,
    ".env.example": "TOKEN=",
    ".env.sample": "TOKEN=",
    "example.env": "TOKEN=",
    "credentials.yml.enc": "x",
    "src/credentials.rs": "pub struct Credentials;",
    "src/secrets/mod.rs": "pub mod x;",
    "signature.asc": "-----BEGIN PGP SIGNATURE-----\n",
    "release.gpg": "x",
    "notes.txt": "the key is in the safe",
    "package.json": '{"name": "x"}',
    "keys.proto": "syntax",
    "tokens.json": "[]",
    "keymap.toml": "a = 1",
    "config/settings.toml": "a = 1",
    ".cargo/audit.toml": "a = 1",
    "conf/application.properties": "a = 1",
    "Makefile": "all:",
}


def _planted(bench: Bench) -> list[Path]:
    keys = [planted(bench.workspace / name) for name in _NAMES]
    return keys + [planted(bench.workspace / name, text) for name, text in _CONTENTS.items()]


def test_no_key_of_the_workspace_is_read_while_learning(bench: Bench) -> None:
    keys = _planted(bench)
    honest = [planted(bench.workspace / name, text) for name, text in _ORDINARY.items()]

    assert was_read(bench, *keys, *honest) == honest


def test_no_wildcard_opens_a_key_of_the_workspace(own_bench: Bench) -> None:
    keys = [path for path in _planted(own_bench) if own_bench.package not in path.parents]
    honest = planted(own_bench.workspace / "certs/ca.pem", _PUBLIC)
    folders = {path.relative_to(own_bench.workspace).parts[0] for path in keys}
    tops = [folder for folder in folders if (own_bench.workspace / folder).is_dir()]
    own_bench.grants["read"] = [f"$WORKSPACE/{folder}/**" for folder in tops]
    own_bench.grants["read"] += ["$WORKSPACE/*", "$WORKSPACE/**/*.pem"]

    assert was_read(own_bench, *keys, honest, profile="enforcing") == [honest]


def test_an_exact_grant_opens_a_key(own_bench: Bench) -> None:
    key, other = (planted(own_bench.workspace / f"certs/{name}.pem", _PRIVATE) for name in "ab")
    own_bench.grants["read"] = ["$WORKSPACE/certs/a.pem"]

    assert was_read(own_bench, key, other, profile="enforcing") == [key]


def test_a_key_is_found_among_many_files(own_bench: Bench) -> None:
    for folder in range(30):
        for number in range(100):
            planted(own_bench.workspace / f"data/{folder}/{number}.txt", "")
    key = planted(own_bench.workspace / "data/29/deep/down/prod.pem", _PRIVATE)

    assert was_read(own_bench, key) == []


def test_a_link_that_is_called_like_a_key_closes_what_it_leads_to(own_bench: Bench) -> None:
    vault = planted(own_bench.top / "mnt/vars")
    linked(own_bench.workspace / "deploy/.env", vault)

    assert was_read(own_bench, vault) == []


def test_a_package_lists_its_folder_and_reads_its_test_keys(bench: Bench) -> None:
    fixture = planted(bench.package / "tests/data/key.pem", _PRIVATE)
    own = planted(bench.package / "deploy.key", _PRIVATE)
    planted(bench.package / ".cargo/config.toml")
    others = planted(bench.workspace / "other/tests/key.pem", _PRIVATE)
    listed = [bench.package, bench.package / "tests", bench.package / "tests/data"]

    for profile in ("learning", "enforcing"):
        read = was_read(bench, fixture, own, others, *listed, profile=profile)
        assert read == [fixture, *listed]
    assert was_read(bench, others, bench.workspace) == [bench.workspace]


def test_a_published_package_reads_its_own_keys(own_bench: Bench) -> None:
    keys = [planted(own_bench.package / name, _PRIVATE) for name in ("a.pem", "k.p12", "x.key")]
    planted(own_bench.package / ".cargo-checksum.json", "{}")  # As `cargo vendor` does.

    for profile in ("learning", "enforcing"):
        assert was_read(own_bench, *keys, profile=profile) == keys


def test_a_package_reads_its_sources_that_are_named_after_credentials(bench: Bench) -> None:
    own = planted(bench.package / "src/builtins/50-aws-credentials.toml", '[mappings]\n"INI" = []')
    others = planted(bench.workspace / "other/src/50-aws-credentials.toml", "a = 1")
    keys = [
        planted(bench.package / "src" / name, text)
        for name, text in {
            "credentials.toml": "a = 1",
            "credentials.json": "{}",
            ".env": "A=1",
            "id_rsa": "x",
            "prod.pem": _PRIVATE,
            ".npmrc": "x=1",
            "aws-credentials.ini": "aws_secret_access_key = 0123456789abcdefghij",
            "gcp-credentials.json": '{"private_key": "x"}',
            "old-aws-credentials.toml.bak": "a = 1",
            "app-secrets.toml": "a = 1",
        }.items()
    ]
    git(bench.workspace, "init")
    git(bench.workspace, "add", "--all", "--force")
    git(bench.workspace, "update-index", "--index-version=2")
    untracked = planted(bench.package / "src/builtins/51-aws-credentials.toml", "a = 1")

    for profile in ("learning", "enforcing"):
        assert was_read(bench, own, others, untracked, *keys, profile=profile) == [own]


def test_keys_beside_the_workspace_are_not_read(own_bench: Bench) -> None:
    # As in /srv/build, where no home folder is.
    keys = [own_bench.top / name for name in (".env", "deploy.key", ".cargo/config.toml")]
    assert was_read(own_bench, *map(planted, keys), plain := planted(own_bench.top / "x")) == [
        plain
    ]


def test_a_key_that_is_made_later_is_told_of(own_bench: Bench) -> None:
    # It is there when the command has looked already.
    key = own_bench.workspace / "certs/late.pem"
    looked = tier.find(
        {**own_bench.session("learning")["places"]},
        b"/usr/bin:/bin",
        {},
        {bytes(own_bench.package): True},
    )
    planted(key, _PRIVATE)
    assert looked["held"] == {}
    assert sensitive.why_content("$WORKSPACE/certs/late.pem", bytes(key)) == "a private key"
    assert sensitive.why_content("$MANIFEST_DIR/tests/late.pem", bytes(key)) == ""
