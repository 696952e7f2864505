import itertools
from pathlib import Path

import pytest

from buildperm.cargo.arguments import parse
from buildperm.errors import BuildpermError, ExitCode


def test_without_words_the_default_is_run() -> None:
    assert parse([], default=["check", "--keep-going"]).words == ("check", "--keep-going")


def test_a_tool_chain_is_taken_off_what_cargo_itself_is_given() -> None:
    arguments = parse(["+nightly", "build", "-p", "x"], default=["check"])

    assert (arguments.toolchain, arguments.words) == ("nightly", ("build", "-p", "x"))


def test_a_tool_chain_alone_leaves_the_default() -> None:
    arguments = parse(["+nightly"], default=["check", "--keep-going"])

    assert (arguments.toolchain, arguments.command) == ("nightly", "check")


@pytest.mark.parametrize(
    "words",
    [
        ["build", "--features", "a b", "--offline", "-Zx", "--config", "k=1"],
        ["--config=k=1", "-Z", "x", "build", "-Fa b", "--offline"],
    ],
)
def test_features_and_modes_are_passed_on_to_metadata(words: list[str]) -> None:
    metadata = parse(words, default=["check"]).metadata

    pairs = {("--features", "a b"), ("-Z", "x"), ("--config", "k=1")}
    assert "--offline" in metadata
    assert pairs <= set(itertools.pairwise(metadata))
    assert len(metadata) == 7


def test_the_manifest_and_the_targets_are_found() -> None:
    arguments = parse(
        [
            "b",
            "--manifest-path=a/Cargo.toml",
            "--target",
            "t1",
            "--target=t2",
            "--",
            "--target-dir",
        ],
        default=["check"],
    )

    assert arguments.manifest_path == Path("a/Cargo.toml")
    assert arguments.targets == ("t1", "t2")


@pytest.mark.parametrize("words", [["b", "--target-dir", "/x"], ["b", "--target-dir=/x"]])
def test_another_target_directory_is_refused_with_the_reason(words: list[str]) -> None:
    with pytest.raises(BuildpermError, match="of their own") as caught:
        parse(words, default=["check"])

    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint


@pytest.mark.parametrize("words", [["fix"], ["miri", "test"], ["clippy", "--fix"], ["install"]])
def test_commands_that_go_around_the_wrapper_are_refused(words: list[str]) -> None:
    with pytest.raises(BuildpermError, match="cannot be held"):
        parse(words, default=["check"])


@pytest.mark.parametrize(
    "words",
    [
        ["--release"],
        ["-p", "app", "--offline"],
        ["-q", "--", "check"],
        ["--features", "doc"],
        ["-F", "c", "-p", "check", "--test", "build"],
    ],
)
def test_options_alone_are_for_the_command_that_is_run_anyway(words: list[str]) -> None:
    arguments = parse(words, default=["check", "--keep-going"])

    assert arguments.command == "check"
    assert arguments.words == ("check", "--keep-going", *words)


@pytest.mark.parametrize("words", [["-q", "test"], ["--color", "always", "run", "--features", "d"]])
def test_a_command_behind_options_is_found(words: list[str]) -> None:
    assert parse(words, default=["check"]).words == tuple(words)


def test_options_before_a_command_stay_where_they_are() -> None:
    arguments = parse(["+nightly", "--offline", "build"], default=["check"])

    assert (arguments.toolchain, arguments.command) == ("nightly", "build")
    assert arguments.words == ("--offline", "build")


def test_messages_are_asked_for_right_behind_the_command() -> None:
    arguments = parse(["--offline", "clippy", "--", "-D", "warnings"], default=["check"])

    assert arguments.reporting(keeps_going=False) == (
        *("--offline", "clippy", "--message-format=json-render-diagnostics"),
        *("--", "-D", "warnings"),
    )


@pytest.mark.parametrize(
    "words", [["run"], ["test"], ["bench"], ["expand"], ["build", "--message-format", "short"]]
)
def test_messages_are_not_asked_for_where_output_is_somebody_elses(words: list[str]) -> None:
    arguments = parse(words, default=["check"])

    assert not arguments.can_report
    assert arguments.reporting(keeps_going=False) == tuple(words)


