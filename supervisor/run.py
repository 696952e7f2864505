"""One run of a subject: its session, its rights and its sandbox wrapper.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules import containment, own_temporaries, tier
from buildperm.rules.pattern import absolute, covers, matches
from buildperm.rules.script_variables import script_wrapper
from buildperm.supervisor import (
    landlock,
    landlock_rules,
    launch,
    network,
    own_cgroup,
    ownership,
    script,
    settings,
)
from buildperm.supervisor.filled_trees import filled
from buildperm.supervisor.profile_delivery import ProfileDelivery
from buildperm.tracer.notation import encode
from buildperm.tracer.recording_format import FULL, LIGHT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.supervisor import bubblewrap
    from buildperm.supervisor.light_observation import LightObservation
    from buildperm.supervisor.session import Session, SessionPackage
    from buildperm.supervisor.subject import Subject
    from buildperm.tracer.recorder.asked_paths import AskedPaths
    from buildperm.tracer.recorder.look_calls import Looks


TOOLS = (b"RUSTC", b"RUSTDOC", b"CARGO")
"""Variables of Cargo that name programs which may be run without a grant."""

_ASKED_ABOUT = (b"/opt",)


class Run:
    """One run: session, package, places, and the environment that Cargo gave."""

    def __init__(
        self,
        session: Session,
        package: SessionPackage,
        places: dict[str, bytes],
        environ: dict[bytes, bytes],
        abi: int,
        subject: Subject,
    ) -> None:
        self.session = session
        self.package = package
        self.places = places
        self.environ = environ
        self.abi = abi  # Landlock's.
        found = session.get("starter", b"")  # It may be gone by now, as all that is in a cache.
        self.starter = found if found and os.access(found, os.X_OK) else b""
        self.subject = subject
        self.limits = {**session["limits"], **package.get("limits", {})}  # See rules.limits.
        self.learning = session["profile"] == "learning" and not package.get("young")
        self._delivery: ProfileDelivery | None = None  # See `delivery`.
        self.filled = filled(session)
        self.settings = settings.readable(session)
        copy = settings.git_copy(session)
        self.harmless = [*self.settings, *([copy] if copy else []), *own_cgroup.limits()]
        self.tier = session.get("tier") or _look(session, places, environ)
        closed = tier.closed_to(self.tier, places["MANIFEST_DIR"])
        self.held = {path: self.tier["held"][path] for path in closed}
        self.held_longest = max(map(len, self.held), default=0)
        self.with_exclusions: set[bytes] = set()  # See LandlockRights; filled by `rights`.
        self.covered: set[bytes] = set()
        self.listed: Mapping[bytes, bool | None] = {}
        self.foreign: set[bytes] = set()
        self.left_out: Mapping[tuple[str, str], bytes] = {}  # Likewise.
        self.program_folders: list[bytes] = []  # Likewise: those of PATH that may be listed.
        self.light: LightObservation | None = None  # Where not everything is observed.
        self.observes_all = False  # Whatever the session says.
        self.asked: AskedPaths | None = None  # Where all that it asks for is to be collected.
        self.is_light = "light_filter" in session and not self.learning
        self.remote: dict[str, object] | None = None  # Where else it ran, or why it did not.
        self.wasi: dict[str, object] | None = None  # Its module ran: since when it is believed.
        self.given: dict[bytes, int] | None = None  # The rights of what has been started already.
        # Now: later the script might move a link on the way.
        self.denied_writes = [
            text
            for pattern in package["deny"].get("write", ())
            for text in containment.followed(pattern, places)
        ]

    def rights(self, fifo: bytes) -> dict[bytes, int]:
        """Return the Landlock rights by path; `fifo` is the jobserver's, empty if it has none."""
        grants = self._grants(self.package, learning=self.learning)
        self._add_own(grants)
        if fifo:
            grants.add(os.path.realpath(fifo), landlock.READ_FILE | landlock.WRITE_FILE)
        self.with_exclusions, self.covered = grants.with_exclusions, grants.covered
        self.listed = grants.listed
        self.foreign = grants.foreign
        self.left_out = grants.left_out
        root = self.session.get("root")
        if root is not None:
            from buildperm.supervisor import system_root  # Off unless it is asked for.

            system_root.refuse_writes(root["path"], grants.rights)
        return grants.rights

    def _add_own(self, grants: landlock_rules.LandlockRights) -> None:
        """Add what the subject is started with."""
        grants.add(self.subject.program, landlock_rules.EXEC)
        for name in TOOLS:
            grants.add_tool(self.environ.get(name, b""))
        grants.add_tool(script_wrapper(self.session["rustc_wrapper"]))
        grants.add_readable(self.subject.manifests)
        for folder in self.subject.listed:
            grants.add_listing(folder)

    @property
    def temporary(self) -> dict[bytes, bytes]:
        """The folders of everybody of which the script has its own, and where those are.

        Hosts of macros have none.
        """
        if self.subject.consumer is not None:
            return {}
        wanted = own_temporaries.PATTERNS if self.learning else self.package["write"]
        denied = self.package["deny"].get("write", ())
        folders = own_temporaries.granted(each for each in wanted if each not in denied)
        names = own_temporaries.FOLDERS
        return {each: self.places["TMP"] + b"/" + names[each.decode()].encode() for each in folders}

    @property
    def delivery(self) -> ProfileDelivery | None:
        """What the script leaves beside programs, if that may be anything."""
        if self._delivery is None and self.subject.consumer is None:
            self._delivery = ProfileDelivery(self)
        found = self._delivery
        return found if found is not None and found.is_wanted else None

    @property
    def filter(self) -> bytes:
        """The seccomp program: where a script has such folders, it stops to look, too.

        Where all that it asks for is collected, it stops to look however it does.
        """
        if self.asked is not None:
            return self.session["every_look_filter"]
        stops_looks = self.has_own_folders and self.session.get("look_filter", b"")
        return stops_looks or self.session["filter"]

    @property
    def has_own_folders(self) -> bool:
        """Whether the script has folders of its own in the place of others."""
        return bool(self.temporary) or self.delivery is not None

    def readable(self, *, learning: bool) -> Mapping[bytes, int]:
        """Return the Landlock rights by path of what the script may read, or may while learning."""
        return self._grants(self.package, learning=learning).rights

    def _grants(self, package: SessionPackage, *, learning: bool) -> landlock_rules.LandlockRights:
        session = self.session
        grants = landlock_rules.LandlockRights(
            package,
            self.places,
            session["path"],
            session.get("found"),
            self.filled,
            self.tier,
            ownership.of_session(session, self.places),
            self.subject.allowed,
            is_in_root=self.is_in_root,
        )
        grants.add_baseline()
        grants.add_package()
        folders = grants.add_program_folders(session["path"].split(b":"))
        if package is self.package:
            self.program_folders = folders
        if learning:
            grants.add_learning()
        grants.add_harmless(self.harmless)
        for path in self.subject.handed_over:
            grants.add(path, landlock_rules.READ)
        grants.add_sources(self.subject.sources)
        return grants

    def wrapper(
        self, rights: Mapping[bytes, int], variables: Mapping[bytes, bytes]
    ) -> tuple[launch.SandboxWrapper | None, bubblewrap.Mounts | None]:
        """Return the command around the program, and its mounts if it is bubblewrap.

        Args:
            rights: What `rights` returned.
            variables: The environment, which may name folders by links.
        """
        words = self.session.get("sandbox_wrapper", [])
        if not words or not self.session.get("mounts"):
            return (launch.SandboxWrapper(words) if words else None), None
        from buildperm.supervisor import bubblewrap  # Only one of the runtimes needs it.

        mounts = bubblewrap.Mounts(
            rights, self._needed(), self.with_exclusions, self.listed, coarse=self.learning
        )
        self._complete(mounts, rights, self.covered, self.package, variables)
        told = [*bubblewrap.NAMESPACES, *mounts.words(), b"--chdir", os.getcwdb()]
        if network.is_wanted(self.package, learning=self.learning):
            told.insert(len(bubblewrap.NAMESPACES), b"--share-net")
        is_room = self.session.get("room", False)
        return launch.SandboxWrapper(words, told, own_proc=True, is_room=is_room), mounts

    def looks(
        self, mounts: bubblewrap.Mounts | None, variables: Mapping[bytes, bytes]
    ) -> Looks | None:
        """Return which looks are to be recorded; None if none are.

        Args:
            mounts: As `wrapper` has returned them.
            variables: As `wrapper` takes them.
        """
        if not self.session.get("looks"):
            return None
        from buildperm.tracer.recorder.look_calls import Looks

        if mounts is not None and self.is_light:
            return Looks(mounts.shown(), mounts.hides, mounts.covers, mounts.lacks, None)
        from buildperm.supervisor import bubblewrap

        # What `full` would show without the grants of a person: these looks need one there.
        package = self.package.copy()
        package["read"], package["write"], package["exec"] = [], [], []
        grants = self._grants(package, learning=False)
        self._add_own(grants)
        bare = bubblewrap.Mounts(
            grants.rights, self._needed(), grants.with_exclusions, grants.listed, coarse=False
        )
        self._complete(bare, grants.rights, grants.covered, package, variables)

        def would_hide(path: bytes) -> bool:
            return bare.hides(path) or bare.covers(path)

        if mounts is None:
            return Looks(bare.shown(), None, None, None, would_hide)
        return Looks(bare.shown(), mounts.hides, mounts.covers, mounts.lacks, would_hide)

    def _needed(self) -> list[bytes]:
        return [*([] if self.starter else launch.needed()), *self._seen_to_exist()]

    def _complete(
        self,
        mounts: bubblewrap.Mounts,
        rights: Mapping[bytes, int],
        covered: set[bytes],
        package: SessionPackage,
        variables: Mapping[bytes, bytes],
    ) -> None:
        """Add what is to be seen for other reasons than rights."""
        from buildperm.supervisor import bubblewrap

        mounts.cover(covered - set(rights))
        # What LD_LIBRARY_PATH names each loader looks at.
        searched = variables.get(b"LD_LIBRARY_PATH", b"").split(b":")
        # Cargo and rustup look at their own folders, even where there is nothing for them, gcc and
        # sh at what PWD names, whether that is where they are, and bash whether OLDPWD is there.
        looked_at = (b"CARGO_HOME", b"RUSTUP_HOME", b"PWD", b"OLDPWD")
        searched += [variables.get(name, b"") for name in looked_at]
        searched = [os.path.realpath(path) for path in searched if path.startswith(b"/")]
        mounts.show_folders((*bubblewrap.EVERYWHERE, *searched))
        closed = settings.closed(self.session, self.settings)
        mounts.show_closed({os.path.realpath(path) for path in closed})
        named = [path for value in variables.values() for path in value.split(b":")]
        named += [*closed, *(path for path, _, _ in self.session.get("settings", ()))]
        allowed = self.subject.allowed
        for pattern in (*allowed.read, *allowed.exec, *package["read"]):
            if ("read", pattern) in self.left_out:
                continue  # Nothing behind the link is shown.
            head = pattern.partition("*")[0]
            named.append(absolute(head, self.places) or b"")
        mounts.add_links(path for path in named if path.startswith(b"/"))

    def _seen_to_exist(self) -> list[bytes]:
        """List folders that scripts ask about, and would take for missing if nothing was there.

        To ask whether there is something in `/opt` is no event. So what is there can be seen to be
        there, and nothing else of it without a grant: whoever opens it is refused, and that is one.
        """
        theirs = [*self.places.values(), *self.tier["homes"], *self.tier["held"]]
        return [
            folder
            for folder in _ASKED_ABOUT
            if os.path.isdir(folder) and not any(covers(folder, each) for each in theirs)
        ]

    def is_denied_read(self, target: str) -> bool:
        """Tell whether a person has denied the subject to read a path, as rules write it."""
        return any(matches(rule, target) for rule in self.package["deny"].get("read", ()))

    def left_open(self) -> list[object]:
        """Return what the runtime does not stop, for this run."""
        told: list[object] = list(self.session.get("left_open", ()))
        is_shared = network.is_wanted(self.package, learning=self.learning)
        if self.session.get("mounts") and is_shared:
            from buildperm.supervisor import bubblewrap

            told.append(bubblewrap.SHARED_NETWORK)
        return told

    @property
    def is_in_root(self) -> bool:
        """Whether the subject sees a root: hosts of macros do not."""
        return "root" in self.session and self.subject.consumer is None

    def _root(self) -> dict[str, object]:
        root = self.session.get("root")
        if root is None or not self.is_in_root:
            return {}
        return {"root": {"path": encode(root["path"]), "digest": root["digest"]}}

    def header(self) -> dict[str, object]:
        """Return the first line of the recording."""
        package, session, environ = self.package, self.session, self.environ
        named = (*map(environ.get, TOOLS), script_wrapper(session["rustc_wrapper"]))
        # Older versions of Cargo say `rustc`, and leave it to PATH.
        tools: list[object] = [
            encode(os.path.realpath(tool)) for tool in named if tool and tool.startswith(b"/")
        ]
        return {
            "crate": package["crate"],
            "name": package["name"],
            "crate_version": package["version"],
            "source": package["source"],
            "checksum": package["checksum"],
            "target": encode(environ.get(b"TARGET", b"")),
            "host": encode(environ.get(b"HOST", b"")),
            "profile": encode(environ.get(b"PROFILE", b"")),
            "features": script.features(environ),
            "kernel": session["kernel"],
            "runtime": session["runtime"],
            "landlock_abi": self.abi,
            "left_open": self.left_open(),
            **self._root(),
            "mode": session["profile"],
            "command": session.get("command", ""),
            "observation": LIGHT if self.light and self.light.opens.is_used else FULL,
            "buildperm": session["buildperm"],
            "session": package.get("digest", ""),
            "places": {token: encode(path) for token, path in self.places.items()},
            "path": encode(session["path"]),
            "tools": tools,
            "handed_over": [
                encode(path)
                for path in (
                    *self.subject.handed_over,
                    *self.subject.manifests,
                    *self.subject.sources,
                )
            ],
            "harmless": [encode(path) for path in (*self.harmless, *self.program_folders)],
            "left_out": containment.report_line(self.left_out),
            "held": {encode(path): why for path, why in self.held.items()},
            "foreign": [encode(folder) for folder in sorted(self.foreign)],
            "unlisted": [encode(folder) for folder in self.light.unlisted] if self.light else [],
            **({"remote": self.remote} if self.remote else {}),
            **({"wasi": self.wasi} if self.wasi else {}),
            **self.subject.header(),
        }


def _look(session: Session, places: dict[str, bytes], environ: dict[bytes, bytes]) -> tier.Tier:
    """Find the sensitive tier, where the session does not tell it."""
    packages = {folder: not each["source"] for folder, each in session["packages"].items()}
    return tier.find(places, session["path"], environ, packages)
