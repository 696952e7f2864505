"""The session: what a command tells its supervisors, one file per run of Cargo.

The file is written by `marshal`: a supervisor starts once per build script, and importing `json`
alone would cost more than reading the file. Only the same Python reads it. No grant covers it.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import marshal
import os
import sys

from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal, NotRequired, TypedDict

    from buildperm.rules.tier import Tier
    from buildperm.supervisor.settings import OpenSettings

    class SessionPackage(TypedDict):
        """One package that has a build script, and what it was granted."""

        crate: str  # Key in Cargo.toml.
        id: str  # Cargo's package ID.
        name: str
        version: str
        source: str  # Cargo's source string; empty for a path.
        checksum: str  # From Cargo.lock; empty where there is none.
        read: list[str]  # Patterns, presets expanded, without the baseline.
        write: list[str]
        exec: list[str]
        net: list[str]
        env: list[str]
        directives: list[str]
        deny: dict[str, list[str]]  # By kind.
        secrets: NotRequired[list[str]]  # Of `env`, what passes although its value holds a secret.
        limits: NotRequired[dict[str, int]]  # Of its own, beside those of the session.
        imported: NotRequired[list[str]]  # Patterns of others: nothing sensitive opens by them.
        young: NotRequired[str]  # Why it has the baseline only, even while learning.
        withheld: NotRequired[dict[str, str]]  # Grants not in force, `KIND PATTERN`, and why.
        waiting: NotRequired[
            list[str]
        ]  # Those that are in force once a young version is old enough.
        handing: NotRequired[str]  # How its variables for dependents begin: `dependency_sources`.
        digest: NotRequired[str]  # Of all that decides about its runs: the header's `session`.

    _Consumers = TypedDict(
        "_Consumers",
        {
            "for": list[bytes],  # Manifest directories of consumers that the grants hold for, too.
        },
    )

    class SessionMacros(SessionPackage, _Consumers):
        """One package that has procedural macros, and what it was granted.

        Its grants hold where it is used by a member of the workspace, or by one that `for` names.
        """

    class SessionConsumer(TypedDict):
        """One package of the build, as a recording of a macro names it."""

        crate: str  # Key in Cargo.toml.
        name: str
        version: str
        source: str  # Cargo's source string; empty for a path.

    class SessionCompile(TypedDict):
        """How compiling is held."""

        mode: Literal["hold", "watch", "off"]
        macros: Literal["outside", "inside"]  # In processes of their own, or within the compiler.
        host: bytes  # The program that loads a library of macros.
        digest: str  # Of the programs.
        lacking: NotRequired[str]  # For want of what nothing is held, as a clause; mostly empty.

    class SessionRoot(TypedDict):
        """What stands in the place of the machine's system folders for build scripts."""

        path: bytes  # Without links.
        digest: str  # `sha256:` and so on: of all that is mounted of it.
        signature: str  # Changes with whatever is changed in it: sandbox.root_digest.
        top: bytes  # Tells it from another one in its place: rules.root_tree.
        programs: bytes  # PATH for build scripts.

    class SessionCache(TypedDict):
        """Where results of scripts are kept, and what is said of them."""

        folder: bytes  # Of the store; no script can write there.
        machine: str  # Digest of what scripts learn of the machine without opening anything.
        by: str  # Who records.
        chosen: NotRequired[list[str]]  # Variables that Cargo's configuration sets, in notation.
        again: NotRequired[list[str]]  # Keys of results that are made again, and compared.
        restores: NotRequired[bool]  # Left out: True. Else they are only kept.

    class SessionRemote(TypedDict):
        """How scripts are run elsewhere."""

        at: str  # The address, for people.
        command: list[bytes]  # What asks for an action; a file with the request is added.
        environ: dict[bytes, bytes]  # Its environment: not Cargo's, which a project has a say in.
        executor: list[bytes]  # The command of a supervisor there; its folder is added.
        timeout_s: int  # For everything that one script takes there.
        silent: str  # Why it is not asked in this build, as it has not answered; else empty.

    class SessionWasi(TypedDict):
        """How scripts are run as WASI."""

        folder: bytes  # Of what is believed: modules, and a store; no script can write there.
        command: list[bytes]  # What runs a module; a file with the request is added.
        environ: dict[bytes, bytes]  # Its environment: not Cargo's, which a project has a say in.
        timeout_s: int  # For one run.

    class SessionExecutor(TypedDict):
        """What a supervisor on an executor is told instead."""

        folder: bytes  # Where it leaves the result.
        variables: dict[bytes, bytes]  # The whole environment of the script.

    class Session(TypedDict):
        """What a supervisor needs to know and what is the same for a whole run of Cargo."""

        version: int
        python: int  # sys.hexversion of the writer.
        buildperm: str
        profile: Literal["learning", "enforcing"]
        command: NotRequired[str]  # Of buildperm, or `cargo` of always on; for the recordings.
        runtime: str
        sandbox_wrapper: NotRequired[list[bytes]]  # The command around a script: sandbox.runtime.
        mounts: NotRequired[bool]  # It is bubblewrap, and gets arguments for its mounts.
        starter: NotRequired[bytes]  # The program that starts scripts; empty: Python does it.
        room: NotRequired[bool]  # It does by itself what bubblewrap is told.
        trusted: NotRequired[list[bytes]]  # Work trees of others that the user's Git trusts.
        left_open: NotRequired[list[str]]  # What the runtime does not stop, in sentences.
        landlock_abi: int
        kernel: str
        filter: bytes  # The seccomp program, struct sock_filter after struct sock_filter.
        look_filter: NotRequired[bytes]  # Stops looks: for scripts with a /tmp of their own.
        every_look_filter: NotRequired[bytes]  # Likewise, all of them: for runs that may be kept.
        listed_filter: NotRequired[bytes]  # Instead, where tools list what they ask for.
        light_filter: NotRequired[bytes]  # Observe lightly, with this; see `light_observation`.
        quiet_filter: NotRequired[bytes]  # Of hosts that have no supervisor yet; else `filter`.
        looks: NotRequired[bool]  # They are recorded: these filters stop them, too.
        calls: dict[int, str]  # Number to name of every call that the filter may stop.
        inner_loop: NotRequired[bytes]  # What tracer.recorder.inner_loop loads; empty: nothing.
        places: dict[str, bytes]  # WORKSPACE, TARGET_DIR, CARGO_HOME, SYSROOT, HOME: no links.
        path: bytes  # PATH for build scripts.
        found: NotRequired[dict[str, list[tuple[bytes, bool]]]]  # What patterns lead to, of some.
        settings: NotRequired[
            list[OpenSettings]
        ]  # Nothing in them is secret: everybody reads them.
        settings_closed: NotRequired[list[bytes]]  # Something may be; as they are called.
        # Of these, what git itself reads, and what is in its copy; None where it gets none.
        git_settings: NotRequired[tuple[bytes, bytes | None]]
        tier: NotRequired[Tier]  # What a look at this machine has found to be sensitive.
        owned: NotRequired[list[bytes]]  # Folders that have an owner: supervisor.ownership.
        homes: NotRequired[list[bytes]]  # Of people, besides HOME.
        loaded: NotRequired[list[bytes]]  # Libraries that stubs and rustc are started with.
        rustc_wrapper: bytes  # What build scripts see as RUSTC_WRAPPER; empty: nothing.
        progress: bytes  # File to append one JSON line to at the start and end of each script.
        packages: dict[bytes, SessionPackage]  # By manifest directory, without links.
        fetched: NotRequired[list[bytes]]  # Folders of others that are not of the workspace.
        limits: dict[str, int]  # See rules.limits.
        compile: NotRequired[SessionCompile]
        macros: NotRequired[dict[bytes, SessionMacros]]  # By manifest directory, without links.
        members: NotRequired[list[bytes]]  # Manifest directories of the workspace's members.
        manifests: NotRequired[list[bytes]]  # Cargo.toml of all members and the root; Cargo.lock.
        consumers: NotRequired[dict[bytes, SessionConsumer]]  # All packages, by the same.
        standing: NotRequired[
            bool
        ]  # Of always on: packages that it does not name get the baseline.
        ask: NotRequired[bytes]  # The state folder of always on: a person may be asked.
        ask_timeout_s: NotRequired[int]  # How long, for one question.
        ask_left: NotRequired[list[str]]  # Questions that were refused already, by id.
        root: NotRequired[SessionRoot]  # Build scripts see it: supervisor.system_root.
        cache: NotRequired[SessionCache]  # Results are looked for, and kept.
        remote: NotRequired[SessionRemote]  # Scripts run there whose inputs are known.
        wasi: NotRequired[SessionWasi]  # Scripts run as WASI, and natively to compare.
        executor: NotRequired[SessionExecutor]  # This supervisor is there.
        ask_once: NotRequired[list[str]]  # What was allowed for this run: `cargo.once_grants`.


