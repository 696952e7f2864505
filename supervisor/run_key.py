"""What has to be the same for one run to stand for another, apart from what it reads.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.cache import digest, static_key
from buildperm.supervisor import environment
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.location import open_regular_file
from buildperm.tracer.recording_format import FULL, LIGHT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.cache.path_tokens import PathTokens
    from buildperm.supervisor.run import Run


class RunKey:
    """The static key of a run, and what of its environment it cannot have."""

    __slots__ = ("parts", "secrets", "text", "withheld")

    def __init__(self, run: Run, arguments: Iterable[bytes], tokens: PathTokens) -> None:
        """Find it.

        Args:
            run: The run.
            arguments: What its program is called with.
            tokens: Its places.

        Raises:
            OSError: The program cannot be read.
        """
        variables, kept = environment.for_script(
            run.environ, run.session, run.package, run.places, learning=False
        )
        partly = sorted((name, why) for name, why in kept.secrets.items() if name in variables)
        self.secrets = frozenset(map(encode, kept.secrets))  # Names, in notation.
        self.withheld = kept.names
        settled = _settled(run, tokens, partly)
        file = open_regular_file(run.subject.program)
        try:
            program = digest.of_descriptor(file)
        finally:
            os.close(file)
        self.parts = static_key.parts(settled, program, tuple(arguments), variables, tokens)
        self.text = static_key.of(self.parts)


def _settled(run: Run, tokens: PathTokens, partly: list[tuple[bytes, str]]) -> dict[str, str]:
    """Return all of it but program, arguments and variables.

    Args:
        run: The run.
        tokens: Its places.
        partly: Variables of which it sees all but a secret, and why.
    """
    session = run.session
    closed = sorted((tokens.portable(path), why) for path, why in run.held.items())
    settled = {
        "version of buildperm": session["buildperm"],
        "grants": _grants(run, tokens),
        "runtime": f"{session['runtime']} {run.abi} {session['kernel']}",
        "observation": LIGHT if run.is_light else FULL,
        "machine": session["cache"]["machine"],
        "sensitive files": digest.of(repr(closed).encode()),
        "settings": digest.of(repr(sorted(map(tokens.portable, run.harmless))).encode()),
        "variables that hold a secret": digest.of(repr(partly).encode()),
        "package": f"{run.package['name']} {run.package['version']} {run.package['source']}",
    }
    if "root" in session:
        settled["root"] = session["root"]["digest"]
    settled["place of the program"] = tokens.portable(run.subject.program)
    return settled


def _grants(run: Run, tokens: PathTokens) -> str:
    """Return a digest of all that the run is held to: the session's, with tokens."""
    session, package = run.session, dict(run.package)
    for name in ("id", "digest", "withheld", "waiting"):
        package.pop(name, None)
    path, copied = session.get("git_settings", (b"", None))
    paths = [
        sorted(map(tokens.portable, session.get("trusted", ()))),
        sorted(tokens.portable(each[0]) for each in session.get("settings", ())),
        sorted(map(tokens.portable, session.get("settings_closed", ()))),
        [tokens.portable(path) if path else "", repr(copied)],
    ]
    loaded = sorted(session.get("loaded", ()))
    held = sorted(package.items()), sorted(session["limits"].items()), loaded, paths
    return digest.of(repr(held).encode("utf-8", "backslashreplace"))
