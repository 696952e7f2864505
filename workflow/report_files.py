"""Where the reports of one command go: checked before anything is built, written after it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.cli.options import FORMATS
from buildperm.errors import BuildpermError
from buildperm.report import github, json, junit, sarif, text
from buildperm.report.finding import Report

_DOCUMENTS = frozenset({"json", "sarif", "junit", "patch"})  # Nothing else may stand beside one.
_STANDARD_OUTPUT = "-"
_SUMMARY = "GITHUB_STEP_SUMMARY"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_ELSEWHERE = "Name a file in a folder that is there and that you may write."


@dataclass(frozen=True, slots=True)
class Output:
    """One report in one format."""

    form: str  # One of FORMATS, or `patch`.
    path: Path | None  # None for standard output.


class Outputs:
    """All reports that one command was asked for."""

    def __init__(self, form: str | None, reports: Sequence[str], patch: str | None = None) -> None:
        """Read what was asked for.

        Args:
            form: Of the report on standard output; None for text, or for what `reports` put there.
            reports: `FORMAT=PATH`; `FORMAT=-` and `FORMAT` alone mean standard output.
            patch: Where the patch goes; None for nowhere.

        Raises:
            BuildpermError: A format is unknown, or two reports would go to the same place.
        """
        asked = [_output(words) for words in reports]
        if patch is not None:
            asked.append(_placed("patch", patch))
        if form is not None or not any(_is_alone(one) for one in asked):
            asked.insert(0, Output(form or "text", None))
        self._all = tuple(dict.fromkeys(asked))
        _refuse_mixtures(self._all)

    @property
    def is_document(self) -> bool:
        """Tell whether standard output is for one document alone."""
        return any(_is_alone(one) for one in self._all)

    def check(self, kept: Collection[Path]) -> None:
        """Make sure that every report can be written; nothing is left behind.

        Args:
            kept: Files that no report may replace.

        Raises:
            BuildpermError: One cannot be written.
        """
        for output in self._all:
            if output.path is not None:
                if os.path.realpath(output.path) in map(os.path.realpath, kept):
                    raise BuildpermError(
                        f"the report `{output.form}` cannot replace {output.path}",
                        hint="Name another file.",
                    )
                _check(output.path)
        summary = self._summary()
        if summary is not None:
            _check(summary)

    def write(self, report: Report, patch: bytes = b"") -> None:
        """Write every report; one that fails keeps none of the others back.

        Raises:
            BuildpermError: One could not be written.
        """
        failed: BuildpermError | None = None
        for output in self._all:
            content = patch if output.form == "patch" else _content(output.form, report).encode()
            try:
                if output.path is None:
                    # A person who is told that all is well is told beside the data.
                    is_talk = output.form == "text" and not report.findings
                    stream = sys.stderr if is_talk else sys.stdout
                    stream.buffer.write(content)
                    stream.buffer.flush()
                else:
                    _replace(output.path, content)
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                failed = _unwritable(output.path or Path("standard output"), error)
        summary = self._summary()
        if summary is not None:
            try:
                with summary.open("ab") as file:
                    file.write(github.summary(report).encode())
            except OSError as error:
                failed = _unwritable(summary, error)
        if failed is not None:
            raise failed

    def _summary(self) -> Path | None:
        """Return the file that GitHub shows as the summary of a step."""
        path = os.environ.get(_SUMMARY)
        wanted = any(output.form == "github" for output in self._all)
        return Path(path) if path and wanted else None


def _output(words: str) -> Output:
    form, equals, path = words.partition("=")
    if form not in FORMATS:
        raise BuildpermError(
            f"`--report {words}`: no report is called `{form}`",
            hint=f"Use one of: {', '.join(FORMATS)}.",
        )
    if equals and not path:
        raise BuildpermError(
            f"`--report {words}`: the path is missing",
            hint=f"Write `--report {form}=PATH`, or `-` for standard output.",
        )
    return _placed(form, path or _STANDARD_OUTPUT)


def _placed(form: str, path: str) -> Output:
    return Output(form, None if path == _STANDARD_OUTPUT else Path(path))


def _is_alone(output: Output) -> bool:
    return output.path is None and output.form in _DOCUMENTS


def _refuse_mixtures(outputs: Sequence[Output]) -> None:
    on_standard_output = [one for one in outputs if one.path is None]
    if len(on_standard_output) > 1 and any(map(_is_alone, on_standard_output)):
        names = " and ".join(f"`{one.form}`" for one in on_standard_output)
        raise BuildpermError(
            f"standard output can hold one document, not {names}",
            hint="Write one of them to a file: `--report FORMAT=PATH`.",
        )
    places: dict[str, Output] = {}
    for output in outputs:
        if output.path is not None:
            other = places.setdefault(os.path.realpath(output.path), output)
            if other is not output:
                raise BuildpermError(
                    f"`{other.form}` and `{output.form}` would both go to {output.path}",
                    hint="Name a file of its own for each report.",
                )


def _content(form: str, report: Report) -> str:
    match form:
        case "json":
            return json.document(report)
        case "sarif":
            return sarif.document(report)
        case "junit":
            return junit.document(report)
        case "github":
            return github.annotations(report)
        case _:
            return text.document(report)


def _check(path: Path) -> None:
    """Make sure that `path` can be written as `_replace` does."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not _is_special(path):
            temporary = _beside(Path(os.path.realpath(path)))
            os.close(os.open(temporary, _NEW, 0o666))
            os.unlink(temporary)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def _replace(path: Path, content: bytes) -> None:
    """Make `path` hold `content`, all or nothing; a pipe or a device just gets it."""
    if _is_special(path):
        with path.open("wb") as file:
            file.write(content)
        return
    real = Path(os.path.realpath(path))
    temporary = _beside(real)
    descriptor = os.open(temporary, _NEW, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if real.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(real.stat().st_mode))
        os.replace(temporary, real)
    except BaseException:
        os.unlink(temporary)
        raise


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _is_special(path: Path) -> bool:
    """Tell whether `path` is there, and no ordinary file: `/dev/stderr`, a named pipe."""
    return path.exists() and not path.is_file()


def _unwritable(path: Path, error: OSError | ValueError) -> BuildpermError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return BuildpermError(f"cannot write the report {path}: {why}", hint=_ELSEWHERE)
