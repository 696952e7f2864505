// Writes lines of a mebibyte to its output, without end.
use std::io::Write;
fn main() {
    let line = [b'x'; 1 << 20];
    let mut out = std::io::stdout();
    loop {
        out.write_all(&line).unwrap();
        out.write_all(b"\n").unwrap();
    }
}
