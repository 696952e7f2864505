//! Asks the compiler whether it knows `std::iter::repeat_n`, by having it compile a file that uses it.
//!
//! `serde`, `anyhow` and many others do the like. Running the compiler that Cargo names in `RUSTC`
//! belongs to the baseline of buildperm: this crate needs no entry in Cargo.toml.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=probe");
    println!("cargo::rustc-check-cfg=cfg(has_repeat_n)");
    if compiles(Path::new("probe/repeat_n.rs"))? {
        println!("cargo::rustc-cfg=has_repeat_n");
    }
    Ok(())
}

/// Whether `source` compiles for the target of this build.
fn compiles(source: &Path) -> Result<bool, Box<dyn Error>> {
    let status = Command::new(env::var("RUSTC")?)
        .args(["--edition=2021", "--crate-type=lib", "--emit=metadata"])
        .arg("--target")
        .arg(env::var("TARGET")?)
        .arg("--out-dir")
        .arg(env::var("OUT_DIR")?)
        .arg(source)
        .stderr(Stdio::null()) // An older compiler's complaint is the answer, not an error.
        .status()?;
    Ok(status.success())
}
