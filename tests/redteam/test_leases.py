"""What fcntl(2) does to others by files that are only open for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import wait_until

if TYPE_CHECKING:
    from tests.bench import Bench

LEASES = """\
import fcntl, os, signal
signal.signal(signal.SIGIO, signal.SIG_IGN)
package, out = os.environ["CARGO_MANIFEST_DIR"], os.environ["OUT_DIR"]
file, folder = os.open(package + "/victim", os.O_RDONLY), os.open(package, os.O_RDONLY)
for command, target, argument in (
    (fcntl.F_SETLEASE, file, fcntl.F_WRLCK), (fcntl.F_NOTIFY, folder, fcntl.DN_CREATE),
):
    try:
        fcntl.fcntl(target, command, argument)
    except OSError as error:
        print(f"cargo:warning={command} {error.errno}", flush=True)
os.close(os.open(out + "/ready", os.O_CREAT | os.O_WRONLY))
while not os.path.exists(package + "/done"): pass
"""


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
        said = process.communicate(timeout=30)[0].decode().split("\n")

    assert not leased
    assert said[:2] == ["cargo:warning=1024 1", "cargo:warning=1026 1"]
