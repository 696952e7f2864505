# Asks about one proposal on its terminal, and prints how that ended.
import sys
import time

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposals import propose
from buildperm.policy.review_state import Review
from buildperm.presentation.plain_prompt import ask

seen = [Access(Kind.EXEC, "perl", Outcome.DONE, 1, 0, 1, (("script",),))]
review = Review(propose("x", "1.0.0", seen))
sys.stdin.readline()
ending = ask(review, preview=lambda: (b"", b""), verify=lambda p: (), journal=print)
print("END", ending, [str(review.decision(p.id).answer) for p in review.proposals])
