// Sets cfg values that look like options of rustc, as an honest crate may.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let values = r#"values("--crate-name=x", "@x", "-", "ä b")"#;
    println!("cargo::rustc-check-cfg=cfg(mark, {values})");
    for value in ["--crate-name=x", "@x", "-", "ä b"] {
        println!("cargo::rustc-cfg=mark=\"{value}\"");
    }
    println!("cargo::rustc-env=FLAGS=--crate-type=bin @x");
}
