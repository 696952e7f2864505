# Begins a build script: `run` runs a tool, and says how that ended.
import os
import subprocess
import sys

ca = os.environ["CARGO_MANIFEST_DIR"] + "/ca.pem"
out = os.environ["OUT_DIR"]
url = "https://__NAME__"
bin = __TOOLCHAIN__ + "/bin/"  # noqa: A001 - where cargo and rustc lie


def run(*command, **more):
    ended = subprocess.run(command, env=os.environ | more, capture_output=True)
    sys.stderr.buffer.write(ended.stdout[-500:] + ended.stderr)
    print(ended.returncode, len(ended.stdout), flush=True)
    return ended.stdout
