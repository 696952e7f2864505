"""What tools keep in a home folder, which nobody can list; and what builds need of one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildperm.rules import home, tier
from tests.bench import OTHER_UID, SYSTEM_PYTHON, USERS, Bench
from tests.redteam.sensitive_files import linked, planted, was_read


class HomeBench(Bench):
    """A bench whose workspace lies in the home folder, as most do."""

    @property
    def home(self) -> Path:
        return self.top / "me"

    @property
    def workspace(self) -> Path:
        return self.home / "projects/ws"

    @property
    def sysroot(self) -> Path:
        return self.home / ".rustup/toolchains/stable"


@pytest.fixture(params=USERS)
def at_home(request: pytest.FixtureRequest) -> Iterator[HomeBench]:
    is_other = request.param == "other"
    top = Path(os.path.realpath(tempfile.mkdtemp(prefix="buildperm-home-")))
    top.chmod(0o755)
    try:
        yield HomeBench(
            top, OTHER_UID if is_other else 0, SYSTEM_PYTHON if is_other else Path(sys.executable)
        )
    finally:
        subprocess.run(["rm", "-rf", str(top)], check=True)


_PRIVATE = str.split("""
    .newtool/token .config/tomorrow/auth.yml notes.txt Documents/tax.pdf projects/other/src/lib.rs
    projects/other/.secret .bashrc .local/share/tomorrow/db .local/state/tomorrow/log .cache/new
    .claude.json .claude/x .codex/auth.json .aider.conf.yml .cursor/mcp.json .continue/config.json
    .vscode/argv.json .config/Code/x .config/gh/hosts.yml .librewolf/p/logins.json .zen/p/key4.db
    .config/vivaldi/x .var/app/x snap/firefox/x .cargo/config.toml .cargo/credentials.toml
    .moon/credentials.json .local/share/uv/credentials/credentials.toml .nvm/.npmrc .pyenv/.env
    .local/opt/x/secret.key esp/hello/sdkconfig .cache/deno/location_data/x .npm-global/etc/npmrc
    .cargo/env .wrangler/config .ollama/history .dotnet/corefx/cryptography/x509stores/my/a.pfx
""")
_NEEDED = str.split("""
    projects/ws/schema.txt projects/ws/crate/src/lib.rs .rustup/toolchains/stable/lib/x
    .cargo/registry/src/i/x-1/src/lib.rs .cargo/bin/rustfmt .pyenv/versions/3.12/lib/os.py
    .nvm/versions/node/v22/bin/node .volta/tools/x .sdkman/candidates/java/x go/pkg/mod/x/go.mod
    .local/bin/tool .local/lib/libx.so .local/include/x.h .local/share/pkgconfig/x.pc
    .conan2/p/b/x vcpkg/installed/x64-linux/lib/x .cache/ccache/0/x .cache/sccache/0/x
    esp/esp-idf/tools/x .nvm/README .cache/deno/npm/x
    miniconda3/envs/e/lib/x .conda/envs/e/lib/x Android/Sdk/ndk/27/source.properties
    emsdk/upstream/emscripten/emcc.py .opam/default/lib/x .ghcup/ghc/9/lib/x .clang-format
