"""A diagnosis in words, as one document, and as Markdown for a report of a bug."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from buildperm import __version__
from buildperm.printable import printable
from buildperm.report.diagnosis import Diagnosis, Gap, RuntimeDiagnosis
from buildperm.report.text import count
from buildperm.sandbox.canary import CanaryOutcome, CanaryResult, Status
from buildperm.sandbox.compile_canaries import CompileProof

VERSION = 1
"""Of the document; it changes when something is removed or means something else."""

GLYPHS = {
    Status.ENFORCED: "✓",
    Status.OPEN: "○",
    Status.WORKS: "✓",
    Status.LIMITED: "○",
    Status.ABSENT: "-",
    Status.BROKEN: "✗",
}
WORDS = {
    Status.ENFORCED: "refused",
    Status.OPEN: "open",
    Status.WORKS: "works",
    Status.LIMITED: "refused, although harmless",
    Status.ABSENT: "not on this machine",
    Status.BROKEN: "BROKEN",
}


_HEAD = (
    "| canary | expected | outcome | without | errno | recorded | status |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True, slots=True)
class DiagnosisResult:
    """A diagnosis as the answer of a command."""

    diagnosis: Diagnosis

    def lines(self) -> Iterable[str]:
        """Return plain lines, each of which can be understood by itself."""
        return _lines(self.diagnosis)

    def document(self) -> dict[str, object]:
        """Return one document, described by `report/doctor.schema.json`."""
        return _document(self.diagnosis)


def _lines(diagnosis: Diagnosis) -> list[str]:
    lines = [_closing(diagnosis), *_stronger(diagnosis), ""]
    lines += ["This machine", *(f"  {name}: {value}" for name, value in _facts(diagnosis)), ""]
    for one in diagnosis.runtimes:
        lines += [*_runtime(one), ""]
    lines += [*_compiling(diagnosis.compiling), ""]
    gaps = list(diagnosis.gaps())
    if gaps:
        lines += ["What is missing here", *(line for gap in gaps for line in _gap_lines(gap)), ""]
    return lines[:-1]


def _document(diagnosis: Diagnosis) -> dict[str, object]:
    here, facts = diagnosis.surroundings, diagnosis.surroundings.facts
    required = diagnosis.required
    return {
        "version": VERSION,
        "buildperm": __version__,
        "machine": {
            "kernel": here.kernel,
            "processor": facts.machine,
            "landlock_abi": facts.landlock_abi,
            "landlock_errata": list(here.landlock_errata),
            "seccomp": not facts.seccomp_errno,
            "ptrace": not facts.ptrace_errno,
            "ptrace_scope": facts.ptrace_scope,
            "user_notification": not facts.notify_errno,
            "c_compiler": here.c_compiler or None,
            "hosts": not here.hosts,
            "user_namespaces": not here.user_namespaces,
            "bubblewrap": here.bubblewrap or None,
            "containers": list(here.containers),
            "root": here.is_root,
            "python": here.python,
            "shell": here.shell or None,
            "cargo": diagnosis.cargo or None,
            "rustc": diagnosis.rustc or None,
        },
        "runtimes": [_runtime_object(one) for one in diagnosis.runtimes],
        "compiling": _compiling_object(diagnosis.compiling),
        "lacks": [
            {
                "what": gap.what,
                "possible": list(gap.possible),
                "remedy": gap.remedy,
                "stops": gap.stops,
            }
            for gap in diagnosis.gaps()
        ],
        "required": {
            "weakest": required.runtime,
            "wanted": required.wanted,
            "chosen": required.chosen or None,
            "declared": required.is_declared,
            "met": not required.reason,
            "reason": required.reason,
        },
        "exit": diagnosis.exit_code,
    }


def markdown(diagnosis: Diagnosis) -> str:
    """Write it as one block for a report of a bug; nothing in it tells who or where somebody is."""
    lines = [
        "<details><summary>buildperm doctor</summary>",
        "",
        _cell(_closing(diagnosis)),
        "",
        "| fact | value |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in _facts(diagnosis)),
    ]
    for one in diagnosis.runtimes:
        lines += ["", f"Runtime `{one.name}`: {_cell(_summary(one))}"]
        if one.proof is not None and one.proof.results:
            lines += [
                "",
                *_HEAD,
                *(_row(result) for result in one.proof.results),
            ]
    lines += ["", f"Compiling: {_cell(_compiling_summary(diagnosis.compiling))}"]
    if diagnosis.compiling.results:
        lines += ["", *_HEAD, *(_row(result) for result in diagnosis.compiling.results)]
    lines += ["", "</details>"]
    return "\n".join(map(printable, lines)) + "\n"


def _facts(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    here, facts = diagnosis.surroundings, diagnosis.surroundings.facts
    yield "buildperm", __version__
    yield "kernel", f"Linux {here.kernel}, {facts.machine}"
    if facts.failure:
        yield "kernel's answers", "it could not be asked"
    errata = ", ".join(map(str, here.landlock_errata))
    mended = f", errata mended: {errata}" if errata else ""
    yield "Landlock", f"ABI {facts.landlock_abi}{mended}" if facts.landlock_abi else "missing"
    yield "seccomp", "refused" if facts.seccomp_errno else "yes"
    yield "ptrace", "refused" if facts.ptrace_errno else "yes"
    yield "user notification", "refused" if facts.notify_errno else "yes"
    yield "C compiler", here.c_compiler or "missing"
    yield "Yama ptrace_scope", facts.ptrace_scope or "no Yama"
    yield "grants of hosts", here.hosts or "can be held"
    yield "user namespaces", here.user_namespaces or "yes"
    yield "bubblewrap", here.bubblewrap or "missing"
    yield "container", ", ".join(here.containers) or "no sign of one"
    yield "user", "root" if here.is_root else "not root"
    yield "python", here.python
    yield "shell of stubs", here.shell or "missing: install bash"
    yield "cargo", diagnosis.cargo or "missing"
    yield "rustc", diagnosis.rustc or "missing"
    if diagnosis.root:
        yield "root of scripts", diagnosis.root


def _runtime(one: RuntimeDiagnosis) -> Iterator[str]:
    yield f"Runtime {one.name}: {_summary(one)}"
    if one.proof is None:
        return
    for group, results in groupby(one.proof.results, key=lambda result: result.canary.group):
        yield f"  {group}"
        yield from (f"    {_line(result)}" for result in results)
    if one.left_open and not one.proof.failure:
        yield "  what it leaves open, in its own words"
        yield from (f"    {sentence}" for sentence in one.left_open)


def _compiling(proof: CompileProof) -> Iterator[str]:
    yield f"Compiling: {_compiling_summary(proof)}"
    for group, results in groupby(proof.results, key=lambda result: result.canary.group):
        yield f"  {group}"
        yield from (f"    {_line(result)}" for result in results)


def _compiling_summary(proof: CompileProof) -> str:
    if proof.reason:
        return f"cannot be held: {proof.reason}"
    where = "in the compiler"
    if proof.is_hosted:
        where = f"in processes of their own (layout {proof.layout})"
    verdict = f"BROKEN: {proof.broken}" if proof.broken else "held"
    return f"{verdict}; macros run {where}, {proof.why}"


def _compiling_object(proof: CompileProof) -> dict[str, object]:
    return {
        "available": not proof.reason,
        "reason": proof.reason or proof.broken,
        "macros": None if proof.reason else "outside" if proof.is_hosted else "inside",
        "layout": proof.layout if proof.is_hosted and not proof.reason else None,
        "why": proof.why,
        "canaries": [_canary(result) for result in proof.results],
    }


def _summary(one: RuntimeDiagnosis) -> str:
    if one.unavailable:
        return f"not available: {one.unavailable}"
    proof = one.proof
    if proof is None or proof.failure:
        return f"BROKEN: {one.reason}"
    numbers = [
        f"{len(proof.of(Status.ENFORCED))} refused",
        f"{len(proof.of(Status.OPEN))} open as declared",
    ]
    absent = len(proof.of(Status.ABSENT))
    if absent:
        numbers.append(f"{absent} not possible on this machine")
    harmless = [result for result in proof.results if result.canary.is_harmless]
    works = sum(result.status is Status.WORKS for result in harmless)
    attempts = count(len(proof.results) - len(harmless), "attempt")
    broken = len(proof.of(Status.BROKEN))
    verdict = f"{broken} BROKEN" if broken else "none broken"
    return (
        f"Landlock ABI {proof.landlock_abi}, {attempts}: {', '.join(numbers)}, {verdict}; "
        f"{works} of {len(harmless)} harmless ones work"
    )


def _line(result: CanaryResult) -> str:
    said = f"{GLYPHS[result.status]} {WORDS[result.status]}: {result.canary.attempt}"
    remarks = []
    if result.status is Status.BROKEN:
        remarks.append(f"it was {result.outcome}")
    if result.error:
        remarks.append(result.error)
    if result.is_recorded is False:
        remarks.append("NOT recorded")
    if result.outcome is CanaryOutcome.REFUSED and result.without is not CanaryOutcome.ALLOWED:
        remarks.append("refused here without buildperm as well")
    return f"{said} ({', '.join(remarks)})" if remarks else said


def _gap_lines(gap: Gap) -> Iterator[str]:
    yield f"  {gap.what}"
    possible = "; ".join(gap.possible)
    if gap.stops:
        yield "    Without it buildperm runs no build script. With nothing in its place one can:"
    else:
        yield "    Without it a build script can:"
    yield f"      {possible or 'nothing more'}"
    yield f"    {gap.remedy}"


def _closing(diagnosis: Diagnosis) -> str:
    required = diagnosis.required
    where = f"what this workspace requires (`{required.runtime}`)" if required.is_declared else ""
    if required.reason:
        return f"{where.capitalize() or 'What every build needs'} is NOT met: {required.reason}"
    chosen = f"Builds use the runtime `{required.chosen}` here, and it holds what it promises"
    return f"{chosen}: {where} is met." if where else f"{chosen}."


def _stronger(diagnosis: Diagnosis) -> Iterator[str]:
    """Say that a stronger runtime would work, where the workspace has not named one."""
    required, names = diagnosis.required, [each.name for each in diagnosis.runtimes]
    best = next((each for each in reversed(diagnosis.runtimes) if not each.reason), None)
    if best is None or required.chosen not in names or required.wanted == best.name:
        return
    if names.index(best.name) > names.index(required.chosen):
        yield (
            f"`{best.name}` holds here, too, and leaves less open: "
            f'`runtime = "{best.name}"` beside the grants, or `--runtime {best.name}`, uses it.'
        )


def _runtime_object(one: RuntimeDiagnosis) -> dict[str, object]:
    proof = one.proof
    return {
        "name": one.name,
        "available": not one.unavailable,
        "reason": one.reason,
        "landlock_abi": None if proof is None else proof.landlock_abi,
        "canaries": [] if proof is None else [_canary(each) for each in proof.results],
        "left_open": list(one.left_open),
    }


def _canary(result: CanaryResult) -> dict[str, object]:
    return {
        "id": result.canary.id,
        "group": str(result.canary.group),
        "attempt": result.canary.attempt,
        "expected": str(result.expected),
        "outcome": str(result.outcome),
        "without": str(result.without),
        "errno": result.error or None,
        "recorded": result.is_recorded,
        "status": str(result.status),
    }


def _row(result: CanaryResult) -> str:
    recorded = {None: "", True: "yes", False: "**no**"}[result.is_recorded]
    status = f"**{result.status}**" if result.status is Status.BROKEN else result.status
    return (
        f"| {result.canary.id} | {result.expected} | {result.outcome} | {result.without} "
        f"| {result.error} | {recorded} | {status} |"
    )


def _cell(value: str) -> str:
    return value.replace("|", r"\|").replace("<", "&lt;")
