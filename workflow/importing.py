"""What `import` does: fetch a file of grants, check it, put it into the workspace, and note it.

Nothing else fetches such a file: builds and `check` read what was committed.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from buildperm.errors import BuildpermError
from buildperm.policy import editor, import_table, imported_grants, manifest
from buildperm.policy.grants import CrateGrants, ImportedGrants
from buildperm.policy.imported_grants import LARGEST
from buildperm.policy.replacement import replace_file
from buildperm.printable import is_nameable, printable
from buildperm.workflow.workspace import Workspace, open_workspace

DEFAULT_FILE = "buildperm-grants.toml"
"""The file in a Git repository that is meant unless another one is named."""

FOLDER = "grants"
"""Where files are put below the workspace unless another place is named."""

VERSION = 1
"""Of the JSON document."""

_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class ImportSource:
    """Where a file of grants is."""

    path: str  # A file, or one in the repository; or an address that begins with `https://`.
    git: str = ""  # The address of a repository; empty for none.
    revision: str = ""  # The full hash of a commit in it.
    sha256: str = ""  # What the file has to have; may be empty but for `https://`.


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of one import."""

    entry: ImportedGrants
    diff: str  # Of Cargo.toml; empty if it says so already.
    is_written: bool

    def lines(self) -> Iterator[str]:
        """Return plain lines."""
        entry = self.entry
        yield f"{entry.file}: {len(entry.crates)} tables of grants, from {printable(entry.origin)}"
        yield f"  sha256 {entry.sha256}"
        for key, grants in sorted(entry.crates.items()):
            yield f"  {printable(key)}: {_summary(grants)}"
        if not self.is_written:
            yield "Nothing was written. Cargo.toml would change so:"
            yield from self.diff.splitlines()
        elif self.diff:
            yield "Cargo.toml names it now. Commit both files."
        else:
            yield "Cargo.toml names it already."

    def document(self) -> dict[str, object]:
        """Return one document."""
        return {
            "version": VERSION,
            "file": self.entry.file,
            "sha256": self.entry.sha256,
            "from": self.entry.origin,
            "crates": sorted(self.entry.crates),
            "is_written": self.is_written,
            "diff": self.diff,
        }


def _summary(grants: CrateGrants) -> str:
    parts = [f"preset {name}" for name in sorted(grants.presets)]
    parts += [f"{rule.kind} {printable(rule.pattern)}" for rule in sorted(grants.rules)]
    parts += [f"not {rule.kind} {printable(rule.pattern)}" for rule in sorted(grants.denials)]
    return ", ".join(parts) or "nothing"


def import_grants(source: ImportSource, place: str, *, dry_run: bool) -> ImportResult:
    """Import a file of grants into the workspace of the current folder.

    Args:
        source: Where it is.
        place: Its path from the root of the workspace; empty: its own name, below `FOLDER`.
        dry_run: Nothing is written.

    Raises:
        BuildpermError: It cannot be fetched, is not what was asked for, says what no such file
            may, or cannot be written.
    """
    workspace = open_workspace((), default=("check",))
    raw, origin = _fetched(source)
    found = imported_grants.digest(raw)
    if source.sha256 and found != source.sha256:
        raise BuildpermError(
            f"{printable(origin)} has the SHA-256 {found}, not {printable(source.sha256)}",
            hint="Look at the file, and find out who has changed it.",
        )
    named = place or f"{FOLDER}/{_name(source)}"
    path = workspace.project.metadata.root / named
    entry = ImportedGrants(
        named, found, origin, imported_grants.parse(raw, Path(printable(origin)))
    )
    after = import_table.with_import(workspace.manifest, entry, workspace.manifest_path)
    # Read as every command will, with the file that is to lie there.
    beside = imported_grants.from_disk(workspace.project.metadata.root)
    manifest.policy(
        *manifest.parse(after, workspace.manifest_path),
        workspace.manifest_path,
        lambda name: raw if name == named else beside(name),
    )
    diff = editor.diff(workspace.manifest, after)
    if not dry_run:
        _write(workspace, path, raw, after)
    return ImportResult(entry, diff, is_written=not dry_run)


