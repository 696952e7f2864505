"""Git in a repository that nobody trusts: it runs nothing of the repository and fetches nothing."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 20
# The settings of a repository must not make git run programs, fetch, or show other objects than
# those that are asked for. Paths are not patterns.
_GIT = (
    "git",
    "--no-pager",
    "--no-replace-objects",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "protocol.allow=never",  # Git before 2.45 does not know GIT_NO_LAZY_FETCH.
)
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
# In a hook they are set for the hook's repository: `git rev-parse --local-env-vars`. Here the
# folder says which repository is meant. Variables about settings and places of objects stay.
_OF_ANOTHER = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_PREFIX",
        "GIT_INDEX_FILE",
        "GIT_COMMON_DIR",
        "GIT_GRAFT_FILE",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_NAMESPACE",
    }
)


@dataclass(frozen=True, slots=True)
class GitOutput:
    """What git printed, and how it ended."""

    code: int
    stdout: bytes
    error: str  # Git's complaint, in one line; it may contain anything.

    @property
    def succeeded(self) -> bool:
        """Tell whether git did what it was asked to do."""
        return self.code == 0


def run_git(folder: Path, *words: str | bytes, stdin: bytes = b"") -> GitOutput:
    """Run git in `folder` with `stdin` as its standard input; failures are in the result."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER}
    try:
        ended = subprocess.run(
            [*_GIT, *words],
            cwd=folder,
            env={**kept, **_ENVIRONMENT},
            input=stdin,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        return GitOutput(127, b"", "there is no git")
    except (OSError, subprocess.TimeoutExpired) as error:
        return GitOutput(126, b"", str(error))
    lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
    fatal = [line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")]
    return GitOutput(ended.returncode, ended.stdout, next(iter(fatal or lines[-1:]), ""))
