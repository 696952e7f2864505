from __future__ import annotations

from buildperm.report import finding_parts


def test_a_fingerprint_depends_on_rule_crate_and_targets_in_any_order() -> None:
    both = finding_parts.fingerprint("exec", "a", ["x", "y"])

    assert both == finding_parts.fingerprint("exec", "a", ["y", "x"])
    different = {
        finding_parts.fingerprint("exec", "a", ["x"]),
        finding_parts.fingerprint("read", "a", ["x"]),
        finding_parts.fingerprint("exec", "b", ["x"]),
        finding_parts.fingerprint("exec", "a", ["y"]),
        both,
    }
    assert len(different) == 5


def test_titles_and_details_have_an_end() -> None:
    long = "x" * 5_000

    assert (
        len(finding_parts.cut_title(long)) < len(finding_parts.cut_details([long, ""])[0]) < 5_000
    )
    assert finding_parts.cut_title("short") == "short"
    assert finding_parts.cut_details(["short", ""]) == ("short",)
