"""The live question: plain Cargo waits at a real terminal while a person answers, or does not."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from buildperm.cargo.ci_environment import NAMES
from tests.cli.always_on_machine import PersonsMachine, machine
from tests.cli.asked_terminal import AskedTerminal, asked

__all__ = ["machine"]

_ASKS = "buildperm asks"
_READS = """
use std::{env, fs};
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=AGAIN");
    let out = env::var("OUT_DIR").unwrap();
    assert!(!fs::exists(format!("{out}/begun")).unwrap(), "OUT_DIR is not as it was");
    fs::write(format!("{out}/begun"), "").unwrap();
    MORE
    let read = fs::read("DATA").expect("no data");
    fs::remove_file(format!("{out}/begun")).unwrap();
    fs::write(format!("{out}/read"), read).unwrap();
}
"""


def reads(data: Path, more: str = "") -> str:
    return _READS.replace("DATA", str(data)).replace("MORE", more)


@pytest.fixture
def asking(machine: PersonsMachine) -> PersonsMachine:
    """Make a machine on which plain Cargo asks; a script wants a file of somebody else."""
    data = machine.home.parent / "data.txt"
    data.write_text("of somebody else")
    (machine.workspace / "lib/build.rs").write_text(reads(data))
    add_setting(machine, "ask = true")
    machine.extra |= dict.fromkeys(NAMES, "")  # Whoever runs these tests.
    machine.enable()
    return machine


def add_setting(machine: PersonsMachine, *lines: str) -> None:
    manifest = machine.workspace / "Cargo.toml"
    manifest.write_text(
        manifest.read_text()
        + "\n".join(["[workspace.metadata.buildperm]", "version = 1", *lines, ""])
    )


@contextmanager
def building(machine: PersonsMachine, **more: str) -> Iterator[AskedTerminal]:
    with asked(["cargo", "build"], machine.workspace, machine.variables(more)) as terminal:
        yield terminal


def was_read(machine: PersonsMachine) -> bool:
    found = list(machine.workspace.glob("target/debug/build/lib-*/**/read"))
    return any(each.read_text() == "of somebody else" for each in found)


def is_granted(machine: PersonsMachine) -> bool:
    return "data.txt" in (machine.workspace / "Cargo.toml").read_text()


def pending(machine: PersonsMachine) -> list[str]:
    told = machine.buildperm("pending", "--format", "json")
    return [each["title"] for each in json.loads(told.stdout)["proposals"]]


def test_once_lets_it_run_anew_and_grants_nothing(asking: PersonsMachine) -> None:
    with building(asking) as terminal:
        terminal.wait_for_question()
        terminal.type("o\n")
        terminal.wait_for("type lib to allow it")
        terminal.type("lib\n")
        assert terminal.end() == 0, terminal.shown
        assert terminal.has_modes_as_before()
    assert was_read(asking)
    assert not is_granted(asking)

    with building(asking, AGAIN="1") as terminal:  # It is asked again.
        terminal.wait_for_question()
        terminal.type("\n")
        assert terminal.end() != 0
    assert f"read {asking.home.parent}/data.txt" in pending(asking)


@pytest.mark.slow
def test_always_is_written_and_not_asked_again(asking: PersonsMachine) -> None:
    # Compiling the crate is held to the new grants as well, and so is what is still to run.
    source = asking.workspace / "lib/src/lib.rs"
    included = f'pub const DATA: &str = include_str!("{asking.home.parent}/data.txt");\n'
    source.write_text(source.read_text() + included)
    with building(asking) as terminal:
        terminal.wait_for_question()
        terminal.type("always\n")
        terminal.wait_for("type lib to allow it")
        terminal.type("lib\n")
        assert terminal.end() == 0, terminal.shown
    assert was_read(asking)
    assert is_granted(asking)

    with building(asking, AGAIN="1") as terminal:
        assert terminal.end() == 0, terminal.shown
        assert _ASKS not in terminal.shown
    undone = asking.buildperm("undo")
    assert undone.returncode == 0, undone.stderr
    assert not is_granted(asking)


@pytest.mark.slow
def test_what_is_refused_for_now_stays_so_and_is_not_asked_again(asking: PersonsMachine) -> None:
    more = 'let other = env::var("RELEASE_CHANNEL").is_ok();'
    more += ' fs::write(format!("{out}/other"), other.to_string()).unwrap();'
    (asking.workspace / "lib/build.rs").write_text(reads(asking.home.parent / "data.txt", more))
    with building(asking, RELEASE_CHANNEL="beta") as terminal:
        for number in (1, 2):
            terminal.wait_for(f"({number} of 2)")
            terminal.wait_for("o once, a always", number)
            is_data = "data.txt" in terminal.shown.rpartition(f"({number} of 2)")[2]
            terminal.type("o\n" if is_data else "\n")
            if is_data:
                terminal.wait_for("type lib to allow it")
                terminal.type("lib\n")
        assert terminal.end() == 0, terminal.shown
        assert terminal.shown.count(_ASKS) == 2
    assert was_read(asking)
    (told,) = asking.workspace.glob("target/debug/build/lib-*/**/other")
    assert told.read_text() == "false"
    assert [title for title in pending(asking) if "RELEASE_CHANNEL" in title]


_WANTS = {
    "exec": 'assert!(std::process::Command::new("awk").arg("BEGIN{}").status().is_ok());',
    "env": 'assert!(env::var("RELEASE_CHANNEL").is_ok());',
    "write": 'fs::write("../made.txt", "made").unwrap();',
    "directives": 'println!("cargo::rustc-link-arg=-Wl,-O1");',
}


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [*((kind,) for kind in _WANTS), tuple(_WANTS)], ids="-".join)
def test_every_kind_can_be_allowed_once(asking: PersonsMachine, kinds: tuple[str, ...]) -> None:
    wants = "\n".join(_WANTS[kind] for kind in kinds)  # One fails after the other.
    script = f"use std::{{env, fs}};\nfn main() {{ {wants} }}\n"
    (asking.workspace / "lib/build.rs").write_text(f"#![allow(unused_imports)]\n{script}")
    before = (asking.workspace / "Cargo.toml").read_text()
    with building(asking, RELEASE_CHANNEL="beta") as terminal:
        asked_so_far = 0
        while terminal.process.poll() is None:
            terminal.read(0.2)
            offered = [line for line in terminal.lines if line.startswith("Answer within")]
            if len(offered) > asked_so_far:
                asked_so_far += 1
                is_name = "type lib" in offered[asked_so_far - 1]
                terminal.type("lib\n" if is_name else "o\n")
        assert terminal.end() == 0, terminal.shown
        assert asked_so_far
    assert (asking.workspace / "Cargo.toml").read_text() == before


@pytest.mark.slow
def test_deny_is_written_and_the_build_fails(asking: PersonsMachine) -> None:
    with building(asking) as terminal:
        terminal.wait_for_question()
        terminal.type("d\n")
        assert terminal.end() != 0
    assert not was_read(asking)
    written = tomllib.loads((asking.workspace / "Cargo.toml").read_text())
    crates = written["workspace"]["metadata"]["buildperm"]["crates"]
    assert [*crates["lib"]["deny"]] == ["read"]

    with building(asking, AGAIN="1") as terminal:
        assert terminal.end() != 0
        assert _ASKS not in terminal.shown


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["\n", "yes\n\n", "o\nlob\n", "\x04"], ids=repr)
def test_nothing_but_an_answer_allows_it(asking: PersonsMachine, typed: str) -> None:
    with building(asking) as terminal:
        for number, line in enumerate(typed.splitlines(keepends=True), 1):
            terminal.wait_for_question(number)
            terminal.type(line)
        assert terminal.end() != 0
        assert "it was refused to read" in terminal.shown
    assert not was_read(asking)
    assert not is_granted(asking)
    assert pending(asking)


@pytest.mark.slow
def test_a_time_out_refuses_and_the_next_script_is_not_asked(machine: PersonsMachine) -> None:
    data = machine.home.parent / "data.txt"
    data.write_text("of somebody else")
    for name in ("lib", "mac"):
        (machine.workspace / name / "build.rs").write_text(reads(data))
    add_setting(machine, "ask = true", "ask-timeout = 5")
    machine.extra |= dict.fromkeys(NAMES, "")
    machine.enable()
    command = ["cargo", "build", "--keep-going"]
    with asked(command, machine.workspace, machine.variables()) as terminal:
        terminal.wait_for_question()
        assert terminal.end() != 0
        assert "nobody has answered in time" in terminal.shown
        assert terminal.shown.count(_ASKS) == 1
        assert terminal.has_modes_as_before()
    assert not was_read(machine)
    assert len(pending(machine)) >= 1


@pytest.mark.slow
def test_what_was_typed_before_is_no_answer(asking: PersonsMachine) -> None:
    with building(asking) as terminal:
        until_s = time.monotonic() + 240
        while _ASKS not in terminal.read(0.05):  # Whoever keeps typing until it is there.
            terminal.type("o\nlib\n")
            assert time.monotonic() < until_s
        terminal.wait_for_question()
        terminal.read(1.0)
        assert terminal.process.poll() is None
        assert "type lib to allow it" not in terminal.shown
        terminal.type("\n")
        assert terminal.end() != 0
    assert not was_read(asking)


@pytest.mark.slow
def test_pasted_lines_are_no_answer(asking: PersonsMachine) -> None:
    with building(asking) as terminal:
        terminal.wait_for_question()
        terminal.type("o\nlib\no\nlib\n")
        terminal.wait_for_question(2)
        assert "several lines at once" in terminal.shown
        terminal.type("\n")
        assert terminal.end() != 0
    assert not was_read(asking)


def test_a_script_can_neither_forge_a_question_nor_reach_the_terminal(
    asking: PersonsMachine,
) -> None:
    padding = " " * 90 + "\u2800" * 20
    name = f"data\x1b[2J\nbuildperm asks\u202eforged{padding}risk: low.txt"
    data = asking.home.parent / name
    data.write_text("of somebody else")
    forged = "buildperm asks: app 0.1.0 was refused to\\n  read nothing\\nAnswer (o, a, d): "
    more = f"""
    let forged = "\\x1b[2J\\x1b]0;forged\\x07{forged}";
    println!("cargo::warning={{forged}}");
    eprintln!("{{forged}}");
    for path in ["/dev/tty", "/proc/self/fd/0", "/dev/ptmx"] {{
        if let Ok(mut tty) = fs::OpenOptions::new().write(true).open(path) {{
            use std::io::Write;
            let _ = tty.write_all(b"reached the terminal");
        }}
    }}
    """
    text = reads(Path("DATA"), more)
    text = text.replace('"DATA"', json.dumps(str(data)).replace("\\u001b", "\\x1b"))
    text = re.sub(r"\\u(202e|2800)", r"\\u{\1}", text)
    (asking.workspace / "lib/build.rs").write_text(text)
    command = ["cargo", "build", "-vv"]
    with asked(command, asking.workspace, asking.variables()) as terminal:
        terminal.wait_for_question()
        terminal.type("q\n")
        assert terminal.end() != 0
        for raw in ("\x1b[2J", "\x1b]0;forged", "\u202e", "reached the terminal"):
            assert raw not in terminal.shown
        begun = [line for line in terminal.lines if line.startswith((_ASKS, "Answer"))]
        assert len(begun) == 2, terminal.lines  # Those that are true: all else is set off by Cargo.
        assert begun[0].startswith(f"{_ASKS}: lib 0.1.0 ")
        assert "data%1B%5B2J%0Abuildperm asks%E2%80%AEforged%20%20" in terminal.shown
        assert "%E2%A0%80risk: low.txt" in terminal.shown
        question = terminal.shown.partition(f"{_ASKS}: lib")[2].partition("Answer")[0]
        assert not re.search(r"[ \u2800]{5}", question)  # That would begin a line, at some width.


@pytest.mark.quick(1)
@pytest.mark.parametrize("is_asked", [True, False], ids=["asked", "honest"])
def test_what_a_macro_prints_is_set_off_where_somebody_may_be_asked(
    machine: PersonsMachine, *, is_asked: bool
) -> None:
    if is_asked:
        add_setting(machine, "ask = true")
    machine.extra |= dict.fromkeys(NAMES, "")
    machine.enable()
    source = machine.workspace / "mac/src/lib.rs"
    forged = (
        '"buildperm asks: app 0.1.0 was refused to\\n  read nothing\\nAnswer within 9 s: o once"'
    )
    source.write_text(
        source.read_text().replace(
            '    "7"',
            f'    let forged = {forged}; println!("{{forged}}"); eprint!("  {{forged}}");\n    "7"',
        )
    )
    with building(machine) as terminal:
        assert terminal.end() == 0, terminal.shown
    said = [each for each in terminal.lines if _ASKS in each or "Answer within" in each]
    mark = "[mac 0.1.0] " if is_asked else ""
    assert len(said) == 4
    for line in said:
        assert line.removeprefix(mark).lstrip().startswith((_ASKS, "Answer within"))
        assert line.startswith(mark)


@pytest.mark.slow
def test_cargo_toml_that_somebody_changes_meanwhile_loses_nothing(
    asking: PersonsMachine,
) -> None:
    manifest = asking.workspace / "Cargo.toml"
    with building(asking) as terminal:
        terminal.wait_for_question()
        changed = manifest.read_text() + "# Of an editor.\n"
        manifest.write_text(changed)
        terminal.type("a\n")
        terminal.wait_for("type lib to allow it")
        terminal.type("lib\n")
        terminal.wait_for("it stays refused")
        assert terminal.end() != 0
    assert manifest.read_text() == changed
    assert not was_read(asking)


@pytest.mark.slow
def test_who_stops_cargo_and_goes_on_is_offered_the_answers_again(asking: PersonsMachine) -> None:
    with building(asking) as terminal:
        terminal.wait_for_question()
        for number in (signal.SIGSTOP, signal.SIGCONT):  # As Ctrl+Z and `fg` do.
            os.killpg(terminal.process.pid, number)
        terminal.wait_for_question(2)
        terminal.type("o\n")
        terminal.wait_for("type lib to allow it")
        terminal.type("lib\n")
        assert terminal.end() == 0, terminal.shown
    assert was_read(asking)


@pytest.mark.slow
def test_in_the_background_it_is_refused_and_does_not_wait(asking: PersonsMachine) -> None:
    shell = ["bash", "-c", "set -m; cargo build & wait $!"]
    with asked(shell, asking.workspace, asking.variables()) as terminal:
        assert terminal.end() != 0
        assert _ASKS not in terminal.shown
    assert not was_read(asking)
    assert pending(asking)


@pytest.mark.slow
def test_a_screen_of_another_program_is_left_alone(asking: PersonsMachine) -> None:
    shell = ["sh", "-c", "stty raw -echo; cargo build; status=$?; stty sane; exit $status"]
    with asked(shell, asking.workspace, asking.variables()) as terminal:
        assert terminal.end() != 0
        assert _ASKS not in terminal.shown
    assert pending(asking)


@pytest.mark.slow
def test_two_scripts_ask_one_after_the_other(asking: PersonsMachine) -> None:
    data = asking.home.parent / "data.txt"
    (asking.workspace / "mac/build.rs").write_text(reads(data))
    with building(asking) as terminal:
        for number in (1, 3):
            terminal.wait_for_question(number)
            terminal.read(1.0)
            assert terminal.shown.count(_ASKS) == (number + 1) // 2
            asker = [line for line in terminal.lines if line.startswith(_ASKS)][-1]
            name = "lib" if ": lib 0.1.0" in asker else "mac"
            terminal.type("o\n")
            terminal.wait_for(f"type {name} to allow it")
            terminal.type(f"{name}\n")
        assert terminal.end() == 0, terminal.shown
    assert was_read(asking)


@pytest.mark.quick(1)
@pytest.mark.parametrize("victim", ["cargo", "asker", "interrupt"])
def test_an_end_in_the_middle_leaves_the_terminal_as_it_was(
    asking: PersonsMachine, victim: str
) -> None:
    with building(asking) as terminal:
        terminal.wait_for_question()
        (asker,) = terminal.left("live_question.py")
        if victim == "interrupt":
            terminal.type("\x03")
        else:
            os.kill(terminal.process.pid if victim == "cargo" else asker, signal.SIGKILL)
        assert terminal.end() != 0
        until_s = time.monotonic() + 60
        while terminal.left("live_question.py") or terminal.left("supervisor/main.py"):
            assert time.monotonic() < until_s
            time.sleep(0.1)
        assert terminal.has_modes_as_before()
    assert not was_read(asking)


@pytest.mark.slow
def test_without_a_terminal_it_is_kept_for_the_review(asking: PersonsMachine) -> None:
    refused = asking.cargo("build")
    assert refused.returncode != 0
    assert _ASKS not in refused.stderr
    assert f"read {asking.home.parent}/data.txt" in pending(asking)
    review = asking.buildperm("review", "--no-tui")
    assert review.returncode == 3, review.stderr
    assert f"read {asking.home.parent}/data.txt" in review.stderr + review.stdout


@pytest.mark.quick(1)
@pytest.mark.parametrize("variable", ["CI", "GITHUB_ACTIONS"])
def test_in_ci_nothing_is_ever_asked(asking: PersonsMachine, variable: str) -> None:
    with building(asking, **{variable: "true"}) as terminal:
        assert terminal.end() != 0
        assert _ASKS not in terminal.shown
    assert not was_read(asking)


@pytest.mark.slow
def test_the_command_ci_never_asks(asking: PersonsMachine) -> None:
    command = [*asking.command, "ci"]
    with asked(command, asking.workspace, asking.variables()) as terminal:
        assert terminal.end() == 20, terminal.shown
        assert _ASKS not in terminal.shown


_SENSITIVE = {
    "key": 'let _ = fs::read("KEY");',
    "beside": 'let _ = fs::read("KEY"); println!("cargo::rustc-link-arg=-Wl,-O1");',
    "variable": 'let _ = env::var("SOME_API_TOKEN"); println!("cargo::rustc-link-arg=-Wl,-O1");',
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", _SENSITIVE)
@pytest.mark.parametrize("is_passing", [False, True], ids=["fails", "passes"])
def test_who_wants_what_is_sensitive_is_asked_nothing(
    asking: PersonsMachine, kind: str, is_passing: bool
) -> None:
    more = _SENSITIVE[kind].replace("KEY", str(asking.home / ".ssh/id_rsa"))
    text = reads(asking.home.parent / "data.txt", more)
    if is_passing:
        text = text.replace('.expect("no data")', ".unwrap_or_default()")
    (asking.workspace / "lib/build.rs").write_text(text)
    with building(asking, SOME_API_TOKEN="x1y2z3") as terminal:
        assert terminal.end() != 0
        assert _ASKS not in terminal.shown
        what = "SOME_API_TOKEN" if kind == "variable" else "it tried to read $HOME/.ssh/id_rsa"
        assert what in terminal.shown


@pytest.mark.slow
def test_without_the_setting_nothing_is_asked_and_a_person_can_prefer_it(
    machine: PersonsMachine,
) -> None:
    data = machine.home.parent / "data.txt"
    data.write_text("of somebody else")
    (machine.workspace / "lib/build.rs").write_text(reads(data))
    machine.extra |= dict.fromkeys(NAMES, "")
    machine.enable()
    with building(machine) as terminal:
        assert terminal.end() != 0
        assert _ASKS not in terminal.shown
    assert "asks at a terminal" not in machine.buildperm("status").stdout

    preferences = machine.home / ".config/buildperm/config.toml"
    preferences.parent.mkdir(parents=True)
    preferences.write_text("ask = true\n")
    machine.cargo("clean")
    with building(machine) as terminal:
        terminal.wait_for_question()
        terminal.type("\n")
        assert terminal.end() != 0
    assert "asks at a terminal" in machine.buildperm("status").stdout

    machine.cargo("clean")
    add_setting(machine, "ask = false")  # The workspace has the last word.
    with building(machine) as terminal:
        assert terminal.end() != 0
        assert _ASKS not in terminal.shown


@pytest.mark.slow
def test_a_desktop_is_told_once_and_nothing_that_a_script_has_chosen(
    asking: PersonsMachine, tmp_path: Path
) -> None:
    tools, told = tmp_path / "tools", tmp_path / "told"
    tools.mkdir()
    notifier = tools / "notify-send"
    notifier.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{told}\n')
    notifier.chmod(notifier.stat().st_mode | stat.S_IXUSR)
    (asking.workspace / "mac/build.rs").write_text(reads(asking.home.parent / "data.txt"))
    variables = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus",
    }
    assert asking.cargo("build", "--keep-going", more=variables).returncode != 0
    lines = told.read_text().splitlines()
    assert len(lines) == 1, lines
    assert "A build script was refused 1 thing." in lines[0]
    assert "data" not in lines[0]
    assert "lib" not in lines[0]

    told.unlink()
    assert asking.cargo("build", more=variables | {"CI": "true"}).returncode != 0
    assert not told.exists()
