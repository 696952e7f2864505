// Reads files, runs a program and looks at a variable; some of the names are hostile.
fn main() {
    for file in ["a.txt", "deep/b.txt", "ev\u{1b}[2J\u{202e}il"] {
        let _ = std::fs::read(format!("../schema/{file}"));
    }
    let _ = std::fs::read("../other.txt");
    let _ = std::process::Command::new("perl")
        .args(["-e", "1", "ev\u{1b}[2J\u{202e}il"])
        .status();
    let _ = std::env::var("RELEASE_CHANNEL");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../schema/a.txt");
    println!("cargo::rustc-link-arg=-Wl,--build-id=none");
}
