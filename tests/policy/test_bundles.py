"""Bundles: a program with what it needs to work, and nothing that is a question of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import bundles
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule


def _access(kind: Kind, target: str, *causes: str, resolved: str = "") -> Access:
    made = Access(kind, target, Outcome.DONE, 1, 0, 0, (), resolved=resolved)
    return replace(made, causes=tuple(sorted(causes))) if causes else made


@pytest.mark.parametrize(
    ("target", "resolved", "folders"),
    [
        ("python3", "$HOME/.pyenv/shims/python3", ("$HOME/.pyenv",)),
        ("/opt/tool/bin/tool", "", ("/opt/tool",)),
        ("/srv/venv/bin/python", "/opt/py/bin/python3.11", ("/opt/py", "/srv/venv")),
        ("python3", "/usr/bin/python3.11", ()),
        ("tool", "/usr/local/bin/tool", ()),
        ("tool", "$HOME/.local/bin/tool", ()),
        ("$WORKSPACE/bin/tool", "", ()),
        ("$WORKSPACE/tools/bin/tool", "", ("$WORKSPACE/tools",)),
        ("$CARGO_HOME/bin/tool", "", ()),
        ("$HOME/tool", "", ()),
    ],
)
def test_an_installation_is_what_holds_one_program_alone(
    target: str, resolved: str, folders: tuple[str, ...]
) -> None:
    program = _access(Kind.EXEC, target, resolved=resolved)

    assert tuple(sorted(bundles.installations(program))) == folders


def test_downloaders_and_other_interpreters_are_questions_of_their_own() -> None:
    sh = _access(Kind.EXEC, "sh")
    its = [_access(Kind.EXEC, name, "sh") for name in ("cat", "bash", "curl", "perl", "unheard-of")]

    (bundle,) = bundles.found([sh, *its])

    assert [each.target for each in bundle.helpers] == ["cat", "bash"]


def test_what_the_script_did_as_well_is_not_the_programs() -> None:
    both = _access(Kind.EXEC, "cat", "", "sh")

    assert bundles.found([_access(Kind.EXEC, "sh"), both]) == []


def test_a_virtual_environment_goes_with_the_python_that_is_run_from_it() -> None:
    python = _access(Kind.EXEC, "/srv/venv/bin/python")
    its = [
        _access(Kind.READ, f"{folder}/{name}", python.target)
        for folder in ("/srv/venv", "$WORKSPACE/other")
        for name in ("pyvenv.cfg", "lib/x.py")
    ]

    (bundle,) = bundles.found([python, *its])

    assert bundle.folders == ("$WORKSPACE/other", "/srv/venv")
    assert [str(rule) for rule in bundles.choices(bundle)[-1].rules] == [
        "exec:/srv/venv/bin/python",
        "read:$WORKSPACE/other/**",
        "read:/srv/venv/**",
    ]


def test_the_many_scripts_of_a_version_manager_are_granted_as_its_folder() -> None:
    python = _access(Kind.EXEC, "python", resolved="$HOME/.pyenv/shims/python")
    scripts = [_access(Kind.EXEC, f"$HOME/.pyenv/libexec/pyenv-{n}", "python") for n in "abcdef"]
    others = [_access(Kind.EXEC, name, "python") for name in ("bash", "env")]
    read = _access(Kind.READ, "$HOME/.pyenv/version", "python")

    (bundle,) = bundles.found([python, *scripts, *others, read])
    exact, suggested = bundles.choices(bundle)

    assert len(exact.rules) == 10
    assert [str(rule) for rule in suggested.rules] == [
        "exec:bash",
        "exec:env",
        "exec:python",
        "exec:$HOME/.pyenv/**",
        "read:$HOME/.pyenv/**",
    ]
    assert suggested.title == "these 3 programs, and running and reading all of $HOME/.pyenv"
    assert "programs and files of its installation" in suggested.widening
    # A few are named, as are those that lie elsewhere.
    (few,) = bundles.found([python, *scripts[:5], *others, read])
    named = [each.target for each in (python, *scripts[:5], *others)]
    assert {rule.pattern for rule in bundles.choices(few)[-1].rules if rule.kind is Kind.EXEC} == {
        *named
    }


def test_what_two_programs_run_goes_with_one_of_them() -> None:
    shared = _access(Kind.EXEC, "sed", "git", "sh")
    programs = [_access(Kind.EXEC, "git"), _access(Kind.EXEC, "sh")]

    (bundle,) = bundles.found([*programs, shared])

    assert (bundle.program, bundle.helpers) == (programs[0], (shared,))


accesses = st.builds(
    lambda kind, target, causes: _access(kind, target, *causes),
    st.sampled_from([Kind.EXEC, Kind.READ, Kind.WRITE]),
    st.sampled_from(["sh", "git", "sed", "curl", "/opt/a/bin/t", "/opt/a/x", "$HOME/.ssh/id"]),
    st.frozensets(st.sampled_from(["", "sh", "git", "/opt/a/bin/t"]), max_size=2),
)


@given(st.lists(accesses, max_size=12, unique_by=lambda each: (each.kind, each.target)))
def test_nothing_is_in_two_bundles_and_only_what_a_program_wanted_goes_with_it(
    everything: list[Access],
) -> None:
    found = bundles.found(everything)
    asked = [(each.kind, each.target) for bundle in found for each in bundle.accesses]

    assert len(asked) == len(set(asked))
    for bundle in found:
        assert bundle.program.is_direct
        for each in (*bundle.helpers, *bundle.parts):
            assert bundle.program.target in each.causes
            assert not each.is_direct
        for choice in bundles.choices(bundle):
            assert {rule.kind for rule in choice.rules} <= {Kind.EXEC, Kind.READ}


def test_a_program_of_a_crate_is_granted_for_every_registry() -> None:
    """Each registry has a folder of its own name, and mirrors have others."""
    crate = "$CARGO_HOME/registry/src/registry.example.org-0123456789abcdef/protoc-bin-3.3.0"
    program = _access(Kind.EXEC, f"{crate}/bin/protoc")
    its = _access(Kind.READ, f"{crate}/include/any.proto", program.target)

    (bundle,) = bundles.found([program, its])

    everywhere = "$CARGO_HOME/registry/src/*/protoc-bin-3.3.0"
    for choice in bundles.choices(bundle):
        assert all(rule.pattern.startswith(f"{everywhere}/") for rule in choice.rules)
    assert Rule(Kind.READ, f"{everywhere}/**") in bundles.choices(bundle)[-1].rules
