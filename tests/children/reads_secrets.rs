// Tries to read secrets, and files that only look like them, in the workspace and in a home folder.
fn main() {
    let top = std::path::Path::new("..");
    let home = std::path::Path::new(env!("PLANTED_HOME"));
    for name in [
        "certs/prod.pem",
        "id.p12",
        "deploy/master.key",
        ".vault_pass",
        ".cargo/config.toml",
        "certs/ca.pem",
        "schema.txt",
    ] {
        let _ = std::fs::read(top.join(name));
    }
    for name in ["dotfiles/work", "data/model.bin", ".cargo/config.toml"] {
        let _ = std::fs::read(home.join(name));
    }
}
