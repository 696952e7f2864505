//! What the attacker knows about the machine: whoever attacks in earnest would guess it.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::PathBuf;

pub struct Plan {
    pub package: String,
    pub out_dir: PathBuf,
    values: HashMap<String, String>,
}

impl Plan {
    /// Read `plan` in the package's folder: `key=value`, a line each.
    pub fn load() -> Plan {
        let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("a folder"));
        let text = fs::read_to_string(folder.join("plan")).expect("a plan");
        Plan {
            package: env::var("CARGO_PKG_NAME").expect("a name"),
            out_dir: PathBuf::from(env::var_os("OUT_DIR").expect("OUT_DIR")),
            values: text
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    pub fn get(&self, key: &str) -> &str {
        self.values.get(key).unwrap_or_else(|| panic!("the plan lacks {key}"))
    }

    pub fn number(&self, key: &str) -> i64 {
        self.get(key).parse().expect("a number")
    }

    pub fn pid(&self, key: &str) -> i32 {
        self.number(key) as i32
    }

    /// A path below the victim's home folder.
    pub fn home(&self, below: &str) -> String {
        format!("{}/{below}", self.get("home"))
    }

    /// A path below the workspace.
    pub fn workspace(&self, below: &str) -> String {
        format!("{}/{below}", self.get("workspace"))
    }

    /// A path below `OUT_DIR`.
    pub fn out(&self, below: &str) -> String {
        format!("{}/{below}", self.out_dir.display())
    }
}
