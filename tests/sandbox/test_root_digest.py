from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from buildperm.errors import CannotEnforceError
from buildperm.sandbox.root_digest import signature_of, state_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    for name in ("usr/bin", "usr/lib", "etc/alternatives"):
        (made / name).mkdir(parents=True)
    (made / "bin").symlink_to("usr/bin")
    (made / "usr/bin/tool").write_text("#!/bin/sh\n")
    (made / "usr/bin/cc").symlink_to("/etc/alternatives/cc")
    (made / "etc/alternatives/cc").symlink_to("/usr/bin/tool")
    (made / "etc/mtab").symlink_to("../proc/self/mounts")
    (made / "usr/lib/gone.so").symlink_to("gone.so.1")
    (made / "home").mkdir()
    return made


def _replaced(path: Path, text: str) -> None:
    path.unlink()
    path.symlink_to(text)


def _renamed(path: Path) -> None:
    path.rename(path.with_name("renamed"))


_CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "usr/bin/tool").write_text("#!/bin/zsh\n"),
    "mode": lambda root: (root / "usr/bin/tool").chmod(0o755),
    "setuid": lambda root: (root / "usr/bin/tool").chmod(0o4755),
    "mode of a folder": lambda root: (root / "usr/lib").chmod(0o711),
    "name": lambda root: _renamed(root / "usr/bin/tool"),
    "one more": lambda root: (root / "usr/more").write_text(""),
    "one less": lambda root: (root / "usr/lib/gone.so").unlink(),
    "an empty folder": lambda root: (root / "etc/empty").mkdir(),
    "link": lambda root: _replaced(root / "usr/bin/cc", "/usr/bin/tool"),
    "link above": lambda root: _replaced(root / "bin", "/usr/bin"),
    "another lib": lambda root: (root / "libx32").mkdir(),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_whatever_a_script_could_see_changes_the_digest(root: Path, change: str) -> None:
    before = state_of(root)
    _CHANGES[change](root)
    after = state_of(root)
    assert after.digest != before.digest
    assert after.signature != before.signature


