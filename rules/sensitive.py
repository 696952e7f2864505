"""The sensitive tier: what no batch, no widening and no preset can ever grant.

Reading covers what identifies a person or a machine to others; writing covers what runs later.
Targets are portable text. Most rules go by the names of path components, so that they hold
whichever token a path happens to be written with.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules import key_search, keyfiles, profile_output, sensitive_links, shared_output
from buildperm.rules.pattern import absolute, covers, matches, real_path
from buildperm.rules.sensitive_table import (
    BEGINNING_HOME,
    BELOW_HOME,
    FILES,
    FOLDERS,
    LATER_FILES,
    LATER_FOLDERS,
    ROOTED_READ,
    ROOTED_WRITE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FOLDERS = {name.lower(): held for name, held in FOLDERS.items()}
_FILES = {name.lower(): held for name, held in FILES.items()}
_FOLDER_NAMES = frozenset(_FOLDERS)
_NAMES = frozenset(name.encode() for name in key_search.REASONS)
_HOME_HEADS = tuple({path.partition("/")[0] for path, _ in BELOW_HOME})
_BEGINNINGS = tuple(beginning for beginning, _ in BEGINNING_HOME)
_READ_HEADS = tuple(pattern.partition("*")[0].rstrip("/") for pattern, _ in ROOTED_READ)
_WRITE_HEADS = tuple(pattern.partition("*")[0].rstrip("/") for pattern, _ in ROOTED_WRITE)
_OWN = ("$OUT_DIR", "$TMP")
_FOLDERS_MOST = 4096
_plain_folders: dict[str, bool] = {}  # See `_is_plain_folder`: scripts read thousands of files.
# What is published or is the system's: keys in there are for tests, or everybody's.
_PUBLISHED = (
    *("$MANIFEST_DIR/", "$SYSROOT/", "$TARGET_DIR/", "$CARGO_HOME/registry/", "$CARGO_HOME/git/"),
    *("/usr/", "/bin/", "/sbin/", "/lib", "/nix/store/", "/gnu/store/", "/proc/", "/sys/"),
    *("/etc/ssl/", "/etc/pki/", "/etc/ca-certificates/", "/dev/", "@"),
)
CARGO_SETTINGS = tuple(
    f"/.cargo/{name}".encode()
    for name in ("config", "config.toml", "credentials", "credentials.toml")
)
_HOMEBREW = "/home/linuxbrew/.linuxbrew"
"""Where Homebrew is on Linux: programs, in the home of a user who is there for nothing else."""

_LOOKED_AT_MOST_INSIDE, _DEEPEST = 20_000, 64
_LOOKED_AT_MOST = 2_000  # Directory entries, when looking through the workspace.


def why(target: str, *, writing: bool) -> str:
    """Say in a few words why `target` is in the sensitive tier; empty if it is not.

    `target` is a path, or the name of an environment variable or a host with its port, which are
    never in it: names of variables are judged by `rules.variables`.
    """
    token, _, _ = target.partition("/")
    if token in _OWN:
        return ""
    if writing and profile_output.is_pattern(target):
        return profile_output.why_closed(target)
    return _why_read(target) or (_why_written(target) if writing else "")


def opened_by(pattern: str, *, writing: bool) -> str:
    """Say why a path pattern with wildcards would open the sensitive tier; empty if it would not.

    Judges the pattern alone; what exists on this machine is told by `existing`.
    """
    return opening(pattern, writing=writing)[1]


def opening(pattern: str, *, writing: bool) -> tuple[str, str]:
    """Return what of the sensitive tier a pattern would open, or the first of it, and why it is.

    Both are empty if there is nothing.
    """
    if writing and shared_output.root(pattern):  # Whatever it begins with is closed.
        shared = pattern.removesuffix("/**")
        direct = why(shared, writing=True)
        return (shared, direct) if direct else ("", "")
    head = pattern
    for wildcard in "*?":
        head = head.partition(wildcard)[0]
    for target in (pattern.removesuffix("/**"), head):
        direct = why(target, writing=writing)
        if direct:
            return target, direct
    if head == pattern:
        return "", ""
    components = pattern.split("/")
    if not pattern.startswith(_PUBLISHED):  # `$WORKSPACE/**/*.p12`
        named = keyfiles.by_name(components[-1].replace("*", "x").replace("?", "x"))
        if named:
            return components[-1], named
    above = ["/".join(components[:length]) for length in range(1, len(components))]
    above = [folder for folder in above if "*" in folder or "?" in folder]
    for target, name, reason in _samples(writing=writing):
        if not target.startswith(head):
            continue
        if matches(pattern, target):
            return name, reason
        # A wildcard may also stand for a sensitive folder on the way: `$HOME/.s*/config`.
        if any(matches(folder, target) for folder in above):
            reason = why(f"{target}/x", writing=writing)
            if reason:
                return name, reason
    return "", ""


def existing(
    places: Mapping[str, bytes], *, writing: bool, known: Mapping[bytes, bytes] | None = None
) -> list[bytes]:
    """List the sensitive paths that exist here, links resolved where they lead elsewhere.

    Finds by a look at each known place, so it is quick, and says nothing about files of the same
    names further down. A path below another of the list is left out; the list is sorted.

    `known` is what `apart_from_package` has found for the same places, and only about reading: the
    package is looked through, and nothing else.
    """
    if known is None:
        led_to = _present(_candidates(places, writing=writing))
    else:
        led_to = {**known, **_present(_below(places, ("MANIFEST_DIR",)))}
    found = {
        led for path, led in led_to.items() if led == path or sensitive_links.is_closed(led, places)
    }
    found.update(led_to)
    own = [places[token] for token in ("OUT_DIR", "TMP") if token in places]
    kept: list[bytes] = []
    for path in sorted(found):
        if kept and path.startswith(kept[-1] + b"/"):
            continue
        if path != b"/" and not any(
            path == place or path.startswith(place + b"/") for place in own
        ):
            kept.append(path)
    return kept


def apart_from_package(places: Mapping[str, bytes]) -> dict[bytes, bytes]:
    """Find what must not be read of a machine and a workspace, and where links lead from there.

    It is the same for all packages, so whoever asks `existing` about many looks once.
    """
    outside = dict(places)
    outside.pop("MANIFEST_DIR", None)
    return _present(_candidates(outside, writing=False))


def inside(tree: bytes) -> list[bytes]:
    """List what has a sensitive name anywhere in a tree that a person granted, within reason."""
    return list(key_search.named_so(tree, _DEEPEST, _LOOKED_AT_MOST_INSIDE, is_ours=True))


def why_content(target: str, path: bytes) -> str:
    """Say why a file is in the tier that was read, by a look into it; empty if it is not.

    Only what is called like a key is looked into, and not what is published.
    """
    name = target.rpartition("/")[2]
    if target.startswith(_PUBLISHED) or target.partition("/")[0] in _OWN:
        return ""
    return keyfiles.by_content(path) if keyfiles.may_be_key(name) else ""


def known(places: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield the known places for reading that exist here, links among them unresolved."""
    return filter(os.path.lexists, _candidates(places, writing=False))


