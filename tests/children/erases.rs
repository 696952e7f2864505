// Sets cfg values that rustc's wrapper could take for options, which would remove a folder.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::create_dir_all(format!("{out}/build_script_x")).unwrap();
    let victim = format!(
        "{}/../precious",
        std::env::var("CARGO_MANIFEST_DIR").unwrap()
    );
    let up = "../".repeat(out.matches('/').count() + 1);
    for word in [
        &format!("--crate-name=build_script_x/{up}{victim}"),
        "--crate-type=bin",
        "--emit=link",
        &format!("--out-dir={out}"),
        "-Cextra-filename=",
    ] {
        println!("cargo::rustc-cfg={word}");
    }
}
