"""Folders of a build script that programs outside of the sandbox then load libraries from.

Cargo has what it runs look for libraries where build scripts say: the build scripts of whatever
build-depends on them, which are our stubs, and rustc where it loads procedural macros.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox import stub
from buildperm.supervisor import hwcaps, library_names
from tests.bench import compile_c

if TYPE_CHECKING:
    from tests.bench import Bench

_LOADED = """
#include <fcntl.h>
__attribute__((constructor)) static void loaded(void) { creat("MARK", 0600); }
"""


def _library(path: Path, mark: Path) -> Path:
    """Make a library that makes a file when it is loaded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = _LOADED.replace("MARK", str(mark))
    return compile_c(source, path, "-shared", "-fPIC", f"-Wl,-soname,{path.name}")


def _libraries_of(program: Path) -> list[str]:
    """List the names of all that a program is linked with, but for the C library's own."""
    told = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    names = (line.split()[0] for line in told.splitlines() if "=> /" in line)
    return [name for name in names if not name.startswith(("libc.", "libm."))]


def test_a_supervisor_loads_nothing_from_where_cargo_says_libraries_are(bench: Bench) -> None:
    # The library of a build-dependency's script took Python's place, and ran without a sandbox.
    shell = Path(os.fsdecode(stub.shell().split()[0]))
    names = [*_libraries_of(bench.python), *_libraries_of(shell)]
    assert names
    planted, mark = bench.target / "debug/build/other-1/out", bench.top / "loaded"
    for name in names:
        _library(planted / name, mark)
    bench.environment = {"LD_LIBRARY_PATH": str(planted)}
    for program in (bench.python, shell):
        unheld = subprocess.run([program, "-c", ""], env=bench.environment, check=False)
        assert mark.exists() or unheld.returncode  # Loaded, or looked through for what it lacks.
        mark.unlink(missing_ok=True)

    script = bench.top / "script.sh"  # The script itself is to load them: it is confined.
    script.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH"\n')
    script.chmod(0o755)

    ended = bench.run(bench.install(script), "learning")

    assert not mark.exists()
    assert ended.stdout == f"{planted}\n".encode()


@pytest.mark.parametrize("given", [None, "", "/nowhere:"])
def test_a_script_sees_where_libraries_are_as_cargo_said(
    own_bench: Bench, given: str | None
) -> None:
    own_bench.environment = {} if given is None else {"LD_LIBRARY_PATH": given}
    body = "import os\nprint(os.environ.get('LD_LIBRARY_PATH'), *sorted(os.environ))"

    ended = own_bench.run(own_bench.script(body))

    # An empty one is none to a loader: ld.so(8). env(1) cannot tell them apart.
    expected = {f"{given}", f"{given or None}"}
    assert ended.stdout.decode().partition(" ")[0] in expected
    assert b"BUILDPERM" not in ended.stdout


def test_a_python_that_needs_to_be_told_where_its_libraries_are_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$LD_LIBRARY_PATH" = /its/own ]\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    stub._libraries.cache_clear()

    monkeypatch.setenv("LD_LIBRARY_PATH", "/its/own")
    assert b"LD_LIBRARY_PATH=/its/own\n" in stub.stub(b"/session", b"")
    python.write_text("#!/bin/sh\n")
    stub._libraries.cache_clear()
    assert b"unset LD_LIBRARY_PATH\n" in stub.stub(b"/session", b"")
    stub._libraries.cache_clear()


