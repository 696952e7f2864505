"""Where the reports of one command go: checked before anything is built, written after it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.errors import BuildpermError
from buildperm.report.finding import Report
from buildperm.report.formats import FORMATS, Appendix, ReportFormat, is_report
from buildperm.tracer.system_values import open_flags

_STANDARD_OUTPUT = "-"
_NEW = open_flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_CLOEXEC")
_READ_MOST = 2_000  # Bytes of a file that tell whether it is ours.
_REPORT_READ_MOST = 1 << 16  # The same of reports: lines of Cargo.toml can be long in a patch.
_ELSEWHERE = "Name a file in a folder that is there and that you may write."


@dataclass(frozen=True, slots=True)
class ReportOutput:
    """One report in one format, or the patch."""

    format: ReportFormat | None  # None for the patch.
    path: Path | None  # None for standard output.

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return self.format.name if self.format else "patch"

    @property
    def is_alone(self) -> bool:
        """Tell whether it must have standard output for itself."""
        return self.path is None and (self.format is None or self.format.is_exclusive)


class ReportOutputs:
    """All reports that one command is to write."""

    def __init__(self, form: str | None, reports: Sequence[str], patch: str | None = None) -> None:
        """Parse the options for reports.

        Args:
            form: Of the report on standard output; None for text, or for what `reports` put there.
            reports: `FORMAT=PATH`; `FORMAT=-` and `FORMAT` alone mean standard output.
            patch: Where the patch goes; None for nowhere.

        Raises:
            BuildpermError: A format is unknown, or two reports would go to the same place.
        """
        asked = [_output(words) for words in reports]
        if patch is not None:
            asked.append(ReportOutput(None, _path(patch)))
        if form is not None or not any(one.is_alone for one in asked):
            unasked = next(iter(FORMATS))
            asked.insert(0, ReportOutput(_format(form or unasked, f"--format {form}"), None))
        self._all = tuple(dict.fromkeys(asked))
        _refuse_mixtures(self._all)

    @property
    def is_document(self) -> bool:
        """Tell whether standard output belongs to a single document."""
        return any(one.is_alone for one in self._all)

    @property
    def has_prose(self) -> bool:
        """Tell whether people who look at the terminal are told in words."""
        return any(one.path is None and one.format and one.format.is_prose for one in self._all)

    @property
    def has_patch(self) -> bool:
        """Tell whether a patch is wanted."""
        return any(one.format is None for one in self._all)

    @property
    def json(self) -> Path | None:
        """Return the file that a JSON report goes to, if there is one."""
        paths = (one.path for one in self._all if one.format and one.format.name == "json")
        return next(filter(None, paths), None)

    def check(self, kept: Collection[Path]) -> None:
        """Make sure that every report can be written; nothing is left behind.

        Args:
            kept: Files that no report may replace.

        Raises:
            BuildpermError: One cannot be written, or would replace what is no report.
        """
        for output in self._all:
            if output.path is not None:
                if os.path.realpath(output.path) in map(os.path.realpath, kept):
                    raise BuildpermError(
                        f"the report `{output.name}` cannot replace {output.path}",
                        hint="Name another file.",
                    )
                refuse_foreign(output.path, _is_own, "report", most=_REPORT_READ_MOST)
                _check(output.path)
        for _, path in self._appendices():
            _check(path)

    def write(self, report: Report, patch: bytes = b"") -> None:
        """Write every report, the others even if one fails.

        Raises:
            BuildpermError: One could not be written.
        """
        failed: BuildpermError | None = None
        for output in self._all:
            content = output.format.document(report).encode() if output.format else patch
            try:
                if output.path is None:
                    # That all is well is said to a person, not among the data.
                    is_prose = output.format is not None and output.format.is_prose
                    stream = sys.stderr if is_prose and not report.findings else sys.stdout
                    stream.buffer.write(content)
                    stream.buffer.flush()
                else:
                    replace_file(output.path, content)
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                failed = _unwritable(output.path or Path("standard output"), error)
        for appendix, path in self._appendices():
            try:
                with path.open("ab") as file:
                    file.write(appendix.document(report).encode())
            except OSError as error:
                failed = _unwritable(path, error)
        if failed is not None:
            raise failed

    def _appendices(self) -> Iterator[tuple[Appendix, Path]]:
        """Yield what to append to files that the environment names: the step summary of GitHub."""
        formats = {output.format.name: output.format for output in self._all if output.format}
        for each in formats.values():
            path = os.environ.get(each.appendix.variable) if each.appendix else None
            if each.appendix and path:
                yield each.appendix, Path(path)


def _output(words: str) -> ReportOutput:
    name, equals, path = words.partition("=")
    found = _format(name, f"--report {words}")
    if equals and not path:
        raise BuildpermError(
            f"`--report {words}`: the path is missing",
            hint=f"Write `--report {name}=PATH`, or `-` for standard output.",
        )
    return ReportOutput(found, _path(path or _STANDARD_OUTPUT))


def _format(name: str, option: str) -> ReportFormat:
    found = FORMATS.get(name)
    if found is None:
        raise BuildpermError(
            f"`{option}`: no report is called `{name}`", hint=f"Use one of: {', '.join(FORMATS)}."
        )
    return found


def _path(word: str) -> Path | None:
    return None if word == _STANDARD_OUTPUT else Path(word)


def _refuse_mixtures(outputs: Sequence[ReportOutput]) -> None:
    on_standard_output = [one for one in outputs if one.path is None]
    if len(on_standard_output) > 1 and any(one.is_alone for one in on_standard_output):
        names = " and ".join(f"`{one.name}`" for one in on_standard_output)
        raise BuildpermError(
            f"standard output can hold one document, not {names}",
            hint="Write one of them to a file: `--report FORMAT=PATH`.",
        )
    places: dict[str, ReportOutput] = {}
    for output in outputs:
        if output.path is not None:
            other = places.setdefault(os.path.realpath(output.path), output)
            if other is not output:
                raise BuildpermError(
                    f"`{other.name}` and `{output.name}` would both go to {output.path}",
                    hint="Name a file of its own for each report.",
                )


def _check(path: Path) -> None:
    """Make sure that `path` can be written as `replace_file` does."""
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


def _is_own(beginning: bytes) -> bool:
    from buildperm.report.patch import is_patch  # Only now: most commands replace nothing.

    return is_report(beginning) or is_patch(beginning)


def refuse_foreign(
    path: Path, is_own: Callable[[bytes], bool], name: str, *, most: int = _READ_MOST
) -> None:
    """Refuse to replace a file that buildperm did not make; a pipe or a device is written to.

    Args:
        path: Where somebody wants it.
        is_own: Tells a file that may be replaced, by its beginning.
        name: What is written.
        most: Bytes of the beginning that tell.

    Raises:
        BuildpermError: Somebody else made the file.
    """
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            found = file.read(most)
    except OSError:
        found = b"?"
    if found and not is_own(found):
        raise BuildpermError(
            f"{path} is there, and is no {name} of buildperm",
            hint="Name another file, or remove this one.",
        )


def replace_file(path: Path, content: bytes) -> None:
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
    """Tell whether `path` exists and is no ordinary file: `/dev/stderr`, a named pipe."""
    return path.exists() and not path.is_file()


def _unwritable(path: Path, error: OSError | ValueError) -> BuildpermError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return BuildpermError(f"cannot write the report {path}: {why}", hint=_ELSEWHERE)
