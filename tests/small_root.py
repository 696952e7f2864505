"""A root made of this machine's own files: a loader, a C library, and programs made for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from buildperm.rules import root_layout
from buildperm.sandbox.full_runtime import full
from buildperm.sandbox.root_digest import state_of

_HEADERS = "#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\n"
OS_RELEASE = 'NAME="a small root"\n'


class SmallRoot:
    """A folder with `usr` and `etc`, in which build scripts of this machine can start."""

    def __init__(self, folder: Path) -> None:
        """Make it."""
        self.folder = folder
        for name in ("usr/bin", "usr/lib", "etc"):
            (folder / name).mkdir(parents=True)
        (folder / "bin").symlink_to("usr/bin")
        (folder / "etc/os-release").write_text(OS_RELEASE)
        (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        for library in (*_needed(Path("/bin/sh")), _of_compiler("libgcc_s.so.1")):
            self._take(library)

    def add_program(self, name: str, body: str, folder: str = "usr/bin") -> Path:
        """Compile a C program whose `main` is `body`."""
        made = self.folder / folder / name
        made.parent.mkdir(parents=True, exist_ok=True)
        text = f"{_HEADERS}int main(void) {{{body}}}\n"
        subprocess.run(["cc", "-x", "c", "-o", made, "-"], input=text.encode(), check=True)
        return made

    @property
    def digest(self) -> str:
        """Return the digest that it has now."""
        return state_of(self.folder).digest

    def table(self, *, where: str | None = None) -> str:
        """Return the grant table of a workspace that wants it."""
        lines = [
            "\n[workspace.metadata.buildperm]",
            "version = 1",
            'require = "full"',
            f'root = "{self.folder if where is None else where}"',
            f'root-digest = "{self.digest}"',
        ]
        return "\n".join(lines if where != "" else [*lines[:3], lines[4]]) + "\n"

    def _take(self, library: Path) -> None:
        """Copy a library to where the loader looks for it."""
        top = library.parts[1]
        if root_layout.is_replaced(os.fsencode(top)) and top != "usr":  # `lib64`
            link = self.folder / top
            if not link.is_symlink():
                link.symlink_to(f"usr/{top}")
            place = self.folder / "usr" / library.relative_to("/")
        else:
            place = self.folder / library.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)


def skip_without_rooms() -> None:
    """Skip the test where no script can be held by `full`, or no user namespace be made."""
    reason = full.unavailable()
    if reason:
        pytest.skip(f"no bubblewrap: {reason}")
    if not full.prepare().room:
        pytest.skip("no starter that makes rooms")


def _needed(program: Path) -> list[Path]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(found) for found in re.findall(r"(/\S+) \(0x", said)]


def _of_compiler(name: str) -> Path:
    command = ["cc", f"-print-file-name={name}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return Path(os.path.realpath(said))
