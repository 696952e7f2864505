# Runs buildperm with another program in the place of env(1).
import sys

from buildperm.sandbox import stub

stub._ENV = sys.argv.pop(1).encode()
sys.argv[0] = "buildperm"
from buildperm.__main__ import main  # noqa: E402 - with the other env(1)

sys.exit(main())
