// Makes a hundred programs with very long names, which a recording lists at its end.
use std::os::unix::fs::PermissionsExt;
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read("../elsewhere.txt");
    // A recording ends with the names of programs, here of some hundred thousand bytes.
    let mut folder = std::env::var("OUT_DIR").unwrap();
    for _ in 0..4 {
        folder += &format!("/{}", "\u{1}".repeat(250));
    }
    std::fs::create_dir_all(&folder).unwrap();
    for each in 0..100 {
        let program = format!("{folder}/{each}");
        std::fs::write(&program, "#!/bin/sh").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    }
}
