# Tells what it was started with: arguments, folder, umask, variables, input.
import os
import sys

print("cargo::warning=" + repr(sys.argv[1:]))
print("cargo::warning=" + os.getcwd())
print(f"cargo::warning={os.umask(0):o}")
print("cargo::warning=" + repr(os.environb.get(b"CARGO_FEATURE_A.B")))
print("cargo::warning=" + repr(sys.stdin.read()))
print("said", file=sys.stderr)
try:
    open("/opt")
except OSError:
    pass
sys.exit(int(os.environ["CARGO_FEATURE_STATUS"]))
