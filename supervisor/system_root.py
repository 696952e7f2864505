"""Puts a root in the place of the machine's system folders, for one supervisor and its script.

    before                     after
    /usr  the machine's        /usr  the root's, for reading only, without setuid and devices
    /lib  -> usr/lib           /lib  as the root has it
    /home the machine's        /home the machine's

The supervisor itself enters: from then on each path that it follows, opens, mounts or makes a rule
of is the one that its script means. It must run no code of the root. So it loads all its modules
before, and none after; nothing but the starter is executed, which is a program without libraries;
names of hosts are looked up by a process that stays outside (`supervisor.outside_lookup`).

An ordinary user gets a user namespace for that, in which there is nobody else, and gives up what it
may do in there as soon as all is mounted: user_namespaces(7).

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import importlib
import os
import stat
import sys

from buildperm.rules import layout, root_layout, root_tree
from buildperm.rules.pattern import covers
from buildperm.supervisor import landlock, outside_lookup, syscalls
from buildperm.supervisor.script import StoppedError
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder import inner_loop
from buildperm.tracer.system_values import open_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from buildperm.supervisor.egress_dialer import Resolve
    from buildperm.supervisor.session import Session, SessionPackage, SessionRoot

# asm/unistd.h; those of the second kind are the same on every architecture.
_NUMBERS = {"x86_64": (272, 165, 155, 166), "aarch64": (97, 40, 41, 39)}
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_NEWNS, _NEWUSER = 0x20000, 0x10000000  # unshare(2)
_REC, _SLAVE, _DETACH = 0x4000, 1 << 19, 2  # mount(2), umount(2)
_CLONE, _RECURSIVE, _EMPTY_PATH = 1, 0x8000, 0x1000  # open_tree(2)
_FROM_EMPTY, _TO_EMPTY = 0x04, 0x40  # move_mount(2)
_RDONLY, _NOSUID, _NODEV = 1, 2, 4  # mount_setattr(2); the last two are mount(2)'s as well.
_ANY = open_flags("O_PATH", "O_CLOEXEC", "O_NOFOLLOW")
_FOLDER = _ANY | open_flags("O_DIRECTORY")
_BEFORE = b".before"  # Where the machine's root is while the new one is made.

_CANNOT_ENFORCE = 23  # buildperm.errors.ExitCode, which is too heavy to import here.
_AGAIN = "run `buildperm ci` or `buildperm learn` again: they say what is wrong with the root"

_PACKAGES = ("buildperm.supervisor", "buildperm.cache", "buildperm.rules")
_RECORDER = "buildperm.tracer.recorder"
_STANDARD = ("binascii", "ctypes", "encodings.ascii", "encodings.latin_1", "hashlib", "traceback")
_STAYS_OUT = ("main", "wrapper_exec")  # Programs of their own.

_CHANGES = (
    landlock.WRITE_FILE
    | landlock.TRUNCATE
    | landlock.REMOVE_DIR
    | landlock.REMOVE_FILE
    | landlock.MAKE_DIR
    | landlock.MAKE_REG
    | landlock.MAKE_SYM
)

_entered: list[bytes] = []
_machine: list[int] = []  # Descriptors of the root, which may lie where it cannot be seen within.
_lookups: list[outside_lookup.OutsideLookup] = []


def enter(session: Session, package: SessionPackage, *, is_doubtful: bool) -> None:
    """Make the root of `session`, if it has one, that of this process, which holds `package`.

    With `is_doubtful` the root is looked at first: it may have been changed since it was chosen.

    Raises:
        StoppedError: It cannot be done here.
    """
    root = session.get("root")
    if root is None:
        return
    starter = session.get("starter", b"")
    if not starter or not session.get("room"):
        raise StoppedError(
            "a build script in a `root` needs the starter, and that cannot be used here",
            "install a C compiler on this machine, and run `buildperm` again",
            _CANNOT_ENFORCE,
        )
    if _entered:
        _refuse_another(root["path"])
        return
    try:
        load_all()
        if is_doubtful:
            _check(root, root["path"])
            _machine.append(os.open(root["path"], _FOLDER))
        inner_loop.start(session.get("inner_loop", b""), session["calls"])
        if package["net"]:
            _lookups.append(outside_lookup.OutsideLookup())
        change(root["path"], root["top"])
    except OSError as error:
        raise StoppedError(
            f"cannot put the root `{encode(root['path'])}` in place: {error}",
            _AGAIN,
            _CANNOT_ENFORCE,
        ) from error
    _entered.append(root["path"])
    close_to_code(starter)


def seen(session: Session) -> Session:
    """Return the session as it holds within: without what was found in the machine's system."""
    within = session.copy()
    within["path"] = session["root"]["programs"]
    known = session.get("found", {})
    within["found"] = {each: known[each] for each in layout.LISTED if each in known}
    within["settings"] = [
        each for each in session.get("settings", ()) if not root_layout.covers(each[1])
    ]
    closed = session.get("settings_closed", ())
    within["settings_closed"] = [each for each in closed if not root_layout.covers(each)]
    return within


