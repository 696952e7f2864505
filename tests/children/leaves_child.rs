// Ends before its child does.
fn main() {
    if std::env::args().nth(1).is_some() {
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
    use std::process::Stdio;
    std::process::Command::new(std::env::current_exe().unwrap())
        .arg("daemon")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
}
