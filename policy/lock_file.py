"""`buildperm.lock`: what crates were seen doing when they were reviewed, to be committed.

It is made to be compared and merged line by line: it is sorted, long lists have one element a line,
and the same content gives the same text. It grants nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from buildperm.errors import BuildpermError
from buildperm.policy import lock_reader
from buildperm.policy.lock_reader import FORMAT, is_digest, short
from buildperm.policy.replacement import replace_file
from buildperm.policy.role import SubjectKind
from buildperm.policy.snapshot import Snapshot, SnapshotRun
from buildperm.policy.string_list import WIDTH
from buildperm.policy.version import sort_key
from buildperm.printable import is_storable, printable

NAME = "buildperm.lock"
"""Its name, beside the Cargo.toml of the workspace."""

_HEAD = f"""\
# What build scripts and procedural macros were seen doing when they were reviewed. Written by
# buildperm, to be committed. It grants nothing: grants are in Cargo.toml.
version = {FORMAT}
"""


def read(path: Path) -> dict[tuple[str, str], Snapshot]:
    """Read all snapshots, by crate and version; none where there is no file.

    Raises:
        BuildpermError: The file cannot be read, or is not what buildperm writes.
    """
    raw = content(path)
    return {} if raw is None else parse(raw, path)


def content(path: Path) -> bytes | None:
    """Return the bytes of the file, to be handed to `parse` and `write`; None if there is none.

    Raises:
        BuildpermError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BuildpermError(
            f"read {path}: {error.strerror}",
            hint="Make it a file that you may read, or remove it and run `buildperm review`.",
        ) from error


def parse(raw: bytes, path: Path) -> dict[tuple[str, str], Snapshot]:
    """Read all snapshots from the bytes of the file; `path` is only used in messages.

    Raises:
        BuildpermError: It is not what buildperm writes; the message names the line.
    """
    return lock_reader.parse(raw, path)


def text(snapshots: Mapping[tuple[str, str], Snapshot]) -> bytes:
    """Write all snapshots; equal ones give equal bytes, in whatever order they come.

    Raises:
        BuildpermError: Something in them cannot be shown, such as control characters.
        ValueError: A snapshot could not be read back; the caller made a mistake.
    """
    ordered = sorted(snapshots.items(), key=lambda item: (item[0][0], sort_key(item[0][1])))
    parts = [_HEAD]
    for key, snapshot in ordered:
        if key != (snapshot.crate, snapshot.version):
            raise ValueError(f"{key} is not the key of {snapshot.crate} {snapshot.version}")
        parts += ["\n", *(f"{line}\n" for line in _script(snapshot))]
    return "".join(parts).encode()


def write(path: Path, before: bytes | None, after: bytes) -> None:
    """Replace the file by `after`, all or nothing, if it still holds `before`.

    A file checked out with carriage returns keeps them; one that says the same is not touched.

    Args:
        path: The lock file; a symbolic link to one is followed.
        before: What `content` returned when the file was read; None where there was none.
        after: What `text` returned.

    Raises:
        BuildpermError: It holds something else by now, or cannot be written; it is untouched.
    """
    if before is None and path.is_symlink() and not path.exists():
        raise BuildpermError(
            f"{path} is a link to {printable(os.readlink(path))}, which is not there",
            hint="Remove the link: buildperm writes a new file in its place.",
        )
    if before is not None:
        if b"\r\n" in before:
            after = after.replace(b"\n", b"\r\n")
        if before == after:
            return
    replace_file(
        path,
        before,
        after,
        changed_hint="Run the command again: decisions are kept.",
        failed_hint="Make the file and its folder writable, and run the command again.",
    )


def _script(snapshot: Snapshot) -> list[str]:
    inputs = snapshot.inputs
    if not all(map(is_digest, (inputs.digest, *inputs.files.values()))):
        raise ValueError(f"{snapshot.crate}: a digest is no SHA-256 in hexadecimal digits")
    lines = [
        "[[script]]",
        f"crate = {_literal(snapshot.crate)}",
        f"version = {_literal(snapshot.version)}",
    ]
    if snapshot.source:
        lines.append(f"source = {_literal(snapshot.source)}")
    if inputs.checksum:
        lines.append(f"checksum = {_literal(inputs.checksum)}")
    lines += _list("build-dependencies", inputs.build_dependencies)
    if inputs.macro_dependencies:
        lines += _list("macro-dependencies", inputs.macro_dependencies)
    lines.append(f"inputs = {_literal(inputs.digest)}")
    if snapshot.unused:
        lines += _list("unused", snapshot.unused)
    if inputs.files:
        lines += ["", "[script.files]"]
        lines += (
            f"{_literal(name)} = {_literal(digest)}"
            for name, digest in sorted(inputs.files.items())
        )
    if snapshot.commands:
        lines += ["", "[script.commands]"]
        for words in sorted(snapshot.commands):
            lines += _list(_literal(words), snapshot.commands[words])
    contexts = [sighting.context for sighting in snapshot.sightings]
    if len(set(contexts)) < len(contexts):
        raise ValueError(f"{snapshot.crate}: two sightings of one context")
    for sighting in sorted(snapshot.sightings, key=lambda sighting: sighting.context):
        lines += ["", *_run(sighting)]
    return lines


def _run(sighting: SnapshotRun) -> list[str]:
    context = sighting.context
    role = context.role
    told = {
        "subject": "" if role.subject is SubjectKind.SCRIPT else str(role.subject),
        "consumer": role.consumer,
        "target": context.target,
        "profile": context.profile,
    }
    if role.subject is SubjectKind.SCRIPT and not (context.target and context.profile):
        raise ValueError("a run of a build script has a target and a profile")
    return [
        "[[script.run]]",
        *(f"{key} = {_literal(value)}" for key, value in told.items() if value),
        *_list("features", context.features),
        f"runtime = {_literal(sighting.runtime)}",
        *_list("seen", map(short, sighting.seen)),
    ]


def _list(key: str, values: Iterable[str]) -> list[str]:
    """Write a sorted list: on one line, or one element a line where it would be too long."""
    literals = [_literal(value) for value in sorted(set(values))]
    line = f"{key} = [{', '.join(literals)}]"
    if len(line) <= WIDTH:
        return [line]
    return [f"{key} = [", *(f"    {literal}," for literal in literals), "]"]


def _literal(value: str) -> str:
    """Write a string as TOML; it holds nothing that needs more than two escapes."""
    if not is_storable(value):
        raise BuildpermError(
            f"`{printable(value)}` holds characters that cannot be shown, "
            f"and {NAME} holds none such",
            hint="Leave them out of the words for Cargo and of the names of files.",
        )
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
