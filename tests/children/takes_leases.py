# Takes a lease on a file and watches a folder, both open for reading only.
import fcntl
import os
import signal

signal.signal(signal.SIGIO, signal.SIG_IGN)
package, out = os.environ["CARGO_MANIFEST_DIR"], os.environ["OUT_DIR"]
file, folder = os.open(package + "/victim", os.O_RDONLY), os.open(package, os.O_RDONLY)
for command, target, argument in (
    (fcntl.F_SETLEASE, file, fcntl.F_WRLCK),
    (fcntl.F_NOTIFY, folder, fcntl.DN_CREATE),
):
    try:
        fcntl.fcntl(target, command, argument)
    except OSError as error:
        print(f"cargo:warning={command} {error.errno}", flush=True)
os.close(os.open(out + "/ready", os.O_CREAT | os.O_WRONLY))
while not os.path.exists(package + "/done"):
    pass
