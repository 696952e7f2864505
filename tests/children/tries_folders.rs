// Tries to read, to list and to run paths, and says which it could.
use std::{fs, process::Command};
fn tell(what: &str, path: &str, done: bool) {
    println!(
        "cargo::warning={what} {path} {}",
        if done { "done" } else { "refused" }
    );
}
fn main() {
    let reads: &[&str] = &__READS__;
    let lists: &[&str] = &__LISTS__;
    let runs: &[&str] = &__RUNS__;
    for path in reads {
        tell("read", path, fs::read(path).is_ok());
    }
    for path in lists {
        tell("list", path, fs::read_dir(path).is_ok());
    }
    for path in runs {
        tell("run", path, Command::new(path).arg("-vV").output().is_ok());
    }
    let rustc = std::env::var("RUSTC").unwrap();
    tell(
        "run",
        "RUSTC",
        Command::new(rustc).arg("-vV").output().is_ok(),
    );
}
