"""The attacks, as data: what each is called, what stops it, and how it has to fail.

The rows are those of the catalogue that the design was made from. Missing are those that nothing
can stop (44, 56, 57), races (45 and 46, which have tests of their own) and overlapping grants (85),
which are no build script's doing: `tests/cli/test_shared_folders.py`.
An attack is carried out by `crates/arms`, and has to succeed where nobody stops it.
"""

from __future__ import annotations

from dataclasses import dataclass

OPEN = "open"
"""It succeeds: what is left open, and said so in SECURITY.md."""

FAILS = "run fails"
"""The calls are allowed, and Cargo does not go on with what they made."""

NOTHING = "no effect"
"""The calls succeed, and nobody else notices."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack, with what has to come of it."""

    id: str
    row: int
    title: str
    stops: str  # Landlock, seccomp, bubblewrap, the metadata guard, hardening, the rules.
    portable: str  # An errno, a word of `arms`, or one of those above.
    full: str
    reported: str = ""  # Kind and target as buildperm reports it; empty where it is not listed.
    reported_full: str = ""  # Likewise in `full`, where that is something else.
    only: str = ""  # The user who can do it at all; empty for everybody.
    steals: bool = False  # Where it succeeds, a secret is in what the attacker says.
    instead: str = ""  # An errno that may stand for `portable`: who makes the mounts decides.
    kernel: str = ""  # What not every kernel has: without it nothing can be attacked.


def _file(
    row: int,
    id_: str,
    title: str,
    path: str,
    *,
    kind: str = "read",
    full: str = "ENOENT",
    stops: str = "L B",
) -> Attack:
    """Describe an attack on a file that is there: not in `full`."""
    steals = kind == "read" and path.startswith(("$HOME", "$CARGO_HOME"))
    return Attack(id_, row, title, stops, "EACCES", full, f"{kind} {path}", steals=steals)


def _made(row: int, id_: str, title: str, path: str, full: str = "EROFS") -> Attack:
    """Describe an attack that makes a file: what there is above it is read-only in `full`."""
    return _file(row, id_, title, path, kind="write", full=full)


def _kept(id_: str, title: str, path: str) -> Attack:
    """Describe an attack on what is known about a file."""
    return Attack(id_, 68, title, "G B", "EACCES", "ENOENT", f"write {path}")


def _server(row: int, id_: str, title: str, address: str) -> Attack:
    return Attack(id_, row, title, "S B", "EACCES", "EACCES", f"net {address}")


def _call(
    row: int, id_: str, title: str, call: str, *, errno: str = "EPERM", stops: str = "S"
) -> Attack:
    """Describe an attack by a call that the filter refuses."""
    return Attack(id_, row, title, stops, errno, errno, f"system {call}" if call else "")


_KEY = "read $HOME/.ssh/id_ed25519"

