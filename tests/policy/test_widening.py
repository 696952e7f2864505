"""Which changes of the grants make them wider, and for whom."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.policy import manifest
from buildperm.policy.grants import Policy
from buildperm.policy.widening import EVERYBODY, WiderGrant, wider

_HOME = "[workspace.metadata.buildperm]\nversion = 1\n"
_CONTEXT = "check --keep-going"
_LOCKED = (("foo", "0.9.4"), ("foo", "1.2.3"))


def policy(text: str) -> Policy:
    """Read the tables of crates in `text`, or whole files that say where they begin."""
    whole = text if "buildperm]" in text else _HOME + text
    return manifest.read(
        whole.replace("[crates.", "[workspace.metadata.buildperm.crates.").encode(),
        Path("Cargo.toml"),
    )


def between(before: str, after: str) -> list[WiderGrant]:
    return wider(policy(before), policy(after), _LOCKED, _CONTEXT)


def crate(body: str, key: str = "foo") -> str:
    return f'[crates."{key}"]\n{body}\n'


WIDE = 'read = ["$WORKSPACE/proto/**"]'
KEYS = [f"ed25519:{'A' * 42}{last}=" for last in "AE"]


def shared(store: str, *keys: str) -> str:
    return f'{_HOME}cache = {{ store = "{store}", keys = {json.dumps(keys)} }}\n'


NARROWER = {
    "a folder becomes a file": (crate(WIDE), crate('read = ["$WORKSPACE/proto/a.txt"]')),
    "a folder becomes one in it": (crate(WIDE), crate('read = ["$WORKSPACE/proto/v1/**"]')),
    "names become fewer": (crate('env = ["OPENSSL_*"]'), crate('env = ["OPENSSL_DIR"]')),
    "a rule of a preset stands alone": (crate('presets = ["cc"]'), crate('exec = ["cc"]')),
    "a grant is gone": (crate(WIDE + '\nexec = ["perl"]'), crate(WIDE)),
    "a table is gone": (crate(WIDE), ""),
    "a table of nothing is new": ("", crate('reviewed = ["1.2.3"]')),
    "low risk goes on": (
        crate(WIDE + '\nreviewed = ["0.9.4"]'),
        crate(WIDE + '\nreviewed = ["0.9.4", "1.2.3"]'),
    ),
    "a denial is new": (crate(WIDE), crate(WIDE + '\ndeny = { env = ["CC"] }')),
    "a denial says more": (
        crate('deny = { env = ["GITHUB_TOKEN"] }'),
        crate('deny = { env = ["GITHUB_*"] }'),
    ),
    "a key gets a version": (crate(WIDE), crate(WIDE, "foo@0.9")),
    "a key spells its source out": (
        crate(WIDE),
        crate(WIDE, "registry+https://github.com/rust-lang/crates.io-index#foo"),
    ),
    "versions share what all had": (crate(WIDE), crate(WIDE, "foo@0.9") + crate(WIDE, "foo@1")),
    "another reason": (crate(WIDE + '\nreason = "a"'), crate(WIDE + '\nreason = "b"')),
    "sorted, quoted, commented, inline": (
        crate('read = ["$WORKSPACE/a", "$WORKSPACE/b"]'),
        '[workspace.metadata]\nbuildperm = { version = 1, crates = { "foo" = { "read" = '
        "['$WORKSPACE/b', '$WORKSPACE/a'] } } } # buildperm]\n",
    ),
    "the table of a package": (
        crate(WIDE),
        "[package.metadata.buildperm]\nversion = 1\n"
        f"[package.metadata.buildperm.crates.foo]\n{WIDE}",
    ),
    "a limit is lower": (_HOME + "limits = { seconds = 9 }", _HOME + "limits = { seconds = 8 }"),
    "a limit is what it was": (_HOME + "limits = { seconds = 1800 }", _HOME),
    "more is required": (_HOME, _HOME + 'require = "full"'),
    "compiling is held by more": (_HOME + 'compile = "off"', _HOME + 'compile = "watch"'),
    "compiling is held, in so many words": (_HOME, _HOME + 'compile = "hold"'),
    "fewer others": (crate(WIDE + '\nfor = ["bar", "baz"]'), crate(WIDE + '\nfor = ["bar"]')),
    "a context more": (_HOME, _HOME + f'contexts = ["{_CONTEXT}", "check --release"]'),
    "less is shared": (
        _HOME + 'shared = ["$WORKSPACE/g/**"]',
        _HOME + 'shared = ["$WORKSPACE/g/a"]',
    ),
    "fewer sign": (shared("s3://a", *KEYS), shared("s3://a", KEYS[1])),
    "nobody signs any more": (shared("s3://a", *KEYS), _HOME + "cache = true"),
    "what is signed is elsewhere": (shared("s3://a", KEYS[0]), shared("s3://b", KEYS[0])),
    "own results are restored": (_HOME, _HOME + "cache = true"),
}

WIDER = {
    "a file becomes a folder": (
        crate('read = ["$WORKSPACE/proto/a.txt"]'),
        crate(WIDE),
        "foo may read `$WORKSPACE/proto/**`",
    ),
    "a star becomes two": (
        crate('read = ["$WORKSPACE/proto/*"]'),
        crate(WIDE),
        "foo may read `$WORKSPACE/proto/**`",
    ),
    "a program": ("", crate('exec = ["perl"]'), "foo may run `perl`"),
    "a host": ("", crate('net = ["example.org:443"]'), "foo may connect to `example.org:443`"),
    "a preset": (crate('exec = ["cc"]'), crate('presets = ["cc"]'), "foo may use the preset `cc`"),
    "a directive": (
        "",
        crate('directives = ["rustc-link-arg=-lm"]'),
        "foo may tell Cargo `rustc-link-arg=-lm`",
    ),
    "a denial is gone": (
        crate('env = ["A_*"]\ndeny = { env = ["A_KEY"] }'),
        crate('env = ["A_*"]'),
        "foo is not denied any more to see the variable `A_KEY`",
    ),
    "a denial held a grant back": (
        crate(WIDE + '\ndeny = { read = ["$WORKSPACE/proto/key"] }'),
        crate(WIDE + '\ndeny = { read = ["$WORKSPACE/other"] }'),
        "foo may read `$WORKSPACE/proto/**`",
    ),
    "the table with the denial is gone": (
        crate('deny = { net = ["a.example:1"] }'),
        "",
        "foo is not denied any more to connect to `a.example:1`",
    ),
    "a key loses its version": (
        crate(WIDE, "foo@0.9"),
        crate(WIDE),
        "foo may read `$WORKSPACE/proto/**` (version 1.2.3, every other version)",
    ),
    "a key that names a version which nobody has": (
        "",
        crate('exec = ["perl"]') + crate("", "foo@4294967291"),
        "foo may run `perl`",
    ),
    "a closer key": (
        crate(WIDE),
        crate(WIDE) + crate(WIDE + '\nexec = ["perl"]', "foo@1"),
        "foo@1 may run `perl`",
    ),
    "a closer key that said less is gone": (
        crate(WIDE) + crate('reviewed = ["1.2.3"]', "foo@1"),
        crate(WIDE),
        "foo may read `$WORKSPACE/proto/**` (version 1.2.3, versions 1)",
    ),
    "the same name from elsewhere": (
        crate(WIDE),
        crate(WIDE) + crate(WIDE, "git+https://example.org/foo#foo"),
        "git+https://example.org/foo#foo may read `$WORKSPACE/proto/**`",
    ),
    "high risk in another version": (
        crate('net = ["a.example:1"]\nreviewed = ["0.9.4"]'),
        crate('net = ["a.example:1"]\nreviewed = ["0.9.4", "1.2.3"]'),
        "foo may connect to `a.example:1` in version 1.2.3, too, which is new in `reviewed`",
    ),
    "another host": (
        crate('net = ["a.example:1"]\nreviewed = ["0.9.4"]'),
        crate('net = ["b.a.example:1"]\nreviewed = ["0.9.4"]'),
        "foo may connect to `b.a.example:1`",
    ),
    "a secret that a wildcard does not open": (
        crate('env = ["AWS_*"]'),
        crate('env = ["AWS_*", "AWS_SECRET_ACCESS_KEY"]\nreason = "x"'),
        "foo may see the variable `AWS_SECRET_ACCESS_KEY`",
    ),
    "a reason, by which a secret in a value passes": (
        crate('env = ["MY_SETTING"]\nreviewed = ["1.2.3"]'),
        crate('env = ["MY_SETTING"]\nreviewed = ["1.2.3"]\nreason = "x"'),
        "foo may see the variable `MY_SETTING` even where its value holds a secret (version 1.2.3)",
    ),
    "a version in which a secret in a value passes": (
        crate('env = ["MY_SETTING"]\nreviewed = ["0.9.4"]\nreason = "x"'),
        crate('env = ["MY_SETTING"]\nreviewed = ["0.9.4", "1.2.3"]\nreason = "x"'),
        "foo may see the variable `MY_SETTING` even where its value holds a secret (version 1.2.3)",
    ),
    "an exact name, by which a secret in a value passes": (
        crate('env = ["MY_*"]\nreviewed = ["1.2.3"]\nreason = "x"'),
        crate('env = ["MY_SETTING"]\nreviewed = ["1.2.3"]\nreason = "x"'),
        "foo may see the variable `MY_SETTING` even where its value holds a secret (version 1.2.3)",
    ),
    "a key, by its name, that a wildcard does not open": (
        crate(WIDE),
        crate(WIDE.replace("**", "prod.pem") + '\nreason = "x"'),
        "foo may read `$WORKSPACE/proto/prod.pem`",
    ),
    "a path where names were granted": (
        crate('exec = ["perl*"]'),
        crate('exec = ["perl*", "$WORKSPACE/perl"]'),
        "foo may run `$WORKSPACE/perl`",
    ),
    "less is required": (
        _HOME + 'require = "full"',
        _HOME,
        f"{EVERYBODY} may be held by less: `require` was `full` and is `portable`",
    ),
    "a weaker runtime": (
        _HOME + 'runtime = "full"',
        _HOME + 'runtime = "auto"',
        f"{EVERYBODY} may be held by less: `runtime` was `full` and is `auto`",
    ),
    "a limit is gone": (
        _HOME,
        _HOME + "limits = { seconds = 0 }",
        f"{EVERYBODY} may use more: no limit for `seconds`, and it was seconds = 1800",
    ),
    "a limit of one crate": (
        _HOME + "limits = { crates = { foo = { processes = 9 } } }",
        _HOME,
        "foo may use more: processes = 4096, and it was processes = 9",
    ),
    "compiling is not held any more": (
        _HOME,
        _HOME + 'compile = "watch"',
        f"{EVERYBODY} and macros and compilers are held by less: `compile` was `hold` and is "
        "`watch`",
    ),
    "compiling one crate is not held any more": (
        crate(""),
        crate('compile = "off"'),
        "foo may be compiled held by less: `compile` was `hold` and is `off`",
    ),
    "what held compiling one crate is gone": (
        _HOME + 'compile = "off"\n' + crate('compile = "hold"'),
        _HOME + 'compile = "off"\n',
        "foo may be compiled held by less: `compile` was `hold` and is `off`",
    ),
    "macros may act for somebody else": (
        crate(WIDE),
        crate(WIDE + '\nfor = ["bar"]'),
        "foo lets its macros use its grants where `bar` uses them",
    ),
    "a context is gone": (
        _HOME + 'contexts = ["check", "build"]',
        _HOME + 'contexts = ["check"]',
        f"{EVERYBODY} are not looked at with `build` any more",
    ),
    "only what is harmless is looked at": (
        _HOME,
        _HOME + 'contexts = ["check -p harmless"]',
        f"{EVERYBODY} are not looked at with `{_CONTEXT}` any more",
    ),
    "more is shared": (
        _HOME + 'shared = ["$WORKSPACE/g/a"]',
        _HOME + 'shared = ["$WORKSPACE/g/**"]',
        f"{EVERYBODY} that may write `$WORKSPACE/g/**` may change what others have made there",
    ),
    "somebody else signs": (
        shared("s3://a", KEYS[0]),
        shared("s3://a", KEYS[1]),
        f"{EVERYBODY} may be replaced by results that `{KEYS[1]}` has signed",
    ),
    "somebody signs": (
        _HOME + "cache = true",
        shared("s3://a", KEYS[0]),
        f"{EVERYBODY} may be replaced by results that `{KEYS[0]}` has signed",
    ),
}


@pytest.mark.parametrize("name", NARROWER)
def test_what_allows_no_more_is_not_wider(name: str) -> None:
    assert between(*NARROWER[name]) == []


@pytest.mark.parametrize("name", WIDER)
def test_what_allows_more_is_told_once(name: str) -> None:
    before, after, told = WIDER[name]

    assert told in [f"{change.key} {change.what}" for change in between(before, after)]
    assert between(after, after) == []
    assert between(before, before) == []


def test_nothing_of_one_table_is_told_of_another() -> None:
    many = "".join(crate('exec = ["perl"]', f"c{n}") for n in range(3))

    assert between(many, many + crate('exec = ["perl"]', "c3"))[0].key == "c3"
    assert len(between(many, many + crate('exec = ["perl"]', "c3"))) == 1


def test_the_gravest_stands_first_with_its_risk_and_the_reason_that_is_given() -> None:
    said = 'exec = ["cc"]\nnet = ["a.example:1"]\nreason = "downloads\\u001b[2J"'

    first, second = between("", crate(said))

    assert first.item == "net:a.example:1"
    assert first.why[0].startswith("high risk: ")
    assert first.why[1] == "The reason that Cargo.toml gives: downloads\x1b[2J"
    assert second.item == "exec:cc"
    assert first.place == ("crates", "foo", "net")


def test_entries_of_reviewed_that_name_a_commit_are_compared_as_they_are() -> None:
    """What stands there for a Git source is not for this module to read."""
    before, after = policy(crate('net = ["a.example:1"]')), policy(crate('net = ["a.example:1"]'))

    def with_reviewed(policy: Policy, entry: str) -> Policy:
        table = replace(policy.crates["foo"], reviewed=frozenset({entry}))
        return replace(policy, crates={"foo": table})

    found = wider(
        with_reviewed(before, "0.9.4#aaa"), with_reviewed(after, "0.9.4#bbb"), _LOCKED, _CONTEXT
    )

    assert [change.what for change in found] == [
        "may connect to `a.example:1` in version 0.9.4#bbb, too, which is new in `reviewed`"
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("2999-01-31", "2999-01-30", ""),
        ("2999-01-31", "2999-01-31", ""),
        ("", "2999-01-31", ""),
        ("2999-01-31", "2999-02-01", "keeps what it is granted until 2999-02-01"),
        ("2999-01-31", "", "keeps what it is granted without an end"),
        ("2020-01-31", "", "may run `perl`"),
    ],
)
def test_grants_that_end_later_are_wider(before: str, after: str, told: str) -> None:
    def table(day: str) -> str:
        return crate('exec = ["perl"]' + (f'\nexpires = "{day}"' if day else ""))

    found = [each.what for each in between(table(before), table(after))]

    assert any(told in what for what in found) if told else not found


def test_another_root_is_wider_whichever_it_is_and_another_place_is_not() -> None:
    none = _HOME
    one, other = (f'{_HOME}root-digest = "sha256:{digit * 64}"\n' for digit in "01")
    for before, after in ((none, one), (one, other), (one, none)):
        (found,) = between(before, after)
        assert found.item == "root-digest"
        assert found.key == EVERYBODY
        assert found.what.startswith("run programs of another system")
    assert between(one, one.replace("root-digest", 'root = "/a"\nroot-digest')) == []
    assert between(one, one) == []
