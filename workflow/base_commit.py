"""The commit that grants are compared with, and what stood beside Cargo.toml in it.

The commits, the settings of the repository and the name on the command line may all be hostile.
The name reaches git on its standard input, where nothing is an option, and from then on only as a
hash. Links are not followed, and sizes are limited.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from buildperm.errors import BuildpermError
from buildperm.printable import is_nameable
from buildperm.workflow import untrusted_git

LARGEST = 16 << 20
"""Bytes of one file."""

_ALL_MOST = 64 << 20  # Bytes of all manifests that are looked through.
_MANIFESTS_MOST = 2_000
_OBJECT = re.compile(rb"([0-9a-f]{40,64}) (\w+) (\d+)")  # git-cat-file(1), "Batch Output".
_ENTRY = re.compile(rb"(\d+) (\w+) ([0-9a-f]{40,64}) +(\d+|-)\t(.*)", re.DOTALL)  # git-ls-tree(1).
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # No branch or tag can stand in its place.
# gitrevisions(7), "<refname>": git takes the first that exists, and a fetch can bring tags.
_WAYS = ("refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")
_LINK = b"120000"
_POINTER = b"version https://git-lfs.github.com/spec/"
_SHOWN = 12  # Digits of a commit.


@dataclass(frozen=True, slots=True)
class BaseCommit:
    """One commit of the repository that a folder is in."""

    folder: Path
    prefix: bytes  # The folder, from the top of the repository on: empty, or with `/` at its end.
    name: str  # As it was asked for.
    commit: str  # The one to compare with: a hash.
    is_base: bool  # It is where the branch began, not the named commit itself.
    note: str  # Why it is not the commit one would expect; empty if it is.
    tip: str  # The named commit: a hash.

    def __str__(self) -> str:
        return f"{self.name} ({self.commit[:_SHOWN]})"

    def place(self, path: bytes | str) -> Path:
        """Return what messages call a file of the commit."""
        return Path(
            f"{self.name}:{path if isinstance(path, str) else path.decode('utf-8', 'replace')}"
        )

    def merged(self, name: str, content: bytes) -> tuple[bytes, bytes] | None:
        """Return a file as a merge would make it, and as the named commit has it.

        None if the base is the named commit, if either of them lacks the file, or if they
        conflict, so that a person has to look.

        Raises:
            BuildpermError: One is no ordinary file or too large, or git cannot tell.
        """
        if not self.is_base:
            return None
        theirs = replace(self, commit=self.tip).files([name]).get(name)
        base = self.files([name]).get(name)
        if base is None or theirs is None:
            return None
        with TemporaryDirectory() as folder:
            for each, raw in (("ours", content), ("base", base), ("theirs", theirs)):
                (Path(folder) / each).write_bytes(raw)
            made = untrusted_git.run_git(Path(folder), "merge-file", "-p", "ours", "base", "theirs")
        return (made.stdout, theirs) if made.succeeded else None

    def files(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the content of files beside Cargo.toml, but for those that are not there.

        Raises:
            BuildpermError: One is no ordinary file or too large, or git cannot tell.
        """
        paths = {self.prefix + name.encode(): name for name in names}
        found = [entry for entry in self._entries(*paths) if entry.path in paths]
        for entry in found:
            self._refuse(entry)
        content = self._read(entry.blob for entry in found)
        known = {paths[entry.path]: content[entry.blob] for entry in found}
        for name, raw in known.items():
            if raw.startswith(_POINTER):
                raise BuildpermError(
                    f"{self.place(name)} is a pointer of Git LFS",
                    hint="Keep it in the repository itself: `git lfs untrack`.",
                )
        return known

    def above(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every Cargo.toml above the folder, the nearest first, with the path down from it.

        Raises:
            BuildpermError: Git cannot tell.
        """
        folders = self.prefix.split(b"/")[:-1]
        ways = [
            (b"/".join([*folders[:depth], b"Cargo.toml"]), b"/".join(folders[depth:]))
            for depth in range(len(folders))
        ]
        if not ways:
            return
        entries = self._entries(*(path for path, _ in ways))
        blobs = {entry.path: entry.blob for entry in entries if entry.size <= LARGEST}
        content = self._read(blobs.values())
        for path, way in reversed(ways):
            if path in blobs:
                yield content[blobs[path]], way

    def manifests(self) -> dict[bytes, bytes]:
        """Return every Cargo.toml of the commit that has grants in it, by its path.

        Raises:
            BuildpermError: There are too many, or git cannot tell.
        """
        found = [
            entry
            for entry in self._entries("-r")
            if entry.path.rpartition(b"/")[2] == b"Cargo.toml" and entry.mode != _LINK
        ]
        if len(found) > _MANIFESTS_MOST or sum(entry.size for entry in found) > _ALL_MOST:
            raise BuildpermError(
                f"{self.name} has too many files called Cargo.toml to look through",
                hint="Look at the changed grants yourself, and leave out `--against`.",
            )
        content = self._read(entry.blob for entry in found)
        return {
            entry.path: content[entry.blob]
            for entry in found
            if b"buildperm" in content[entry.blob]
        }

    def _entries(self, *what: str | bytes) -> Iterator[_TreeEntry]:
        options = [word for word in what if word == "-r"]
        paths = [word for word in what if word != "-r"]
        listed = untrusted_git.run_git(
            self.folder, "ls-tree", "-z", "-l", "--full-tree", *options, self.commit, "--", *paths
        )
        if not listed.succeeded:
            raise _unable(self.name, listed)
        for line in listed.stdout.split(b"\0"):
            if not line:
                continue
            entry = _ENTRY.fullmatch(line)
            if entry is None:  # A size that is `BAD`: it is not there.
                raise self._partial()
            size = int(entry[4]) if entry[4] != b"-" else 0
            yield _TreeEntry(entry[5], entry[1], entry[2], entry[3], size)

    def _refuse(self, entry: _TreeEntry) -> None:
        place = self.place(entry.path)
        if entry.mode == _LINK or entry.kind != b"blob":
            what = "a symbolic link" if entry.mode == _LINK else "no file"
            raise BuildpermError(
                f"{place} is {what}, which is not followed",
                hint="Look at the changed grants yourself, and leave out `--against`.",
            )
        if entry.size > LARGEST:
            raise BuildpermError(
                f"{place} has {entry.size:,} bytes, which is too large",
                hint="Name another commit.",
            )

    def _read(self, blobs: Iterable[bytes]) -> dict[bytes, bytes]:
        wanted = list(dict.fromkeys(blobs))
        if not wanted:
            return {}
        answer = untrusted_git.run_git(
            self.folder, "cat-file", "--batch", stdin=b"\n".join(wanted) + b"\n"
        )
        if not answer.succeeded:
            raise _unable(self.name, answer)
        found: dict[bytes, bytes] = {}
        at = 0
        for blob in wanted:
            end = answer.stdout.find(b"\n", at)
            head = _OBJECT.fullmatch(answer.stdout[at:end]) if end >= 0 else None
            if head is None or head[1] != blob:
                raise self._partial()
            size = int(head[3])
            found[blob] = answer.stdout[end + 1 : end + 1 + size]
            at = end + 2 + size
        return found

    def _partial(self) -> BuildpermError:
        return BuildpermError(
            f"{self.name}: this clone is partial, and lacks the content of a file",
            hint="Clone it without `--filter`, or get what is missing with "
            "`git fetch --refetch --no-filter`.",
        )


@dataclass(frozen=True, slots=True)
class _TreeEntry:
    path: bytes  # From the top of the repository on.
    mode: bytes
    kind: bytes
    blob: bytes
    size: int  # Bytes.


def find(folder: Path, name: str) -> BaseCommit:
    """Find the commit that the grants in `folder` are compared with.

    It is where HEAD and the named commit part, so that a branch does not hear of what others have
    done since. Where that point is not certain, it is the named commit itself: then too much may
    count as wider, but never too little.

    Raises:
        BuildpermError: There is no repository, or no such commit in it.
    """
    if not name or name.startswith("-") or not is_nameable(name):
        raise BuildpermError(
            f"`--against {name}`: that is not the name of a commit",
            hint="Name a branch, a tag or a commit: `--against origin/main`.",
        )
    about = untrusted_git.run_git(
        folder, "rev-parse", "--is-inside-work-tree", "--is-shallow-repository", "--show-prefix"
    )
    inside, _, rest = about.stdout.partition(b"\n")
    shallow, _, prefix = rest.partition(b"\n")
    if not about.succeeded or inside != b"true":
        complaint = about.error or "it is not the work tree of one"
        raise BuildpermError(
            f"`--against {name}`: {folder} is not in a git repository that can be used: "
            f"{complaint}",
            hint="Run it in a clone; if git doubts who owns that, see `safe.directory` in "
            "git-config(1).",
        )
    is_shallow = shallow != b"false"
    commit, head = _commits(folder, name, is_shallow=is_shallow)
    base, note = _base(folder, name, commit, head, is_shallow=is_shallow)
    prefix = prefix.removesuffix(b"\n")
    return BaseCommit(folder, prefix, name, base, base != commit, note, commit)


def _commits(folder: Path, name: str, *, is_shallow: bool) -> tuple[str, str]:
    """Return the hashes of the named commit and of HEAD, which is empty before the first commit."""
    full = [way.format(name) for way in _WAYS]
    asked = "".join(f"{each}^{{commit}}\n" for each in (name, "HEAD", *full))
    given = asked.encode("utf-8", "surrogateescape")
    answer = untrusted_git.run_git(folder, "cat-file", "--batch-check", stdin=given)
    lines = answer.stdout.split(b"\n")[: len(full) + 2]
    found = [_OBJECT.fullmatch(line) for line in lines]
    hashes = [each[1].decode() if each and each[2] == b"commit" else "" for each in found]
    if not answer.succeeded or len(hashes) < len(full) + 2:
        raise _unable(name, answer)
    meant = {each: commit for each, commit in zip(full, hashes[2:], strict=True) if commit}
    if hashes[0] and not _HASH.fullmatch(name) and {*meant.values()} - {hashes[0]}:
        raise BuildpermError(
            f"`--against {name}` means several commits: {', '.join(meant)}",
            hint="Write out which one: `--against refs/remotes/origin/main`.",
        )
    if not hashes[0]:
        branch = shlex.quote(name.removeprefix("origin/"))
        way = f"`git fetch origin {branch}`"
        if is_shallow:
            way = f"`git fetch --depth=1 origin {branch}` and `--against FETCH_HEAD`, or clone it "
            way += "with its history: `fetch-depth: 0`"
        raise BuildpermError(
            f"`--against {name}`: this repository has no such commit", hint=f"Get it: {way}."
        )
    return hashes[0], hashes[1]


def _base(folder: Path, name: str, commit: str, head: str, *, is_shallow: bool) -> tuple[str, str]:
    """Return what to compare with, and why, if that is not where the branch began."""
    if not head or commit == head:
        return commit, ""
    if is_shallow:
        # The history that is cut off may hold a later common commit.
        return commit, (
            f"this clone is shallow, so it is compared with {name} as it is: what was taken back "
            "there since this branch began counts as wider here (`fetch-depth: 0` tells them apart)"
        )
    bases = (
        untrusted_git.run_git(folder, "merge-base", "--all", commit, head).stdout.decode().split()
    )
    if len(bases) == 1:
        return bases[0], ""
    found = "several commits" if bases else "no commit"
    return commit, f"this branch and {name} have {found} as a base: it is compared with {name}"


def _unable(name: str, answer: untrusted_git.GitOutput) -> BuildpermError:
    return BuildpermError(
        f"`--against {name}`: git cannot tell: {answer.error or f'exit code {answer.code}'}",
        hint="Run `git fsck`, and look at what it says.",
    )
