//! Runs attacks one after the other, each in a process of its own, and writes down what came of it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::panic;

use crate::plan::Plan;
use crate::sys;

/// Why an attack failed.
pub enum Failure {
    Errno(i32),
    Other(String),
}

/// What an attack got.
pub type Outcome = Result<String, Failure>;
pub type Attack = (&'static str, fn(&Plan) -> Outcome);

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.raw_os_error() {
            Some(number) => Failure::Errno(number),
            None => Failure::Other(error.to_string()),
        }
    }
}

pub fn failed(why: impl Into<String>) -> Failure {
    Failure::Other(why.into())
}

const TIMEOUT_S: &str = "timeout";

/// Run `attacks`; write `id outcome detail` with tabs between them, a line each, to `outcomes`.
pub fn run(plan: &Plan, attacks: &[Attack]) {
    let path = plan.out_dir.join("outcomes");
    let mut file = File::create(path).expect("outcomes");
    for (id, attack) in attacks {
        let said = apart(plan, *attack);
        writeln!(file, "{id}\t{said}").expect("outcomes");
    }
}

/// Run one attack in a child, for a minute at most.
pub fn apart(plan: &Plan, attack: fn(&Plan) -> Outcome) -> String {
    let mut ends = [0; 2];
    sys::done(unsafe { sys::pipe(ends.as_mut_ptr()) }).expect("a pipe");
    let (mut reader, mut writer) = (owned(ends[0]), owned(ends[1]));
    let pid = unsafe { sys::fork() };
    if pid == 0 {
        drop(reader);
        panic::set_hook(Box::new(|_| {}));
        let outcome = panic::catch_unwind(|| attack(plan)).unwrap_or(Err(failed("panicked")));
        let said = match outcome {
            Ok(got) => format!("done\t{}", plain(&got)),
            Err(Failure::Errno(number)) => format!("{number}\t"),
            Err(Failure::Other(why)) => format!("{}\t", plain(&why)),
        };
        let _ = writer.write_all(said.as_bytes());
        unsafe { sys::_exit(0) }
    }
    drop(writer);
    let watchdog = unsafe { sys::fork() };
    if watchdog == 0 {
        std::thread::sleep(std::time::Duration::from_secs(60));
        unsafe {
            sys::kill(pid, sys::SIGKILL);
            sys::_exit(0)
        }
    }
    let mut said = String::new();
    let mut status = 0;
    // A descendant may keep the pipe for ever: what the child itself says comes in one piece.
    let mut buffer = [0u8; 4096];
    if let Ok(size) = reader.read(&mut buffer) {
        said.push_str(&String::from_utf8_lossy(&buffer[..size]));
    }
    unsafe {
        sys::waitpid(pid, &mut status, 0);
        sys::kill(watchdog, sys::SIGKILL);
        sys::waitpid(watchdog, std::ptr::null_mut(), 0);
    }
    if said.is_empty() {
        return if status == sys::SIGKILL { format!("{TIMEOUT_S}\t") } else { format!("died\t{status}") };
    }
    said
}

/// Take the descriptor of `file` for a file again.
pub fn owned(descriptor: i32) -> File {
    unsafe { File::from_raw_fd(descriptor) }
}

fn plain(text: &str) -> String {
    let some: String = text.chars().take(400).collect();
    some.replace(['\t', '\n', '\r', '\0'], " ")
}
