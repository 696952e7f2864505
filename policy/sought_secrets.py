"""Secrets that are looked for in the private home of a script, and are never there.

That home is empty: git and other tools fail where settings exist and cannot be read. So whoever
asks HOME where the ssh keys are is refused nothing. It was after them all the same.

The sensitive tier is wider than what counts here. Much of it is looked for by ordinary tools
whenever they start: curl, Python and Go look for `.netrc`, npm for `.npmrc`, database clients, the
display's libraries and package managers for settings of theirs. Such a look says nothing. What is
listed here is looked for by nobody but the programs that keep it there.
"""

from __future__ import annotations

from buildperm.rules import sensitive
from buildperm.rules.script_variables import PRIVATE_HOME

EMPTY_HOME = "it saw an empty home"

_SSH = ("ssh", "scp", "sftp", "ssh-add", "ssh-agent", "ssh-keygen", "ssh-keyscan")
_GPG = (
    *("gpg", "gpg2", "gpgv", "gpgv2", "gpgsm", "gpgconf", "gpg-agent", "gpg-connect-agent"),
    *("gpgme-tool", "keyboxd", "dirmngr", "scdaemon"),
)
_GIT = ("git", "git-credential-store", "git-remote-http", "git-remote-https")
_KUBERNETES = ("kubectl", "helm", "minikube", "oc", "k9s", "kind", "k3s")
_CONTAINERS = ("docker", "docker-buildx", "docker-compose", "podman", "buildah", "skopeo")
_SHELLS = ("sh", "dash", "bash", "zsh", "ksh", "mksh", "ash", "busybox", "fish")
_SOUGHT: tuple[tuple[str, tuple[str, ...]], ...] = (
    # Below the home folder; beside each the programs whose own it is.
    (".ssh", _SSH),
    (".gnupg", _GPG),
    (".git-credentials", _GIT),
    (".config/git/credentials", _GIT),
    (".cargo/credentials", ("cargo",)),
    (".cargo/credentials.toml", ("cargo",)),
    (".gem/credentials", ("gem", "ruby")),
    (".pypirc", ("twine",)),
    (".config/gh", ("gh",)),
    (".config/hub", ("hub",)),
    (".config/glab-cli", ("glab",)),
    (".aws", ("aws", "sccache")),
    (".config/gcloud", ("gcloud", "sccache")),
    (".azure", ("az", "sccache")),
    (".config/doctl", ("doctl",)),
    (".config/hcloud", ("hcloud",)),
    (".config/rclone", ("rclone",)),
    (".vault-token", ("vault",)),
    (".kube", _KUBERNETES),
    (".minikube", _KUBERNETES),
    (".docker", _CONTAINERS),
    (".dockercfg", _CONTAINERS),
    *((name, ()) for name in (".oci", ".aliyun", ".bluemix", ".ibmcloud", ".linode-cli")),
    *((name, ()) for name in (".fly", ".vercel", ".netlify")),
    *((name, ()) for name in (".mozilla", ".librewolf", ".waterfox", ".thunderbird")),
    *((f".config/{name}", ()) for name in ("google-chrome", "chromium", "BraveSoftware")),
    *((f".config/{name}", ()) for name in ("microsoft-edge", "vivaldi", "opera")),
    *((f".config/{name}", ()) for name in ("Signal", "Slack", "discord")),
    (".local/share/TelegramDesktop", ()),
    *((name, ()) for name in (".bitcoin", ".ethereum", ".electrum", ".monero", ".litecoin")),
    *((name, ()) for name in (".dogecoin", ".exodus", ".solana")),
    *((f".config/{name}", ()) for name in ("solana", "Exodus")),
    (".password-store", ("pass", "gopass")),
    *((f".config/{name}", ()) for name in ("keepassxc", "KeePass", "Bitwarden", "1Password", "op")),
    *((f".config/{name}", ("sops", "age")) for name in ("sops", "age")),
    *((f".local/share/{name}", ()) for name in ("keyrings", "kwalletd", "password-store")),
    *((name, ()) for name in (".claude", ".codex", ".gemini")),
    *((name, _SHELLS) for name in (".bash_history", ".zsh_history", ".zhistory", ".sh_history")),
    (".local/share/fish/fish_history", _SHELLS),
)
_OPEN_TO_TOOLS = frozenset((".ssh/config", ".ssh/known_hosts", ".ssh/known_hosts2"))
"""Libraries for ssh look for these in whatever program they are part of; they are no keys."""

_HEADS = tuple(path for path, _ in _SOUGHT)
_INSTALLED = (
    *("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/nix/store/", "/gnu/store/", "/snap/"),
    *("$SYSROOT/", "$CARGO_HOME/bin/"),
)


def sought(target: str, program: str) -> str:
    """Return the secret of the user that a look into the private home was for; empty if none.

    Args:
        target: The portable path that was opened for reading, and that is not there.
        program: That of the process that did it; portable text.
    """
    if not target.startswith(PRIVATE_HOME):
        return ""
    below = target[len(PRIVATE_HOME) :]
    if not below.startswith(_HEADS) or below in _OPEN_TO_TOOLS:
        return ""
    for path, owners in _SOUGHT:
        if below == path or below.startswith(path + "/"):
            # A script may call a program of its own whatever it likes.
            is_owner = program.rpartition("/")[2] in owners and program.startswith(_INSTALLED)
            return "" if is_owner else f"$HOME/{below}"
    return ""


def why(secret: str) -> str:
    """Say what a secret holds that was looked for, and what the look has found."""
    return f"{sensitive.why(secret, writing=False)}; {EMPTY_HOME}"
