"""Grants of an organisation: how they are read, what wins, and what they never open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.policy import imported_grants, manifest
from buildperm.policy.compilation import effective, only_imported, secret_variables
from buildperm.policy.explainer import Explainer
from buildperm.policy.explanation import AllowedByRule, Denied
from buildperm.policy.grants import CrateGrants, ImportedGrants
from buildperm.policy.import_table import with_import
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule

FILE = b'version = 1\n[crates.x]\nreviewed = ["1.0.0"]\nexec = ["perl"]\n'


def workspace(root: Path, raw: bytes = FILE, digest: str = "", name: str = "acme.toml") -> Path:
    (root / "acme.toml").write_bytes(raw)
    manifest_path = root / "Cargo.toml"
    manifest_path.write_text(
        '[workspace]\n[workspace.metadata.buildperm]\nversion = 1\nimport = [{ file = "'
        f'{name}", sha256 = "{digest or imported_grants.digest(raw)}", from = "acme" }}]\n'
    )
    return manifest_path


def read(path: Path) -> ImportedGrants:
    (found,) = manifest.read(path.read_bytes(), path).imports
    return found


def test_a_file_is_read_as_cargo_toml_names_it(tmp_path: Path) -> None:
    found = read(workspace(tmp_path))

    assert (found.file, found.origin) == ("acme.toml", "acme")
    assert found.crates["x"].rules == {Rule(Kind.EXEC, "perl")}


@pytest.mark.parametrize("name", ["../acme.toml", "/etc/passwd", "./acme.toml", "a//b", "", "gone"])
def test_a_file_that_is_not_in_the_workspace_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildpermError, match=r"Cargo\.toml:4: .*import"):
        read(workspace(tmp_path, name=name))


def test_another_file_than_the_one_that_was_imported_is_an_error(tmp_path: Path) -> None:
    path = workspace(tmp_path)
    (tmp_path / "acme.toml").write_bytes(FILE + b"# more\n")

    with pytest.raises(BuildpermError, match="is not the file that was imported"):
        read(path)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ('read = ["$HOME/.ssh/id_rsa"]', "id_rsa"),
        ('read = ["$CARGO_HOME/credentials.toml"]', "credentials.toml"),
        ('env = ["GITHUB_TOKEN"]', "GITHUB_TOKEN"),
        ('net = ["169.254.169.254:80"]', "169.254.169.254"),
        ('write = ["$WORKSPACE/Cargo.toml"]', "Cargo.toml"),
    ],
)
def test_what_tries_to_open_the_sensitive_tier_is_named(
    tmp_path: Path, said: str, named: str
) -> None:
    raw = f'version = 1\n[crates.x]\nreviewed = ["1.0.0"]\nreason = "trust me"\n{said}\n'.encode()

    with pytest.raises(BuildpermError, match="sensitive tier, which no imported grant opens") as it:
        read(workspace(tmp_path, raw))
    assert named in str(it.value)
    assert "`x`" in str(it.value)


@pytest.mark.parametrize(
    "said",
    [
        'write = ["$WORKSPACE/gen/**"]',
        'compile = "off"',
        'for = ["y"]',
        "exec = [1]",
        'read = ["/**"]',
        'young = "x"',
    ],
)
def test_what_no_such_file_may_say_is_an_error(tmp_path: Path, said: str) -> None:
    raw = f"version = 1\n[crates.x]\n{said}\n".encode()

    with pytest.raises(BuildpermError, match="acme"):
        read(workspace(tmp_path, raw))


@pytest.mark.parametrize(
    "raw", [b"", b"version = 2\n", b"[", b"\xff", b"version = 1\nimport = []\n", b"[crates]\n"]
)
def test_what_is_no_such_file_is_an_error(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(BuildpermError):
        read(workspace(tmp_path, raw))


PERL, CC, WIDE, NARROW, NET = (
    Rule(Kind.EXEC, "perl"),
    Rule(Kind.EXEC, "cc"),
    Rule(Kind.READ, "/opt/x/**"),
    Rule(Kind.READ, "/opt/x/y"),
    Rule(Kind.NET, "h.example:443"),
)


def lent(
    *rules: Rule, reviewed: str = "1.0.0", denials: frozenset[Rule] = frozenset()
) -> CrateGrants:
    return CrateGrants(
        "x", frozenset({reviewed}), rules=frozenset(rules), denials=denials, origin="acme.toml"
    )


def both(own: CrateGrants, *others: CrateGrants) -> frozenset[Rule]:
    return effective(replace(own, imported=others), "1.0.0").rules


def test_imported_grants_count_beside_those_of_the_workspace() -> None:
    assert both(CrateGrants("x"), lent(PERL, NET)) == {PERL, NET}
    own = CrateGrants("x", rules=frozenset({CC}))
    assert both(own, lent(PERL)) == {CC, PERL}


def test_a_narrower_grant_of_the_workspace_wins() -> None:
    own = CrateGrants("x", frozenset({"1.0.0"}), rules=frozenset({NARROW}))

    assert both(own, lent(WIDE)) == {NARROW}
    (out,) = effective(replace(own, imported=(lent(WIDE),)), "1.0.0").withheld
    assert "is narrower" in out.why
    wider = replace(own, rules=frozenset({WIDE}))
    assert both(wider, lent(NARROW)) == {WIDE, NARROW}


def test_every_denial_counts() -> None:
    denied = frozenset({PERL})

    assert both(CrateGrants("x", denials=denied), lent(PERL, CC)) == {CC}
    assert both(CrateGrants("x", rules=denied), lent(CC, denials=denied)) == {CC}
    assert both(CrateGrants("x"), lent(PERL), lent(denials=denied)) == frozenset()


def test_a_risky_grant_holds_for_the_versions_that_its_own_table_has_reviewed() -> None:
    mine = CrateGrants("x", frozenset({"1.0.0"}))
    theirs = CrateGrants("x", rules=frozenset({NET}))

    assert both(mine, lent(NET, reviewed="0.9.0")) == frozenset()
    assert both(theirs, lent(reviewed="1.0.0")) == frozenset()
    assert both(mine, lent(NET)) == {NET}


def test_what_holds_by_an_imported_file_alone_is_known() -> None:
    own = CrateGrants("x", frozenset({"1.0.0"}), rules=frozenset({CC}), reason="because")
    grants = replace(own, imported=(lent(CC, PERL, Rule(Kind.ENV, "PLAIN")),))

    assert only_imported(grants, "1.0.0") == {PERL, Rule(Kind.ENV, "PLAIN")}
    assert secret_variables(grants, "1.0.0") == []  # Whatever the value of PLAIN is.


def test_an_explanation_says_which_file_it_is_from() -> None:
    own = CrateGrants("x", rules=frozenset({CC}))
    denied = frozenset({Rule(Kind.ENV, "CI")})
    explainer = Explainer(replace(own, imported=(lent(PERL, denials=denied),)), "1.0.0")

    assert explainer.explain(Kind.EXEC, "perl") == AllowedByRule(PERL, "acme.toml")
    assert explainer.explain(Kind.EXEC, "cc") == AllowedByRule(CC)
    assert explainer.explain(Kind.ENV, "CI") == Denied(Rule(Kind.ENV, "CI"), "acme.toml")


ENTRY = ImportedGrants("grants/a.toml", "ab" * 32, "git+https://h/x?rev=1#a.toml", {})


@pytest.mark.parametrize(
    "before",
    [
        '[package]\nname = "x" # mine\n',
        "[workspace]\nmembers = []\n",
        "[workspace]\n\n[workspace.metadata.buildperm]\nversion = 1 # one\n\n"
        '[workspace.metadata.buildperm.crates.x]\nexec = [ "perl" ]  # why\n',
        "[workspace.metadata.buildperm]\r\nversion = 1\r\n",
    ],
)
def test_importing_changes_nothing_else_in_cargo_toml(before: str) -> None:
    path = Path("/w/Cargo.toml")

    after = with_import(before.encode(), ENTRY, path)

    text = after.decode()
    kept = [line for line in before.splitlines() if line.strip()]
    assert [line for line in text.splitlines() if line in kept] == kept
    assert "grants/a.toml" in text
    assert with_import(after, ENTRY, path) == after
    newer = with_import(after, replace(ENTRY, sha256="cd" * 32), path).decode()
    assert newer.count("grants/a.toml") == 1
    assert "cd" * 32 in newer
