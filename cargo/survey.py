"""A second run after `cargo test` and `cargo bench`, which cannot report units while they run.

Their standard output belongs to the tests, and they stop at the first build script that fails. So
Cargo runs again without running any test. It reports which runs took part, and if something did not
build, it builds everything that can be built.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from buildperm.cargo.cargo_process import CargoProcess, CargoResult

_KEPT = "buildperm-earlier"


class Survey:
    """Completes one run of Cargo; `earlier` are copies of recordings that it replaced."""

    def __init__(
        self, target_directory: Path, start: Callable[[Sequence[str], bool], CargoProcess]
    ) -> None:
        """Begin.

        Args:
            target_directory: Of the supervised build.
            start: Prepares to run Cargo with some words; whether these have it keep going.
        """
        self.earlier: set[Path] = set()
        self._folder = target_directory / _KEPT
        self._start = start

    def complete(
        self, finished: CargoResult, commands: Mapping[tuple[str, ...], bool]
    ) -> CargoResult:
        """Find out what is missing from `finished`.

        Args:
            finished: How the first run ended.
            commands: What to run until one has told all, and whether it keeps going.

        Raises:
            BuildpermError: Cargo cannot be run, or a recording not be copied.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        for look, (words, keeps_going) in enumerate(commands.items()):
            kept = self._keep(finished.units, self._folder / str(look))
            looked = self._start(words, keeps_going).run()
            self.earlier |= {copy for folder, copy in kept.items() if folder in looked.ran}
            finished = replace(
                finished,
                exit_code=looked.exit_code if looked.interrupted else finished.exit_code,
                interrupted=looked.interrupted,
                units=finished.units | looked.units,
                artifacts=finished.artifacts | looked.artifacts,
                ran=finished.ran | looked.ran,
                overwritten=looked.overwritten,
                unended=tuple(sorted({*finished.unended, *looked.unended})),
                unheld=tuple(sorted({*finished.unheld, *looked.unheld})),
                is_complete=looked.is_complete,
            )
            if looked.interrupted or looked.is_complete:
                break
        return finished

    def _keep(self, folders: Iterable[Path], place: Path) -> dict[Path, Path]:
        """Copy recordings, as a script that is always run again makes another one."""
        kept = {}
        for folder in folders:
            copy = place / "-".join(folder.relative_to(self._folder.parent).parts)
            try:
                (copy / "buildperm").mkdir(parents=True)
                for name in ("recording.jsonl", "context"):
                    _copy(folder / "buildperm" / name, copy / "buildperm" / name)
            except FileNotFoundError:
                continue  # Whether it should be there is seen elsewhere.
            except OSError as error:
                raise BuildpermError(
                    f"cannot keep the recording in `{folder}`: {error.strerror}"
                ) from error
            kept[folder] = copy
        return kept


def _copy(file: Path, to: Path) -> None:
    """Give a file a second name: whoever makes another one replaces the first."""
    try:
        os.link(file, to)
    except FileNotFoundError:
        raise
    except OSError:  # Not every file system can do that.
        shutil.copyfile(file, to)
