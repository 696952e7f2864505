// Reads a file of the workspace only where OPT_LEVEL is 0: for the target, not for the host.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("OPT_LEVEL").as_deref() == Ok("0") {
        let _ = std::fs::read("../elsewhere.txt");
    }
}