def built_in(places: Mapping[str, bytes]) -> bytes:
    """Return where Cargo builds without buildperm: `$WORKSPACE/target`, or wherever it was told to.

    Ours lies in there too: `cargo.target_directory.open_target`. Empty where the workspace does.
    """
    above, _, name = places.get("TARGET_DIR", b"").rpartition(b"/")
    found = above.removesuffix(b"/buildperm")
    if name not in (b"learn", b"ci") or not found or found == above:
        return b""
    return b"" if covers(found, places.get("WORKSPACE", b"")) else found


def _why_read(target: str) -> str:
    folder, _, name = target.rpartition("/")
    is_plain = _plain_folders.get(folder)
    if is_plain is None:
        is_plain = _is_plain_folder(folder)
        if len(_plain_folders) < _FOLDERS_MOST:
            _plain_folders[folder] = is_plain
    if is_plain and keyfiles.is_ordinary(name) and name not in _FOLDERS and name not in _FILES:
        return ""
    return _looked_up(target)


def _is_plain_folder(folder: str) -> bool:
    """Tell whether only the name of what is directly in a folder can make it sensitive."""
    inside = f"{folder}/"
    heads = ("$HOME/", "/proc/", "/run/host", "/run/WSL", f"{_HOMEBREW}/", *_READ_HEADS)
    components = folder.lower().split("/")
    return (
        bool(folder)
        and _FOLDER_NAMES.isdisjoint(components)
        and components[-1] != ".cargo"
        and not inside.startswith(heads)
        and not any(head.startswith(inside) for head in heads)
    )


