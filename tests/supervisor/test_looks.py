"""What is only looked at: nobody is told that nothing is there without being told who says so."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from buildperm.sandbox import machine
from tests.bench import USERS, Bench, make_bench
from tests.programs import program_text

BWRAP = machine.bubblewrap()
WHY_NOT = machine.probe_wrapper(BWRAP) if BWRAP else "it is not installed"
needs_bubblewrap = pytest.mark.skipif(bool(WHY_NOT), reason=f"bubblewrap is unusable: {WHY_NOT}")

_WAYS = 13 if os.uname().machine == "x86_64" else 9  # Without chdir(2), which takes a folder.


@pytest.fixture(params=[*USERS, *(f"{user}, in a room" for user in USERS)])
def full(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Make a bench whose scripts see what was granted, and nothing else."""
    user, _, room = str(request.param).partition(", ")
    for bench in make_bench(user):
        bench.wrapper, bench.mounts = [os.fsencode(BWRAP)], True
        bench.has_starter = bench.has_room = bool(room)
        yield bench


@pytest.fixture(params=USERS)
def portable(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Make a bench whose scripts see what is there."""
    yield from make_bench(str(request.param))


def _install(bench: Bench, paths: list[str], *, times: int = 1) -> Path:
    text = program_text(
        "looks_around.py", TOP=str(bench.workspace), PATHS=repr(paths), TIMES=str(times)
    )
    return bench.script(text)


def _fill(bench: Bench) -> tuple[list[str], list[str]]:
    """Make what lies beside a package; return what needs a grant, and what does not."""
    beside = bench.workspace / "beside"
    (beside / "folder").mkdir(parents=True)
    (beside / "file").write_text("x")
    (beside / "link").symlink_to("/usr/share")
    (bench.package / "own").write_text("x")
    hidden = [str(beside / name) for name in ("", "folder", "file", "link")]
    return [path.rstrip("/") for path in hidden], [str(bench.package / "own"), "/usr/share", "/etc"]


def _looked(lines: list[dict[str, Any]], *, refused: bool) -> Counter[str]:
    """Count the looks that were refused, or were not, by what they were at."""
    found: Counter[str] = Counter()
    for line in lines:
        if line.get("refused", False) is refused and line["mode"] in ("look", "path"):
            found[line["path"]] += line.get("count", 1)
    return found


@needs_bubblewrap
@pytest.mark.parametrize("light", [False, True], ids=["everything", "light"])
def test_each_look_at_what_is_hidden_is_refused_and_no_other(full: Bench, *, light: bool) -> None:
    full.light = light
    hidden, seen = _fill(full)
    absent = [str(full.workspace / "none"), "/usr/share/none", "/srv/none"]

    ended = full.run(_install(full, [*hidden, *seen, *absent]))

    assert ended.status == 0, ended.stderr
    said = ended.stdout.decode().splitlines()
    for path in hidden:
        told = {line.rpartition(" ")[2] for line in said if f" {path} " in line}
        assert told == {"none"}, path
    for path in seen:
        told = {line.rpartition(" ")[2] for line in said if f" {path} " in line}
        assert "there" in told, path
    refused = _looked(ended.of("opened"), refused=True)
    # What a link leads to is there: so following it, the link itself is what is missing.
    assert set(refused) == set(hidden)
    assert min(refused.values()) >= _WAYS


@needs_bubblewrap
@pytest.mark.quick(1)
def test_looks_are_the_same_to_the_inner_loop(full: Bench) -> None:
    hidden, seen = _fill(full)
    odd = [f"{full.package}/../beside/file", f"{full.workspace}/./beside//file", "/proc/self/exe"]
    odd += [f"/proc/self/root{full.workspace}/beside/file", f"{full.package}/own/../own"]
    placed = _install(full, [*hidden, *seen, *odd, "/none", "/", "/dev/fd", "/dev/shm"], times=3)
    found = []
    for full.has_inner_loop in (False, True):
        ended = full.run(placed)
        assert ended.status == 0, ended.stderr
        found.append(_looked(ended.of("opened"), refused=True))
    assert found[0] == found[1]
    assert {*hidden, f"{full.workspace}/beside/file"} == set(found[0])


@needs_bubblewrap
def test_a_look_is_allowed_by_a_grant_to_read(full: Bench) -> None:
    hidden, _ = _fill(full)
    full.grants["read"] = ["$WORKSPACE/beside/**"]

    ended = full.run(_install(full, hidden[1:]))

    assert ended.status == 0, ended.stderr
    assert not _looked(ended.of("opened"), refused=True)
    assert b" none" not in ended.stdout.replace(b"chdir", b"").split(b"chdir")[0]


@needs_bubblewrap
def test_where_the_person_is_who_builds_is_there_and_nothing_in_it(full: Bench) -> None:
    """Shells set PWD. Whoever compiles C looks whether that is the folder he is in."""
    hidden, _ = _fill(full)
    full.environment["PWD"] = hidden[0]

    ended = full.run(_install(full, hidden))

    assert ended.status == 0, ended.stderr
    assert set(_looked(ended.of("opened"), refused=True)) == set(hidden[1:])


@pytest.mark.parametrize("variable", ["PWD", "OLDPWD"])
def test_nobody_is_asked_about_where_the_person_is_who_builds(
    portable: Bench, variable: str
) -> None:
    """What a held run is not given, such as OLDPWD, is given to one that is learnt from."""
    hidden, _ = _fill(portable)
    portable.environment[variable] = hidden[0]

    learnt = portable.run(_install(portable, hidden[:2]), "learning")

    assert learnt.status == 0, learnt.stderr
    looked = {line["path"] for line in learnt.of("opened") if line["mode"] == "look"}
    assert looked == {hidden[1]}


@needs_bubblewrap
def test_a_file_that_is_covered_is_no_file_of_its_own(full: Bench) -> None:
    (full.package / ".env").write_text("PASSWORD=x")
    ended = full.run(_install(full, [str(full.package / ".env"), str(full.package)]))
    assert ended.status == 0, ended.stderr
    assert set(_looked(ended.of("opened"), refused=True)) == {str(full.package / ".env")}


def test_what_needs_a_grant_elsewhere_is_learnt_where_all_is_there(portable: Bench) -> None:
    hidden, seen = _fill(portable)
    placed = _install(portable, [*hidden, *seen, str(portable.workspace / "none")])

    learnt = portable.run(placed, "learning")

    assert learnt.status == 0, learnt.stderr
    assert set(_looked(learnt.of("opened"), refused=False)) >= set(hidden)
    looked = {line["path"] for line in learnt.of("opened") if line["mode"] == "look"}
    assert looked == set(hidden)
    assert not learnt.refused("opened")


def test_what_is_sensitive_is_learnt_as_looked_at_where_all_is_there(portable: Bench) -> None:
    """Elsewhere it is not there, or is empty: whoever asks is refused."""
    sensitive = [portable.package / ".env", portable.workspace / "secrets/key.pem"]
    for path in sensitive:
        path.parent.mkdir(exist_ok=True)
        path.write_text("PASSWORD=x")

    learnt = portable.run(_install(portable, list(map(str, sensitive))), "learning")

    assert learnt.status == 0, learnt.stderr
    looked = {line["path"] for line in learnt.of("opened") if line["mode"] == "look"}
    assert set(map(str, sensitive)) <= looked


def test_nothing_is_asked_for_where_a_build_is_held_and_all_is_there(portable: Bench) -> None:
    portable.light = True
    hidden, _ = _fill(portable)

    ended = portable.run(_install(portable, hidden))

    assert ended.status == 0, ended.stderr
    assert not [line for line in ended.of("opened") if line["mode"] == "look"]
    assert not ended.refused("opened")


@needs_bubblewrap
@pytest.mark.parametrize("light", [False, True], ids=["everything", "light"])
def test_what_a_compiler_is_told_to_look_at_counts_as_looked_at(
    full: Bench, *, light: bool
) -> None:
    full.light = light
    hidden, _ = _fill(full)
    full.grants["exec"] = ["/usr/bin/**", "/usr/lib/gcc/**", "/usr/libexec/**"]
    (full.package / "x.c").write_text("int main(void) { return 0; }")
    text = f"""
import os, subprocess
words = ["cc", "-I{hidden[1]}", "-isystem", {str(full.package)!r}, "-I/none", "-c", "x.c"]
out = os.environ["OUT_DIR"] + "/x.o"
subprocess.run([*words, "-o", out], check=True)
print("cargo:warning=made", os.path.getsize(out) > 100)
"""

    ended = full.run(full.script(text))

    assert b"made True" in ended.stdout, ended.stderr
    refused = [line for line in ended.of("opened") if line.get("refused")]
    assert {line["path"] for line in refused} == {hidden[1]}
    assert {line["mode"] for line in refused} == {"look"}


@needs_bubblewrap
def test_a_folder_is_not_listed_in_part_without_a_word(full: Bench) -> None:
    """In a package Git's folder is closed, but for what was granted of it."""
    other = full.package / ".git"
    other.mkdir()
    for name in ("granted.txt", "closed.txt"):
        (other / name).write_text("x")
    full.grants["read"] = ["$MANIFEST_DIR/.git/granted.txt"]
    text = f"""
import os
for folder in ({str(other)!r}, {str(full.package)!r}):
    try:
        print("cargo:warning=listed", *sorted(os.listdir(folder)))
    except OSError as error:
        print("cargo:warning=failed", error.errno)
"""

    ended = full.run(full.script(text))

    assert ended.status == 0, ended.stderr
    assert b"closed.txt" not in ended.stdout
    assert str(other) in ended.refused("opened")
    assert str(full.package) not in ended.refused("opened")


@needs_bubblewrap
@pytest.mark.parametrize("profile", ["enforcing", "learning"])
def test_a_look_at_what_a_person_has_denied_is_refused(
    full: Bench, profile: Literal["enforcing", "learning"]
) -> None:
    _fill(full)
    full.deny = {"read": ["$MANIFEST_DIR/own", "$WORKSPACE/beside/**"]}
    denied = [str(full.package / "own"), str(full.workspace / "beside/file")]

    ended = full.run(_install(full, denied), profile)

    assert ended.status == 0, ended.stderr
    assert set(denied) <= set(_looked(ended.of("opened"), refused=True))


@needs_bubblewrap
def test_who_looks_through_the_system_is_not_asked_about_its_settings(full: Bench) -> None:
    links = [
        path
        for folder in ("/usr/lib", "/usr/share")
        for path in sorted(Path(folder).glob("*/*"))[:20_000]
        if path.is_symlink() and os.path.realpath(path).startswith("/etc/") and path.exists()
    ]
    searched = full.top / "searched"
    searched.mkdir()
    full.environment["LD_LIBRARY_PATH"] = str(searched)

    ended = full.run(_install(full, [*map(str, links[:20]), str(searched)]))

    assert ended.status == 0, ended.stderr
    assert not [line for line in ended.of("opened") if line["mode"] == "look"]
    assert f"stat {searched} there" in ended.stdout.decode()
