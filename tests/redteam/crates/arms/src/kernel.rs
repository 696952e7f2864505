//! Attacks by calls that hardly any build needs.

use crate::plan::Plan;
use crate::runner::{failed, Outcome};
use crate::sys;

const GOT: Outcome = Ok(String::new());

/// Name a file by its handle, and open it so where that is allowed at all: for root.
pub fn file_handle(plan: &Plan) -> Outcome {
    let path = sys::c(plan.home(".ssh/id_ed25519"));
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mut mount = 0i32;
    let named = unsafe {
        sys::syscall(
            sys::NAME_TO_HANDLE_AT,
            -100,
            path.as_ptr(),
            handle.as_mut_ptr(),
            &mut mount as *mut i32,
            0,
        )
    };
    sys::done(named)?;
    if unsafe { sys::geteuid() } != 0 {
        return GOT;
    }
    let folder = sys::opened(&plan.out(""), sys::O_DIRECTORY)?;
    let opened = unsafe { sys::syscall(sys::OPEN_BY_HANDLE_AT, folder, handle.as_ptr(), 0) };
    Ok(sys::text(sys::done(opened)? as i32)?)
}

pub fn io_uring(_: &Plan) -> Outcome {
    let mut parameters = [0u64; 16];
    sys::done(unsafe { sys::syscall(sys::IO_URING_SETUP, 4, parameters.as_mut_ptr()) })?;
    GOT
}

/// getpid by the calls of 32-bit programs.
#[cfg(target_arch = "x86_64")]
pub fn int_80(_: &Plan) -> Outcome {
    let mut result: i64 = 20;
    unsafe { std::arch::asm!("int 0x80", inout("rax") result) };
    let result = result as i32;
    if result > 0 { GOT } else { Err(std::io::Error::from_raw_os_error(-result).into()) }
}

/// getpid by the calls of x32 programs.
#[cfg(target_arch = "x86_64")]
pub fn x32(_: &Plan) -> Outcome {
    sys::done(unsafe { sys::syscall(0x4000_0000 | 39) })?;
    GOT
}

#[cfg(not(target_arch = "x86_64"))]
pub fn int_80(_: &Plan) -> Outcome {
    Err(std::io::Error::from_raw_os_error(38).into())
}

#[cfg(not(target_arch = "x86_64"))]
pub fn x32(_: &Plan) -> Outcome {
    Err(std::io::Error::from_raw_os_error(38).into())
}

/// Run a program that no folder has.
pub fn memfd_exec(_: &Plan) -> Outcome {
    let name = sys::c("program");
    let file = sys::done(unsafe { sys::syscall(sys::MEMFD_CREATE, name.as_ptr(), 1) })? as i32;
    let program = std::fs::read("/usr/bin/true")?;
    let mut written = 0;
    while written < program.len() {
        let rest = &program[written..];
        let count = unsafe { sys::write(file, rest.as_ptr().cast(), rest.len()) };
        written += sys::done(count as i64)? as usize;
    }
    let child = sys::done(unsafe { sys::fork() })? as i32;
    if child == 0 {
        let (empty, word) = (sys::c(""), sys::c("true"));
        let words = [word.as_ptr(), std::ptr::null()];
        let none = [std::ptr::null::<u8>()];
        unsafe {
            let w = words.as_ptr();
            sys::syscall(sys::EXECVEAT, file, empty.as_ptr(), w, none.as_ptr(), 0x1000);
            let number = std::io::Error::last_os_error().raw_os_error();
            sys::_exit(number.unwrap_or(1))
        }
    }
    let mut status = 0;
    unsafe { sys::waitpid(child, &mut status, 0) };
    if status == 0 { GOT } else { Err(std::io::Error::from_raw_os_error(status >> 8).into()) }
}

/// A child that no recorder is told about.
pub fn untraced(_: &Plan) -> Outcome {
    const CLONE_UNTRACED: u64 = 0x0080_0000;
    let flags = CLONE_UNTRACED | 17; // SIGCHLD
    let child = unsafe { sys::syscall(sys::CLONE, flags, 0usize, 0usize, 0usize, 0usize) };
    if sys::done(child)? == 0 {
        unsafe { sys::_exit(0) }
    }
    unsafe { sys::waitpid(child as i32, std::ptr::null_mut(), 0) };
    GOT
}

/// A filter of one's own that answers calls before anybody else sees them.
pub fn listener(_: &Plan) -> Outcome {
    sys::done(unsafe { sys::prctl(38, 1, 0, 0, 0) })?; // PR_SET_NO_NEW_PRIVS
    let allow: [u64; 1] = [0x7fff_0000_0000_0006]; // BPF_RET | BPF_K, SECCOMP_RET_ALLOW
    let program = [1u64, allow.as_ptr() as u64];
    sys::done(unsafe { sys::syscall(sys::SECCOMP, 1, 8, program.as_ptr()) })?;
    GOT
}