def check_unchanged(session: Session) -> None:
    """Make sure, where `enter` was in doubt, that the root has not been changed since.

    Nobody else does so: no command of buildperm waits for the end of the build.

    Raises:
        StoppedError: It has.
    """
    for top in _machine:
        try:
            _check(session["root"], b"/proc/self/fd/%d" % top)
        except OSError as error:
            raise StoppedError(
                f"the root `{encode(session['root']['path'])}` was changed while the build script "
                f"ran in it: {error}",
                "find out what changes it, restore it, run `cargo clean`, and build again",
                _CANNOT_ENFORCE,
            ) from error


def _check(root: SessionRoot, folder: bytes) -> None:
    """Make sure that the root, which is at `folder`, is what it was when it was chosen.

    Raises:
        OSError: It is not.
    """
    try:
        found = root_tree.signature(root["path"], root_tree.entries(folder))
    except root_tree.NoRootError as error:
        raise OSError(str(error)) from error
    if found != root["signature"]:
        raise OSError("it has been changed since `buildperm` looked at it")


def _refuse_another(path: bytes) -> None:
    if _entered != [path]:
        raise StoppedError("this supervisor is in another root already", _AGAIN, _CANNOT_ENFORCE)


def resolver() -> Resolve | None:
    """Return who looks up names of hosts for this process; None where it may do so itself."""
    return _lookups[0].resolve if _lookups else None


def refuse_writes(root: bytes, rights: Mapping[bytes, int]) -> None:
    """Refuse rights by which a script could change the root: it would run what it has made.

    Raises:
        StoppedError: There are some.
    """
    for path, allowed in rights.items():
        if allowed & _CHANGES and (covers(path, root) or covers(root, path)):
            raise StoppedError(
                f"it may write `{encode(path)}`, and the root `{encode(root)}` lies there",
                "keep the root where no build script may write",
                _CANNOT_ENFORCE,
            )


def load_all() -> None:
    """Import whatever a supervisor may import later, and the libraries that it may load."""
    for package in (*_PACKAGES, _RECORDER):
        place = importlib.import_module(package).__path__[0]
        for name in sorted(os.listdir(place)):
            stem = name.removesuffix(".py")
            if stem not in (name, "__init__", *_STAYS_OUT):
                importlib.import_module(f"{package}.{stem}")
    for name in _STANDARD:
        importlib.import_module(name)


def close_to_code(starter: bytes) -> None:
    """Let this process import, load and execute nothing more but the `starter`.

    What it would find by a name of the system is the root's.
    """
    sys.path.clear()
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [each for each in sys.meta_path if each.__name__ != "PathFinder"]  # type: ignore[attr-defined]  # all three are classes
    refused = frozenset(
        ("os.exec", "os.system", "os.spawn", "os.startfile", "subprocess.Popen", "ctypes.dlopen")
    )

    def judge(event: str, arguments: tuple[object, ...]) -> None:
        if event in refused or (event == "os.posix_spawn" and arguments[0] != starter):
            raise PermissionError(f"in a root a supervisor runs nothing: {event}")
        if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            raise PermissionError("in a root a supervisor looks up no names")

    sys.addaudithook(judge)


def change(root: bytes, top: bytes | None = None) -> None:
    """Enter namespaces of its own, and have there what is the system's from `root`.

    Args:
        root: Its folder, without links.
        top: What `root_tree.top` said of the one that is meant; None for whatever is there.

    Raises:
        OSError: It cannot be done; this process is of no more use then.
    """
    unshare, mount, pivot_root, umount = _numbers()
    folder = os.getcwdb()
    user, group = os.geteuid(), os.getegid()
    is_private = not _may_mount()
    _checked("make namespaces", unshare, _NEWNS | (_NEWUSER if is_private else 0))
    if is_private:
        _map(user, group)
    _checked("keep mounts from others", mount, b"none\0", b"/\0", b"\0", _REC | _SLAVE, 0)
    parts = _parts(root, top)  # Only now: mounts of another namespace cannot be copied.
    # It has to be somewhere, and covers that only until it is the root itself.
    _checked(
        "make a file system",
        mount,
        *(b"tmpfs\0", b"/tmp\0", b"tmpfs\0"),
        _NOSUID | _NODEV,
        b"mode=0755,size=1m\0",
    )
    os.chdir(b"/tmp")
    os.mkdir(_BEFORE, 0o700)
    _checked("change the root", pivot_root, b".\0", _BEFORE + b"\0")
    os.chdir(b"/")
    machine = os.open(b"/" + _BEFORE, _FOLDER)
    for name in os.listdir(b"/" + _BEFORE):
        if not root_layout.is_replaced(name):
            _show(machine, name, 0)
    os.close(machine)
    for name, (descriptor, target) in parts.items():
        if target:
            os.symlink(target, b"/" + name)
        else:
            os.mkdir(b"/" + name, 0o755)
            _attach(descriptor, name, _RDONLY | _NOSUID | _NODEV)
            os.close(descriptor)
    _checked("leave the machine's root", umount, b"/" + _BEFORE + b"\0", _DETACH)
    os.rmdir(b"/" + _BEFORE)
    _set(os.open(b"/", _FOLDER), _RDONLY, is_recursive=False)
    os.chdir(folder)
    if is_private:
        syscalls.keep_capabilities(0)


