"""Ways past the egress proxy: races, other protocols, other names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench import compile_c
from tests.programs import CHILDREN
from tests.supervisor.counting_server import CountingServer

if TYPE_CHECKING:
    from tests.bench import Bench

FLIPS = 1_000_000


@pytest.mark.parametrize("mode", ["flip", "swap"])
@pytest.mark.parametrize("through", ["address", "proxy"])
@pytest.mark.quick(1)
def test_what_changes_while_a_connection_is_made_leads_nowhere_else(
    bench: Bench, tmp_path: Path, mode: str, through: str
) -> None:
    """621 of 3,000 got through when the call continued after its arguments had been read."""
    program = compile_c(
        (CHILDREN / "connecting.c").read_text(), tmp_path / "connecting", "-pthread"
    )
    with CountingServer() as granted, CountingServer() as forbidden:
        port = 0 if through == "proxy" else granted.port  # 0: it looks into its environment.
        (bench.package / "connecting").write_text(f"{mode} {port} {forbidden.port} {FLIPS}")
        bench.grants = {"net": [f"127.0.0.1:{granted.port}" if port else "example.test:443"]}
        ended = bench.run(bench.install(program))

        flips, made, refused, other, elsewhere = map(int, ended.stdout.split())
        assert flips >= 100_000
        assert made > 0
        assert refused > 0
        assert elsewhere == 0
        assert forbidden.count == 0
    print(mode, through, f"{flips=} {made=} {refused=} {other=}")