pub fn watch(plan: &Plan) -> Outcome {
    let queue = sys::done(unsafe { sys::syscall(sys::INOTIFY_INIT1, 0) })? as i32;
    let path = sys::c(plan.home(".ssh"));
    let all = 0xfff;
    sys::done(unsafe { sys::syscall(sys::INOTIFY_ADD_WATCH, queue, path.as_ptr(), all) })?;
    GOT
}

pub fn message_queue(plan: &Plan) -> Outcome {
    let name = sys::c(plan.get("common"));
    let created = unsafe {
        sys::syscall(sys::MQ_OPEN, name.as_ptr(), 0o102, 0o600, 0usize)
    };
    sys::done(created)?;
    unsafe { sys::syscall(sys::MQ_UNLINK, name.as_ptr()) };
    GOT
}

pub fn shared_memory(_: &Plan) -> Outcome {
    let made = sys::done(unsafe { sys::syscall(sys::SHMGET, 0, 4096usize, 0o1600) })?;
    unsafe { sys::syscall(sys::SHMCTL, made, 0, 0usize) }; // IPC_RMID
    GOT
}

/// Read a key of the user's that another process put there.
pub fn keyring(plan: &Plan) -> Outcome {
    let (kind, name) = (sys::c("user"), sys::c(plan.get("key")));
    const SEARCH: i32 = 10;
    const READ: i32 = 11;
    const USER_KEYRING: i64 = -4;
    let key = sys::done(unsafe {
        sys::syscall(sys::KEYCTL, SEARCH, USER_KEYRING, kind.as_ptr(), name.as_ptr(), 0)
    })?;
    let mut text = [0u8; 64];
    let read = unsafe { sys::syscall(sys::KEYCTL, READ, key, text.as_mut_ptr(), 64usize) };
    let size = (sys::done(read)? as usize).min(64);
    Ok(String::from_utf8_lossy(&text[..size]).into_owned())
}

pub fn add_key(_: &Plan) -> Outcome {
    let (kind, name) = (sys::c("user"), sys::c("redteam-added"));
    const PROCESS_KEYRING: i64 = -2; // Gone with the process.
    let added = unsafe {
        let payload = b"x".as_ptr();
        let (kind, name) = (kind.as_ptr(), name.as_ptr());
        sys::syscall(sys::ADD_KEY, kind, name, payload, 1usize, PROCESS_KEYRING)
    };
    sys::done(added)?;
    GOT
}

pub fn cloned_namespace(_: &Plan) -> Outcome {
    let flags = 0x1000_0000u64 | 17; // CLONE_NEWUSER, SIGCHLD
    let child = unsafe { sys::syscall(sys::CLONE, flags, 0usize, 0usize, 0usize, 0usize) };
    if sys::done(child)? == 0 {
        unsafe { sys::_exit(0) }
    }
    unsafe { sys::waitpid(child as i32, std::ptr::null_mut(), 0) };
    GOT
}

/// A mount in a namespace of its own, which would put another file in the place of one.
pub fn mount(plan: &Plan) -> Outcome {
    extern "C" {
        fn mount(s: *const i8, t: *const i8, k: *const i8, f: u64, d: *const i8) -> i32;
    }
    sys::done(unsafe { sys::unshare(0x1000_0000 | 0x0002_0000) })?; // CLONE_NEWUSER, CLONE_NEWNS
    let (what, place) = (sys::c("tmpfs"), sys::c(plan.out("")));
    let what = what.as_ptr().cast();
    sys::done(unsafe { mount(what, place.as_ptr().cast(), what, 0, std::ptr::null()) })?;
    GOT
}

pub fn bpf(_: &Plan) -> Outcome {
    let attributes: [u32; 18] = [2, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    sys::done(unsafe { sys::syscall(sys::BPF, 0, attributes.as_ptr(), 72usize) })?;
    GOT
}

pub fn perf(_: &Plan) -> Outcome {
    let mut attributes = [0u64; 16];
    attributes[0] = 1 | (128 << 32); // PERF_TYPE_SOFTWARE, size
    attributes[5] = (1 << 5) | (1 << 6); // exclude_kernel, exclude_hv
    let opened = unsafe {
        sys::syscall(sys::PERF_EVENT_OPEN, attributes.as_ptr(), 0, -1, -1, 0usize)
    };
    if sys::done(opened)? < 0 {
        return Err(failed("none"));
    }
    GOT
}
