"""What the user asks about: `exec:perl`, `read:/etc/hosts`, a path, or a recorded name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.cargo import owned_folders
from buildperm.errors import BuildpermError
from buildperm.policy.access import Access
from buildperm.policy.kinds import WORDS, Kind, Syntax
from buildperm.policy.role import SubjectKind
from buildperm.policy.root_paths import SystemPaths
from buildperm.rules import directive, root_layout
from buildperm.rules.containment import contained
from buildperm.rules.pattern import TOKENS, locate
from buildperm.tracer.notation import decode, encode
from buildperm.workflow import link_walk
from buildperm.workflow.evidence import RecordedRun
from buildperm.workflow.script_lookup import FoundScript, WorkspaceView, suggestion

_KIND = re.compile(rf"({'|'.join(WORDS)}):(.*)", re.DOTALL)
_TOKEN = re.compile(rf"\$({'|'.join(TOKENS)})(?![A-Za-z0-9_])")
_BYTE = re.compile("%(?![0-9A-Fa-f]{2})")
_MOST = 10
_WAYS = (
    "Say of which kind it is: `exec:perl`, `read:/etc/hosts`, `write:$WORKSPACE/x`, `env:NAME`, "
    "`net:host:443`, `directives:rustc-env=NAME`, `system:unshare`. `preset:cc` is about a preset."
)


@dataclass(frozen=True, slots=True)
class Query:
    """The access that is asked about, with tokens for folders."""

    kind: Kind
    target: str
    resolved: str = ""  # The file that a program's name means here; empty if there is none.
    value: str = ""  # A directive with its whole value, if `target` leaves that out.

    @property
    def whole(self) -> str:
        """Return what rules are matched with."""
        return self.value or self.target

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}"


class QueryParser:
    """Reads what is asked about one build script."""

    def __init__(
        self, view: WorkspaceView, script: FoundScript, runs: Iterable[RecordedRun], folder: Path
    ) -> None:
        """Find out which folders the tokens stand for.

        Args:
            view: The workspace.
            script: Whose accesses are asked about.
            runs: Its recordings.
            folder: Where the command was given.
        """
        fixed = {token: b"/nonexistent/" + token.encode() for token in TOKENS}
        fixed |= view.places
        self._is_macro = SubjectKind.SCRIPT not in script.subjects
        if SubjectKind.MACRO not in script.subjects or not self._is_macro:
            fixed["MANIFEST_DIR"] = os.fsencode(script.package.folder)
        self._places: list[Mapping[str, bytes]] = [
            {**fixed, "TARGET_DIR": os.fsencode(target)} for target in view.targets
        ]
        root = b""
        for run in runs:
            root = root or run.root
            own = ["OUT_DIR", "TMP", "TARGET_DIR"]
            if run.context.role.subject is SubjectKind.MACRO:
                own.append("MANIFEST_DIR")  # Of the package that it was expanded in.
            known = {token: run.places[token] for token in own if token in run.places}
            self._places.append({**fixed, **known})
        project = view.workspace.project
        told = owned_folders.folders(project.metadata, project.toolchain, project.environment)
        self._foreign = owned_folders.foreign(fixed, told)
        self._path = os.fsencode(
            project.toolchain.path(project.environment.get("PATH", os.defpath))
        )
        self._system = SystemPaths(root)
        if root:
            self._path = os.fsencode(project.toolchain.rustc.parent) + b":" + root_layout.PATH
        self._folder = os.fsencode(folder)
        # The Cargo book, "Build Scripts": its own package; where compilers start is not as plain.
        has_script = SubjectKind.SCRIPT in script.subjects
        self._starts_in = os.fsencode(script.package.folder) if has_script else None

    def parse(self, word: str, recorded: Sequence[Access]) -> Query:
        """Parse `word`; a word without a kind is looked up among what was `recorded`.

        Raises:
            BuildpermError: It is no access, or may mean several.
        """
        if not word:
            raise BuildpermError("an access has a kind and a target", hint=_WAYS)
        found = _KIND.fullmatch(word)
        if found:
            return self._of_kind(WORDS[found[1]], found[2], word)
        if "/" in word or word.startswith(("~", "$")) or word in (".", ".."):
            return self._of_kind(Kind.READ, word, word)
        return _looked_up(word, recorded)

    def _of_kind(self, kind: Kind, text: str, word: str) -> Query:
        if not text:
            raise BuildpermError(f"`{word}`: nothing behind the colon", hint=_WAYS)
        broken = _BYTE.search(text)
        if broken:
            raise BuildpermError(
                f"`{word}`: `%` begins a byte and needs two hexadecimal digits",
                hint="Write `%25` where a percent sign is meant.",
            )
        match kind.traits.syntax:
            case Syntax.PATH:
                return Query(kind, self._file(text, word, kind))
            case Syntax.PROGRAM:
                return self._program(text, word)
            case Syntax.DIRECTIVE:
                return self._directive(text, word)
            case Syntax.ADDRESS:
                if text.startswith(("/", "$")):
                    return Query(kind, self._file(text, word, kind))
                if not text.rpartition(":")[2].isdecimal():
                    raise BuildpermError(
                        f"`{word}`: an address has a host and a port", hint="Write `net:HOST:PORT`."
                    )
            case Syntax.VARIABLE:
                if "=" in text:
                    raise BuildpermError(
                        f"`{word}`: a variable goes by its name alone",
                        hint=f"Ask about `env:{text.partition('=')[0]}`.",
                    )
            case Syntax.CALL:
                pass
        _refuse_wildcards(text, word)
        return Query(kind, encode(decode(text)))

    def _file(self, text: str, word: str, kind: Kind) -> str:
        path = self._followed(self._absolute(text, word), word)
        return self._portable(path, kind)

    def _followed(self, path: bytes, word: str, *, is_program: bool = False) -> bytes:
        """Follow links as the script would; see `link_walk`.

        Raises:
            BuildpermError: It leads to what is something else in each process.
        """
        if self._system.root and root_layout.covers(path):
            return self._system.real(path)
        real = link_walk.followed(path, self._starts_in)
        is_cwd = re.search(rb"/cwd(/|$)", real) and link_walk.is_own(real)
        if is_cwd or (is_program and link_walk.is_own(real)):
            raise BuildpermError(
                f"`{word}` is something else in each process",
                hint="Ask about the file itself, such as `$MANIFEST_DIR/x` or `$OUT_DIR/x`.",
            )
        return real

    def _program(self, text: str, word: str) -> Query:
        """Name a program as `policy.fold` does: by its base name, if PATH leads to it."""
        if "/" not in text and not text.startswith(("$", "~", ".")):
            _refuse_wildcards(text, word)
            name = decode(text)
            found = self._system.which(name, self._path)
            resolved = self._portable(self._system.real(found)) if found else ""
            return Query(Kind.EXEC, encode(name), resolved)
        path = self._absolute(text, word)
        real = self._followed(path, word, is_program=True)
        portable = self._portable(real)
        if portable.startswith("$SYSROOT/"):
            return Query(Kind.EXEC, portable)
        name = os.path.basename(path)
        found = self._system.which(name, self._path)
        if found is not None and self._system.real(found) == real:
            return Query(Kind.EXEC, encode(name), portable)
        text = self._portable(path)
        leads_out = text.startswith("$") and all(
            contained(path, known) != text for known in self._places
        )
        return Query(Kind.EXEC, portable if leads_out else text)

    def _directive(self, text: str, word: str) -> Query:
        text = text.removeprefix("cargo::").removeprefix("cargo:")
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BuildpermError(
                f"`{word}`: a directive has a key and a value",
                hint="Write `directives:KEY=VALUE`, such as `directives:rustc-link-arg=-lm`.",
            )
        places = self._places[0]
        value = _TOKEN.sub(lambda found: encode(places[found[1]]), value)
        key, value = encode(decode(key)), encode(decode(value))
        written = [directive.targets(key, value, known)[-1] for known in self._places]
        portable = self._best([whole.partition("=")[2] for whole in written])
        short = directive.targets(key, portable, {})[0]
        return Query(Kind.DIRECTIVE, short, value=f"{key}={portable}")

    def _absolute(self, text: str, word: str) -> bytes:
        """Read a path, written as people or as reports write it."""
        _refuse_wildcards(text, word)
        if text.startswith("~/") or text == "~":
            text = f"$HOME{text[1:]}"
        if text.startswith("$"):
            token, slash, rest = text[1:].partition("/")
            if token not in TOKENS:
                raise BuildpermError(
                    f"`{word}`: `${token}` is no token",
                    hint=f"Use one of {' '.join(f'${each}' for each in TOKENS)}, or an absolute "
                    "path.",
                )
            return self._places[0][token] + slash.encode() + decode(rest)
        return self._from_here(decode(text), word)

    def _from_here(self, path: bytes, word: str) -> bytes:
        """Return a path that is given from here, or as the sources of the script have it.

        Raises:
            BuildpermError: It may be either.
        """
        here = os.path.normpath(os.path.join(self._folder, path))
        there = os.path.normpath(os.path.join(self._starts_in or self._folder, path))
        if here == there or not os.path.lexists(there):
            return here
        if os.path.lexists(here):
            found = " or ".join(f"`{self._portable(each)}`" for each in (here, there))
            raise BuildpermError(
                f"`{word}` may be {found}", hint="Write which one, as it stands there."
            )
        return there

    def _portable(self, path: bytes, kind: Kind = Kind.EXEC) -> str:
        if kind is not Kind.READ or not self._foreign.above(path):
            return self._best([locate(path, places) for places in self._places])
        # It lies in the folder of the package, but is not the package's own: as in `policy.fold`.
        hidden = {"MANIFEST_DIR": b""}
        return self._best([locate(path, {**places, **hidden}) for places in self._places])

    def _best(self, written: Sequence[str]) -> str:
        """Return the text with the most specific token: OUT_DIR lies in the target directory."""
        tokens = (
            "$OUT_DIR",
            "$TMP",
            *(("$MANIFEST_DIR",) if self._is_macro else ()),
            "$TARGET_DIR",
        )
        for token in tokens:
            for text in written:
                if token in text:
                    return text
        return written[0]


def _looked_up(word: str, recorded: Sequence[Access]) -> Query:
    try:
        name = encode(decode(word))
    except ValueError:
        name = encode(word.encode("utf-8", "surrogateescape"))
    exact = [access for access in recorded if _is_called(access, name)]
    found = exact or [access for access in recorded if access.target.rpartition("/")[2] == name]
    if len(found) == 1:
        return Query(found[0].kind, found[0].target, found[0].resolved)
    if found:
        listed = ", ".join(f"`{each.kind}:{each.target}`" for each in found[:_MOST])
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        raise BuildpermError(f"`{word}` may mean several things", hint=f"Say {listed}{more}.")
    names = [access.target for access in recorded if "/" not in access.target]
    hint = suggestion(word, names) if recorded else ""
    alike = f" {hint}" if hint.startswith("Did") else ""
    raise BuildpermError(f"nothing called `{word}` was ever recorded", hint=_WAYS + alike)


def _is_called(access: Access, name: str) -> bool:
    if access.kind is not Kind.DIRECTIVE:
        return access.target == name
    key, _, value = access.target.partition("=")
    return name in (access.target, key, value)


def _refuse_wildcards(text: str, word: str) -> None:
    if "*" in text or "?" in text:
        raise BuildpermError(
            f"`{word}` is a pattern", hint="Ask about one thing that a crate may touch."
        )