def _numbers() -> tuple[int, int, int, int]:
    machine = os.uname().machine
    if machine not in _NUMBERS:
        raise OSError(f"processors of type `{machine}` are not supported")
    return _NUMBERS[machine]


def _parts(root: bytes, wanted: bytes | None) -> dict[bytes, tuple[int, bytes]]:
    """Open what `root` has for `/`: a descriptor of a folder, or what a link says, by name.

    Raises:
        OSError: It is not there, or is no root.
    """
    if os.path.realpath(root) != root:
        raise OSError(f"`{encode(root)}` has been moved, or a link leads to it now")
    top = os.open(root, _FOLDER)
    found: dict[bytes, tuple[int, bytes]] = {}
    seen: list[tuple[bytes, os.stat_result]] = []
    try:
        for name in map(os.fsencode, os.listdir(b"/proc/self/fd/%d" % top)):
            if not root_layout.is_replaced(name):
                continue
            about = os.stat(name, dir_fd=top, follow_symlinks=False)
            if stat.S_ISLNK(about.st_mode):
                found[name] = -1, os.readlink(name, dir_fd=top)
            elif stat.S_ISDIR(about.st_mode):
                found[name] = os.open(name, _FOLDER, dir_fd=top), b""
                about = os.fstat(found[name][0])
            seen.append((name, about))
    finally:
        os.close(top)
    if wanted is not None and root_tree.top(seen) != wanted:
        raise OSError("another one has been put in its place since `buildperm` looked at it")
    for name in root_layout.NEEDED:
        if found.get(name, (-1, b""))[0] < 0:
            raise OSError(f"`{encode(root)}` has no folder `{name.decode()}`")
    return found


def _may_mount() -> bool:
    """Tell whether this process may make mounts as it is: capabilities(7), CAP_SYS_ADMIN."""
    with open("/proc/self/status", "rb") as file:
        held = next(line for line in file if line.startswith(b"CapEff:"))
    return bool(int(held.split()[1], 16) >> 21 & 1)


def _map(user: int, group: int) -> None:
    """Be the same user and group as outside: user_namespaces(7)."""
    for name, text in (
        (b"setgroups", b"deny"),
        (b"uid_map", b"%d %d 1" % (user, user)),
        (b"gid_map", b"%d %d 1" % (group, group)),
    ):
        with open(b"/proc/self/" + name, "wb", buffering=0) as file:
            file.write(text)


def _show(machine: int, name: bytes, attributes: int) -> None:
    """Show an entry of the machine's root, with all that is mounted below."""
    about = os.stat(name, dir_fd=machine, follow_symlinks=False)
    if stat.S_ISLNK(about.st_mode):
        os.symlink(os.readlink(name, dir_fd=machine), b"/" + name)
        return
    if stat.S_ISDIR(about.st_mode):
        os.mkdir(b"/" + name, 0o755)
    elif stat.S_ISREG(about.st_mode):
        os.close(os.open(b"/" + name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o444))
    else:
        return
    descriptor = os.open(name, _ANY, dir_fd=machine)
    try:
        _attach(descriptor, name, attributes)
    except PermissionError:
        pass  # Who may not look into it sees an empty folder.
    finally:
        os.close(descriptor)


def _attach(source: int, name: bytes, attributes: int) -> None:
    """Mount a copy of what `source` refers to at `/name`; no path is followed for that."""
    flags = _CLONE | _RECURSIVE | _EMPTY_PATH | os.O_CLOEXEC
    tree = _checked(f"copy the mount of `/{encode(name)}`", _OPEN_TREE, source, b"\0", flags)
    try:
        if attributes:
            _set(tree, attributes, is_recursive=True)
        target = os.open(b"/" + name, _ANY)
        try:
            ways = _FROM_EMPTY | _TO_EMPTY
            _checked(f"mount `/{encode(name)}`", _MOVE_MOUNT, tree, b"\0", target, b"\0", ways)
        finally:
            os.close(target)
    finally:
        os.close(tree)


def _set(mount: int, attributes: int, *, is_recursive: bool) -> None:
    wanted = b"".join(each.to_bytes(8, sys.byteorder) for each in (attributes, 0, 0, 0))
    flags = _EMPTY_PATH | (_RECURSIVE if is_recursive else 0)
    _checked("close a mount", _MOUNT_SETATTR, mount, b"\0", flags, wanted, len(wanted))


def _checked(stage: str, number: int, *arguments: int | bytes) -> int:
    result = syscalls.call(number, *arguments)
    if result < 0:
        raise syscalls.failure(stage)
    return result


def probe(root: str) -> NoReturn:
    """Try to enter `root`, in a process made for that, and say on standard output why it fails."""
    try:
        change(os.fsencode(root))
    except OSError as error:
        os.write(1, str(error).encode())
        os._exit(1)
    os._exit(0)
