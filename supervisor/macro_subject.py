"""Finds out about a request to run macros: whose they are, for whom, and what that allows.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules import baseline
from buildperm.rules.pattern import covers
from buildperm.supervisor.macro_request import FOLDER
from buildperm.supervisor.script import StoppedError
from buildperm.supervisor.session import ungranted, unnamed
from buildperm.supervisor.subject import Subject
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.supervisor.macro_request import MacroRequest
    from buildperm.supervisor.session import Session, SessionMacros, SessionPackage

_LISTED = (b"/src/bin", b"/tests", b"/examples", b"/benches")
"""Folders that Cargo looks through for targets, as `cargo metadata` does: Cargo book, "Package
Layout"."""

_UNKNOWN = "it came after the last review: run `buildperm learn`"


def find_macros(session: Session, request: MacroRequest) -> SessionPackage:
    """Return the package whose macros are to be run, with the grants that hold for this consumer.

    Denials hold for all.

    Raises:
        StoppedError: The session does not know it.
    """
    macros = session.get("macros", {}).get(request.manifest)
    if macros is None and session.get("standing"):
        package = ungranted()
        # Cargo's variables are those of the consumer: the folder's name has to do.
        name = encode(os.path.basename(request.manifest))
        package["crate"] = package["id"] = package["name"] = name
        return package
    if macros is None:
        raise StoppedError(
            f"the package of macros in `{encode(request.manifest)}` is not one that buildperm "
            "knows of",
            _UNKNOWN,
        )
    package = _without_consumers(macros)
    if request.consumer not in session.get("members", ()) and request.consumer not in macros["for"]:
        for kind in ("read", "write", "exec", "net", "env"):
            package[kind] = []
        package["secrets"] = []
    return package


def find_places(session: Session, request: MacroRequest, scratch: bytes) -> dict[str, bytes]:
    """Return all places of this run, without links; those of a package are the consumer's.

    `scratch` is the name of its scratch folder among those of a fork server; if it is empty, there
    is none yet.

    Raises:
        StoppedError: What the request names is not where it should be.
    """
    places = dict(session["places"])
    if not request.has_folder_in(places["TARGET_DIR"]):
        raise StoppedError(f"`{encode(request.folder)}` is no folder for a run of macros")
    places["MANIFEST_DIR"] = request.consumer
    places["TMP"] = own_folder(request) + b"/scratch"
    if scratch:
        places["TMP"] = scratch_folder(places["TARGET_DIR"], scratch)
    if request.out_dir:
        places["OUT_DIR"] = os.path.realpath(request.out_dir)
        if not baseline.output_of(places["OUT_DIR"], places):
            raise StoppedError(f"`{encode(request.out_dir)}` is no output folder of a build script")
    return places


def find_subject(session: Session, request: MacroRequest, places: Mapping[str, bytes]) -> Subject:
    """Return what this run is of.

    Raises:
        StoppedError: The session does not know the consumer, or was made without compiling.
    """
    consumer = session.get("consumers", {}).get(request.consumer)
    if consumer is None and (found := unnamed(session, request.environ)):
        consumer = {
            "crate": found["crate"],
            "name": found["name"],
            "version": found["version"],
            "source": "",
        }
    if consumer is None or "compile" not in session:
        raise StoppedError(
            f"the package in `{encode(request.consumer)}` is not one that buildperm knows of",
            _UNKNOWN,
        )
    return Subject(
        own_folder(request) + b"/recording.jsonl",
        session["compile"]["host"],
        (os.path.realpath(request.library),),
        manifests=session.get("manifests", ()),
        listed=_listed(session, places),
        consumer=consumer,
    )


def scratch_folder(target: bytes, name: bytes) -> bytes:
    """Return the scratch folder of that name, which one run has after the other."""
    return target + FOLDER + b"scratch/" + name


def own_folder(request: MacroRequest) -> bytes:
    """Return the folder in which buildperm keeps its files about this run."""
    return request.folder + b"/buildperm"


def _without_consumers(macros: SessionMacros) -> SessionPackage:
    package = macros.copy()
    del package["for"]  # type: ignore[misc]  # A package is what is left.
    return package


def _listed(session: Session, places: Mapping[str, bytes]) -> list[bytes]:
    """List the folders of members that Cargo looks through."""
    workspace = places["WORKSPACE"]
    found: set[bytes] = set()
    for member in session.get("members", ()):
        found.update(path for path in (member + below for below in _LISTED) if os.path.isdir(path))
        above = os.path.dirname(member)  # `members = ["crates/*"]`
        if above != workspace and covers(workspace, above):
            found.add(above)
    return sorted(found)