def _looked_up(target: str) -> str:
    components = target.lower().split("/")
    if not _FOLDER_NAMES.isdisjoint(components):
        return next(_FOLDERS[component] for component in components if component in _FOLDERS)
    name = components[-1]
    reason = _FILES.get(name, "") or _FILES.get(keyfiles.plain(name), "")
    if reason:
        return reason
    if name.startswith(".") and keyfiles.is_environment_file(keyfiles.plain(name)):
        return keyfiles.SETTINGS
    if "/" in target and not target.startswith(_PUBLISHED):
        reason = keyfiles.by_name(name)
        if reason or keyfiles.is_cargo_settings(components):
            return reason or keyfiles.CARGO_SETTINGS
    components = target.split("/")
    if target.startswith("$HOME/"):
        below = target[6:]
        for path, held in BELOW_HOME if below.startswith(_HOME_HEADS) else ():
            if below == path or below.startswith(path + "/"):
                return held
        for beginning, held in BEGINNING_HOME if below.startswith(_BEGINNINGS) else ():
            if below.startswith(beginning):
                return held
        return ""
    if target.startswith("/proc/"):
        if components[2].isdecimal():
            return "another process: its memory and environment"
    elif target.startswith(("/run/host", "/run/WSL")):
        # nss-systemd(8) looks there for whoever /etc/passwd does not know: a habit, see `baseline`.
        is_habit = f"{target}/".startswith("/run/host/userdb/")
        return "" if is_habit else "the machine around the container"
    if target.startswith(_HOMEBREW + "/"):
        return ""
    if target.startswith(_READ_HEADS):
        for pattern, held in ROOTED_READ:
            if matches(pattern, target):
                return held
    return ""


def _why_written(target: str) -> str:
    if target in ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty"):
        return ""
    components = target.split("/")
    name = components[-1]
    reason = LATER_FILES.get(name, "")
    if reason:
        return reason
    for component in components:
        reason = LATER_FOLDERS.get(component, "")
        if reason:
            return reason
    if target.startswith("$WORKSPACE/") and name.endswith(".rs"):
        return "the source of another crate"
    if shared_output.root(target):
        return ""
    if target.startswith(_WRITE_HEADS):
        for pattern, held in ROOTED_WRITE:
            if matches(pattern, target):
                return held
    return ""


def _samples(*, writing: bool) -> Iterator[tuple[str, str, str]]:
    """Yield for everything in the tier that lies at a known place a target, its name, and why."""
    for name, reason in (*FOLDERS.items(), *FILES.items(), *BELOW_HOME):
        yield f"$HOME/{name}", f"$HOME/{name}", reason
    for pattern, reason in ROOTED_READ:
        # Folders called `private` are closed to all but root, and `existing` finds them: a grant of
        # the public certificates beside them need not fail.
        if "/private/" not in pattern:
            yield _sample(pattern), pattern.removesuffix("/**"), reason
    own = "/proc/1/environ"
    yield own, own, "another process: its memory and environment"
    yield "$WORKSPACE/.env", "$WORKSPACE/.env", keyfiles.SETTINGS
    if writing:
        for pattern, reason in ROOTED_WRITE:
            yield _sample(pattern), pattern.removesuffix("/**"), reason
        for token in ("$WORKSPACE", "$MANIFEST_DIR"):
            for name, reason in LATER_FILES.items():
                yield f"{token}/{name}", f"{token}/{name}", reason


def _sample(pattern: str) -> str:
    return pattern.replace("/**", "/x").replace("*", "x")


