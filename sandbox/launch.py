"""Starts a build script: fork, wait until the recorder holds it, confine, execute.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.sandbox import hygiene, kernel, landlock
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping, Sequence
else:
    import _signal


class Launch:
    """Everything that is needed to start one script, ready so that nothing is left to decide."""

    def __init__(
        self,
        program: bytes,
        arguments: Sequence[bytes],
        environment: Mapping[bytes, bytes],
        rights: Mapping[bytes, int],
        seccomp: bytes,
        abi: int,
        limits: Mapping[str, int],
        kept: Sequence[int],
    ) -> None:
        """Make the Landlock ruleset.

        Args:
            program: Absolute path of the real program.
            arguments: With the name that the script knows itself by.
            environment: All of it.
            rights: Landlock rights by path.
            seccomp: The filter.
            abi: Landlock's, as probed.
            limits: See `sandbox.hygiene`.
            kept: Descriptors of the jobserver.

        Raises:
            OSError: Landlock refuses a rule.
        """
        self._program = program
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._seccomp = seccomp
        self._limits = limits
        self._kept = list(kept)
        self._ruleset = landlock.ruleset(abi)
        for path, allowed in rights.items():
            landlock.allow(self._ruleset, path, allowed, abi)
        self._failure, self._failed = os.pipe2(os.O_CLOEXEC)
        self._waiting, self._go = os.pipe2(os.O_CLOEXEC)

    def fork(self, stdout: int, stderr: int) -> int:
        """Make the child, which waits for `release`, and return its process ID."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._run(parent, stdout, stderr)
        os.close(self._failed)
        os.close(self._waiting)
        os.close(self._ruleset)
        return pid

    def release(self) -> None:
        """Let the child go on: the recorder holds it now."""
        try:
            os.write(self._go, b"!")
        except BrokenPipeError:
            pass  # It has been killed meanwhile; waiting for it tells.
        os.close(self._go)

    def failure(self) -> str:
        """Return why the child did not come to execute the program; empty if it did.

        To be asked after the child has ended or executed.
        """
        text = os.read(self._failure, 4096)
        os.close(self._failure)
        return text.decode("utf-8", "replace")

    def _run(self, parent: int, stdout: int, stderr: int) -> None:
        """Be the child; never returns."""
        try:
            hygiene.default_signals()
            os.close(self._go)
            if os.read(self._waiting, 1) != b"!":
                os._exit(127)
            os.setsid()
            if not hygiene.die_with_parent(parent, _signal.SIGKILL):
                os._exit(127)
            nothing = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
            for descriptor, place in ((nothing, 0), (stdout, 1), (stderr, 2)):
                os.dup2(descriptor, place)
            # Landlock's and the pipe of failures are closed on execution.
            hygiene.close_but([*self._kept, self._ruleset, self._failed])
            for descriptor in self._kept:
                os.set_inheritable(descriptor, True)
            hygiene.set_limits(self._limits)
            kernel.control(kernel.PR_SET_NO_NEW_PRIVS, 1)
            landlock.restrict(self._ruleset)
            kernel.install(self._seccomp)
            os.execve(self._program, self._arguments, self._environment)  # noqa: S606 - no shell
        except OSError as error:
            what = (
                f"{error.strerror}"
                if error.filename is None
                else (f"execute `{encode(self._program)}`: {error.strerror}")
            )
            os.write(self._failed, what.encode())
        finally:
            os._exit(127)
