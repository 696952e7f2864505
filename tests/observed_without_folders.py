"""The supervisor of `observed_both_ways.py`, which gives a script no folders that it may read.

What is read there is in no recording of light observation; `tests/supervisor/test_folder_reads.py`
is about that.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def _begin_without(_self: Any, process: Any, _then: Any) -> bool:  # noqa: ANN401
    process.reads = False
    return False


if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from buildperm.tracer.recorder import folder_reads
    from tests import observed_both_ways

    setattr(folder_reads.FolderReads, "begin", _begin_without)  # noqa: B010 - of another type
    observed_both_ways.supervise()
