"""Proposals: from accesses to as few questions as a person can answer with care.

The baseline, what is no news, and what was granted or denied are left out. The rest is grouped by
what a person would decide together: the programs of one tool chain, the files of one folder, the
variables of one library.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush

from buildperm.policy import (
    brevity,
    bundles,
    choices,
    ladder,
    outside_consumers,
    passing_names,
    portability,
    presets,
    risk,
    summaries,
    tasks,
    validation,
)
from buildperm.policy.access import Access
from buildperm.policy.baseline_patterns import NEVER_LISTED
from buildperm.policy.choices import Choices
from buildperm.policy.coverage import Coverage
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.passing_names import is_passing
from buildperm.policy.presets import Preset
from buildperm.policy.proposal import Choice, Proposal, Risk, proposal_id
from buildperm.policy.risk_combinations import combinations
from buildperm.policy.role import NOBODY
from buildperm.policy.rule import Rule
from buildperm.policy.stable_target import in_any_run, portable
from buildperm.policy.undecided_accesses import undecided
from buildperm.rules import address, profile_output
from buildperm.rules.pattern import matches
from buildperm.rules.shared_output import root, why_closed
from buildperm.tracer.notation import encode

GROUPS_MOST = 3
"""Groups of one kind that are asked about singly; more are put together."""

_OUTPUTS = ("$WORKSPACE/target", "$MANIFEST_DIR/target")
_SYSTEM_FOLDERS = ("/usr/", "/bin/", "/sbin/", "/nix/store/", "/gnu/store/", "/home/linuxbrew/")
CAUSES_MOST = 8
"""Programs whose files are asked about one program at a time."""

_BY_HAND = (
    "Sensitive: not grantable here. To allow it, add it to Cargo.toml by hand, as an exact path or "
    "name, with a `reason`."
)
_EMPTY_HOME = (
    "Sensitive: nothing to allow, as the home folder that it sees is empty. If you know why it "
    "looks there, deny it."
)
_NEVER = "No grant can allow it: it would run code outside the sandbox."
_CLOSED = "No grant can allow it: {}."
_NO_SOCKET = "No grant opens a socket that is a file or a name on this machine."
_NO_ADDRESS = "No grant can allow it: {}."
_NO_NAMES = (
    "No grant can allow it: names are made, moved and removed by a right over the whole folder, "
    "and this one is too much for one grant. A folder of its own, or OUT_DIR, could be granted."
)
_NO_LISTING = (
    "No grant can allow it: whoever lists this folder could list all that is below it, and "
    "something there is always closed."
)
_FOR_NOBODY = "No grant can allow it: it is not known in which crate the macro was expanded."
_SYSTEM = "No grant opens a system call; builds work without it."


def propose(
    crate: str,
    version: str,
    accesses: Iterable[Access],
    rules: Iterable[Rule] = (),
    denials: Iterable[Rule] = (),
    consumers: Collection[str] = (),
) -> list[Proposal]:
    """Make the proposals for one crate, the riskiest first.

    Args:
        crate: Its key in Cargo.toml.
        version: Of the crate.
        accesses: What `fold` made of its recordings.
        rules: What it is granted, presets expanded.
        denials: What a person has refused it.
        consumers: Keys of packages outside the workspace that its macros are granted it for, too.
    """
    everything, rules, denials = list(accesses), list(rules), list(denials)
    groups: dict[str, list[Access]] = {}
    for access in everything:
        outside = "" if access.outside in consumers else access.outside
        groups.setdefault(outside, []).append(access)
    proposals: list[Proposal] = []
    for outside, group in groups.items():
        builder = _ProposalBuilder(crate, version, everything, outside, rules)
        left = builder.temporaries(undecided(group, () if outside else rules, denials))
        left = builder.beside_programs(builder.locked(left))
        left = builder.walked_output(builder.shared_places(builder.bundles(builder.presets(left))))
        for kind in GRANTABLE:
            for about in _by_cause([access for access in left if access.kind is kind]):
                builder.about(kind, about)
        proposals += builder.proposals
    ordered = sorted(proposals, key=lambda proposal: (-proposal.risk, proposal.title))
    return brevity.briefer(ordered, rules)


class _ProposalBuilder:
    """The proposals of one crate in the making."""

    def __init__(
        self,
        crate: str,
        version: str,
        everything: Sequence[Access],
        outside: str,
        rules: Collection[Rule],
    ) -> None:
        self.proposals: list[Proposal] = []
        self._crate = crate
        self._version = version
        self._programs = [access for access in everything if access.kind is Kind.EXEC]
        self._combined = combinations(everything)
        self._environments = portability.environments(everything)
        self._outside = outside  # The consumer that the grants would have to hold for, too.
        self._granted = rules

    def temporaries(self, accesses: Sequence[Access]) -> list[Access]:
        """Ask about files in folders of everybody that only one run has; return what is left."""
        written = {access.target for access in accesses if access.kind is Kind.WRITE}
        granted = {rule.pattern for rule in self._granted if rule.kind is Kind.WRITE}
        rest: list[Access] = []
        group: list[Access] = []
        folders: set[str] = set()
        for access in accesses:
            folder = passing_names.own_folder(access)
            if folder in granted:
                continue  # Refused before it was granted.
            if folder and _is_made(access, written):
                group.append(access)
                folders.add(folder)
            else:
                rest.append(access)
        if group:
            rules = tuple(Rule(Kind.WRITE, folder) for folder in sorted(folders))
            named = ladder.listing([folder.removesuffix("/**") for folder in sorted(folders)])
            choice = Choice(
                f"an empty folder of its own in the place of {named}",
                rules,
                widening="Opens nothing of the machine: each run has an empty folder there.",
            )
            level, note = risk.assess_rule(rules[0])
            self._propose(
                self._id(Kind.WRITE, sorted(folders)),
                f"make temporary files in {named}",
                Choices((choice,)),
                (level, [note]),
                group,
            )
        return rest

    def beside_programs(self, accesses: Sequence[Access]) -> list[Access]:
        """Ask about files that are left beside programs, as patterns; return what is left."""
        group = [each for each in accesses if _is_beside(each)]
        if group:
            exact = [Rule(Kind.WRITE, each.target) for each in group if not each.is_folder]
            rules = [Rule(Kind.WRITE, profile_output.folded(rule.pattern)) for rule in exact]
            folded, rules = tuple(dict.fromkeys(rules)), exact
            if not folded:  # An empty folder.
                folded = tuple(Rule(Kind.WRITE, f"{each.target}/**") for each in group)
            alike = Choice(
                f"what is alike: {ladder.listing([rule.pattern for rule in folded])}",
                folded,
                widening="Allows other files there that are called so; never what Cargo makes.",
            )
            all_ = [alike]
            if 0 < len(rules) <= choices.EXACT_MOST and tuple(rules) != folded:
                all_.insert(0, Choice("exactly these files", tuple(dict.fromkeys(rules))))
            judged = [risk.assess_rule(rule) for rule in folded]
            named = ladder.listing([rule.pattern for rule in folded])
            self._propose(
                self._id(Kind.WRITE, [rule.pattern for rule in folded]),
                f"leave {named} beside programs",
                Choices(tuple(all_), len(all_) - 1),
                (max(level for level, _ in judged), [note for _, note in judged]),
                group,
            )
        return [each for each in accesses if not _is_beside(each)]

    def locked(self, accesses: Sequence[Access]) -> list[Access]:
        """Ask about what cannot be allowed here; return the rest."""
        key: tuple[Kind, str, str]
        groups: dict[tuple[Kind, str, str], list[Access]] = {}
        rest: list[Access] = []
        written = {access.target for access in accesses if access.kind is Kind.WRITE}
        for access in accesses:
            if is_passing(access.kind, access.target) and _is_made(access, written):
                # Who opens such a file to read and write it is refused both: one question.
                is_read = access.kind is Kind.READ
                about = Kind.WRITE if is_read else access.kind
                key = about, access.sensitive, passing_names.NEVER
            elif access.sensitive:
                key = access.kind, access.sensitive, _why_locked(access)
            elif access.kind is Kind.NET and (why := _why_unconnected(access)):
                key = access.kind, access.target, why
            elif access.kind is Kind.READ and access.target in NEVER_LISTED:
                key = access.kind, "", _NO_LISTING
            elif access.kind is Kind.SYSTEM:
                key = access.kind, "", _SYSTEM
            else:
                rest.append(access)
                continue
            groups.setdefault(key, []).append(access)
        for (kind, held, why), found in groups.items():
            group = [each for each in found if each.kind is kind]
            group += [each for each in found if each.kind is not kind]
            named = passing_names.told(group) if why == passing_names.NEVER else group
            title = summaries.title(kind, named)
            if group[0].sensitive and kind is not Kind.DIRECTIVE:
                title = f"{title} ({held})"
            self._add(title, group, _exactly(kind, group), locked=why)
        return rest

    def presets(self, accesses: Sequence[Access]) -> list[Access]:
        """Ask about each tool chain that was run; return what no preset covers."""
        left = list(accesses)
        narrow_first = sorted(presets.PRESETS.values(), key=lambda preset: len(preset.rules))
        groups = {each.name: frozenset(map(id, self._covered(each, left))) for each in narrow_first}
        sufficient = [
            each
            for each in narrow_first
            if groups[each.name] and not any(groups[each.name] < other for other in groups.values())
        ]
        for preset in (*sufficient, *narrow_first):
            group = self._covered(preset, left)
            if not group:
                continue
            known = {id(access) for access in group}
            taken = known.union(*(groups[each.name] for each in sufficient if each is not preset))
            helpers = _helpers(preset, [access for access in left if id(access) not in taken])
            known.update(map(id, helpers))
            left = [access for access in left if id(access) not in known]
            self._add_preset(preset, group, helpers)
        return left

    def _covered(self, preset: Preset, accesses: Sequence[Access]) -> list[Access]:
        """Return what a preset covers, if its tools were run, and for its purpose; else nothing."""
        allowed = Coverage(preset.rules)
        group = [access for access in accesses if allowed.covers(access)]
        causes = [each for each in self._programs if _is_one_of(preset.causes, each.target)]
        told = (*causes, *group)
        is_meant = tasks.is_marked(preset, told) or any(
            _is_anchor(preset, each)
            or (each.kind is Kind.EXEC and tasks.is_told(preset, each))
            or (not preset.marks and _is_caused(preset, each))
            for each in group
        )
        if not (is_meant and tasks.fits(preset, told)):
            return []
        return group if all(_is_of(preset, each) for each in group) else []

    def bundles(self, accesses: Sequence[Access]) -> list[Access]:
        """Ask about each program together with what it needs to work; return what is left."""
        known: set[int] = set()
        for bundle in bundles.found(accesses):
            known.update(map(id, bundle.accesses))
            worst, notes = summaries.risk_notes(bundle.accesses)
            self._propose(
                self._id(Kind.EXEC, [access.target for access in bundle.accesses]),
                summaries.of_bundle(bundle),
                Choices(ways := bundles.choices(bundle), len(ways) - 1),
                (worst, notes),
                bundle.accesses,
            )
        return [access for access in accesses if id(access) not in known]

    def shared_places(self, accesses: Sequence[Access]) -> list[Access]:
        """Ask about each place that crates share in the target directory; return what is left.

        Who is refused to write there has not come to reading: both are one question.
        """
        groups: dict[str, list[Access]] = {}
        for access in accesses:
            if access.kind in (Kind.READ, Kind.WRITE):
                groups.setdefault(root(portable(access.target)), []).append(access)
        groups.pop("", None)
        taken: set[int] = set()
        for place, group in sorted(groups.items()):
            is_folder = any(
                access.is_folder or portable(access.target) != place for access in group
            )
            if not is_folder or all(access.kind is Kind.READ for access in group):
                continue
            taken.update(map(id, group))
            rules = tuple(Rule(kind, f"{place}/**") for kind in (Kind.READ, Kind.WRITE))
            choice = Choice(
                f"everything below {place}",
                rules,
                widening="Allows reading, making, changing and removing any file there.",
            )
            level, note = risk.assess_rule(rules[1])
            self._propose(
                self._id(Kind.WRITE, [place]),
                f"read and write the shared folder {place}",
                Choices((choice,)),
                (level, [note]),
                group,
            )
        return [access for access in accesses if id(access) not in taken]

    def walked_output(self, accesses: Sequence[Access]) -> list[Access]:
        """Ask once about what Cargo builds, where a script walks through its package and comes by.

        What is there has other names after every build.
        """
        walked = {
            each.target
            for each in accesses
            if each.kind is Kind.READ and each.is_direct and each.target in _OUTPUTS
        }
        if not any(each.is_folder for each in accesses if each.target in walked):
            return list(accesses)
        inside = (*(f"{top}/" for top in walked), "$TARGET_DIR/")
        group = [
            each
            for each in accesses
            if each.kind is Kind.READ
            and each.is_direct
            and (each.target in walked or each.target.startswith(inside))
        ]
        taken = set(map(id, group))
        choice = choices.for_walked_output(group, walked)
        if any(validation.to_grant(rule, reason="") for rule in choice.rules):
            return list(accesses)
        level, note = risk.assess_rule(Rule(Kind.READ, "$TARGET_DIR/debug/**"))
        self._propose(
            self._id(Kind.READ, walked),
            "read all that Cargo has built, as it walks through its package",
            Choices((choice,)),
            (level, [note]),
            group,
        )
        return [access for access in accesses if id(access) not in taken]

    def about(self, kind: Kind, accesses: Sequence[Access]) -> None:
        """Ask about the accesses of one kind."""
        match kind:
            case Kind.READ:
                self.reads(accesses)
            case Kind.WRITE:
                self.writes(accesses)
            case Kind.EXEC:
                self.programs(accesses)
            case Kind.ENV:
                self.variables(accesses)
            case Kind.NET:
                self.hosts(accesses)
            case _:
                self.exactly(kind, accesses)

    def reads(self, accesses: Sequence[Access]) -> None:
        """Ask about files that were read, folder by folder; about those of one program at once."""
        folders = {access.target for access in accesses if access.is_folder}
        folder = choices.folder_of_read([access.target for access in accesses], folders)
        most = 1 if accesses and accesses[0].wanted_by else GROUPS_MOST
        groups = _grouped(accesses, folder, most=most)
        is_much = len(accesses) > choices.EXACT_MOST
        each = choices.EXACT_MOST // len(groups) if is_much else choices.EXACT_MOST
        for group in groups:
            self._add(summaries.title(Kind.READ, group), group, choices.for_reads(group, each))

    def writes(self, accesses: Sequence[Access]) -> None:
        """Ask about files that were written, folder by folder."""
        stuck = [access for access in accesses if choices.is_beyond_grants(access)]
        if stuck:
            title = summaries.title(Kind.WRITE, stuck)
            self._add(title, stuck, _exactly(Kind.WRITE, stuck), locked=_NO_NAMES)
        accesses = [access for access in accesses if not choices.is_beyond_grants(access)]
        for group in _grouped(accesses, choices.folder_of_write, most=len(accesses)):
            ways = choices.for_writes(group, self._granted)
            self._add(summaries.title(Kind.WRITE, group), group, ways)

    def programs(self, accesses: Sequence[Access]) -> None:
        """Ask about programs: the ordinary ones together, the risky ones one by one.

        What lies beside one another in a folder that is not the system's came together, as the
        parts of a version manager do, and is one question.
        """
        ordinary: list[Access] = []
        risky: dict[str, list[Access]] = {}
        for access in accesses:
            if risk.assess_access(access)[0] < Risk.HIGH:
                ordinary.append(access)
            else:
                is_elsewhere = access.target.startswith("$")
                key = access.target.rpartition("/")[0] if is_elsewhere else _file_of(access)
                risky.setdefault(key, []).append(access)
        for group in (ordinary, *risky.values()):
            if group:
                self._add(summaries.title(Kind.EXEC, group), group, choices.for_programs(group))

    def variables(self, accesses: Sequence[Access]) -> None:
        """Ask about variables, library by library."""
        for group in _grouped(accesses, choices.prefix_of(accesses)):
            self._add(summaries.title(Kind.ENV, group), group, choices.for_variables(group))

    def hosts(self, accesses: Sequence[Access]) -> None:
        """Ask about hosts one by one: each is a way out."""
        for access in accesses:
            self._add(summaries.title(Kind.NET, [access]), [access], choices.for_hosts([access]))

    def exactly(self, kind: Kind, accesses: Sequence[Access]) -> None:
        """Ask about what is allowed as it was seen or not at all, key by key."""
        for group in _grouped(accesses, lambda target: target.partition("=")[0]):
            self._add(summaries.title(kind, group), group, _exactly(kind, group))

    def _add(
        self, title: str, group: Sequence[Access], choices: Choices, *, locked: str = ""
    ) -> None:
        worst, notes = summaries.risk_notes(group)
        targets = [_in_any_run(access) for access in group]
        if any(access.is_entry for access in group):
            targets.append("and its folder")  # Another question than the one about the file.
        self._propose(
            self._id(group[0].kind, dict.fromkeys(targets)),
            title,
            choices,
            (worst, notes),
            group,
            locked,
        )

    def _add_preset(
        self, preset: Preset, group: Sequence[Access], helpers: Sequence[Access]
    ) -> None:
        notes = [f"Preset {preset.name}: {preset.why}."]
        level = preset.risk
        for access in group:
            if access.kind is Kind.EXEC and risk.reaches_out(access.example):
                level = Risk.HIGH
                notes.append(risk.assess_access(access)[1])
        notes += [
            f"`{access.target}` is not installed here; where it is, the script runs it."
            for access in group
            if access.is_foreseen
        ]
        along = choices.exactly(Kind.EXEC, helpers).rules
        if helpers:
            worst, told = summaries.risk_notes(helpers)
            level, notes = max(level, worst), [*notes, *told]
        started = f" and {ladder.listing([rule.pattern for rule in along])}" if along else ""
        choice = Choice(
            f"preset {preset.name}{started}",
            along,
            preset.name,
            f"Allows {preset.covers}. Leaves out {preset.leaves_out}.",
        )
        self._propose(
            self._id(preset.name, []),
            preset.title,
            Choices((choice,)),
            (level, notes),
            (*group, *helpers),
        )

    def _propose(
        self,
        proposal_id: str,
        title: str,
        choices: Choices,
        judged: tuple[Risk, Iterable[str]],
        group: Sequence[Access],
        locked: str = "",
    ) -> None:
        combined, added = self._combined(group)
        notes = (*added, *judged[1], *summaries.unstable(group))
        level = max(judged[0], combined)
        if not locked:
            notes = (*notes, *portability.notes(choices.suggestion.rules, self._environments))
            choices = replace(choices, all=tuple(map(self._marked, choices.all)))
        if self._outside == NOBODY:
            locked = _FOR_NOBODY
        elif self._outside:
            title = f"{title} for {encode(self._outside.encode())}"
            every = (outside_consumers.extended(each, self._outside) for each in choices.all)
            choices = replace(choices, all=tuple(every))
            along, told = outside_consumers.judge(self._outside, self._granted)
            level, notes = max(level, along), (*notes, *told)
        self.proposals.append(
            Proposal(
                proposal_id,
                self._crate,
                self._version,
                title,
                choices.all,
                level,
                notes,
                tuple(group),
                locked,
                suggested=choices.suggested,
                wanted_by=_wanted_by(group),
            )
        )

    def _marked(self, choice: Choice) -> Choice:
        title = portability.marked(choice.title, choice.rules, self._environments)
        return replace(choice, title=title)

    def _id(self, what: str, targets: Iterable[str]) -> str:
        outside = (f"for {self._outside}",) if self._outside else ()
        return proposal_id(self._crate, what, *sorted(targets), *outside)


def _exactly(kind: Kind, group: Sequence[Access]) -> Choices:
    return Choices((choices.exactly(kind, group),))


def _wanted_by(accesses: Iterable[Access]) -> str:
    """Return the program whose doing all of the accesses are; empty if there is no such one."""
    found = {access.wanted_by for access in accesses}
    return found.pop() if len(found) == 1 else ""


def _by_cause(accesses: Sequence[Access]) -> list[list[Access]]:
    """Group accesses by the program that alone wanted them; those of the script itself first."""
    groups: dict[str, list[Access]] = {}
    for access in accesses:
        groups.setdefault(access.wanted_by, []).append(access)
    if len(groups) > CAUSES_MOST:
        return [list(accesses)]  # Each program has a question of its own, whatever it touched.
    return [groups[cause] for cause in sorted(groups)]


def _is_beside(access: Access) -> bool:
    return access.kind is Kind.WRITE and profile_output.is_pattern(access.target)


def _is_made(access: Access, written: Collection[str]) -> bool:
    """Tell whether a file was to be made, not only read: somebody else's may be there again."""
    if access.kind is not Kind.READ:
        return True
    return not ladder.above([access.target]).union([access.target]).isdisjoint(written)


