"""Fold: from the events of a recording to what was accessed.

An access says what was touched, in portable text; by whom, as chains of programs; how often; and
how it went. Nothing is judged here but whether a target belongs to the sensitive tier.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from errno import EDQUOT, EEXIST, ENOENT, ENOSPC, ENOTDIR
from typing import assert_never

from buildperm.policy import presets, risk, sought_secrets
from buildperm.policy.access import COMMANDS_MOST, SYSTEM_REFUSALS, Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.role import NOBODY, Role, SubjectKind
from buildperm.policy.sensitivity import STEERS, why_sensitive
from buildperm.rules import baseline, directive, own_temporaries, profile_output, sensitive, tier
from buildperm.rules.containment import contained
from buildperm.rules.pattern import locate, matches, names_alike, nearest, which
from buildperm.rules.script_variables import PRIVATE_HOME
from buildperm.rules.sensitive_table import BUILT
from buildperm.tracer.notation import PLAIN, decode, encode
from buildperm.tracer.recording.event import (
    CallRefused,
    Change,
    DirectivePrinted,
    EnvironmentRead,
    Event,
    Executed,
    FileOpened,
    OpenMode,
    PathChanged,
    RecordedProcess,
    SocketUse,
    SocketUsed,
    Verdict,
)
from buildperm.tracer.recording.reader import Header, Recording
from buildperm.tracer.recording_format import REUSED

CHAINS_MOST = 5
CAUSES_MOST = 20
"""Programs that are named as wanting one access; which of many it was settles nothing."""

_READ = PatternSet(baseline.READ)
_NOT_OWN = PatternSet(baseline.NOT_OWN)
_GRAVITY = {Outcome.FAILED: 0, Outcome.DONE: 1, Outcome.REFUSED: 2}
_BYTECODE = re.compile(r"(.*)/__pycache__/([^/]+?)\.[a-z]+-[0-9]+(?:\.opt-[0-9])?\.pyc", re.DOTALL)
_ENTRIES = frozenset(
    (Change.REMOVED, Change.RENAMED, Change.LINKED, Change.SYMLINKED, Change.NODE_MADE)
)
"""Changes of a folder: Landlock has rights over them for all of a folder, and for no file in it."""
_LEARNING = "learning"  # The profile, as the header of a recording names it.
_SHEBANG_MOST = 256  # Bytes of a script that the kernel looks at: BINPRM_BUF_SIZE.
_COMMAND_MOST = 400  # Characters of a command line that serves as an example.
_LINE_MOST = 4_000  # Characters of a command line that is listed.


@dataclass(slots=True)
class _AccessBuilder:
    outcome: Outcome
    first_ns: int
    last_ns: int
    sensitive: str
    is_free: bool
    count: int = 0
    example: str = ""
    resolved: str = ""
    is_folder: bool = False
    is_whole: bool = False
    is_entry: bool = False
    saw_empty_home: bool = False
    refused_by_system: str = ""
    sent: int = 0
    received: int = 0
    chains: dict[tuple[str, ...], None] = field(default_factory=dict)
    commands: dict[str, int] = field(default_factory=dict)
    own_lines: dict[str, None] = field(default_factory=dict)
    causes: set[str] = field(default_factory=set)


def fold(recording: Recording, members: Collection[str] = ()) -> list[Access]:
    """Fold all events of `recording`, in the order of their first occurrence.

    `members` are the keys of the packages of the workspace: for these the grants of macros hold.
    """
    folding = _EventFolding(recording, role_of(recording.header), members)
    for event in recording.events:
        folding.add(event)
    return folding.accesses()


def attributed(
    recording: Recording, members: Collection[str] = ()
) -> dict[tuple[Kind, str], list[Event]]:
    """Return which events each access of `fold` is made of, by its kind and target."""
    folding = _EventAttribution(recording, role_of(recording.header), members)
    for event in recording.events:
        folding.add(event)
    return folding.made_of


def role_of(header: Header) -> Role:
    """Return what of its crate a recording is of, and for whom."""
    return Role(SubjectKind(header.subject), header.consumer.crate if header.consumer else "")


class _EventFolding:
    def __init__(self, recording: Recording, role: Role, members: Collection[str]) -> None:
        header = recording.header
        self._role = role
        is_inside = role.subject is not SubjectKind.MACRO or role.consumer in members
        self._outside = "" if is_inside else role.consumer or NOBODY
        self._mode = header.mode
        self._places = header.places
        self._profile = profile_output.folder(header.places.get("OUT_DIR", b""))
        self._foreign = frozenset(header.foreign)
        self._foreign_longest = max(map(len, self._foreign), default=0)
        self._around = dict(header.places)
        self._around.pop("MANIFEST_DIR", None)
        self._path = header.path or os.environb.get(b"PATH", b"")
        self._held = header.held
        self._held_longest = max(map(len, self._held), default=0)
        built = sensitive.built_in(header.places)
        self._built_in = locate(built, header.places) if built else ""
        self._reasons: dict[tuple[bytes, bool], str] = {}
        self._tools = frozenset(header.tools)
        self._handed_over = tuple(locate(path, header.places) for path in header.handed_over)
        self._harmless = frozenset(locate(path, header.places) for path in header.harmless)
        self._listed = frozenset(locate(path, header.places) for path in header.listed)
        self._processes = recording.processes
        self._pids = {str(pid % REUSED) for pid in recording.processes}
        processes = recording.processes.values()
        root = next((process for process in processes if not process.parent), None)
        self._script = root.program if root else b""
        self._tallies: dict[tuple[Kind, str], _AccessBuilder] = {}
        self._targets: dict[bytes, str] = {}
        self._folders: dict[bytes, str] = {}  # How they are called; empty: not all in them are so.
        self._roots = frozenset(header.places.values())
        self._chains: dict[int, tuple[str, ...]] = {}
        self._requested = _requested(recording.events)
        self._causes: dict[int, str] = {}
        self._programs: dict[bytes, tuple[str, bytes]] = {}
        self._only_looked: dict[tuple[Kind, str], bytes] = {}  # What was at most looked at.
        self._led_to: set[bytes] = set()  # What was opened, looked at or run.
        self._searches: set[tuple[int, tuple[bytes, ...]]] = set()

    def accesses(self) -> list[Access]:
        tallies = self._tallies
        if self._only_looked:
            shown = self._on_the_way()
            asked = {
                key
                for key, path in self._only_looked.items()
                if self._is_asked_otherwise(key[1])
                or (path in shown and tallies[key].outcome is Outcome.DONE)
            }
            tallies = {key: tally for key, tally in tallies.items() if key not in asked}
        ordered = sorted(tallies.items(), key=lambda item: item[1].first_ns)
        roles = (self._role,)
        return [
            Access(
                kind,
                target,
                tally.outcome,
                tally.count,
                tally.first_ns,
                tally.last_ns,
                tuple(tally.chains),
                _carried(tally) or tally.example,
                _why(target, tally),
                tally.resolved,
                tally.is_free,
                tally.is_folder,
                tally.is_whole,
                tally.is_entry,
                roles=roles,
                outside=self._outside,
                commands=tuple(tally.commands.items()),
                own_lines=tuple(tally.own_lines),
                causes=tuple(sorted(tally.causes)),
                refused_by_system=(
                    tally.refused_by_system if tally.outcome is Outcome.FAILED else ""
                ),
                is_foreseen=self._is_foreseen(kind, target, tally),
                is_let_through=self._is_let_through(kind, tally),
                is_look=(kind, target) in self._only_looked,
            )
            for (kind, target), tally in ordered
        ]

    def _is_let_through(self, kind: Kind, tally: _AccessBuilder) -> bool:
        """Tell whether what was done was not to be prevented, as it was seen while learning.

        Secrets are, and so are writing and the network.
        """
        is_open = kind in (Kind.READ, Kind.EXEC, Kind.ENV) and not tally.sensitive
        return is_open and self._mode == _LEARNING and tally.outcome is Outcome.DONE

    def _is_asked_otherwise(self, target: str) -> bool:
        """Tell whether what was looked at was run or written, too: a grant of that shows it."""
        return (Kind.WRITE, target) in self._tallies or any(
            kind is Kind.EXEC and target in (name, tally.resolved)
            for (kind, name), tally in self._tallies.items()
        )

    def _on_the_way(self) -> set[bytes]:
        """Return the folders above all that was reached: whatever shows that shows them, too."""
        above: set[bytes] = set()
        for path in self._led_to:
            while path not in (b"", b"/"):
                path = posixpath.dirname(path)
                if path in above:
                    break
                above.add(path)
        return above

    def add(self, event: Event) -> None:
        match event:
            case FileOpened():
                self._opened(event)
            case PathChanged():
                self._changed(event)
            case Executed():
                self._executed(event)
            case SocketUsed():
                self._socket(event)
            case CallRefused():
                self._tally(event, event.pid, Kind.SYSTEM, event.call, Outcome.REFUSED)
            case EnvironmentRead():
                self._environment(event)
            case DirectivePrinted():
                self._directive(event)
            case _:
                assert_never(event)

    def _opened(self, event: FileOpened) -> None:
        if not event.path.startswith(b"/"):
            return  # A pipe, a socket, or something else without a name.
        if event.mode is OpenMode.PATH and not event.refused:
            return  # open(2), O_PATH: neither read nor written.
        if event.mode in (OpenMode.PATH, OpenMode.LOOK):
            self._looked(event)
            return
        if event.path == self._script and event.mode is OpenMode.READ:
            return  # A panic that looks up its own names; it may always read itself.
        outcome = _outcome(event.errno, refused=event.refused)
        if outcome is Outcome.DONE:
            self._led_to.add(event.path)
        target = self._target(event.path)
        example = "" if target.startswith("/") else encode(event.path)
        writes = event.mode is not OpenMode.READ or event.creates
        if event.mode is not OpenMode.WRITE:
            read, asked = outcome, self._read_target(event.path)
            secret = self._sought(asked, event) if outcome is Outcome.FAILED else ""
            if secret:
                self._tally(event, event.pid, Kind.READ, secret, outcome, example)
                self._tallies[Kind.READ, secret].saw_empty_home = True
                return
            if outcome is Outcome.DONE and not writes:
                asked = _BYTECODE.sub(r"\1/\2.py", asked)  # Where it is stale, that is read.
            if writes and outcome is Outcome.REFUSED and _READ.covers(asked):
                read = Outcome.DONE  # It was the writing that was refused.
            self._tally(event, event.pid, Kind.READ, asked, read, example)
            self._only_looked.pop((Kind.READ, asked), None)
            # Who looks for a folder that is not there will find perhaps a file.
            is_there = event.directory and outcome is not Outcome.FAILED
            self._tallies[Kind.READ, asked].is_folder |= is_there
            self._judge(Kind.READ, asked, event.path, refused=event.refused)
        if writes:
            target = self._beside(event.path) or _written(target)
            self._tally(event, event.pid, Kind.WRITE, target, outcome, example)

    def _looked(self, event: FileOpened) -> None:
        """File a look as reading: a grant to read is what shows something.

        It is recorded only where it was refused, or would have been without a grant.
        """
        target = self._read_target(event.path)
        outcome = _outcome(event.errno, refused=event.refused)
        example = "" if target.startswith("/") else encode(event.path)
        is_new = (Kind.READ, target) not in self._tallies
        self._tally(event, event.pid, Kind.READ, target, outcome, example)
        if is_new:
            self._only_looked[Kind.READ, target] = event.path
        if outcome is Outcome.DONE:
            self._led_to.add(event.path)
        self._tallies[Kind.READ, target].is_folder |= event.directory
        self._judge(Kind.READ, target, event.path, refused=event.refused)

    def _beside(self, path: bytes) -> str:
        """Name a file beside programs as every profile has it; empty for others."""
        return profile_output.known_as(path, self._profile)

    def _sought(self, target: str, event: FileOpened) -> str:
        """Return the secret that a look into the private home was for; empty if it was for none."""
        if event.creates or not target.startswith(PRIVATE_HOME):
            return ""
        if event.errno not in (ENOENT, ENOTDIR):
            return ""
        at = event.pid
        seen: set[int] = set()
        while at in self._processes and at not in seen and not self._processes[at].program:
            seen.add(at)
            at = self._processes[at].parent
        process = self._processes.get(at)
        return sought_secrets.sought(target, self._target(process.program) if process else "")

    def _judge(self, kind: Kind, target: str, path: bytes, *, refused: bool) -> None:
        """Mark an access as sensitive where something found on this machine makes it so."""
        tally = self._tallies[kind, target]
        if tally.sensitive or target in self._harmless:
            return
        reason = self._reasons.get((path, refused))
        if reason is None:
            reason = tier.why(path, self._held, self._held_longest)
            # A refused path is named as it was requested, although it may lead elsewhere.
            is_link = refused and not path.startswith(b"/proc/")
            real = _real(path) if is_link else path
            if real != path and not reason:
                reason = tier.why(real, self._held, self._held_longest)
                reason = reason or why_sensitive(kind, self._target(real))
            reason = reason or sensitive.why_content(target, path)
            self._reasons[path, refused] = reason
        tally.sensitive = reason

    def _changed(self, event: PathChanged) -> None:
        is_asked = event.change is Change.DIRECTORY_MADE and event.errno == EEXIST
        if is_asked and not event.refused:
            return  # Asked whether it is there: `mkdir -p` and CMake, for all the folders above.
        outcome = _outcome(event.errno, refused=event.refused)
        if event.change is Change.LED_OUT:
            self._led_out(event, outcome)
            return
        for path in self._changed_paths(event):
            if path.startswith(b"/"):
                target = self._beside(path) or _written(self._target(path))
                if event.change is Change.DIRECTORY_MADE and profile_output.is_pattern(target):
                    target = f"{target}/**"  # For what will be in it.
                example = "" if target.startswith("/") else encode(path)
                self._tally(event, event.pid, Kind.WRITE, target, outcome, example)
                tally = self._tallies[Kind.WRITE, target]
                tally.is_folder |= event.change is Change.DIRECTORY_MADE
                # What is not there to be removed will be there the next time, if it is written
                # now; beside a manifest no grant could tell the difference.
                is_told = outcome is not Outcome.FAILED or target.count("/") > 1
                tally.is_entry |= event.change in _ENTRIES and is_told
        if event.change is Change.LINKED and event.other.startswith(b"/"):
            # Under its new name the file can be read by whoever may read there.
            source = self._read_target(event.other)
            if outcome is not Outcome.REFUSED or not _READ.covers(source):
                self._tally(event, event.pid, Kind.READ, source, outcome)

    def _led_out(self, event: PathChanged, outcome: Outcome) -> None:
        """Whoever reads through a link in OUT_DIR reads what it leads to; a folder ends in `/`."""
        path = event.other.rstrip(b"/") or b"/"
        target = self._read_target(path)
        self._tally(event, event.pid, Kind.READ, target, outcome, f"link {encode(event.path)}")
        self._tallies[Kind.READ, target].is_whole |= event.other.endswith(b"/")
        self._judge(Kind.READ, target, path, refused=event.refused)

    @staticmethod
    def _changed_paths(event: PathChanged) -> tuple[bytes, ...]:
        if event.change is Change.RENAMED:
            return event.other, event.path
        return (event.path,)

    def _executed(self, event: Executed) -> None:
        if event.path == self._script or event.requested == self._script:
            return
        outcome = _outcome(event.errno, refused=event.refused)
        if outcome is Outcome.REFUSED and self._is_search_going_on(event):
            return
        if outcome is Outcome.DONE:
            self._led_to.update((event.path, event.requested))
        words = [encode(word) for word in event.argv]
        command, line = " ".join(words)[:_COMMAND_MOST], _whole_line(words)
        sought = self._sought_program(event)
        programs = [(sought, event.requested) if sought else self._program(event.requested)]
        if event.path not in (programs[0][1], event.requested):
            # A script: the kernel needs its interpreter as well, execve(2), "Interpreter scripts".
            interpreter = self._interpreter(event)
            programs = [interpreter] if event.errno else [*programs, interpreter]
        cause = self._cause(event.pid)
        for target, real in dict.fromkeys(programs):
            self._tally(event, event.pid, Kind.EXEC, target, outcome, command, target, cause)
            tally = self._tallies[Kind.EXEC, target]
            if line in tally.commands or len(tally.commands) < COMMANDS_MOST:
                tally.commands[line] = tally.commands.get(line, 0) + event.count
                if not cause:
                    tally.own_lines[line] = None
            cause = cause or target  # Of the interpreter: it is the script that wants it.
            tally.is_free = real in self._tools
            resolved = target if sought else self._target(real)
            tally.resolved = "" if resolved == target else resolved

    def _sought_program(self, event: Executed) -> str:
        """Name a program that was looked for along PATH and is nowhere, if a preset foresees it.

        It is news only while learning: nothing is refused by its absence.
        """
        folder, name = posixpath.split(event.requested)
        is_search = event.errno == ENOENT and not event.refused and folder in self._path.split(b":")
        if not is_search or self._mode != _LEARNING or which(name, self._path) is not None:
            return ""
        called = encode(name)
        return called if presets.is_foreseen(called) else ""

    def _is_foreseen(self, kind: Kind, target: str, tally: _AccessBuilder) -> bool:
        if kind is not Kind.EXEC or tally.outcome is not Outcome.FAILED or "" not in tally.causes:
            return False
        if self._mode != _LEARNING or not presets.is_foreseen(target):
            return False
        read = (
            name
            for (of, name), each in self._tallies.items()
            if of is Kind.READ and each.outcome is Outcome.DONE
        )
        return presets.is_foreseen(target, read)

    def _is_search_going_on(self, event: Executed) -> bool:
        """Tell whether a refused program was only tried because its namesake had been refused.

        execvp(3) goes on along PATH then: somebody wanted one program, by its name. Who means a
        certain file says so in the first argument, or has not been refused what the name means.
        """
        name = posixpath.basename(event.requested)
        if not event.argv or event.argv[0] != name:
            return False
        search = event.pid, event.argv
        if event.requested == which(name, self._path):
            self._searches.add(search)
            return False
        folders = self._path.split(b":")
        return search in self._searches and posixpath.dirname(event.requested) in folders

    def _socket(self, event: SocketUsed) -> None:
        outcome = _outcome(event.errno, refused=event.refused)
        if event.use is SocketUse.CREATED:
            if event.refused:
                call = f"socket({encode(event.family.encode())}, {encode(event.address.encode())})"
                self._tally(event, event.pid, Kind.SYSTEM, call, outcome)
            return
        if event.family == "unix":
            target = self._unix_address(event.address)
        else:
            target = encode(event.address.encode())
        if target and event.use is SocketUse.CONNECTED:
            # `connect(…)` says what was tried; the outcome beside it says whether it came to that.
            self._tally(event, event.pid, Kind.NET, target, outcome, f"connect({target})")
            tally = self._tallies[Kind.NET, target]
            tally.sent += event.sent
            tally.received += event.received
        elif target:  # No grant lets anybody in, or sends without a connection.
            call = "bind" if event.use is SocketUse.BOUND else "sendto"
            self._tally(event, event.pid, Kind.SYSTEM, f"{call}({target})", outcome)

    def _unix_address(self, address: str) -> str:
        try:
            raw = decode(address)
        except ValueError:
            return encode(address.encode())
        return self._target(raw) if raw.startswith(b"/") else encode(raw)

    def _environment(self, event: EnvironmentRead) -> None:
        if event.withheld:
            outcome = Outcome.REFUSED
        elif event.present:
            outcome = Outcome.DONE
        else:
            return
        name = encode(event.name)
        self._tally(event, event.pid, Kind.ENV, name, outcome)
        if event.withheld and event.secret:
            tally = self._tallies[Kind.ENV, name]
            tally.sensitive = tally.sensitive or event.secret

    def _directive(self, event: DirectivePrinted) -> None:
        leads_out = event.key == "metadata" and directive.leads_out(event.value, self._places)
        if event.verdict is Verdict.FREE and event.key != "rustc-env" and not leads_out:
            target = event.key  # Thousands of files to watch are one access.
        else:
            target = directive.targets(event.key, event.value, self._places)[0]
        refused = event.verdict in (Verdict.REFUSED, Verdict.FORBIDDEN)
        outcome = Outcome.REFUSED if refused else Outcome.DONE
        self._tally(event, 0, Kind.DIRECTIVE, target, outcome, event.value[:_COMMAND_MOST])
        if leads_out and event.verdict is Verdict.FREE:
            self._tallies[Kind.DIRECTIVE, target].is_free = True  # Though it has a value.
        if event.verdict is Verdict.FORBIDDEN:
            tally = self._tallies[Kind.DIRECTIVE, target]
            tally.sensitive = STEERS

    def _why_built(self, kind: Kind, target: str) -> str:
        """Say why a file is in the tier that lies where Cargo builds; empty if it is not."""
        is_there = self._built_in and f"{target}/".startswith(f"{self._built_in}/")
        return BUILT if kind is Kind.WRITE and is_there else ""

    def _tally(
        self,
        event: Event,
        pid: int,
        kind: Kind,
        target: str,
        outcome: Outcome,
        example: str = "",
        program: str = "",
        cause: str | None = None,
    ) -> None:
        tally = self._tallies.get((kind, target))
        if tally is None:
            harmless = kind is Kind.READ and target in self._harmless
            why = "" if harmless else why_sensitive(kind, target) or self._why_built(kind, target)
            free = harmless or (kind is Kind.READ and self._is_handed_over(target))
            tally = _AccessBuilder(outcome, event.at_ns, event.at_ns, why, free, example=example)
            self._tallies[kind, target] = tally
        else:
            tally.first_ns = min(tally.first_ns, event.at_ns)
            tally.last_ns = max(tally.last_ns, event.at_ns)
            if _GRAVITY[outcome] > _GRAVITY[tally.outcome]:
                tally.outcome = outcome
            if kind is Kind.EXEC and risk.reaches_out(example):
                tally.example = example
        tally.count += event.count
        if outcome is Outcome.FAILED and kind.is_file and not tally.refused_by_system:
            number = getattr(event, "errno", 0)
            # What is private to a script may be a small disk of buildperm's.
            is_full = number in (ENOSPC, EDQUOT)
            if not (is_full and target.startswith("$TMP")):
                tally.refused_by_system = SYSTEM_REFUSALS.get(number, "")
        if len(tally.chains) < CHAINS_MOST:
            chain = self._chain(pid)
            name = posixpath.basename(program)
            if name and chain[-1] != name:
                chain = (*chain, name)
            tally.chains[chain] = None
        if len(tally.causes) < CAUSES_MOST:
            tally.causes.add(self._cause(pid) if cause is None else cause)

    def _target(self, path: bytes) -> str:
        target = self._targets.get(path)
        if target is None:
            target = self._by_folder(path) or locate(path, self._places)
            if target.startswith("/proc/"):
                pid, slash, rest = target[6:].partition("/")
                if pid in self._pids:
                    target = f"/proc/self{slash}{rest}"
            self._targets[path] = target
        return target

    def _by_folder(self, path: bytes) -> str:
        """Name a file after its folder, which many share; empty where that is not all to know."""
        folder, _, name = path.rpartition(b"/")
        if not folder or name.translate(None, PLAIN) or path in self._roots:
            return ""
        known = self._folders.get(folder)
        if known is None:
            is_enough = names_alike(folder, self._places)
            known = self._folders[folder] = locate(folder, self._places) if is_enough else ""
        return f"{known}/{name.decode('ascii')}" if known else ""

    def _read_target(self, path: bytes) -> str:
        """Name a file in the package's folder that is not the package's own, as others name it.

        Git's folder of the package alone is called after the package, as the preset `git` does.
        """
        if nearest(path, self._foreign, self._foreign_longest) is None:
            return self._target(path)
        around, target = locate(path, self._around), self._target(path)
        is_alone = not around.startswith("$WORKSPACE/.git") and _NOT_OWN.covers(target)
        return target if is_alone else around

    def _program(self, path: bytes) -> tuple[str, bytes]:
        """Return how a grant would call a program, by name where PATH leads to it, and its file."""
        known = self._programs.get(path)
        if known is None:
            name = posixpath.basename(path)
            real = _real(path)
            portable = self._target(real)
            found = which(name, self._path)
            if portable.startswith("$SYSROOT/"):
                known = portable, real
            elif found is not None and _real(found) == real:
                known = encode(name), real
            else:
                text = self._target(path)
                is_inside = not text.startswith("$") or contained(path, self._places) == text
                # A grant of a path opens nothing that a link leads to out of its token's folder.
                known = (text if is_inside else self._by_name(real, portable)), real
            self._programs[path] = known
        return known

    def _by_name(self, real: bytes, portable: str) -> str:
        """Return the name of a file that PATH leads to; how grants call it, if there is none."""
        name = posixpath.basename(real)
        found = which(name, self._path)
        return portable if found is None or _real(found) != real else encode(name)

    def _interpreter(self, event: Executed) -> tuple[str, bytes]:
        """Name the interpreter of a script as its first line does: `sh`, whatever that links to."""
        named = _shebang(event.requested)
        if named and _real(named) == _real(event.path):
            return self._program(named)
        return self._program(event.path)

    def _called(self, process: RecordedProcess) -> str:
        """Return how a grant would call the program that a process was started with."""
        key = process.parent, process.program, process.argv
        return self._program(self._requested.get(key, process.program))[0]

    def _cause(self, pid: int) -> str:
        """Return the first program of the chain that led to a process; empty for the script."""
        cause = self._causes.get(pid)
        if cause is None:
            first = ""
            at = pid
            seen: set[int] = set()
            while at in self._processes and at not in seen:
                seen.add(at)
                process = self._processes[at]
                if process.parent and process.program and process.program != self._script:
                    first = self._called(process)
                at = process.parent
            cause = self._causes[pid] = first
        return cause

    def _is_handed_over(self, target: str) -> bool:
        return target in self._listed or any(
            target == folder or target.startswith(folder + "/") for folder in self._handed_over
        )

    def _chain(self, pid: int) -> tuple[str, ...]:
        chain = self._chains.get(pid)
        if chain is None:
            names: list[str] = []
            at = pid
            seen: set[int] = set()
            while at in self._processes and at not in seen:
                seen.add(at)
                process = self._processes[at]
                if process.parent and process.program and process.program != self._script:
                    names.append(posixpath.basename(self._called(process)))
                at = process.parent
            chain = self._chains[pid] = (str(self._role), *reversed(names))
        return chain


class _EventAttribution(_EventFolding):
    """Folds by the same names, and judges nothing: a quarter of the time."""

    def __init__(self, recording: Recording, role: Role, members: Collection[str]) -> None:
        super().__init__(recording, role, members)
        self.made_of: dict[tuple[Kind, str], list[Event]] = {}
        nothing = _AccessBuilder(Outcome.DONE, 0, 0, "", is_free=False)
        self._tallies = defaultdict(lambda: nothing)

    def _judge(self, kind: Kind, target: str, path: bytes, *, refused: bool) -> None:
        pass

    def _tally(
        self,
        event: Event,
        pid: int,
        kind: Kind,
        target: str,
        outcome: Outcome,
        example: str = "",
        program: str = "",
        cause: str | None = None,
    ) -> None:
        self.made_of.setdefault((kind, target), []).append(event)


def _why(target: str, tally: _AccessBuilder) -> str:
    """Say why it is in the tier, and that an empty home is all that was seen, if that is so."""
    if tally.saw_empty_home and tally.outcome is Outcome.FAILED:
        return sought_secrets.why(target)
    return tally.sensitive


def _carried(tally: _AccessBuilder) -> str:
    """Say how much went through the egress proxy; empty if nothing did."""
    if not (tally.sent or tally.received):
        return ""
    return f"sent {tally.sent:,} bytes, received {tally.received:,}"


def _written(target: str) -> str:
    """Name what was written in the place of a folder of everybody by that folder.

    The names are those of one run. What Java counts is nobody's decision: `baseline.COUNTERS`.
    """
    staged = f"$TMP/{profile_output.STAGED}/"
    if target.startswith(staged):
        return profile_output.PREFIX + target.removeprefix(staged)
    folder = own_temporaries.known_as(target)
    name = "".join(target.split("/")[2:3])
    if not folder or not name:
        return target
    is_counter = any(matches(each, folder.replace("**", name)) for each in baseline.COUNTERS)
    return target if is_counter else folder


def _outcome(errno: int, *, refused: bool) -> Outcome:
    if refused:
        return Outcome.REFUSED
    return Outcome.FAILED if errno else Outcome.DONE


def _requested(
    events: Iterable[Event],
) -> dict[tuple[int, bytes, tuple[bytes, ...]], bytes]:
    """Return the paths by which programs were started, by who did it, their file and arguments."""
    return {
        (event.pid, event.path, event.argv): event.requested
        for event in events
        if isinstance(event, Executed) and not event.errno and not event.refused
    }


def _real(path: bytes) -> bytes:
    """Return a path with links resolved; what cannot be a path is none of them."""
    return path if b"\0" in path else os.path.realpath(path)


def _shebang(script: bytes) -> bytes:
    """Return the interpreter that a script names, if it is still there: execve(2).

    By now there may be anything at its path, even something that would keep its reader waiting.
    """
    try:
        if not stat.S_ISREG(os.stat(script).st_mode):
            return b""
        descriptor = os.open(script, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            start = file.read(_SHEBANG_MOST) if is_file else b""
    except (OSError, ValueError):
        return b""
    words = start[2:].partition(b"\n")[0].split(maxsplit=1) if start.startswith(b"#!") else []
    return words[0] if words and words[0].startswith(b"/") else b""


def _whole_line(words: list[str]) -> str:
    """Quote a command line as for a shell; of one that is too long, keep both ends, and say so."""
    line = shlex.join(words)
    if len(line) <= _LINE_MOST:
        return line
    half = _LINE_MOST // 2
    return f"{line[:half]} [{len(line) - 2 * half:,} characters left out] {line[-half:]}"
