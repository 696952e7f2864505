"""Whether a build script may do something, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildperm.policy.kinds import Kind
from tests.cli.learnt_workspace import LearntWorkspace
from tests.command import buildperm


@pytest.mark.parametrize(
    ("crate", "access", "said"),
    [
        ("helper@1.0.0", "exec:cc", "`helper` is granted preset `cc`, which may run `cc`"),
        ("helper@2", "cc", "`helper` is granted preset `cc`"),
        ("app", "read:../ws/other.txt", "`app` is granted to read `$WORKSPACE/other.txt`"),
        ("app", "./other.txt", "`app` is granted to read `$WORKSPACE/other.txt`"),
        ("app", "$WORKSPACE/schema/../other.txt", "is granted to read `$WORKSPACE/other.txt`"),
        ("app", "b.txt", "is granted to read `$WORKSPACE/schema/deep/b.txt`"),
        ("app", "RELEASE_CHANNEL", "granted to see the variable `RELEASE_CHANNEL`"),
        ("app", "/usr/include/zlib.h", "every build script may read `/usr/"),
        ("app", "write:$OUT_DIR/x/y", "every build script may write `$OUT_DIR/**`"),
        ("app", "env:CFLAGS", "Cargo sets it, or tool chains use it"),
        ("app", "directives:cargo::rustc-cfg=x", "it makes nobody run anything"),
        ("app", "directive:rerun-if-changed=x", "it makes nobody run anything"),
    ],
)
@pytest.mark.quick(2)
def test_what_is_allowed_says_by_what(
    learnt: LearntWorkspace, crate: str, access: str, said: str
) -> None:
    told = learnt.run("why", crate, access)

    assert told.returncode == 0
    assert told.stderr == ""
    assert told.stdout.startswith("allowed: ")
    assert said in told.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("crate", "access", "said"),
    [
        ("app", "perl", "neither the baseline nor a grant lets `app` run `perl`"),
        ("app", "exec:/usr/bin/perl", "neither the baseline nor a grant lets `app` run `perl`"),
        ("app", "rustc-link-arg", "neither the baseline nor a grant lets `app` tell Cargo"),
        ("app", "~/.ssh/id_ed25519", "is sensitive"),
        ("app", "env:GITHUB_TOKEN", "is sensitive"),
        ("app", "net:crates.io:443", "lets `app` connect to `crates.io:443`"),
        ("app", "net:/run/docker.sock", "nothing can allow"),
        ("app", "system:bpf", "no grant opens a system call"),
        ("app", "directives:rustc-env=LD_PRELOAD=x.so", "it would make rustc"),
        ("app", "read:/dev/shm", "out of habit, and mostly do without"),
        # The impostor has nothing of what the registry's package is granted.
        ("path+$WORKSPACE/vendored#helper", "exec:cc", "neither the baseline nor a grant"),
        ("helper@0.5.0", "exec:cc", "neither the baseline nor a grant"),
    ],
)
@pytest.mark.quick(2)
def test_what_is_refused_says_why(
    learnt: LearntWorkspace, crate: str, access: str, said: str
) -> None:
    told = learnt.run("why", crate, access)

    assert told.returncode == 20
    assert told.stderr == ""
    assert told.stdout.startswith("refused")
    assert said in told.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ("system:unshare", "`[patch]` in Cargo.toml"),  # What programs try out of habit.
        ("system:bpf", "`[patch]` in Cargo.toml"),
        ("net:/run/docker.sock", "grant an address such as"),
        ("net:/run/nscd/socket", "`[patch]` in Cargo.toml"),
        ("directives:rustc-env=LD_PRELOAD=x.so", "If you want LD_PRELOAD for this build yourself"),
        ("directives:rustc-flags=-Cx", "in `.cargo/config.toml`"),
        ("read:/", "`[patch]` in Cargo.toml"),  # Something in it is always closed.
        ("read:/proc/self/environ", "`[patch]` in Cargo.toml"),
        ("read:/etc/gitconfig", 'read = ["/etc/gitconfig"]'),
        ("read:/etc/ssl/private", 'reason = "WHY THIS CRATE NEEDS IT"'),
    ],
)
@pytest.mark.quick(3)
def test_where_no_review_asks_it_says_what_can_be_done(
    learnt: LearntWorkspace, access: str, said: str
) -> None:
    told = learnt.run("why", "helper@0.5.0", access)

    assert told.returncode == 20
    assert said in told.stdout
    assert ("No grant opens it." in told.stdout) is not said.startswith(("read =", "reason ="))


def test_the_hint_names_every_kind(learnt: LearntWorkspace) -> None:
    told = learnt.run("why", "app", "nothing-is-called-so")

    assert told.returncode == 2
    assert all(f"`{kind}:" in " ".join(told.stderr.split()) for kind in Kind)


def test_the_evidence_is_beside_it(learnt: LearntWorkspace) -> None:
    told = learnt.run("why", "helper@2.0.0", "exec:cc").stdout

    assert "helper 2.0.0 gets in through app > library > helper." in told
    assert "Seen when helper 2.0.0 was reviewed (buildperm.lock): done; " in told
    assert "Seen 1 time while learning (`buildperm learn`) " in told
    assert "    by build script " in told
    assert "    as cc --version" in told
    line = 1 + learnt.manifest.read_text().splitlines().index('presets = ["cc"]')
    assert f"[workspace.metadata.buildperm.crates.helper] (Cargo.toml:{line})." in told


def test_what_was_never_seen_says_so(learnt: LearntWorkspace) -> None:
    told = learnt.run("why", "app", "exec:curl").stdout

    assert "Never seen in 1 recording here" in told


def test_the_lines_that_would_allow_it_do(learnt: LearntWorkspace) -> None:
    told = learnt.run("why", "app", "perl").stdout
    table, *lines = (
        line.strip().removeprefix("# ")
        for line in told.partition("write in Cargo.toml:\n")[2].split("\n")
    )

    with learnt.granting(app="\n".join(lines)):
        after = learnt.run("why", "app", "perl")

    # The table is there already: to write it twice would break the file.
    assert table == "[workspace.metadata.buildperm.crates.app] (Cargo.toml:8) would say:"
    assert "Risk high" in told
    assert after.returncode == 0
    assert "is granted to run `perl`" in after.stdout


@pytest.mark.slow
def test_a_grant_that_is_not_in_force_and_a_denial_are_told_with_their_lines(
    learnt: LearntWorkspace,
) -> None:
    with learnt.granting(
        app='exec = ["perl"]\ndeny = { env = ["RELEASE_*"] }',
        helper='deny = { exec = ["cc"] }',
        **{"helper@1": 'presets = ["cc"]'},
    ):
        lines = learnt.manifest.read_text().splitlines()
        perl = learnt.run("why", "app", "perl")
        channel = learnt.run("why", "app", "RELEASE_CHANNEL")
        elsewhere = learnt.run("why", "helper@1.0.0", "cc")
        document = learnt.document("why", "helper@1.0.0", "cc")

    assert "not in force: high risk, and version 0.1.0 has not been reviewed" in perl.stdout
    line = 1 + lines.index('exec = ["perl"]')
    assert f"Cargo.toml:{line}" in perl.stdout
    assert "`app` is denied to see the variable `RELEASE_*`" in channel.stdout
    assert "remove `RELEASE_*` from `deny.env`" in channel.stdout
    # A denial holds whatever key of the package it stands under, and is to be found there.
    line = 1 + lines.index('deny = { exec = ["cc"] }')
    assert f"[workspace.metadata.buildperm.crates.helper] (Cargo.toml:{line})" in elsewhere.stdout
    assert (document["because"], document["line"]) == ("denied", line)


def test_the_document_says_the_same(learnt: LearntWorkspace) -> None:
    document = learnt.document("why", "helper@1.0.0", "exec:cc")

    assert document["version"] == 2
    assert (document["crate"], document["package_version"]) == ("helper", "1.0.0")
    assert document["way"] == ["app", "helper"]
    assert document["access"] == {"kind": "exec", "target": "cc"}
    assert document["allowed"] is True
    assert (document["because"], document["preset"]) == ("preset", "cc")
    assert document["rule"] == {"kind": "exec", "pattern": "cc"}
    assert [seen["version"] for seen in document["reviewed"]] == ["1.0.0", "2.0.0"]
    (recorded,) = document["recordings"]
    assert (recorded["outcome"], recorded["count"]) == ("done", 1)
    assert (recorded["mode"], recorded["command"]) == ("learning", "learn")
    assert recorded["chains"][0][0] == "build script"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["app", ""], "an access has a kind and a target"),
        (["app", "exec:"], "nothing behind the colon"),
        (["app", "read:/etc/%zz"], "needs two hexadecimal digits"),
        (["app", "read:/etc/*"], "is a pattern"),
        (["app", "$NOWHERE/x"], "`$NOWHERE` is no token"),
        (["app", "net:crates.io"], "an address has a host and a port"),
        (["app", "env:A=1"], "goes by its name alone"),
        (["app", "directives:rustc-cfg"], "has a key and a value"),
        (["app", "prel"], "Did you mean `perl`?"),
        (["app", "\x1b[2J"], "was ever recorded"),
        (["app", "\udcff"], "was ever recorded"),
        (["app"], "Missing argument"),
        (["helper", "exec:cc"], "Say which: `helper@0.5.0`, `helper@1.0.0`, `helper@2.0.0`."),
        (["apq", "exec:cc"], "Did you mean `app`?"),
        (["library", "exec:cc"], "`library` has no build script"),
        (["libary", "exec:cc"], "`library` is here, but has no build script"),
        (["helper@3", "exec:cc"], "`helper@3` is not here"),
        (["\x1b]0;x", "exec:cc"], "no package with a build script"),
        (["", "exec:cc"], "no package with a build script"),
        (["app", "exec:cc", "--", "check", "--manifest-path", "nowhere"], "nowhere"),
    ],
)
@pytest.mark.quick(2)
def test_bad_words_say_what_would_do(learnt: LearntWorkspace, words: list[str], said: str) -> None:
    told = learnt.run("why", *words)

    assert told.returncode == 2
    assert told.stdout == ""
    assert said in told.stderr


def test_a_word_for_several_things_lists_them(learnt: LearntWorkspace, tmp_path: Path) -> None:
    copy = learnt.copy(tmp_path / "ws")
    (path,) = copy.recordings("app", "0.1.0")
    lines = path.read_text().splitlines(keepends=True)
    found = next(line for line in lines if '/other.txt"' in line)
    lines.insert(lines.index(found), found.replace("/other.txt", "/schema/other.txt"))
    path.write_text("".join(lines))

    told = copy.run("why", "app", "other.txt")

    assert told.returncode == 2
    assert "`read:$WORKSPACE/other.txt`" in told.stderr
    assert "`read:$WORKSPACE/schema/other.txt`" in told.stderr


@pytest.mark.slow
def test_packages_that_share_name_and_version_are_told_apart(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    copy = learnt.copy(tmp_path / "ws", without=("target",))
    own = copy.folder / "vendored/Cargo.toml"
    own.write_text(own.read_text().replace("0.5.0", "1.0.0"))
    copy.registry.cargo("metadata", "--format-version=1", folder=copy.folder)

    told = copy.run("why", "helper@1.0.0", "exec:cc")
    specs = told.stderr.partition("Say which: ")[2].rstrip(".\n").split(", ")
    answers = [copy.run("why", spec.strip("`"), "exec:cc") for spec in specs]

    assert told.returncode == 2
    assert "path+$WORKSPACE/vendored#helper@1.0.0" in told.stderr
    assert sorted(answer.returncode for answer in answers) == [0, 20]


def test_a_hostile_name_is_told_in_notation(learnt: LearntWorkspace) -> None:
    name = "ev%1B%5B2J%E2%80%AEil"

    told = learnt.run("why", "app", name)
    example = learnt.run("why", "app", "exec:perl")

    assert told.returncode == 0
    assert f"`$WORKSPACE/schema/{name}`" in told.stdout
    assert r"as perl -e 1 $'ev\e[2J\xe2\x80\xaeil'" in example.stdout


@pytest.mark.slow
def test_a_broken_recording_is_warned_of_and_passed_over(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    copy = learnt.copy(tmp_path / "ws")
    (path,) = copy.recordings("helper", "1.0.0")
    path.write_bytes(path.read_bytes()[:-40])

    told = copy.run("why", "helper@1.0.0", "exec:cc")

    assert told.returncode == 0
    assert told.stderr.startswith("warning: ")
    assert "recording.jsonl" in told.stderr
    assert "Seen when helper 1.0.0 was reviewed" in told.stdout
    assert "while learning" not in told.stdout


def test_an_incomplete_recording_is_told(learnt: LearntWorkspace, tmp_path: Path) -> None:
    copy = learnt.copy(tmp_path / "ws")
    (path,) = copy.recordings("app", "0.1.0")
    *lines, end = path.read_text().splitlines()
    path.write_text("\n".join([*lines, end.replace('"exit":0', '"exit":101')]) + "\n")

    told = copy.run("why", "app", "exec:curl").stdout

    assert "may not show everything: the script ended with exit code 101" in told


def test_a_cargo_lock_that_is_out_of_date_or_missing_is_an_error(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    copy = learnt.copy(tmp_path / "ws", without=("target",))
    own = copy.folder / "app/Cargo.toml"
    own.write_text(own.read_text().replace('helper = "1"', 'helper = "2"'))
    old = copy.run("why", "app", "exec:cc")
    (copy.folder / "Cargo.lock").unlink()
    none = copy.run("why", "app", "exec:cc")

    assert old.returncode == none.returncode == 2
    assert "Run `cargo fetch`" in old.stderr
    assert not (copy.folder / "Cargo.lock").exists()
    assert not (copy.folder / "target").exists()


def test_outside_of_a_workspace_it_says_so(tmp_path: Path) -> None:
    told = buildperm("why", "app", "exec:cc", folder=tmp_path)

    assert told.returncode == 2
    assert "Cargo.toml" in told.stderr


@pytest.mark.slow
def test_what_puts_a_grant_in_force_is_told_and_does(learnt: LearntWorkspace) -> None:
    reviewed = 'reviewed = ["0.1.0"]\nexec = ["perl", "ruby"]\n'
    with learnt.granting(app='exec = ["perl", "ruby"]'):
        seen, unseen = learnt.run("why", "app", "perl"), learnt.run("why", "app", "exec:ruby")
    with learnt.granting(app=f'{reviewed}expires = "2020-01-31"'):
        ended = learnt.run("why", "app", "perl")
    with learnt.granting(app=reviewed):
        after = [learnt.run("why", "app", each) for each in ("perl", "exec:ruby")]

    assert "To decide about it, run `buildperm review`." in seen.stdout
    assert "add `0.1.0` to `reviewed`" in unseen.stdout
    assert "write a later day for `expires`" in ended.stdout
    assert [each.returncode for each in after] == [0, 0]


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("access", "code", "said"),
    [
        ("read:/dev/stdin", 20, "`/proc/self/fd/0`"),
        ("read:/proc/self/auxv", 20, "`/proc/self/auxv`"),
        ("read:/proc/self/cwd/build.rs", 0, "`$MANIFEST_DIR/**`"),
        ("read:build.rs", 0, "`$MANIFEST_DIR/**`"),  # As the script would call it.
        ("write:/dev/fd/1", 20, "`/proc/self/fd/1`"),
        ("exec:/proc/self/exe", 2, "something else in each process"),
        ("read:Cargo.toml", 2, "`read:Cargo.toml` may be `$WORKSPACE/Cargo.toml` or `$MANIFEST_D"),
    ],
)
def test_the_answer_is_for_the_script_and_not_for_who_is_asked(
    learnt: LearntWorkspace, access: str, code: int, said: str
) -> None:
    told = learnt.run("why", "app", access)

    assert told.returncode == code, told.stdout
    assert said in told.stdout + told.stderr


def test_a_preset_is_explained_with_who_granted_it_and_why(learnt: LearntWorkspace) -> None:
    with learnt.granting(
        **{"helper@2": 'presets = ["cc"]\nreason = "compiles zlib"\ndeny = { exec = ["clang"] }'}
    ):
        line = 1 + learnt.manifest.read_text().splitlines().index('presets = ["cc"]')
        granted = learnt.run("why", "helper@2", "preset:cc")
        document = learnt.document("why", "helper@2", "preset:cc")
        other = learnt.run("why", "helper@1", "preset:cc")

    assert granted.returncode == 0
    said = granted.stdout.splitlines()
    assert said[0].startswith("allowed: `helper@2` is granted preset `cc`, which may compile and")
    assert said[1].startswith(f"Granted in Cargo.toml:{line}")
    assert said[2] == "Reason there: compiles zlib"
    assert "Of its programs it was seen running cc." in said
    (rules,) = (each for each in said if each.startswith("    exec: "))
    assert {"cc", "gcc", "ld"} <= set(rules.removeprefix("    exec: ").split(", "))
    assert any(each.startswith("Denied whatever a preset says: `exec clang`") for each in said)
    assert (document["allowed"], document["line"], document["reason"]) == (
        True,
        line,
        "compiles zlib",
    )
    assert {"kind": "exec", "pattern": "gcc"} in document["rules"]
    assert other.returncode == 20
    assert other.stdout.startswith("refused: `helper")
    assert '    presets = ["cc"]' in other.stdout.splitlines()


def test_a_preset_that_does_not_exist_is_an_error(learnt: LearntWorkspace) -> None:
    told = learnt.run("why", "app", "preset:gti")

    assert told.returncode == 2
    assert "there is no preset `gti`" in told.stderr
    assert "Did you mean `git`?" in told.stderr


def test_what_learning_let_through_is_not_called_done_where_it_is_refused(
    learnt: LearntWorkspace,
) -> None:
    with learnt.granting(helper='deny = { exec = ["cc"] }'):
        told = learnt.run("why", "helper@2.0.0", "exec:cc").stdout

    assert told.startswith("refused: ")
    assert "let through while learning; " in told
    assert ": let through; " in told
    assert ": done; " not in told


@pytest.mark.slow
def test_each_recording_is_put_down_to_the_command_that_made_it(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    """`review` and `decide` record as `learn` does, and plain Cargo as `ci` does."""
    copy = learnt.copy(tmp_path / "ws")
    assert copy.run("ci").returncode in (0, 20)  # What `app` wants is nobody's decision yet.

    seen = [
        line
        for line in copy.run("why", "helper@2.0.0", "exec:cc").stdout.splitlines()
        if line.startswith("Seen 1 time ")
    ]

    assert len(seen) == 2
    assert {line[len("Seen 1 time ") :].split()[0] for line in seen} == {"while", "in"}
    assert any(line.startswith("Seen 1 time in a held build (`buildperm ci`) ") for line in seen)
    assert any(line.startswith("Seen 1 time while learning (`buildperm learn`) ") for line in seen)


def test_a_denial_is_written_beside_those_that_there_are(learnt: LearntWorkspace) -> None:
    with learnt.granting(app='deny = { env = ["A"], read = ["/usr/share/x"] }'):
        told = learnt.run("why", "app", "read:/usr/include/zlib.h").stdout

    assert '# deny = { env = ["A"], read = ["/usr/include/zlib.h", "/usr/share/x"] }' in told


def test_the_lines_for_a_folder_that_was_to_be_made_cover_its_content(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    copy = learnt.copy(tmp_path / "ws")
    (path,) = copy.recordings("app", "0.1.0")
    *lines, end = path.read_text().splitlines()
    last = next(event for event in map(json.loads, reversed(lines)) if "pid" in event)
    for change, name in (("directory-made", "made"), ("truncated", "file")):
        event = {
            "type": "changed",
            "at": last["at"],
            "pid": last["pid"],
            "change": change,
            "path": str(learnt.folder / "schema" / name),  # Where it was recorded.
            "other": "",
            "errno": 13,
            "refused": True,
        }
        lines.append(json.dumps(event, separators=(",", ":")))
    path.write_text("\n".join([*lines, end]) + "\n")

    made = copy.run("why", "app", "write:$WORKSPACE/schema/made").stdout
    file = copy.run("why", "app", "write:$WORKSPACE/schema/file").stdout

    # An exact rule is about a file: the folder could not be made under it.
    assert 'write = ["$WORKSPACE/schema/made/**"]' in made
    assert 'write = ["$WORKSPACE/schema/file"]' in file
