// Makes many attempts of a kind that nobody is asked about, and then one that matters.
fn main() {
    for (length, number) in [(4000, 7_000), (400, 20), (40, 20), (4, 20)] {
        for at in 0..number {
            let target = format!("{at:0>length$}");
            let _ = std::os::unix::fs::symlink(target, "../.git/index.lock");
        }
    }
    let _ = std::fs::write(format!("../{:p>200}", "planted"), "");
}
