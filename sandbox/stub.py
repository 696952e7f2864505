"""The stub that stands in place of a build script and starts its supervisor.

A POSIX shell script, since that costs half a millisecond. Whoever links a build script appends the
line `# real: NAME`, the name of the real program in the same folder, so that a hard link of the
stub under another name finds it too.
"""

from __future__ import annotations

import os
import shlex
import sys

from buildperm.tracer.notation import encode

_STUB = b"""\
#!/bin/sh
# buildperm: stands in place of a build script and runs it held to what it was granted.
BUILDPERM_FALLBACK=%(session)s
python=%(python)s
supervisor=%(supervisor)s
if [ -x "$python" ] && [ -r "$supervisor" ]; then
  BUILDPERM_PARENT=$PPID
  export BUILDPERM_FALLBACK BUILDPERM_PARENT
  exec "$python" -IS "$supervisor" "$0" "$@"
fi
echo "buildperm: cannot run this build script: $python or $supervisor is missing" >&2
echo "  Install buildperm again where it was. To build without it, use another target" >&2
echo "  directory, or run \\`cargo clean\\` in this one." >&2
exit 1
"""


def stub(session_path: bytes) -> bytes:
    """Return the text of the stub.

    Args:
        session_path: Where a plain `cargo` without BUILDPERM_SESSION in its environment finds the
            session of the last command; the supervisor then enforces.

    Raises:
        ValueError: One of the paths holds a line break, which no stub can.
    """
    values = {
        b"session": session_path,
        b"python": os.fsencode(sys.executable),
        b"supervisor": os.path.join(os.path.dirname(os.fsencode(__file__)), b"supervisor.py"),
    }
    for path in values.values():
        if b"\n" in path or b"\0" in path:
            raise ValueError(f"a path with a line break: {encode(path)}")
    return _STUB % {name: _quoted(path) for name, path in values.items()}


def _quoted(path: bytes) -> bytes:
    return os.fsencode(shlex.quote(os.fsdecode(path)))
