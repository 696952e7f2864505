"""What stays the same while one build script runs, and what it makes of the session.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.policy import baseline
from buildperm.sandbox import landlock, script, spec
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.sandbox.session import Package, Session


_TOOLS = (b"RUSTC", b"RUSTDOC", b"CARGO")
"""Variables of Cargo that name programs which every script may run."""


class Run:
    """One run: session, package, places, and the environment that Cargo gave."""

    def __init__(
        self,
        session: Session,
        package: Package,
        places: dict[str, bytes],
        environ: dict[bytes, bytes],
        abi: int,
    ) -> None:
        self.session = session
        self.package = package
        self.places = places
        self.environ = environ
        self.abi = abi  # Landlock's.
        self.learning = session["profile"] == "learning"
        self.written = spec.written(session)
        self.handed_over = tuple(baseline.handed_over(environ, places))

    @property
    def recording(self) -> bytes:
        """The path of the recording."""
        return script.unit(self.places["OUT_DIR"]) + b"/recording.jsonl"

    def rights(self, program: bytes, fifo: bytes) -> dict[bytes, int]:
        """Return the Landlock rights by path.

        Args:
            program: The real build script.
            fifo: The jobserver's; empty if it has none.
        """
        session = self.session
        programs = session.get("programs")
        path = session["path"]
        grants = spec.Grants(self.package, self.places, path, programs, self.written)
        grants.add_baseline()
        grants.add_package()
        if self.learning:
            grants.add_learning()
        grants.add(program, spec.EXEC)
        for name in _TOOLS:
            grants.add_tool(self.environ.get(name, b""))
        grants.add_tool(self.session["rustc_wrapper"])
        for folder in self.handed_over:
            grants.add(folder, spec.READ)
        if fifo:
            grants.add(os.path.realpath(fifo), landlock.READ_FILE | landlock.WRITE_FILE)
        return grants.rights

    def header(self) -> dict[str, object]:
        """Return the first line of the recording."""
        package, session, environ = self.package, self.session, self.environ
        named = (*map(environ.get, _TOOLS), session["rustc_wrapper"])
        tools: list[object] = [encode(os.path.realpath(tool)) for tool in named if tool]
        handed_over: list[object] = [encode(folder) for folder in self.handed_over]
        return {
            "crate": package["crate"],
            "name": package["name"],
            "crate_version": package["version"],
            "source": package["source"],
            "checksum": package["checksum"],
            "target": encode(environ.get(b"TARGET", b"")),
            "host": encode(environ.get(b"HOST", b"")),
            "profile": encode(environ.get(b"PROFILE", b"")),
            "features": script.features(environ),
            "kernel": session["kernel"],
            "runtime": session["runtime"],
            "landlock_abi": self.abi,
            "mode": session["profile"],
            "buildperm": session["buildperm"],
            "session": package.get("digest", ""),
            "places": {token: encode(path) for token, path in self.places.items()},
            "path": encode(session["path"]),
            "tools": tools,
            "handed_over": handed_over,
        }
