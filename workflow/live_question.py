"""Asks a person about one run of a script: `live_question.py STATE PID UNIT SECONDS BEFORE`.

The supervisor of that script starts it while plain Cargo waits: see `supervisor.question`.
On standard output goes the session under which the script is to run once more, or nothing. The
person is asked at the terminal that Cargo was started in, which no script can reach. With 0
SECONDS, and where there is no such terminal, nobody is asked, and a desktop is told.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import fcntl

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Installed, this is buildperm/workflow/live_question.py: see `workflow.standing_hold`.
    _own = Path(os.path.abspath(__file__)).parents[1]
    sys.path.insert(0, str(_own.parent if (_own / "__init__.py").exists() else _own))

from buildperm.cargo import cargo_invocation
from buildperm.workflow import bound_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from buildperm.cargo.cargo_invocation import CargoInvocation
    from buildperm.presentation.question_terminal import QuestionTerminal

_AWAY, _NOTIFIED = "away", "notified"  # See `cargo.standing_state`.


def main(words: Sequence[str]) -> int:
    """Ask, and write what came of it to standard output; return what to exit with."""
    state, process, unit, seconds, *before = words
    invocation = cargo_invocation.look(int(process), Path(state))
    if invocation is None or not invocation.link.is_symlink():  # It has ended.
        return 1
    about = {name: os.environ.get(name, "") for name in ("OUT_DIR", "TARGET")}
    # A project sets what it likes for scripts (`[env]`): where a cache is, and PATH.
    os.environ.clear()
    os.environ.update(invocation.environment)
    os.chdir(invocation.folder)
    from buildperm.errors import BuildpermError
    from buildperm.presentation import console
    from buildperm.workflow.live_answers import LiveAnswers

    terminal = _terminal(invocation) if int(seconds) else None
    try:
        if terminal is None:
            _notify(invocation, Path(unit))
            return 0
        with _turn(Path(state), terminal):
            if _mark(invocation, _AWAY).exists() or not terminal.is_free():
                return 0  # Things have changed while others were asked.
            answers = LiveAnswers(invocation, Path(state), Path(unit), before)
            if not answers.ask(terminal, int(seconds)):
                _mark(invocation, _AWAY).touch(mode=0o600)
            if answers.has_written:
                _prepare_anew(state, process, about)
        reply = answers.session()
    except (BuildpermError, OSError) as error:
        said = f"buildperm: it stays refused: {error.args[0]}"
        console.print_message(said)  # Cargo shows it with what the script has printed.
        if terminal is not None:
            terminal.tell(said)
        return 1
    with open(1, "wb", closefd=False) as output:
        output.write(reply)
    return 0


def _prepare_anew(state: str, process: str, about: Mapping[str, str]) -> None:
    """Have the rest of this build held to what Cargo.toml says now."""
    from buildperm.cargo.standing_state import HOLD

    subprocess.run(
        [sys.executable, "-I", HOLD, state, process],
        env={**os.environ, **about},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,  # It has said why: then the next Cargo is.
    )


def _mark(invocation: CargoInvocation, name: str) -> Path:
    """Return a file that notes something about one Cargo."""
    return invocation.link.with_name(f"{invocation.link.name}.{name}")


def _terminal(invocation: CargoInvocation) -> QuestionTerminal | None:
    """Return the terminal, unless nobody can be asked there, or nobody has answered this Cargo."""
    from buildperm.presentation import console
    from buildperm.presentation.question_terminal import QuestionTerminal

    if _mark(invocation, _AWAY).exists():
        return None
    return QuestionTerminal.open(is_dumb=console.is_dumb())


@contextmanager
def _turn(state: Path, terminal: QuestionTerminal) -> Iterator[None]:
    """Wait until no other script asks at the same terminal.

    Each locks one byte of a file, by the number of the terminal's device: fcntl(2), F_SETLKW.
    """
    from buildperm.cargo.standing_state import QUESTIONS

    descriptor = os.open(state / QUESTIONS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, terminal.number)
        yield
    finally:
        os.close(descriptor)


def _notify(invocation: CargoInvocation, unit: Path) -> None:
    """Tell a desktop, once for each Cargo."""
    from buildperm.workflow import desktop_notice
    from buildperm.workflow.live_answers import LiveAnswers

    told = _mark(invocation, _NOTIFIED)
    if told.exists() or not desktop_notice.is_possible(invocation.environment):
        return
    open_questions = LiveAnswers(invocation, Path(), unit, ()).open_questions
    try:
        os.close(os.open(told, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return  # Another script was quicker.
    if open_questions:
        desktop_notice.show(len(open_questions), invocation.environment)


if __name__ == "__main__":
    # A supervisor that is killed leaves no question behind.
    bound_process.end_with_parent()
    _status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(_status)
