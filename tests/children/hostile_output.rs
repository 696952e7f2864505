// Says names and values that a terminal would take for orders.
fn main() {
    let name: &std::ffi::OsStr = __NAME__;
    println!("cargo::warning=seen {}", std::env::var_os(name).is_some());
    println!("cargo::rustc-env=X=1\x1b[31m\u{202e}\"'$");
    println!("cargo::rustc-link-arg=-Wl,\x1b]0;t\x07--x\"]\u{202e}");
    println!("cargo::\x1b[31mnonsense\x07=\u{2028}");
    eprintln!("\x1b]0;talk\x07");
}
