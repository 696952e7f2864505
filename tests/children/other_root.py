# Has another root folder, and holds paths and descriptors for the test to read.
import ctypes
import os
import sys
import time

libc = ctypes.CDLL(None)
assert not libc.unshare(0x20000)  # CLONE_NEWNS
assert not libc.mount(None, b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
way, root = sys.argv[1], os.fsencode(sys.argv[2])
if way == "chroot":
    os.chroot(root)
else:
    libc.mount(root, root, None, 0x5000, None)  # MS_BIND | MS_REC
    os.chdir(root)
    assert not libc.syscall(__PIVOT_ROOT__, b".", b".")  # pivot_root(2)
    assert not libc.umount2(b".", 2)  # MNT_DETACH
os.chdir("/w/in")
keep = [ctypes.create_string_buffer(p.encode()) for p in sys.argv[3:]]
print(
    *map(ctypes.addressof, keep),
    os.open("/w/in/f", os.O_RDONLY),
    os.open("/w/out", os.O_PATH),
    flush=True,
)
time.sleep(600)
