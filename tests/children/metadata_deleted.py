# Goes after metadata_calls.py: files that have no name any more, or never had one.
def deleted(path):
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.unlink(path)
    return file


file = deleted(out + "/f")
found["deleted"] = [make("fchmod", file, None), stat.S_IMODE(os.fstat(file).st_mode)]
found["by /proc"] = make("chmod" if "chmod" in N else "fchmodat", CWD, f"/proc/self/fd/{file}")
real = fresh(out + "/x (deleted)")
found["really so called"] = make("utimensat", CWD, real)
os.mkdir(out + "/d")
file = os.open(out + "/d/f", os.O_RDWR | os.O_CREAT)
folder = os.open(out + "/d", os.O_RDONLY)
os.unlink(out + "/d/f")
os.rmdir(out + "/d")
found["in a deleted folder"] = make("fchmod", file, None)
MODE = 0o750
found["a deleted folder"] = make("fchmod", folder, None)
os.chdir(folder)
found["working folder"] = make("fchmodat", CWD, ".")
found["temporary"] = make("fchmod", os.open(out, os.O_TMPFILE | os.O_RDWR, 0o600), None)
found["memory"] = make("fchmod", os.memfd_create("x"), None)
pipe, _ = os.pipe()
found["pipe"] = make("fchmod", pipe, None)
found["null"] = make("fchmod", os.open("/dev/null", os.O_RDWR), None)
# A file outside is deleted by its owner while the script holds it.
file = os.open(ws + "/passing", os.O_RDONLY)
open(out + "/ready", "w")
while os.path.exists(ws + "/passing"):
    time.sleep(0.01)
os.mkdir(out + "/passing")
found["deleted outside"] = make("fchmod", file, None)
found["times outside"] = make("utimensat", file, None)
