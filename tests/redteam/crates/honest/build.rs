//! What honest build scripts do: every kind of tool once, each in a folder of its own in OUT_DIR.
//!
//! The files that they make there are compared with those of a build that nobody watches, so
//! that no folder's name may get into them.

use std::env;
use std::ffi::{c_char, c_int, c_uint, c_void, CStr, CString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

type Done = Result<(), String>;

const WORKLOADS: &[(&str, fn(&Place) -> Done)] = &[
    ("cc", cc),
    ("cmake", cmake),
    ("configure", configure),
    ("perl", perl),
    ("python", python),
    ("git", git),
    ("pkg-config", pkg_config),
    ("make", make),
    ("libclang", libclang),
    ("rustc", rustc),
    ("autocfg", autocfg),
    ("files", files),
];

/// Where one workload is at work.
struct Place {
    native: PathBuf,
    out: PathBuf,
}

fn main() {
    let native = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("native");
    let top = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let mut said = String::new();
    for (name, workload) in WORKLOADS {
        let place = Place { native: native.clone(), out: top.join(name) };
        let _ = fs::remove_dir_all(&place.out);
        fs::create_dir(&place.out).expect("a folder");
        let outcome = workload(&place).err().unwrap_or_default().replace(['\n', '\t'], " ");
        said.push_str(&format!("{name}\t{outcome}\n"));
    }
    fs::write(top.join("outcomes"), said).expect("outcomes");
    println!("cargo::rerun-if-changed=native");
}

impl Place {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.out).stdin(Stdio::null());
        command
    }

    /// Run a command line in the folder; return what it prints.
    fn run(&self, program: &str, words: &[&str]) -> Result<String, String> {
        finish(self.command(program).args(words))
    }

    fn source(&self, name: &str) -> String {
        self.native.join(name).to_str().expect("UTF-8").to_owned()
    }

    fn keep(&self, name: &str, text: impl AsRef<[u8]>) -> Done {
        fs::write(self.out.join(name), text).map_err(|error| format!("{name}: {error}"))
    }

    /// Copy a source here, so that it is compiled by a name without folders.
    fn fetch(&self, names: &[&str]) -> Done {
        for name in names {
            fs::copy(self.source(name), self.out.join(name)).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    }
}

fn finish(command: &mut Command) -> Result<String, String> {
    let ended = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !ended.status.success() {
        let talk = String::from_utf8_lossy(&ended.stderr).into_owned();
        return Err(format!("{command:?}: {}: {talk}", ended.status));
    }
    let mut said = String::from_utf8_lossy(&ended.stdout).into_owned();
    if !ended.stderr.is_empty() {
        said.push_str(&String::from_utf8_lossy(&ended.stderr));
    }
    Ok(said)
}

fn cc(place: &Place) -> Done {
    place.fetch(&["answer.c", "answer.h", "main.c"])?;
    place.run("cc", &["-O2", "-g0", "-c", "answer.c", "-o", "answer.o"])?;
    place.run("ar", &["crsD", "libanswer.a", "answer.o"])?;
    place.run("cc", &["-O2", "main.c", "-L.", "-lanswer", "-o", "main"])?;
    place.run("ld", &["-r", "-o", "merged.o", "answer.o"])?;
    let said = finish(&mut place.command(place.out.join("main").to_str().unwrap()))?;
    if said == "42\n" { Ok(()) } else { Err(format!("the program said {said:?}")) }
}

fn cmake(place: &Place) -> Done {
    place.run("cmake", &[&place.source(""), "-DCMAKE_BUILD_TYPE=Release"])?;
    place.run("cmake", &["--build", ".", "--parallel", "2"])?;
    Ok(())
}

fn configure(place: &Place) -> Done {
    place.run("sh", &[&place.source("configure"), &place.source("")])?;
    Ok(())
}

fn perl(place: &Place) -> Done {
    let text = r#"use strict; use File::Temp; use File::Spec; my $t = File::Temp->new;
        print $t "x"; open(my $f, ">", "made"); print $f join(",", map { $_ * $_ } 1..5);"#;
    place.run("perl", &["-e", text])?;
    Ok(())
}

