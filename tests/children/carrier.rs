// Unpacks a program that it brings along, and runs it.
use std::os::unix::fs::PermissionsExt;

fn main() {
    let stage2 = std::path::PathBuf::from(std::env::var_os("OUT_DIR").unwrap()).join("stage2");
    std::fs::write(&stage2, "#!/bin/sh\necho ran > __MARKER__\n").unwrap();
    std::fs::set_permissions(&stage2, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _ = std::process::Command::new(&stage2).status();
}
