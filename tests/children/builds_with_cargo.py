# Goes after runs_tools.py: has cargo fetch a package and git clone a repository.
os.makedirs(out + "/p/src")
open(out + "/p/src/lib.rs", "w").close()
manifest = '[package]\nname = "p"\nversion = "0.1.0"\n[workspace]\n'
manifest += '[dependencies]\nfoo = { version = "1", registry = "r" }\n'
open(out + "/p/Cargo.toml", "w").write(manifest)
run(
    bin + "cargo",
    "fetch",
    "--manifest-path",
    out + "/p/Cargo.toml",
    CARGO_HTTP_CAINFO=ca,
    CARGO_REGISTRIES_R_INDEX="sparse+" + url + "/index/",
    CARGO_HOME=out + "/home",
    RUSTC=bin + "rustc",
)