def test_messages_that_are_asked_for_are_not_asked_for_twice() -> None:
    words = ("build", "--message-format=json,json-diagnostic-short")
    arguments = parse(words, default=["check"])

    assert arguments.can_report
    assert arguments.reporting(keeps_going=False) == words


@pytest.mark.parametrize(
    "command",
    ["b", "build", "c", "check", "clippy", "d", "doc", "r", "run", "rustc", "rustdoc"],
    ids=str,
)
def test_cargo_is_told_to_go_on_where_it_can(command: str) -> None:
    arguments = parse([command, "-v", "--", "--keep-going"], default=["check"])

    assert arguments.keeps_going("1.74.0")
    assert arguments.keeps_going("1.97.0-nightly")
    assert not arguments.keeps_going("1.73.1")
    assert not arguments.keeps_going("")
    words = arguments.reporting(keeps_going=True)
    assert words[: words.index("--")].count("--keep-going") == 1
    assert words[0] == command


@pytest.mark.parametrize("command", ["t", "test", "bench"])
def test_what_does_not_know_the_option_is_not_given_it(command: str) -> None:
    assert not parse([command], default=["check"]).keeps_going("1.95.0")


def test_a_cargo_that_cannot_keep_going_is_not_asked_to() -> None:
    arguments = parse(["--", "--keep-going"], default=["check", "--keep-going"])

    assert not arguments.keeps_going("1.65.0")
    assert arguments.reporting(keeps_going=False) == (
        *("check", "--message-format=json-render-diagnostics"),
        *("--", "--keep-going"),
    )
    assert arguments.words == ("check", "--keep-going", "--", "--keep-going")
    for able in ("1.74.0", ""):  # Of a version that nobody knows, Cargo itself is asked.
        assert arguments.keeps_going(able)
        assert arguments.reporting(keeps_going=True).count("--keep-going") == 2


def test_who_has_said_it_does_not_say_it_twice() -> None:
    arguments = parse(["check", "--keep-going", "-Zunstable-options"], default=["check"])

    assert arguments.keeps_going("1.70.0")
    assert arguments.reporting(keeps_going=True).count("--keep-going") == 1


REPORT = "--message-format=json-render-diagnostics"


def test_what_a_test_command_builds_is_asked_for_without_a_test() -> None:
    words = ["--offline", "test", "-p", "app", "--no-fail-fast", "name", "--", "--nocapture"]
    arguments = parse(["test", *words[2:4], "--offline", *words[4:]], default=["check"])

    assert arguments.is_testing
    assert list(arguments.surveys("1.95.0", fails=False).items()) == [
        (("test", "--no-run", REPORT, "-p", "app", "--offline", "--no-fail-fast", "name"), False),
        (("build", "--keep-going", REPORT, "-p", "app", "--offline", "--tests"), True),
    ]
    assert len(arguments.surveys("1.73.0", fails=False)) == 1


@pytest.mark.parametrize(
    ("words", "built"),
    [
        (["bench"], ["--benches", "--profile=bench"]),
        (["bench", "--profile", "fast", "--lib"], ["--profile", "fast", "--lib"]),
        (["t", "--doc", "-j", "2"], ["-j", "2", "--tests"]),
        (["test", "--no-run", "--test=one"], ["--test=one"]),
        (["test", "--bin", "one", "two", "-Ffast"], ["--bin", "one", "-Ffast"]),
    ],
)
def test_what_fails_is_built_by_a_command_that_keeps_going(
    words: list[str], built: list[str]
) -> None:
    surveys = parse(words, default=["check"]).surveys("1.95.0", fails=True)

    assert surveys == {("build", "--keep-going", REPORT, *built): True}


def test_a_test_command_with_a_format_of_its_own_is_left_alone() -> None:
    assert not parse(["test", "--message-format=json"], default=["check"]).is_testing
    assert not parse(["build"], default=["check"]).is_testing
