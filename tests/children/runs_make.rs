// Writes down its variables, asks for some, and runs make.
use std::process::Command;
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR").unwrap();
    let seen: Vec<_> = std::env::vars().map(|(n, v)| format!("{n}={v}")).collect();
    std::fs::write(format!("{out}/seen"), seen.join("\n")).unwrap();
    for name in ["CFLAGS", "MAKEFLAGS", "OPENSSL_DIR"] {
        let _ = std::env::var(name);
    }
    std::fs::write(
        format!("{out}/Makefile"),
        "a b:\n\t@echo $@ >$@\nall: a b\n",
    )
    .unwrap();
    let made = Command::new("make")
        .args(["-C", &out, "all"])
        .output()
        .unwrap();
    assert!(
        made.status.success() && !made.stderr.windows(7).any(|w| w == b"warning"),
        "{made:?}"
    );
}
