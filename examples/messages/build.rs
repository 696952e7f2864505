//! Generates a struct for every message of `schema/messages.txt`.
//!
//! The schema is shared by the whole workspace, so it lies outside this package: a build script that
//! reads it needs to be granted just that (`read = ["$WORKSPACE/schema/messages.txt"]`). What it
//! writes goes to `OUT_DIR`, which every build script may write to.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo starts build scripts in the directory of their package.
    let schema = Path::new("../schema/messages.txt");
    println!("cargo::rerun-if-changed={}", schema.display());

    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let source = generate(&fs::read_to_string(schema)?)?;
    fs::write(out_dir.join("messages.rs"), source)?;
    Ok(())
}

/// Translates the lines `Name: field kind, field kind` to Rust.
fn generate(schema: &str) -> Result<String, Box<dyn Error>> {
    let mut source = String::new();
    for (index, line) in schema.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, fields) = line
            .split_once(':')
            .ok_or_else(|| format!("line {}: no `:` in `{line}`", index + 1))?;
        writeln!(source, "/// `{line}`")?;
        writeln!(source, "#[derive(Clone, Debug, PartialEq)]")?;
        writeln!(source, "pub struct {name} {{")?;
        let mut arguments = Vec::new();
        for field in fields.split(',') {
            let (field, kind) = field
                .trim()
                .split_once(' ')
                .ok_or_else(|| format!("line {}: `{field}` has no kind", index + 1))?;
            writeln!(source, "    /// A {kind}.")?;
            writeln!(source, "    pub {field}: {},", rust_type(kind)?)?;
            arguments.push(format!("self.{field}"));
        }
        writeln!(source, "}}\n")?;
        let places = "\\t{}".repeat(arguments.len());
        let values = arguments.join(", ");
        writeln!(source, "impl Message for {name} {{")?;
        writeln!(source, "    fn encode(&self) -> String {{")?;
        writeln!(source, "        format!(\"{name}{places}\", {values})")?;
        writeln!(source, "    }}\n}}\n")?;
    }
    Ok(source)
}

fn rust_type(kind: &str) -> Result<&'static str, String> {
    match kind {
        "text" => Ok("String"),
        "number" => Ok("u32"),
        "flag" => Ok("bool"),
        other => Err(format!("`{other}` is no kind: use text, number or flag")),
    }
}
