//! System calls that std does not make, declared by hand.

use std::ffi::CString;
use std::io;
use std::os::raw::{c_char, c_int, c_long, c_void};

pub const O_RDONLY: c_int = 0;
pub const O_WRONLY: c_int = 1;
pub const O_RDWR: c_int = 2;
pub const O_TRUNC: c_int = 0o1000;
pub const O_NOCTTY: c_int = 0o400;
#[cfg(target_arch = "x86_64")]
pub const O_DIRECTORY: c_int = 0o200_000;
#[cfg(not(target_arch = "x86_64"))]
pub const O_DIRECTORY: c_int = 0o40_000;
pub const SIGKILL: c_int = 9;
pub const SIGUSR1: c_int = 10;
pub const SIGSTOP: c_int = 19;

/// Numbers of the calls that have no function of their own in every libc.
#[cfg(target_arch = "x86_64")]
mod numbers {
    use std::os::raw::c_long;
    pub const CLONE: c_long = 56;
    pub const SHMGET: c_long = 29;
    pub const SHMCTL: c_long = 31;
    pub const PTRACE: c_long = 101;
    pub const SETXATTR: c_long = 188;
    pub const ADD_KEY: c_long = 248;
    pub const KEYCTL: c_long = 250;
    pub const MQ_OPEN: c_long = 240;
    pub const MQ_UNLINK: c_long = 241;
    pub const PERF_EVENT_OPEN: c_long = 298;
    pub const NAME_TO_HANDLE_AT: c_long = 303;
    pub const OPEN_BY_HANDLE_AT: c_long = 304;
    pub const PRLIMIT64: c_long = 302;
    pub const PROCESS_VM_READV: c_long = 310;
    pub const PROCESS_VM_WRITEV: c_long = 311;
    pub const SECCOMP: c_long = 317;
    pub const MEMFD_CREATE: c_long = 319;
    pub const BPF: c_long = 321;
    pub const USERFAULTFD: c_long = 323;
    pub const INOTIFY_INIT1: c_long = 294;
    pub const INOTIFY_ADD_WATCH: c_long = 254;
    pub const EXECVEAT: c_long = 322;
}
#[cfg(target_arch = "aarch64")]
mod numbers {
    use std::os::raw::c_long;
    pub const CLONE: c_long = 220;
    pub const SHMGET: c_long = 194;
    pub const SHMCTL: c_long = 195;
    pub const PTRACE: c_long = 117;
    pub const SETXATTR: c_long = 5;
    pub const ADD_KEY: c_long = 217;
    pub const KEYCTL: c_long = 219;
    pub const MQ_OPEN: c_long = 180;
    pub const MQ_UNLINK: c_long = 181;
    pub const PERF_EVENT_OPEN: c_long = 241;
    pub const NAME_TO_HANDLE_AT: c_long = 264;
    pub const OPEN_BY_HANDLE_AT: c_long = 265;
    pub const PRLIMIT64: c_long = 261;
    pub const PROCESS_VM_READV: c_long = 270;
    pub const PROCESS_VM_WRITEV: c_long = 271;
    pub const SECCOMP: c_long = 277;
    pub const MEMFD_CREATE: c_long = 279;
    pub const BPF: c_long = 280;
    pub const USERFAULTFD: c_long = 282;
    pub const INOTIFY_INIT1: c_long = 26;
    pub const INOTIFY_ADD_WATCH: c_long = 27;
    pub const EXECVEAT: c_long = 281;
}
pub use numbers::*;

pub const PIDFD_SEND_SIGNAL: c_long = 424;
pub const IO_URING_SETUP: c_long = 425;
pub const PIDFD_OPEN: c_long = 434;
pub const OPENAT2: c_long = 437;
pub const PIDFD_GETFD: c_long = 438;

extern "C" {
    pub fn syscall(number: c_long, ...) -> c_long;
    pub fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub fn openat(folder: c_int, path: *const c_char, flags: c_int, ...) -> c_int;
    pub fn close(descriptor: c_int) -> c_int;
    pub fn read(descriptor: c_int, buffer: *mut c_void, size: usize) -> isize;
    pub fn write(descriptor: c_int, buffer: *const c_void, size: usize) -> isize;
    pub fn pread(descriptor: c_int, buffer: *mut c_void, size: usize, at: i64) -> isize;
    pub fn truncate(path: *const c_char, length: i64) -> c_int;
    pub fn chmod(path: *const c_char, mode: u32) -> c_int;
    pub fn chown(path: *const c_char, user: u32, group: u32) -> c_int;
    pub fn utimensat(f: c_int, path: *const c_char, times: *const [i64; 4], flags: c_int) -> c_int;
    pub fn flock(descriptor: c_int, operation: c_int) -> c_int;
    pub fn pipe(ends: *mut c_int) -> c_int;
    pub fn fork() -> c_int;
    pub fn _exit(status: c_int) -> !;
    pub fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    pub fn kill(pid: c_int, signal: c_int) -> c_int;
    fn getppid() -> c_int;
    pub fn geteuid() -> u32;
    pub fn setsid() -> c_int;
    pub fn prctl(option: c_int, ...) -> c_int;
    pub fn ioctl(descriptor: c_int, request: u64, ...) -> c_int;
    pub fn fcntl(descriptor: c_int, command: c_int, ...) -> c_int;
    pub fn setpriority(which: c_int, who: u32, value: c_int) -> c_int;
    pub fn setrlimit(which: c_int, limit: *const [u64; 2]) -> c_int;
    pub fn unshare(flags: c_int) -> c_int;
    pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    pub fn connect(s: c_int, address: *const c_void, size: u32) -> c_int;
    pub fn bind(s: c_int, address: *const c_void, size: u32) -> c_int;
    pub fn listen(s: c_int, backlog: c_int) -> c_int;
    pub fn sendto(s: c_int, b: *const c_void, n: usize, f: c_int, a: *const c_void, l: u32)
        -> isize;
    pub fn recvmsg(s: c_int, message: *mut c_void, flags: c_int) -> isize;
}

pub fn c(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).expect("no NUL")
}

/// Turn what a call returned into a result.
pub fn done<T: Into<i64>>(returned: T) -> io::Result<i64> {
    let returned = returned.into();
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(returned)
}

/// Open `path`, and return the descriptor.
pub fn opened(path: &str, flags: c_int) -> io::Result<c_int> {
    Ok(done(unsafe { open(c(path).as_ptr(), flags, 0o666) })? as c_int)
}

/// Read what is there at once.
pub fn text(descriptor: c_int) -> io::Result<String> {
    let mut buffer = vec![0u8; 8192];
    let size = done(unsafe { read(descriptor, buffer.as_mut_ptr().cast(), buffer.len()) } as i64)?;
    buffer.truncate(size as usize);
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

static PARENT: std::sync::OnceLock<c_int> = std::sync::OnceLock::new();

/// Whoever started the build script: Cargo, or the supervisor. Children ask what their parent knew.
pub unsafe fn getppid_of_script() -> c_int {
    *PARENT.get_or_init(|| unsafe { getppid() })
}
