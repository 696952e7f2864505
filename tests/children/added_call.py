"""Records one call more than the table has: `python -m tests.children.added_call HOME`.

Works like any supervisor: the filter is built from the table, and the recorder reads with it.
Prints the changes in the recording.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from buildperm.sandbox import seccomp
from buildperm.tracer import syscall_numbers, syscall_table
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import PathChanged
from tests.tracer import harness
from tests.tracer.recorded_child import HEADER

syscall_table.CALLS["chdir"] = syscall_table.ChangeLayout("times-changed", (syscall_table.CWD, 0))

home = Path(sys.argv[1])
os.chdir(home)
numbers = syscall_numbers.table()
recorded = syscall_table.recorded()
harness.main(
    {
        "argv": [b"/bin/sh", b"-c", b"cd sub && cd / && cd none 2>/dev/null; exit 0"],
        "env": {},
        "filter": seccomp.build(os.uname().machine, numbers, recorded),
        "library": b"",
        "calls": seccomp.stopping(numbers, recorded),
        "caps": {},
        "withheld": [],
        "process_limit": 0,
        "stop_after_s": 0,
        "readable": [],
        "writable": [],
        "header": HEADER,
        "recording": os.fsencode(home / "recording.jsonl"),
    }
)
for event in reader.read(home / "recording.jsonl").events:
    if isinstance(event, PathChanged):
        print(event.change, os.fsdecode(event.path), event.errno)
