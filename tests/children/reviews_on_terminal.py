"""A review of the realistic workspace on the terminal; writes what was decided to a file."""

import json
import sys
from pathlib import Path

from tests.tui.proposals import realistic
from tests.tui.review_bench import ReviewBench

bench = ReviewBench(realistic())
bench.app.present()
Path(sys.argv[1]).write_text(json.dumps(bench.answers()))
