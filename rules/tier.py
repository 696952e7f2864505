"""What on this machine belongs to the sensitive tier, found by looking: once for a whole command.

Names and known places are told by `rules.sensitive`. Here is what it takes a look to know: where
links in the tier lead, which files of the workspace are keys, and what is open of a home folder.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os
import stat

from buildperm.rules import key_search, keyfiles, sensitive, sensitive_links, tracked_sources
from buildperm.rules.pattern import covers, locate, nearest
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypedDict

    class Tier(TypedDict):
        """What was found."""

        held: dict[bytes, str]  # Paths without links, and why each is sensitive.
        own: list[bytes]  # Those of them that the package around them may read: its test keys.
        sources: list[bytes]  # Likewise: what is named after credentials and holds none.
        homes: list[bytes]  # Folders that are closed while learning, see rules.home.
        open: list[bytes]  # What stays open in them.
        is_short: bool  # There was too much to look at all of it.


NOTHING: Tier = {
    "held": {},
    "own": [],
    "sources": [],
    "homes": [],
    "open": [],
    "is_short": False,
}
"""Where nobody has looked."""
LOOKED_AT_MOST = 50_000
"""Entries of the workspace that are looked at."""

_LINKS_MOST = 4_000  # Entries of one sensitive folder, when looking for links.
_INSIDE_MOST = 20_000  # Entries of a tree that was granted.
_ABOVE_MOST = 2_000  # Entries of each folder above the workspace.
_TOOL_MOST, _TOOL_LEVELS = 2_000, 2  # Of each folder that stays open in a home folder.
_ENTERED_MOST = 64  # Folders that links of the tier lead to, in which more links are looked for.
_TESTS = frozenset(
    b"test tests testing testdata test_data test-data fixtures fixture examples example benches "
    b"fuzz demos demo testsuite spec specs __tests__ mock mocks samples".split()
)
_NAMED = {  # Variables of tools that say where their keys are.
    b"AWS_SHARED_CREDENTIALS_FILE": "cloud credentials",
    b"AWS_CONFIG_FILE": "cloud credentials",
    b"GOOGLE_APPLICATION_CREDENTIALS": "cloud credentials",
    b"CLOUDSDK_CONFIG": "cloud credentials",
    b"AZURE_CONFIG_DIR": "cloud credentials",
    b"OCI_CLI_CONFIG_FILE": "cloud credentials",
    b"KUBECONFIG": "credentials of Kubernetes clusters",
    b"DOCKER_CONFIG": "credentials of container registries",
    b"REGISTRY_AUTH_FILE": "credentials of container registries",
    b"GNUPGHOME": "GnuPG keys",
    b"PASSWORD_STORE_DIR": "a keyring or password store",
    b"SOPS_AGE_KEY_FILE": "a keyring or password store",
    b"GH_CONFIG_DIR": "GitHub credentials",
    b"GLAB_CONFIG_DIR": "GitLab credentials",
    b"NETRC": "passwords of network services",
    b"PGPASSFILE": "passwords of databases",
    b"NPM_CONFIG_USERCONFIG": "credentials of a package registry",
    b"PIP_CONFIG_FILE": "credentials of a package registry",
    b"VAULT_TOKEN_PATH": "cloud credentials",
    b"ANSIBLE_VAULT_PASSWORD_FILE": "a password of Ansible's vault",
    b"TF_CLI_CONFIG_FILE": "cloud credentials",
    b"RCLONE_CONFIG": "cloud credentials",
    b"HISTFILE": "a history of what you typed",
    b"XAUTHORITY": "the key to the display",
    b"SSH_AUTH_SOCK": "the ssh agent",
    b"CLAUDE_CONFIG_DIR": "sessions and keys of a coding assistant",
    b"CODEX_HOME": "sessions and keys of a coding assistant",
}


def find(
    places: Mapping[str, bytes],
    path: bytes,
    environ: Mapping[bytes, bytes],
    packages: Mapping[bytes, bool],
) -> Tier:
    """Look.

    Args:
        places: Folders by token.
        path: PATH of build scripts.
        environ: The environment of whoever builds.
        packages: Folders of packages, and whether each is a folder of one's own rather than one
            that was published.
    """
    from buildperm.rules import home  # Only now: a supervisor is told what was found.

    held: dict[bytes, str] = {}
    if places.get("HOME") == b"/":
        reasons = ((path, _reason(path, places)) for path in _known(places))
        held |= {path: reason for path, reason in reasons if reason}
    for link, real, reason in _linked(places, packages):
        held.setdefault(real, f"`{locate(link, places)}` leads here: {reason}")
    for name, reason in _NAMED.items():
        for value in (
            environ.get(name, b"").split(b":")
            if name == b"KUBECONFIG"
            else [environ.get(name, b"")]
        ):
            real = os.path.realpath(value) if value.startswith(b"/") else b""
            if real and sensitive_links.is_closed(real, places, packages):
                held.setdefault(real, f"{reason}: `{name.decode()}` names it")
    mine = [folder for folder, is_mine in packages.items() if is_mine]
    skipped = [folder for folder, is_mine in packages.items() if not is_mine]
    if "TARGET_DIR" in places:
        skipped.append(places["TARGET_DIR"])
    look = key_search.KeySearch(LOOKED_AT_MOST, skipped)
    workspace = places.get("WORKSPACE", b"")
    roots = [workspace, *(each for each in mine if not covers(workspace, each))]
    own: list[bytes] = []
    sources: list[bytes] = []
    tracked = tracked_sources.TrackedSources()
    for root in roots if workspace not in (b"", b"/") else ():
        for each, reason in look.keys(root):
            real = os.path.realpath(each) if os.path.islink(each) else each
            if real != each and not sensitive_links.is_closed(real, places, packages):
                continue
            held.setdefault(real, reason)
            if _is_for_tests(real, root):
                own.append(real)
            elif tracked.holds(real):
                sources.append(real)
    homes = home.closed(places, environ)
    held |= {path: why for path, why in _above(workspace, homes) if path not in held}
    opened = home.opened(homes, places, environ, path)
    for place in opened:
        held |= {key: why for key, why in _kept_in(place, places) if key not in held}
    opened += [folder for folder in packages if any(covers(each, folder) for each in homes)]
    return {
        "held": held,
        "own": own,
        "sources": sources,
        "homes": homes,
        "open": sensitive_links.outermost(opened),
        "is_short": look.is_short,
    }


def _above(workspace: bytes, homes: Iterable[bytes]) -> Iterable[tuple[bytes, str]]:
    """Yield the keys that lie directly in the folders above the workspace, and Cargo's settings.

    Not in those that are closed anyhow, nor in those that everybody uses, such as /tmp.
    """
    folder = workspace.rpartition(b"/")[0]
    while folder and not any(covers(each, folder) for each in homes):
        for settings in sensitive.CARGO_SETTINGS:
            if os.path.lexists(folder + settings):
                yield os.path.realpath(folder + settings), keyfiles.CARGO_SETTINGS
        try:
            is_shared = bool(os.stat(folder).st_mode & stat.S_ISVTX)
        except OSError:
            is_shared = True
        if not is_shared and not covers(b"/usr", folder):
            yield from key_search.KeySearch(_ABOVE_MOST).keys(folder, 1)
        folder = folder.rpartition(b"/")[0]


def _kept_in(place: bytes, places: Mapping[str, bytes]) -> Iterable[tuple[bytes, str]]:
    """Yield the keys that a tool keeps at the top of its tool chain: `~/.nvm/.npmrc`."""
    published = [places.get("CARGO_HOME", b"\0") + name for name in (b"/registry", b"/git")]
    if not any(covers(each, place) for each in (*published, places.get("SYSROOT", b"\0"))):
        for key, why in key_search.KeySearch(_TOOL_MOST).keys(place, _TOOL_LEVELS):
            if not os.path.islink(key):
                yield key, why


def closed_to(tier: Tier, folder: bytes) -> list[bytes]:
    """List what is closed to the package in `folder`: not its own test keys and sources."""
    own = {path for path in tier["own"] if covers(folder, path) and _is_for_tests(path, folder)}
    own |= {path for path in tier["sources"] if covers(folder, path)}
    return [path for path in tier["held"] if path not in own]


def inside(tree: bytes, places: Mapping[str, bytes]) -> list[bytes]:
    """List the keys anywhere in a tree that a person granted, within reason.

    Files of the workspace are looked into once for a whole command; what is published or is the
    system's holds none.
    """
    published = [places.get("CARGO_HOME", b"\0") + name for name in (b"/registry", b"/git")]
    published += [places.get(token, b"\0") for token in ("WORKSPACE", "TARGET_DIR", "SYSROOT")]
    published += [*sensitive_links.SYSTEM, b"/etc", b"/opt"]
    if any(covers(each, tree) for each in published):
        return sensitive.inside(tree)
    return [path for path, _ in key_search.KeySearch(_INSIDE_MOST).keys(tree)]


def why(path: bytes, held: Mapping[bytes, str], longest: int | None = None) -> str:
    """Say why `path`, without links, is in the tier by what was found; empty if it is not.

    `longest` is the length of the longest path in `held`, for who asks often.
    """
    if longest is None:
        longest = max(map(len, held), default=0)
    found = nearest(path, held, longest)
    return held[found] if found is not None else ""


def _linked(
    places: Mapping[str, bytes], packages: Iterable[bytes]
) -> Iterable[tuple[bytes, bytes, str]]:
    """Yield each link of the tier, where it leads, and what the tier holds there."""
    kept = list(packages)
    pending = [(path, _reason(path, places)) for path in _known(places)]
    entered = 0
    seen: set[bytes] = set()
    while pending:
        path, reason = pending.pop()
        real = os.path.realpath(path)
        if real != path and sensitive_links.is_closed(real, places, kept):
            yield path, real, reason
        elif real != path:
            continue
        if real in seen or not os.path.isdir(real):
            continue
        seen.add(real)
        for link in key_search.links(real, _LINKS_MOST):
            target = os.path.realpath(link)
            if covers(real, target) or not sensitive_links.is_closed(target, places, kept):
                continue
            yield link, target, reason
            if os.path.isdir(target) and target not in seen and entered < _ENTERED_MOST:
                entered += 1
                pending.append((target, reason))


def _reason(path: bytes, places: Mapping[str, bytes]) -> str:
    target = locate(path, places)
    # Where the home folder is `/`, no path is called after it.
    in_home = f"$HOME{encode(path)}" if places.get("HOME") == b"/" else target
    return sensitive.why(target, writing=False) or sensitive.why(in_home, writing=False)


def _known(places: Mapping[str, bytes]) -> list[bytes]:
    """List the known places whose links count: not those of the system."""
    above = [places.get(token, b"") for token in ("HOME", "CARGO_HOME", "WORKSPACE")]
    # Where the home folder is `/`, as in some containers, its own are `/.ssh` and the like.
    heads = tuple(b"/." if each == b"/" else each.rstrip(b"/") + b"/" for each in above if each)
    return [path for path in sensitive.known(places) if path.startswith(heads)]


def _is_for_tests(path: bytes, root: bytes) -> bool:
    return not _TESTS.isdisjoint(path[len(root) :].split(b"/")[:-1])
