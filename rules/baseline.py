"""What every build script may do without a grant, and which refusals are no news.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules import layout
from buildperm.rules.pattern import locate, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

READ = (
    "$MANIFEST_DIR/**",
    "$OUT_DIR/**",
    "$TMP/**",
    # By it programs know where Cargo builds, as they walk up from OUT_DIR.
    "$TARGET_DIR/CACHEDIR.TAG",
    *layout.FILES,
    *layout.LISTED,
    # Of these not what belongs to somebody: `supervisor.ownership`.
    "/usr/**",
    "/bin/**",
    "/sbin/**",
    "/lib/**",
    "/lib32/**",
    "/lib64/**",
    "/libx32/**",
    "/nix/store/**",
    "/gnu/store/**",
    # Homebrew's programs and libraries, wherever its links lead; not its settings and databases.
    "/home/linuxbrew/.linuxbrew/Cellar/**",
    "/home/linuxbrew/.linuxbrew/include/**",
    "/home/linuxbrew/.linuxbrew/lib/**",
    "/home/linuxbrew/.linuxbrew/opt/**",
    "/home/linuxbrew/.linuxbrew/share/**",
    # Of /etc only what tells programs how this machine is set up; no secret, no other machine.
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d/**",
    "/etc/ld.so.preload",
    "/etc/alternatives/**",
    "/etc/clang/**",
    "/etc/cmake/**",
    "/etc/crypto-policies/**",
    "/etc/debian_version",
    "/etc/fonts/**",
    "/etc/gai.conf",
    "/etc/gnutls/config",
    "/etc/group",
    "/etc/host.conf",
    "/etc/inputrc",
    "/etc/issue",
    "/etc/localtime",
    "/etc/locale.alias",
    "/etc/locale.conf",
    "/etc/default/locale",
    "/etc/lsb-release",
    "/etc/magic",
    "/etc/magic.mime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/perl/**",
    "/etc/pkgconfig/**",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs/**",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/ca-trust/**",
    "/etc/protocols",
    "/etc/python3*/**",
    "/etc/redhat-release",
    "/etc/alpine-release",
    "/etc/arch-release",
    "/etc/selinux/config",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/**",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates/**",
    "/etc/ca-certificates.conf",
    "/etc/terminfo/**",
    "/etc/timezone",
    "/var/lib/dpkg/arch",
    "/proc/cgroups",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/ostype",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/random/**",
    "/proc/sys/kernel/threads-max",
    "/proc/sys/kernel/version",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/mmap_min_addr",
    "/sys/devices/system/cpu/**",
    "/sys/devices/system/node/**",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/memory.max",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
)
"""Files that may be read and folders that may be listed."""

OWN_PROC = tuple(
    f"/proc/self/{name}"
    for name in str.split(
        "cgroup cmdline comm cpuset limits maps mountinfo mounts mountstats numa_maps oom_adj "
        "oom_score oom_score_adj personality sched schedstat smaps smaps_rollup stat statm status "
        "uid_map gid_map"
    )
)
"""What a script may read of its own processes: the recorder copies it, `recorder.own_proc`."""

NOT_OWN = ("$MANIFEST_DIR/.git/**",)
"""The first pattern of `READ` covers these; scripts need a grant: `supervisor.ownership`."""

WRITE = (
    "$OUT_DIR/**",
    "$TMP/**",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
)
"""What may be written, made, renamed and removed."""

EXEC = (
    *layout.PROGRAMS,
    # execve(2) checks the loader of a program as well as the program.
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-x86-64.so.2",
    "/lib64/ld-lsb-x86-64.so.*",
    "/libx32/ld-linux-x32.so.2",
    "/lib/ld-linux.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib64/ld-linux-aarch64.so.1",
    "/lib/ld-linux-armhf.so.3",
    "/lib/ld-linux-riscv64-lp64d.so.1",
    "/lib64/ld-linux-loongarch-lp64d.so.1",
    "/lib64/ld64.so.1",
    "/lib64/ld64.so.2",
    "/lib/ld64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
    "/lib/ld-musl-i386.so.1",
    "/lib/ld-musl-armhf.so.1",
    "/lib/ld-musl-riscv64.so.1",
)
"""Programs that may be run; the supervisor adds the script itself."""

INDEX_LOCKS = (
    *("$WORKSPACE/.git/index.lock", "**/.git/index.lock"),
    *("$GIT/index.lock", "$GIT/worktrees/*/index.lock"),
)
"""git refreshes its index wherever it can, and does without where it cannot.

