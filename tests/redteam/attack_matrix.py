"""Writes the table of attacks into SECURITY.md; `make matrix` runs it, in some seconds.

The table says what was measured on the machine that wrote it: as the ordinary user, and, where only
root can try, as root. `test_attack_matrix.py` compares it with what its own machine does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from buildperm.sandbox.runtime import runtimes
from tests import surroundings
from tests.redteam.attack_run import WITHOUT, Measured, measure, states, users
from tests.redteam.catalogue import ATTACKS, FAILS, NOTHING, OPEN, Attack

SECURITY = Path(__file__).parents[2] / "SECURITY.md"
BEGIN, END = "<!-- matrix -->", "<!-- end of matrix -->"

Cells = dict[str, dict[str, str]]
"""By attack, then by state."""


def cell(attack: Attack, measured: Measured) -> str:
    """Say in a word what came of an attack; OPEN where it succeeded."""
    word, detail = measured.outcomes.get(attack.id, ("", ""))
    if word and word == attack.instead:
        word = attack.portable
    effect = measured.effects.get(attack.id)
    if effect:
        return OPEN
    if word in ("", "done") and attack.id in measured.failures:
        return FAILS
    if effect is False and word in ("", "done"):
        return NOTHING
    if word == "done" and attack.steals:
        return OPEN if measured.secret in detail else "no secret"
    return OPEN if word == "done" else word or "not tried"


def user_of(attack: Attack) -> str:
    """Return as whom an attack is shown: the ordinary user, if it can do it at all."""
    return attack.only or "ordinary"


def cells(measured: Callable[[str, str], Measured]) -> Cells:
    """Measure everything; `measured` is given a user and a state."""
    found: Cells = {}
    for attack in ATTACKS:
        user = user_of(attack)
        if user in users():
            each = {state: cell(attack, measured(user, state)) for state in states()}
            found[attack.id] = each
    return found


def rows(found: Cells) -> list[str]:
    """Write the table."""
    columns = [WITHOUT, *(state for state in states() if state != WITHOUT)]
    lines = [
        f"| # | attack | stopped by | {' | '.join(columns)} |",
        "|" + "---|" * (len(columns) + 3),
    ]
    for attack in sorted(ATTACKS, key=lambda attack: attack.row):
        if attack.id not in found:
            continue
        shown = [_shown(attack, state, found[attack.id][state]) for state in columns]
        title = f"{attack.title} (as root)" if attack.only == "root" else attack.title
        lines.append(f"| {attack.row} | {title} | {attack.stops} | {' | '.join(shown)} |")
    return lines


def in_document(text: str) -> list[str]:
    """Return the rows that stand between the markers."""
    between = text.partition(BEGIN)[2].partition(END)[0]
    return [line for line in between.splitlines() if line.startswith("|")]


def replaced(text: str, table: list[str]) -> str:
    """Put `table` between the markers.

    Raises:
        ValueError: They are not there.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{SECURITY.name} has no `{BEGIN}` and `{END}`")
    lines = "\n".join(table)
    return f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}"


def _shown(attack: Attack, state: str, word: str) -> str:
    if state == WITHOUT:
        if attack.kernel:
            return "succeeds, where the kernel has it"
        return "succeeds" if word == OPEN else f"**{word}**"
    return f"**{OPEN}**" if word == OPEN else word


def main() -> None:
    """Measure, and write the table."""
    for name, runtime in runtimes().items():
        reason = runtime.unavailable()
        if reason:
            sys.exit(f"the runtime `{name}` cannot be measured here: {reason}")
    known: dict[tuple[str, str], Measured] = {}
    made = surroundings.settle()

    def measured(user: str, state: str) -> Measured:
        if (user, state) not in known:
            known[user, state] = measure(user, state)
        return known[user, state]

    table = rows(cells(measured))
    surroundings.unsettle(made)
    SECURITY.write_text(replaced(SECURITY.read_text(), table))
    sys.stdout.write(f"{len(table) - 2} attacks written to {SECURITY}\n")


if __name__ == "__main__":
    main()
