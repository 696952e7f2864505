"""What scripts may read and run while learning: all outside of the sensitive tier.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

from buildperm.supervisor import landlock
from buildperm.supervisor.exclusion import Excluded
from buildperm.supervisor.grant_reach import OWN_ROOTS, READ_ROOTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.rules.tier import Tier
    from buildperm.supervisor.grant_reach import GrantReach
    from buildperm.supervisor.landlock_rules import LandlockRights

_READ = landlock.READ_FILE | landlock.READ_DIR

_NEVER_LEARNT = (
    # Only the files that the baseline names: others hold memory and environments of other
    # processes, whole disks, and internals of the kernel.
    *(b"/proc", b"/dev", b"/sys/kernel/debug", b"/sys/kernel/tracing", b"/sys/kernel/security"),
    *(b"/sys/fs/bpf", b"/sys/fs/pstore", b"/sys/firmware", b"/boot"),
    # Sockets, keys and secrets, some of which do not exist yet.
    *(b"/run/user", b"/run/secrets", b"/run/credentials", b"/run/dbus", b"/run/lock"),
    # Habits of programs, see `baseline.QUIET`: what is refused later without a word is refused now.
    *(b"/sys/fs/cgroup", b"/sys/fs/selinux", b"/selinux", b"/etc/selinux", b"/etc/gnutls"),
    *(b"/run/nscd", b"/var/run/nscd", b"/var/cache/nscd", b"/var/lib/sss", b"/var/cache/ldconfig"),
    *(b"/run/systemd/userdb", b"/var/run/systemd/userdb", b"/run/host/userdb"),
)

_NEVER_LISTED = (b"/tmp", b"/var/tmp", b"/etc/ssl", b"/etc/pki", b"/etc/pki/tls")
"""Folders that programs list by habit: likewise."""


def add(
    grants: LandlockRights, reach: GrantReach, places: Mapping[str, bytes], found_tier: Tier
) -> None:
    """Grant reading and running of everything outside the sensitive tier."""
    never = reach.sensitive | Excluded(_NEVER_LEARNT)
    homes = Excluded.without_links(found_tier["homes"])
    kinds = [(reach.denied("read"), _READ), (reach.denied("exec"), landlock.EXECUTE)]
    if kinds[0][0] == kinds[1][0]:  # Mostly nothing: one walk does for both.
        kinds = [(kinds[0][0], _READ | landlock.EXECUTE)]
    for denied, rights in kinds:
        excluded = never | Excluded(denied)
        grants.add_remainder(b"/", excluded | homes, rights)
        for token in READ_ROOTS:
            # What the build lives in may be read even if it lies somewhere unusual, such as
            # the home folder of somebody else.
            root = places.get(token, b"")
            is_cut = token in OWN_ROOTS or (excluded | homes).above(root)
            if root and is_cut and not reach.is_hidden(root, excluded, READ_ROOTS):
                grants.add_remainder(root, excluded, rights)
        for place in found_tier["open"]:
            if not reach.is_hidden(place, excluded, READ_ROOTS):
                grants.add_remainder(place, excluded, rights)
    _forget_listings(grants, reach)


def _forget_listings(grants: LandlockRights, reach: GrantReach) -> None:
    """Take away the right to list what is not listed when enforcing, and is no news then."""
    granted = {folder for folder, _ in reach.granted_reads()}
    for folder in _NEVER_LISTED:
        held = grants.rights.get(folder, 0)
        if not held & landlock.READ_DIR or folder in granted:
            continue
        grants.rights[folder] = held & ~landlock.READ_DIR


def is_ordinary(folder: bytes) -> bool:
    """Tell whether no names of processes, devices and services are in a folder."""
    apart = Excluded(_NEVER_LEARNT)
    return not apart.above(folder) and not apart.below(folder)