def test_a_copy_elsewhere_has_the_same_digest_and_another_signature(
    root: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(root, tmp_path / "copy", symlinks=True)
    os.utime(copied / "usr/bin/tool", (1, 1))
    (copied / "home/somebody").mkdir()  # Not the system's.
    assert state_of(copied).digest == state_of(root).digest
    assert state_of(copied).signature != state_of(root).signature


def test_what_was_written_over_and_back_is_seen(root: Path) -> None:
    path = root / "usr/bin/tool"
    about, before = path.stat(), signature_of(root)
    path.write_text("#!/bin/no\n")
    path.write_text("#!/bin/sh\n")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert signature_of(root) != before


def test_a_kept_digest_counts_only_as_long_as_nothing_changes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("buildperm.sandbox.root_digest._STILL_NS", -(10**12))
    monkeypatch.setattr("buildperm.sandbox.root_digest._has_doubtful_times", lambda _: False)
    found = state_of(root)
    (kept,) = (tmp_path / "cache/buildperm/roots").iterdir()
    kept.write_text(kept.read_text().replace(found.digest, f"sha256:{'0' * 64}"))
    assert state_of(root).digest == f"sha256:{'0' * 64}"  # It was not read again.
    (root / "usr/bin/tool").write_text("#!/bin/sh\n\n")
    assert state_of(root).digest not in (found.digest, f"sha256:{'0' * 64}")


def test_what_has_just_been_written_is_read_each_time(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    state_of(root)
    assert not list((tmp_path / "cache/buildperm/roots").iterdir())


def _socket_at(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # A path of a socket is short: unix(7).
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _chained(root: Path) -> None:
    (root / "lib").symlink_to("etc/a")
    (root / "etc/a").symlink_to("/srv")


def _moved(path: Path, to: Path) -> None:
    path.rename(to)
    path.symlink_to(to)


def _linked(name: str, to: str) -> Callable[[Path], object]:
    return lambda root: (root / name).symlink_to(to)


def _sized(path: Path, size: int) -> None:
    path.write_text("")
    os.truncate(path, size)


def _filed(path: Path) -> None:
    path.rename(path.with_name("home") / "before")
    path.write_text("")


_UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link to the homes": (lambda root: (root / "usr/out").symlink_to("/home"), "`/home`"),
    "above itself": (lambda root: (root / "usr/out").symlink_to("../../home"), "`/home`"),
    "by way of /proc": (
        lambda root: (root / "usr/out").symlink_to("/proc/../home"),
        "`/proc/../home`",
    ),
    "to what all write": (lambda root: (root / "usr/out").symlink_to("/tmp/x"), "`/tmp/x`"),
    "to /var/tmp": (lambda root: (root / "usr/out").symlink_to("/var/tmp/x"), "`/var/tmp/x`"),
    "to everything": (lambda root: (root / "etc/out").symlink_to("/"), "`/`"),
    "to all that a process sees": (_linked("usr/out", "/proc/self/root/srv"), "`usr/out`"),
    "to where a process is": (_linked("etc/out", "../proc/thread-self/cwd"), "`etc/out`"),
    "to what another one sees": (_linked("usr/out", "/proc/1/root/etc"), "`usr/out`"),
    "to what it has open": (_linked("usr/out", "/proc/self/fd/3"), "`usr/out`"),
    "to a user's own": (_linked("usr/out", "/var/run/user/1000"), "`usr/out`"),
    "to locks": (_linked("usr/out", "/var/lock/x"), "`usr/out`"),
    "back from a link of the machine": (_linked("usr/out", "/var/run/../srv"), "`usr/out`"),
    "lib that is /var": (_linked("lib32", "var/lib"), "`lib32`"),
    "opt that is /run": (_linked("opt", "/run"), "`opt`"),
    "more than anybody reads": (lambda root: _sized(root / "usr/huge", 1 << 38), "GiB"),
    "lib that is home": (lambda root: (root / "lib").symlink_to("/home"), "`lib`"),
    "a chain": (_chained, "`/srv`"),
    "a pipe": (lambda root: os.mkfifo(root / "usr/pipe"), "`usr/pipe`"),
    "a socket": (lambda root: _socket_at(root / "etc/socket"), "`etc/socket`"),
    "no usr": (lambda root: shutil.rmtree(root / "usr"), "`usr`"),
    "usr is a link": (lambda root: _moved(root / "usr", root / "home/usr"), "`usr`"),
    "etc is a file": (lambda root: _filed(root / "etc"), "`etc`"),
    "bin is a file": (lambda root: _filed(root / "bin"), "`bin`"),
}


@pytest.mark.parametrize("case", _UNFIT)
def test_what_is_no_root_is_named(root: Path, case: str) -> None:
    change, named = _UNFIT[case]
    change(root)
    with pytest.raises(CannotEnforceError) as refused:
        state_of(root)
    assert named in refused.value.args[0]
    assert refused.value.hint


def test_a_root_with_the_links_of_a_usual_system_is_one(root: Path) -> None:
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (root / "usr/share").mkdir()
    (root / "usr/share/dicts").symlink_to("/var/lib/dicts")
    (root / "usr/share/cups").symlink_to("/var/run/cups")
    (root / "usr/share/input").symlink_to("/proc/self/fd/0")
    (root / "usr/share/kernel").symlink_to("/proc/sys/kernel")
    (root / "usr/bin/loop").symlink_to("loop")
    (root / "lib32").symlink_to("/usr/lib")
    (root / "dev").symlink_to("/somewhere")  # Not the system's.
    assert state_of(root).digest.startswith("sha256:")


def test_another_root_in_the_same_place_is_told_from_it(root: Path, tmp_path: Path) -> None:
    other = shutil.copytree(root, tmp_path / "other", symlinks=True)
    before = state_of(root)
    root.rename(tmp_path / "away")
    other.rename(root)
    assert state_of(root).top != before.top
    root.rename(other)
    (tmp_path / "away").rename(root)
    assert state_of(root) == before  # Nothing of it has been changed.
