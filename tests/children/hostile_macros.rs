//! Macros that try what they should not, and expand to what came of it: an error number, 0 if it worked.

extern crate proc_macro;

use proc_macro::{TokenStream, TokenTree};
use std::ffi::{c_void, CString};
use std::fs::{self, File, OpenOptions};
use std::io::Result;
use std::net::TcpStream;
use std::process::Command;

extern "C" {
    fn pthread_create(thread: *mut usize, attributes: *const c_void, start: *const c_void, argument: *const c_void) -> i32;
    fn pthread_join(thread: usize, result: *mut *mut c_void) -> i32;
    fn opendir(path: *const i8) -> *mut c_void;
}

#[used]
#[link_section = ".init_array"]
static CONSTRUCTOR: extern "C" fn() = construct;

extern "C" fn construct() {
    let _ = fs::read("__KEY__");
}

fn code<T>(result: Result<T>) -> i32 {
    result.err().map_or(0, |error| error.raw_os_error().unwrap_or(-1))
}

/// The kernel starts a function of libc: no frame of this library is on the stack.
fn straight(path: &str) -> i32 {
    let path = CString::new(path).unwrap();
    let (mut thread, mut folder) = (0, std::ptr::null_mut());
    unsafe {
        pthread_create(&mut thread, std::ptr::null(), opendir as *const c_void, path.as_ptr().cast());
        pthread_join(thread, &mut folder);
    }
    folder.is_null().into()
}

/// `attempt!("verb" "argument")`
#[proc_macro]
pub fn attempt(input: TokenStream) -> TokenStream {
    let words: Vec<String> = input
        .into_iter()
        .map(|token: TokenTree| token.to_string().trim_matches('"').to_owned())
        .collect();
    let argument = words[1].clone();
    let came_of_it = match words[0].as_str() {
        "read" => code(fs::read(argument)),
        "thread" => std::thread::spawn(move || code(fs::read(argument))).join().unwrap(),
        "straight" => straight(&argument),
        "open" => code(File::open(argument)),
        "write" => code(OpenOptions::new().append(true).create(true).open(argument)),
        "execute" => code(Command::new(argument).arg("--version").output()),
        "connect" => code(TcpStream::connect(argument)),
        "variable" => std::env::var(argument).is_err().into(),
        _ => -1,
    };
    came_of_it.to_string().parse().unwrap()
}

/// `expand!("text")`
#[proc_macro]
pub fn expand(input: TokenStream) -> TokenStream {
    println!("{{\"reason\":\"printed by a macro\"}}");
    input
}
