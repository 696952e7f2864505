//! Attacks on other processes of the same user.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::runner::{failed, Outcome};
use crate::sys;

const MARK: &[u8] = b"REDTEAM-WRITTEN";

pub fn environ(_: &Plan) -> Outcome {
    let parent = unsafe { sys::getppid_of_script() };
    let text = fs::read(format!("/proc/{parent}/environ"))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let at = text.find("REDTEAM_API_TOKEN=").ok_or_else(|| failed("not in it"))?;
    Ok(text[at..].split('\0').next().unwrap_or_default().to_owned())
}

pub fn mem_read(plan: &Plan) -> Outcome {
    let memory = File::open(format!("/proc/{}/mem", plan.pid("victim")))?;
    let mut text = [0u8; 64];
    memory.read_exact_at(&mut text, plan.number("address") as u64)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

pub fn mem_write(plan: &Plan) -> Outcome {
    let path = format!("/proc/{}/mem", plan.pid("victim"));
    let memory = OpenOptions::new().write(true).open(path)?;
    memory.write_all_at(MARK, plan.number("writable") as u64)?;
    Ok(String::new())
}

pub fn vm_read(plan: &Plan) -> Outcome {
    let mut text = [0u8; 64];
    let mine = [text.as_mut_ptr() as u64, 64];
    let theirs = [plan.number("address") as u64, 64];
    let pid = plan.pid("victim");
    let read = unsafe { sys::syscall(sys::PROCESS_VM_READV, pid, &mine, 1, &theirs, 1, 0) };
    sys::done(read)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

pub fn vm_write(plan: &Plan) -> Outcome {
    let mine = [MARK.as_ptr() as u64, MARK.len() as u64];
    let theirs = [plan.number("writable") as u64 + 64, MARK.len() as u64];
    let pid = plan.pid("victim");
    let written = unsafe { sys::syscall(sys::PROCESS_VM_WRITEV, pid, &mine, 1, &theirs, 1, 0) };
    sys::done(written)?;
    Ok(String::new())
}

pub fn trace(plan: &Plan) -> Outcome {
    // PTRACE_SEIZE; ends with the process that did it.
    sys::done(unsafe { sys::syscall(sys::PTRACE, 0x4206, plan.pid("victim"), 0usize, 0usize) })?;
    Ok(String::new())
}

pub fn take_descriptor(plan: &Plan) -> Outcome {
    let victim = sys::done(unsafe { sys::syscall(sys::PIDFD_OPEN, plan.pid("victim"), 0) })?;
    let taken = unsafe {
        sys::syscall(sys::PIDFD_GETFD, victim as i32, plan.pid("victim-descriptor"), 0)
    };
    let taken = sys::done(taken)? as i32;
    let mut text = [0u8; 64];
    sys::done(unsafe { sys::pread(taken, text.as_mut_ptr().cast(), 64, 0) } as i64)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

pub fn command_line(plan: &Plan) -> Outcome {
    let text = fs::read(format!("/proc/{}/cmdline", plan.pid("victim")))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let at = text.find("REDTEAM-SECRET-").ok_or_else(|| failed("not in it"))?;
    Ok(text[at..].to_owned())
}

pub fn descriptor_names(plan: &Plan) -> Outcome {
    let descriptor = plan.pid("victim-descriptor");
    let name = fs::read_link(format!("/proc/{}/fd/{descriptor}", plan.pid("victim")))?;
    Ok(name.to_string_lossy().into_owned())
}

pub fn signal(pid: i32, number: i32) -> Outcome {
    sys::done(unsafe { sys::kill(pid, number) })?;
    Ok(String::new())
}

pub fn pidfd_signal(plan: &Plan) -> Outcome {
    let victim = sys::done(unsafe { sys::syscall(sys::PIDFD_OPEN, plan.pid("victim"), 0) })?;
    let number = sys::SIGUSR1 + 2; // SIGUSR2
    sys::done(unsafe {
        sys::syscall(sys::PIDFD_SEND_SIGNAL, victim as i32, number, 0usize, 0)
    })?;
    Ok(String::new())
}

/// Have the kernel send it: the owner of a pipe is told when there is something to read.
pub fn signal_by_owner(plan: &Plan) -> Outcome {
    let mut ends = [0; 2];
    sys::done(unsafe { sys::pipe(ends.as_mut_ptr()) })?;
    unsafe {
        sys::done(sys::fcntl(ends[0], 10, 23))?; // F_SETSIG: SIGURG, which nobody else sends
        sys::done(sys::fcntl(ends[0], 8, plan.pid("victim")))?; // F_SETOWN
        sys::done(sys::fcntl(ends[0], 4, 0o20000))?; // F_SETFL: O_ASYNC
        sys::done(sys::write(ends[1], b"x".as_ptr().cast(), 1) as i64)?;
    }
    Ok(String::new()) // Nobody tells the sender; whether it came is seen from outside.
}

pub fn limit(plan: &Plan) -> Outcome {
    let limit = [1u64, 1u64];
    let pid = plan.pid("limited");
    // RLIMIT_NPROC: harmless for the process itself.
    sys::done(unsafe { sys::syscall(sys::PRLIMIT64, pid, 6, &limit, 0usize) })?;
    Ok(String::new())
}

/// Live on after the build: with a lock that whoever looks for it finds taken.
pub fn daemon(plan: &Plan, twice: bool) -> Outcome {
    let name = if twice { "double-fork" } else { "daemon" };
    let (lock, stop) = (plan.out(&format!("{name}.lock")), plan.out("stop"));
    let child = sys::done(unsafe { sys::fork() })?;
    if child == 0 {
        unsafe {
            for descriptor in 0..64 {
                sys::close(descriptor);
            }
            sys::setsid();
            if twice && sys::fork() != 0 {
                sys::_exit(0);
            }
        }
        if let Ok(file) = sys::opened(&lock, sys::O_RDWR | 0o100) {
            unsafe { sys::flock(file, 2) };
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(120) && fs::metadata(&stop).is_err() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        unsafe { sys::_exit(0) }
    }
    if twice {
        unsafe { sys::waitpid(child as i32, std::ptr::null_mut(), 0) };
    }
    let began = Instant::now();
    while fs::metadata(&lock).is_err() {
        if began.elapsed() > Duration::from_secs(30) {
            return Err(failed("it did not come up"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = std::io::stdout().flush();
    Ok(String::new())
}
