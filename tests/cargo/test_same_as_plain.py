"""A script that is held gets from its surroundings what it would get from plain Cargo.

What differs is in one table here, with the reason, and nothing else differs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildperm.rules import baseline

pytestmark = pytest.mark.slow

RUNTIMES = ("portable", "full")

_HIDDEN = "TOOLS_OF_NOBODY"  # A variable that nothing of a tool chain has anything to do with.

DIFFERENT = {
    "env HOME": "Homes hold keys: this one is empty.",
    "env XDG_CONFIG_HOME": "Likewise: what is below HOME by default is found there.",
    "env TMPDIR": "Others see and fill /tmp.",
    "env TERM": "What a script prints is no terminal's business.",
    "env GIT_CONFIG_": "The user's own settings of Git are in the home.",
    "env GIT_OPTIONAL_LOCKS": "Git would write to the repository.",
    "env GIT_DISCOVERY_ACROSS_FILESYSTEM": "In `full` each granted folder is a mount.",
    "env PATH": "The real tool chain is before rustup's proxies, which take locks and install.",
    "env CARGO_TARGET_DIR": "Cargo keeps it locked: another one would wait for ever.",
    "env RUSTUP_TOOLCHAIN_SOURCE": "Of rustup alone, unstable.",
    f"env {_HIDDEN}": "Variables may hold secrets: who reads this one is told that he may not.",
    "env OLDPWD": "A shell's, likewise.",
    "env _": "A shell's: which program it has started.",
    "arg 0": "The target directory is another one.",
    "exe": "A stub is in its place.",
    "status Name": "Likewise.",
    "session": "There is no controlling terminal: a script could type there.",
    "limits Max core file size": "A core would hold the script's memory.",
    "limits Max file size": "A limit of buildperm's own: `limits`.",
    "limits Max open files": "Folders come behind them, unless `limits` says how many.",
    "status Cap": "What root could do with the machine is taken away.",
    "status NoNewPrivs": "Programs with a setuid bit must give nothing back.",
    "status Seccomp": "That is how it is held.",
}
"""What differs, by how a line of the script begins."""

DUMP = r"""
use std::fmt::Write as _;
use std::{env, fs, io::Read, path::Path};

extern "C" {
    fn umask(mask: u32) -> u32;
    fn getpriority(which: i32, who: u32) -> i32;
    fn getuid() -> u32;
    fn geteuid() -> u32;
    fn getgid() -> u32;
    fn getsid(pid: i32) -> i32;
    fn getpid() -> i32;
    fn gethostname(name: *mut u8, len: usize) -> i32;
    fn isatty(fd: i32) -> i32;
}

