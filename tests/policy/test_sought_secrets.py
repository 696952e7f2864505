"""What is looked for in the empty home: secrets by thieves, settings by honest tools."""

from __future__ import annotations

import pytest

from buildperm.policy.sought_secrets import sought, why
from buildperm.rules import sensitive

SCRIPT = "$TARGET_DIR/debug/build/a-1/buildperm/program"
SECRETS = str.split("""
    .ssh .ssh/id_ed25519 .ssh/work/key .gnupg .gnupg/private-keys-v1.d/x.key .aws/credentials .azure
    .kube/config .docker/config.json .config/gcloud/application_default_credentials.json
    .cargo/credentials .cargo/credentials.toml .pypirc .gem/credentials .git-credentials
    .config/gh/hosts.yml .mozilla/firefox/profiles.ini .config/google-chrome/Default/Cookies
    .local/share/keyrings/login.keyring .password-store .bitcoin/wallet.dat .config/solana/id.json
    .bash_history .claude/.credentials.json .vault-token
""")
HABITS = str.split("""
    .netrc _netrc .npmrc .yarnrc .curlrc .config/curlrc .gitconfig .config/git/config .wget-hsts
    .my.cnf .pgpass .Xauthority .gem/ruby/3.1.0/specifications .pki/nssdb .config/pip/pip.conf
    .cargo/config.toml .ssh/config .ssh/known_hosts .config/configstore/x.json .m2/settings.xml
    .nuget/NuGet/NuGet.Config .gradle/gradle.properties .python_history .sshx .dockerignore .env
    .config/uv/uv.toml .cache/x
""")


@pytest.mark.parametrize("below", SECRETS)
def test_a_script_that_looks_for_a_secret_is_after_it(below: str) -> None:
    secret = sought(f"$TMP/home/{below}", SCRIPT)

    assert secret == f"$HOME/{below}"
    assert sensitive.why(secret, writing=False)
    assert why(secret).endswith("; it saw an empty home")


@pytest.mark.parametrize("below", HABITS)
def test_what_tools_look_for_by_themselves_says_nothing(below: str) -> None:
    assert sought(f"$TMP/home/{below}", SCRIPT) == ""


@pytest.mark.parametrize("target", ["$HOME/.ssh/id_rsa", "$TMP/.ssh/id_rsa", "$OUT_DIR/.ssh/x"])
def test_other_places_are_none_of_this(target: str) -> None:
    assert sought(target, SCRIPT) == ""


@pytest.mark.parametrize(
    ("program", "below", "is_habit"),
    [
        ("/usr/bin/ssh", ".ssh/id_rsa", True),
        ("/usr/bin/gpg", ".gnupg/pubring.kbx", True),
        ("/usr/lib/git-core/git-credential-store", ".git-credentials", True),
        ("$SYSROOT/bin/cargo", ".cargo/credentials.toml", True),
        ("/usr/bin/dash", ".bash_history", True),
        ("/usr/bin/dash", ".ssh/id_rsa", False),
        ("/usr/bin/curl", ".ssh/id_rsa", False),
        ("/usr/bin/python3.11", ".aws/credentials", False),
        ("$OUT_DIR/ssh", ".ssh/id_rsa", False),
        ("$MANIFEST_DIR/bin/gpg", ".gnupg", False),
        ("/tmp/ssh", ".ssh/id_rsa", False),
        ("/memfd:ssh", ".ssh/id_rsa", False),
        ("", ".ssh/id_rsa", False),
    ],
)
def test_a_program_may_look_for_what_it_keeps(program: str, below: str, is_habit: bool) -> None:
    assert (sought(f"$TMP/home/{below}", program) == "") is is_habit
