"""What the rules of findings mean, for the formats that carry a catalogue of them."""

from __future__ import annotations

from dataclasses import dataclass

from buildperm.policy.kinds import Kind
from buildperm.report.finding import Level

FAILED = "failed"
BUILD_FAILED = "build-failed"
INCOMPLETE = "incomplete"
LEADS_OUT = "leads-out"
UNOPENED = "not-opened"
NOT_REVIEWED = "not-reviewed"
UNUSED_GRANT = "unused-grant"
WIDER_GRANT = "wider-grant"
NEWLY_REVIEWED = "newly-reviewed"
TOO_YOUNG = "too-young"


@dataclass(frozen=True, slots=True)
class RuleText:
    """One rule of findings in words; the words may change, the name never does."""

    rule: str  # As in `Finding.rule`.
    name: str  # In one word, for lists.
    short: str  # One sentence.
    full: str  # What it means, in a few sentences.
    help: str  # How to go on.
    level: Level  # Unless a command was told otherwise.


_DECIDE = (
    "Get the JSON report of this build, and run `buildperm review --from FILE` on your own "
    "machine: it shows what was done, by which programs and with what risk, and asks. Commit "
    "Cargo.toml afterwards. If nobody can say why the crate needs this, look at its source before "
    "anything is granted."
)


def _beyond(kind: Kind) -> RuleText:
    said = kind.traits.finding
    return RuleText(
        str(kind),
        said.name,
        f"A build script, a macro or a compilation {said.deed} without a grant.",
        said.text,
        _DECIDE,
        Level.ERROR,
    )


CATALOGUE = (
    *map(_beyond, Kind),
    RuleText(
        FAILED,
        "FailedByBuildperm",
        "buildperm failed a build script or a macro.",
        "It left its limits in a way that no grant covers: by what it left running, by what it put "
        "into its OUT_DIR, by the time and memory it took, or by what it reached for. Its output "
        "was not used.",
        "The message names the reason. Look at its source before you build it again. A limit can "
        "be raised in Cargo.toml.",
        Level.ERROR,
    ),
    RuleText(
        BUILD_FAILED,
        "BuildFailed",
        "Cargo could not build a package.",
        "A compiler or a build script ended with an error. The message says whether buildperm had "
        "refused something that may be why. What depends on the package was not built, so that "
        "nothing was seen of it.",
        "Read what Cargo said. Once the package builds, run the command again: it shows the rest.",
        Level.ERROR,
    ),
    RuleText(
        INCOMPLETE,
        "IncompleteRecording",
        "A recording does not hold all that was done.",
        "More happened than a recording holds. What ran was held to its grants all the "
        "same: only the list of what it did is not complete.",
        "Run the build again. A build script or a macro that does this each time does far more "
        "than building takes: look at its source.",
        Level.WARNING,
    ),
    RuleText(
        LEADS_OUT,
        "GrantLeadsOut",
        "A grant does not open what a link leads to.",
        "A link leads out of the folder that the grant is about. Whoever fills a folder may put a "
        "link there, so that what lies behind it is not granted by that.",
        "Find out who made the link. If it is meant, grant the path that it leads to.",
        Level.WARNING,
    ),
    RuleText(
        UNOPENED,
        "GrantNotOpened",
        "What a grant covers was refused.",
        "A grant opens less than its text says where something in its folder is closed: keys, what "
        "is denied, what is somebody else's. Then new files beside that are closed as well, and a "
        "folder with such folders in it cannot be listed. In its OUT_DIR a script makes no "
        "devices, and no file of elsewhere is linked or moved there.",
        "Look whether the build needs it. If so, grant the file, or a folder with nothing closed "
        "in it, or keep the keys elsewhere.",
        Level.WARNING,
    ),
    RuleText(
        NOT_REVIEWED,
        "NotReviewed",
        "A build script or a macro was not reviewed as it is now.",
        "Nobody has seen what the build script or the macros of a crate do since it, what they are "
        "built with or its features were added or changed. They are held to the grants that there "
        "are.",
        "Run `buildperm review` on your own machine: it runs only what changed, shows how the "
        "behaviour differs, and asks. Commit Cargo.toml and buildperm.lock afterwards.",
        Level.ERROR,
    ),
    RuleText(
        UNUSED_GRANT,
        "UnusedGrant",
        "A grant is not used.",
        "The crate may do something that it was not seen doing any more. A later version "
        "could make use of it without anybody being asked.",
        "Run `buildperm review --prune now`: it proposes to remove the grant.",
        Level.WARNING,
    ),
    RuleText(
        WIDER_GRANT,
        "WiderGrant",
        "The grants are wider than in the commit that they are compared with.",
        "With this change a crate may do more, is confined or reviewed less, or a grant to "
        "one package goes to another one. The change brings its own permission along, so the grant "
        "itself proves nothing.",
        "Somebody other than its author should look at what is new, and why. The difference of "
        "buildperm.lock shows what the crate was seen doing. To agree, use `--allow-wider`, "
        "or merge in spite of this finding.",
        Level.ERROR,
    ),
    RuleText(
        NEWLY_REVIEWED,
        "NewlyReviewed",
        "A crate counts as reviewed since this change.",
        "The change brings a new entry of buildperm.lock along: its author claims to have looked "
        "at what its build script or macros do. It grants nothing.",
        "Look at what is new in it, and whether its author may approve what builds run.",
        Level.NOTE,
    ),
    RuleText(
        TOO_YOUNG,
        "TooYoung",
        "A version is younger than `min-age`.",
        "It is held to the baseline until it is old enough, whatever it is granted. Most malicious "
        "versions are found and removed within days.",
        "Wait, or pin the version before. To have it at once, name the version in `young` of "
        "Cargo.toml by hand, and give its table a `reason`.",
        Level.NOTE,
    ),
)
"""Every rule, in the order in which they are listed."""
