"""The source line that seems to ask for an access, found in real folders."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.workflow.source_search import CrateSources, SourceTree, asking_lines

ACCESS = Access(Kind.EXEC, "git", Outcome.DONE, 1, 0, 0, (("build script", "git"),))
ASKED = Proposal("0" * 12, "gen", "1", "t", (Choice("it", ()),), Risk.LOW, ("n",), (ACCESS,))


def tree(folder: Path, name: str, **files: str) -> SourceTree:
    """Write the files of a package; which of them it is compiled from is not known."""
    for file, text in files.items():
        path = folder / name / f"{file.replace('__', '/')}.rs"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return SourceTree(f"{name} 1.0.0", folder / name)


def test_the_line_is_named_by_package_file_and_number(tmp_path: Path) -> None:
    own = tree(tmp_path, "gen", build='fn main() {\n    run("git");\n}\n')

    lines, searched = asking_lines(ASKED, CrateSources(own))

    (line,) = lines
    assert (line.package, line.file, line.number) == ("gen 1.0.0", "build.rs", 2)
    assert line.text.strip() == 'run("git");'
    assert line.found == '"git"'
    assert searched.startswith("searched gen 1.0.0 for `")


def test_what_a_library_asks_for_is_found_where_the_script_does_not(tmp_path: Path) -> None:
    own = tree(tmp_path, "gen", build="fn main() { helper::stamp(); }\n")
    library = tree(tmp_path, "helper", src__lib='Command::new("git")\n')

    lines, searched = asking_lines(ASKED, CrateSources(own, (library,)))

    assert [(each.package, each.file) for each in lines] == [("helper 1.0.0", "src/lib.rs")]
    assert "1 library" in searched


def test_a_library_is_left_alone_where_the_script_asks_itself(tmp_path: Path) -> None:
    own = tree(tmp_path, "gen", build='Command::new("git")\n')
    library = tree(tmp_path, "helper", src__lib='Command::new("git")\n')

    lines, _ = asking_lines(ASKED, CrateSources(own, (library,)))

    assert {each.package for each in lines} == {"gen 1.0.0"}


def test_what_is_no_source_file_is_passed_over(tmp_path: Path) -> None:
    own = tree(tmp_path, "gen", build='Command::new("git")\n')
    os.mkfifo(tmp_path / "gen" / "fifo.rs")
    (tmp_path / "gen" / "dangling.rs").symlink_to("nowhere")
    (tmp_path / "gen" / "binary.rs").write_bytes(b"\xff\xfe\x00" * 100)
    (tmp_path / "gen" / "long.rs").write_text('"git"' * 300_000)

    lines, _ = asking_lines(ASKED, CrateSources(own))

    assert [each.file for each in lines] == ["build.rs"]


def test_a_package_that_is_gone_has_no_lines(tmp_path: Path) -> None:
    lines, searched = asking_lines(ASKED, CrateSources(SourceTree("gen 1", tmp_path / "gone")))

    assert lines == ()
    assert searched


def test_thousands_of_files_take_no_time(tmp_path: Path) -> None:
    own = tree(tmp_path, "gen", **{f"src__f{number}": "x" * 20_000 for number in range(1_000)})

    began_s = time.process_time()
    asking_lines(ASKED, CrateSources(own))

    assert time.process_time() - began_s < 2


def test_what_the_crate_says_comes_before_what_a_library_does_for_it(tmp_path: Path) -> None:
    access = replace(ACCESS, target="cc", chains=(("build script", "cc"),))
    own = tree(tmp_path, "gen", build='fn main() {\n    compile_all(cc_of("x"));\n}\n// "cc"\n')
    library = tree(tmp_path, "cc", src__lib='Command::new("cc")\n' * 20)

    lines, _ = asking_lines(replace(ASKED, evidence=(access,)), CrateSources(own, (library,)))

    assert lines[0].package == "gen 1.0.0"
    assert lines[1].package == "cc 1.0.0"


def test_modules_of_a_script_are_searched_where_rustc_has_not_listed_them(tmp_path: Path) -> None:
    made = tree(tmp_path, "gen", build="mod find;\n", build__find='Command::new("git")\n',
                src__lib='Command::new("git")\n')  # fmt: skip
    own = SourceTree("gen 1.0.0", made.folder, (made.folder / "build.rs",), made.folder / "build")

    lines, _ = asking_lines(ASKED, CrateSources(own))

    assert [each.file for each in lines] == ["build/find.rs"]
