"""The HTML report of a real build: what it tells, where it goes, and what a browser makes of it."""

from __future__ import annotations

import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from buildperm.report.html_document import document
from tests.browser import Browser
from tests.cli.learnt_workspace import HOSTILE, LearntWorkspace
from tests.command import LEARN, buildperm, member
from tests.report.page_reader import PageReader
from tests.report.page_strategies import MARKUP, page


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    (tmp_path / "browser").mkdir()
    return Browser(tmp_path / "browser")


class Listening(http.server.ThreadingHTTPServer):
    """A server of this machine that remembers who asked it for anything."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Listening]:
    with Listening() as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening
        listening.shutdown()


def loading(address: str) -> list[str]:
    """Return texts that would have a browser ask for something if they were markup."""
    return [
        f'<img src="{address}/img">',
        f"<script src={address}/script></script>",
        f'"><link rel=stylesheet href={address}/link>',
        f"</style><style>@import '{address}/import'; body{{background:url({address}/css)}}</style>",
        f"</title><iframe src={address}/frame></iframe>",
        f"<meta http-equiv=refresh content='0; url={address}/meta'>",
        f"</script><script>fetch('{address}/fetch'); console.error('stolen')</script>",
        f"</svg><svg onload=\"fetch('{address}/svg')\">",
    ]


def text_of(made: str) -> str:
    unseen = r"<style>.*?</style>|<script>.*?</script>|<[^>]*>"
    return re.sub(r"\s+", " ", re.sub(unseen, "", made, flags=re.DOTALL))


def test_it_tells_what_each_crate_did_and_may(learnt: LearntWorkspace, tmp_path: Path) -> None:
    file = tmp_path / "report.html"

    told = learnt.run("report", "--html", "-o", str(file))

    assert (told.returncode, told.stdout) == (0, "")
    assert str(file) in told.stderr
    made = file.read_text()
    said = text_of(made)
    assert "2 accesses of 1 crate are undecided" in said
    assert "app 0.1.0" in said
    assert "run perl" in said
    assert "may compile and link C and C++ (preset cc)" in said
    assert "cc --version" in said
    assert "exit 0" in said
    assert "ev%1B%5B2J%E2%80%AEil" in said
    assert HOSTILE not in made


def test_grants_are_told_with_reason_end_and_what_is_not_in_force(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    lines = [
        *('presets = ["cc"]', 'exec = ["perl"]', 'deny.net = ["<b>.example:443"]'),
        *('reason = "old <i>sources</i>"', 'expires = "2020-02-03"'),
    ]

    with learnt.granting(helper="\n".join(lines), gone='read = ["/opt/x"]\nreviewed = ["1.0.0"]'):
        told = learnt.run("report", "--html", "-o", str(file))

    assert told.returncode == 0, told.stderr
    said = unescape(text_of(file.read_text()))
    assert "Reason given in Cargo.toml: old <i>sources</i>" in said
    assert "until 2020-02-03, not longer" in said
    assert "the grants ended on 2020-02-03" in said
    assert "must not connect to <b>.example:443" in said
    assert "Grants that nothing here makes use of" in said
    assert "not in force: Cargo.lock has no such package" in said
    assert "may read /opt/x" in said


@pytest.mark.slow
def test_no_folder_of_this_machine_is_told(learnt: LearntWorkspace, tmp_path: Path) -> None:
    file = tmp_path / "report.html"

    learnt.run("report", "--html", "-o", str(file))

    assert str(learnt.folder) not in file.read_text()


@pytest.mark.slow
def test_it_goes_where_buildperm_keeps_its_own_and_is_made_anew(learnt: LearntWorkspace) -> None:
    kept = learnt.folder / "target/buildperm/report.html"

    for _ in range(2):
        assert learnt.run("report", "--html").returncode == 0

    assert kept.read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_it_can_go_to_standard_output(learnt: LearntWorkspace) -> None:
    told = learnt.run("report", "--html", "-o", "-")

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("<!doctype html>")
    assert told.stdout.endswith("</html>\n")


def test_only_a_report_is_replaced(learnt: LearntWorkspace, tmp_path: Path) -> None:
    notes = tmp_path / "notes.html"
    notes.write_text("<!doctype html><p>mine")

    told = learnt.run("report", "--html", "-o", str(notes))

    assert told.returncode == 2
    assert "is no report of buildperm" in told.stderr
    assert "Name another file" in told.stderr
    assert notes.read_text() == "<!doctype html><p>mine"


@pytest.mark.slow
def test_crates_that_are_named_have_it_to_themselves(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"

    assert learnt.run("report", "--html", "-o", str(file), "helper").returncode == 0
    unknown = learnt.run("report", "--html", "-o", str(file), "nobody")

    assert "<h3><span" in file.read_text()
    assert "app 0.1.0" not in text_of(file.read_text())
    assert unknown.returncode == 2
    assert "nobody" in unknown.stderr


def test_without_recordings_it_says_what_to_do(tmp_path: Path) -> None:
    folder = member(tmp_path / "ws", "fn main() {}")
    subprocess.run(["cargo", "generate-lockfile", "--offline", "--quiet"], cwd=folder, check=True)

    told = buildperm("report", "--html", folder=folder)

    assert told.returncode == 2
    assert "nothing is known" in told.stderr
    assert "buildperm learn" in told.stderr
    assert not (folder / "target/buildperm/report.html").exists()


def test_a_folder_that_is_not_there_is_one_clear_error(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    told = learnt.run("report", "--html", "-o", str(tmp_path / "nowhere/report.html"))

    assert told.returncode == 2
    assert "cannot write the report" in told.stderr


@pytest.mark.slow
def test_what_a_build_elsewhere_did_is_told_from_its_report(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    there, here = (learnt.copy(tmp_path / name, without=("target",)) for name in ("there", "here"))
    (tmp_path / "away").mkdir()
    report, file = tmp_path / "away/ci-report.json", tmp_path / "report.html"
    there.run("ci", "--report", f"json={report}", extra={"RELEASE_CHANNEL": "beta"})

    told = here.run("report", "--html", "--from", str(report), "-o", str(file))

    said = text_of(file.read_text())
    assert told.returncode == 0, told.stderr
    assert "the report ci-report.json of a build elsewhere" in said
    assert "run perl" in said
    assert "which leaves out which processes there were" in said
    assert str(tmp_path) not in file.read_text()


def test_a_report_that_is_none_is_one_clear_error(learnt: LearntWorkspace, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]")

    told = learnt.run("report", "--html", "--from", str(wrong), "-o", str(tmp_path / "r.html"))

    assert told.returncode == 2
    assert "no report of `buildperm ci`" in told.stderr
    assert not (tmp_path / "r.html").exists()


def test_a_form_has_to_be_named(learnt: LearntWorkspace) -> None:
    told = learnt.run("report")

    assert told.returncode == 2
    assert "--html" in told.stderr


def test_a_file_in_the_place_of_a_crate_is_told_where_it_goes(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    file = tmp_path / "Report.HTML"
    told = learnt.run("report", "--html", str(file))
    both = learnt.run("report", "--html", "-o", str(file), "helper")

    assert (told.returncode, both.returncode) == (2, 0)
    assert "is no crate" in told.stderr
    assert "-o FILE" in told.stderr
    assert file.exists()


@pytest.mark.slow
def test_a_browser_opens_it_without_a_word_or_a_request(
    learnt: LearntWorkspace, tmp_path: Path, browser: Browser
) -> None:
    file = tmp_path / "report.html"
    learnt.run("report", "--html", "-o", str(file))

    opened = browser.open(file)

    assert opened.console == []
    assert opened.requests == set()
    assert re.search(r'<p class="controls">', opened.dom)  # Its own script has run.
    assert opened.dom.count('<details class="crate') == file.read_text().count(
        '<details class="crate'
    )


@pytest.mark.slow
def test_what_a_build_named_loads_nothing(
    tmp_path: Path, server: Listening, browser: Browser
) -> None:
    """Real arguments and names of files that would load something if they were markup."""
    said = [*loading(server.address), '"><svg onload=alert(1)>']
    lines = "".join(
        f'let _ = std::process::Command::new("true").arg({_rust(text)}).status();' for text in said
    )
    folder = member(tmp_path / "ws", f"fn main() {{ {lines} }}")
    buildperm(*LEARN, folder=folder)
    file = tmp_path / "report.html"
    assert buildperm("report", "--html", "-o", str(file), folder=folder).returncode == 0

    opened = browser.open(file)

    assert "&lt;img src=" in file.read_text()
    assert "&lt;svg onload=alert(1)&gt;" in file.read_text()
    assert (server.asked, opened.requests, opened.console) == ([], set(), [])
    assert "<img" not in opened.dom


def test_no_text_of_others_does_anything_in_a_browser(
    tmp_path: Path, server: Listening, browser: Browser
) -> None:
    texts = [*loading(server.address), *MARKUP]
    hostile, harmless = tmp_path / "hostile.html", tmp_path / "harmless.html"
    hostile.write_text(document(page(texts, 4)))
    harmless.write_text(document(page([re.sub("[^`]", "x", text) for text in texts], 4)))

    opened = browser.open(hostile)

    assert (server.asked, opened.requests, opened.console) == ([], set(), [])
    expected = PageReader(browser.open(harmless).dom).skeleton
    assert PageReader(opened.dom).skeleton == expected


def test_a_page_that_does_load_is_caught(
    tmp_path: Path, server: Listening, browser: Browser
) -> None:
    """So that the two tests above would notice."""
    file = tmp_path / "bad.html"
    file.write_text("<!doctype html>" + "".join(loading(server.address)))

    opened = browser.open(file)

    assert "/img" in server.asked
    assert f"{server.address}/img" in opened.requests
    assert any("stolen" in line for line in opened.console)


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.quick(1)
def test_it_fits_into_a_window(
    learnt: LearntWorkspace, tmp_path: Path, browser: Browser, width: int
) -> None:
    """Wide tables scroll by themselves; the page does not."""
    file = tmp_path / "report.html"
    learnt.run("report", "--html", "-o", str(file))
    measured = tmp_path / "measured.html"
    without_policy = re.sub(
        r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", file.read_text()
    )
    measured.write_text(
        f"{without_policy}<script>document.title = document.documentElement.scrollWidth</script>"
    )

    opened = browser.open(measured, f"--window-size={width},800")

    (title,) = re.findall(r"<title>(\d+)</title>", opened.dom)
    assert int(title) <= max(width, 500)  # No window of this browser is narrower than 500.


@pytest.mark.slow
def test_it_looks_different_in_the_dark_and_prints(
    learnt: LearntWorkspace, tmp_path: Path, browser: Browser
) -> None:
    file = tmp_path / "report.html"
    learnt.run("report", "--html", "-o", str(file))

    light = browser.picture(file, tmp_path / "light.png", (1200, 800))
    dark = browser.picture(
        file, tmp_path / "dark.png", (1200, 800), "--blink-settings=preferredColorScheme=0"
    )
    printed = browser.printed(file, tmp_path / "report.pdf")

    assert light[:4] == dark[:4] == b"\x89PNG"
    assert light != dark
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 1


def _rust(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