def _in_any_run(access: Access) -> str:
    """Return a target as the next run would have it, so that it is the same question then."""
    if is_passing(access.kind, access.target):
        return in_any_run(access.target)
    return access.target


def _why_locked(access: Access) -> str:
    """Say why nobody can allow here what is sensitive."""
    if access.kind is Kind.DIRECTIVE:
        return _NEVER
    if access.kind is Kind.WRITE and (closed := why_closed(access.target)):
        return _CLOSED.format(closed)
    return _EMPTY_HOME if access.saw_empty_home else _BY_HAND


def _why_unconnected(access: Access) -> str:
    """Say why no grant can allow a connection; empty if one can."""
    if address.of_pattern(access.target) is None:
        return _NO_SOCKET
    found = validation.to_grant(Rule(Kind.NET, access.target), reason="")
    return _NO_ADDRESS.format(found.what) if found else ""


def _is_anchor(preset: Preset, access: Access) -> bool:
    return access.kind is Kind.EXEC and _is_one_of(preset.anchors, access.target)


def _is_caused(preset: Preset, access: Access) -> bool:
    return any(_is_one_of(preset.causes, cause) for cause in access.causes)


def _is_one_of(patterns: Iterable[str], program: str) -> bool:
    return any(matches(pattern, program) for pattern in patterns)