@pytest.mark.parametrize(
    "name",
    [
        "glibc-hwcaps/x86-64-v2/libc.so.6",
        "glibc-hwcaps/a-later-one/libm.so",
        "haswell/libc.so.6",
        "tls/haswell/avx512_1/x86_64/libpthread.so.0",
        "xeon_phi/libdl.so.2",
        "i686/sse2/libc.so.6",
        "v8l/neon/libc.so.6",
        "aarch64/atomics/libc.so.6",
        "power9/libc.so.6",
        "glibc-hwcaps/power10/libc.so.6",
        "z15/libc.so.6",
        "libtinfo.so.6",
        "libreadline.so.8",
        "libnss_files.so.2",
        "libcap.so.2",
        "libJIS.so",
    ],
)
@pytest.mark.quick(4)
def test_what_a_shell_would_load_is_called_like_the_systems(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()

    assert library_names.system_libraries(bytes(tmp_path)) == [name]


@pytest.mark.slow
def test_what_modules_need_that_a_shell_loads_is_called_like_the_systems(tmp_path: Path) -> None:
    # bash asks who its user is as it starts: libnss_systemd was loaded, and for it a libcap that a
    # build script had made, before the stub's first line.
    modules = [
        module
        for folder in (Path("/lib"), Path("/lib64"), *Path("/lib").glob("*-linux-gnu"))
        for pattern in ("libnss_systemd.so.2", "gconv/*.so")
        for module in folder.glob(pattern)
    ]
    names = {name for module in modules for name in _libraries_of(module)}
    if not names:
        pytest.skip("no modules that need more than the C library")
    for name in names:
        (tmp_path / name).touch()

    assert set(library_names.system_libraries(bytes(tmp_path))) == names


def test_a_library_in_another_folder_is_none_of_the_systems(tmp_path: Path) -> None:
    for name in ("sysroot/libc.a", "libcap.a", "nss/libnss3.so", "libnss3.so", "glibc-hwcaps"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert library_names.system_libraries(bytes(tmp_path)) == []


def test_folders_for_hardware_without_an_end_are_named(tmp_path: Path) -> None:
    for name in ("x86_64", "tls"):
        os.symlink(".", tmp_path / name)

    assert library_names.system_libraries(bytes(tmp_path)) != []


@pytest.mark.parametrize("kind", ["", "all=", "dependency=", "crate="])
@pytest.mark.parametrize("grants", [[], ["rustc-link-search=**"]])
@pytest.mark.parametrize(
    "name",
    ["libpm-2c61cc1d30490ca0.so", "libpm-2c61cc1d30490ca0x.rlib", "libpm-0123456789abcdef.rmeta"],
)
@pytest.mark.quick(6)
def test_no_folder_is_searched_for_crates_that_holds_one_called_like_cargos(
    own_bench: Bench, kind: str, name: str, grants: list[str]
) -> None:
    # rustc took it for the procedural macros of a dependency, and loaded it into itself.
    (own_bench.out_dir / name).touch()
    own_bench.grants = {"directives": grants}
    line = f"cargo:rustc-link-search={kind}{own_bench.out_dir}"

    ended = own_bench.run(own_bench.script(f"print({line!r})"))

    assert ended.status == 1
    assert ended.stdout == b""
    assert b"(forbidden: called like compiled crates: %s)" % name.encode() in ended.stderr


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("libpm-2c61cc1d30490ca0.so", "native="),
        ("libSDL2-2.0.so", ""),
        ("libautocfg_2c61cc1d30490ca0_0.rmeta", ""),
        ("libopenblas-0cf96a72.so", ""),
        ("pm-2c61cc1d30490ca0.so", ""),
    ],
)
def test_other_libraries_are_searched_for(own_bench: Bench, name: str, kind: str) -> None:
    (own_bench.out_dir / name).touch()
    line = f"cargo:rustc-link-search={kind}{own_bench.out_dir}"

    assert own_bench.run(own_bench.script(f"print({line!r})")).stdout == f"{line}\n".encode()


@pytest.mark.parametrize("grants", [[], ["rustc-link-search=**"]])
@pytest.mark.parametrize("line", ["rustc-link-search=native={}", "rustc-flags=-L {}"])
@pytest.mark.parametrize(
    ("searched", "loaded"), [("$PLATFORM", "x86_64"), ("${LIB}", ""), ("sub;{out}/b", "b")]
)
@pytest.mark.quick(4)
def test_no_folder_is_searched_that_a_loader_takes_for_another(
    own_bench: Bench, searched: str, loaded: str, line: str, grants: list[str]
) -> None:
    # The shell of the next stub loaded what was never looked at, and ran it without a sandbox.
    out_dir = own_bench.out_dir
    folder = f"{out_dir}/{searched.replace('{out}', str(out_dir))}"
    os.makedirs(folder)
    if loaded:
        _library(out_dir / loaded / "libtinfo.so.6", own_bench.top / "loaded")
    own_bench.grants = {"directives": grants}
    text = f"cargo:{line.format(folder)}"

    ended = own_bench.run(own_bench.script(f"print({text!r})"))

    assert ended.status == 1
    assert ended.stdout == b""
    assert b"(forbidden)" in ended.stderr


