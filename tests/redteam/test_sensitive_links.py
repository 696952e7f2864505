"""Keys of a user that are reached by a name which nothing knows as a key's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.redteam.sensitive_files import linked, planted, was_read

if TYPE_CHECKING:
    from tests.bench import Bench

_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted\n"


def test_where_links_in_sensitive_folders_lead_is_not_read_while_learning(bench: Bench) -> None:
    # Outside of the home folder, which is closed anyhow.
    dotfiles, mounted = bench.top / "dotfiles", bench.top / "mnt"
    chained = linked(dotfiles / "chain", planted(mounted / "end", _KEY))
    keys = [
        planted(dotfiles / "ssh-key"),
        mounted / "end",
        planted(mounted / "creds"),
        planted(mounted / "clusters/prod"),
        planted(dotfiles / "gnupg/private"),
        planted(mounted / "registry-token"),
        planted(mounted / "beyond"),
    ]
    linked(bench.home / ".ssh/id_ed25519", dotfiles / "ssh-key")
    linked(bench.home / ".ssh/deep/er/key", chained)
    linked(bench.home / ".aws/credentials", mounted / "creds")
    linked(bench.home / ".kube/clusters", mounted / "clusters")
    linked(bench.home / ".gnupg", dotfiles / "gnupg")
    linked(dotfiles / "gnupg/further", mounted / "beyond")
    linked(bench.cargo_home / "credentials.toml", mounted / "registry-token")
    honest = [planted(dotfiles / "bashrc"), planted(mounted / "model.bin"), dotfiles]

    assert was_read(bench, *keys, *honest[:2]) == honest[:2]


def test_a_folder_of_keys_that_lies_in_the_workspace_is_closed_to_wildcards(bench: Bench) -> None:
    key = planted(bench.workspace / "dotfiles/ssh/work", _KEY)
    plain = planted(bench.workspace / "dotfiles/vimrc")
    linked(bench.home / ".ssh", bench.workspace / "dotfiles/ssh")
    bench.grants["read"] = ["$WORKSPACE/dotfiles/**"]

    assert was_read(bench, key, plain, profile="enforcing") == [plain]
    assert was_read(bench, key, plain) == [plain]


def test_a_key_behind_a_link_is_opened_by_its_exact_path(bench: Bench) -> None:
    key = planted(bench.workspace / "dotfiles/work", _KEY)
    linked(bench.home / ".ssh/id_work", key)
    bench.grants["read"] = ["$WORKSPACE/dotfiles/work"]

    assert was_read(bench, key, profile="enforcing") == [key]


def test_links_of_the_tier_do_not_close_what_a_build_needs(bench: Bench) -> None:
    linked(bench.home / ".ssh/everything", "/")
    linked(bench.home / ".ssh/system", "/usr")
    linked(bench.home / ".ssh/config", "/usr/share/doc")
    linked(bench.home / ".docker/project", bench.workspace)
    linked(bench.home / ".aws/crate", bench.package)
    linked(bench.home / ".kube/cache", bench.target)
    linked(bench.home / ".bash_history", "/dev/null")
    source = planted(bench.package / "src/lib.rs")
    plain = planted(bench.workspace / "schema.txt")
    system = bench.top / "usr-is-there"
    linked(system, "/usr/bin")

    assert was_read(bench, source, plain, system) == [source, plain, system]


def test_a_loop_of_links_does_no_harm(own_bench: Bench) -> None:
    linked(own_bench.home / ".ssh/a", own_bench.home / ".ssh/b")
    linked(own_bench.home / ".ssh/b", own_bench.home / ".ssh/a")
    linked(own_bench.home / ".aws/self", ".")
    plain = planted(own_bench.workspace / "plain")

    assert was_read(own_bench, plain) == [plain]


@pytest.mark.parametrize("name", ["looks-innocent", "proto/also.proto"])
def test_a_link_in_the_workspace_to_a_key_says_why_it_is_refused(
    own_bench: Bench, name: str
) -> None:
    key = planted(own_bench.top / "mnt/key", _KEY)
    linked(own_bench.home / ".ssh/id_work", key)
    link = linked(own_bench.workspace / name, key)

    assert was_read(own_bench, link) == []
    held = own_bench.events()[0]["held"]
    assert held[str(key)].startswith("`$HOME/.ssh/id_work` leads here")
