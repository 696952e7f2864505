# Ends a build script that metadata_calls.py begins: removes what it made, and prints what it found.
import shutil

for entry in os.scandir(out):  # What must not be left there.
    if entry.is_dir(follow_symlinks=False):
        call("fchmodat", CWD, text(entry.path), 0o700)
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)
print(json.dumps(found))
sys.stdout.flush()
os._exit(0)
