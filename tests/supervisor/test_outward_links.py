"""Links in OUT_DIR that lead out of it: they may lead to what the script may read."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Literal

import pytest

from buildperm.policy.access import Outcome
from buildperm.policy.fold import fold
from buildperm.policy.kinds import Kind
from buildperm.supervisor import out_dir
from buildperm.tracer.recording import reader
from buildperm.workflow.build_outcome import propose

if TYPE_CHECKING:
    from pathlib import Path

    from buildperm.policy.proposal import Proposal
    from tests.bench import Bench


def lay(bench: Bench) -> Path:
    """Put files in the package, in the workspace and in other output folders; return one of these.

    It is handed over to the script, as by `cargo::metadata`.
    """
    other = bench.target / "debug/build/other-1/out"
    for folder in (
        bench.package / "include/deep",
        bench.workspace / "notes/deep",
        other,
        bench.target / "debug/build/third-1/out",
        bench.home / ".ssh",
    ):
        folder.mkdir(parents=True)
        (folder / "a.h").write_text("a")
    (bench.home / ".ssh/id_ed25519").write_text("a")
    (other / "to_package").symlink_to(bench.package / "include/deep/a.h")
    bench.environment = {"DEP_OTHER_INCLUDE": str(other)}
    return other


def links(*told: tuple[str, str]) -> str:
    """Return a script that makes links by name and text; `~` stands for the workspace."""
    lines = [
        f"os.symlink({text!r}.replace('~', top), os.path.join(out, {name!r}))"
        for name, text in told
    ]
    return (
        "import os\nout = os.environ['OUT_DIR']\n"
        "top = os.path.dirname(os.environ['CARGO_MANIFEST_DIR'])\n" + "\n".join(lines)
    )


def asked_about_link(bench: Bench) -> Proposal:
    """Return the one proposal that is about a link."""
    package = bench.session("enforcing")["packages"][bytes(bench.package)]
    asked = propose(package, fold(reader.read(bench.recording)))
    (found,) = (
        each for each in asked if any(one.example.startswith("link ") for one in each.evidence)
    )
    return found


FINE = (
    ("python3", "/usr/bin/python3"),
    ("include", "~/crate/include"),
    ("relative", "../../../../../crate/include/deep/a.h"),
    ("chain", "include/deep/a.h"),
    ("dangling", "~/crate/not/there"),
    ("passwd", "/etc/passwd"),
    ("handed-over", "~/target/debug/build/other-1/out/a.h"),
    ("null", "/dev/null"),
    ("cpus", "/proc/cpuinfo"),
)


@pytest.mark.parametrize("profile", ["learning", "enforcing"])
def test_a_link_may_lead_to_what_every_script_may_read(bench: Bench, profile: str) -> None:
    lay(bench)
    placed = bench.script(links(*FINE) + "\nprint('cargo:rustc-cfg=a')")

    ended = bench.run(placed, "learning" if profile == "learning" else "enforcing")

    assert (ended.status, ended.stdout) == (0, b"cargo:rustc-cfg=a\n"), ended.stderr
    assert not [each for each in ended.of("changed") if each["change"] == "led-out"]


GRANTED = (
    ("~/notes/deep/a.h", "$WORKSPACE/notes/deep/a.h"),
    ("~/notes", "$WORKSPACE/notes/**"),
    ("../../../../../notes/deep/a.h", "$WORKSPACE/notes/deep/a.h"),
    ("~/target/debug/build/third-1/out/a.h", "$TARGET_DIR/**/build/third-1/out/a.h"),
    ("~/not/there", "$WORKSPACE/not/there"),
    ("/etc/hosts", "/etc/hosts"),
)


@pytest.mark.parametrize(("text", "pattern"), GRANTED)
@pytest.mark.quick(3)
def test_a_link_to_what_takes_a_grant_is_asked_about_and_may_be_granted(
    own_bench: Bench, text: str, pattern: str
) -> None:
    lay(own_bench)
    placed = own_bench.script(links(("link", text)))

    learnt = own_bench.run(placed, "learning")

    assert learnt.status == 0, learnt.stderr
    asked = asked_about_link(own_bench)
    assert not asked.locked
    assert [rule.pattern for rule in asked.suggestion.rules] == [pattern]

    (own_bench.out_dir / "link").unlink()
    refused = own_bench.run(placed)

    assert refused.status == 1
    assert b"$OUT_DIR/link to /" in refused.stderr
    assert b"the end of the build says" in refused.stderr
    assert asked_about_link(own_bench).suggestion == asked.suggestion

    (own_bench.out_dir / "link").unlink()
    own_bench.grants = {"read": [pattern]}
    assert own_bench.run(placed).status == 0


@pytest.mark.parametrize("profile", ["learning", "enforcing"])
def test_a_link_to_a_secret_fails_the_run_and_is_told(own_bench: Bench, profile: str) -> None:
    lay(own_bench)
    placed = own_bench.script(links(("link", f"{own_bench.home}/.ssh/id_ed25519")))

    ended = own_bench.run(placed, "learning" if profile == "learning" else "enforcing")

    assert ended.status == 1
    read = next(
        each
        for each in fold(reader.read(own_bench.recording))
        if each.kind is Kind.READ and each.target == "$HOME/.ssh/id_ed25519"
    )
    assert read.sensitive
    assert read.outcome is Outcome.REFUSED


def test_a_link_through_one_that_others_may_turn_fails_the_run(own_bench: Bench) -> None:
    """What is handed over lies in the output folder of another script, which may run again."""
    lay(own_bench)
    text = "~/target/debug/build/other-1/out/to_package"
    placed = own_bench.script(links(("link", text)))

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert b"$OUT_DIR/link: a link through another one" in ended.stderr


def test_a_link_to_what_was_denied_fails_the_run(own_bench: Bench) -> None:
    lay(own_bench)
    own_bench.deny = {"read": ["$MANIFEST_DIR/include/deep/a.h"]}
    placed = own_bench.script(
        links(("link", "~/crate/include/deep/a.h"), ("folder", "~/crate/include"))
    )

    ended = own_bench.run(placed)

    assert ended.status == 1
    assert b"$OUT_DIR/link to /" in ended.stderr
    assert b"$OUT_DIR/folder to /" in ended.stderr  # It is there as well.
    os.unlink(own_bench.out_dir / "link")


def test_a_link_lets_no_linker_search_what_others_may_fill(own_bench: Bench) -> None:
    """What lies there is looked through as the script ends, and may be another library later."""
    lay(own_bench)
    folders = {
        "own": "~/target/debug/build/crate-1/out/kept",
        "include": "~/crate/include",
        "notes": "~/notes",
        "other": "~/target/debug/build/other-1/out",
    }
    (own_bench.out_dir / "kept").mkdir()
    own_bench.grants = {"read": ["$WORKSPACE/notes/**"]}
    body = links(*folders.items())
    body += f"\nfor name in {list(folders)}:\n"
    body += "    print(f'cargo:rustc-link-search=native={out}/{name}')"

    ended = own_bench.run(own_bench.script(body), "learning")

    assert ended.status == 0, ended.stderr
    verdicts = {each["value"].rpartition("/")[2]: each["verdict"] for each in ended.of("directive")}
    assert verdicts == {
        "own": "free",
        "include": "refused",
        "notes": "refused",
        "other": "free",
    }


def scanned(folder: Path, outward: str = "") -> list[str]:
    top = os.fsencode(os.path.realpath(folder))
    return out_dir.scan(top, lambda *_: outward).found


def test_links_that_chain_by_the_thousand_fail_the_run_at_once(tmp_path: Path) -> None:
    (tmp_path / "l0").symlink_to("/etc/hostname")
    for number in range(1, 10_000):
        (tmp_path / f"l{number}").symlink_to(f"l{number - 1}")
    began = time.process_time()

    found = scanned(tmp_path)

    assert time.process_time() - began < 5  # Each of them used to take as long as half a second.
    assert len(found) == out_dir.MOST_NAMED
    assert any("a link through more than 40 others" in each for each in found)


def test_short_chains_without_number_have_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_dir, "STEPS_MOST", 100)
    (tmp_path / "file").touch()
    for number in range(101):
        (tmp_path / f"to_file{number}").symlink_to("file")

    (found,) = scanned(tmp_path)

    assert "lead through one another" in found


def test_many_links_to_files_beside_them_and_circles_are_fine(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/file").touch()
    for number in range(3_000):
        (tmp_path / f"to_file{number}").symlink_to("pkg/file")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    (tmp_path / "c0").symlink_to("pkg/file")
    for number in range(1, 40):
        (tmp_path / f"c{number}").symlink_to(f"c{number - 1}")

    assert scanned(tmp_path, "outward") == []


def test_a_way_out_is_judged_where_it_ends(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "c0").symlink_to("../beside")
    for number in range(1, 40):
        (out / f"c{number}").symlink_to(f"c{number - 1}")

    assert len(scanned(out, "outward")) == out_dir.MOST_NAMED


def test_a_link_to_the_package_is_fine_where_it_is_the_workspace(own_bench: Bench) -> None:
    """Not all of it may be read where Cargo builds in it; but for that, it is its own."""
    lay(own_bench)
    folder = own_bench.package / "target/debug/build/x-1/out"
    folder.mkdir(parents=True)
    keys = own_bench.package / ".ssh"
    keys.mkdir()
    (keys / "id_ed25519").write_text("a key")

    whole = own_bench.run(own_bench.script(links(("package", "~/crate"))))
    held = own_bench.run(own_bench.script(links(("keys", "~/crate/.ssh"))))
    own_bench.deny = {"read": ["$MANIFEST_DIR/include/**"]}
    denied = own_bench.run(own_bench.script(links(("include", "~/crate/include"))))

    assert whole.status == 0, whole.stderr
    assert (held.status, denied.status) == (1, 1)


PASSING = """
import os
os.makedirs(os.environ["HOME"] + "/cache")
for folder in ("/tmp", os.environ["TMPDIR"], os.environ["HOME"] + "/cache"):
    open(folder + "/buildperm-passing", "w").close()
