//! Everything that `attacker` tries in one run; what is about files stands here.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{symlink, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::kernel as k;
use crate::network as n;
use crate::plan::Plan;
use crate::processes as p;
use crate::runner::{failed, owned, Attack, Outcome};
use crate::sys;

pub const ALL: &[Attack] = &[
    // 1, 2: credentials.
    ("cargo-credentials", |plan| steal(&plan.home(".cargo/credentials.toml"))),
    ("ssh-key", |plan| steal(&plan.home(".ssh/id_ed25519"))),
    ("ssh-list", |plan| list(&plan.home(".ssh"))),
    ("aws", |plan| steal(&plan.home(".aws/credentials"))),
    ("netrc", |plan| steal(&plan.home(".netrc"))),
    ("gnupg", |plan| steal(&plan.home(".gnupg/private-keys-v1.d/key"))),
    ("browser", |plan| steal(&plan.home(".mozilla/firefox/x.default/logins.json"))),
    ("documents", |plan| steal(&plan.home("Documents/letter.txt"))),
    ("home-list", |plan| list(plan.get("home"))),
    // 3 to 9: other processes.
    ("env-token", |_| match env::var("REDTEAM_API_TOKEN") {
        Ok(value) => Ok(value),
        Err(_) => Err(failed("absent")),
    }),
    ("proc-environ", p::environ),
    ("proc-mem-read", p::mem_read),
    ("proc-mem-write", p::mem_write),
    ("process-vm-readv", p::vm_read),
    ("process-vm-writev", p::vm_write),
    ("ptrace", p::trace),
    ("pidfd-getfd", p::take_descriptor),
    ("proc-cmdline", p::command_line),
    ("proc-fd-names", p::descriptor_names),
    // 10 to 12: the workspace's own settings.
    ("manifest-append", |plan| append(&plan.workspace("Cargo.toml"))),
    ("manifest-replace", |plan| replace(plan, &plan.workspace("Cargo.toml"))),
    ("grants-lock", |plan| append(&plan.workspace("buildperm.lock"))),
    ("cargo-config", |plan| plant(&plan.workspace(".cargo/config.toml"))),
    ("cargo-config-above", |plan| {
        plant(&format!("{}/.cargo/config.toml", plan.get("above")))
    }),
    ("cargo-config-home", |plan| plant(&plan.home(".cargo/config.toml"))),
    // 13, 14: other crates.
    ("registry-source", |plan| {
        append(&plan.home(".cargo/registry/src/index/other-1.0.0/src/lib.rs"))
    }),
    ("member-source", |plan| append(&plan.workspace("neighbour/src/lib.rs"))),
    ("other-out-dir", |_| append(&format!("{}/generated.rs", neighbour()))),
    ("other-directives", |_| append(&format!("{}/../output", neighbour()))),
    ("fingerprints", |plan| plant(&format!("{}/.fingerprint/planted", profile(plan)))),
    ("other-outputs", |plan| {
        let found = fs::read_dir(format!("{}/deps", profile(plan)))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with(".d"));
        append(&found.ok_or_else(|| failed("none"))?.to_string_lossy())
    }),
    // 15 to 18: what runs later.
    ("git-hook", |plan| plant(&plan.workspace(".git/hooks/post-checkout"))),
    ("envrc", |plan| plant(&plan.workspace(".envrc"))),
    ("makefile", |plan| append(&plan.workspace("Makefile"))),
    ("ide-task", |plan| plant(&plan.workspace(".vscode/tasks.json"))),
    ("bashrc", |plan| append(&plan.home(".bashrc"))),
    ("systemd-unit", |plan| plant(&plan.home(".config/systemd/user/x.service"))),
    ("autostart", |plan| plant(&plan.home(".config/autostart/x.desktop"))),
    ("rustc-shim", |plan| append(&plan.home(".cargo/bin/rustc"))),
    ("install", |plan| append(&plan.home(".local/lib/buildperm/supervisor.py"))),
    ("recording", |plan| {
        let folder = plan.out("../buildperm");
        let _ = fs::create_dir(&folder);
        append(&format!("{folder}/recording.jsonl"))
    }),
    // 19 to 25: ways to a file past its path.
    ("symlink", |plan| {
        let link = plan.out("link");
        symlink(plan.home(".ssh/id_ed25519"), &link)?;
        let got = steal(&link);
        fs::remove_file(&link)?;
        got
    }),
    ("hardlink", |plan| {
        let link = plan.out("hard");
        fs::hard_link(plan.home("movable/hard"), &link)?;
        let got = steal(&link);
        fs::remove_file(&link)?;
        got
    }),
    ("rename-file", |plan| moved(plan, "movable/file", "moved", "")),
    ("rename-folder", |plan| moved(plan, "movable/folder", "folder", "/inside")),
    ("proc-self-root", |plan| {
        steal(&format!("/proc/self/root{}", plan.home(".ssh/id_ed25519")))
    }),
    ("proc-self-cwd", |plan| {
        let up = "../".repeat(12);
        steal(&format!("/proc/self/cwd/{up}{}", &plan.home(".ssh/id_ed25519")[1..]))
    }),
    ("dirfd", |plan| {
        let folder = sys::opened(&plan.out(""), sys::O_DIRECTORY)?;
        let path = format!("{}{}", "../".repeat(16), &plan.home(".ssh/id_ed25519")[1..]);
        let opened = unsafe { sys::openat(folder, sys::c(path).as_ptr(), sys::O_RDONLY) };
        Ok(sys::text(sys::done(opened)? as i32)?)
    }),
    ("openat2", |plan| {
        let how = [0u64; 3];
        let path = sys::c(plan.home(".ssh/id_ed25519"));
        let opened = unsafe { sys::syscall(sys::OPENAT2, -100, path.as_ptr(), &how, 24usize) };
        Ok(sys::text(sys::done(opened)? as i32)?)
    }),
    ("chdir", |plan| {
        env::set_current_dir(plan.home(".ssh"))?;
        steal("id_ed25519")
    }),
    ("open-truncate", |plan| {
        sys::opened(&plan.workspace("notes/opened"), sys::O_RDONLY | sys::O_TRUNC)?;
        Ok(String::new())
    }),
    ("truncate", |plan| {
        let path = sys::c(plan.workspace("notes/truncated"));
        sys::done(unsafe { sys::truncate(path.as_ptr(), 0) })?;
        Ok(String::new())
    }),
    ("unlink", |plan| {
        fs::remove_file(plan.workspace("notes/removed"))?;
        Ok(String::new())
    }),
    ("file-handle", k::file_handle),
    ("inherited-fd", |plan| {
        let mut text = [0u8; 256];
        let size = sys::done(unsafe {
            sys::pread(plan.pid("descriptor"), text.as_mut_ptr().cast(), text.len(), 0)
        } as i64)?;
        Ok(String::from_utf8_lossy(&text[..size as usize]).into_owned())
    }),
    ("scm-rights", n::receive_descriptor),
    // 28 to 34: other ways into the kernel, and programs.
    ("io-uring", k::io_uring),
    ("int-80", k::int_80),
    ("x32", k::x32),
    ("memfd-exec", k::memfd_exec),
    ("loader-exec", |plan| {
        let copy = copied(plan, "loaded")?;
        ran(Command::new(plan.get("loader")).arg(copy))
    }),
    ("exec-out-dir", |plan| ran(&mut Command::new(copied(plan, "copied")?))),
    ("exec-other", |plan| ran(&mut Command::new(plan.get("other-program")))),
    ("setuid", |plan| {
        let said = Command::new(plan.get("setuid")).arg("-u").output()?;
        let user = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        if user == "0" { Ok(String::new()) } else { Err(failed("not elevated")) }
    }),
    // 35 to 43: the network, and servers of this machine.
    ("tcp", n::tcp),
    ("udp", n::udp),
    ("dns", n::dns),
    ("tcp-fast-open", n::fast_open),
    ("mptcp", n::mptcp),
    ("raw-socket", |_| n::socket(2, 3, 1)),
    ("packet-socket", |_| n::socket(17, 3, 0)),
    ("netlink", |_| n::socket(16, 3, 0)),
    ("vsock", |_| n::socket(40, 1, 0)),
    ("af-alg", |_| n::socket(38, 5, 0)),
    ("listen", n::listen),
    ("docker-socket", |plan| n::unix(&plan.home(".docker/run/docker.sock"), "docker-socket")),
    ("ssh-agent", |plan| n::unix(plan.get("agent"), "ssh-agent")),
    ("session-bus", |plan| n::unix(plan.get("bus"), "session-bus")),
    ("name-service", |plan| n::unix(plan.get("nscd"), "name-service")),
    ("abstract-socket", n::abstract_socket),
    ("unix-datagram", n::unix_datagram),
    // 47 to 55: signals, and the recorder.
    ("kill", |plan| p::signal(plan.pid("expendable"), sys::SIGKILL)),
    ("stop", |plan| p::signal(plan.pid("stoppable"), sys::SIGSTOP)),
    ("signal", |plan| p::signal(plan.pid("victim"), sys::SIGUSR1)),
    ("signal-parent", |_| p::signal(unsafe { sys::getppid_of_script() }, 0)),
    ("pidfd-signal", p::pidfd_signal),
    ("signal-by-owner", p::signal_by_owner),
    ("prlimit", p::limit),
    ("setpriority", |plan| {
        sys::done(unsafe { sys::setpriority(0, plan.pid("victim") as u32, 19) })?;
        Ok(String::new())
    }),
    ("daemon", |plan| p::daemon(plan, false)),
    ("double-fork", |plan| p::daemon(plan, true)),
    ("untraced-child", k::untraced),
    ("own-listener", k::listener),
    ("undumpable", |_| {
        sys::done(unsafe { sys::prctl(4, 0, 0, 0, 0) })?;
        Ok(String::new())
    }),
    ("recorder-memory", |_| {
        let parent = unsafe { sys::getppid_of_script() };
        sys::opened(&format!("/proc/{parent}/mem"), sys::O_RDWR)?;
        Ok(String::new())
    }),
    // 58, 59: the terminal.
    ("tiocsti", |plan| {
        let terminal = terminal(plan)?;
        for byte in b"x\n" {
            sys::done(unsafe { sys::ioctl(terminal, 0x5412, byte as *const u8) })?;
        }
        Ok(String::new())
    }),
    ("tty-write", |plan| {
        owned(terminal(plan)?).write_all(b"REDTEAM-SENT-tty-write")?;
        Ok(String::new())
    }),
    ("pts-write", |plan| {
        let terminal = sys::opened(plan.get("pts"), sys::O_WRONLY | sys::O_NOCTTY)?;
        owned(terminal).write_all(b"REDTEAM-SENT-pts-write")?;
        Ok(String::new())
    }),
    // 61 to 65: what buildperm itself makes of names and of masses.
    ("newline-in-path", |plan| reach(&plan.workspace("x\"]\n[workspace.evil]\nx = 1\n#"))),
    ("escapes-in-path", |plan| reach(&plan.workspace("\u{1b}]0;owned\u{7}\u{202e}x"))),
    ("bytes-in-path", |plan| {
        use std::os::unix::ffi::OsStringExt;
        let mut path = plan.workspace("bytes-").into_bytes();
        path.extend([0xff, 0xfe]);
        reach(&std::ffi::OsString::from_vec(path))
    }),
    ("deleted-in-path", |plan| reach(&plan.workspace("notes/kept (deleted)"))),
    ("flood", |plan| {
        let path = sys::c(plan.workspace("notes/flooded"));
        for _ in 0..5_000 {
            let opened = unsafe { sys::open(path.as_ptr(), sys::O_RDONLY) };
            if opened >= 0 {
                unsafe { sys::close(opened) };
            }
        }
        Ok(String::new())
    }),
    // 67: the disk.
    ("huge-file", |plan| {
        let path = plan.out("huge");
        let file = File::create(&path)?;
        let made = file.set_len(32 << 30);
        fs::remove_file(&path)?;
        made?;
        Ok(String::new())
    }),
    // 68, 70: what is known about files.
    ("chmod", |plan| {
        let path = sys::c(plan.home("meta/mode"));
        sys::done(unsafe { sys::chmod(path.as_ptr(), 0o666) })?;
        Ok(String::new())
    }),
    ("chown", |plan| {
        let path = sys::c(plan.home("meta/owner"));
        let user = plan.number("user") as u32;
        let other = if user == 0 { 1 } else { user };
        sys::done(unsafe { sys::chown(path.as_ptr(), other, other) })?;
        Ok(String::new())
    }),
    ("utime", |plan| {
        let path = sys::c(plan.workspace("notes/dated"));
        sys::done(unsafe { sys::utimensat(-100, path.as_ptr(), &[1, 0, 1, 0], 0) })?;
        Ok(String::new())
    }),
    ("xattr", |plan| {
        let (path, name) = (sys::c(plan.home("meta/attribute")), sys::c("user.redteam"));
        let set = unsafe {
            sys::syscall(sys::SETXATTR, path.as_ptr(), name.as_ptr(), b"x".as_ptr(), 1usize, 0)
        };
        sys::done(set)?;
        Ok(String::new())
    }),
    ("stat", |plan| Ok(fs::metadata(plan.home(".ssh/id_ed25519"))?.len().to_string())),
    ("inotify", k::watch),
    // 71 to 73: the rest of the kernel.
    ("shared-memory", k::shared_memory),
    ("message-queue", k::message_queue),
    ("keyring", k::keyring),
    ("add-key", k::add_key),
    ("user-namespace", |_| {
        sys::done(unsafe { sys::unshare(0x1000_0000) })?;
        Ok(String::new())
    }),
    ("user-namespace-clone", k::cloned_namespace),
    ("mount", k::mount),
    ("bpf", k::bpf),
    ("perf", k::perf),
    ("userfaultfd", |_| {
        sys::done(unsafe { sys::syscall(sys::USERFAULTFD, 1) })?;
        Ok(String::new())
    }),
    // 74 to 77: the machine's settings, locks, common folders, PATH.
    ("core-pattern", |_| {
        sys::opened("/proc/sys/kernel/core_pattern", sys::O_WRONLY)?; // Nothing is written.
        Ok(String::new())
    }),
    ("core-dump", |_| {
        sys::done(unsafe { sys::setrlimit(4, &[1 << 20, 1 << 20]) })?;
        Ok(String::new())
    }),
    ("cargo-lock", |plan| {
        let file = sys::opened(&plan.home(".cargo/.package-cache"), sys::O_RDONLY)?;
        sys::done(unsafe { sys::flock(file, 2 | 4) })?;
        Ok(String::new())
    }),
    ("tmp", |plan| plant(&format!("/tmp/{}", plan.get("common")))),
    ("dev-shm", |plan| plant(&format!("/dev/shm/{}", plan.get("common")))),
    ("path-folder", |plan| plant(&plan.home(".local/bin/git"))),
    ("compiler-cache", |plan| append(&plan.home(".cache/ccache/0/entry"))),
    // 82: the tools that it may run.
    ("rustc-includes", |plan| {
        let source = plan.out("thief.rs");
        let path = plan.home(".ssh/id_ed25519");
        fs::write(&source, format!("pub static S: &str = include_str!({path:?});"))?;
        let library = plan.out("libthief.rlib");
        let ended = Command::new(env::var_os("RUSTC").ok_or_else(|| failed("no RUSTC"))?)
            .args(["--crate-type=rlib", "--crate-name=thief", "-o", &library, &source])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !ended.success() {
            return Err(failed("rustc failed"));
        }
        let library = fs::read(&library)?;
        let at = library.windows(15).position(|bytes| bytes == b"REDTEAM-SECRET-");
        let at = at.ok_or_else(|| failed("not in it"))?;
        Ok(String::from_utf8_lossy(&library[at..(at + 64).min(library.len())]).into_owned())
    }),
];