fn main() {
    let mut out = String::new();
    for (name, value) in env::vars_os() {
        writeln!(out, "env {}={}", name.display(), value.display()).unwrap();
    }
    for (index, argument) in env::args_os().enumerate() {
        writeln!(out, "arg {index}={}", argument.display()).unwrap();
    }
    writeln!(out, "exe={:?}", env::current_exe()).unwrap();
    writeln!(out, "cwd={:?}", env::current_dir()).unwrap();
    writeln!(out, "processors={:?}", std::thread::available_parallelism()).unwrap();
    unsafe {
        let mask = umask(0o22);
        umask(mask);
        writeln!(out, "umask={mask:o}").unwrap();
        writeln!(out, "nice={}", getpriority(0, 0)).unwrap();
        writeln!(out, "ids={} {} {}", getuid(), geteuid(), getgid()).unwrap();
        writeln!(out, "session={}", getsid(0) == getpid()).unwrap();
        let mut name = [0u8; 256];
        gethostname(name.as_mut_ptr(), 256);
        writeln!(out, "host={}", String::from_utf8_lossy(&name).trim_end_matches('\0')).unwrap();
        for fd in 0..3 {
            writeln!(out, "terminal {fd}={}", isatty(fd)).unwrap();
        }
    }
    for fd in 0..64 {
        if let Ok(target) = fs::read_link(format!("/proc/self/fd/{fd}")) {
            let target = target.display().to_string();
            writeln!(out, "fd {fd}={}", target.split('[').next().unwrap()).unwrap();
        }
    }
    for name in ["limits", "status", "cgroup"] {
        for line in fs::read_to_string(format!("/proc/self/{name}")).unwrap().lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            writeln!(out, "{name} {}", words.join(" ")).unwrap();
        }
    }
    let mut text = Vec::new();
    writeln!(out, "stdin={:?} {text:?}", std::io::stdin().read_to_end(&mut text)).unwrap();
    for path in ["/", "/etc", "/opt", "/tmp", "/usr/local", "/home", "/root", "/srv", "/var"] {
        writeln!(out, "exists {path}={}", Path::new(path).exists()).unwrap();
    }
    fs::write(Path::new(&env::var_os("OUT_DIR").unwrap()).join("dump"), out).unwrap();
}
"""

_OF_STATUS = re.compile(  # The others count what happens at that moment, or name a process.
    r"status (Name|Umask|Uid|Gid|Groups|Sig(Blk|Ign|Cgt)|Cap\w+|NoNewPrivs|Seccomp|Cpus_allowed"
    r"|Mems_allowed|CoreDumping|THP_enabled)\b"
)
_INHERITED = sum(1 << number - 1 for number in (1, 2, 3, 32, 33))  # As `SigIgn` has them.


@dataclass(frozen=True, slots=True)
class Script:
    """A package with a build script, and how it is run."""

    folder: Path
    extra: dict[str, str]

    def plain(self) -> None:
        """Run it without buildperm."""
        target = self.folder / "target"
        subprocess.run(
            ["cargo", "build", "-q"],
            cwd=self.folder,
            env=self.extra | {"CARGO_TARGET_DIR": str(target / "plain")},
            stdin=subprocess.DEVNULL,
            check=True,
        )

    def held(self, runtime: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it with buildperm."""
        return subprocess.run(
            [sys.executable, "-m", "buildperm", *words],
            cwd=self.folder,
            env=self.extra | {"BUILDPERM_RUNTIME": runtime},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def said(self, how: str, name: str = "dump") -> list[str]:
        """Return the lines that it has left in OUT_DIR: `how` is plain, ci or learn."""
        below = "plain" if how == "plain" else f"buildperm/{how}"
        (found,) = (self.folder / "target" / below).glob(f"debug/**/out/{name}")
        # Where it is built is no difference.
        return found.read_text().replace(f"/target/{below}/", "/TARGET/").splitlines()


_KEPT = ("PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "LANG")
_TOOLS = {
    "CARGO_NET_OFFLINE": "true",
    "CARGO_BUILD_JOBS": "1",
    "CARGO_PROFILE_DEV_DEBUG": "0",
    "CC": "cc",
    "CFLAGS": "-O1",
    "TZ": "UTC",
    "SOURCE_DATE_EPOCH": "1700000000",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
    "TERM": "xterm",
    "USER": "somebody",
    "XDG_CONFIG_HOME": "/nowhere",
}

Write = Callable[..., Script]


@pytest.fixture
def script(tmp_path: Path) -> Write:
    def make(text: str, extra: dict[str, str] | None = None, grants: str = "") -> Script:
        folder = tmp_path / "space"
        (folder / "src").mkdir(parents=True)
        (folder / "src/lib.rs").touch()
        (folder / "build.rs").write_text(text)
        manifest = '[package]\nname = "alike"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n'
        (folder / "Cargo.toml").write_text(manifest + grants)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return Script(folder, {**kept, **_TOOLS, **(extra or {})})

    return make


def _is_alike(line: str) -> bool:
    return not line.startswith("status ") or bool(_OF_STATUS.match(line))


def _comparable(lines: Iterable[str]) -> set[str]:
    """Return what a script says, but for signals that whoever runs these tests may have ignored.

    Those are SIGHUP, SIGINT and SIGQUIT, as nohup(1) and shells do, and the two of glibc's own,
    which posix_spawn(3) leaves ignored and no program can use. A script gets none of them ignored.
    """
    found = set()
    for line in filter(_is_alike, lines):
        name, _, ignored = line.partition("SigIgn: ")
        known = f"{name}SigIgn: {int(ignored, 16) & ~_INHERITED:x}" if ignored else line
        found.add(known)
    return found


def test_surroundings_are_those_of_plain_cargo(script: Write) -> None:
    held = script(DUMP, {_HIDDEN: "x"})
    held.plain()
    plain = _comparable(held.said("plain"))
    assert f"env {_HIDDEN}=x" in plain

    used = set()
    for runtime in RUNTIMES:
        told = held.held(runtime, "ci", "--", "build", "-q")
        assert told.returncode == 0, told.stderr
        found = _comparable(held.said("ci"))
        other = []
        for line in sorted(plain ^ found):
            reason = next((each for each in DIFFERENT if line.startswith(each)), "")
            used.add(reason)
            if not reason:
                other.append(("plain" if line in plain else runtime, line))
        assert not other

    assert {"env HOME", "env TMPDIR", "status Seccomp", f"env {_HIDDEN}"} <= used


LOOKS = r"""
use std::{env, fs, path::Path};

fn main() {
    let mut out = String::new();
    for path in fs::read_to_string("looks").unwrap().lines() {
        let how = match fs::metadata(path) {
            Ok(about) if about.is_dir() => fs::read_dir(path).map(|_| "listed"),
            Ok(about) if about.is_file() => fs::read(path).map(|_| "read"),
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        let told = match how {
            Ok(how) => how.into(),
            // Not there, or not to be opened: both is refused, and recorded as that.
            Err(_) => "refused".to_string(),
        };
        out += &format!("{path} {told}\n");
    }
    fs::write(Path::new(&env::var_os("OUT_DIR").unwrap()).join("dump"), out).unwrap();
}
"""


def _existing(pattern: str) -> list[str]:
    """Return what of this machine a pattern is about, within reason."""
    folder, slash, _ = pattern.partition("/**")
    if "*" in folder or not folder.startswith("/"):
        return []
    if not slash:
        return [folder] if os.path.exists(folder) else []
    found = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names[:4]]
    return [path for path in found if os.access(path, os.R_OK)][:12]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_learning_refuses_the_habits_that_are_refused_later(script: Write, runtime: str) -> None:
    looks = [path for pattern in baseline.QUIET for path in _existing(pattern)]
    looks = [path for path in looks if not path.startswith(("/dev/pts", "/dev/tty"))]
    assert {"/", "/etc", "/proc", "/tmp"} <= set(looks)
    held = script(LOOKS)
    (held.folder / "looks").write_text("\n".join([*looks, "/etc/passwd"]))

    held.held(runtime, "learn", "--no-tui")
    held.held(runtime, "ci")

    learnt, enforced = held.said("learn"), held.said("ci")
    assert learnt == enforced
    assert "/etc/passwd read" in enforced
    assert "/etc refused" in enforced


ASKS = r"""
use std::{env, fs, path::Path};

fn main() {
    let mut out = String::new();
    for path in fs::read_to_string("looks").unwrap().lines() {
        let path = Path::new(path);
        let about = fs::metadata(path);
        let kind = about.as_ref().map(|it| (it.is_dir(), it.is_file())).ok();
        let size = about.ok().filter(|it| it.is_file()).map(|it| it.len());
        let itself = fs::symlink_metadata(path).is_ok();
        let link = fs::read_link(path).ok();
        let real = fs::canonicalize(path).ok();
        let there = path.exists();
        out += &format!("{path:?} {there} {kind:?} {size:?} {itself} {link:?} {real:?}\n");
    }
    fs::write(Path::new(&env::var_os("OUT_DIR").unwrap()).join("dump"), out).unwrap();
}
"""


def _ask(held: Script, beside: Path) -> list[str]:
    """Have a script ask about places that it was not granted; return those that are there."""
    (beside / "data/deep").mkdir(parents=True)
    (beside / "data/table.csv").write_text("1,2,3\n")
    (beside / "data/deep/more.csv").write_text("4\n")
    (beside / "link").symlink_to("data")
    (beside / "to-system").symlink_to("/usr/share")
    (beside / "data/leads").symlink_to("deep/more.csv")
    (beside / ".config").mkdir()
    (beside / ".config/tool.toml").write_text("x = 1\n")
    names = ["data", "data/table.csv", "data/deep", "data/deep/more.csv", "link", "link/table.csv"]
    names += ["to-system", "to-system/doc", "data/leads", ".config/tool.toml"]
    there = [str(beside / name) for name in names]
    nowhere = [str(beside / "none"), "/usr/share/none", f"{beside}/data/table.csv/none"]
    shown = ["/usr/share", "/etc/passwd", str(held.folder / "src/lib.rs"), "/home", "/srv", "/tmp"]
    (held.folder / "looks").write_text("\n".join([*there, *nowhere, *shown]))
    return there


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_looks_tell_what_they_tell_plain_cargo_or_fail(
    script: Write, tmp_path: Path, runtime: str
) -> None:
    held = script(ASKS)
    there = _ask(held, tmp_path / "beside")
    held.plain()

    told = held.held(runtime, "ci")

    differing = [line for line in held.said("plain") if line not in held.said("ci")]
    assert [line.split()[0].strip('"') for line in differing] == (
        there if runtime == "full" else []
    )
    assert told.returncode == (20 if differing else 0), told.stderr
    named = [path for path in there if path in told.stdout or os.path.realpath(path) in told.stdout]
    assert named == (there if differing else [])


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("other", RUNTIMES)
def test_what_one_runtime_has_learnt_of_looks_holds_in_the_other(
    script: Write, tmp_path: Path, runtime: str, other: str
) -> None:
    held = script(ASKS)
    _ask(held, tmp_path / "beside")
    held.plain()

    learnt = held.held(runtime, "learn", "--format", "json", "--no-tui")

    assert learnt.returncode == 3, learnt.stderr
    proposals = json.loads(learnt.stdout)["proposals"]
    asked = {
        rule["pattern"]
        for each in proposals
        for rule in each["rungs"][each["suggested"]]["rules"]
        if rule["kind"] == "read"
    }
    assert all(each["suggested"] is not None for each in proposals)
    manifest = held.folder / "Cargo.toml"
    grants = "".join(f"    {json.dumps(each)},\n" for each in sorted(asked))
    crate = "[workspace.metadata.buildperm.crates.alike]"
    more = f'[workspace.metadata.buildperm]\nversion = 1\n{crate}\nreviewed = ["0.1.0"]\n'
    manifest.write_text(f"{manifest.read_text()}\n{more}read = [\n{grants}]\n")
    told = held.held(other, "ci", "--deny-unused")

    assert told.returncode == 0, told.stdout + told.stderr
    assert held.said("ci") == held.said("plain")


NESTED = r"""
use std::{env, fs, path::Path, process::Command};

fn main() {
    let told = Command::new(env::var_os("CARGO").unwrap()).arg("of-the-settings").output().unwrap();
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let dump = Path::new(&env::var_os("OUT_DIR").unwrap()).join("dump");
    fs::write(dump, format!("{}\n{said}", told.status.success())).unwrap();
}
"""
ALIAS = '[alias]\nof-the-settings = "version"\n'


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cargo_in_a_script_finds_its_harmless_settings(script: Write, runtime: str) -> None:
    held = script(NESTED)
    (held.folder / ".cargo").mkdir()
    (held.folder / ".cargo/config.toml").write_text(ALIAS)
    held.plain()

    told = held.held(runtime, "ci")

    assert told.returncode == 0, told.stderr
    assert held.said("ci") == held.said("plain")
    assert held.said("ci")[0] == "true"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("more", ['[registry]\ntoken = "abc"\n', 'include = ["other.toml"]\n'])
def test_a_cargo_in_a_script_never_goes_on_without_settings(
    script: Write, runtime: str, more: str
) -> None:
    held = script(NESTED)
    (held.folder / ".cargo").mkdir()
    (held.folder / ".cargo/other.toml").touch()
    (held.folder / ".cargo/config.toml").write_text(f"{more}{ALIAS}")

    told = held.held(runtime, "ci")

    assert told.returncode == 20, told.stderr
    assert ".cargo/config.toml" in told.stdout
    assert held.said("ci")[0] == "false"


READER = r"""
use std::{env, fs, path::Path};

fn main() {
    let path = env::var("CFLAGS_OF_TEST").unwrap();
    let told = format!("{} {:?}\n", Path::new(&path).exists(), fs::read(&path).is_ok());
    fs::write(Path::new(&env::var_os("OUT_DIR").unwrap()).join("dump"), told).unwrap();
}
"""
_ELSEWHERE = """
import sys
from buildperm.cargo import settings_files
settings_files._GIT = (sys.argv.pop(1),)
settings_files._of_program = lambda search: []
from buildperm.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("content", "said", "learnt", "code"),
    [
        ("[core]\n\tabbrev = 12\n", "true true", "true true", 0),
        ("[alias]\n\tst = status\n", "true false", "true true", 20),
        ('[url "https://me:hunter2hunter2@host/"]\n\tinsteadOf = x\n', "true false", None, 20),
    ],
)
def test_settings_of_git_are_read_or_missed_aloud(
    script: Write, tmp_path: Path, runtime: str, content: str, said: str, learnt: str, code: int
) -> None:
    settings = tmp_path / "etc/gitconfig"
    settings.parent.mkdir()
    settings.write_text(content)
    held = script(READER, {"CFLAGS_OF_TEST": str(settings)})

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _ELSEWHERE, settings, *words],
            cwd=held.folder,
            env=held.extra | {"BUILDPERM_RUNTIME": runtime},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    told = run("ci")
    assert told.returncode == code, told.stderr
    assert held.said("ci") == [said]
    assert ("gitconfig" in told.stdout) == bool(code)
    run("learn", "--no-tui")
    assert held.said("learn") == [learnt or said]


REVISION = r"""
use std::{env, fs, path::Path, process::Command};

fn main() {
    let told = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().unwrap();
    let said = String::from_utf8_lossy(&told.stdout).trim().len();
    let copy = env::var_os("GIT_CONFIG_SYSTEM").unwrap_or_default();
    let written = !copy.is_empty() && fs::write(&copy, "[core]\n\tabbrev = 5\n").is_ok();
    let hidden = env::var_os("GIT_CONFIG_NOSYSTEM").is_some();
    let dump = Path::new(&env::var_os("OUT_DIR").unwrap()).join("dump");
    fs::write(dump, format!("{said} {} {written} {hidden}\n", !copy.is_empty())).unwrap();
}
"""
_HISTORY = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates.alike]
presets = ["git"]
"""
_SECRET = '[http "https://host"]\n\textraHeader = X: y\n'


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{_SECRET}[core]\n\tabbrev = 12\n", "12 true false false"),
        ("[alias]\n\tst = status\n[core]\n\tabbrev = 13\n", "13 true false false"),
        # git is not led to go without: it reads the file itself, and fails if that is closed.
        ("[core]\n\tabbrev = 14\n\tbroken\\x\n", "7 false false false"),
    ],
)
def test_git_has_its_harmless_settings_beside_a_secret(
    script: Write, tmp_path: Path, runtime: str, content: str, said: str
) -> None:
    settings = tmp_path / "etc/gitconfig"
    settings.parent.mkdir()
    settings.write_text(content)
    held = script(REVISION, {"GIT_CONFIG_NOSYSTEM": ""}, _HISTORY)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], cwd=held.folder, env=held.extra, check=True)

    told = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, settings, "ci"],
        cwd=held.folder,
        env=held.extra | {"BUILDPERM_RUNTIME": runtime},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert held.said("ci") == [said], told.stdout + told.stderr
