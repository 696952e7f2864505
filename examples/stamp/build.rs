//! Stamps the program with where it comes from: the revision, the date and the release channel.
//!
//! Three usual sources: `git`, a variable that every build tool knows (`SOURCE_DATE_EPOCH`, always
//! passed on) and one that only this project knows (`RELEASE_CHANNEL`, which has to be granted).

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rustc-env=STAMP_REVISION={}", revision());
    println!("cargo::rustc-env=STAMP_SECONDS={}", seconds());
    println!("cargo::rustc-env=STAMP_CHANNEL={}", channel());
}

/// The short hash of the commit that is checked out, or `unknown` without git or a repository.
fn revision() -> String {
    let package = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let Some(workspace) = Path::new(&package).parent() else {
        return "unknown".to_string();
    };
    let head = workspace.join(".git/HEAD");
    if head.exists() {
        println!("cargo::rerun-if-changed={}", head.display());
    }
    // `rev-parse` only reads. (`git describe --dirty` would also write the index.) The ceiling keeps
    // git from taking a repository further up, to which this workspace does not belong, for ours.
    let output = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .env(
            "GIT_CEILING_DIRECTORIES",
            workspace.parent().unwrap_or(workspace),
        )
        .current_dir(workspace)
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_string()
        }
        _ => "unknown".to_string(),
    }
}

/// Seconds since 1970 for reproducible builds: <https://reproducible-builds.org/specs/source-date-epoch/>.
fn seconds() -> u64 {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(0)
}

/// What this build is meant for; `dev` unless `RELEASE_CHANNEL` says otherwise in plain letters.
fn channel() -> String {
    println!("cargo::rerun-if-env-changed=RELEASE_CHANNEL");
    env::var("RELEASE_CHANNEL")
        .ok()
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()))
        .unwrap_or_else(|| "dev".to_string())
}
