# What Python does with files, also by descriptors of folders.
/usr/bin/python3 -IS - <<'END'
import json, os, shutil, tempfile

os.makedirs("p/q")
open("p/q/f", "w").close()
os.replace("p/q/f", "p/f")
d = os.open("p", os.O_RDONLY)
os.open("f", os.O_RDONLY, dir_fd=d)
os.mkdir("made", dir_fd=d)
os.rename("made", "moved", src_dir_fd=d, dst_dir_fd=d)
os.symlink("f", "s", dir_fd=d)
os.unlink("s", dir_fd=d)
shutil.rmtree("p")
END