def _write(workspace: Workspace, path: Path, raw: bytes, after: bytes) -> None:
    had = path.read_bytes() if path.is_file() else None
    known = {each.file for each in workspace.policy.imports}
    name = str(path.relative_to(workspace.project.metadata.root))
    if had not in (None, raw) and name not in known:
        raise BuildpermError(
            f"{path} is there already, and was not imported",
            hint="Choose another place with `--as FILE`.",
        )
    hints = {"changed_hint": "Run the command again.", "failed_hint": "Make its folder writable."}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildpermError(f"cannot make {path.parent}: {error.strerror}") from error
    if had != raw:
        replace_file(path, had, raw, **hints)
    try:
        if after != workspace.manifest:
            editor.write_atomically(workspace.manifest_path, workspace.manifest, after)
    except BuildpermError:
        if had is None:
            path.unlink(missing_ok=True)
        elif had != raw:
            replace_file(path, raw, had, **hints)
        raise


def _name(source: ImportSource) -> str:
    path = urllib.parse.urlsplit(source.path).path if _is_address(source.path) else source.path
    name = path.rpartition("/")[2]
    if not name or not is_nameable(name) or name in (".", ".."):
        raise BuildpermError("the source has no name of a file", hint="Name one with `--as FILE`.")
    return name


def _is_address(text: str) -> bool:
    return "://" in text


def _fetched(source: ImportSource) -> tuple[bytes, str]:
    """Return the file, and where it is from, for people."""
    if source.git:
        return _from_git(source)
    if source.revision:
        raise BuildpermError("`--rev` is for `--git`", hint="Name the repository, too.")
    if _is_address(source.path):
        return _from_https(source)
    try:
        return imported_grants.from_disk(Path())(source.path), source.path
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BuildpermError(f"cannot read {printable(source.path)}: {why}") from error


def _refuse_credentials(address: str) -> None:
    try:
        parts = urllib.parse.urlsplit(address)
        is_bad = parts.password is not None or (parts.scheme == "https" and "@" in parts.netloc)
    except ValueError as error:
        raise BuildpermError(f"{printable(address)} is no address") from error
    if is_bad:
        raise BuildpermError(
            "an address with a user name or a password would be written into Cargo.toml",
            hint="Leave them to Git's credential helper, or fetch the file yourself.",
        )


def _from_https(source: ImportSource) -> tuple[bytes, str]:
    if not source.path.startswith("https://"):
        raise BuildpermError(
            f"{printable(source.path)}: only https:// is fetched", hint="Or name a file."
        )
    _refuse_credentials(source.path)
    if not source.sha256:
        raise BuildpermError(
            "what comes from an address needs its hash",
            hint="Get the hash from who has made the file: `--sha256 HASH`.",
        )
    try:
        request = urllib.request.Request(source.path)  # noqa: S310 - https alone, see above
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            if not answer.geturl().startswith("https://"):
                raise BuildpermError(f"{printable(source.path)} leads to where no https is")
            return answer.read(LARGEST + 1), source.path
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise BuildpermError(f"cannot fetch {printable(source.path)}: {error}") from error


def _from_git(source: ImportSource) -> tuple[bytes, str]:
    if not _REVISION.fullmatch(source.revision):
        raise BuildpermError(
            f"`{printable(source.revision)}` is no full hash of a commit",
            hint="Write all 40 digits, `--rev HASH`: branches and tags can be moved.",
        )
    if source.git.startswith("-") or "::" in source.git:
        raise BuildpermError(f"`{printable(source.git)}` is no address of a repository")
    _refuse_credentials(source.git)
    with tempfile.TemporaryDirectory(prefix="buildperm-") as folder:
        _git(folder, "init", "--quiet", "--bare", "--template=")
        try:
            _git(folder, "fetch", "--quiet", "--no-tags", "--depth=1", source.git, source.revision)
        except BuildpermError:  # Some servers give no single commits.
            refs = "+refs/*:refs/fetched/*"
            _git(folder, "fetch", "--quiet", "--no-tags", source.git, refs)
        kind = _git(folder, "cat-file", "-t", source.revision).strip()
        if kind != b"commit":
            raise BuildpermError(f"{source.revision} is no commit there")
        raw = _git(folder, "cat-file", "blob", f"{source.revision}:{source.path}")
    return raw, f"git+{source.git}?rev={source.revision}#{source.path}"


def _git(folder: str, *words: str) -> bytes:
    """Run git in a repository of our own.

    Raises:
        BuildpermError: It failed.
    """
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_DIR": folder}
    try:
        done = subprocess.run(
            ["git", "-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", *words],
            cwd=folder if words[0] == "init" else None,
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise BuildpermError("there is no git", hint="Install it, or import a file.") from error
    except subprocess.TimeoutExpired as error:
        raise BuildpermError(f"git took more than {_TIMEOUT_S} seconds") from error
    if done.returncode != 0:
        said = printable(done.stderr.decode("utf-8", "replace").strip()) or "it failed"
        raise BuildpermError(f"git {words[0]}: {said}")
    return done.stdout