VERSION = 2


def ungranted() -> SessionPackage:
    """Return a package without a name that is granted nothing."""
    return {
        "crate": "",
        "id": "",
        "name": "",
        "version": "",
        "source": "",
        "checksum": "",
        "read": [],
        "write": [],
        "exec": [],
        "net": [],
        "env": [],
        "directives": [],
        "deny": {},
    }


def unnamed(session: Session, environ: Mapping[bytes, bytes]) -> SessionPackage | None:
    """Return a package that `session` does not name, as Cargo's variables describe it.

    It is granted nothing. None where such a package is not to be run at all.
    """
    if not session.get("standing"):
        return None
    package = ungranted()
    name = encode(environ.get(b"CARGO_PKG_NAME", b"")) or "an unknown package"
    package["crate"] = package["id"] = package["name"] = name
    package["version"] = encode(environ.get(b"CARGO_PKG_VERSION", b""))
    return package


def dump(session: Session) -> bytes:
    """Serialise `session` for `load`."""
    return marshal.dumps(session)  # type: ignore[arg-type]  # typeshed knows no TypedDict


_kept: dict[tuple[object, ...], Session] = {}


def load(path: bytes) -> Session:
    """Read the session at `path`, or return what `preload` has read if it still is that.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a session, or was written by another Python or buildperm.
    """
    kept = _kept.get(identity(path)) if _kept else None
    return kept or _read(path)[0]


