"""A registry with crates of each kind that `info` tells apart."""

from __future__ import annotations

from pathlib import Path

from tests.registry import Registry

QUIET = 'fn main() { println!("cargo::rerun-if-changed=build.rs"); }\n'
PERL = 'fn main() { let _ = std::process::Command::new("perl").args(["-e", "1"]).output(); }\n'
CALLER = 'fn main() { let _ = std::net::TcpStream::connect(("127.0.0.1", 9)); }\n'
THIEF = """
fn main() {
    let home = std::env::var("BUILDPERM_TEST_HOME").unwrap_or_default();
    for file in [".ssh/id_ed25519", "notes.txt"] {
        if std::fs::read(format!("{home}/{file}")).is_ok() {
            println!("cargo::warning=STOLEN {file}");
        }
    }
    let _ = std::fs::write("../written.txt", "here");
}
"""
BROKEN = 'fn main() { panic!("this one always fails") }\n'
MACRO = """
extern crate proc_macro;
#[proc_macro]
pub fn nothing(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    proc_macro::TokenStream::new()
}
"""
MACRO_MANIFEST = """\
[package]
name = "expander"
version = "1.0.0"
edition = "2021"

[lib]
proc-macro = true
"""


def trial_registry(folder: Path) -> Registry:
    """Publish them."""
    registry = Registry(folder / "registry")
    registry.publish("quiet", "1.0.0", {"build.rs": QUIET})
    registry.publish("plain", "1.0.0")
    registry.publish("runner", "1.0.0", {"build.rs": PERL}, dependencies={"quiet": "1"})
    registry.publish("runner", "1.1.0", {"build.rs": PERL}, dependencies={"quiet": "1"})
    registry.publish("caller", "1.0.0", {"build.rs": CALLER})
    registry.publish("thief", "1.0.0", {"build.rs": THIEF})
    registry.publish("broken", "1.0.0", {"build.rs": BROKEN}, dependencies={"quiet": "1"})
    registry.publish("expander", "1.0.0", {"Cargo.toml": MACRO_MANIFEST, "src/lib.rs": MACRO})
    registry.publish(
        "expanded", "1.0.0", {"src/lib.rs": "expander::nothing!();"}, dependencies={"expander": "1"}
    )
    registry.publish("linked", "1.0.0", {"build.rs": QUIET}, links="z")
    registry.publish("linked", "1.1.0", {"build.rs": QUIET}, links="z")
    registry.publish("linked", "2.0.0", {"build.rs": QUIET}, links="z")
    registry.publish("gone", "1.0.0", {"build.rs": QUIET}, yanked=True)
    registry.publish(
        "optional", "1.0.0", {"build.rs": FEATURED}, features={"more": [], "default": ["more"]}
    )
    return registry


FEATURED = """
fn main() {
    if std::env::var_os("CARGO_FEATURE_MORE").is_some() {
        let _ = std::process::Command::new("perl").args(["-e", "1"]).output();
    }
}
"""
