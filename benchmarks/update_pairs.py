"""Pairs of versions: what an update of a crate with a build script starts from and comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

VERGEN_8 = """
fn main() { vergen::EmitBuilder::builder().build_timestamp().git_sha(true).emit().unwrap(); }
"""
VERGEN_9 = """
use vergen_gitcl::{BuildBuilder, Emitter, GitclBuilder};
fn main() {
    let mut emitter = Emitter::default();
    emitter.add_instructions(&BuildBuilder::default().build_timestamp(true).build().unwrap()).unwrap();
    emitter.add_instructions(&GitclBuilder::default().sha(true).build().unwrap()).unwrap();
    emitter.emit().unwrap();
}
"""
PROST = """
fn main() {
    std::env::set_var("PROTOC", protoc_bin_vendored::protoc_bin_path().unwrap());
    prost_build::compile_protos(&["card.proto"], &["."]).unwrap();
}
"""
PROTO = 'syntax = "proto3";\npackage card;\nmessage Card { string text = 1; }\n'


@dataclass(frozen=True, slots=True)
class Side:
    """A workspace before or after the update."""

    dependencies: str = ""  # Lines of TOML.
    build_dependencies: str = ""
    files: Mapping[str, str] = field(default_factory=dict)  # Of the member.
    precise: Mapping[str, str] = field(default_factory=dict)  # What is pinned in Cargo.lock.


@dataclass(frozen=True, slots=True)
class Pair:
    """A crate with a build script, in an older and a newer version."""

    crate: str  # Whose build script it is about; `app` for one that uses the crate.
    title: str
    before: Side
    after: Side


def of(
    crate: str,
    before: str,
    after: str,
    features: str = "",
    precise: Mapping[str, str] | None = None,
) -> Pair:
    """Make a pair of a crate that a member simply depends on."""
    extra = f", {features}" if features else ""

    def line(version: str) -> str:
        return f'{crate} = {{ version = "={version}"{extra} }}'

    return Pair(
        crate,
        f"{crate} {before} → {after}",
        Side(line(before), precise=precise or {}),
        Side(line(after)),
    )


OLD_CC = {"cc": "1.0.83", "pkg-config": "0.3.27"}
PAIRS = [
    of("openssl-sys", "0.9.102", "0.9.118", precise=OLD_CC),
    of("ring", "0.17.5", "0.17.14", precise={"cc": "1.0.83"}),
    of("zstd-sys", "2.0.9", "2.1.2", precise=OLD_CC),
    of(
        "libgit2-sys",
        "0.16.2",
        "0.18.8",
        "default-features = false",
        precise={"libz-sys": "1.1.12"} | OLD_CC,
    ),
    Pair(
        "app",
        "prost-build 0.13.5 → 0.14.4",
        Side(
            build_dependencies='prost-build = "=0.13.5"\nprotoc-bin-vendored = "=3.1.0"',
            files={"build.rs": PROST, "card.proto": PROTO},
        ),
        Side(
            build_dependencies='prost-build = "=0.14.4"\nprotoc-bin-vendored = "=3.3.0"',
            files={"build.rs": PROST, "card.proto": PROTO},
        ),
    ),
    Pair(
        "app",
        "vergen 8.3.2 → vergen-gitcl 1.0.8",
        Side(
            build_dependencies='[build-dependencies.vergen]\nversion = "=8.3.2"\n'
            'features = ["build", "git", "gitcl"]',
            files={"build.rs": VERGEN_8},
        ),
        Side(
            build_dependencies='vergen-gitcl = { version = "=1.0.8", features = ["build"] }',
            files={"build.rs": VERGEN_9},
            precise={"vergen": "9.0.6"},
        ),
    ),
    of("pyo3-ffi", "0.22.6", "0.30.1", 'features = ["extension-module"]'),
    of("rustix", "0.38.30", "1.1.6", 'features = ["fs"]'),
    of("libsqlite3-sys", "0.28.0", "0.39.1", precise={"pkg-config": "0.3.27"}),
    of("libz-sys", "1.1.12", "1.1.31", precise=OLD_CC),
    of("proc-macro2", "1.0.60", "1.0.107"),
    of("libc", "0.2.150", "0.2.191"),
    of("serde", "1.0.219", "1.0.229"),
    of("anyhow", "1.0.70", "1.0.104"),
    of("typenum", "1.16.0", "1.20.1"),
    of("getrandom", "0.2.17", "0.3.4"),
]
