"""Runs buildperm where the compiler for WASI has one module ready: MODULE, then its words."""

import sys
from pathlib import Path

from buildperm.__main__ import main
from buildperm.cargo.script_module import ScriptModules
from buildperm.workflow import wasi_settings

module = Path(sys.argv.pop(1)).read_bytes()
ScriptModules.compile = lambda *_: module
wasi_settings.missing = lambda _: None
sys.exit(main())