""")


def test_the_home_folder_is_closed_while_learning(at_home: HomeBench) -> None:
    private = [planted(at_home.home / name) for name in _PRIVATE]
    needed = [planted(at_home.home / name) for name in _NEEDED]

    assert was_read(at_home, *private, at_home.home, *needed) == needed


def test_what_path_leads_to_is_a_tool_chain(at_home: HomeBench) -> None:
    base = at_home.home
    for program in ("tools/llvm/bin/clang", "opt/protoc-25/bin/protoc", "bin/own"):
        planted(base / program).chmod(0o755)
    linked(base / ".local/bin/protoc", base / "opt/protoc-25/bin/protoc")
    planted(base / "projects/other/.git/HEAD")
    planted(base / "projects/other/bin/x").chmod(0o755)
    folders = ("tools/llvm/bin", ".local/bin", "bin", "projects/other/bin")
    at_home.environment = {
        "LD_LIBRARY_PATH": ":".join(str(base / folder) for folder in folders),
        "OPENSSL_DIR": str(base / "built/openssl"),
    }
    needed = [
        planted(base / name)
        for name in (
            *("tools/llvm/lib/libclang.so", "opt/protoc-25/include/any.proto", "bin/helper"),
            *("projects/other/lib/x.so", "built/openssl/lib/libssl.a"),
        )
    ]
    private = [planted(base / name) for name in ("tools/x", "opt/x", "x", "projects/other/src/x")]

    assert was_read(at_home, *needed, *private) == needed


def test_a_file_of_the_home_folder_is_opened_by_a_grant(at_home: HomeBench) -> None:
    model, other = planted(at_home.home / "data/model.bin"), planted(at_home.home / "data/other")
    whole = planted(at_home.home / "more/deep/file")
    key = planted(at_home.home / "more/deep/prod.pem", "-----BEGIN PRIVATE KEY-----")
    at_home.grants["read"] = ["$HOME/data/model.bin", "$HOME/more/**"]

    assert was_read(at_home, model, other, whole, key) == [model, whole]
    assert was_read(at_home, model, other, whole, key, profile="enforcing") == [model, whole]


def test_what_is_closed_is_recorded_as_refused(at_home: HomeBench) -> None:
    model = planted(at_home.home / "data/model.bin")
    was_read(at_home, model)

    assert str(model) in at_home_refused(at_home)


def at_home_refused(bench: Bench) -> list[str]:
    return [event["path"] for event in bench.events() if event.get("refused")]


def test_where_variables_put_settings_and_keys_is_closed_as_well(at_home: HomeBench) -> None:
    elsewhere = at_home.top / "elsewhere"
    private = [
        planted(elsewhere / name)
        for name in ("config/gh/hosts.yml", "data/x", "state/x", "cache/x", "aws-keys", "kube/a")
    ]
    needed = [planted(elsewhere / "cache/ccache/x"), planted(elsewhere / "plain")]
    at_home.environment = {
        "XDG_CONFIG_HOME": str(elsewhere / "config"),
        "XDG_DATA_HOME": str(elsewhere / "data"),
        "XDG_STATE_HOME": str(elsewhere / "state"),
        "XDG_CACHE_HOME": str(elsewhere / "cache"),
        "AWS_SHARED_CREDENTIALS_FILE": str(elsewhere / "aws-keys"),
        "KUBECONFIG": f"{elsewhere}/missing:{elsewhere}/kube/a",
    }

    assert was_read(at_home, *private, *needed) == needed


def test_a_dotfiles_repository_can_be_a_workspace(at_home: HomeBench) -> None:
    key = planted(at_home.workspace / "ssh/work", "key")
    linked(at_home.home / ".ssh", at_home.workspace / "ssh")
    linked(at_home.home / ".bashrc", at_home.workspace / "bashrc")
    linked(at_home.home / ".gitconfig", at_home.workspace / "gitconfig")
    honest = [planted(at_home.workspace / name) for name in ("bashrc", "gitconfig", "x.txt")]

    assert was_read(at_home, key, *honest) == honest


@pytest.mark.parametrize(
    ("places", "closed"),
    [
        ({"HOME": b"/home/me", "WORKSPACE": b"/home/me/ws"}, [b"/home/me"]),
        ({"HOME": b"/root", "WORKSPACE": b"/builds"}, [b"/root"]),
        ({"HOME": b"/usr/home/me", "WORKSPACE": b"/usr/home/me/ws"}, [b"/usr/home/me"]),
        ({"HOME": b"/", "WORKSPACE": b"/builds"}, []),
        ({"HOME": b"/usr", "WORKSPACE": b"/builds"}, []),
        ({"HOME": b"/builds", "WORKSPACE": b"/builds"}, []),
        ({"HOME": b"/builds/.home", "WORKSPACE": b"/builds"}, []),
        ({"HOME": b"", "WORKSPACE": b"/builds"}, []),
        ({"WORKSPACE": b"/builds"}, []),
        ({"HOME": b"/nonexistent", "WORKSPACE": b"/builds"}, [b"/nonexistent"]),
    ],
)
def test_which_folder_is_a_home(places: dict[str, bytes], closed: list[bytes]) -> None:
    assert home.closed(places, {}) == closed


@pytest.mark.parametrize("where", [b"/", b"/nonexistent", b""])
def test_a_home_folder_that_is_none_keeps_nobody_from_building(where: bytes) -> None:
    found = tier.find({"HOME": where, "WORKSPACE": b"/nonexistent/ws"}, b"/usr/bin:/bin", {}, {})

    assert all(path.startswith(b"/.") for path in found["held"])  # `/.ssh`, if it is there.
    assert found["open"] == []


def _git(*words: str, folder: Path) -> None:
    settings = ["user.name=x", "user.email=x@example.org", "init.defaultBranch=main"]
    settings += ["safe.directory=*", "commit.gpgsign=false"]
    own = [word for setting in settings for word in ("-c", setting)]
    subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("is_worktree", [False, True])
def test_git_finds_the_repository_around_a_workspace(at_home: HomeBench, is_worktree: bool) -> None:
    top = at_home.home / "projects"
    other = at_home.home / "private"
    for folder in (top, other):
        folder.mkdir(exist_ok=True)
        _git("init", folder=folder)
        _git("commit", "--allow-empty", "-m", "x", folder=folder)
    needed = [top / ".git/HEAD", top / ".git/config"]
    if is_worktree:
        _git("worktree", "add", "--detach", "../tree", folder=top)
        (at_home.workspace / ".git").write_text((at_home.home / "tree/.git").read_text())
        named = top / ".git/worktrees/tree"
        (named / "gitdir").write_text(f"{at_home.workspace}/.git\n")
        needed.append(named / "HEAD")

    private = [other / ".git/config", planted(top / "other.txt")]
    assert was_read(at_home, *needed, *private) == needed


def test_a_file_that_claims_another_repository_opens_nothing(at_home: HomeBench) -> None:
    other = planted(at_home.home / "private/.git/HEAD")
    (at_home.workspace / ".git").write_text(f"gitdir: {other.parent}\n")

    assert was_read(at_home, other) == []