ATTACKS = (
    _file(1, "cargo-credentials", "read Cargo's registry token", "$CARGO_HOME/credentials.toml"),
    _file(2, "ssh-key", "read a private ssh key", "$HOME/.ssh/id_ed25519"),
    Attack(
        *("ssh-list", 2, "list `~/.ssh`", "L B", "EACCES", "ENOENT"),
        reported="read $HOME/.ssh",
    ),
    _file(2, "aws", "read cloud credentials", "$HOME/.aws/credentials"),
    _file(2, "netrc", "read `~/.netrc`", "$HOME/.netrc"),
    _file(2, "gnupg", "read a GnuPG key", "$HOME/.gnupg/private-keys-v1.d/key"),
    _file(
        *(2, "browser", "read a browser's passwords"),
        "$HOME/.mozilla/firefox/x.default/logins.json",
    ),
    _file(2, "documents", "read a letter in the home folder", "$HOME/Documents/letter.txt"),
    Attack(
        *("home-list", 2, "list the home folder", "L B", "EACCES", "EACCES"),
        reported="read $HOME",
    ),
    Attack(
        *("env-token", 3, "read a token in its environment", "H", "absent", "absent"),
        reported="env REDTEAM_API_TOKEN",
        steals=True,
    ),
    Attack(
        *("proc-environ", 4, "read the environment of its parent", "L B", "EACCES", "EACCES"),
        reported="read /proc/PID/environ",
        steals=True,
    ),
    Attack(
        *("proc-mem-read", 5, "read another process's memory in /proc", "L B"),
        *("EACCES", "ENOENT", "read /proc/VICTIM/mem"),
        steals=True,
    ),
    Attack(
        *("proc-mem-write", 5, "write another process's memory in /proc", "L B"),
        *("EACCES", "ENOENT", "write /proc/VICTIM/mem"),
    ),
    Attack(
        *("process-vm-readv", 6, "process_vm_readv", "L S B", "EPERM", "EPERM"),
        reported="system process_vm_readv",
        steals=True,
    ),
    _call(6, "process-vm-writev", "process_vm_writev", "process_vm_writev", stops="L S B"),
    _call(7, "ptrace", "trace another process", "ptrace", stops="L S B"),
    Attack(
        *("pidfd-getfd", 8, "take a descriptor out of another process", "L S B"),
        *("EPERM", "ESRCH", "system pidfd_getfd", "system pidfd_open"),
        steals=True,
    ),
    Attack(
        *("proc-cmdline", 9, "read another process's command line", "L B"),
        *("EACCES", "ENOENT", "read /proc/VICTIM/cmdline"),
        steals=True,
    ),
    Attack(
        *("proc-fd-names", 9, "look at what another process has open", "L B"),
        *("EACCES", "ENOENT"),
        steals=True,
    ),
    _made(
        *(10, "manifest-append", "append to the workspace's Cargo.toml"),
        *("$WORKSPACE/Cargo.toml", "ENOENT"),
    ),
    Attack(
        *("manifest-replace", 11, "replace Cargo.toml and the grants in it", "L B P"),
        *("EACCES", "ENOENT", "read $WORKSPACE/Cargo.toml"),
    ),
    _made(11, "grants-lock", "forge buildperm.lock", "$WORKSPACE/buildperm.lock"),
    _made(12, "cargo-config", "make `.cargo/config.toml`", "$WORKSPACE/.cargo"),
    _made(
        *(12, "cargo-config-above", "make it above the workspace"),
        "TOP/projects/.cargo",
    ),
    _made(
        *(12, "cargo-config-home", "make it in the home folder"),
        *("$CARGO_HOME/config.toml", "EROFS"),
    ),
    _made(
        *(13, "registry-source", "change another crate's source in the registry"),
        *("$CARGO_HOME/registry/src/index/other-1.0.0/src/lib.rs", "ENOENT"),
    ),
    _made(
        *(13, "member-source", "change another member's source"),
        *("$WORKSPACE/neighbour/src/lib.rs", "ENOENT"),
    ),
    _made(
        *(14, "other-out-dir", "change another crate's OUT_DIR"),
        "$TARGET_DIR/debug/build/neighbour-HASH/out/generated.rs",
    ),
    _made(
        *(14, "other-directives", "change what another script told Cargo"),
        *("$TARGET_DIR/debug/build/neighbour-HASH/output", "ENOENT"),
    ),
    _made(
        *(14, "fingerprints", "forge Cargo's fingerprints"),
        "$TARGET_DIR/debug/.fingerprint/planted",
    ),
    Attack(
        *("other-outputs", 14, "change compiled crates", "L B", "EACCES", "EACCES"),
        reported="read $TARGET_DIR/debug/deps",
    ),
    _made(15, "git-hook", "make a Git hook", "$WORKSPACE/.git/hooks/post-checkout", "ENOENT"),
    _made(15, "envrc", "make `.envrc`", "$WORKSPACE/.envrc"),
    _made(15, "makefile", "append to a Makefile", "$WORKSPACE/Makefile", "ENOENT"),
    _made(15, "ide-task", "make a task of an editor", "$WORKSPACE/.vscode/tasks.json"),
    _made(16, "bashrc", "append to a shell profile", "$HOME/.bashrc", "ENOENT"),
    _made(
        *(16, "systemd-unit", "make a systemd unit"),
        *("$HOME/.config/systemd/user/x.service", "ENOENT"),
    ),
    _made(
        *(16, "autostart", "make an autostart entry"),
        *("$HOME/.config/autostart/x.desktop", "ENOENT"),
    ),
    _made(
        17, "rustc-shim", "change a program in `~/.cargo/bin`", "$CARGO_HOME/bin/rustc", "ENOENT"
    ),
    _made(
        *(18, "install", "change a program in `~/.local/lib`"),
        *("$HOME/.local/lib/buildperm/supervisor.py", "ENOENT"),
    ),
    _made(
        *(18, "recording", "forge its own recording"),
        "$TARGET_DIR/debug/build/attacker-HASH/buildperm/recording.jsonl",
    ),
    Attack(
        *("symlink", 19, "read through a link in OUT_DIR", "L B", "EACCES", "ENOENT", _KEY),
        steals=True,
    ),
    Attack(
        *("hardlink", 20, "link a secret into OUT_DIR", "L B", "EXDEV", "ENOENT"),
        reported="read $HOME/movable/hard",
        steals=True,
    ),
    Attack(
        *("rename-file", 21, "move a secret into OUT_DIR", "L B", "EACCES", "ENOENT"),
        reported="write $HOME/movable/file",
        steals=True,
    ),
    Attack(
        *("rename-folder", 21, "move a folder into OUT_DIR", "L B", "EACCES", "ENOENT"),
        reported="write $HOME/movable/folder",
        steals=True,
    ),
    *(
        Attack(id_, row, title, "L B", "EACCES", "ENOENT", _KEY, steals=True)
        for row, id_, title in (
            (22, "proc-self-root", "read through /proc/self/root"),
            (22, "proc-self-cwd", "read through /proc/self/cwd/.."),
            (23, "dirfd", "openat with `..`"),
            (23, "openat2", "openat2"),
            (23, "chdir", "change into a folder, then read"),
        )
    ),
    Attack(
        *("open-truncate", 24, "empty a file by O_RDONLY\\|O_TRUNC", "L B", "EACCES", "ENOENT"),
        reported="read $WORKSPACE/notes/opened",
    ),
    _made(24, "truncate", "empty a file by name", "$WORKSPACE/notes/truncated", "ENOENT"),
    _made(24, "unlink", "remove a file", "$WORKSPACE/notes/removed", "ENOENT"),
    _call(25, "file-handle", "open a file by handle", "name_to_handle_at"),
    Attack(
        *("inherited-fd", 26, "read from an inherited descriptor", "H", "EBADF", "EBADF"),
        steals=True,
    ),
    Attack(
        *("scm-rights", 27, "get a descriptor over a socket", "S B", "EACCES", "EACCES"),
        reported="net TOP/run/giver",
        steals=True,
    ),
    _call(28, "io-uring", "io_uring", "io_uring_setup", errno="ENOSYS"),
    Attack(
        *("int-80", 29, "32-bit calls by `int 0x80`", "S", "ENOSYS", "ENOSYS"),
        reported="system i386 call",
        kernel="32-bit programs",
    ),
    Attack(
        *("x32", 30, "x32 calls", "S", "ENOSYS", "ENOSYS"),
        reported="system x32 call",
        kernel="x32",
    ),
    Attack(
        *("memfd-exec", 31, "run a program from memory", "-", OPEN, OPEN),
        reported="exec /memfd:program",
    ),
    Attack("loader-exec", 32, "run a program by the loader", "-", OPEN, OPEN),
    Attack(
        *("exec-out-dir", 33, "run a program in OUT_DIR", "L", "EACCES", "EACCES"),
        reported="exec $OUT_DIR/copied",
    ),
    Attack(
        *("exec-other", 33, "run a program without a grant", "L", "EACCES", "EACCES"),
        reported="exec id",
    ),
    Attack(
        *("setuid", 34, "become root by a setuid program that was granted", "H"),
        *("not elevated", "not elevated"),
        only="ordinary",
    ),
    _server(35, "tcp", "connect by TCP", "127.0.0.1:TCP"),
    _call(36, "udp", "send by UDP", "socket(inet, dgram)", errno="EACCES", stops="S B"),
    _call(36, "dns", "send a DNS question", "socket(inet, dgram)", errno="EACCES", stops="S B"),
    _call(
        37, "tcp-fast-open", "TCP Fast Open", "sendto(127.0.0.1:TCP)", errno="EACCES", stops="S B"
    ),
    _call(38, "mptcp", "MPTCP", "socket(inet, stream)", errno="EACCES", stops="S B"),
    Attack(
        *("raw-socket", 39, "make a raw socket", "S", "EACCES", "EACCES"),
        reported="system socket(inet, raw)",
        only="root",
    ),
    Attack(
        *("packet-socket", 39, "make a packet socket", "S", "EAFNOSUPPORT", "EAFNOSUPPORT"),
        reported="system socket(17, raw)",
        only="root",
    ),
    _call(39, "netlink", "make a netlink socket", "socket(netlink, raw)", errno="EAFNOSUPPORT"),
    _call(39, "vsock", "make a vsock socket", "socket(40, stream)", errno="EAFNOSUPPORT"),
    Attack(
        *("af-alg", 39, "make an AF_ALG socket", "S", "EAFNOSUPPORT", "EAFNOSUPPORT"),
        reported="system socket(38, seqpacket)",
        kernel="AF_ALG",
    ),
    _call(39, "listen", "wait for connections", "bind(127.0.0.1:0)", errno="EACCES"),
    _server(40, "name-service", "ask a name service by a unix socket", "TOP/run/nscd"),
    _server(41, "docker-socket", "reach docker.sock", "$HOME/.docker/run/docker.sock"),
    _server(41, "ssh-agent", "reach an ssh agent", "TOP/run/agent"),
    _server(41, "session-bus", "reach D-Bus", "TOP/run/bus"),
    _server(42, "abstract-socket", "reach an abstract socket", "@redteam-MARK"),
    _call(
        43,
        "unix-datagram",
        "send a unix datagram",
        "socket(unix, dgram)",
        errno="EACCES",
        stops="S B",
    ),
    *(
        Attack(id_, 47, f"{verb} another process", "L S B", "EPERM", "ESRCH", "system kill")
        for id_, verb in (("kill", "kill"), ("stop", "stop"), ("signal", "signal"))
    ),
    _call(47, "signal-parent", "signal Cargo or the recorder", "kill", stops="L S B"),
    Attack(
        *("pidfd-signal", 47, "signal by descriptor", "L S B", "EPERM", "ESRCH"),
        *("system pidfd_send_signal", "system pidfd_open"),
    ),
    _call(
        47,
        "signal-by-owner",
        "have the kernel signal (F_SETOWN)",
        "fcntl(F_SETOWN)",
        stops="L S B",
    ),
    _call(48, "prlimit", "limit another process", "prlimit64", stops="S B"),
    _call(48, "setpriority", "slow another process down", "setpriority", stops="S B"),
    Attack("daemon", 49, "outlive the build", "H B", NOTHING, NOTHING),
    Attack("double-fork", 50, "outlive it by a double fork", "H B", NOTHING, NOTHING),
    _call(51, "untraced-child", "start a child that is not traced", "clone(CLONE_UNTRACED)"),
    _call(
        *(52, "own-listener", "answer calls by its own filter"),
        "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)",
    ),
    _call(
        *(53, "undumpable", "make itself unreadable (PR_SET_DUMPABLE)"),
        "prctl(PR_SET_DUMPABLE)",
    ),
    Attack(
        *("exec-only", 54, "run a program that cannot be read", "P", FAILS, FAILS),
        only="ordinary",
    ),
    Attack(
        *("recorder-memory", 55, "open the recorder's memory", "L S", "EACCES", "EACCES"),
        reported="read /proc/PID/mem",
    ),
    Attack(
        *("tiocsti", 58, "type into the terminal (TIOCSTI)", "S H", "EACCES", "ENOENT"),
        reported="read /dev/tty",
    ),
    _file(59, "tty-write", "write to /dev/tty", "/dev/tty", kind="write", stops="L H"),
    _file(
        *(59, "pts-write", "write to the terminal's device"),
        "/dev/pts/N",
        kind="write",
        stops="L H",
    ),
    Attack("escapes", 60, "control characters in warnings", "P", NOTHING, NOTHING),
    _file(
        *(61, "newline-in-path", "a path that looks like TOML"),
        "$WORKSPACE/x%22%5D%0A%5Bworkspace.evil%5D%0Ax = 1%0A#",
        stops="P",
    ),
    _file(
        *(61, "escapes-in-path", "a path with control characters"),
        "$WORKSPACE/%1B%5D0;owned%07%E2%80%AEx",
        stops="P",
    ),
    _file(62, "bytes-in-path", "a path that is not UTF-8", "$WORKSPACE/bytes-%FF%FE", stops="P"),
    Attack("deep-folder", 63, "folders deeper than any path", "P", FAILS, FAILS),
    _file(
        64,
        "deleted-in-path",
        "a file named `x (deleted)`",
        "$WORKSPACE/notes/kept (deleted)",
        stops="P",
    ),
    Attack(
        *("flood", 65, "a flood of calls (5,000 refused opens)", "P", NOTHING, NOTHING),
        reported="read $WORKSPACE/notes/flooded",
    ),
    Attack("fork-bomb", 66, "more processes than the limit", "H", FAILS, FAILS),
    Attack("huge-file", 67, "a file larger than the limit", "H", "SIGXFSZ", "SIGXFSZ"),
    _kept("chmod", "change the mode of a file of yours", "$HOME/meta/mode"),
    Attack(
        *("chown", 68, "give a file of yours away", "G B", "EACCES", "ENOENT"),
        reported="write $HOME/meta/owner",
        only="root",
    ),
    _kept("utime", "change the dates of a file of yours", "$WORKSPACE/notes/dated"),
    _kept("xattr", "set an attribute of a file of yours", "$HOME/meta/attribute"),
    Attack("setuid-bit", 69, "leave a setuid program in OUT_DIR", "G P", NOTHING, NOTHING),
    Attack("stat", 70, "see that a file exists, and its size", "B", OPEN, "ENOENT"),
    _call(70, "inotify", "watch a folder", "inotify_init1", stops="S B"),
    _call(71, "shared-memory", "make shared memory", "shmget"),
    _call(71, "message-queue", "make a message queue", "mq_open"),
    Attack(
        *("keyring", 71, "read a key in the keyring", "S", "EPERM", "EPERM"),
        reported="system keyctl",
        steals=True,
    ),
    _call(71, "add-key", "add a key", "add_key"),
    Attack(
        *("user-namespace", 72, "make a user namespace", "S B", "EPERM", "EPERM"),
        reported="system unshare",
        kernel="user namespaces for everybody",
    ),
    Attack(
        *("user-namespace-clone", 72, "make one by clone", "S B", "EPERM", "EPERM"),
        reported="system clone",
        kernel="user namespaces for everybody",
    ),
    Attack(
        *("mount", 72, "mount in a namespace of its own", "L S B", "EPERM", "EPERM"),
        reported="system unshare",
        kernel="user namespaces for everybody",
    ),
    Attack(
        *("bpf", 73, "bpf", "S", "EPERM", "EPERM", "system bpf"),
        only="root",
    ),
    Attack(
        *("perf", 73, "perf_event_open", "S", "EPERM", "EPERM"),
        reported="system perf_event_open",
        kernel="perf for everybody",
    ),
    Attack(
        *("userfaultfd", 73, "userfaultfd", "S", "EPERM", "EPERM"),
        reported="system userfaultfd",
        kernel="userfaultfd for everybody",
    ),
    Attack(
        *("core-pattern", 74, "open core_pattern for writing", "L B", "EACCES", "EACCES"),
        reported="write /proc/sys/kernel/core_pattern",
        only="root",
        instead="EROFS",  # In a room it is read-only, which the kernel looks at before Landlock.
    ),
    Attack(
        *("core-dump", 74, "raise the limit of core dumps", "H", "EPERM", "EPERM"),
        reported="system setrlimit(RLIMIT_CORE)",
        only="ordinary",
    ),
    Attack(
        *("cargo-lock", 75, "hold Cargo's lock", "L B", "EACCES", "ENOENT"),
        reported="read $CARGO_HOME/.package-cache",
    ),
    _made(76, "tmp", "plant a file in /tmp", "/tmp/redteam-MARK"),
    # It gets shared memory of its own.
    Attack("dev-shm", 76, "plant a file in /dev/shm", "B P", NOTHING, NOTHING),
    _made(
        *(77, "path-folder", "put a program into a folder of PATH"),
        *("$HOME/.local/bin/git", "ENOENT"),
    ),
    Attack(
        *("env-preload", 78, "rustc-env=LD_PRELOAD", "P", FAILS, FAILS),
        reported="directives rustc-env=LD_PRELOAD",
    ),
    Attack(
        *("env-path", 78, "rustc-env=PATH", "P", FAILS, FAILS),
        reported="directives rustc-env=PATH",
    ),
    Attack(
        *("link-arg", 78, "rustc-link-arg=-B", "P", FAILS, FAILS),
        reported="directives rustc-link-arg=-B$HOME/evil/link-arg/",
    ),
    Attack(
        *("link-search", 78, "rustc-link-search of a planted library", "P", FAILS, FAILS),
        reported="directives rustc-link-search=native=$HOME/evil/lib",
    ),
    Attack("out-dir-link", 78, "a link in OUT_DIR for include_str!", "P", FAILS, FAILS),
    Attack(
        *("lured", 79, "a path to a secret in DEP_* of another crate", "L P"),
        *("EACCES", "ENOENT", _KEY),
        steals=True,
    ),
    Attack(
        *("once", 80, "ask Cargo not to run it again", "P", "EACCES", "ENOENT"),
        reported="read $HOME/Documents/letter.txt",
        steals=True,
    ),
    _made(
        81, "compiler-cache", "poison a compiler's cache", "$HOME/.cache/ccache/0/entry", "ENOENT"
    ),
    Attack(
        *("rustc-includes", 82, "have rustc include a secret", "L B"),
        *("rustc failed", "rustc failed", _KEY),
        steals=True,
    ),
    Attack(
        *("swapped", 83, "a granted file turned into a link by another crate", "P"),
        *("EACCES", "ENOENT", "read $HOME/Documents/letter.txt"),
        steals=True,
    ),
    Attack(
        *("creeping", 84, "use a grant for a version that was not reviewed", "P"),
        *("EACCES", "EROFS", "write $WORKSPACE/creep/made"),
    ),
)