"""


@pytest.mark.parametrize("profile", ["learning", "enforcing"])
@pytest.mark.parametrize(
    "text",
    ["/tmp/buildperm-passing", "$TMPDIR/buildperm-passing", "$HOME/cache", "$HOME/cache/../cache"],
)
def test_a_link_to_what_goes_with_the_script_is_refused_and_says_so(
    own_bench: Bench, profile: Literal["learning", "enforcing"], text: str
) -> None:
    own_bench.grants["write"] = ["/tmp/**"]
    made = f"os.symlink(os.path.expandvars({text!r}), os.environ['OUT_DIR'] + '/cache')"

    ended = own_bench.run(own_bench.script(f"{PASSING}{made}"), profile)

    assert ended.status == 1
    assert b"$OUT_DIR/cache: a link to " in ended.stderr, ended.stderr
    assert b", which is gone when the script has ended" in ended.stderr


@pytest.mark.parametrize("text", ["/tmp/buildperm-passing", "$HOME/cache"])
def test_a_link_to_what_the_script_has_removed_is_as_good_as_anywhere(
    own_bench: Bench, text: str
) -> None:
    own_bench.grants["write"] = ["/tmp/**"]
    own_bench.grants["read"] = ["/tmp/buildperm-passing"]
    made = f"os.symlink(os.path.expandvars({text!r}), os.environ['OUT_DIR'] + '/cache')"
    gone = "import shutil; os.unlink('/tmp/buildperm-passing')"
    gone += "; shutil.rmtree(os.environ['HOME'] + '/cache')"

    ended = own_bench.run(own_bench.script(f"{PASSING}{made}\n{gone}"))

    assert ended.status == 0, ended.stderr
