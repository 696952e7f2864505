# Asks for help; fails where that imports a library which help does not need.
import sys

from buildperm.cli import main

sys.argv = ["buildperm", "--help"]
try:
    main()
except SystemExit:
    pass
loaded = {"textual", "rich", "tomlkit", "ptrace"} & set(sys.modules)
sys.exit(f"imported {loaded}" if loaded else 0)
