"""Takes what came of a run that was judged and recorded, as a result that can be put back.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

from buildperm.cache.kept_result import KeptResult
from buildperm.cache.output_copy import OutputTaker
from buildperm.cache.path_tokens import PathTokens
from buildperm.rules import limits
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.cache.result_store import ResultStore
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.streams import Streams
    from buildperm.supervisor.verdict import RunVerdict


def recorded_tokens(places: Mapping[str, bytes]) -> PathTokens:
    """Return the tokens for places as a recording writes them."""
    return PathTokens({name: encode(place).encode() for name, place in places.items()})


def why_not(run: Run, streams: Streams, verdict: RunVerdict, told_more: bool) -> str:
    """Say why what was said of a run, or by it, cannot be told again; empty if it can."""
    if verdict.notes or told_more:
        return "something was said about it"
    if len(streams.said) > limits.value(run.limits, "stderr_bytes"):
        return "it has said too much"
    return ""


def take(
    run: Run, streams: Streams, store: ResultStore, tokens: PathTokens, by: str, made_s: int
) -> KeptResult:
    """Put what came of a run into a store; its inputs and its key are for the caller to add.

    Args:
        run: The run, whose recording is written.
        streams: What it has printed.
        store: Where files and texts are put.
        tokens: Its places.
        by: Who has recorded it.
        made_s: When: time.time.

    Raises:
        NotKeptError: There is too much, or something that cannot be copied.
        OSError: Something cannot be read, or the store cannot take it.
    """
    taker = OutputTaker(store, tokens)
    taker.take(run.places["OUT_DIR"])
    made = KeptResult()
    made.crate, made.name = run.package["crate"], run.package["name"]
    made.version, made.source = run.package["version"], run.package["source"]
    made.by, made.made_s, made.seen_s = by, made_s, [made_s]
    made.places = {name: encode(place) for name, place in run.places.items()}
    made.left = taker.left
    made.stdout = taker.keep(b"".join(line + b"\n" for line in streams.lines()))
    made.stderr = taker.keep(bytes(streams.said))
    with open(run.subject.recording, "rb") as file:
        rest = file.read().partition(b"\n")[2]
    made.recording = OutputTaker(store, recorded_tokens(run.places)).keep(rest)
    made.bound = sorted(taker.bound)
    return made
