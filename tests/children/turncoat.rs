// Misbehaves and fails in its first run, and does nothing in later ones.
fn main() {
    let kept = format!("{}/seen", std::env::var("OUT_DIR").unwrap());
    if std::fs::metadata(&kept).is_err() {
        std::fs::write(&kept, "").unwrap();
        let _ = std::fs::write("../planted", "");
        std::process::exit(1);
    }
}
