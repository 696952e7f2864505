"""Events of every kind, as hypothesis makes them up."""

from __future__ import annotations

from hypothesis import strategies as st

from buildperm.tracer.notation import encode
from buildperm.tracer.recording.event import (
    CallRefused,
    Change,
    DirectivePrinted,
    EnvironmentRead,
    Executed,
    FileOpened,
    OpenMode,
    PathChanged,
    SocketUse,
    SocketUsed,
    Verdict,
)

names = st.binary(max_size=20)
errnos = st.integers(0, 4095)
times = st.just(0)
pids = st.integers(1, 9)
notation = names.map(encode)
argvs = st.lists(names, max_size=3).map(tuple)
flags = st.booleans()
families = st.sampled_from(["inet", "unix", "38"])
events = st.one_of(
    st.builds(
        FileOpened, times, pids, names, st.sampled_from(OpenMode), flags, errnos, flags, flags
    ),
    st.builds(
        *(PathChanged, times, pids, st.sampled_from(Change), names, names, errnos, flags),
        raced=flags,
    ),
    st.builds(Executed, times, pids, names, names, argvs, errnos, flags),
    st.builds(
        SocketUsed, times, pids, st.sampled_from(SocketUse), families, notation, errnos, flags
    ),
    st.builds(CallRefused, times, pids, st.sampled_from(["ptrace", "mount"]), errnos),
    st.builds(
        EnvironmentRead, times, pids, names, flags, flags, secret=st.sampled_from(["", "a token"])
    ),
    st.builds(DirectivePrinted, times, notation, notation, st.sampled_from(Verdict)),
)
