"""`buildperm.lock`: what is written can be read, and nothing else can."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import lock_file
from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.snapshot import Context, Inputs, SeenAccess, Snapshot, SnapshotRun
from tests.policy import snapshot_strategies

LOCK = Path("/w/buildperm.lock")
Snapshots = dict[tuple[str, str], Snapshot]

OPENSSL = Snapshot(
    "openssl-sys",
    "0.9.118",
    "registry+https://github.com/rust-lang/crates.io-index",
    Inputs("c" * 64, {}, ("cc 1.2.3", "pkg-config 0.3.32"), "1" * 64),
    {"check --keep-going": ("default",)},
    (
        SnapshotRun(
            Context("x86_64-unknown-linux-gnu", "debug", ()),
            "portable",
            frozenset(
                {
                    SeenAccess(Kind.EXEC, "curl", Outcome.REFUSED),
                    SeenAccess(Kind.EXEC, "cc", Outcome.DONE),
                    SeenAccess(Kind.ENV, "MY_SETTING", Outcome.DONE),
                }
            ),
        ),
    ),
    frozenset({"exec:perl"}),
)
NEWER = replace(OPENSSL, version="0.10.0", commands={}, sightings=(), unused=frozenset())
LOCAL = Snapshot(
    "a-local",
    "0.1.0",
    "",
    Inputs("", {"$WORKSPACE/build.rs": "2" * 64, "$WORKSPACE/b%22.rs": "3" * 64}, (), "4" * 64),
    {"check": ("a", "b"), "build --config 'x=\"y\"'": ()},
    (),
)
ALL = {(one.crate, one.version): one for one in (NEWER, OPENSSL, LOCAL)}

WRITTEN = f"""\
# What build scripts and procedural macros were seen doing when they were reviewed. Written by
# buildperm, to be committed. It grants nothing: grants are in Cargo.toml.
version = 1

[[script]]
crate = "a-local"
version = "0.1.0"
build-dependencies = []
inputs = "{"4" * 64}"

[script.files]
"$WORKSPACE/b%22.rs" = "{"3" * 64}"
"$WORKSPACE/build.rs" = "{"2" * 64}"

[script.commands]
"build --config 'x=\\"y\\"'" = []
"check" = ["a", "b"]

[[script]]
crate = "openssl-sys"
version = "0.9.118"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{"c" * 64}"
build-dependencies = ["cc 1.2.3", "pkg-config 0.3.32"]
inputs = "{"1" * 64}"
unused = ["exec:perl"]

[script.commands]
"check --keep-going" = ["default"]

[[script.run]]
target = "x86_64-unknown-linux-gnu"
profile = "debug"
features = []
runtime = "portable"
seen = ["env MY_SETTING", "exec cc", "exec:refused curl"]