It opens the lock to read and write it: what is refused then is both.
"""

CARGO_BOOKS = (
    *("$CARGO_HOME/.package-cache", "$CARGO_HOME/.package-cache-mutate"),
    *("$CARGO_HOME/.global-cache", "$CARGO_HOME/.global-cache-*"),
    *("$CARGO_HOME/registry/CACHEDIR.TAG", "$CARGO_HOME/git/CACHEDIR.TAG"),
    *("$WORKSPACE/target/.rustc_info.json", "$MANIFEST_DIR/target/.rustc_info.json"),
)
"""Locks and books of Cargo, which does without them where it may not write, as on a read-only disk.

Those are its locks of what it has fetched, when it last used what, that backups may leave it out,
and what rustc has said of itself. It opens them to read and write them: what is refused then is
both.
"""

BYTECODE = ("**/__pycache__", "**/__pycache__/**")
"""Python keeps what it has compiled beside the sources, and does without where it cannot.

Nobody needs a grant for it: what a script leaves there would be run by whoever imports the sources.
"""

COUNTERS = ("/tmp/hsperfdata_*", "/tmp/hsperfdata_*/**")  # noqa: S108
"""Java shows its counters there to other programs of its user, and does without where it cannot."""

QUIET = (
    "/proc/self",
    "/proc/self/**",
    "/proc/thread-self/**",
    "/proc",
    "/proc/sys/**",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts/**",
    "/dev",
    "/dev/shm",  # noqa: S108
    "/dev/stdin",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/fd",
    "/",
    "/etc",
    "/opt",
    # Homes may lie in them, and whoever may list a folder may list all below.
    "/usr",
    "/usr/local",
    "$SYSROOT",
    "$SYSROOT/bin",
    "$SYSROOT/lib",
    "$SYSROOT/lib64",
    "/tmp",  # noqa: S108
    "/var/tmp",  # noqa: S108
    # LD_LIBRARY_PATH, as Cargo sets it, leads programs that look for libraries to these folders.
    "$TARGET_DIR",
    "$TARGET_DIR/debug",
    "$TARGET_DIR/release",
    "$TARGET_DIR/*/debug",
    "$TARGET_DIR/*/release",
    "$TARGET_DIR/*/deps",
    "$TARGET_DIR/*/*/deps",
    # Who walks through a package in which Cargo builds comes by our own files.
    "$TARGET_DIR/buildperm*/**",
    "$TARGET_DIR/**/build/*/buildperm/**",
    "$TARGET_DIR/**/build/*/*/buildperm/**",
    "$WORKSPACE/target/buildperm/**",
    "$MANIFEST_DIR/target/buildperm/**",
    "/etc/ssl",
    "/etc/pki",
    "/etc/pki/tls",
    "/sys",
    "/sys/fs/cgroup/**",
    "/sys/fs/selinux/**",
    "/selinux/**",
    "/etc/selinux/**",
    "/run/nscd/**",
    "/var/run/nscd/**",
    "/var/cache/nscd/**",
    # ldconfig(8), which libtool asks for the folders of libraries: without it, it looks at each.
    "/var/cache/ldconfig",
    "/var/cache/ldconfig/aux-cache",
    "/var/lib/sss/**",
    "/run/systemd/userdb/**",
    "/var/run/systemd/userdb/**",
    "/run/host/userdb/**",
    "/etc/gnutls/**",
    *INDEX_LOCKS,
    *CARGO_BOOKS,
    *BYTECODE,
    *COUNTERS,
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "clone3",
    "unshare",
    "inotify_init",
    "inotify_init1",
    # libc asks the kernel which addresses the machine has, before it looks up a name: netlink(7).
    "socket(netlink, dgram)",
    "socket(netlink, raw)",
    # `ulimit -c unlimited`: nothing else is lost by it.
    "setrlimit(RLIMIT_CORE)",
    # Programs that confine themselves, such as file(1); a filter with a listener is no habit.
    "prctl(PR_SET_SECCOMP)",
    "seccomp(SECCOMP_SET_MODE_FILTER)",
)
"""What programs read or call out of habit: having been refused it hurts nobody and asks nothing.

It is listed all the same: see `report.build_run.evidence`. While learning it is refused as well, so
that nobody is shown a result that no later build will have.
"""

OF_PROGRAMS = (
    "/",
    "/etc",
    "/etc/gnutls/**",
    "/etc/pki",
    "/etc/pki/tls",
    "/etc/selinux/**",
    "/etc/ssl",
    "/proc/sys/**",
    "/sys",
    "/sys/fs/cgroup/**",
    "/tmp",  # noqa: S108
    "/var/cache/ldconfig",
    "/var/cache/ldconfig/aux-cache",
    "/var/tmp",  # noqa: S108
)
"""Of `QUIET`, what is no habit where a script or a macro looks itself.

