# Waits, and then reads files of the home folder.
import os
import sys
import time

home = os.path.join(os.environ["CARGO_MANIFEST_DIR"], "../../home/u")
os.mkdir(os.environ["OUT_DIR"] + "/ready")
while not os.path.exists(home + "/later"):
    time.sleep(0.01)
for path in ("early/file", "later/key"):
    try:
        print("cargo::warning=" + open(os.path.join(home, path)).read())
    except OSError as error:
        print("cargo::warning=" + error.strerror)
