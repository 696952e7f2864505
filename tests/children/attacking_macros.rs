//! Macros that try what they must not; each attempt is a line on standard error: its name, `done`.
extern crate proc_macro;
use proc_macro::TokenStream;
use std::ffi::{CString, c_char, c_int, c_void};
use std::fmt::Debug;
use std::path::Path;
use std::{env, fs, io, net, process, thread};

type Routine = unsafe extern "C" fn(*const c_char) -> *mut c_void;
unsafe extern "C" {
    fn getppid() -> c_int;
    fn kill(process: c_int, signal: c_int) -> c_int;
    fn opendir(path: *const c_char) -> *mut c_void;
    fn pthread_create(id: *mut usize, how: *const c_void, run: Routine, with: *const c_char) -> c_int;
    fn pthread_join(id: usize, result: *mut *mut c_void) -> c_int;
}

const AROUND: &str = "__AROUND__";

fn tell<T, E: Debug>(name: &str, outcome: Result<T, E>) {
    eprintln!("attempt {name}: {}", if outcome.is_ok() { "done" } else { "refused" });
}

fn around(name: &str) -> String {
    format!("{AROUND}/{name}")
}

extern "C" fn constructor() {
    tell("constructor", fs::read(around("constructor")));
}

extern "C" fn destructor() {
    tell("destructor", fs::read(around("destructor")));
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;
#[used]
#[unsafe(link_section = ".fini_array")]
static DESTRUCTOR: extern "C" fn() = destructor;

/// No code of the library is on the stack of this thread.
fn list_by_a_thread() -> Result<(), ()> {
    let folder = CString::new(around("folder")).unwrap();
    let (mut id, mut found) = (0, std::ptr::null_mut());
    unsafe {
        pthread_create(&mut id, std::ptr::null(), opendir, folder.as_ptr());
        pthread_join(id, &mut found);
    }
    if found.is_null() { Err(()) } else { Ok(()) }
}

fn append(path: &str) -> io::Result<fs::File> {
    fs::OpenOptions::new().append(true).open(path)
}

/// `input`: a path in the target directory for each file to be changed.
#[proc_macro]
pub fn attack(input: TokenStream) -> TokenStream {
    tell("read", fs::read(around("read")));
    tell("thread", thread::spawn(|| fs::read(around("thread"))).join().unwrap());
    tell("list", list_by_a_thread());
    tell("variable", env::var("ATTACKED_TOKEN"));
    tell("write", fs::write(around("write"), "x"));
    tell("run", process::Command::new("/bin/true").status());
    tell("connect", net::TcpStream::connect("127.0.0.1:__PORT__"));
    let parent = unsafe { getppid() };
    tell("environment", fs::read(format!("/proc/{parent}/environ")));
    tell("memory", fs::File::open(format!("/proc/{parent}/mem")));
    tell("signal", if unsafe { kill(parent, 0) } == 0 { Ok(()) } else { Err(()) });
    tell("source", append(&format!("{}/src/lib.rs", env::var("CARGO_MANIFEST_DIR").unwrap())));
    for path in input.to_string().split(',') {
        let path = path.trim().trim_matches('"');
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        tell(&format!("append to {name}"), append(path));
    }
    println!("{}", r#"{"reason":"build-finished","success":true}"#);
    TokenStream::new()
}

#[proc_macro]
pub fn nothing(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
