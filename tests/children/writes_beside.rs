// Reads through a link, and writes into OUT_DIR and beside its package.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    assert!(std::fs::read_to_string("linked/data").is_ok());
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made", "made").unwrap();
    let _ = std::fs::write("../__INTO__/made", "made");
}
