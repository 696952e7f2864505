"""The tests are laid out as the program is: what is where, and who may import whom."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
MODULES = sorted(
    path.relative_to(TESTS)
    for path in TESTS.rglob("*.py")
    if path.relative_to(TESTS).parts[0] not in ("children", "crates")
)
ROOMS = {
    **{
        room: ROOT / room
        for room in (
            *("tui", "workflow", "presentation", "report", "cargo", "sandbox", "policy"),
            *("supervisor", "cache", "rules", "tracer", "tracer/recorder", "tracer/recording"),
        )
    },
    "cli": ROOT / "buildperm/cli",
}
SUBJECTS = {
    "cargo/editor_server": "What editors start is a shell script.",
    "cargo/same_as_plain": "A script's surroundings, beside those of plain Cargo.",
    "cargo/obeyed_directives": "What Cargo itself makes of directives.",
    "cargo/rustc_wrapper": "The wrapper is a shell script.",
    "cli/always_on_editor": "The server for macros that an editor starts while always on.",
    "cli/always_on_elsewhere": "Always on in containers, and for other users of a machine.",
    "cli/always_on": "Plain Cargo while buildperm is always on, with a thief and without.",
    "cli/build_screen": "The screen of a running build, from its first picture to the inbox.",
    "cli/remote_signals": "A build that is ended while an engine is asked.",
    "cli/hostile_checkouts": "What a checkout names as a compiler runs for no command that looks.",
    "cli/carried_state": "What every command does with state that came along with a checkout.",
    "cli/output_folders": "Folders in which Cargo builds, from the question to the refusal.",
    "cli/containers": "What commands can do within a container.",
    "cli/without_proc": "What commands say where /proc is not mounted.",
    "cli/build_std": "The way of grants to the packages of another tool chain.",
    "cli/build_failures": "What learn, review and ci say where Cargo fails, in each format.",
    "cli/failing_scripts": "What every command does with a script that fails or does not end.",
    "cli/foreign_changes": "What every command does when others change its files.",
    "cli/front_ends": "Which front end asks, whatever the command.",
    "cli/git_hooks": "The hooks of the examples.",
    "cli/help": "The help of every command.",
    "cli/hostile_names": "What every command does with names that a script chose.",
    "cli/input_errors": "What every command does with input that it cannot use.",
    "cli/linker_scripts": "Linkers that call what is not open, and the line that allows it.",
    "cli/live_question": "Plain Cargo at a real terminal, and a person who answers or does not.",
    "cli/learn_and_ci": "The way from the first command to the last.",
    "cli/limits": "Limits from Cargo.toml to the report.",
    "cli/next_commands": "What every command names as the next one.",
    "cli/obeyed_variables": "What a loader obeys, which a project sets for what Cargo calls.",
    "cli/observation": "What every command does with what was observed lightly.",
    "cli/offered_rules": "Offered rules, from the first run to a clean checkout.",
    "cli/other_layouts": "The way of grants to another distribution.",
    "cli/portable_grants": "The way of grants to another machine.",
    "cli/shared_folders": "What every command says of two grants for one folder.",
    "cli/kept_looks": "What the filter stops, and the recorder collects, in runs that may be kept.",
    "cli/remote": "Scripts that run on an engine, from the first run here to what comes back.",
    "cli/wasi": "Scripts as WASI, from the native run to the module in its place.",
    "cli/rustc_probes": "What scripts learn of rustc, held and not.",
    "cli/bucket_cache": "Machines that share results through S3, as another program serves it.",
    "cli/shared_cache": "Machines that share results, from the key to what is restored.",
    "cli/shared_outputs": "What crates leave for one another in the target directory.",
    "cli/standard_input": "What Cargo runs reads it.",
    "cli/tool_chains": "What learn and ci make of scripts that run tool chains.",
    "cli/import": "The way of grants from a file or a commit to a build.",
    "cli/requests": "What is shown of what crates ask for themselves.",
    "cli/young_versions": "What every command does with a version that is too young.",
    "cli/supply_chain": "What every command says after `cargo update`.",
    "policy/grants_schema": "A schema that is published.",
    "policy/layouts": "Data of the presets, tried in the trees of distributions.",
    "policy/lock_schema": "A schema that is published.",
    "policy/macro_proposals": "Proposals of what macros and compilations did.",
    "policy/recording_to_proposals": "The way from events to proposals.",
    "policy/tool_presets": "Which presets are offered for what tools did.",
    "policy/selection_of_roles": "The words of the filter about what of a crate did something.",
    "report/golden_reports": "All formats beside one another.",
    "report/hostile_text": "A property of all formats.",
    "rules/ordinary_tools": "What all rules together make of tools that everybody uses.",
    "rules/rules_imports": "A property of all modules of the room.",
    "sandbox/host_queue": "The host is a C program.",
    "sandbox/layouts": "Every layout of tables of macros, played by hand.",
    "sandbox/lying_hosts": "Hosts of macros that say what no host may say.",
    "sandbox/macro_hosts": "Shim and host are C programs.",
    "sandbox/macro_server": "rust-analyzer's server of macros, with the shim in it.",
    "sandbox/shim": "The shim is a C library.",
    "supervisor/egress_proxy_tools": "Real tools, which speak to the proxy as they like.",
    "supervisor/folder_reads": "What the supervisor prepares, and the recorder does.",
    "supervisor/kept_elsewhere": "Where results are restored: the whole way of a run.",
    "supervisor/kept_programs": "What the recorder notes and the cache compares.",
    "supervisor/kept_refusals": "What the rules take for a habit and the cache compares.",
    "supervisor/listed_opens": "What the supervisor prepares, and the recorder does.",
    "supervisor/looks": "What a script is told of what is not shown to it.",
    "supervisor/launcher_builds": "The launcher is a C program.",
    "supervisor/launcher_outputs": "The launcher is a C program.",
    "supervisor/launcher_requests": "The launcher is a C program.",
    "supervisor/launcher_server": "The launcher is a C program.",
    "supervisor/limits": "Limits are kept by several modules.",
    "supervisor/macro_attacks": "Real macros, in a real compiler.",
    "supervisor/musl": "Another C library than that of the machine.",
    "supervisor/own_proc": "The recorder's copies, under the rules that make them necessary.",
    "supervisor/own_folders": "The supervisor and the recorder together, in both runtimes.",
    "supervisor/own_shared_memory": "The supervisor and the recorder together, in both runtimes.",
    "supervisor/program_folders": "What may be listed of PATH, in both runtimes.",
    "supervisor/recorded_refusals": "Refusals are told by several modules.",
    "supervisor/root_folder": "What is given of `/`, under the rules that keep it closed.",
    "supervisor/room": "What a starter makes for the runtime `full` is a C program.",
    "supervisor/trusted_base": "What a supervisor may load, and what it loads.",
    "tracer/recorder/differential": "The whole recorder, beside strace.",
    "tracer/recorder/recorder_imports": "A property of all modules of the room.",
    "tracer/recording/fields": "The table of `tracer.fields`, beside classes, writer and schema.",
    "tui/hostile_text": "A property of all screens.",
    "tui/local_denials": "What holds on this machine only, in the list and on the card.",
    "tui/locked_rules": "Rules that cannot be chosen, on the card and in plain text.",
    "tui/no_key_in_silence": "A property of all screens.",
    "tui/pictures": "The screens, drawn.",
    "tui/responsiveness": "A property of all screens.",
    "tui/review_after_update": "The way of a person through several screens.",
    "workflow/held_macros": "What every command does with real macros.",
    "workflow/macro_learning": "The way from macros that run to grants.",
}
"""Tests of more than one module, with the reason why no module has their name."""


def imports(module: Path) -> list[str]:
    """List the names of the modules that a module imports, for the type checker alone as well."""
    found = []
    for node in ast.walk(ast.parse((TESTS / module).read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def modules_of(room: str) -> set[str]:
    """Return the names of the modules in a room; a folder below the screens is no room."""
    folder = ROOMS[room]
    return {path.stem for path in (folder.rglob if room == "tui" else folder.glob)("*.py")}


def subjects_of(room: str) -> set[str]:
    return {path.stem.removeprefix("test_") for path in (TESTS / room).glob("test_*.py")}


def test_what_tests_share_is_in_a_module_of_its_own() -> None:
    """No test is imported, and no conftest is imported by its name."""
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name in imports(module)
        if name.startswith("tests.") and re.search(r"\.(test_\w+|conftest)\b", name)
    ]

    assert wrong == []


def test_each_folder_of_tests_is_a_room_or_says_what_it_holds() -> None:
    folders = {str(module.parent) for module in MODULES}

    assert folders - {"."} == {*ROOMS, "redteam"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_test_has_the_name_of_the_module_that_it_tests(room: str) -> None:
    subjects = {name.rpartition("/")[2] for name in SUBJECTS if name.rpartition("/")[0] == room}

    assert not subjects & modules_of(room)
    assert subjects_of(room) - modules_of(room) == subjects


def test_every_program_is_used() -> None:
    texts = [(TESTS / module).read_text() for module in MODULES]
    texts += [path.read_text() for path in (ROOT / "benchmarks").glob("*.py")]
    text = "\n".join(texts)
    used = set(re.findall(r'"(?:[\w.-]+/)*([a-z][\w{}-]*\.\w+)"', text))
    used |= {f"{name}.c" for name in re.findall(r'\bchild\("(\w+)"', text)}
    used |= {f"{name}.py" for name in re.findall(r'"tests\.children\.(\w+)\b', text)}
    patterns = [re.sub(r"\{\w+\}", "*", name) for name in used]  # One of a family of programs.
    programs = [path.name for path in (TESTS / "children").iterdir() if path.is_file()]

    assert [name for name in programs if not any(fnmatch(name, each) for each in patterns)] == []


def test_programs_import_what_there_is() -> None:
    """Nobody else looks: half of them are no whole programs, which a type checker refuses."""
    for path in (TESTS / "children").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("buildperm"):
                for alias in node.names:
                    exec(f"from {node.module} import {alias.name}", {})
