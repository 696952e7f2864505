"""Which presets are offered for what real tools did, and for what they do not suffice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from buildperm.policy import validation
from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import effective
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Proposal, Risk
from buildperm.policy.proposals import propose
from buildperm.policy.removal_proposals import unused
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import why_sensitive
from buildperm.policy.snapshots import seen
from buildperm.policy.stable_target import lasting
from buildperm.policy.undecided_accesses import undecided

CARGO = "$SYSROOT/bin/cargo"


def access(
    kind: Kind,
    target: str,
    *causes: str,
    lines: tuple[str, ...] = (),
    outcome: Outcome = Outcome.DONE,
) -> Access:
    """Make an access; without `causes` the script itself did it."""
    return Access(
        kind,
        target,
        outcome,
        1,
        0,
        0,
        (("build script",),),
        sensitive=why_sensitive(kind, target),
        commands=tuple((line, 1) for line in lines),
        causes=causes or ("",),
    )


def offered(*accesses: Access) -> list[str]:
    """Return the presets that are offered, sorted."""
    return sorted(each.suggestion.preset for each in _asked(*accesses) if each.suggestion.preset)


def _asked(*accesses: Access) -> list[Proposal]:
    return propose("a", "1.0.0", accesses)


def _cargo(*lines: str, program: str = CARGO) -> list[Access]:
    """Return what Cargo does when it is asked about a workspace with packages of registries."""
    index = "$CARGO_HOME/registry/index/my.registry.example-0123456789abcdef/.cache/se/rd/serde"
    source = "$CARGO_HOME/registry/src/registry.example.org-0123456789abcdef/serde-1.0.1/Cargo.toml"
    read = (index, source, "$CARGO_HOME/git/checkouts/x-0123456789abcdef/abcdef0/Cargo.toml")
    refused = Outcome.REFUSED
    return [
        access(Kind.EXEC, program, lines=lines),
        *(access(Kind.READ, each, program) for each in read),
        *(
            access(kind, each, program, outcome=refused)
            for kind in (Kind.READ, Kind.WRITE)
            for each in ("$CARGO_HOME/.package-cache", "$CARGO_HOME/.global-cache")
        ),
        access(Kind.WRITE, "$WORKSPACE/target/.rustc_info.json", program, outcome=refused),
    ]


@pytest.mark.parametrize(
    ("program", "lines", "preset"),
    [
        (CARGO, ["cargo metadata --format-version 1"], "cargo-metadata"),
        (CARGO, ["cargo +stable tree -e no-dev"], "cargo-metadata"),
        (CARGO, ["cargo metadata", "cargo --version"], "cargo-metadata"),
        ("cargo", ["cargo metadata"], "cargo-metadata"),
        ("$CARGO_HOME/bin/cargo", ["cargo metadata"], "cargo-metadata"),
        (CARGO, ["cargo metadata", "cargo build --target-dir x"], "cargo-build"),
        (CARGO, ["cargo -Z unstable-options rustc --lib -- -Zunpretty=expanded"], "cargo-build"),
    ],
)
def test_cargo_in_a_script_is_one_question(program: str, lines: list[str], preset: str) -> None:
    (proposal,) = _asked(*_cargo(*lines, program=program))

    assert proposal.suggestion.preset == preset
    assert not proposal.suggestion.rules
    assert proposal.risk is Risk.MEDIUM
    assert not proposal.locked


@pytest.mark.parametrize("line", ["install x", "publish", "login", "fetch", "update", "vendor"])
def test_what_else_cargo_can_do_is_no_preset(line: str) -> None:
    assert offered(*_cargo(f"cargo {line}")) == []
    assert offered(*_cargo("cargo metadata", f"cargo {line}")) == []


def test_cargos_credentials_and_settings_are_asked_about_besides_and_cannot_be_allowed() -> None:
    secrets = ("$CARGO_HOME/credentials.toml", "$CARGO_HOME/config.toml", "$HOME/.cargo/config")
    reads = [access(Kind.READ, each, CARGO, outcome=Outcome.REFUSED) for each in secrets]
    found = _asked(*_cargo("cargo metadata"), *reads)

    assert sum(len(each.evidence) for each in found if each.locked) == len(secrets)
    assert offered(*_cargo("cargo metadata"), *reads) == ["cargo-metadata"]


def test_only_cargos_own_books_are_a_habit() -> None:
    other = ("bin/cargo", "config.toml", "registry/src/x-1/a-1/lib.rs", ".package-cache/x")
    writes = [
        access(Kind.WRITE, f"$CARGO_HOME/{each}", CARGO, outcome=Outcome.REFUSED) for each in other
    ]

    assert undecided(writes) == writes
    done = access(Kind.WRITE, "$CARGO_HOME/.package-cache", CARGO)
    assert undecided([done]) == [done]


def test_a_probe_of_the_compiler_beside_it_is_a_question_of_its_own_only_where_it_has_to_be() -> (
    None
):
    metadata = _cargo("cargo metadata", program="cargo")
    probe = [access(Kind.EXEC, "rustc"), access(Kind.EXEC, "$OUT_DIR/probe")]

    assert offered(*metadata, access(Kind.EXEC, "rustc")) == ["cargo-metadata"]
    assert offered(*metadata, *probe) == ["cargo-metadata", "rustc-probe"]
    assert offered(*_cargo("cargo build", program="cargo"), *probe) == ["cargo-build"]
    assert offered(access(Kind.EXEC, "cargo", lines=("cargo -V",))) == ["rustc-probe"]


def test_the_linker_of_a_nested_build_is_the_c_compiler_of_the_preset() -> None:
    linker = "/usr/lib/gcc/x86_64-linux-gnu/12/collect2"
    linking = [access(Kind.EXEC, each, CARGO) for each in ("cc", linker)]

    assert offered(*_cargo("cargo build"), *linking) == ["cargo-build", "cc"]


def test_sources_that_the_script_reads_alone_are_no_reason_for_a_preset() -> None:
    source = "$CARGO_HOME/registry/src/registry.example.org-0123456789abcdef/serde-1.0.1/src/lib.rs"

    assert offered(access(Kind.READ, source)) == []


def _ran(program: str, *lines: str, resolved: str = "", causes: tuple[str, ...] = ("",)) -> Access:
    kept = lines or (program,)
    made = access(Kind.EXEC, program, *causes, lines=kept)
    own = kept if "" in causes else ()
    return replace(made, resolved=resolved or f"/usr/bin/{program}", own_lines=own)


def _configure(*lines: str) -> list[Access]:
    by = "sh" if lines else "$MANIFEST_DIR/vendor/configure"
    started = (
        _ran("sh", *lines) if lines else replace(_ran(by, f"{by} --disable-shared"), resolved="")
    )
    tools = [_ran(each, causes=(by,)) for each in ("dd", "expr", "file", "ldconfig", "link", "sed")]
    tools.append(replace(_ran("$OUT_DIR/conftest", causes=(by,)), resolved=""))
    if not lines:
        tools.append(_ran("sh", "sh -c 'rm -f conf$$; curl'", causes=(by, "make")))
    return [started, *tools, _ran("make"), _ran("make", causes=("make",)), _ran("cc")]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("sh ./configure --prefix=/x",),
        ("sh -c './configure --with-x=y'",),
        ("sh -ec 'exec CC=cc /x/vendor/configure'", "sh autogen.sh"),
    ],
)
def test_configure_and_make_are_one_question(lines: tuple[str, ...]) -> None:
    assert offered(*_configure(*lines)) == ["autotools", "cc"]
    assert len(_asked(*_configure(*lines))) == 2


@pytest.mark.parametrize(
    "line",
    [
        "sh -c './configure; curl example.org'",
        "sh -c '$(cat x)'",
        "sh other.sh",
        "sh -c ''",
        "sh",
        "sh -c './configure%0Acurl example.org'",
        "sh -s configure.x",
    ],
)
def test_a_shell_that_is_told_anything_else_is_asked_about(line: str) -> None:
    found = _asked(*_configure(line))

    assert "autotools" not in [each.suggestion.preset for each in found]
    assert max(each.risk for each in found) is Risk.HIGH


def test_make_alone_is_no_configure() -> None:
    assert offered(_ran("make"), _ran("sh", causes=("make",))) == ["cmake"]


@pytest.mark.parametrize(
    ("program", "line", "preset"),
    [
        ("python3", "python3 gen.py -c x", "python"),
        ("python3", "python3", "python"),
        ("python3.12", "python3.12 -B -m grpc_tools.protoc x", "python"),
        ("pypy3", "pypy3 x.py", "python"),
        ("node", "node --no-warnings build.mjs", "node"),
        ("perl", "perl -w ./Configure linux-x86_64", "perl"),
        ("java", "java -jar antlr.jar -e x", "java"),
    ],
)
def test_an_interpreter_of_the_system_is_one_line_at_medium_risk(
    program: str, line: str, preset: str
) -> None:
    (proposal,) = _asked(_ran(program, line))

    assert proposal.suggestion.preset == preset
    assert proposal.risk is Risk.MEDIUM


def test_java_brings_the_settings_that_its_installation_links_to() -> None:
    settings = ("jvm-amd64.cfg", "net.properties", "security/java.security")
    read = [access(Kind.READ, f"/etc/java-21-openjdk/{each}", "java") for each in settings]
    listed = access(Kind.READ, "/sys/kernel/mm/hugepages", "java")
    users = access(Kind.READ, "/etc/java-21-openjdk/management/jmxremote.password", "java")
    ran = _ran("java", "java -version")

    assert [each.suggestion.preset for each in _asked(ran, *read, listed)] == ["java"]
    assert len(_asked(ran, *read, listed, users)) == 2


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("python3", "python3 -c 'import os'"),
        ("python3", "python3 -Ic 'import os'"),
        ("python3", "python3 -m pip install x"),
        ("python3", "python3 -m venv x"),
        ("node", "node --eval=1"),
        ("node", "node -e 1"),
        ("perl", "perl -we 'exec q(sh)'"),
        ("perl", "perl -MCPAN -x"),
        ("ruby", "ruby x.rb"),
    ],
)
def test_code_on_the_command_line_and_installers_are_high(program: str, line: str) -> None:
    (proposal,) = _asked(_ran(program, line))

    assert not proposal.suggestion.preset
    assert proposal.risk is Risk.HIGH
    assert len(_asked(_ran(program, f"{program} x", line))) == 1


def test_code_that_a_tool_hands_to_an_interpreter_is_the_tools_doing() -> None:
    both = replace(
        _ran("perl", "perl ./Configure", causes=("", "make")),
        commands=(("perl ./Configure", 1), ("perl -e 1", 1)),
        own_lines=("perl ./Configure",),
    )

    assert offered(both, _ran("make")) == ["cmake", "perl"]


def test_an_interpreter_of_somebodys_own_is_no_preset() -> None:
    (proposal,) = _asked(_ran("python3", resolved="$HOME/.pyenv/shims/python3"))

    assert not proposal.suggestion.preset
    assert proposal.risk is Risk.HIGH


def test_git_in_a_worktree_is_the_preset_and_its_history_is_one_folder() -> None:
    own = ("worktrees/x/HEAD", "worktrees/x/index", "config", "objects/ab/cd", "refs/heads/main")
    reads = [access(Kind.READ, f"$GIT/{each}", "git") for each in own]
    lock = access(Kind.WRITE, "$GIT/worktrees/x/index.lock", "git", outcome=Outcome.REFUSED)

    assert offered(_ran("git", "git describe"), *reads, lock) == ["git"]
    assert len(_asked(_ran("git", "git describe"), *reads, lock)) == 1
    assert lasting(Kind.READ, "$GIT/objects/ab/cd") == "$GIT/objects/**"


@pytest.mark.parametrize("file", ["hooks/post-checkout", "config", "worktrees/x/HEAD"])
def test_nobody_writes_to_the_repository_of_a_worktree(file: str) -> None:
    (proposal,) = _asked(access(Kind.WRITE, f"$GIT/{file}", "git", outcome=Outcome.REFUSED))

    assert proposal.risk is Risk.CRITICAL
    assert proposal.locked
    assert validation.to_grant(Rule(Kind.WRITE, "$GIT/**"), reason="x") is not None


def test_git_that_is_denied_takes_its_helpers_with_it() -> None:
    denied = CrateGrants(
        "a", presets=frozenset(("git", "cc")), denials=frozenset((Rule(Kind.EXEC, "git"),))
    )
    left = [rule.pattern for rule in effective(denied, "1.0.0").rules if rule.kind is Kind.EXEC]

    assert not any("git" in pattern for pattern in left)
    assert "gcc" in left
    compiler = replace(denied, denials=frozenset((Rule(Kind.EXEC, "cc"),)))
    assert "/usr/lib/gcc/**" in effective(compiler, "1.0.0").lists()["exec"]


def test_variables_that_are_named_for_a_target_are_one_family_and_hold_for_all_targets() -> None:
    names = (
        "FOO_ROOT",
        "X86_64_UNKNOWN_LINUX_GNU_FOO_ROOT",
        "AARCH64_UNKNOWN_LINUX_MUSL_FOO_KIND",
        "ARMV7_UNKNOWN_LINUX_GNUEABIHF_FOO_ROOT",
    )
    (proposal,) = _asked(*(access(Kind.ENV, name) for name in names))
    patterns = [[rule.pattern for rule in choice.rules] for choice in proposal.choices]

    assert patterns[0] == ["*_FOO_KIND", "*_FOO_ROOT", "FOO_ROOT"]
    assert patterns[1] == ["*_FOO_*", "FOO_*"]
    assert not any("X86" in pattern for found in patterns for pattern in found)
    rules = proposal.choices[0].rules
    again = propose("a", "1.0.0", [access(Kind.ENV, name) for name in names], rules)
    assert again == []


@pytest.mark.parametrize("name", ["X86_64_LEVEL", "WINDOWS_X86_64_UNKNOWN_LINUX_GNU_X", "LINUX_A"])
def test_a_variable_that_only_looks_like_that_is_allowed_by_its_name(name: str) -> None:
    (proposal,) = _asked(access(Kind.ENV, name))

    assert proposal.suggestion.rules == (Rule(Kind.ENV, name),)


def test_what_runs_on_another_machine_is_asked_about_here_where_it_is_not_installed() -> None:
    absent = replace(
        access(Kind.EXEC, "llvm-config", outcome=Outcome.FAILED, lines=("llvm-config --prefix",)),
        is_foreseen=True,
    )
    (proposal,) = _asked(absent)

    assert proposal.suggestion.preset == "bindgen"
    assert "`llvm-config` is not installed here; where it is, the script runs it." in proposal.notes
    assert _asked(replace(absent, is_foreseen=False)) == []
    # On the other machine it is allowed then, and is asked about there if it is not.
    there = access(Kind.EXEC, "llvm-config", outcome=Outcome.REFUSED)
    allowed = PRESETS["bindgen"].rules
    assert undecided([there], allowed) == undecided([absent], allowed) == []
    assert undecided([there]) == [there]
    # It is in use though it is not there, and is told alike on both.
    grants = CrateGrants("a", presets=frozenset({"bindgen"}))
    assert unused(grants, [absent]) == frozenset()
    assert unused(grants, [replace(absent, is_foreseen=False)]) == {"preset:bindgen"}
    assert seen([absent]) == seen([there])


def _git_by_shell(shell: str, *lines: str) -> list[Access]:
    told = [line.partition("-c ")[2].strip("'\"").replace("%27", "'") for line in lines]
    head = access(Kind.READ, "$WORKSPACE/.git/HEAD", shell)
    return [_ran(shell, *lines), _ran("git", *told, causes=(shell,)), head]


@pytest.mark.parametrize(
    ("shell", "lines"),
    [
        ("sh", ["sh -c 'git --version'"]),
        (
            "bash",
            ["bash -c 'git rev-parse HEAD'", "bash -c 'git log -1 --pretty=format:%27%25ae%27'"],
        ),
        ("zsh", ["zsh -c 'git status --porcelain'"]),
    ],
)
def test_a_shell_that_runs_git_is_one_question_with_it(shell: str, lines: list[str]) -> None:
    (proposal,) = _asked(*_git_by_shell(shell, *lines))

    assert proposal.suggestion.preset == "git-shell"
    assert proposal.risk is Risk.MEDIUM
    assert not undecided(proposal.evidence, PRESETS["git-shell"].rules)


@pytest.mark.parametrize(
    "lines",
    [
        ["sh -c 'git log | head'"],
        ["sh -c 'git log -1 --format=%22%24(curl example.org)%22'"],
        ["sh -c 'git log -1 %27a%27%60id%60'"],
        ["sh -c 'git --version'", "sh -c 'curl example.org'"],
        ["sh -c 'git --version%0Acurl example.org'"],
        ["sh -c 'git log %27%0A%27; id'"],
        ["sh -c 'git clone x'"],
        ["sh git"],  # A file of that name.
    ],
)
def test_a_shell_that_runs_more_than_git_is_asked_about(lines: list[str]) -> None:
    found = _asked(*_git_by_shell("sh", *lines))

    assert "git-shell" not in [each.suggestion.preset for each in found]
    assert max(each.risk for each in found) is Risk.HIGH


def test_git_without_a_shell_gets_no_shell() -> None:
    head = access(Kind.READ, "$WORKSPACE/.git/HEAD", "git")

    assert offered(_ran("git", "git rev-parse HEAD"), head) == ["git"]
    assert Rule(Kind.EXEC, "sh") not in PRESETS["git"].rules


def test_musl_gcc_is_one_question_where_it_is_a_shell_script_of_the_system() -> None:
    shell = _ran("sh", "/bin/sh /usr/bin/musl-gcc x.c", causes=("musl-gcc",))
    by_script = replace(_ran("musl-gcc", "musl-gcc x.c"), resolved="/usr/bin/x86_64-linux-musl-gcc")
    compiler = _ran("x86_64-linux-gnu-gcc", "x86_64-linux-gnu-gcc x.c", causes=("musl-gcc",))

    (found,) = _asked(by_script, shell, compiler)
    assert (found.suggestion.preset, found.risk) == ("musl", Risk.MEDIUM)

    # As a program it needs no shell, and what others make has no preset.
    assert [each.suggestion.preset for each in _asked(_ran("gcc", "gcc x.c"))] == ["cc"]
    own = replace(by_script, resolved="$HOME/bin/musl-gcc")
    assert "musl" not in {each.suggestion.preset for each in _asked(own, shell, compiler)}
    made = _ran("$OUT_DIR/musl-gcc", "$OUT_DIR/musl-gcc x.c")
    its = _ran("sh", "/bin/sh $OUT_DIR/musl-gcc x.c", causes=("$OUT_DIR/musl-gcc",))
    assert max(each.risk for each in _asked(made, its)) is Risk.HIGH
    # Nor does the shell that the script itself starts.
    direct = _ran("sh", "sh -c 'curl example.org'")
    assert max(each.risk for each in _asked(by_script, compiler, direct)) is Risk.HIGH


def test_which_is_a_question_of_medium_risk_where_it_is_a_shell_script() -> None:
    found = _asked(
        _ran("which", "which java"), _ran("sh", "sh /usr/bin/which java", causes=("which",))
    )

    assert [each.suggestion.preset for each in found] == ["which"]
    assert found[0].risk is Risk.MEDIUM
    (found_by_shell,) = _asked(_ran("sh", "sh -c 'command -v java'"))
    assert found_by_shell.suggestion.preset == "which"
    # A program of its own asks nothing; a shell that does more is a question of its own.
    (plain,) = _asked(_ran("which", "which java"))
    assert (plain.suggestion.preset, plain.risk) == ("", Risk.LOW)
    more = _ran("sh", "sh -c 'curl example.org'", "sh /usr/bin/which java", causes=("", "which"))
    more = replace(more, own_lines=("sh -c 'curl example.org'",))
    assert max(each.risk for each in _asked(_ran("which", "which java"), more)) is Risk.HIGH
