// Has a child that never ends, and does not end itself.
fn main() {
    if std::env::args().nth(1).is_none() {
        std::process::Command::new(std::env::current_exe().unwrap())
            .arg("child")
            .spawn()
            .unwrap();
    } else {
        std::fs::write(std::env::var("OUT_DIR").unwrap() + "/up", "").unwrap();
    }
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}
