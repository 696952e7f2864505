"""Reading grants: what is right is read, and every mistake says where it is and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import manifest
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.rules.pattern import matches
from buildperm.tracer.notation import encode

MANIFEST = Path("/w/Cargo.toml")

FULL = """\
[workspace]
members = ["a"]

[workspace.metadata.buildperm]
version = 1
require = "full"
runtime = "portable"

[workspace.metadata.buildperm.crates.openssl-sys]
reviewed = ["0.9.104", "0.9.105-rc.1+x"]
presets = ["cc", "pkg-config"]
exec = ["perl", "/opt/tool/bin/gen", "$WORKSPACE/tools/gen"]
read = ["/etc/ssl/**", "$WORKSPACE/proto/**/*.proto", "$WORKSPACE/it%27s.txt"]
write = ["$WORKSPACE/out/**", "$WORKSPACE/generated.h"]
net = ["github.com:443", "*.crates.io:443", "%5B::1%5D:8080"]
env = ["MYLIB_*", "GITHUB_TOKEN"]
directives = ["rustc-link-arg=-Wl,-rpath,%24ORIGIN", "rustc-link-search=native=$WORKSPACE/lib"]
deny = { env = ["NPM_TOKEN"], exec = ["curl"] }
reason = "links the system's OpenSSL"

