"""Bundles: a program that a script runs, with what that program needs to work at all.

A person decides about the program. The shell that its scripts name, the small tools that they use
and the other parts of its installation follow from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from buildperm.policy import exact_rules, ladder, risk, validation
from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.policy.portability import environments
from buildperm.policy.proposal import Choice, Risk
from buildperm.policy.rule import Rule
from buildperm.policy.stable_target import grantable

PROGRAMS_MOST = 5
"""Programs of one installation that are granted one by one where all of it may be read."""

_SHELLS = frozenset(("ash", "bash", "busybox", "dash", "ksh", "sh", "zsh"))
_PROGRAM_FOLDERS = frozenset(("bin", "libexec", "sbin", "shims"))
_SHARED = frozenset(  # They hold what many programs consist of.
    ("", "/", "/usr", "/usr/local", "/opt", "/bin", "/snap", "$HOME", "$HOME/.local", "$CARGO_HOME")
)
_OWN = ("$WORKSPACE", "$MANIFEST_DIR", "$TARGET_DIR", "$OUT_DIR", "$TMP", "$SYSROOT")


@dataclass(frozen=True, slots=True)
class Bundle:
    """One program that the script itself runs, and what belongs to it."""

    program: Access
    helpers: tuple[Access, ...]  # Programs that it runs.
    parts: tuple[Access, ...]  # Files of its own installation that it reads.
    folders: tuple[str, ...]  # Those of the installation that hold the parts.

    @property
    def accesses(self) -> tuple[Access, ...]:
        """All of it, the program first."""
        return (self.program, *self.helpers, *self.parts)


def found(accesses: Sequence[Access]) -> list[Bundle]:
    """Return a bundle for each program that has anything to go with it."""
    by_cause: dict[str, list[Access]] = {}
    for access in accesses:
        for cause in () if access.is_direct else access.causes:
            by_cause.setdefault(cause, []).append(access)
    taken: set[int] = set()
    bundles = []
    for program in sorted(
        (each for each in accesses if each.kind is Kind.EXEC and each.is_direct),
        key=lambda each: each.target,
    ):
        wanted = [each for each in by_cause.get(program.target, ()) if id(each) not in taken]
        homes = sorted(ladder.outermost((*installations(program), *environments(wanted))))
        helpers = tuple(each for each in wanted if each.kind is Kind.EXEC and belongs(each, homes))
        parts = tuple(each for each in wanted if each.kind is Kind.READ and _is_in(each, homes))
        if helpers or parts:
            taken.update(map(id, (*helpers, *parts)))
            folders = tuple(home for home in homes if any(_is_in(each, (home,)) for each in parts))
            bundles.append(Bundle(program, helpers, parts, folders))
    return bundles


def choices(bundle: Bundle) -> tuple[Choice, ...]:
    """Return the ways to allow a bundle: exactly what was seen, else all of the installation."""
    programs = exact_rules.of(Kind.EXEC, (bundle.program, *bundle.helpers))
    count = len(programs)
    title, more = exact_rules.title(Kind.EXEC, programs), exact_rules.widening(programs)
    if not bundle.parts:
        return (Choice(title, programs, widening=more),)
    files = exact_rules.of(Kind.READ, bundle.parts)
    homes = tuple(map(grantable, bundle.folders))
    named = ladder.named(homes)
    title = f"{title} and {len(files)} file{'s' * (len(files) > 1)} of {named}"
    exact = Choice(title, (*programs, *files), widening=more)
    folders = tuple(Rule(Kind.READ, f"{folder}/**") for folder in homes)
    # A version manager is a dozen scripts: those of its next version are others.
    inside = tuple(
        rule for rule in programs if rule.pattern.startswith(tuple(f"{each}/" for each in homes))
    )
    if len(inside) > PROGRAMS_MOST:
        around = tuple(Rule(Kind.EXEC, rule.pattern) for rule in folders)
        rest = tuple(rule for rule in programs if rule not in inside)
        everything = (*rest, *around, *folders)
        if not any(validation.to_grant(rule, reason="") for rule in everything):
            told = f"{_these(len(rest))}, and " if rest else ""
            widening = (
                "Allows all programs and files of its installation, those of its next version"
            )
            return (
                exact,
                Choice(
                    f"{told}running and reading all of {named}",
                    everything,
                    widening=f"{widening} as well. {more}".rstrip(),
                ),
            )
    if any(validation.to_grant(rule, reason="") for rule in folders):
        return (exact,)
    return (
        exact,
        Choice(
            f"{_these(count)}, and reading all of {named}",
            (*programs, *folders),
            widening=f"Allows all files of its installation, those of its next version as well. "
            f"{more}".rstrip(),
        ),
    )


def _these(count: int) -> str:
    return "this program" if count == 1 else f"these {count} programs"


def belongs(helper: Access, homes: Iterable[str] = ()) -> bool:
    """Tell whether allowing a program means to let it run this one, too.

    Another interpreter, a downloader or a program that nobody knows is a question of its own.
    """
    if risk.assess_access(helper)[0] < Risk.HIGH or helper.target in _SHELLS:
        return True
    return _is_in(helper, homes)


def installations(program: Access) -> tuple[str, ...]:
    """Return the folders that hold a program with all that belongs to it, and nothing else."""
    found = []
    for file in dict.fromkeys((program.target, program.resolved)):
        folder = ladder.parent(file)
        if folder.rpartition("/")[2] in _PROGRAM_FOLDERS:
            folder = ladder.parent(folder)
            is_own = folder.startswith(_OWN) and "/" not in folder
            if folder not in _SHARED and not is_own:
                found.append(folder)
    return tuple(ladder.outermost(found))


def _is_in(access: Access, folders: Iterable[str]) -> bool:
    return any(
        file == folder or file.startswith(f"{folder}/")
        for file in (access.target, access.resolved)
        for folder in folders
    )
