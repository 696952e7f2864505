"""Leads a Cargo that runs to its session, by a link that its compiler calls follow."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from buildperm.cargo.cargo_invocation import CargoInvocation

_SERVES = "serves"  # As `cargo.standing_build.SERVES`, which takes long to import.


def lead(invocation: CargoInvocation, folder: Path) -> None:
    """Have a running Cargo find `folder`, and a fork server for its macros, if it has any."""
    link = invocation.link
    server = link.with_name(f"{link.name}.server")
    if os.path.realpath(link) != str(folder):
        server.unlink(missing_ok=True)
        if (folder / _SERVES).exists():
            _start_server(invocation, folder, server)
    link_to(link, folder)


def link_to(link: Path, to: Path) -> None:
    """Have a link lead to another place, at once."""
    new = link.with_name(f"{link.name}.{os.getpid()}")
    new.symlink_to(to)
    new.replace(link)


def _start_server(invocation: CargoInvocation, folder: Path, told: Path) -> None:
    """Start a fork server that ends with Cargo. Where there can be none, launchers do without."""
    import subprocess
    import tempfile

    from buildperm.cargo.fork_server_client import MEMORY
    from buildperm.sandbox.stub import SUPERVISOR

    try:
        its = tempfile.mkdtemp(prefix="buildperm-", dir=MEMORY)
        session = str(folder / "buildperm-session")
        subprocess.Popen(
            [sys.executable, "-IS", SUPERVISOR, "--serve", its, session, "alone"],
            env=dict(invocation.environment),
            stdin=os.pidfd_open(invocation.process),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        told.touch(mode=0o600)
        told.write_text(f"{its}\n")
    except OSError:
        told.unlink(missing_ok=True)