[workspace.metadata.buildperm.crates."zstd-sys@2"]
[workspace.metadata.buildperm.crates."git+https://github.com/a/b#b"]
exec = ["cc"]
"""


def read(text: str) -> dict[str, CrateGrants]:
    return dict(manifest.read(text.encode(), MANIFEST).crates)


def refusal(text: str | bytes) -> BuildpermError:
    raw = text.encode() if isinstance(text, str) else text
    with pytest.raises(BuildpermError) as caught:
        manifest.read(raw, MANIFEST)
    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
    return caught.value


def crate(line: str) -> str:
    return (
        "[workspace.metadata.buildperm]\nversion = 1\n\n"
        f"[workspace.metadata.buildperm.crates.x]\n{line}\n[workspace]\n"
    )


def test_everything_that_a_crate_can_say_is_read() -> None:
    policy = manifest.read(FULL.encode(), MANIFEST)

    assert (policy.require, policy.runtime) == ("full", "portable")
    assert policy.manifest == MANIFEST
    assert policy.crates["openssl-sys"] == CrateGrants(
        "openssl-sys",
        reviewed=frozenset({"0.9.104", "0.9.105-rc.1+x"}),
        presets=frozenset({"cc", "pkg-config"}),
        rules=frozenset(
            {
                Rule(Kind.EXEC, "perl"),
                Rule(Kind.EXEC, "/opt/tool/bin/gen"),
                Rule(Kind.EXEC, "$WORKSPACE/tools/gen"),
                Rule(Kind.READ, "/etc/ssl/**"),
                Rule(Kind.READ, "$WORKSPACE/proto/**/*.proto"),
                Rule(Kind.READ, "$WORKSPACE/it%27s.txt"),
                Rule(Kind.WRITE, "$WORKSPACE/out/**"),
                Rule(Kind.WRITE, "$WORKSPACE/generated.h"),
                Rule(Kind.NET, "github.com:443"),
                Rule(Kind.NET, "*.crates.io:443"),
                Rule(Kind.NET, "%5B::1%5D:8080"),
                Rule(Kind.ENV, "MYLIB_*"),
                Rule(Kind.ENV, "GITHUB_TOKEN"),
                Rule(Kind.DIRECTIVE, "rustc-link-arg=-Wl,-rpath,%24ORIGIN"),
                Rule(Kind.DIRECTIVE, "rustc-link-search=native=$WORKSPACE/lib"),
            }
        ),
        denials=frozenset({Rule(Kind.ENV, "NPM_TOKEN"), Rule(Kind.EXEC, "curl")}),
        reason="links the system's OpenSSL",
    )
    assert policy.crates["zstd-sys@2"].is_empty()
    assert policy.crates["git+https://github.com/a/b#b"].rules == {Rule(Kind.EXEC, "cc")}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[package]\nname = 'x'\n",
        "[workspace]\n",
        "[workspace.metadata]\nother = 1\n",
        "[package.metadata]\n[package]\n",
        "\ufeff[workspace]\r\n",
    ],
)
def test_no_table_is_no_grants(text: str) -> None:
    policy = manifest.read(text.encode(), MANIFEST)

    assert (policy.require, policy.runtime) == ("portable", "portable")
    assert dict(policy.crates) == {}


@pytest.mark.parametrize(
    ("lines", "meant"),
    [
        ('require = "full"', ("full", "full")),
        ('runtime = "full"', ("portable", "full")),
        ('require = "full"\nruntime = "auto"', ("full", "auto")),
    ],
)
def test_the_runtime_is_the_one_that_is_required_unless_another_is_named(
    lines: str, meant: tuple[str, str]
) -> None:
    text = f"[workspace.metadata.buildperm]\nversion = 1\n{lines}\n"

    policy = manifest.read(text.encode(), MANIFEST)

    assert (policy.require, policy.runtime) == meant


@pytest.mark.parametrize(
    "text",
    [
        "package = { name = 'x', metadata = { buildperm = "
        "{ version = 1, crates = { x = { exec = ['cc'], deny = { env = ['A'] } } } } } }",
        "[package]\nmetadata.buildperm.version = 1\nmetadata.buildperm.crates.x.exec = ['cc']\n"
        "metadata.buildperm.crates.x.deny.env = ['A']\n",
        "[package.metadata.buildperm]\nversion = 1\ncrates.x = {\n exec = ['cc'], # TOML 1.1\n"
        " deny.env = ['A'],\n}\n",
        "[package.metadata.buildperm.crates.x.deny]\r\nenv = ['A']\r\n[package]\r\n"
        "[package.metadata.buildperm.crates.x]\r\nexec = ['cc']\r\n"
        "[package.metadata.buildperm]\r\nversion = 1\r\n",
    ],
)
def test_every_way_to_write_a_table_is_read(text: str) -> None:
    assert read(text) == {
        "x": CrateGrants(
            "x",
            rules=frozenset({Rule(Kind.EXEC, "cc")}),
            denials=frozenset({Rule(Kind.ENV, "A")}),
        )
    }


def test_the_workspace_s_table_counts_where_there_is_a_workspace() -> None:
    package = (
        "[package.metadata.buildperm]\nversion = 1\n"
        "[package.metadata.buildperm.crates.x]\nexec = ['cc']\n"
    )
    workspace = "[workspace]\n[workspace.metadata.buildperm]\nversion = 1\n"

    assert set(read(package)) == {"x"}
    assert read(package + workspace) == {}
    assert "[package.metadata.buildperm]: not in force" in str(refusal(package + "[workspace]\n"))


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"[workspace\n", "/w/Cargo.toml:1:"),
        (b"a = 1\nb = \n", "/w/Cargo.toml:2:"),
        (b"a = 1\na = 2\n", "/w/Cargo.toml:"),
        (b"a = 1\nb = '\xff'\n", "/w/Cargo.toml:2: not UTF-8"),
        (b"a = " + b"[" * 5000, "/w/Cargo.toml"),
        (b"a = 'x\x1b[31m'\n", "/w/Cargo.toml"),
    ],
)
def test_broken_toml_names_its_line(raw: bytes, place: str) -> None:
    assert str(refusal(raw)).startswith(place)


@pytest.mark.parametrize(
    ("text", "expected", "hint"),
    [
        (
            "[workspace.metadata.buildperm]\nrequire = 'portable'\n[workspace]",
            "1: [workspace.metadata.buildperm]: `version` is missing",
            "version = 1",
        ),
        (
            "[workspace]\n[workspace.metadata.buildperm]\nversion = 2\n",
            "3: [workspace.metadata.buildperm] version: written for a newer buildperm",
            "Update",
        ),
        ("[workspace]\nmetadata.buildperm.version = '1'", "2: ", "version = 1"),
        ("[workspace]\nmetadata.buildperm.version = true", "2: ", "version = 1"),
        ("[workspace]\nmetadata = 1", "2: [workspace.metadata]: must be a table", "table"),
        ("[workspace]\nmetadata.buildperm = []", "2: ", "table"),
        ("[[workspace.metadata.buildperm]]", "1: ", "table"),
        ("workspace = 3", "1: [workspace]: must be a table", "table"),
        (
            "[workspace.metadata.buildperm]\nversion = 1\nrequire = 'fulll'\n[workspace]",
            '3: [workspace.metadata.buildperm] require: unknown runtime "fulll"',
            "`full`",
        ),
        (
            "[workspace.metadata.buildperm]\nversion = 1\nruntime = 'auto '\n[workspace]",
            '3: [workspace.metadata.buildperm] runtime: unknown runtime "auto "',
            "`auto`",
        ),
        (
            "[workspace.metadata.buildperm]\nversion = 1\ncrate.x.exec = ['cc']\n[workspace]",
            '3: [workspace.metadata.buildperm] crate: unknown key "crate"',
            "`crates`",
        ),
        (
            "[workspace.metadata.buildperm]\nversion = 1\ncrates = ['x']\n[workspace]",
            "3: [workspace.metadata.buildperm] crates: must be a table, not a list",
            "table",
        ),
        (
            crate("exce = ['cc']"),
            '5: [workspace.metadata.buildperm.crates.x] exce: unknown key "exce"',
            "Did you mean `exec`?",
        ),
        (crate("zzz = 1"), 'unknown key "zzz"', "reviewed, presets, exec"),
        (crate("exec = 'cc'"), "5: [workspace.metadata.buildperm.crates.x] exec: must be", "["),
        (crate("exec = [\n 'cc',\n 1]"), "7: [workspace.metadata.buildperm.crates.x] exec", "quot"),
        (crate("reason = 1"), "5: [workspace.metadata.buildperm.crates.x] reason", "quot"),
        (crate("deny = ['x']"), "must be a table, not a list", "table"),
        (crate("deny = { execs = ['x'] }"), "crates.x.deny] execs: unknown key", "`exec`"),
        (
            crate("deny = { exec = [''] }"),
            "crates.x.deny] exec: ``: the pattern is empty",
            "Remove",
        ),
        (crate("presets = ['cc', 'cmaek']"), 'unknown preset "cmaek"', "`cmake`"),
        (crate("reviewed = ['0.9']"), "`0.9` is no version", "in full"),
        (crate("reviewed = ['x']"), "`x` is no version", "in full"),
        (
            "[workspace]\n[workspace.metadata.buildperm]\nversion = 1\ncrates.'a b'.exec = ['cc']",
            '4: [workspace.metadata.buildperm.crates] "a b": not a package',
            "NAME@VERSION",
        ),
        (
            '[workspace]\n[workspace.metadata.buildperm]\nversion = 1\ncrates."\\u001b[2J" = {}',
            "not a package",
            "NAME",
        ),
    ],
)
def test_a_table_that_says_what_cannot_be_names_line_table_key_and_way_out(
    text: str, expected: str, hint: str
) -> None:
    error = refusal(text)

    assert expected in str(error)
    assert str(error).startswith("/w/Cargo.toml:")
    assert hint in error.hint


@pytest.mark.parametrize(
    ("kind", "pattern", "what", "hint"),
    [
        ("read", "", "empty", "Remove"),
        ("read", "proto/a", "relative", "$WORKSPACE/"),
        ("read", "./a", "relative", "$WORKSPACE/"),
        ("read", "~/a", "`~` is not expanded", "$HOME"),
        ("read", "$WORKSPCE/a", "`$WORKSPCE` is no token", "`$WORKSPACE`"),
        ("read", "${WORKSPACE}/a", "is no token", "`$WORKSPACE`"),
        ("read", "$XYZ/a", "`$XYZ` is no token", "$OUT_DIR"),
        ("read", "$WORKSPACE.txt", "folder of its own", "`/` after `$WORKSPACE`"),
        ("read", "$WORKSPACE/../a", "`..`", "meant"),
        ("read", "/a/./b", "`.`", "meant"),
        ("read", "/a//b", "empty component", "//"),
        ("read", "/a/b/", "ends in `/`", "FOLDER/**"),
        ("read", "/a/100%", "hexadecimal", "%25"),
        ("read", "/a/%zz", "hexadecimal", "%25"),
        ("read", "/a/%2a", "notation", "`/a/%2A`"),
        ("read", "/a/%2E%2E/b", "notation", "`/a/../b`"),
        ("read", "/a/[x]", "notation", "`/a/%5Bx%5D`"),
        ("read", "/a/\\n", "notation", "`/a/%0A`"),
        ("read", "/a/$x", "is no token", "%24"),
        ("read", "/a/%00", "%00", "Remove"),
        ("read", "/**", "too much", "Name"),
        ("read", "/*/**", "too much", "Name"),
        ("read", "$HOME/**", "too much", "Name"),
        ("read", "$HOME/*/**", "too much", "Name"),
        ("read", "/etc/**", "too much", "Name"),
        ("read", "/home/**", "too much", "Name"),
        ("read", "/**/*.h", "too much", "Name"),
        ("write", "/**", "too much", "Name"),
        ("write", "$WORKSPACE/**", "too much", "Name"),
        ("write", "$MANIFEST_DIR/**", "too much", "Name"),
        ("write", "/usr/lib/**", "too much", "Name"),
        ("write", "$WORKSPACE/*.h", "one file, or a folder", "FOLDER/**"),
        ("write", "$WORKSPACE/a/**/b", "one file, or a folder", "FOLDER/**"),
        ("write", "$WORKSPACE/a*/**", "too much", "Name"),
        ("write", "$WORKSPACE/a/b*/**", "one file, or a folder", "FOLDER/**"),
        ("write", "$WORKSPACE", "everybody uses", "Name a file"),
        ("exec", "/usr/bin/*", "too much", "Name"),
        ("exec", "/usr/**", "too much", "Name"),
        ("exec", "*", "every program", "Name"),
        ("exec", "$RUSTC", "no token", "$OUT_DIR"),
        ("exec", "a/b", "relative", "$WORKSPACE/"),
        ("net", "github.com", "no host with a port", "HOST:PORT"),
        ("net", "*:443", "no host with a port", "HOST:PORT"),
        ("net", "*.com:443", "everything below `com`", "Name the host"),
        ("net", "*.1.2.3.4:443", "nothing below it", "`1.2.3.4:443`"),
        ("net", "127.1:443", "no host with a port", "HOST:PORT"),
        ("net", "GitHub.com:443", "as it is compared", "`github.com:443`"),
        ("net", "[0:0::1]:443", "as it is compared", "`[::1]:443`"),
        ("net", "::1:443", "no host with a port", "HOST:PORT"),
        ("net", "0.0.0.0:443", "no address of one machine", "address of one"),
        ("net", "169.254.169.254:80", "sensitive", "reason"),
        ("net", "github.com:0", "no host with a port", "HOST:PORT"),
        ("net", "github.com:99999", "no host with a port", "HOST:PORT"),
        ("net", "https://github.com:443", "no host with a port", "HOST:PORT"),
        ("env", "A=b", "name alone", "="),
        ("env", "*", "every variable", "Name"),
        ("directives", "rustc-link-arg", "no directive with a value", "KEY=VALUE"),
        ("directives", "rustc-link-arg=*", "every value", "Name"),
        ("directives", "rustc-env=LD_PRELOAD=x", "no build script", "Remove"),
        ("directives", "rustc-env=PATH", "no build script", "Remove"),
        ("directives", "Rustc-Env=x", "no directive with a value", "KEY=VALUE"),
        ("read", "$HOME/.ssh/**", "sensitive", "exact path, with a `reason`"),
        ("read", "$HOME/.s*/config", "sensitive", "exact path"),
        ("read", "/home/me/**", "sensitive", "exact path"),
        ("read", "$CARGO_HOME/cred*", "sensitive", "exact path"),
        ("read", "$HOME/.netrc", "gives no reason", "reason ="),
        ("write", "$WORKSPACE/Cargo.toml", "gives no reason", "reason ="),
        ("write", "$WORKSPACE/.git/**", "sensitive", "exact path"),
        ("exec", "$HOME/.ssh/rc", "gives no reason", "reason ="),
        ("env", "GITHUB_TOKEN", "gives no reason", "reason ="),
    ],
)
def test_a_grant_that_cannot_stand_is_refused_with_a_way_out(
    kind: str, pattern: str, what: str, hint: str
) -> None:
    error = refusal(crate(f'{kind} = [\n  "ok",\n  "{pattern}",\n]').replace('  "ok",\n', ""))

    assert f"/w/Cargo.toml:6: [workspace.metadata.buildperm.crates.x] {kind}: " in str(error)
    assert what in str(error)
    assert hint in error.hint


def test_a_context_may_name_what_a_renderer_ignores() -> None:
    home = "[workspace.metadata.buildperm]\nversion = 1\n"

    policy = manifest.read(f'{home}contexts = ["check -p \u2764\ufe0f"]\n'.encode(), MANIFEST)

    assert policy.contexts == ("check -p \u2764\ufe0f",)
    assert "cannot be shown" in str(refusal(f'{home}contexts = ["check \u200b"]\n'))


@pytest.mark.parametrize("spelling", ["/srv/\ufe0fv", "/srv/%EF%B8%8Fv"])
def test_a_grant_stands_as_an_earlier_version_wrote_it_too(spelling: str) -> None:
    (rule,) = read(crate(f'read = ["{spelling}"]'))["x"].rules

    assert matches(rule.pattern, encode("/srv/\ufe0fv".encode()))


@pytest.mark.parametrize(
    "line",
    [
        "read = ['$HOME/.netrc']",
        "write = ['$WORKSPACE/Cargo.toml']",
        "env = ['GITHUB_TOKEN']",
    ],
)
def test_an_exact_sensitive_grant_stands_with_a_reason(line: str) -> None:
    assert len(read(crate(f"{line}\nreason = 'needed'"))["x"].rules) == 1


@pytest.mark.parametrize("pattern", ["/**", "$HOME/.ssh/**", "$HOME/**", "*", "/a/../b/"])
def test_nothing_is_too_wide_for_a_denial(pattern: str) -> None:
    assert read(crate(f"deny.exec = ['{pattern}']"))["x"].denials == {Rule(Kind.EXEC, pattern)}


def test_a_wildcard_of_names_is_read_though_secrets_stay_out_of_it() -> None:
    assert read(crate("env = ['GITHUB_*', 'OPENSSL_*']"))["x"].rules == {
        Rule(Kind.ENV, "GITHUB_*"),
        Rule(Kind.ENV, "OPENSSL_*"),
    }


LIMITS = """\
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.limits]
seconds = 600
memory_bytes = 8_589_934_592
output_files = 0
[workspace.metadata.buildperm.limits.crates.v8]
seconds = 14_400
[workspace.metadata.buildperm.limits.crates."git+https://github.com/a/b#b"]
[workspace]
"""


def test_limits_are_read_for_all_and_for_single_crates() -> None:
    policy = manifest.read(LIMITS.encode(), MANIFEST)

    assert policy.limits == {"seconds": 600, "memory_bytes": 8 << 30, "output_files": 0}
    assert policy.crate_limits == {
        "v8": {"seconds": 14_400},
        "git+https://github.com/a/b#b": {},
    }
    assert policy.crates == {}
    assert manifest.read(FULL.encode(), MANIFEST).limits == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("limits.second = 1", "unknown key"),
        ("limits.seconds = '1'", "must be a whole number, not a string"),
        ("limits.seconds = 1.5", "must be a whole number"),
        ("limits.seconds = true", "must be a whole number, not true or false"),
        ("limits.seconds = -1", "must be between 1 and"),
        ("limits.stdout_bytes = 0", "must be between 1 and"),
        ("limits.open_files = 3", "must be between 16 and 4611686018427387903, or 0"),
        ("limits.file_bytes = 9223372036854775807", "must be between 4096 and"),
        ("limits = 1", "must be a table"),
        ("limits.crates = 1", "must be a table"),
        ("limits.crates.x = 1", "must be a table"),
        ("limits.crates.'x y' = {}", "not a package"),
        ("limits.crates.x.crates = {}", "unknown key"),
        ("crates.x.limits = {}", "unknown key"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_its_place(line: str, said: str) -> None:
    raw = f"[workspace.metadata.buildperm]\nversion = 1\n{line}\n[workspace]\n"

    error = refusal(raw)

    assert said in str(error)
    assert str(error).startswith("/w/Cargo.toml:3: [workspace.metadata.buildperm")