fn python(place: &Place) -> Done {
    let text = "import hashlib, json, subprocess, tempfile, concurrent.futures as futures\n\
        with tempfile.TemporaryFile() as file: file.write(b'x')\n\
        said = list(futures.ThreadPoolExecutor(2).map(lambda n: n * n, range(5)))\n\
        open('made', 'w').write(json.dumps([said, hashlib.sha256(b'x').hexdigest()]))\n";
    place.run("python3", &["-c", text])?;
    Ok(())
}

fn git(place: &Place) -> Done {
    let package = env::var("CARGO_MANIFEST_DIR").unwrap();
    let mut said = String::new();
    for words in [
        &["rev-parse", "--short", "HEAD"][..],
        &["describe", "--always", "--dirty", "--tags"],
        &["log", "-1", "--format=%ct %s"],
        &["status", "--porcelain", "--untracked-files=no"],
    ] {
        said.push_str(&finish(place.command("git").current_dir(&package).args(words))?);
    }
    place.keep("described", said)
}

fn pkg_config(place: &Place) -> Done {
    let said = place.run("pkg-config", &["--libs", "--cflags", "--modversion", "zlib"])?;
    place.keep("flags", said)
}

fn make(place: &Place) -> Done {
    let flags = env::var("CARGO_MAKEFLAGS").map_err(|_| "no CARGO_MAKEFLAGS")?;
    let mut command = place.command("make");
    command.args(["-f", &place.source("jobs.mk")]).env("MAKEFLAGS", flags);
    let said = finish(&mut command)?;
    if said.contains("jobserver unavailable") || said.contains("warning") {
        return Err(said);
    }
    Ok(())
}

fn rustc(place: &Place) -> Done {
    let rustc = env::var("RUSTC").map_err(|_| "no RUSTC")?;
    let version = place.run(&rustc, &["-vV"])?;
    place.keep("version", version)?;
    let target = env::var("TARGET").unwrap();
    place.run(&rustc, &["--print", "cfg", "--target", &target])?;
    place.keep("probe.rs", "fn main() { println!(\"{}\", 6 * 7); }")?;
    place.run(&rustc, &["probe.rs", "--edition=2021", "-o", "probe"])?;
    let said = finish(&mut place.command(place.out.join("probe").to_str().unwrap()))?;
    fs::remove_file(place.out.join("probe")).map_err(|error| error.to_string())?;
    place.keep("said", said)?;
    let cargo = env::var("CARGO").map_err(|_| "no CARGO")?;
    let version = place.run(&cargo, &["--version"])?;
    place.keep("cargo", version)
}