def _searched(path: str) -> list[str]:
    """List the folders in which this machine's loader looks for what is loaded from `path`."""
    told = subprocess.run(
        ["/bin/true"],
        env={"LD_LIBRARY_PATH": path, "LD_DEBUG": "libs", "LD_PRELOAD": "libnowhere.so"},
        capture_output=True,
        check=True,
    )
    for line in told.stderr.splitlines():
        _, mark, rest = line.partition(b"search path=")
        if mark and rest.rstrip().endswith(b"(LD_LIBRARY_PATH)"):
            return os.fsdecode(rest.split(b"\t")[0]).split(":")
    pytest.skip("the loader does not say where it looks: it is not glibc's")


@pytest.mark.parametrize("word", ["$PLATFORM", "${PLATFORM}", "$LIB"])
def test_a_loader_does_take_these_folders_for_others(word: str, tmp_path: Path) -> None:
    # Which ones depends on processor and libc: `haswell` on one, `x86_64` on the next.
    taken = Path(_searched(f"{tmp_path}/{word}")[-1])  # Those for hardware come before it.

    assert "$" not in str(taken)
    assert word != "$PLATFORM" or taken.name.encode() in hwcaps.NAMES
    _library(taken / "libtinfo.so.6", tmp_path / "loaded")
    subprocess.run(
        ["/bin/true"],
        env={"LD_LIBRARY_PATH": f"{tmp_path}/{word}", "LD_PRELOAD": "libtinfo.so.6"},
        check=True,
    )
    assert (tmp_path / "loaded").exists()


def test_wherever_this_loader_looks_is_looked_through(tmp_path: Path) -> None:
    folders = [Path(each) for each in _searched(str(tmp_path))]
    assert tmp_path in folders
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "libm.so.6").touch()

    found = library_names.system_libraries(bytes(tmp_path))

    assert {tmp_path / name for name in found} == {folder / "libm.so.6" for folder in folders}


def test_a_loader_takes_a_semicolon_for_the_end_of_a_folder(tmp_path: Path) -> None:
    assert f"{tmp_path}/b" in _searched(f"{tmp_path}/a;{tmp_path}/b")


@pytest.mark.parametrize(
    ("named", "handed_over", "passes"),
    [
        ("other-1/out", (), False),
        ("not-yet-1/out/lib", (), False),
        ("crate-1/out/../../other-1/out", (), False),
        ("x:{build}/other-1/out", (), False),
        ("z-1/out", (), False),
        ("z-1/out", ("z-1/out/include",), True),
        ("crate-1/out/lib", (), True),
    ],
)
def test_a_script_hands_over_what_is_its_own_or_was_handed_to_it(
    own_bench: Bench, named: str, handed_over: tuple[str, ...], *, passes: bool
) -> None:
    # One that was still running was searched for libraries: its folder held none when that was
    # judged, and one for the shell of the next stub when it ended.
    build = own_bench.target / "debug/build"
    for name in ("other-1/out", "z-1/out/include"):
        (build / name).mkdir(parents=True)
    own_bench.environment = {f"DEP_Z_{at}": f"{build}/{one}" for at, one in enumerate(handed_over)}
    line = f"cargo::metadata=root={build}/{named.format(build=build)}"

    ended = own_bench.run(own_bench.script(f"print({line!r})"))

    assert ended.stdout == (f"{line}\n".encode() if passes else b"")
    assert ended.status == (0 if passes else 1)
