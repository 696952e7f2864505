"""Sentences about an edit of Cargo.toml: what is covered by something wider is still allowed."""

from __future__ import annotations

from buildperm.presentation import edit_sentences

HEAD = b"[workspace.metadata.buildperm]\nversion = 1\n[workspace.metadata.buildperm.crates.a]\n"


def _told(before: bytes, after: bytes) -> list[str]:
    return [each.text for each in edit_sentences.explain(HEAD + before, HEAD + after)]


def test_a_rule_that_a_wider_one_covers_is_still_in_force() -> None:
    told = _told(b'read = ["$WORKSPACE/p/a", "$WORKSPACE/q"]\n', b'read = ["$WORKSPACE/p/**"]\n')

    assert told == [
        "+ a may read $WORKSPACE/p/**",
        "- a may no longer read $WORKSPACE/q",
        "- a still may read $WORKSPACE/p/a: a wider rule says so",
    ]


def test_a_rule_that_a_preset_holds_is_still_in_force() -> None:
    told = _told(b'exec = ["gcc"]\n', b'presets = ["cc"]\n')

    assert told[-1] == "- a still may run gcc: a wider rule says so"


def test_what_holds_on_this_machine_alone_is_marked_for_denials_as_for_grants() -> None:
    told = _told(
        b'read = ["/srv/gone"]\n',
        b'read = ["/opt/tool/x", "$WORKSPACE/x"]\n'
        b'deny = { read = ["$HOME/.ssh/id_rsa", "/srv/data", "/usr/share/x"] }\n',
    )

    assert told == [
        "+ a may read $WORKSPACE/x, /opt/tool/x (on this machine only)",
        "+ a must not read $HOME/.ssh/id_rsa, /srv/data (on this machine only), /usr/share/x",
        "- a may no longer read /srv/gone",
    ]