/// As autocfg does it: sources on standard input, many of which do not compile.
fn autocfg(place: &Place) -> Done {
    use std::io::Write;
    let rustc = env::var("RUSTC").map_err(|_| "no RUSTC")?;
    let mut found = String::new();
    for (name, source) in [
        ("u128", "pub trait Probe { fn probe(_: u128) {} }"),
        ("nonsense", "pub use std::nonsense;"),
        ("let_else", "pub fn f(x: Option<u8>) -> u8 { let Some(x) = x else { return 0 }; x }"),
    ] {
        let mut child = place
            .command(&rustc)
            .args(["--crate-name", "probe", "--crate-type=lib", "--emit=metadata", "--out-dir"])
            .arg(&place.out)
            .args(["--edition=2021", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let written = child.stdin.take().unwrap().write_all(source.as_bytes());
        written.map_err(|error| error.to_string())?;
        let ended = child.wait().map_err(|error| error.to_string())?;
        found.push_str(&format!("{name}={}\n", ended.success()));
    }
    let _ = fs::remove_file(place.out.join("libprobe.rmeta"));
    place.keep("cfgs", found)
}

/// What scripts do with their own files: modes, dates, links, renames between folders.
fn files(place: &Place) -> Done {
    use std::os::unix::fs::{symlink, PermissionsExt};
    let text = "set -e; umask 022; mkdir -p a/b; echo x > a/one; chmod 640 a/one; ln a/one a/two\n\
        touch -t 202001010000 a/one; cp -p a/one a/b/three; mv a/b/three a/b/four; ln -s b a/link\n\
        install -m 755 a/one a/b/five; tar cf t.tar a --sort=name --owner=0 --group=0\n\
        mkdir x; tar xpf t.tar -C x; gzip -n9 t.tar; chmod u+w,o-r x/a/one; rm -r a/b\n";
    place.run("sh", &["-c", text])?;
    fs::rename(place.out.join("x"), place.out.join("y")).map_err(|error| error.to_string())?;
    symlink("y", place.out.join("z")).map_err(|error| error.to_string())?;
    let mode = fs::metadata(place.out.join("y/a/one")).unwrap().permissions().mode() & 0o7777;
    fs::remove_file(place.out.join("t.tar.gz")).map_err(|error| error.to_string())?;
    place.keep("mode", format!("{mode:o}"))
}

/// libclang's `CXCursor` and `CXString`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Cursor(c_int, c_int, [*const c_void; 3]);
#[repr(C)]
#[derive(Clone, Copy)]
struct Text(*const c_void, c_uint);

extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

type Visitor = extern "C" fn(Cursor, Cursor, *mut c_void) -> c_int;
type Spelling = extern "C" fn(Cursor) -> Text;
type Content = extern "C" fn(Text) -> *const c_char;

struct Seen {
    names: Vec<String>,
    spelling: Spelling,
    content: Content,
}

extern "C" fn visit(cursor: Cursor, _: Cursor, seen: *mut c_void) -> c_int {
    let seen = unsafe { &mut *seen.cast::<Seen>() };
    let text = (seen.content)((seen.spelling)(cursor));
    let name = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    seen.names.push(format!("{} {name}", cursor.0));
    1 // CXChildVisit_Continue
}

/// As bindgen does it: ask llvm-config where libclang is, load it, and walk through a header.
fn libclang(place: &Place) -> Done {
    use std::mem::transmute;
    let folder = place.run("llvm-config", &["--libdir"]).or_else(|why| {
        let others = ["/usr/lib/llvm-14/lib", "/usr/lib/llvm-19/lib", "/usr/lib64"];
        let found = others.iter().find(|path| Path::new(path).join("libclang.so").exists());
        found.map(|path| (*path).to_owned()).ok_or(why)
    })?;
    let path = CString::new(format!("{}/libclang.so", folder.trim())).unwrap();
    let header = CString::new(place.source("answer.h")).unwrap();
    unsafe {
        let library = dlopen(path.as_ptr(), 2);
        if library.is_null() {
            return Err(format!("cannot load {path:?}"));
        }
        let symbol = |name: &str| dlsym(library, CString::new(name).unwrap().as_ptr());
        let create: extern "C" fn(c_int, c_int) -> *mut c_void =
            transmute(symbol("clang_createIndex"));
        let parse: extern "C" fn(
            *mut c_void,
            *const c_char,
            *const c_void,
            c_int,
            *const c_void,
            c_uint,
            c_uint,
        ) -> *mut c_void = transmute(symbol("clang_parseTranslationUnit"));
        let top: extern "C" fn(*mut c_void) -> Cursor =
            transmute(symbol("clang_getTranslationUnitCursor"));
        let children: extern "C" fn(Cursor, Visitor, *mut c_void) -> c_uint =
            transmute(symbol("clang_visitChildren"));
        let none = std::ptr::null();
        let unit = parse(create(0, 0), header.as_ptr(), none, 0, none, 0, 0);
        if unit.is_null() {
            return Err("cannot parse the header".to_owned());
        }
        let mut seen = Seen {
            names: Vec::new(),
            spelling: transmute(symbol("clang_getCursorSpelling")),
            content: transmute(symbol("clang_getCString")),
        };
        children(top(unit), visit, (&mut seen as *mut Seen).cast());
        place.keep("names", seen.names.join("\n"))
    }
}
