"""A run that may have been kept: its result is restored instead, or kept when it has run.

A result is restored when the same came of two runs, of which the second was later, under another
number of processors, and by all else that a recording holds the same. So what depends on a clock,
on chance or on how much runs at once is found out before anything is restored. Likewise a result
is restored elsewhere only if a run elsewhere has come to the same.

Whatever goes wrong here, the script runs as if there was nothing kept.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import json
import os
import time

from buildperm.cache import static_key
from buildperm.cache.file_times import is_set_back
from buildperm.cache.input_comparison import renewed
from buildperm.cache.kept_result import CANDIDATE
from buildperm.cache.known_digests import KnownDigests
from buildperm.cache.output_copy import NotKeptError
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.result_filing import file_result
from buildperm.cache.result_search import ResultSearch
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.supervisor import network, restoring, result_taking, script
from buildperm.supervisor.kept_inputs import why_not_kept
from buildperm.supervisor.run_key import RunKey
from buildperm.tracer.recorder.asked_paths import AskedPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.cache.kept_result import KeptResult
    from buildperm.cache.near_result import NearResult
    from buildperm.cache.result_store import ResultStore
    from buildperm.supervisor.restoring import RestoredRun
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.streams import Streams
    from buildperm.supervisor.tree_supervision import EndedRun
    from buildperm.supervisor.verdict import RunVerdict

OUTCOME = b"/result.json"
"""Beside a recording: what came of looking for a result, for `buildperm cache explain`."""

_DIGESTS = b"/digests"  # In the store.


class CachedRun:
    """One run for which results are looked for, and kept."""

    def __init__(self, run: Run, arguments: Iterable[bytes]) -> None:
        """Look what there is; nothing is raised, as the script can always run."""
        self.restored_from: KeptResult | None = None
        self.keeps = False  # The run is to be observed and kept.
        self._is_again = False  # A result is made again, to compare it.
        self.known: KeptResult | None = None  # The latest that began like this run, if any.
        self._changes: dict[bytes, bytes] = {}  # Variables that are others in this run.
        self._jobs = 1
        self._processors: tuple[set[int], set[int]] | None = None  # For the run, and afterwards.
        self._run = run
        self._why: list[str] = []
        self._near: list[NearResult] = []
        self._names: list[str] = []  # Of all results below its key, the latest first.
        self.key = ""
        self._key: RunKey | None = None
        self.tokens = PathTokens(run.places)
        self.began_ns, self._began_up_ns = time.time_ns(), _up_ns()
        self._outcome = "run"
        try:
            self._why += self._unfit()
            if self._why:
                return
            self._store = FolderStore(run.session["cache"]["folder"])
            self._key = RunKey(run, arguments, self.tokens)
            self.key = self._key.text
            self._find()
        except (OSError, StoreError) as error:
            self._why.append(f"the store cannot be used: {error}")
            self.keeps, self.restored_from = False, None

    def _unfit(self) -> list[str]:
        """Say why this run can be neither restored nor kept."""
        run = self._run
        if run.learning or "ask" in run.session:
            return ["a person is asked about what it does"]
        if network.is_wanted(run.package, learning=False):
            return ["it was granted to reach hosts"]
        if run.has_own_folders:
            return ["it was granted to write where others write as well"]
        if not run.session.get("every_look_filter"):
            return ["what it looks at cannot be seen on this machine"]
        return []

    def _find(self) -> None:
        """Look for a result that fits, and for what may become one."""
        told, run = self._run.session["cache"], self._run
        found = ResultSearch(
            self._store, self.key, run.places, self.tokens, restores=told.get("restores", True)
        )
        self.known, self._near, self._names = found.known, found.near, found.names
        self._why += found.why
        if found.is_unstable:
            return
        if found.exact is None:
            self._prepare()
            return
        self._near = [found.exact]
        if self.key in told.get("again", ()):
            self._why, self._is_again = [], True
            self.empty()
            self._prepare()
        else:
            self.restored_from = found.exact.result

    def _prepare(self) -> None:
        """Have the run observed; where it has been seen before, under other circumstances."""
        if os.listdir(self._run.places["OUT_DIR"]):
            self._why.append("not kept: OUT_DIR was not empty at the start")
            return
        self.keeps = True
        self._run.asked = AskedPaths()
        told_jobs = self._run.environ.get(static_key.JOBS, b"")
        self._jobs = int(told_jobs) if told_jobs.isdigit() else 1
        if self._near:
            self._jobs = max(near.result.jobs for near in self._near) + 1
            self._changes = {static_key.JOBS: b"%d" % self._jobs}
        processors = os.sched_getaffinity(0)
        if len(processors) > 1 and any(near.result.state == CANDIDATE for near in self._near):
            self._processors = set(sorted(processors)[:-1]), processors

    def variables(self, variables: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the environment of the run, given what it would be."""
        return variables | self._changes

    def begin(self) -> None:
        """Let what is started now have other processors, if that may matter."""
        if self._processors is not None:
            os.sched_setaffinity(0, self._processors[0])

    def end(self) -> None:
        """Take that back for this process."""
        if self._processors is not None:
            os.sched_setaffinity(0, self._processors[1])

    def restore(self) -> RestoredRun | None:
        """Put back what was found; None where that is not possible: then it has to run.

        OUT_DIR is empty then.
        """
        result = self.restored_from
        if result is None:
            return None
        try:
            made = self.put_back(result, self._store)
        except (OSError, ValueError) as error:
            made, why = None, f"the store is damaged: {error}"
        else:
            why = "what was kept would not be passed on now"
        if made is None:
            self._why.append(why)
            self.restored_from = None
            self.empty()
            self._near = []
            self._prepare()
            return None
        self._outcome = "restored"
        self._store.note_use(self.key, self._near[0].name)
        return made

    def put_back(
        self, result: KeptResult, store: ResultStore, *, is_fresh: bool = False
    ) -> RestoredRun | None:
        """Put back a result, and look at it as after a run; None where that finds something.

        Args:
            result: What to put back.
            store: Where its blobs are.
            is_fresh: It was made for this build.

        Raises:
            OSError: Something cannot be read or written.
            ValueError: The store holds something else than it should, or nothing can be kept.
        """
        if self._key is None:
            raise ValueError("it has no key")
        run, tokens = self._run, self.tokens
        made = restoring.restore(run, self._key, result, store, tokens, is_fresh=is_fresh)
        if made is not None and not is_fresh:
            self._renew(result)
        return made

    def _renew(self, result: KeptResult) -> None:
        """Note the signatures of now, where files had to be read."""
        near = self._near[0]
        if near.compared.is_slow:
            result.inputs = renewed(result.inputs, self.tokens, self.began_ns)
            try:
                self._store.put(self.key, near.name, result)
            except OSError:
                pass  # The next one reads them again.

    def noted(self, outcome: str, why: str) -> None:
        """Note what else has come of this run."""
        self._outcome = outcome
        if why:
            self._why.append(why)

    def empty(self) -> None:
        """Remove what is in OUT_DIR.

        Raises:
            OSError: Something cannot be removed.
        """
        restoring.empty_out_dir(self._run)

    def keep(self, ended: EndedRun, streams: Streams, verdict: RunVerdict, told_more: bool) -> None:
        """Keep what came of a run that has been judged, if it can be kept."""
        if not self.keeps:
            return
        try:
            if self._is_again:
                self._compare_again(streams, verdict)
                return
            why = self._kept(ended, streams, verdict, told_more)
        except NotKeptError as error:
            why = str(error)
        except OSError as error:
            why = f"the store cannot be used: {error.strerror}"
        self._outcome = "not kept" if why else "kept"
        if why:
            self._why.append(f"not kept: {why}")

    def _kept(self, ended: EndedRun, streams: Streams, verdict: RunVerdict, told_more: bool) -> str:
        """Keep it; return why not, or nothing."""
        run = self._run
        if is_set_back(time.time_ns() - self.began_ns, _up_ns() - self._began_up_ns):
            return "the clock was set back while it ran"  # What was written since seems older.
        took_ns, made_s = ended.writer.duration_ns(), int(time.time())
        known = KnownDigests(self._store.folder + _DIGESTS)
        why, inputs = why_not_kept(ended, verdict, self.tokens, self.began_ns, known)
        try:
            known.save()
        except OSError:
            pass  # The next run reads these files again.
        why = why or result_taking.why_not(run, streams, verdict, told_more)
        if why:
            return why
        made = result_taking.take(
            run, streams, self._store, self.tokens, run.session["cache"]["by"], made_s
        )
        if made.is_dated(self.began_ns // 1_000_000_000):
            return "another day began while it ran"
        made.took_ns, made.jobs = took_ns, self._jobs
        made.key, made.inputs = self._key.parts if self._key else {}, inputs
        return file_result(self._store, self.key, made, self._near, self._names, run.places)

    def _compare_again(self, streams: Streams, verdict: RunVerdict) -> None:
        """Compare with what would have been restored; remove that if it differs.

        Raises:
            OSError: The store cannot be used.
        """
        near, run = self._near[0], self._run
        by, now_s = run.session["cache"]["by"], int(time.time())
        try:
            made = result_taking.take(run, streams, self._store, self.tokens, by, now_s)
            is_same = near.result.content() == made.content()
            why = "" if is_same else f"it differs in {near.result.difference(made)}"
        except NotKeptError as error:
            why = str(error)
        if verdict.failure or verdict.exit_status:
            why = "it failed"
        self._outcome = "different" if why else "same"
        if why:
            self._why.append(f"run again, {why}")
            self._store.remove(self.key, near.name)

    def why(self) -> str:
        """Say why nothing is restored; empty where nothing speaks against it but one more run."""
        return "; ".join(self._why)

    def note_outcome(self) -> None:
        """Leave beside the recording what came of it."""
        said = {
            "outcome": self._outcome,
            "why": self._why,
            "key": self.key,
            "parts": self._key.parts if self._key else {},
        }
        path = script.unit(self._run.places["OUT_DIR"]) + OUTCOME
        try:
            script.write_atomically(path, json.dumps(said).encode())
        except OSError:
            pass


def _up_ns() -> int:
    """Return how long the machine has run, in nanoseconds: clock_gettime(2)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
