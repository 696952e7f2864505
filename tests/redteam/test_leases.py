"""What fcntl(2) does to others by files that are only open for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import wait_until
from tests.programs import program_text

if TYPE_CHECKING:
    from tests.bench import Bench

LEASES = program_text("takes_leases.py")


def test_nobody_has_to_wait_for_a_file_that_a_script_may_only_read(bench: Bench) -> None:
    victim = bench.package / "victim"
    victim.write_text("x")
    with bench.start(bench.script(LEASES)) as process:
        try:
            assert wait_until((bench.out_dir / "ready").exists)
            with open("/proc/locks", "rb") as locks:
                leased = f":{victim.stat().st_ino} ".encode() in locks.read()
        finally:
            (bench.package / "done").touch()
        said = process.communicate(timeout=120)[0].decode().split("\n")

    assert not leased
    assert said[:2] == ["cargo:warning=1024 1", "cargo:warning=1026 1"]
