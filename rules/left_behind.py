"""What to do about a run that failed for what the script has left: by the words that say so."""

DISTRUST = "find out why it does that before you build it again"
LINKS = (
    "honest scripts link, too, but such a link leads nowhere, or elsewhere, once the script has "
    "ended: see whether it can copy the file instead (many have a variable for that), or grant it "
    "the folder in which it keeps the file"
)

_LINK = ": a link "
_NO_LINK = tuple(
    f": {each}"
    for each in (
        "a setuid or setgid program",
        "a fifo",
        "a socket",
        "a device",
        "a folder that cannot be looked into",
        "no file",
        "Cargo has put it there",
    )
)


def way_on(failure: str) -> str:
    """Return a sentence without capital letter and full stop.

    Args:
        failure: What was left and why that is wrong, `$OUT_DIR/x: a link to /tmp/x, which …`. Names
            in it are the script's: whatever they are, links alone are taken for harmless.
    """
    is_harmless = _LINK in failure and not any(each in failure for each in _NO_LINK)
    return LINKS if is_harmless else DISTRUST
