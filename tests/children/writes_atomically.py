# Writes a manifest, as another user where it is root.
import os
import sys
from pathlib import Path

from buildperm.errors import BuildpermError
from buildperm.policy.editor import write_atomically

path = Path(sys.argv[1])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(2000)
    os.setuid(2000)
try:
    write_atomically(path, path.read_bytes(), b"after")
except BuildpermError as error:
    sys.exit(str(error))
