"""Fold: from the events of a recording to what was accessed.

An access says what was touched, in portable text; by whom, as chains of programs; how often; and
how it went. Nothing is judged here but whether a target belongs to the sensitive tier.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection
from errno import EEXIST, ENOENT, ENOTDIR
from typing import assert_never

from buildperm.policy import presets, risk, sought_secrets
from buildperm.policy.access import Access, Outcome
from buildperm.policy.access_builder import CAUSES_MOST, AccessBuilder
from buildperm.policy.bare_looks import BareLooks
from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.program_chains import ProgramChains
from buildperm.policy.program_search import ProgramSearch
from buildperm.policy.role import NOBODY, Role, SubjectKind
from buildperm.policy.sensitivity import STEERS, why_sensitive
from buildperm.policy.target_names import TargetNames
from buildperm.rules import baseline, directive, profile_output, sensitive, tier
from buildperm.rules.pattern import locate
from buildperm.rules.script_variables import PRIVATE_HOME
from buildperm.rules.sensitive_table import BUILT
from buildperm.tracer.notation import decode, encode
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
    SocketUse,
    SocketUsed,
    Verdict,
)
from buildperm.tracer.recording.reader import Header, Recording

_READ = PatternSet(baseline.READ)
_BYTECODE = re.compile(r"(.*)/__pycache__/([^/]+?)\.[a-z]+-[0-9]+(?:\.opt-[0-9])?\.pyc", re.DOTALL)
_ENTRIES = frozenset(
    (Change.REMOVED, Change.RENAMED, Change.LINKED, Change.SYMLINKED, Change.NODE_MADE)
)
"""Changes of a folder: Landlock has rights over them for all of a folder, and for no file in it."""
_LEARNING = "learning"  # The profile, as the header of a recording names it.
_COMMAND_MOST = 400  # Characters of a command line that serves as an example.
_LINE_MOST = 4_000  # Characters of a command line that is listed.


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
        self._names = TargetNames(header, recording.processes)
        self._chains = ProgramChains(recording, role, self._names)
        self._script = self._chains.script
        self._held = header.held
        self._held_longest = max(map(len, self._held), default=0)
        built = sensitive.built_in(header.places)
        self._built_in = locate(built, header.places) if built else ""
        self._reasons: dict[tuple[bytes, bool], str] = {}
        self._tools = frozenset(header.tools)
        self._handed_over = tuple(locate(path, header.places) for path in header.handed_over)
        self._harmless = frozenset(locate(path, header.places) for path in header.harmless)
        self._listed = frozenset(locate(path, header.places) for path in header.listed)
        self._tallies: dict[tuple[Kind, str], AccessBuilder] = {}
        self._looks = BareLooks()
        self._search = ProgramSearch(self._names)

    def accesses(self) -> list[Access]:
        asked = self._looks.asked_otherwise(self._tallies)
        tallies = {
            (kind, target): tally
            for (kind, target), tally in self._tallies.items()
            if kind is not Kind.READ or target not in asked
        }
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
                tally.carried() or tally.example,
                tally.why(target),
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
                is_look=self._looks.is_look(kind, target),
            )
            for (kind, target), tally in ordered
        ]

    def _is_let_through(self, kind: Kind, tally: AccessBuilder) -> bool:
        """Tell whether what was done was not to be prevented, as it was seen while learning.

        Secrets are, and so are writing and the network.
        """
        is_open = kind in (Kind.READ, Kind.EXEC, Kind.ENV) and not tally.sensitive
        return is_open and self._mode == _LEARNING and tally.outcome is Outcome.DONE

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
            self._looks.reached(event.path)
        target = self._names.target(event.path)
        example = "" if target.startswith("/") else encode(event.path)
        writes = event.mode is not OpenMode.READ or event.creates
        if event.mode is not OpenMode.WRITE:
            read, asked = outcome, self._names.read_target(event.path)
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
            self._looks.was_read(asked)
            # Who looks for a folder that is not there will find perhaps a file.
            is_there = event.directory and outcome is not Outcome.FAILED
            self._tallies[Kind.READ, asked].is_folder |= is_there
            self._judge(Kind.READ, asked, event.path, refused=event.refused)
        if writes:
            target = self._names.written(event.path)
            self._tally(event, event.pid, Kind.WRITE, target, outcome, example)

    def _looked(self, event: FileOpened) -> None:
        """File a look as reading: a grant to read is what shows something.

        It is recorded only where it was refused, or would have been without a grant.
        """
        target = self._names.read_target(event.path)
        outcome = _outcome(event.errno, refused=event.refused)
        example = "" if target.startswith("/") else encode(event.path)
        is_new = (Kind.READ, target) not in self._tallies
        self._tally(event, event.pid, Kind.READ, target, outcome, example)
        if is_new:
            self._looks.add(target, event.path)
        if outcome is Outcome.DONE:
            self._looks.reached(event.path)
        self._tallies[Kind.READ, target].is_folder |= event.directory
        self._judge(Kind.READ, target, event.path, refused=event.refused)

    def _sought(self, target: str, event: FileOpened) -> str:
        """Return the secret that a look into the private home was for; empty if it was for none."""
        if event.creates or not target.startswith(PRIVATE_HOME):
            return ""
        if event.errno not in (ENOENT, ENOTDIR):
            return ""
        program = self._chains.program(event.pid)
        return sought_secrets.sought(target, self._names.target(program) if program else "")

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
            leads_to = self._names.real(path) if is_link else path
            if leads_to != path and not reason:
                reason = tier.why(leads_to, self._held, self._held_longest)
                reason = reason or why_sensitive(kind, self._names.target(leads_to))
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
                target = self._names.written(path)
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
            source = self._names.read_target(event.other)
            if outcome is not Outcome.REFUSED or not _READ.covers(source):
                self._tally(event, event.pid, Kind.READ, source, outcome)

    def _led_out(self, event: PathChanged, outcome: Outcome) -> None:
        """Whoever reads through a link in OUT_DIR reads what it leads to; a folder ends in `/`."""
        path = event.other.rstrip(b"/") or b"/"
        target = self._names.read_target(path)
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
        if outcome is Outcome.REFUSED and self._search.goes_on(event):
            return
        if outcome is Outcome.DONE:
            self._looks.reached(event.path, event.requested)
        words = [encode(word) for word in event.argv]
        command, line = " ".join(words)[:_COMMAND_MOST], _whole_line(words)
        # It is news only while learning: nothing is refused by its absence.
        sought = self._search.foreseen(event) if self._mode == _LEARNING else ""
        programs = [(sought, event.requested) if sought else self._names.program(event.requested)]
        if event.path not in (programs[0][1], event.requested):
            # A script: the kernel needs its interpreter as well, execve(2), "Interpreter scripts".
            interpreter = self._names.interpreter(event)
            programs = [interpreter] if event.errno else [*programs, interpreter]
        cause = self._chains.cause(event.pid)
        for target, file in dict.fromkeys(programs):
            self._tally(event, event.pid, Kind.EXEC, target, outcome, command, target, cause)
            tally = self._tallies[Kind.EXEC, target]
            tally.ran(line, event.count, is_own=not cause)
            cause = cause or target  # Of the interpreter: it is the script that wants it.
            tally.is_free = file in self._tools
            resolved = target if sought else self._names.target(file)
            tally.resolved = "" if resolved == target else resolved

    def _is_foreseen(self, kind: Kind, target: str, tally: AccessBuilder) -> bool:
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
        return self._names.target(raw) if raw.startswith(b"/") else encode(raw)

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
            tally = AccessBuilder(outcome, event.at_ns, event.at_ns, why, free, example=example)
            self._tallies[kind, target] = tally
        else:
            tally.happened(event.at_ns, outcome)
            if kind is Kind.EXEC and risk.reaches_out(example):
                tally.example = example
        tally.count += event.count
        if outcome is Outcome.FAILED and kind.is_file:
            tally.failed(target, getattr(event, "errno", 0))
        tally.came_by(self._chains.chain(pid), program)
        if len(tally.causes) < CAUSES_MOST:
            tally.causes.add(self._chains.cause(pid) if cause is None else cause)

    def _is_handed_over(self, target: str) -> bool:
        return target in self._listed or any(
            target == folder or target.startswith(folder + "/") for folder in self._handed_over
        )


class _EventAttribution(_EventFolding):
    """Folds by the same names, and judges nothing: a quarter of the time."""

    def __init__(self, recording: Recording, role: Role, members: Collection[str]) -> None:
        super().__init__(recording, role, members)
        self.made_of: dict[tuple[Kind, str], list[Event]] = {}
        nothing = AccessBuilder(Outcome.DONE, 0, 0, "", is_free=False)
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


def _outcome(errno: int, *, refused: bool) -> Outcome:
    if refused:
        return Outcome.REFUSED
    return Outcome.FAILED if errno else Outcome.DONE


def _whole_line(words: list[str]) -> str:
    """Quote a command line as for a shell; of one that is too long, keep both ends, and say so."""
    line = shlex.join(words)
    if len(line) <= _LINE_MOST:
        return line
    half = _LINE_MOST // 2
    return f"{line[:half]} [{len(line) - 2 * half:,} characters left out] {line[-half:]}"