What programs have in common does not depend on these. A script that looks there by itself may well
do something with what it finds: without it, it would make something else and say nothing.
"""

QUIET_WRITES = (
    "/proc/self/**",
    "/proc/thread-self/**",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/stdin",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/fd",
    # tmpfile(3) asks for a file without a name there, before it tries anything else.
    "/dev/shm",  # noqa: S108
    "/tmp",  # noqa: S108
    "/var/tmp",  # noqa: S108
    # How libselinux asks, whatever about.
    "/sys/fs/selinux/access",
    "/sys/fs/selinux/context",
    "/sys/fs/selinux/create",
    *INDEX_LOCKS,
    *CARGO_BOOKS,
    *BYTECODE,
    *COUNTERS,
)
"""What programs try to write out of habit.

Little that is looked at by habit is: nobody writes `/proc/sys/kernel/core_pattern`,
`/etc/gitconfig` or another terminal without meaning it.
"""

QUIET_SOCKETS = (
    "/run/nscd/**",
    "/var/run/nscd/**",
    "/var/lib/sss/**",
    "/run/systemd/userdb/**",
    "/var/run/systemd/userdb/**",
)
"""Where libc asks for users and hosts."""

SOUGHT_BY_TOOLS = tuple(
    f"{place}/{between}{name}"
    for place in ("$MANIFEST_DIR", "$WORKSPACE")
    for between in ("", "**/")
    for name in (".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc")
)
"""Settings that npm, yarn and pip look for beside the sources, which may hold a token.

Where there is none, a tool has looked for it in vain, as it does in every package. A script that
looks by itself is news, and so is whoever finds one: nobody reads it without a grant.
"""

PASSED_BY = frozenset({"/etc/ssl/private"})
"""Sensitive folders that are listed, in vain, by whoever looks through /usr/lib for a library.

Links lead there: `/usr/lib/ssl/private`. What is in them stays news.
"""


class Baseline:
    """What is allowed without a grant, by what of a package is run."""

    __slots__ = ("exec", "own", "read", "write")

    def __init__(
        self,
        read: tuple[str, ...],
        write: tuple[str, ...],
        execute: tuple[str, ...],
        own: tuple[str, ...],
    ) -> None:
        self.read = read  # Patterns.
        self.write = write
        self.exec = execute
        self.own = own  # Tokens of the folders in which everything may be done.


OF_SCRIPTS = Baseline(READ, WRITE, EXEC, ("OUT_DIR", "TMP"))
OF_MACROS = Baseline(
    # MANIFEST_DIR and OUT_DIR are those of the package whose code is expanded. What a macro may
    # read besides of the workspace has no pattern: `supervisor.macro_subject`.
    READ,
    tuple(pattern for pattern in WRITE if not pattern.startswith("$OUT_DIR")),
    EXEC,
    ("TMP",),
)

_BUILD_OUTPUT = ("$TARGET_DIR/**/build/*/out/**", "$TARGET_DIR/**/build/*/*/out/**")


def dependency_outputs(environ: Mapping[bytes, bytes], places: Mapping[str, bytes]) -> list[bytes]:
    """List the existing paths that other build scripts handed to this one through `DEP_*`.

    Only what lies in the output folder of a build script of this target directory counts; links
    are resolved. The list is sorted and holds nothing twice.
    """
    found: set[bytes] = set()
    for name, value in environ.items():
        if name.startswith(b"DEP_"):
            found.update(path for path in outputs(value, places) if os.path.lexists(path))
    return sorted(found)


def searched_outputs(environ: Mapping[bytes, bytes], places: Mapping[str, bytes]) -> list[bytes]:
    """List the existing outputs of other build scripts that Cargo has libraries looked for in.

    Cargo names them in LD_LIBRARY_PATH: what build dependencies have it search, see the Cargo book,
    "Dynamic library paths". `cargo build` does so, and `cargo check` does not. Who looks for a
    library of the system, such as clang-sys, lists each of these folders. The list is sorted.
    """
    named = outputs(environ.get(b"LD_LIBRARY_PATH", b""), places)
    return sorted(path for path in named if os.path.lexists(path))


def outputs(value: bytes, places: Mapping[str, bytes]) -> set[bytes]:
    """Find the paths in a value that lie in output folders of build scripts, there or not.

    Links are resolved.
    """
    if b"/" not in value or b"\0" in value:
        return set()
    parts = {part for part in (value, *value.split(b":")) if part.startswith(b"/")}
    real = {os.path.realpath(part) for part in parts}
    return {path for path in real if output_of(path, places)}


def output_of(path: bytes, places: Mapping[str, bytes]) -> str:
    """Name the output folder of a build script in which `path` lies; empty if it is in none."""
    target = locate(path, {"TARGET_DIR": places["TARGET_DIR"]} if "TARGET_DIR" in places else {})
    if not any(matches(pattern, target) for pattern in _BUILD_OUTPUT):
        return ""
    above, mark, below = target.partition("/build/")
    return above + mark + f"{below}/".partition("/out/")[0]