[[script]]
crate = "openssl-sys"
version = "0.10.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{"c" * 64}"
build-dependencies = ["cc 1.2.3", "pkg-config 0.3.32"]
inputs = "{"1" * 64}"
"""


def refusal(text: str | bytes) -> BuildpermError:
    """Read what cannot be read, and hold the error to everything that holds for all of them."""
    with pytest.raises(BuildpermError) as caught:
        lock_file.parse(text.encode() if isinstance(text, str) else text, LOCK)
    assert caught.value.exit_code is ExitCode.USAGE
    assert str(caught.value).startswith(f"{LOCK}:")
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
    return caught.value


def line_of(text: str) -> int:
    return WRITTEN[: WRITTEN.index(text)].count("\n") + 1


def test_it_reads_as_the_documentation_shows() -> None:
    assert lock_file.text(ALL).decode() == WRITTEN
    assert lock_file.parse(WRITTEN.encode(), LOCK) == ALL


def test_a_long_list_has_a_line_for_each_element() -> None:
    names = [f"$WORKSPACE/schema/file-{number}.proto" for number in range(1, 9)]
    seen = frozenset(SeenAccess(Kind.READ, name, Outcome.DONE) for name in names)
    (run,) = OPENSSL.sightings
    long = replace(OPENSSL, sightings=(replace(run, seen=seen),))

    lines = lock_file.text({("openssl-sys", "0.9.118"): long}).decode().splitlines()

    start = lines.index("seen = [")
    assert lines[start + 1 : -1] == [f'    "read {name}",' for name in names]
    assert lines[-1] == "]"


@given(snapshot_strategies.files)
def test_whatever_is_written_is_read_back_and_has_one_text(snapshots: Snapshots) -> None:
    raw = lock_file.text(snapshots)
    found = lock_file.parse(raw, LOCK)

    assert found == snapshots
    assert lock_file.text(found) == raw
    assert lock_file.text(dict(reversed(found.items()))) == raw
    assert all(line.isprintable() for line in raw.decode().split("\n"))
    assert lock_file.parse(raw.replace(b"\n", b"\r\n"), LOCK) == snapshots


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(0, 2000))
def test_whatever_is_put_into_the_file_is_read_or_refused_in_order(text: str, at: int) -> None:
    spoilt = WRITTEN[:at] + text + WRITTEN[at:]
    try:
        lock_file.parse(spoilt.encode(), LOCK)
    except BuildpermError:
        refusal(spoilt)


@given(st.integers(0, len(WRITTEN) - 1))
def test_a_file_written_halfway_is_whole_entries_or_an_error(length: int) -> None:
    half = WRITTEN.encode()[:length]
    try:
        found = lock_file.parse(half, LOCK)
    except BuildpermError:
        refusal(half)
    else:
        assert set(found) <= set(ALL)


def test_the_order_of_a_merge_does_not_matter() -> None:
    head, *scripts = WRITTEN.split("\n[[script]]\n")
    mixed = "\n[[script]]\n".join([head, *reversed(scripts)])
    mixed = mixed.replace('"env MY_SETTING", "exec cc"', '"exec cc", "env MY_SETTING"')
    mixed = mixed.replace('["a", "b"]', '["b", "a"]')

    assert lock_file.text(lock_file.parse(mixed.encode(), LOCK)) == WRITTEN.encode()


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert lock_file.parse(b"\xef\xbb\xbf" + WRITTEN.encode(), LOCK) == ALL


def test_a_newer_format_is_no_broken_file() -> None:
    error = refusal(WRITTEN.replace("version = 1\n", 'version = 2\nnews = "x"\n', 1))

    assert str(error).startswith(f"{LOCK}:3: written by a newer buildperm: format 2, and this one")
    assert error.hint == "Update buildperm."


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("within", ["seen = [", "version = 1"])
def test_an_unfinished_merge_is_called_so(within: str, newline: str) -> None:
    text = WRITTEN.replace(within, f"<<<<<<< HEAD\n{within}\n=======\n{within}\n>>>>>>> topic\n", 1)

    error = refusal(text.replace("\n", newline))

    assert f":{line_of(within)}: an unfinished merge" in str(error)
    assert f"`git checkout --ours {LOCK}`" in error.hint
    assert "buildperm review" in error.hint


@pytest.mark.parametrize(
    ("old", "new", "at", "what"),
    [
        ("version = 1\n", "", "", "`version` is missing"),
        ("version = 1\n", "version = '1'\n", "version = 1", "must be a whole number"),
        ("version = 1\n", "version = true\n", "version = 1", "must be a whole number"),
        ("version = 1\n", "version = 0\n", "version = 1", "must be a whole number"),
        ("version = 1\n", f"version = {'1' * 5000}\n", None, "broken TOML"),
        ("version = 1\n", "version = 1\nrequire = 'full'\n", None, "require: unknown key"),
        ("unused =", "used =", "unused", "script.used: unknown key"),
        ("runtime =", '"run\\ttime" =', "runtime", 'script.run."run\\ttime": unknown key'),
        ("features = []", "", "[[script.run]]", "script.run: `features` is missing"),
        ('"0.9.118"', "0.9", '"0.9.118"', "script.version: must be a string, not a number"),
        ('"0.9.118"', '""', '"0.9.118"', "script.version: must not be empty"),
        ('"0.9.118"', '"0.10.0"', None, "openssl-sys 0.10.0 is there twice"),
        ('"0.9.118"', '"1.0.0/../.."', '"0.9.118"', "`1.0.0/../..` is no version, such as"),
        ('"0.9.118"', '"1.0"', '"0.9.118"', "script.version: `1.0` is no version"),
        ('"openssl-sys"', '"../x"', '"openssl-sys"', "script.crate: `../x`: a source needs the"),
        ("registry+https:", "git+https://x/y#..", '"registry', "is no commit in hexadecimal"),
        ('["exec:perl"]', '"exec:perl"', "unused", "must be a list of strings, not a string"),
        ('["exec:perl"]', '["a", 1]', "unused", "script.unused: must be a string, not a number"),
        ('["exec:perl"]', '["a", "b", "a"]', "unused", "`a` is there twice"),
        ("features = []", "features = {}", "features", "must be a list of strings, not a table"),
        ("[script.commands]", "commands = 1\n[x]", None, "unknown key"),
        ("1" * 64, "1" * 63, f'"{"1" * 64}"', "script.inputs: `111"),
        ("3" * 64, "X" * 64, f'"{"3" * 64}"', "is no SHA-256 in hexadecimal digits"),
        ("exec cc", "cc", "seen = ", "script.run.seen: `cc` is no access"),
        ("exec cc", "exec:done cc", "seen = ", "`exec:done cc` is no access"),
        ("exec cc", "run cc", "seen = ", "`run cc` is no access"),
        ("exec cc", "exec \\u001b[2J", "seen = ", "`exec %1B[2J` holds what cannot be shown"),
        ("exec cc", "exec \u202ecc", "seen = ", "`exec %E2%80%AEcc` holds what cannot be shown"),
        ("openssl-sys", "\\u202e", '"openssl-sys"', "script.crate: `%E2%80%AE` holds what cannot"),
        ('"check" =', '"\\n" =', "[script.commands]", "script.commands: `%0A` holds what"),
        ("[[script]]", "[script]", None, "broken TOML"),
        ("[[script.run]]", "[script.run]", "[[script.run]]", "script.run: must be an array of"),
        ("seen = [", "seen = ", None, "broken TOML"),
    ],
)
def test_what_buildperm_does_not_write_is_an_error_with_line_and_way_out(
    old: str, new: str, at: str | None, what: str
) -> None:
    assert old in WRITTEN

    error = refusal(WRITTEN.replace(old, new, 1))

    assert what in str(error)
    assert f"`git checkout {LOCK}`" in error.hint
    assert "delete it and run `buildperm review`" in error.hint
    if at:
        line = line_of(at)
        assert str(error).startswith(f"{LOCK}:{line}: ")


def test_a_line_is_found_in_any_run_of_any_script() -> None:
    run = WRITTEN[WRITTEN.index("[[script.run]]") :].partition("\n\n")[0]
    other = run.replace('"debug"', '"release"').replace('"exec cc"', '\n    "exec cc",\n    1')
    text = WRITTEN.replace(run, f"{run}\n\n{other}")

    line = text[: text.index("    1")].count("\n") + 1
    assert str(refusal(text)).startswith(f"{LOCK}:{line}: script.run.seen: must be a string")

    twice = WRITTEN.replace(run, f"{run}\n\n{run}")
    line = twice[: twice.rindex("[[script.run]]")].count("\n") + 1
    assert str(refusal(twice)).startswith(f"{LOCK}:{line}: script.run: a run of the same subject")


def test_inline_tables_say_the_same_and_have_lines_too() -> None:
    run = "{ target = 't', profile = 'p', features = [], runtime = 'r', seen = ['exec cc'] }"
    script = (
        "version = 1\nscript = [ { crate = 'x', version = '1.0.0', build-dependencies = [], "
        f"inputs = '{'0' * 64}', run = [\n{run} ] }} ]\n"
    )

    assert lock_file.parse(script.encode(), LOCK)["x", "1.0.0"].sightings
    assert str(refusal(script.replace("exec cc", "cc"))).startswith(f"{LOCK}:3: script.run.seen")


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "`version` is missing"),
        (b"\0" * 100, f"{LOCK}:1: broken TOML"),
        (b"version = 1\n\nx = '\xff'", f"{LOCK}:3: not UTF-8 (byte 0xff)"),
        (b"version = 1\nx = " + b"[" * 100_000, "broken TOML"),
        (b"version = 1\nscript = 3", f"{LOCK}:2: script: must be an array of tables"),
        (b"version = 1\nscript = [3]", f"{LOCK}:2: script: must be a table, not a number"),
        (b'version = 1\n[[script]]\ncrate = "a', f"{LOCK}:3: broken TOML"),
        (b"version = 1\nx = 2026-13-41", "broken TOML"),
    ],
)
def test_no_file_at_all_of_ours_is_an_error_too(raw: bytes, what: str) -> None:
    assert what in str(refusal(raw))


def test_the_way_out_is_one(tmp_path: Path) -> None:
    path = tmp_path / "it's here" / lock_file.NAME
    path.parent.mkdir()
    path.write_bytes(WRITTEN.encode())
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(path.parent)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    path.write_bytes(WRITTEN.encode()[:400])

    with pytest.raises(BuildpermError) as caught:
        lock_file.read(path)
    command = caught.value.hint.split("`")[1]
    subprocess.run(["sh", "-c", command], cwd=path.parent, check=True, capture_output=True)

    assert lock_file.read(path) == ALL


def test_what_cannot_be_shown_is_refused_before_it_is_written() -> None:
    for words in ("check --config 'a=\"\n\"'", "check \udcff", "check \x1b[2J"):
        odd = replace(LOCAL, commands={words: ()})
        with pytest.raises(BuildpermError) as caught:
            lock_file.text({("a-local", "0.1.0"): odd})
        assert all(line.isprintable() for line in str(caught.value).split("\n"))


def test_letters_that_are_newer_than_this_python_are_no_mistake() -> None:
    unassigned = "\U0003fffd"
    new = replace(LOCAL, commands={unassigned: ()})

    raw = lock_file.text({("a-local", "0.1.0"): new})

    assert not unassigned.isprintable()
    assert lock_file.parse(raw, LOCK) == {("a-local", "0.1.0"): new}


def test_names_are_read_as_an_earlier_version_wrote_them_too() -> None:
    older, newer = (
        WRITTEN.replace("exec:refused curl", f"exec:refused curl{name}").replace(
            "$WORKSPACE/build.rs", f"$WORKSPACE/build{name}.rs"
        )
        for name in ("\ufe0f", "%EF%B8%8F")
    )

    assert older != newer
    assert lock_file.parse(older.encode(), LOCK) == lock_file.parse(newer.encode(), LOCK)


def test_a_snapshot_that_could_not_be_read_back_is_not_written() -> None:
    (run,) = OPENSSL.sightings
    for key, odd in (
        (("x", "0.9.118"), OPENSSL),
        (("openssl-sys", "0.9.118"), replace(OPENSSL, sightings=(run, run))),
        (("openssl-sys", "0.9.118"), replace(OPENSSL, inputs=Inputs("", {}, (), ""))),
    ):
        with pytest.raises(ValueError, match=r"."):
            lock_file.text({key: odd})


def test_no_file_holds_no_snapshots(tmp_path: Path) -> None:
    assert lock_file.read(tmp_path / lock_file.NAME) == {}
    assert lock_file.content(tmp_path / lock_file.NAME) is None


def test_what_is_no_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("folder", "loop"):
        with pytest.raises(BuildpermError) as caught:
            lock_file.read(tmp_path / name)
        assert str(caught.value).startswith(f"read {tmp_path / name}: ")
        assert caught.value.hint


def test_a_first_file_is_made_as_the_umask_says(tmp_path: Path) -> None:
    path = tmp_path / lock_file.NAME
    before = os.umask(0o027)
    try:
        lock_file.write(path, None, lock_file.text(ALL))
    finally:
        os.umask(before)

    assert lock_file.read(path) == ALL
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == [lock_file.NAME]


def test_a_linked_file_is_written_where_it_is_and_keeps_its_mode(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "snapshots"
    real.parent.mkdir()
    real.write_bytes(lock_file.text({}))
    real.chmod(0o604)
    link = tmp_path / lock_file.NAME
    link.symlink_to(real)

    lock_file.write(link, lock_file.content(link), lock_file.text(ALL))

    assert lock_file.read(real) == ALL
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o604
    assert os.listdir(real.parent) == ["snapshots"]


def test_nothing_is_made_through_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    path = tmp_path / lock_file.NAME
    path.symlink_to("else\x1bwhere")

    with pytest.raises(BuildpermError) as caught:
        lock_file.write(path, lock_file.content(path), lock_file.text(ALL))

    assert "is a link to else%1Bwhere, which is not there" in str(caught.value)
    assert os.listdir(tmp_path) == [lock_file.NAME]


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_file_that_somebody_else_wrote_meanwhile_is_left_alone(
    before: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / lock_file.NAME
    path.write_bytes(b"somebody's work")

    with pytest.raises(BuildpermError, match="changed by somebody else"):
        lock_file.write(path, before, lock_file.text(ALL))

    assert path.read_bytes() == b"somebody's work"
    assert os.listdir(tmp_path) == [lock_file.NAME]


def test_a_file_that_somebody_removed_meanwhile_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / lock_file.NAME

    with pytest.raises(BuildpermError) as caught:
        lock_file.write(path, b"old", lock_file.text(ALL))

    assert str(caught.value).startswith(f"write {path}: No such file")
    assert os.listdir(tmp_path) == []


def test_a_file_that_says_the_same_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / lock_file.NAME
    for raw in (WRITTEN.encode(), WRITTEN.replace("\n", "\r\n").encode()):
        path.write_bytes(raw)
        before = path.stat()

        lock_file.write(path, raw, lock_file.text(lock_file.read(path)))

        assert path.read_bytes() == raw
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_checkout_with_carriage_returns_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / lock_file.NAME
    path.write_bytes(lock_file.text({}).replace(b"\n", b"\r\n"))

    lock_file.write(path, path.read_bytes(), lock_file.text(ALL))

    assert path.read_bytes() == WRITTEN.replace("\n", "\r\n").encode()


def test_two_branches_that_add_a_crate_each_are_merged_by_line(tmp_path: Path) -> None:
    """Entries stand apart from one another, so that git puts both in."""

    def others(*names: str) -> bytes:
        known = [replace(OPENSSL, crate=name) for name in ("aa", "mm", "zz", *names)]
        return lock_file.text({(one.crate, one.version): one for one in known})

    for name, raw in (("base", others()), ("ours", others("bb")), ("theirs", others("nn"))):
        (tmp_path / name).write_bytes(raw)
    subprocess.run(["git", "merge-file", "ours", "base", "theirs"], cwd=tmp_path, check=True)

    assert (tmp_path / "ours").read_bytes() == others("bb", "nn")
