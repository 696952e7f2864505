//! Compiles `native/checksum.c` to a static library by running the compiler and `ar` itself.
//!
//! Real crates leave this to the `cc` crate, which runs the same two programs. The preset `cc` of
//! buildperm grants them, with what a compiler runs and reads in its turn.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=native");
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let object = out_dir.join("checksum.o");
    let library = out_dir.join("libchecksum.a");

    let mut compiler = Command::new(tool("CC", "cc"));
    compiler.args(["-std=c99", "-O2", "-fPIC", "-Wall", "-Wextra", "-c"]);
    run(compiler.arg("native/checksum.c").arg("-o").arg(&object))?;
    let mut archiver = Command::new(tool("AR", "ar"));
    run(archiver.arg("crs").arg(&library).arg(&object))?;

    println!("cargo::rustc-link-search=native={}", out_dir.display());
    println!("cargo::rustc-link-lib=static=checksum");
    Ok(())
}

/// The program that `variable` names, or the usual one; Cargo asks again when the variable changes.
fn tool(variable: &str, usual: &str) -> String {
    println!("cargo::rerun-if-env-changed={variable}");
    env::var(variable).unwrap_or_else(|_| usual.to_string())
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}
