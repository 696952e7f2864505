"""What a program learns of a machine without opening anything: by uname(2), CPUID, sysinfo(2).

No recording shows that somebody has asked. So it is one of the things by which results of build
scripts are told apart.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_NUMBERS = ("SC_NPROCESSORS_CONF", "SC_NPROCESSORS_ONLN", "SC_PHYS_PAGES", "SC_PAGE_SIZE")
# proc_cpuinfo(5): what else stands there changes with each look.
_OF_PROCESSORS = frozenset(
    (
        *("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "cache size"),
        *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"),
        "Features",
    )
)


def digest() -> str:
    """Return a digest of kernel, processors and memory.

    Not of the machine's name: who asks for it is seen (`tracer.recorder.asked_paths`), and in a
    container it is another one each time.
    """
    told = os.uname()
    traits = [told.sysname, told.release, told.version, told.machine]
    traits += [f"{name} {os.sysconf(name)}" for name in _NUMBERS]
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    found = {line for line in lines if line.partition(":")[0].strip() in _OF_PROCESSORS}
    return hashlib.sha256("\n".join([*traits, *sorted(found)]).encode()).hexdigest()
