"""Strategies for snapshots and what they hold."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.role import Role, SubjectKind
from buildperm.policy.snapshot import Context, Inputs, SeenAccess, Snapshot, SnapshotRun
from buildperm.tracer.notation import encode

HOSTILE = [
    b'"]\n[[script]]\ncrate = "evil"',
    b"\x1b[2J\r\n\x00",
    "\u202egnp.exe".encode(),
    b"\xff\xfe'''\"\"\"\\",
    b"<<<<<<< HEAD",
    b"a b",
    "ünï".encode(),
    b"",
    b"# x",
]

hostile = st.one_of(st.sampled_from(HOSTILE), st.binary(max_size=12)).map(encode)
plain = st.one_of(hostile, st.text(string.printable[:95] + "äß☃", max_size=12))
lists = st.lists(plain, max_size=4, unique=True).map(lambda texts: tuple(sorted(texts)))
crates = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).flatmap(
    lambda name: st.sampled_from([name, f"{name}@0.9", f"git+https://example.org/a?b=c%20d#{name}"])
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
versions = st.sampled_from(["0.9.0", "0.10.0", "1.0.0-rc.1", "1.0.0", "1.0.0+b"])
seen = st.builds(SeenAccess, st.sampled_from(Kind), plain, st.sampled_from(Outcome))
few = st.builds(
    SeenAccess,
    st.sampled_from([Kind.ENV, Kind.EXEC]),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([Outcome.DONE, Outcome.REFUSED]),
)
roles = st.sampled_from(
    [
        Role(),
        Role(),
        Role(SubjectKind.COMPILE),
        Role(SubjectKind.MACRO),
        Role(SubjectKind.MACRO, "api"),
        Role(SubjectKind.MACRO, "git+https://example.org/a?b=c%20d#web@0.1"),
    ]
)
contexts = st.builds(
    Context,
    st.sampled_from(["x86_64-unknown-linux-gnu", "wasm32-wasip1"]),
    st.sampled_from(["debug", "release"]),
    st.sampled_from([(), ("default",), ("default", "tls")]),
    roles,
)


def is_condensed(sighting: SnapshotRun) -> bool:
    """Tell whether nothing would be put together with it: macros that did nothing are."""
    context = sighting.context
    is_of_nobody = not context.role.consumer and not context.features
    return context.role.subject is not SubjectKind.MACRO or bool(sighting.seen) or is_of_nobody


def sightings(seen: st.SearchStrategy[SeenAccess]) -> st.SearchStrategy[tuple[SnapshotRun, ...]]:
    """Draw what was seen in a few contexts."""
    one = st.builds(
        SnapshotRun,
        contexts,
        st.sampled_from(["portable", "full"]),
        st.frozensets(seen, max_size=6),
    ).filter(is_condensed)
    several = st.lists(one, max_size=4, unique_by=lambda sighting: sighting.context)
    return several.map(lambda drawn: tuple(sorted(drawn, key=lambda sighting: sighting.context)))


inputs = st.builds(
    Inputs,
    checksum=plain,
    files=st.dictionaries(plain, digests, max_size=3),
    build_dependencies=lists,
    digest=digests,
    macro_dependencies=lists,
)
snapshots = st.builds(
    Snapshot,
    crate=crates,
    version=versions,
    source=st.sampled_from(["", "registry+https://example.org", f"git+https://x/y?b=z#{'a' * 40}"]),
    inputs=inputs,
    commands=st.dictionaries(plain, lists, max_size=3),
    sightings=sightings(seen),
    unused=st.frozensets(plain, max_size=3),
)
files = st.lists(snapshots, max_size=5).map(
    lambda drawn: {(snapshot.crate, snapshot.version): snapshot for snapshot in drawn}
)

SAME = Inputs("", {}, ("cc 1.2.3",), "0" * 64)
OTHER = Inputs("", {}, ("cc 1.2.4",), "1" * 64)

related = st.builds(
    Snapshot,
    crate=st.sampled_from(["x", "y"]),
    version=versions,
    source=st.just(""),
    inputs=st.sampled_from([SAME, OTHER]),
    commands=st.dictionaries(
        st.sampled_from(["check", "build"]), st.sampled_from([(), ("default",)]), max_size=2
    ),
    sightings=sightings(few),
    unused=st.frozensets(st.sampled_from(["exec:a", "exec:b"])),
)
"""Snapshots that have much to do with one another."""
