"""How a program is run and followed; any program may stand in for Cargo here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from buildperm.cargo.cargo_process import CargoProcess
from buildperm.cargo.message_stream import MessageStream
from buildperm.cargo.script_progress import Progress, ScriptEnded, ScriptStarted
from buildperm.cargo.survey import Survey

RAN = '{"reason":"build-script-executed","package_id":"a","out_dir":"/t/build/a-1/out"}'
STRANGE = '{"reason":"build-script-executed","package_id":"a","out_dir":"/elsewhere/out"}'


def known(out_dir: str) -> Path | None:
    return Path("/t/build/a-1") if out_dir == "/t/build/a-1/out" else None


@pytest.fixture
def progress(tmp_path: Path) -> Path:
    return tmp_path / "progress"


def shell(
    text: str, progress: Path, *, messages: MessageStream | None = None, keeps_going: bool = False
) -> tuple[CargoProcess, bytearray]:
    """Prepare a shell script; its captured output ends up in the second value."""
    output = bytearray()
    build = CargoProcess(
        ["/bin/sh", "-c", text],
        progress.parent,
        dict(os.environ),
        progress,
        on_output=output.extend,
        messages=messages,
        keeps_going=keeps_going,
    )
    return build, output


def test_ctrl_c_still_interrupts_whoever_imports_it() -> None:
    program = (
        "import signal, buildperm.cargo.cargo_process\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ended.stdout == "interrupted\n"


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 101", 101), ("kill -9 $$", 137)])
def test_the_exit_code_is_passed_on(progress: Path, text: str, code: int) -> None:
    finished = shell(text, progress)[0].run()

    assert (finished.exit_code, finished.interrupted) == (code, False)


@pytest.mark.parametrize(("text", "is_told"), [("kill -9 $$", True), ("exit 137", False)])
def test_a_cargo_that_others_have_killed_is_told_of(
    progress: Path, text: str, is_told: bool
) -> None:
    build, output = shell(f"echo before; {text}", progress)

    build.run()

    assert output.startswith(b"before\n")
    assert (b"ended by signal 9 (Killed)" in output) == is_told


def test_output_is_captured_to_its_end(progress: Path) -> None:
    build, output = shell("seq 30000; echo last >&2", progress)

    build.run()

    assert output.count(b"\n") == 30001
    assert b"last\n" in output


def test_messages_of_cargo_are_kept_and_other_lines_passed_on(progress: Path) -> None:
    text = f"echo before; echo '{RAN}'; echo '{{not json'; printf 'no end'"
    build, output = shell(text, progress, messages=MessageStream(known))

    finished = build.run()

    assert finished.units == {Path("/t/build/a-1")}
    assert finished.is_complete
    assert output == b"before\n{not json\nno end"


@pytest.mark.parametrize(
    ("status", "keeps_going", "is_complete"),
    [(0, False, True), (101, True, True), (101, False, False), (1, True, False)],
)
def test_cargo_has_told_all_if_nothing_stopped_it(
    progress: Path, status: int, keeps_going: bool, is_complete: bool
) -> None:
    build, _ = shell(
        f"exit {status}", progress, messages=MessageStream(known), keeps_going=keeps_going
    )

    assert build.run().is_complete is is_complete


def test_what_cannot_be_understood_does_not_count_as_all_told(progress: Path) -> None:
    build, output = shell(f"echo '{STRANGE}'", progress, messages=MessageStream(known))

    assert not build.run().is_complete
    assert output.decode() == f"{STRANGE}\n"


def test_output_that_is_not_captured_goes_where_ours_goes(
    progress: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["/bin/sh", "-c", f"echo out; echo '{RAN}'; echo err >&2"]
    messages = MessageStream(known)
    CargoProcess(command, progress.parent, dict(os.environ), progress, messages=messages).run()

    assert capfd.readouterr() == ("out\n", "err\n")


def test_started_and_ended_scripts_are_told_and_broken_lines_are_not(progress: Path) -> None:
    started = '{"event":"started","crate":"a","version":"1.0.0","pid":7,"at":1}'
    ended = (
        '{"event":"ended","crate":"a","version":"1.0.0","pid":7,"exit":1,'
        '"recording":"/t/a%0Ab/buildperm/recording.jsonl","duration_ns":5}'
    )
    steps: list[Progress] = []
    build = CargoProcess(
        ["/bin/sh", "-c", f"printf '%s\\n' '{started}' 'junk' '{{}}' '{ended}' >> {progress}"],
        progress.parent,
        dict(os.environ),
        progress,
        on_progress=steps.append,
    )

    finished = build.run()

    recording = Path("/t/a\nb/buildperm/recording.jsonl")
    assert steps == [
        ScriptStarted("a", "1.0.0", 7),
        ScriptEnded("a", "1.0.0", 7, exit_code=1, recording=recording, duration_ns=5),
    ]
    assert finished.units == {Path("/t/a\nb")}


def test_a_program_that_ignores_the_first_interruption_is_killed(progress: Path) -> None:
    build, output = shell("trap '' INT TERM; echo ready; sleep 3600; sleep 3600", progress)
    worker = interrupting(build, output)

    finished = build.run()
    worker.join()

    assert (finished.exit_code, finished.interrupted) == (130, True)


def test_a_second_interruption_is_not_kind(progress: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buildperm.cargo.cargo_process._GRACE_S", 3600)
    build, output = shell("trap '' INT TERM; echo ready; sleep 3600; sleep 3600", progress)
    worker = interrupting(build, output, times=2)

    finished = build.run()
    worker.join()

    assert finished.exit_code == 130


def test_an_interruption_before_the_beginning_is_not_forgotten(progress: Path) -> None:
    build, _ = shell("exec sleep 3600", progress)
    build.interrupt()

    finished = build.run()

    assert finished.exit_code == 130


def test_an_interruption_after_the_end_does_nothing(progress: Path) -> None:
    build, _ = shell("exit 0", progress)
    finished = build.run()

    build.interrupt()

    assert not finished.interrupted


def test_what_python_ignores_is_not_ignored_by_what_is_run(progress: Path) -> None:
    # A shell cannot reset a signal that was ignored when it started: POSIX, "trap".
    build, output = shell("grep SigIgn /proc/$$/status", progress)

    build.run()

    ignored = int(output.split()[1], 16)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Others may be ignored around the tests.
        assert not ignored & 1 << (number - 1)


def interrupting(build: CargoProcess, output: bytearray, *, times: int = 1) -> threading.Thread:
    """Interrupt `build` from a thread as soon as it has said something."""

    def work() -> None:
        deadline = time.monotonic() + 60
        while not output and time.monotonic() < deadline:
            time.sleep(0.02)
        for _ in range(times):
            build.interrupt()
            time.sleep(0.3)

    worker = threading.Thread(target=work)
    worker.start()
    return worker


def test_a_second_look_forgets_no_script_that_could_not_be_held(progress: Path) -> None:
    def ended(crate: str, status: int) -> str:
        said = f'"event":"ended","crate":"{crate}","version":"1.0.0","pid":1,"exit":{status}'
        line = f'{{{said},"recording":"","duration_ns":1}}'
        return f"echo '{line}' >>'{progress}'; exit 101"

    def start(words: Sequence[str], _: bool) -> CargoProcess:
        progress.write_text("")
        return shell(words[0], progress)[0]

    first = shell(ended("first", 23), progress)[0].run()
    looks: dict[tuple[str, ...], bool] = {
        (ended("second", 23),): False,
        (ended("third", 1),): True,
    }
    finished = Survey(progress.parent, start).complete(first, looks)

    assert finished.unheld == (("first", "1.0.0"), ("second", "1.0.0"))
    assert finished.unended == (("third", "1.0.0"),)
