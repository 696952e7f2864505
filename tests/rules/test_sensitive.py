"""The sensitive tier: what belongs to it, what a wildcard would open, what is found on a disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.rules import keyfiles, sensitive
from buildperm.rules.sensitive import apart_from_package, existing, opened_by, opening, why

READ = str.split("""
    $HOME/.ssh $HOME/.ssh/id_ed25519 $HOME/.ssh/config $HOME/.gnupg/private-keys-v1.d/x.key
    $HOME/.aws/credentials $HOME/.azure/x $HOME/.config/gcloud/credentials.db
    $HOME/.kube/config $HOME/.docker/config.json $HOME/.netrc $HOME/.npmrc $HOME/.pypirc
    $HOME/.git-credentials $HOME/.config/gh/hosts.yml $HOME/.config/hub
    $CARGO_HOME/credentials.toml $CARGO_HOME/credentials $HOME/.mozilla/firefox/x/logins.json
    $HOME/.config/google-chrome/Default $HOME/.config/chromium
    $HOME/.local/share/keyrings/login.keyring $HOME/.password-store/a.gpg
    $HOME/.local/state/buildperm/x /opt/buildperm/buildperm.keystore
    $HOME/.bitcoin/wallet.dat $HOME/.bash_history $HOME/.zsh_history $HOME/.python_history
    $WORKSPACE/.env $MANIFEST_DIR/.env.local $WORKSPACE/deep/down/.env.production /home/other
    /home/other/x /root/x /etc/shadow /etc/shadow- /etc/ssh/ssh_host_rsa_key
    /etc/ssl/private/key.pem /run/secrets/token /run/user/1000/keyring/ssh
    /var/run/docker.sock /run/docker.sock /proc/1/environ /proc/4711/mem /tmp/ssh-Xa/agent.1
    @/tmp/.X11-unix/X0 /tmp/.X11-unix/X0 /run/dbus/system_bus_socket /dev/mem /dev/sda1
    /dev/input/event0 /proc/kcore $WORKSPACE/id_rsa /opt/x/.ssh/id_rsa
    /run/host /run/host/etc/passwd /run/host/userdbs/x /run/host-services/ssh-auth.sock
""")
NOT_READ = str.split("""
    $HOME/.bashrc $HOME/projects/x $WORKSPACE/Cargo.toml $WORKSPACE/.git/HEAD
    $WORKSPACE/.env.example $WORKSPACE/.env.sample $WORKSPACE/.environment $WORKSPACE/src/env
    $CARGO_HOME/registry/src/x/lib.rs $OUT_DIR/.env $TMP/home/.netrc
    $OUT_DIR/.ssh/id_rsa /etc/passwd /etc/ssl/certs/x.pem /etc/ssl/openssl.cnf /proc/self/maps
    /proc/cpuinfo /usr/bin/cc /dev/null /dev/tty /home /tmp/x /run/nscd/socket OPENSSL_DIR
    /run/host/userdb/1000.user github.com:443 cc
""")
WRITTEN = str.split("""
    $HOME/.bashrc $HOME/.zshenv $HOME/.profile $HOME/.bash_profile
    $HOME/.cache/buildperm/programs/0/launcher
    $HOME/.config/autostart/x.desktop $HOME/.local/bin/cc $HOME/bin/x
    $WORKSPACE/.git/hooks/pre-commit $WORKSPACE/sub/.git/hooks/x $WORKSPACE/.cargo/config.toml
    $MANIFEST_DIR/.cargo/config $WORKSPACE/Cargo.toml $WORKSPACE/a/Cargo.toml
    $MANIFEST_DIR/Cargo.toml $WORKSPACE/Cargo.lock $WORKSPACE/other/src/lib.rs
    $WORKSPACE/other/build.rs $MANIFEST_DIR/build.rs $CARGO_HOME/registry/src/i/x/src/lib.rs
    $CARGO_HOME/bin/cargo $TARGET_DIR/debug/deps/libx.rlib $TARGET_DIR/buildperm/learn/x
    $TARGET_DIR/debug/build/o-1/out/x $SYSROOT/bin/rustc /usr/bin/cc /etc/profile
    /var/spool/cron/root /runner/_runner_file_commands/set_env $WORKSPACE/.vscode/tasks.json
    $WORKSPACE/.envrc $WORKSPACE/.github/workflows/ci.yml $WORKSPACE/rust-toolchain.toml
    $WORKSPACE/Makefile /proc/self/oom_score_adj /lib/x86_64-linux-gnu/x
