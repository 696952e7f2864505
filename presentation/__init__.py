"""What the screens and plain text share: wording, agenda, facts, plain prompts. Knows no textual.

Sentences for somebody who is deciding or asking at this terminal are made here. Sentences that a
run leaves behind, to be read later, elsewhere or by a machine, are made in `report`, which knows
nothing of this room.
"""
