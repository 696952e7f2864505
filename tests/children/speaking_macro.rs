// A macro that prints what it is told to print, and removes recordings where it is told to.
use std::io::Write;
#[proc_macro]
pub fn speak(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    if let Ok(said) = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/said")) {
        std::io::stdout().write_all(&said).unwrap();
    }
    if std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/wipe")).exists() {
        let out = std::env::var("OUT_DIR").unwrap();
        let _ = std::fs::remove_dir_all(format!("{out}/../buildperm"));
    }
    proc_macro::TokenStream::new()
}
