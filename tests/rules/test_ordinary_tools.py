"""What ordinary tools do in passing, sensitive files included, and what is still reported."""

from __future__ import annotations

import pytest

from buildperm.policy.access import ITSELF, Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.undecided_accesses import is_settled
from buildperm.rules import sensitive


def _access(kind: Kind, target: str, outcome: Outcome, causes: tuple[str, ...] = ITSELF) -> Access:
    held = sensitive.why(target, writing=kind is Kind.WRITE)
    chains = (("build script",),)
    return Access(kind, target, outcome, 1, 0, 0, chains, sensitive=held, causes=causes)


@pytest.mark.parametrize(
    ("habit", "news"),
    [
        pytest.param(
            _access(Kind.READ, "/etc/ssl/private", Outcome.REFUSED),
            _access(Kind.READ, "/etc/ssl/private/server.key", Outcome.REFUSED),
            id="bindgen lists all folders below /usr/lib, whose links lead elsewhere",
        ),
        pytest.param(
            _access(Kind.EXEC, "/home/somebody/bin/cc", Outcome.FAILED),
            _access(Kind.EXEC, "/home/somebody/bin/cc", Outcome.DONE),
            id="a program is looked for along PATH",
        ),
        pytest.param(
            _access(Kind.WRITE, "/proc/self/fd/9", Outcome.DONE),
            _access(Kind.WRITE, "/proc/1/fd/9", Outcome.DONE),
            id="the jobserver is opened again by its descriptor",
        ),
        pytest.param(
            _access(Kind.WRITE, "/dev/tty", Outcome.REFUSED),
            _access(Kind.WRITE, "/dev/tty1", Outcome.REFUSED),
            id="a program would rather ask its user than read its input",
        ),
        pytest.param(
            _access(Kind.SYSTEM, "socket(netlink, raw)", Outcome.REFUSED),
            _access(Kind.SYSTEM, "socket(17, raw)", Outcome.REFUSED),
            id="libc asks which addresses there are before it looks up a name",
        ),
        pytest.param(
            _access(Kind.SYSTEM, "seccomp(SECCOMP_SET_MODE_FILTER)", Outcome.REFUSED),
            _access(Kind.SYSTEM, "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)", Outcome.REFUSED),
            id="a program confines itself",
        ),
        *(
            # Nobody was told of these: they were tried, and what only looks is a habit.
            pytest.param(
                _access(Kind.READ, target, Outcome.REFUSED, ("configure",)),
                _access(Kind.WRITE, target, Outcome.REFUSED, ("configure",)),
                id=f"{target} is looked at",
            )
            for target in (
                "/proc/sys/kernel/yama/ptrace_scope",
                "/sys/fs/cgroup/release_agent",
                "/dev/pts/3",
                "/etc",
                "/sys/fs/selinux/enforce",
            )
        ),
        *(
            # Without these a script may make something else, and say nothing.
            pytest.param(
                _access(Kind.READ, target, Outcome.REFUSED, ("configure",)),
                _access(Kind.READ, target, Outcome.REFUSED, ("", "configure")),
                id=f"{target} is looked at by a program, and by the script",
            )
            for target in ("/tmp", "/proc/sys/net/core/somaxconn", "/sys/fs/cgroup/x/cpu.max")
        ),
        pytest.param(
            _access(Kind.READ, "/etc/gnutls/pkcs11.conf", Outcome.REFUSED, ("wget",)),
            _access(Kind.READ, "/etc/gitconfig", Outcome.REFUSED, ("git",)),
            id="settings decide what libgit2 finds",
        ),
        pytest.param(
            _access(Kind.WRITE, "$WORKSPACE/.git/index.lock", Outcome.REFUSED),
            _access(Kind.WRITE, "/etc/gitconfig", Outcome.REFUSED),
            id="git refreshes its index",
        ),
        pytest.param(
            _access(Kind.READ, "$MANIFEST_DIR/.git/index.lock", Outcome.REFUSED),
            _access(Kind.READ, "$MANIFEST_DIR/.git/index", Outcome.REFUSED),
            id="git refreshes its index, and opens it for reading as well",
        ),
        pytest.param(
            _access(Kind.NET, "/run/nscd/socket", Outcome.REFUSED),
            _access(Kind.NET, "/proc/self/agent", Outcome.REFUSED),
            id="libc asks for users",
        ),
        pytest.param(
            _access(Kind.READ, "/run/host/userdb/1000.user", Outcome.REFUSED, ("curl",)),
            _access(Kind.READ, "/run/host/etc/passwd", Outcome.REFUSED, ("curl",)),
            id="libc asks for a user whom only the host of the container knows",
        ),
    ],
)
def test_a_habit_is_no_news_and_its_neighbour_is(habit: Access, news: Access) -> None:
    assert is_settled(habit)
    assert not is_settled(news)
