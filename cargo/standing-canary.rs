//! Tries what a hostile build script would, and notes what came of it: see `workflow/always_on_status.py`.
use std::{env, fs, net, time};

fn main() {
    let read = fs::read(include_str!("key")).is_ok();
    let address = include_str!("address").parse().expect("an address");
    let connected = net::TcpStream::connect_timeout(&address, time::Duration::from_secs(2)).is_ok();
    let told = format!("read {read}\nconnect {connected}\nend\n");
    fs::write(format!("{}/attempts", env::var("OUT_DIR").unwrap()), told).unwrap();
}
