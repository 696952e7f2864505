// Writes one line of 40 mebibytes to its error output.
use std::io::Write;
fn main() {
    let line = [b'x'; 1 << 20];
    for _ in 0..40 {
        std::io::stderr().write_all(&line).unwrap();
    }
}
