"""Makes the surroundings of all tests alike, so that no test takes its machine for the world.

What a shell, a session, a CI service or a person's settings put around the tests is no part of what
is tested: variables, the home folder and what Cargo and Git are told there, umask, locale, signals
that are ignored, descriptors that are inherited, where temporary files lie. A test that is about
one of these sets it itself.
"""

from __future__ import annotations

import gc
import os
import pwd
import re
import resource
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

# How programs are found and loaded, who it is that asks, and how the tests are run.
_KEPT_TEXT = """
    PATH LD_LIBRARY_PATH PYTHONPATH PYTHONHOME VIRTUAL_ENV USER LOGNAME RUSTUP_TOOLCHAIN
    BUILDPERM_REQUIRE REDTEAM_KEEP HYPOTHESIS_STORAGE_DIRECTORY
"""
_KEPT = frozenset(_KEPT_TEXT.split())
# Where version managers keep what PATH leads to, in the home folder unless it is said.
_MANAGERS = {
    "RUSTUP_HOME": ".rustup",
    "PYENV_ROOT": ".pyenv",
    "ASDF_DATA_DIR": ".asdf",
    "MISE_DATA_DIR": ".local/share/mise",
}
_KEPT_BEGINNINGS = ("PYTEST_", "PIP_")
_SET = {"LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}

_SAVED = "BUILDPERM_TESTS_"
# What leads to real crates; of no concern to any other test.
_OF_REGISTRIES = (
    *("CARGO_HOME", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "SSL_CERT_"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)

_FILES_LEAST = 1024
_UMASK = 0o022
# As in a command, which sets it for all tests of its process that come later: see process_setup.
_YOUNG_MOST = 50_000
# A path of a socket has room for 107 bytes, most of which the tests need themselves: unix(7).
_LONGEST_PLACE = 40
_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
_ELSEWHERE = (Path("/dev"), Path("/proc"), Path("/sys"))  # Scripts may not look there.


def settle() -> str:
    """Settle this process and all that it starts; return a folder to remove at the end.

    The processes of pytest-xdist inherit everything but signals and what a process has by itself.
    """
    _settle_process()
    if "PYTEST_XDIST_WORKER" in os.environ:
        return ""
    home = _home()
    managers = {name: os.environ.get(name) or str(home / at) for name, at in _MANAGERS.items()}
    pip = home / ".config/pip/pip.conf"
    place = _place()
    os.environ.setdefault("CARGO_HOME", str(home / ".cargo"))
    for name, value in list(os.environ.items()):
        if name.startswith(_OF_REGISTRIES):
            os.environ[_SAVED + name] = value
        if name not in _KEPT and not name.startswith(_KEPT_BEGINNINGS):
            del os.environ[name]
    tempfile.tempdir = None  # Where the last one was is remembered.
    os.environ.update(_SET)
    os.environ.update({name: at for name, at in managers.items() if os.path.isdir(at)})
    os.environ["TMPDIR"] = str(place)
    if pip.is_file():
        os.environ.setdefault("PIP_CONFIG_FILE", str(pip))
    made = Path(tempfile.mkdtemp(prefix="buildperm-home-"))
    os.environ["HOME"] = str(made / "home")
    os.environ["CARGO_HOME"] = str(made / "home/.cargo")
    Path(os.environ["CARGO_HOME"]).mkdir(parents=True)
    return str(made)


def registries() -> dict[str, str]:
    """Return the variables that make Cargo find real crates, as for whoever runs the tests."""
    return {
        name.removeprefix(_SAVED): value
        for name, value in os.environ.items()
        if name.startswith(_SAVED)
    }


def unsettle(made: str) -> None:
    """Remove what `settle` has made."""
    if made:
        shutil.rmtree(made, ignore_errors=True)


def _home() -> Path:
    """Return the home folder of whoever runs the tests."""
    if os.environ.get("HOME"):
        return Path(os.environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # A user of a container, say, that nobody has written down.
        return Path("/")


def _settle_process() -> None:
    os.umask(_UMASK)
    gc.set_threshold(_YOUNG_MOST)
    # What is started in the background, or by nohup(1), has these ignored; so would its children.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
        if signal.getsignal(number) is signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = _FILES_LEAST if hard == resource.RLIM_INFINITY else min(hard, _FILES_LEAST)
    if soft != resource.RLIM_INFINITY and soft < least:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:  # It was the one that lists them.
                pass


def _place() -> Path:
    """Choose a folder for temporary files that suits all tests."""
    candidates = [os.environ.get("TMPDIR"), "/tmp", "/var/tmp"]
    for each in candidates:
        if each and _is_of_use(Path(os.path.realpath(each))):
            return Path(os.path.realpath(each))
    raise RuntimeError("none of TMPDIR, /tmp, /var/tmp can hold what tests make and run")


def _is_of_use(place: Path) -> bool:
    if len(bytes(place)) > _LONGEST_PLACE or not _PLAIN.fullmatch(str(place)):
        return False
    if any(place.is_relative_to(each) for each in _ELSEWHERE):
        return False
    try:
        if any(not each.stat().st_mode & stat.S_IXOTH for each in (place, *place.parents)):
            return False  # Other users build there, too, where root runs the tests.
        with tempfile.TemporaryDirectory(dir=place) as folder:
            program = Path(folder, "program")
            program.write_text("#!/bin/sh\n")
            program.chmod(0o700)
            return subprocess.run([program], check=False, stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return (
            False  # It is not there, or read-only, or nothing in it may be run: mount(8), noexec.
        )