def _is_of(preset: Preset, access: Access) -> bool:
    """Tell whether an access that a preset covers is for what the preset is for.

    A shell is for the tools of the preset, not for the script itself.
    """
    if access.kind is not Kind.EXEC:
        return True
    if preset.is_systems and _is_anchor(preset, access):
        file = access.resolved or access.target
        if "/" in file and not file.startswith(_SYSTEM_FOLDERS):
            return False
    if not access.is_direct:
        return True
    if access.target in preset.shells:
        return tasks.is_told(preset, access)
    if _is_anchor(preset, access):
        return not tasks.hands_code(preset, access)
    return risk.assess_program(access.target)[0] < Risk.HIGH


def _file_of(access: Access) -> str:
    """Return the file of a program that has several names: `python3` and `python3.12` are one.

    A file that is many programs, as that of busybox, has none of their names.
    """
    name = access.target.rpartition("/")[2]
    file = access.resolved or access.target
    return file if file.rpartition("/")[2].startswith(name) else access.target


def _helpers(preset: Preset, accesses: Iterable[Access]) -> list[Access]:
    """Return the programs beyond a preset that only its tools run, and that belong to them."""
    return [
        access
        for access in accesses
        if access.kind is Kind.EXEC
        and not access.is_direct
        and all(_is_one_of((*preset.anchors, *preset.causes), cause) for cause in access.causes)
        and bundles.belongs(access)
    ]


