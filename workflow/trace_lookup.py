"""What `trace` looks through: the recordings of one crate on this machine, and a filter."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.errors import BuildpermError
from buildperm.presentation.chrome_trace import chrome_trace
from buildperm.presentation.event_filter import parse_filter
from buildperm.presentation.trace_document import trace_document
from buildperm.presentation.trace_text import trace_lines
from buildperm.presentation.traced_run import (
    TracedEvent,
    TracedRun,
    let_through,
    traced_events,
)
from buildperm.printable import log_text
from buildperm.tracer.recording import reader
from buildperm.workflow.evidence import recordings_of, time_ago
from buildperm.workflow.report_outputs import refuse_foreign, replace_file
from buildperm.workflow.script_lookup import FoundScript, find_script, open_view

FORMATS = ("text", "json", "perfetto")
"""What a trace can be written as."""

_OWN = re.compile(
    rb"[^\n]+: [^\n]+\n  [^\n]+\n  [^\n]*buildperm[^\n]*\n"
    rb'|\{\s*"format": "buildperm-trace",'
    rb'|\{"displayTimeUnit": "ms", "traceEvents": \['
)
"""How a file begins that one of these was written to."""


@dataclass(frozen=True, slots=True)
class CrateTrace:
    """The recordings of one crate."""

    script: FoundScript
    runs: tuple[TracedRun, ...]  # Newest first.
    problems: tuple[str, ...]  # Recordings that cannot be read, in sentences.

    @classmethod
    def of(cls, words: Sequence[str], crate: str) -> CrateTrace:
        """Read the recordings of the crate that `crate` means; `words` are for Cargo.

        Raises:
            BuildpermError: There is no such crate, or no recording of it.
        """
        view = open_view(words)
        script = find_script(view, crate, compiling=True)
        problems: list[str] = []
        found = sorted(
            recordings_of(script, view.targets, problems.append), key=lambda each: -each[1]
        )
        runs: list[TracedRun] = []
        for path, modified_s in found:
            try:
                recording = reader.read(path)
            except BuildpermError as error:
                problems.append(str(error.args[0]))
                continue
            runs.append(TracedRun.of(path, time_ago(modified_s), recording))
        if not runs:
            raise BuildpermError(
                f"there is no recording of {script.title} that can be read"
                if found
                else f"there is no recording of {script.title} on this machine",
                hint="Run `buildperm learn` to record the build, then trace it again.",
            )
        return cls(script, tuple(runs), tuple(problems))

    def events(self, words: str) -> list[TracedEvent]:
        """Return the events that a filter lets through.

        Raises:
            BuildpermError: The filter asks for what does not exist.
        """
        test = parse_filter(words) if words.strip() else None
        return let_through(traced_events(self.runs), test)

    def text(self, form: str, words: str) -> str:
        """Write the trace in one of `FORMATS`, with the events that a filter lets through.

        Raises:
            BuildpermError: The filter asks for what does not exist.
        """
        events = self.events(words)
        title = self.script.title
        match form:
            case "json":
                package = self.script.package
                document = trace_document(package.name, package.version, self.runs, events)
                return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
            case "perfetto":
                return json.dumps(chrome_trace(title, self.runs, events)) + "\n"
            case _:
                is_filtered = bool(words.strip())
                lines = trace_lines(title, self.runs, events, is_filtered=is_filtered)
                return log_text("\n".join(lines)) + "\n"


def save(path: Path, text: str) -> None:
    """Write a trace to a file.

    Raises:
        BuildpermError: It cannot be written, or would replace what is no trace.
    """
    refuse_foreign(path, lambda head: _OWN.match(head) is not None, "trace")
    try:
        replace_file(path, text.encode(errors="surrogateescape"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BuildpermError(
            f"cannot write the trace {path}: {why}",
            hint="Name a file in a folder that is there and that you may write.",
        ) from error
