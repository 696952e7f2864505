"""The directive gate: which part of a build script's standard output reaches Cargo.

A directive can run code in rustc or in the linker, outside of any sandbox. So each line is cleaned
first, then judged, and exactly the judged bytes are passed on. A line that is no directive is
passed on only if Cargo cannot take it for one.

Few scripts name a folder to be searched. What looks into one is imported when the first does.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

from buildperm.printable import cleaned, disarmed
from buildperm.rules import directive
from buildperm.rules.pattern import is_literal
from buildperm.supervisor.watched_files import WatchedFiles, may_match
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from buildperm.supervisor.linker_inputs import LinkerSearch
    from buildperm.supervisor.session import SessionPackage

PASSED = ("free", "granted")

_SHOWN = ("warning", "error")  # What Cargo does with them is to show them.

MOST_SHADOWS = 3
"""Libraries of one folder beyond this are not named."""

MOST_NAMED = 1000
"""Directives beyond this are withheld without being named; the recording counts them."""


class DirectiveGate:
    """Judges the lines of one run, in the order in which they were printed."""

    def __init__(
        self,
        package: SessionPackage,
        places: Mapping[str, bytes],
        handed_over: Iterable[bytes],
        record: Callable[[str, str, str], None],
    ) -> None:
        self.withheld: list[str] = []  # `key=value (verdict)`, in notation.
        self.denied: list[str] = []  # Likewise, where a person has decided already.
        # A script that may see a variable may have Cargo watch it, too.
        seen = (f"rerun-if-env-changed={name}" for name in package["env"] if is_literal(name))
        self._directives = package["directives"]
        self._granted = [*self._directives, *seen]
        self._denied = package["deny"].get("directives", [])
        self._places = places
        self._handed_over = tuple(handed_over)  # Folders that other scripts have named in DEP_*.
        self._known: dict[tuple[str, bytes], list[str]] = {}  # By question and folder.
        self._search: LinkerSearch | None = None  # One for the run: it has a bound.
        self._suspects: dict[str, list[str]] = {}  # Of the directive that is being judged.
        self.secrets: frozenset[str] = frozenset()  # Variables whose values hold some, in notation.
        self.loaded: frozenset[bytes] = frozenset()  # Libraries that no folder may hold.
        self._record = record  # Called with key, value and verdict of each directive.

    def pass_on(self, lines: Iterable[bytes]) -> Iterable[bytes]:
        """Yield what Cargo may see of `lines`, each with its newline."""
        watched = WatchedFiles(self._record, directive.FREE)
        # What is denied is looked for in each.
        is_each = bool(self._denied) and may_match(self._denied)
        grouped = ((line, b"") for line in lines) if is_each else watched.grouped(lines)
        for line, passed in grouped:
            if passed:
                yield passed
                continue
            if not line:
                yield b"\n"
                continue
            text = cleaned(line)
            parsed = directive.parse(text)
            if parsed is None:
                # Cargo trims a line before it looks for a directive, and ignores one that is not
                # UTF-8, which this one may have been before it was cleaned.
                if text.decode("utf-8", "replace").strip().startswith("cargo:"):
                    self._withhold(f"{encode(text)} (not understood)")
                else:
                    yield disarmed(text) + b"\n"
                continue
            key, value = encode(parsed[0]), encode(parsed[1])
            if self._judge(key, value) in PASSED:
                yield (disarmed(text) if key in _SHOWN else text) + b"\n"

    def _judge(self, key: str, value: str) -> str:
        self._suspects = {}
        verdict = directive.judge(
            key,
            value,
            granted=self._granted,
            denied=self._denied,
            places=self._places,
            handed_over=self._handed_over,
            suspect=self._is_suspect,
            poses=self._poses,
            preempts=self._preempts,
        )
        if key == "rerun-if-env-changed" and verdict in PASSED and self._is_noted(value):
            verdict = directive.REFUSED
        self._record(key, value, verdict)
        if verdict not in PASSED:
            decided = directive.is_denied(key, value, denied=self._denied, places=self._places)
            why = "".join(f": {what}: {', '.join(names)}" for what, names in self._suspects.items())
            self._withhold(f"{key}={value} ({verdict}{why})", decided=decided)
        return verdict

    def _is_noted(self, name: str) -> bool:
        """Tell whether Cargo would store the secret value of a variable in its target directory."""
        return name in self.secrets and f"rerun-if-env-changed={name}" not in self._directives

    def _is_suspect(self, folder: bytes) -> bool:
        """Tell whether a linker that searches a folder would do more than was granted."""
        from buildperm.supervisor import library_names, linker_inputs

        if self._search is None:
            self._search = linker_inputs.LinkerSearch()
        return self._look(
            folder, "called like the system's", library_names.system_libraries
        ) or self._look(folder, "not only linked", self._search.commanding)

    def _poses(self, folder: bytes) -> bool:
        """Tell whether rustc would take what is in a folder for crates that Cargo has compiled."""
        from buildperm.supervisor import library_names

        return self._look(folder, "called like compiled crates", library_names.crate_files)

    def _preempts(self, folder: bytes) -> bool:
        """Tell whether the shell of the next stub would find its libraries in a folder."""
        from buildperm.supervisor import library_names

        what = "loaded before any sandbox is made"
        return self._look(
            folder, what, lambda searched: library_names.named_libraries(searched, self.loaded)
        )

    def _look(self, folder: bytes, what: str, find: Callable[[bytes], list[str]]) -> bool:
        """Tell whether a folder holds what is `what`."""
        found = self._known.get((what, folder))
        if found is None:  # A folder may be large, and named again and again.
            found = self._known[what, folder] = find(folder)[:MOST_SHADOWS]
        if found:
            self._suspects.setdefault(what, []).extend(found)
        return bool(found)

    def _withhold(self, what: str, *, decided: bool = False) -> None:
        named = self.denied if decided else self.withheld
        if len(named) < MOST_NAMED:
            named.append(what)
