// Does something else with each variable of its environment.
use std::{env, fs, path::PathBuf, time::SystemTime};

fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    fs::write(out.join("always.rs"), "// always").unwrap();
    if let Ok(flavour) = env::var("FLAVOUR") {
        if flavour == "bitter" {
            panic!("nobody wants \u{1b}[2Jit\u{202e} bitter");
        }
        fs::write(out.join("ev\u{1b}[2J\u{202e}il.rs"), &flavour).unwrap();
        println!("cargo::rustc-cfg=flavoured");
        println!("cargo::rustc-env=TASTE={flavour}");
        let _ = fs::read("../flavours.txt");
    }
    let _ = env::var("ASKED_FOR_NOTHING");
    println!("cargo::rerun-if-env-changed=ONLY_SAID");
    println!("cargo::rustc-check-cfg=cfg(flavoured)");
    if env::var_os("RESTLESS").is_some() {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        fs::write(out.join("stamp"), now.to_string()).unwrap();
        fs::create_dir_all(out.join("tmp")).unwrap();
        fs::write(out.join(format!("tmp/{now}")), "").unwrap();
        println!("cargo::rustc-env=STAMP={now}");
    }
}