def _present(paths: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return those of `paths` that are there, and where each leads without links."""
    found: dict[bytes, bytes] = {}
    for path in paths:
        if os.path.lexists(path):
            real = real_path(path)
            found[path] = real[0] if real else os.path.realpath(path)
    return found


def _candidates(places: Mapping[str, bytes], *, writing: bool) -> Iterator[bytes]:
    home = places.get("HOME", b"")
    if home:
        base = home.rstrip(b"/") + b"/"
        present = set(_listing(home))
        for entry in present:
            name = entry.decode("utf-8", "replace").lower()
            if (
                name.encode() in _NAMES
                or keyfiles.is_environment_file(name)
                or name.startswith(_BEGINNINGS)
            ):
                yield base + entry
        inside: dict[str, frozenset[bytes] | None] = {}
        for below, _ in BELOW_HOME:
            first, _, rest = below.partition("/")
            if first.encode() not in present:
                continue
            if rest:  # One look at `.config` instead of two hundred into it.
                if first not in inside:
                    inside[first] = _names(base + first.encode())
                names = inside[first]
                if names is not None and rest.partition("/")[0].encode() not in names:
                    continue
            yield base + below.encode()
    rooted = ROOTED_READ + ROOTED_WRITE if writing else ROOTED_READ
    listings: dict[bytes, list[bytes]] = {}
    for pattern, _ in rooted:
        if not pattern.startswith("@"):
            yield from _concrete(pattern, places, listings)
    yield from _below(places, ("WORKSPACE", "MANIFEST_DIR"))
    if writing:
        built = built_in(places)
        if built:
            yield built
        for token in ("WORKSPACE", "MANIFEST_DIR"):
            if token in places:
                for later in (*LATER_FILES, ".git", ".cargo", ".vscode", ".idea", ".github"):
                    yield places[token] + b"/" + later.encode()


def _concrete(
    pattern: str, places: Mapping[str, bytes], listings: dict[bytes, list[bytes]]
) -> Iterator[bytes]:
    """Yield what a rooted pattern may stand for; only the last component is expanded."""
    if pattern == "/home/*/**":
        ours = places.get("HOME", b"")
        for entry in _listing(b"/home"):
            if ours == b"/home/" + entry or ours.startswith(b"/home/" + entry + b"/"):
                continue
            if _HOMEBREW.encode() == b"/home/" + entry + b"/.linuxbrew":
                beside = (b"/home/" + entry + b"/" + each for each in _listing(b"/home/" + entry))
                yield from (each for each in beside if each != _HOMEBREW.encode())
            else:
                yield b"/home/" + entry
        return
    base = pattern.removesuffix("/**")
    if base == "/root" and (places.get("HOME", b"") + b"/").startswith(b"/root/"):
        return
    if base.startswith("$") and "/" not in base:
        place = absolute(base, places)
        if place:
            yield place
        return
    folder, _, name = base.rpartition("/")
    above = absolute(folder, places)
    if above is None:
        return
    if "*" not in name:
        yield above + b"/" + name.encode() if folder else b"/" + name.encode()
        return
    if above not in listings:
        listings[above] = _listing(above or b"/")
    head = name.partition("*")[0].encode()
    for entry in listings[above]:
        if entry.startswith(head) and matches(name, entry.decode("ascii", "replace")):
            yield above + b"/" + entry


def _below(places: Mapping[str, bytes], tokens: Iterable[str]) -> Iterator[bytes]:
    """Yield what has a sensitive name in the workspace or the package, two folders deep.

    In a package from elsewhere, which brought its files along, only `.env` files count; and however
    many there are, the workspace is looked through all the same.
    """
    workspace = places.get("WORKSPACE", b"")
    for root in dict.fromkeys(places.get(token, b"") for token in tokens):
        is_ours = bool(workspace) and (root + b"/").startswith(workspace + b"/")
        if root:
            yield from key_search.named_so(root, 3, _LOOKED_AT_MOST, is_ours=is_ours)


def _names(directory: bytes) -> frozenset[bytes] | None:
    """Return what is in a folder; None where that is not told, which says nothing of what is."""
    try:
        return frozenset(map(os.fsencode, os.listdir(directory)))
    except OSError:
        return None


def _listing(directory: bytes) -> list[bytes]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