def _grouped(
    accesses: Sequence[Access], key: Callable[[str], str], *, most: int = GROUPS_MOST
) -> list[list[Access]]:
    """Group accesses by a key of their target; small groups join where there are too many."""
    groups: dict[str, list[Access]] = {}
    ordered = sorted(accesses, key=lambda access: access.target)
    for access in ordered:
        groups.setdefault(key(access.target), []).append(access)
    if len(groups) > most:  # What is called alike but for a number belongs together.
        groups = {}
        for access in ordered:
            groups.setdefault(ladder.numberless(key(access.target)), []).append(access)
    # By risk, so that no ordinary group becomes a risky one; the smallest are put together first.
    sizes: dict[Risk, list[tuple[int, str]]] = {}
    for name, group in groups.items():
        sizes.setdefault(_worst(group), []).append((len(group), name))
    for heap in sizes.values():
        heapify(heap)
    while len(groups) > most:
        joinable = [heap for heap in sizes.values() if len(heap) > 1]
        if not joinable:
            break
        heap = min(joinable, key=lambda heap: (heap[0][0] + min(heap[1:3])[0], heap[0][1]))
        (_, first), (_, second) = heappop(heap), heappop(heap)
        groups[first] += groups.pop(second)
        heappush(heap, (len(groups[first]), first))
    for group in groups.values():
        group.sort(key=lambda access: access.target)
    return list(groups.values())


def _worst(accesses: Iterable[Access]) -> Risk:
    return max(risk.assess_access(access)[0] for access in accesses)
