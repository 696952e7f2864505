// Reads a file of the workspace where the feature `bad` is on.
fn main() {
    if std::env::var_os("CARGO_FEATURE_BAD").is_some() {
        let _ = std::fs::read("../elsewhere.txt");
    }
}