def preload(path: bytes) -> Session:
    """Read the session at `path`, for all forks of this process.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a session, or was written by another Python or buildperm.
    """
    found, which = _read(path)
    _kept[which] = found
    return found


def identity(path: bytes) -> tuple[object, ...]:
    """Return what tells the session at `path` from those that were there before.

    Raises:
        OSError: There is none.
    """
    return _identity(os.stat(path))


def _identity(about: os.stat_result) -> tuple[object, ...]:
    """Tell a file from what it was before; a session is replaced, and never written over."""
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _read(path: bytes) -> tuple[Session, tuple[object, ...]]:
    with open(path, "rb") as file:
        which = _identity(os.fstat(file.fileno()))  # Of this file: there may be another one now.
        raw = file.read()
    return parse(raw), which


def parse(raw: bytes) -> Session:
    """Return the session that `dump` has serialised.

    Raises:
        ValueError: It is not a session, or was written by another Python or buildperm.
    """
    try:
        session = marshal.loads(raw)  # noqa: S302 - our own file, see above
        fits = session["version"] == VERSION and session["python"] == sys.hexversion
    except (EOFError, TypeError, KeyError, ValueError) as error:
        raise ValueError("not a session file") from error
    if not fits:
        raise ValueError("written by another version of buildperm or Python")
    loaded: Session = session
    return loaded
