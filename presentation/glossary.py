"""Words that screens use, each in a sentence, for whoever meets them the first time."""

from __future__ import annotations

from typing import Final

GLOSSARY: Final = (
    ("grant", "what a crate may do when it is built; it stands in Cargo.toml, for everybody"),
    ("baseline", "what every build script may do without being asked: read its own package, "
                 "write below OUT_DIR, run rustc"),
    ("directive", "a line such as cargo::rustc-link-lib=z, which tells Cargo something"),
    ("preset", "a named set of grants for one purpose, such as compiling C code"),
    ("locked", "cannot be allowed here, as with keys: it takes a line in Cargo.toml by your hand"),
    ("$WORKSPACE", "the folder of this workspace; $OUT_DIR, $HOME and others are like it: the "
                   "same grant fits on another machine"),
    ("%1B", "a byte of a name that cannot be shown as a letter, as two digits"),
)  # fmt: skip
"""The word, and what it means."""
