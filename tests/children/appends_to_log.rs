// Writes a line to a log, as a build script without a stub does.
use std::io::Write;
fn main() {
    let mut log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(std::env::var("SCRIPT_LOG").unwrap())
        .unwrap();
    writeln!(log, "unguarded").unwrap();
}
