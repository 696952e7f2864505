"""Reports from elsewhere: all of it is read, and none of its judgements is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy import proposals
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.review_state import Review
from buildperm.policy.role import Role, SubjectKind
from buildperm.policy.sensitivity import STEERS
from buildperm.report import counterpart, json_reader
from buildperm.report import json as report
from buildperm.report.build_run import BuildRun, ScriptRun, evidence
from buildperm.report.finding import Report
from buildperm.rules import baseline
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage


def script(*accesses: Access, crate: str = "sample", version: str = "0.1.0") -> ScriptRun:
    return ScriptRun(crate, version, "", ("app", crate), 9, 9, 9, (), everything=accesses)


def document(*scripts: ScriptRun) -> str:
    run = BuildRun("portable", 7, "6.18.0", (), scripts, 101)
    told = Report(run, (), "there", "Cargo.toml", 20, members=("app", "sample"))
    return report.document(told)


def access(kind: Kind, target: str, outcome: Outcome = Outcome.REFUSED, **more: Any) -> Access:  # noqa: ANN401 - passed on
    return Access(kind, target, outcome, 1, 2, 3, (("build script", "sh"),), **more)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], json_reader.ReportedBuild]:
    """Return a function that reads a text as a report."""

    def read(text: str | bytes) -> json_reader.ReportedBuild:
        path = tmp_path / "report.json"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return json_reader.read(path)

    return read


Read = Callable[[str | bytes], json_reader.ReportedBuild]


def forged(change: Callable[[dict[str, Any]], None]) -> str:
    """Return a report about one access, changed by hand."""
    told: dict[str, Any] = json.loads(document(script(access(Kind.EXEC, "perl"))))
    change(told)
    return json.dumps(told)


def changed(key: str, value: object) -> str:
    """Return a report whose one access says something else."""
    return forged(lambda told: told["scripts"][0]["evidence"][0].update({key: value}))


def package(name: str = "sample", version: str = "0.1.0", **more: Any) -> SessionPackage:  # noqa: ANN401 - passed on
    empty: dict[str, Any] = {
        kind: [] for kind in ("read", "write", "exec", "net", "env", "directives")
    }
    said = {"crate": name, "id": name, "name": name, "version": version, "source": ""}
    return {**said, "checksum": "", **empty, "deny": {}, **more}  # type: ignore[typeddict-item]  # all keys are there


def find(
    build: json_reader.ReportedBuild, packages: list[SessionPackage], member: str
) -> tuple[list[tuple[SessionPackage, json_reader.ReportedScript]], list[str]]:
    places = {"WORKSPACE": b"/w", "HOME": b"/srv/me"}
    return counterpart.find_packages(build, packages, places, {member: member})


_RAW = st.binary(min_size=1, max_size=8).map(lambda raw: encode(raw.replace(b"/", b"_")))
_TARGETS = {
    Kind.READ: st.builds("$HOME/{}".format, _RAW)
    | st.sampled_from(["$HOME/.ssh/id_rsa", "$WORKSPACE/p", "$WORKSPACE/p/a.x", "$WORKSPACE/p/q/b"])
    | st.just("$WORKSPACE/p/pyvenv.cfg"),
    Kind.WRITE: st.builds("$WORKSPACE/{}".format, _RAW)
    | st.sampled_from(["$WORKSPACE/made", "$WORKSPACE/made/a"]),
    Kind.EXEC: st.sampled_from(["cc", "curl", "perl", "$OUT_DIR/made"]) | _RAW,
    Kind.NET: st.sampled_from(["127.0.0.1:80", "%00abstract"]),
    Kind.ENV: st.sampled_from(["GITHUB_TOKEN", "OPENSSL_DIR"]) | _RAW,
    Kind.DIRECTIVE: st.sampled_from(["rustc-link-arg=-lm", "rustc-link-search=native=$OUT_DIR"]),
    Kind.SYSTEM: st.just("socket(inet, stream)"),
}
_COMMANDS = st.lists(
    st.tuples(st.sampled_from(["cc -c a.c", "cc --version", "curl -o x"]), st.integers(1, 9)),
    max_size=2,
    unique_by=lambda each: each[0],
)
_CAUSES = st.sampled_from([("",), ("", "cc"), ("cc",), ("cc", "curl"), ("perl",)])


def _what_else(kind: Kind) -> dict[str, st.SearchStrategy[object]]:
    """Return what else a recording says of accesses of a kind."""
    return {
        "is_folder": st.booleans() if kind in (Kind.READ, Kind.WRITE) else st.just(value=False),
        "is_whole": st.booleans() if kind is Kind.READ else st.just(value=False),
        "is_entry": st.booleans() if kind is Kind.WRITE else st.just(value=False),
        "commands": _COMMANDS.map(tuple) if kind is Kind.EXEC else st.just(()),
        "resolved": st.sampled_from(["", "/usr/bin/x"]) if kind is Kind.EXEC else st.just(""),
        "causes": _CAUSES,
        "example": st.sampled_from(["", "curl -o x", "/home/me/x"]),
    }


_ACCESSES = st.one_of(
    *(
        st.builds(access, st.just(kind), targets, st.sampled_from(Outcome), **_what_else(kind))
        for kind, targets in _TARGETS.items()
    )
)


@given(st.lists(_ACCESSES, max_size=12, unique_by=lambda each: (each.kind, each.target)))
def test_proposals_made_from_a_report_are_those_made_where_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, accesses: list[Access]
) -> None:
    judged = [
        Access(
            **{**fields(each), "sensitive": json_reader.sensitive_because(each.kind, each.target)}
        )
        for each in accesses
    ]
    path = tmp_path_factory.mktemp("report") / "report.json"
    path.write_text(document(script(*judged)))

    (reported,) = json_reader.read(path).scripts

    assert proposals.propose("sample", "0.1.0", reported.accesses) == proposals.propose(
        "sample", "0.1.0", judged
    )


def fields(access: Access) -> dict[str, Any]:
    return {name: getattr(access, name) for name in Access.__slots__}


def test_everything_that_proposals_need_is_read_back(read: Read) -> None:
    curl = access(
        Kind.EXEC,
        "curl",
        example="curl -o x",
        resolved="/usr/bin/curl",
        commands=(("curl -o x", 2),),
        causes=("", "sh"),
    )

    build = read(document(script(curl)))

    assert build.workspace == "there"
    assert build.members == ("app", "sample")
    (found,) = build.scripts
    assert (found.crate, found.name, found.version) == ("sample", "sample", "0.1.0")
    assert found.accesses == (curl,)


def test_a_folder_that_was_to_be_made_is_one_in_the_report_too(read: Read) -> None:
    made = access(Kind.WRITE, "$WORKSPACE/gen", is_folder=True)

    (found,) = read(document(script(made))).scripts

    (asked,) = proposals.propose("sample", "0.1.0", found.accesses)
    assert asked.suggestion.title == "everything below $WORKSPACE/gen"
    assert "is_folder" not in document(script(access(Kind.WRITE, "$WORKSPACE/gen")))


def test_a_report_cannot_call_what_is_sensitive_harmless(read: Read) -> None:
    key = access(Kind.READ, "$HOME/.ssh/id_ed25519")
    token = access(Kind.ENV, "GITHUB_TOKEN")
    preload = access(Kind.DIRECTIVE, "rustc-env=LD_PRELOAD")
    hook = access(Kind.WRITE, "$WORKSPACE/.git/hooks/post-checkout")

    (found,) = read(document(script(key, token, preload, hook))).scripts

    assert all(each.sensitive for each in found.accesses)
    assert found.accesses[2].sensitive == STEERS
    made = proposals.propose("sample", "0.1.0", found.accesses)
    assert len(made) == 4
    assert all(proposal.locked for proposal in made)
    review = Review(made, [])
    for proposal in made:
        with pytest.raises(BuildpermError, match="cannot be allowed"):
            review.allow(proposal.id)


def test_a_report_cannot_call_an_access_free(read: Read) -> None:
    (found,) = read(changed("is_free", True)).scripts

    assert not found.accesses[0].is_free
    assert proposals.propose("sample", "0.1.0", found.accesses)


def test_proposals_risks_and_choices_of_a_report_are_not_even_looked_at(read: Read) -> None:
    def forge(told: dict[str, Any]) -> None:
        told["findings"] = [{"rule": "exec", "remedy": ["anything"]}]
        told["scripts"][0]["findings"] = [{"risk": "low", "ladder": ["$HOME/**"]}]
        told["scripts"][0]["evidence"][0]["sensitive"] = "not at all"

    (found,) = read(forged(forge)).scripts

    assert found.accesses == (access(Kind.EXEC, "perl"),)


@pytest.mark.parametrize(
    "target",
    [
        "$HOME/**",
        "$WORKSPACE/*.txt",
        "$HOME/?",
        "$WORKSPACE/a\nb",
        "$WORKSPACE/\u202etxt.exe",
        "$WORKSPACE/\x1b[2J",
        "$WORKSPACE/a%2fb%zz",
        "$HOME/%2Essh/id_rsa",  # Another spelling of what is sensitive.
        "$HOME/.ssh%2Fid_rsa",
        "$NOWHERE/x",
        '$WORKSPACE/"]',
        "\ud800",
        "",
        "x" * 20_000,
        3,
        None,
        ["cc"],
    ],
)
def test_a_target_that_no_recording_would_have_is_refused(read: Read, target: object) -> None:
    with pytest.raises(BuildpermError, match=r"scripts\[0\]\.evidence\[0\]\.target") as raised:
        read(changed("target", target))

    assert str(raised.value).replace("\n", "").isprintable()


def test_a_target_is_read_as_an_earlier_version_wrote_it_too(read: Read) -> None:
    (found,) = read(changed("target", "$WORKSPACE/\ufe0fv")).scripts

    assert found.accesses[0].target == "$WORKSPACE/%EF%B8%8Fv"


@pytest.mark.parametrize("target", ["$WORKSPACE/../x", "$HOME//.config/gcloud", "relative/x"])
def test_a_path_that_is_spelt_to_lead_elsewhere_is_shown_and_cannot_be_allowed(
    read: Read, target: str
) -> None:
    (found,) = read(document(script(access(Kind.READ, target)))).scripts
    made = proposals.propose("sample", "0.1.0", found.accesses)
    review = Review(made, [])

    with pytest.raises(BuildpermError, match="cannot be allowed"):
        review.allow(made[0].id)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("kind", "run", "`run` is unknown"),
        ("kind", 1, "must be a string"),
        ("outcome", "\x1b]0;x\x07", "unknown"),
        ("count", -1, "must be a whole number"),
        ("count", True, "must be a whole number"),
        ("count", 1.5, "must be a whole number"),
        ("count", 1 << 70, "must be a whole number"),
        ("first_ns", "0", "must be a whole number"),
        ("chains", "sh", "must be a list"),
        ("chains", ["sh"], "must be a list"),
        ("chains", [[1]], "must be a string"),
        ("chains", [["x" * 2_000]], "too long"),
        ("example", None, "must be a string"),
        ("example", "\udc80", "is no Unicode"),
        ("resolved", "/usr/*", "notation"),
        ("is_folder", 1, "must be true or false"),
        ("is_entry", 1, "must be true or false"),
    ],
)
def test_an_access_of_another_form_is_refused_by_its_place(
    read: Read, key: str, value: object, said: str
) -> None:
    with pytest.raises(BuildpermError, match=rf"scripts\[0\]\.evidence\[0\]\.{key}") as raised:
        read(changed(key, value))

    assert said in str(raised.value)
    assert "\x1b" not in str(raised.value)
    assert "`buildperm ci --report json=PATH`" in raised.value.hint


def test_text_that_only_is_shown_is_put_into_notation(read: Read) -> None:
    told = forged(
        lambda told: told["scripts"][0]["evidence"][0].update(
            example="sh -c '\x1b[2J'\n", chains=[["build script", "s\u202eh"]]
        )
    )

    (found,) = read(told).scripts

    assert found.accesses[0].example == "sh -c '%1B[2J'%0A"
    assert found.accesses[0].chains == (("build script", "s%E2%80%AEh"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"null", "no `version`"),
        (b"[]", "no `version`"),
        (b"{}", "no `version`"),
        (b'{"version": "2.1.0", "$schema": "sarif"}', "something else in JSON"),
        (b'{"version": 3}', "written by a newer buildperm: report version 3, and this one reads 2"),
        (b'{"version": 1}', "written by an older buildperm"),
        (b'{"version": 0}', "must be a whole number"),
        (b'{"version": true}', "must be a whole number"),
        (b'{"version": 2}', "`workspace` must be an object"),
        (b'{"version": NaN}', "`NaN` is no number"),
        (b'{"version": ' + b"9" * 5_000 + b"}", "is no report"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"version": 2,', "before it is complete"),
        (b'{"version": 2} x', "Extra data"),
        (b"# a comment", "line 1"),
        (b"," * 4_000_001, "too long"),
    ],
)
def test_what_is_no_report_of_this_version_is_one_clear_error(
    read: Read, text: bytes, said: str
) -> None:
    with pytest.raises(BuildpermError) as raised:
        read(text)

    assert said in str(raised.value)
    assert raised.value.hint


def test_a_report_that_is_cut_off_anywhere_is_one_clear_error(read: Read) -> None:
    whole = document(script(access(Kind.EXEC, "perl", example="é")))
    step = max(1, len(whole) // 150)

    for end in range(1, len(whole.rstrip()), step):
        with pytest.raises(BuildpermError, match="is no"):
            read(whole.encode()[:end])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4))
def test_no_part_of_a_report_may_be_anything_else(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.mktemp("report") / "report.json"
    for key in ("workspace", "scripts", "buildperm"):
        path.write_text(forged(lambda told, key=key: told.update({key: value})))  # type: ignore[misc]  # a default, to bind it now
        try:
            json_reader.read(path)
        except BuildpermError:
            continue
        assert isinstance(value, str) or value == []


def test_a_report_that_is_not_there_or_no_file_is_one_clear_error(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "none.json", "No such file"),
        (tmp_path, "Is a directory"),
        ("a\0b", "null"),
    ):
        with pytest.raises(BuildpermError, match=said):
            json_reader.read(path)


def test_an_endless_report_is_not_read_to_its_end() -> None:
    with pytest.raises(BuildpermError, match="too long"):
        json_reader.read("/dev/zero")


def test_a_report_finds_its_packages_by_source_and_version(read: Read) -> None:
    build = read(document(script(access(Kind.READ, "/srv/me/.config/gcloud/x"))))

    found, strangers = find(build, [package()], "app")

    assert strangers == []
    ((mine, script_here),) = found
    assert mine["crate"] == "sample"
    assert script_here.accesses[0].target == "$HOME/.config/gcloud/x"
    assert script_here.accesses[0].sensitive


def test_what_this_workspace_has_otherwise_is_told(read: Read) -> None:
    build = read(
        document(script(), script(crate="newer", version="2.0.0"), script(crate="path+/x#other"))
    )
    mine = [package(), package("newer", "1.0.0"), package("other", source="git+https://x")]

    found, strangers = find(build, mine, "app")

    assert [each["crate"] for each, _ in found] == ["sample"]
    assert strangers == [
        "`newer 2.0.0` is here in version `1.0.0`",
        "`other 0.1.0` from another source is here",
    ]


def test_a_report_of_another_workspace_is_refused(read: Read) -> None:
    build = read(document(script()))

    with pytest.raises(BuildpermError, match="about another workspace: `there`"):
        find(build, [package()], "elsewhere")
    with pytest.raises(BuildpermError, match="nothing in it is about a crate"):
        find(build, [package("another")], "app")


def test_what_is_kept_of_a_run_leaves_out_the_baseline_and_keeps_what_makes_the_rest_worse() -> (
    None
):
    ordinary = access(Kind.READ, "$MANIFEST_DIR/src/lib.rs", Outcome.DONE)
    free = access(Kind.EXEC, "rustc", Outcome.DONE, is_free=True)
    granted = access(Kind.EXEC, "cc", Outcome.DONE)
    looked_for = access(Kind.EXEC, "curl", Outcome.FAILED)
    written = access(Kind.WRITE, "$OUT_DIR/made", Outcome.DONE)
    run = access(Kind.EXEC, "$OUT_DIR/made", Outcome.DONE)
    assert baseline.READ

    kept = evidence(script(ordinary, free, granted, looked_for, written, run))

    assert kept == (granted, looked_for, written, run)


def test_what_a_macro_did_for_others_than_the_workspace_is_told_apart(read: Read) -> None:
    roles = (
        Role(SubjectKind.MACRO, "app"),
        Role(SubjectKind.MACRO, "elsewhere"),
        Role(SubjectKind.COMPILE),
    )
    told = script(access(Kind.READ, "$WORKSPACE/a", roles=roles))

    (found,), _ = find(read(document(told)), [package()], "app")

    inside, outside = found[1].accesses
    assert (inside.outside, inside.roles) == ("", (roles[2], roles[0]))
    assert (outside.outside, outside.roles) == ("elsewhere", (roles[1],))


@pytest.mark.parametrize(
    ("by", "problem"),
    [
        ([], "names nobody"),
        ([{"subject": "macro", "consumer": ""}], "does not say for whom"),
        ([{"subject": "script", "consumer": "app"}], "does not say for whom"),
        ([{"subject": "macro", "consumer": "a b"}], "does not say for whom"),
        ([{"subject": "linker", "consumer": ""}], "`linker` is unknown"),
        ([{"subject": "macro"}], "must be a string"),
        ("macro", "must be a list"),
        (["macro"], "must be an object"),
    ],
)
def test_who_did_something_is_checked(read: Read, by: object, problem: str) -> None:
    with pytest.raises(BuildpermError, match=problem):
        read(changed("by", by))


def test_a_report_that_does_not_say_who_did_something_is_about_build_scripts(read: Read) -> None:
    def forget(told: dict[str, Any]) -> None:
        told["scripts"][0].pop("by")
        told["scripts"][0]["evidence"][0].pop("by", None)

    (found,) = read(forged(forget)).scripts

    assert found.accesses[0].roles == (Role(),)
