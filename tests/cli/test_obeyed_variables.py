"""Variables that a loader obeys, set by a project: no program of ours starts with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.always_on_machine import PersonsMachine, machine

__all__ = ["machine"]

_LOADED = """
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) {
    char program[4096] = "";
    FILE *called = fopen(CALLED, "a");
    if (readlink("/proc/self/exe", program, sizeof program - 1) > 0 && called)
        fprintf(called, "%s\\n", program);
    if (called) fclose(called);
}
unsigned int la_version(unsigned int version) { return version; }
"""
_OPENSSL = """openssl_conf = all
[all]
providers = listed
[listed]
evil = evil
[evil]
module = LIBRARY
activate = 1
"""


class Checkout:
    """A workspace whose project names a library that notes who has loaded it."""

    def __init__(self, machine: PersonsMachine) -> None:
        self.machine = machine
        self.called = machine.workspace / "called"
        self.library = machine.workspace / "libraries" / "libc.so.6"
        self.library.parent.mkdir()
        source = machine.workspace / "evil.c"
        source.write_text(_LOADED.replace("CALLED", f'"{self.called}"'))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, source], check=True)
        settings = machine.workspace / "openssl.cnf"
        settings.write_text(_OPENSSL.replace("LIBRARY", str(self.library)))

    def sets(self, name: str, value: str) -> None:
        path = self.machine.workspace / ".cargo/config.toml"
        path.parent.mkdir(exist_ok=True)
        value = value.replace("LIBRARY", str(self.library))
        value = value.replace("FOLDER", str(self.library.parent))
        value = value.replace("WORKSPACE", str(self.machine.workspace))
        path.write_text(f'[env]\n{name} = {{ value = "{value}", force = true }}\n')

    def noted(self) -> set[str]:
        """Return the names of the programs that have loaded it."""
        if not self.called.exists():
            return set()
        return {Path(line).name for line in self.called.read_text().splitlines()}


@pytest.fixture(name="checkout")
def _checkout(machine: PersonsMachine) -> Checkout:
    return Checkout(machine)


def test_the_library_tells_who_loads_it(checkout: Checkout) -> None:
    """Or all below are void."""
    checkout.sets("LD_PRELOAD", "LIBRARY")
    assert checkout.machine.cargo("build").returncode == 0
    assert "rustc" in checkout.noted()


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("name", "value", "is_refused"),
    [
        ("LD_PRELOAD", "LIBRARY", True),
        ("LD_AUDIT", "LIBRARY", True),
        ("LD_LIBRARY_PATH", "FOLDER", True),
        ("OPENSSL_CONF", "WORKSPACE/openssl.cnf", False),
        ("GLIBC_TUNABLES", "glibc.malloc.arena_max=1", False),
    ],
)
def test_nothing_is_loaded_while_always_on(
    checkout: Checkout, name: str, value: str, *, is_refused: bool
) -> None:
    checkout.machine.enable()
    checkout.sets(name, value)
    built = checkout.machine.cargo("build")
    assert not checkout.noted()
    assert (built.returncode != 0) == is_refused, built.stderr
    assert not is_refused or f"`{name}` in `[env]` of" in built.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "is_refused"), [("RUSTC_LOG_OUTPUT_TARGET", True), ("RUSTC_LOG", False)]
)
def test_rustc_logs_to_no_file_while_always_on(
    checkout: Checkout, name: str, *, is_refused: bool
) -> None:
    kept = checkout.machine.home / "keys"
    kept.write_text("kept")
    checkout.machine.enable()
    checkout.sets(name, str(kept))
    built = checkout.machine.cargo("build")
    assert kept.read_text() == "kept"
    assert (built.returncode != 0) == is_refused, built.stderr
    assert not is_refused or f"`{name}` in `[env]` of" in built.stderr


@pytest.mark.slow
def test_what_was_accepted_is_loaded_by_what_is_held_alone(checkout: Checkout) -> None:
    checkout.sets("LD_PRELOAD", "LIBRARY")
    checkout.machine.enable()
    for again in ("1", "2"):
        built = checkout.machine.cargo("build", more={"AGAIN": again})
        assert built.returncode == 0, built.stderr
    assert checkout.noted() <= {"rustc"}  # Where Cargo asks it about the target.


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [("LD_PRELOAD", "LIBRARY"), ("LD_AUDIT", "LIBRARY")])
def test_nothing_is_loaded_in_a_build_of_ours(checkout: Checkout, name: str, value: str) -> None:
    checkout.sets(name, value)
    built = checkout.machine.buildperm("ci", "--", "build")
    assert built.returncode == 0, built.stderr
    assert not checkout.noted()


@pytest.mark.slow
def test_what_is_left_alone_sees_each_variable_as_the_project_set_it(checkout: Checkout) -> None:
    seen = 'fn main() { println!("{} {}", env!("GLIBC_TUNABLES"), env!("ENV")); }\n'
    (checkout.machine.workspace / "src/main.rs").write_text(seen)
    path = checkout.machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text("[env]\nGLIBC_TUNABLES = 'glibc.malloc.arena_max=1'\nENV = 'a $(b) \"c'\n")
    checkout.machine.enable("--user", "--others", "leave")
    ran = checkout.machine.cargo("run")
    assert ran.stdout == 'glibc.malloc.arena_max=1 a $(b) "c\n', ran.stderr


@pytest.mark.slow
def test_names_that_are_no_names_are_not_given_to_a_shell(checkout: Checkout) -> None:
    checkout.machine.enable()
    called = checkout.called
    path = checkout.machine.workspace / ".cargo/config.toml"
    path.parent.mkdir()
    path.write_text(
        f"[env]\n'OPENSSL_$(touch {called})' = 'x'\n'BUILDPERM_ASIDE' = '$(touch {called})'\n"
        f"'BUILDPERM_ASIDE_LD_PRELOAD' = '{checkout.library}'\n'IFS' = '/'\n"
        f"'BASH_FUNC_unset%%' = '() {{ touch {called}; }}'\n"
    )
    built = checkout.machine.cargo("build")
    assert built.returncode != 0
    assert not called.exists()
    hold = path.read_text()
    lines = [line for line in hold.splitlines() if "BUILDPERM" not in line and "BASH" not in line]
    path.write_text("\n".join(lines))
    built = checkout.machine.cargo("build")
    assert built.returncode == 0, built.stderr
    assert not called.exists()


_NAMES = ("target", "crate", "run", "name", "line", "process", "folder", "place", "how", "program")
_SEEN = """
fn main() {
    let seen = [SEEN];
    assert!(seen.iter().all(|each| *each == "as it is"), "{seen:?}");
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_always_on", [True, False])
def test_variables_reach_the_compiler_whatever_their_names(
    checkout: Checkout, *, is_always_on: bool
) -> None:
    """A shell changes an exported variable where it uses the name for itself."""
    seen = _SEEN.replace("SEEN", ", ".join(f'env!("{name}")' for name in _NAMES))
    workspace = checkout.machine.workspace
    (workspace / "src/main.rs").write_text(seen)
    (workspace / "build.rs").write_text(seen)
    (workspace / ".cargo").mkdir(exist_ok=True)
    told = "".join(f"{name} = 'as it is'\n" for name in _NAMES)
    (workspace / ".cargo/config.toml").write_text(f"[env]\n{told}")
    if is_always_on:
        checkout.machine.enable()
        ran = checkout.machine.cargo("run")
    else:
        ran = checkout.machine.buildperm("ci", "--", "build")
    assert ran.returncode == 0, ran.stderr