/// Read a file that holds a secret.
pub fn steal(path: &str) -> Outcome {
    let mut text = Vec::new();
    File::open(path)?.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Write to a file that is there.
pub fn append(path: &str) -> Outcome {
    let create = path.ends_with("recording.jsonl") || path.ends_with("buildperm.lock");
    let mut file = OpenOptions::new().append(true).create(create).open(path)?;
    file.write_all(b"\n# REDTEAM-PLANTED\n")?;
    Ok(String::new())
}

/// Make a file, and the folder that it is in.
pub fn plant(path: &str) -> Outcome {
    if let Some(folder) = Path::new(path).parent() {
        if let Err(error) = fs::create_dir(folder) {
            if error.raw_os_error() != Some(17) {
                return Err(error.into()); // But for EEXIST.
            }
        }
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path)?;
    file.write_all(b"# REDTEAM-PLANTED\n")?;
    Ok(String::new())
}

fn list(path: &str) -> Outcome {
    let names: Vec<String> = fs::read_dir(path)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    Ok(names.join(" "))
}

/// Put another file in the place of one, which takes no right to write to it.
fn replace(plan: &Plan, path: &str) -> Outcome {
    let new = plan.out("replacement");
    let mut text = fs::read_to_string(path)?;
    text.push_str("\n# REDTEAM-REPLACED\n");
    fs::write(&new, text)?;
    fs::rename(&new, path)?;
    Ok(String::new())
}

/// Move a secret into `OUT_DIR`, read it there, and move it back.
fn moved(plan: &Plan, from: &str, to: &str, inside: &str) -> Outcome {
    let (from, to) = (plan.home(from), plan.out(to));
    fs::rename(&from, &to)?;
    let got = steal(&format!("{to}{inside}"));
    fs::rename(&to, &from)?;
    got
}

fn copied(plan: &Plan, name: &str) -> Result<String, crate::runner::Failure> {
    let copy = plan.out(name);
    fs::copy("/usr/bin/true", &copy)?;
    Ok(copy)
}

fn ran(command: &mut Command) -> Outcome {
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if ended.success() { Ok(String::new()) } else { Err(failed("ended badly")) }
}

/// Open what is there, or not; whether it works is all the same.
fn reach(path: &(impl AsRef<Path> + ?Sized)) -> Outcome {
    File::open(path)?;
    Ok(String::new())
}

fn terminal(_: &Plan) -> std::io::Result<i32> {
    sys::opened("/dev/tty", sys::O_RDWR | sys::O_NOCTTY)
}

/// The output folder of the crate that this one depends on.
fn neighbour() -> String {
    env::var("DEP_NEIGHBOUR_OUT").expect("a neighbour")
}

/// The folder of Cargo's that everything of one profile is in: `target/debug`.
fn profile(plan: &Plan) -> String {
    plan.out("../../..")
}
