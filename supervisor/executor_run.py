"""The run of a script on an executor: held and recorded as anywhere, and its result handed out.

What was sent is all that there is: the script, what it reads, and this supervisor with Python. Who
has sent it compares what the result says of its inputs.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import marshal
import os
import time

from buildperm.cache.output_copy import NotKeptError
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.result_store import FolderStore, StoreError
from buildperm.supervisor import result_taking
from buildperm.supervisor.kept_inputs import why_not_kept
from buildperm.supervisor.remote_run import KEY
from buildperm.supervisor.script import StoppedError
from buildperm.tracer.recorder.asked_paths import AskedPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buildperm.supervisor.run import Run
    from buildperm.supervisor.streams import Streams
    from buildperm.supervisor.tree_supervision import EndedRun
    from buildperm.supervisor.verdict import RunVerdict


class ExecutorRun:
    """One run, as `ScriptSupervisor` takes it; see `CachedRun` for the methods."""

    def __init__(self, run: Run) -> None:
        """Have everything that the run asks for collected."""
        self._run = run
        self._told = run.session["executor"]
        run.asked = AskedPaths()

    def restore(self) -> None:
        """There is nothing to restore."""

    def variables(self, _variables: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the environment that the script has where the build is."""
        return self._told["variables"]

    def begin(self) -> None:
        """Everything is as it has to be."""

    def end(self) -> None:
        """So it is afterwards."""

    def keep(self, ended: EndedRun, streams: Streams, verdict: RunVerdict, told_more: bool) -> None:
        """Leave the result in a store of its own.

        Raises:
            StoppedError: It must not count; the message says why.
        """
        run, tokens = self._run, PathTokens(self._run.places)
        try:
            why, inputs = why_not_kept(ended, verdict, tokens, 0, None, is_staged=True)
            why = why or result_taking.why_not(run, streams, verdict, told_more)
            if why:
                raise StoppedError(why)
            store = FolderStore(self._told["folder"])
            made = result_taking.take(run, streams, store, tokens, "", int(time.time()))
            made.took_ns, made.inputs = ended.writer.duration_ns(), inputs
            store.put(KEY, "0", made)
        except (NotKeptError, StoreError, OSError) as error:
            raise StoppedError(str(error)) from error

    def note_outcome(self) -> None:
        """Leave nothing: the result is all there is to say."""


def main(folder: str) -> None:
    """Run the script that a request describes, and exit as it did.

    Args:
        folder: Where request and session are: `remote_run.THERE`.
    """
    from buildperm.supervisor import supervision

    with open(folder + "/request", "rb") as file:
        request = marshal.load(file)  # noqa: S302 - written by who has sent this program as well
    os.chdir(request["cwd"])
    environ: dict[bytes, bytes] = request["environ"]
    environ[b"BUILDPERM_SESSION"] = os.fsencode(folder) + b"/session"
    supervision.supervise(request["arguments"], environ, os.getppid())