""")
NOT_WRITTEN = str.split("""
    $OUT_DIR/Cargo.toml $OUT_DIR/build.rs $TMP/x $WORKSPACE/generated/a.h
    $MANIFEST_DIR/src/generated.rs $WORKSPACE/data.json $HOME/.cache/x $HOME/notes.txt /tmp/x
    /dev/null /dev/tty /mnt/x
""")


@pytest.mark.parametrize("target", READ)
def test_credentials_are_sensitive_for_reading_and_writing(target: str) -> None:
    assert why(target, writing=False)
    assert why(target, writing=True)


@pytest.mark.parametrize("target", NOT_READ)
def test_ordinary_files_may_be_read(target: str) -> None:
    assert why(target, writing=False) == ""


@pytest.mark.parametrize("target", WRITTEN)
def test_what_runs_later_is_sensitive_for_writing(target: str) -> None:
    assert why(target, writing=True)


@pytest.mark.parametrize("target", NOT_WRITTEN)
def test_ordinary_files_may_be_written(target: str) -> None:
    assert why(target, writing=True) == ""


@pytest.mark.parametrize(
    "pattern",
    [
        "$HOME/**",
        "$HOME/*",
        "$HOME/.s*/**",
        "$HOME/.ssh/**",
        "$HOME/.config/**",
        "$CARGO_HOME/**",
        "$CARGO_HOME/cred*",
        "/**",
        "/etc/**",
        "/etc/sha*",
        "/proc/**",
        "/proc/*/environ",
        "/run/**",
        "/home/**",
        "$WORKSPACE/**",
        "**/.env",
    ],
)
def test_a_wildcard_that_opens_the_tier_is_told(pattern: str) -> None:
    assert opened_by(pattern, writing=False)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("$WORKSPACE/**", "$WORKSPACE/.env"),
        ("$HOME/.ssh/**", "$HOME/.ssh"),
        ("$HOME/.s*/config", "$HOME/.ssh"),
        ("/etc/ssh/**", "/etc/ssh/ssh_host_*"),
        ("$WORKSPACE/**/*.p12", "$WORKSPACE/**/*.p12"),
        ("$WORKSPACE/proto/**", ""),
    ],
)
def test_what_of_the_tier_a_wildcard_opens_has_a_name(pattern: str, named: str) -> None:
    assert opening(pattern, writing=False)[0] == named


@pytest.mark.parametrize(
    ("pattern", "writing"),
    [
        ("$WORKSPACE/proto/**", False),
        ("$WORKSPACE/proto/*", True),
        ("$WORKSPACE/gen/**", True),
        ("$MANIFEST_DIR/gen/**", True),
        ("/etc/ssl/**", False),
        ("/opt/x/**", False),
        ("$CARGO_HOME/registry/**", False),
        ("$OUT_DIR/**", True),
        ("$HOME/.cache/tool/**", True),
    ],
)
def test_a_narrow_wildcard_opens_nothing(pattern: str, writing: bool) -> None:
    assert opened_by(pattern, writing=writing) == ""


@pytest.mark.parametrize(
    "pattern", ["$WORKSPACE/**", "$MANIFEST_DIR/**", "$TARGET_DIR/debug/**", "$HOME/.config/**"]
)
def test_a_wildcard_for_writing_is_held_to_more(pattern: str) -> None:
    assert opened_by(pattern, writing=True)


@given(st.text(alphabet="/$.*?abHOMEenv%2", max_size=30), st.booleans())
def test_any_text_can_be_asked_about(target: str, writing: bool) -> None:
    assert isinstance(why(target, writing=writing), str)


@pytest.fixture
def places(tmp_path: Path) -> dict[str, bytes]:
    home, workspace = tmp_path / "home", tmp_path / "home" / "project"
    for name in (".ssh", ".config/gh", ".config/harmless", ".cargo/bin", "project/.git/hooks"):
        (home / name).mkdir(parents=True)
    for name in (".netrc", ".bashrc", ".cargo/credentials.toml", ".config/harmless/x"):
        (home / name).touch()
    for name in ("Cargo.toml", ".env", ".env.example"):
        (workspace / name).touch()
    (workspace / "service").mkdir()
    (workspace / "service" / ".env.local").touch()
    (home / ".real").touch()
    (home / ".npmrc").symlink_to(".real")
    return {
        "HOME": os.fsencode(home),
        "WORKSPACE": os.fsencode(workspace),
        "MANIFEST_DIR": os.fsencode(workspace / "service"),
        "CARGO_HOME": os.fsencode(home / ".cargo"),
    }


def _below(places: dict[str, bytes], *, writing: bool) -> set[str]:
    home = places["HOME"] + b"/"
    found = existing(places, writing=writing)
    return {os.fsdecode(path[len(home) :]) for path in found if path.startswith(home)}


def test_what_exists_of_the_tier_is_found(places: dict[str, bytes]) -> None:
    assert _below(places, writing=False) == {
        ".ssh",
        ".config/gh",
        ".netrc",
        ".npmrc",
        ".real",
        ".cargo/credentials.toml",
        "project/.env",
        "project/service/.env.local",
    }


def test_a_folder_that_cannot_be_listed_hides_nothing() -> None:
    with tempfile.TemporaryDirectory() as name:  # Everybody may enter it, unlike pytest's own.
        home = Path(name)
        home.chmod(0o755)
        (home / ".config/gh").mkdir(parents=True)
        (home / ".config").chmod(0o711 if os.getuid() == 0 else 0o311)
        child = os.fork()
        if child == 0:  # Root could list it.
            if os.getuid() == 0:
                os.setuid(2000)
            found = existing({"HOME": os.fsencode(home)}, writing=False)
            os._exit(os.fsencode(home / ".config/gh") not in found)
        status = os.waitpid(child, 0)[1]
        (home / ".config").chmod(0o755)
    assert status == 0


def test_more_of_it_counts_for_writing(places: dict[str, bytes]) -> None:
    assert _below(places, writing=True) >= {
        ".bashrc",
        ".cargo",
        ".config",
        "project/.git",
        "project/Cargo.toml",
    }


def test_a_path_below_another_is_left_out(places: dict[str, bytes]) -> None:
    for writing in (False, True):
        found = existing(places, writing=writing)
        assert found == sorted(found)
        for path in found:
            assert not any(path.startswith(other + b"/") for other in found)


@pytest.mark.parametrize("package", ["service", "other", "", "service/inner"])
def test_one_look_at_the_machine_does_for_all_packages(
    places: dict[str, bytes], package: str
) -> None:
    workspace = Path(os.fsdecode(places["WORKSPACE"]))
    folder = workspace / package
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / ".env").touch()
    home = Path(os.fsdecode(places["HOME"]))
    (home / ".aws").symlink_to(folder)  # Around the package, so it stays open to that alone.
    known = apart_from_package(places)

    places["MANIFEST_DIR"] = os.fsencode(folder)

    found = existing(places, writing=False, known=known)
    assert found == existing(places, writing=False)
    assert os.fsencode(folder / "deep" / "er" / ".env") in found
    assert os.fsencode(folder) not in found


def test_the_own_folders_are_never_sensitive(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    places = {"OUT_DIR": os.fsencode(out), "WORKSPACE": os.fsencode(tmp_path)}
    (out / ".env").touch()

    assert os.fsencode(out / ".env") not in existing(places, writing=False)


PARTS = (
    *keyfiles._NAMES,
    *(*keyfiles._ALL_ENDINGS, *keyfiles._COPIES, *keyfiles._SSH, *keyfiles._DOTTED),
    *(*keyfiles._DATA, *keyfiles._HOLDERS, *keyfiles.UNSURE),
    *("#", ".#", "private_", "encrypted_", "env", "secret", "credential", "wg", "0", "12", "a"),
    *("service-account", "ssh_host_", "_key", ".vault_pass", "client_secret", "example", "É", "X"),
    *("file", "-", "_", ".", ".rs", "serviceaccount", "firebase-adminsdk"),
)
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join)
PLACES_OF_NAMES = st.lists(
    st.sampled_from(
        [
            *("$HOME", "$WORKSPACE", "$CARGO_HOME", "$OUT_DIR", "/etc", "/proc", "self", "12", "@"),
            *("/run", "host", ".ssh", ".cargo", "src", "A", "/home/linuxbrew/.linuxbrew", "/root"),
            *("private", "/usr", ".config", "gcloud"),
        ]
    ),
    min_size=1,
    max_size=4,
).map("/".join)


@given(NAMES, PLACES_OF_NAMES)
def test_a_glance_at_a_name_says_what_a_long_look_does(name: str, folder: str) -> None:
    assert keyfiles.by_name(name) == keyfiles._by_name(name)
    if keyfiles.is_ordinary(name):
        assert keyfiles.plain(name) == name
        assert not keyfiles.is_environment_file(name)
    target = f"{folder}/{name}"
    if target.count("/") > 1 and target.partition("/")[0] not in sensitive._OWN:
        assert sensitive.why(target, writing=False) == sensitive._looked_up(target)


@pytest.mark.parametrize("name", ["file123.json", "main.rs", "p1.toml", "a_b-c.txt"])
def test_most_names_take_a_glance(name: str) -> None:
    assert keyfiles.is_ordinary(name)
