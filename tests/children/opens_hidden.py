import os

folder = f"{os.environ['OUT_DIR']}/d"
os.mkdir(folder)
os.chdir(folder)
names = ["__TOP__/notes.txt", "__TOP__/none", "__TOP__/tools/none", "__TOP__/tools/tool", "none"]
names += ["../../../../../../../notes.txt", "/etc/hostname", "/etc/none", "/none/none", "/tmp/none"]
names += ["__TOP__/crate/../notes.txt", "__TOP__/crate/../none", "__TOP__/notes.txt/none"]
for _ in range(20):
    for name in names:
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT, os.O_PATH):
            try:
                os.close(os.open(name, flags, 0o600))
            except OSError:
                pass
