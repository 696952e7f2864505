"""Puts what a script has made beside programs where it belongs, as far as that was granted.

Landlock has rights over all names of a folder, or over a file that is there. In the folder of a
profile most is Cargo's. So a script works in a folder of its own in the place of that, in which it
finds what is there already and granted to it. Once it has passed, and none of its processes is
alive, the files that were granted are moved, by their names, and never over a file of Cargo's.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import stat

from buildperm.rules import profile_output
from buildperm.rules.pattern import covers, matches
from buildperm.supervisor.tree_walk import walk
from buildperm.tracer.notation import decode, encode
from buildperm.tracer.system_values import open_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.supervisor.run import Run

_STAGED_MOST = 20_000
_OPENING = open_flags("O_PATH", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")


class ProfileDelivery:
    """The files beside programs of one run."""

    def __init__(self, run: Run) -> None:
        """Prepare for a run of a build script."""
        self.folder = profile_output.folder(run.places.get("OUT_DIR", b""))
        self.staged = run.places["TMP"] + b"/" + profile_output.STAGED.encode()
        self._learning = run.learning
        denied = run.package["deny"].get("write", ())
        self._denied = [each for each in denied if profile_output.is_pattern(each)]
        self._granted = profile_output.granted(run.package["write"])
        self._found: dict[bytes, tuple[int, int]] = {}  # What was there, by its name.

    @property
    def is_wanted(self) -> bool:
        """Whether the script has such a folder: granted anything there, or learning."""
        return bool(self.folder and (self._learning or self._granted))

    def is_own(self, name: bytes, *, changes: bool) -> bool:
        """Tell whether a script's call that names a file in the folder means its own.

        Args:
            name: From the folder on.
            changes: The call may make or change something.
        """
        parts = name.split(b"/")
        if parts[0] in (b"build", b".fingerprint", b"incremental"):
            return False
        if name.decode("latin-1") in profile_output.INNER:
            return True  # As one that is there: scripts make sure of it.
        depth = 2 if parts[0].decode("latin-1") in profile_output.INNER else 1
        unit = b"/".join(parts[:depth])
        if len(parts) >= depth and os.path.lexists(self.staged + b"/" + unit):
            return True
        if os.path.lexists(self.folder + b"/" + name) and not changes:
            return False
        return self._may(name)

    def _may(self, name: bytes) -> bool:
        """Tell whether a file of that name, or what would be in a folder of it, may be made."""
        target = profile_output.PREFIX + encode(name)
        is_file = not profile_output.why_closed(target)
        if not is_file and profile_output.why_closed(target, is_folder=True):
            return False
        if any(matches(each, target) for each in self._denied):
            return False
        if self._learning:
            return not (is_file and profile_output.is_cargos(self.folder + b"/" + name))
        return any(matches(each, target) or each.startswith(target + "/") for each in self._granted)

    def leaves(self, path: bytes) -> bool:
        """Tell whether a path beside programs is one of a file that the script leaves there."""
        if not covers(self.folder, path):
            return False
        name = path[len(self.folder) + 1 :]
        target = profile_output.PREFIX + encode(name)
        is_staged = self._learning and os.path.lexists(self.staged + b"/" + name)
        return self._is_granted(target) or (is_staged and not profile_output.why_closed(target))

    def stage(self) -> None:
        """Let the script find what is there already and was granted to it."""
        for inner in profile_output.INNER:
            os.makedirs(self.staged + b"/" + inner.encode(), mode=0o700, exist_ok=True)
        for pattern in self._granted:
            parts = pattern.removeprefix(profile_output.PREFIX).split("/")
            self._stage(decode("/".join(parts[:-1])))

    def _stage(self, folder: bytes) -> None:
        """Link what was granted in a folder, and below it if that was granted as a whole."""
        for name in self._names(folder):
            if len(self._found) >= _STAGED_MOST:
                return
            target = profile_output.PREFIX + encode(name)
            place, own = self.folder + b"/" + name, self.staged + b"/" + name
            if os.path.lexists(own):
                continue
            try:
                about = os.lstat(place)
                if stat.S_ISDIR(about.st_mode):
                    if any(matches(each, target + "/x") for each in self._granted):
                        os.makedirs(own, mode=0o755, exist_ok=True)
                        self._stage(name)
                elif self._is_granted(target) and not profile_output.is_cargos(place):
                    os.makedirs(os.path.dirname(own), mode=0o755, exist_ok=True)
                    if stat.S_ISLNK(about.st_mode):
                        os.symlink(os.readlink(place), own)
                    elif stat.S_ISREG(about.st_mode):
                        os.link(place, own, follow_symlinks=False)
                    else:
                        continue
                    now = os.lstat(own)
                    self._found[name] = now.st_dev, now.st_ino
            except OSError:
                continue  # The script does without.

    def _names(self, folder: bytes) -> list[bytes]:
        try:
            with os.scandir(self.folder + b"/" + folder if folder else self.folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError:
            return []
        return [folder + b"/" + name if folder else name for name in names]

    def _is_granted(self, target: str) -> bool:
        if profile_output.why_closed(target) or any(matches(e, target) for e in self._denied):
            return False
        return any(matches(each, target) for each in self._granted)

    def deliver(
        self, why_link: Callable[[str, bytes, bytes], str], is_undecided: Callable[[], bool]
    ) -> list[str]:
        """Put what was granted into the folder, and remove what the script has removed there.

        Args:
            why_link: Says why the run has to fail for a link: how it is called, where it is going
                to be, and where it leads from there; empty if it does not, or a grant would settle
                it.
            is_undecided: Tells whether a grant has to settle a link first: nothing is moved then.

        Returns:
            What could not be put there, and why.
        """
        wrong: list[str] = []
        moved: list[tuple[bytes, bytes]] = []
        for path, about in walk(self.staged):
            name = path[len(self.staged) + 1 :]
            target = profile_output.PREFIX + encode(name)
            if isinstance(about, str):
                wrong.append(f"{target}: {about}")
            elif stat.S_ISDIR(about.st_mode):
                continue
            elif not self._is_granted(target):  # While learning, it is asked about.
                if stat.S_ISLNK(about.st_mode) and (
                    why := self._why(target, name, about, why_link)
                ):
                    wrong.append(f"{target}: {why}")
            elif self._found.pop(name, None) == (about.st_dev, about.st_ino):
                continue
            else:
                why = self._why(target, name, about, why_link)
                if why:
                    wrong.append(f"{target}: {why}")
                moved.append((name, path))
        if not wrong and not is_undecided():
            for name, path in moved:
                try:
                    self._move(name, path)
                except OSError as error:
                    wrong.append(f"{profile_output.PREFIX}{encode(name)}: {error.strerror}")
            for name in self._found:  # The script has removed it.
                self._remove(name)
        return wrong

    def _why(
        self,
        target: str,
        name: bytes,
        about: os.stat_result,
        why_link: Callable[[str, bytes, bytes], str],
    ) -> str:
        place = self.folder + b"/" + name
        if profile_output.is_cargos(place):
            return "Cargo has put it there"
        if stat.S_ISLNK(about.st_mode):
            text = os.readlink(self.staged + b"/" + name)
            if self._turns_back(os.path.dirname(place), text):
                return "a link that turns back behind another one"
            led = os.path.normpath(os.path.join(os.path.dirname(place), text))
            if covers(self.staged, led):  # As a script says that resolves its own path.
                return "a link to where it does not stay"
            below = led[len(self.folder) + 1 :] if covers(self.folder, led) else b""
            if below and not below.startswith(b"build/"):  # As the OUT_DIR is.
                return profile_output.why_closed(profile_output.PREFIX + encode(below))
            return why_link(target, place, led)
        if not stat.S_ISREG(about.st_mode):
            return "no file"
        is_setuid = about.st_mode & (stat.S_ISUID | stat.S_ISGID)
        return "a setuid or setgid program" if is_setuid else ""

    def _turns_back(self, start: bytes, text: bytes) -> bool:
        """Tell whether a `..` in a link is not of the folder that the names before it say.

        Behind a link it is the folder above what that leads to: path_resolution(7).
        """
        path = b"" if text.startswith(b"/") else start
        for part in text.split(b"/"):
            if part == b"..":
                if self._is_led(path):
                    return True
                path = os.path.dirname(path)
            elif part not in (b"", b"."):
                path = path.rstrip(b"/") + b"/" + part
        return False

    def _is_led(self, path: bytes) -> bool:
        """Tell whether there is a link on a path, or will be once all is delivered."""
        if path and os.path.realpath(path) != path:
            return True
        if not covers(self.folder, path):
            return False
        parts = path[len(self.folder) :].strip(b"/").split(b"/")
        ends = (b"/".join(parts[: at + 1]) for at in range(len(parts)))
        return any(parts != [b""] and os.path.islink(self.staged + b"/" + end) for end in ends)

    def _move(self, name: bytes, path: bytes) -> None:
        """Move a file to its place; no folder on the way is entered through a link."""
        *above, last = name.split(b"/")
        opened = [os.open(self.folder, _OPENING)]
        try:
            for each in above:
                try:
                    os.mkdir(each, 0o755, dir_fd=opened[-1])
                except FileExistsError:
                    pass
                opened.append(os.open(each, _OPENING, dir_fd=opened[-1]))
            about = os.lstat(path)
            if stat.S_ISREG(about.st_mode) and about.st_nlink > 1:
                path = _copied(path, about)  # In OUT_DIR: two names are a mark of Cargo's files.
            os.rename(path, last, dst_dir_fd=opened[-1])
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _remove(self, name: bytes) -> None:
        *above, last = name.split(b"/")
        opened = [os.open(self.folder, _OPENING)]
        try:
            for each in above:
                opened.append(os.open(each, _OPENING, dir_fd=opened[-1]))
            os.unlink(last, dir_fd=opened[-1])
        except OSError:
            pass  # Somebody else has.
        finally:
            for descriptor in opened:
                os.close(descriptor)


def _copied(path: bytes, about: os.stat_result) -> bytes:
    """Copy a file, so that it has no other name; return where the copy is.

    Raises:
        OSError: There is no room for it.
    """
    copy = path + b".alone"
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        made = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while os.sendfile(made, source, None, 1 << 30):
                pass
            os.fchmod(made, stat.S_IMODE(about.st_mode))
        finally:
            os.close(made)
    finally:
        os.close(source)
    return copy
